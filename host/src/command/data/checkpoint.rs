//! How far an import has come, in a file beside its input, so that one that is cut off goes on where it was.
//!
//! The file is a log of JSON lines, each written after what it tells of is done. It also maps the ids of the input to those
//! that the server gave out, which is what references are translated by, in this import or a later one (`--ids`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::record::Reject;
use super::source::Position;
use crate::command::CommandError;

/// Bytes at the start of the input by which it is known again, with its length.
const FINGERPRINT_BYTES: u64 = 1024 * 1024;
/// What is behind the input's name in that of the rejects.
const REJECTS: &str = ".rejects.ndjson";
/// Steps between two that are synced to the disk.
pub(super) const SYNC_STEPS: usize = 64;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head {
    /// Of the input.
    pub(super) bytes: u64,
    /// Of the input's beginning.
    sha256: String,
    /// Into what.
    pub(super) into: String,
    /// When it began, in milliseconds since 1970.
    pub(super) started: u64,
    /// Random, so that its requests are told from those of another import.
    pub(super) import: String,
    /// Types that the tenant had resources of when it began.
    pub(super) existing: Vec<String>,
    /// Batches that were under way at once.
    pub(super) jobs: usize,
    /// Items in each of them at most.
    pub(super) batch: usize,
}

/// A line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    Import(Head),
    Resources(Loaded),
    /// The whole file was read.
    AllResources,
    Links(Linked),
    Finished,
}

/// What became of resources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) skipped: u64,
    pub(super) rejected: u64,
}

impl Counts {
    pub(super) fn add(&mut self, more: Self) {
        self.created += more.created;
        self.updated += more.updated;
        self.skipped += more.skipped;
        self.rejected += more.rejected;
    }
}

/// A part of the input that is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Loaded {
    pub(super) from: Place,
    pub(super) to: Place,
    pub(super) counts: Counts,
    /// By what the input calls them.
    pub(super) ids: Vec<(String, String)>,
    /// Those of them that nothing unique tells from others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) claimed: Vec<String>,
    /// Records that refer to others: where their item is, and which of it they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) later: Vec<(Place, usize)>,
    /// The length of the rejects' file after it.
    rejects: u64,
}

/// References that are done, by their numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Linked {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) rejected: u64,
    /// The length of the rejects' file after it.
    rejects: u64,
}

impl Linked {
    pub(super) fn new(from: usize, to: usize, rejected: usize) -> Self {
        Self { from, to, rejected: rejected as u64, rejects: 0 }
    }
}

/// A [`Position`] in a line.
pub(super) type Place = (u64, u64);

pub(super) fn place(position: Position) -> Place {
    (position.offset, position.line)
}

pub(super) fn position((offset, line): Place) -> Position {
    Position { offset, line }
}

/// The ids of the input as those that the server gave out. Names are kept as hashes: 32 bytes an entry, whatever they are.
#[derive(Debug, Default)]
pub(super) struct Ids(HashMap<u128, u128>);

impl Ids {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0.get(&hashed(name)).map(|id| id_text(*id))
    }

    /// False where the id is not what this server gives out.
    pub(super) fn insert(&mut self, name: &str, id: &str) -> bool {
        let Some(id) = id_number(id) else { return false };
        self.0.insert(hashed(name), id);
        true
    }
}

fn hashed(name: &str) -> u128 {
    let hash = Sha256::digest(name.as_bytes());
    hash.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// An id as a number: it is a UUID.
pub(super) fn id_number(id: &str) -> Option<u128> {
    let digits: String = id.chars().filter(|c| *c != '-').collect();
    (id.len() == 36 && digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok())?
}

fn id_text(id: u128) -> String {
    let hex = format!("{id:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// What is known of an import that was cut off, or of a new one.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) ids: Ids,
    pub(super) claimed: HashSet<u128>,
    pub(super) counts: Counts,
    /// Parts of the input that are done: ends by beginnings, in bytes.
    done: BTreeMap<u64, Place>,
    /// Whether all of the input was read.
    pub(super) all_resources: bool,
    pub(super) later: BTreeSet<(Place, usize)>,
    pub(super) linked: BTreeSet<usize>,
    rejects: u64,
    finished: bool,
}

impl State {
    fn apply(&mut self, line: Line) {
        match line {
            Line::Import(_) => {}
            Line::Resources(loaded) => {
                self.loaded(&loaded);
                self.rejects = loaded.rejects;
            }
            Line::AllResources => self.all_resources = true,
            Line::Links(linked) => {
                self.linked.extend(linked.from..linked.to);
                self.counts.rejected += linked.rejected;
                self.rejects = linked.rejects;
            }
            Line::Finished => self.finished = true,
        }
    }

    /// Takes over what a batch did.
    pub(super) fn loaded(&mut self, loaded: &Loaded) {
        for (name, id) in &loaded.ids {
            self.ids.insert(name, id);
        }
        self.claimed.extend(loaded.claimed.iter().filter_map(|id| id_number(id)));
        self.counts.add(loaded.counts);
        self.later.extend(loaded.later.iter().copied());
        self.done.insert(loaded.from.0, loaded.to);
    }

    /// Where the part that is done and begins at this byte ends.
    pub(super) fn done_until(&self, offset: u64) -> Option<Position> {
        self.done.get(&offset).copied().map(position)
    }
}

/// The file, and that of the rejects.
pub(super) struct Checkpoint {
    /// `None` in a dry run, which leaves nothing to go on with.
    log: Option<File>,
    rejects: Rejects,
    steps: usize,
}

/// Where the checkpoint of an input is.
pub(super) fn path(input: &Path) -> PathBuf {
    beside(input, ".checkpoint")
}

/// A file beside another, whose name is its name and something more.
fn beside(input: &Path, ending: &str) -> PathBuf {
    let mut name = input.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

impl Checkpoint {
    /// Of a new import.
    pub(super) fn begin(input: &Path, head: &Head, dry_run: bool) -> Result<Self, CommandError> {
        let rejects = Rejects::open(input, if dry_run { ".dry-run.rejects.ndjson" } else { REJECTS }, 0)?;
        let mut checkpoint = Self { log: None, rejects, steps: 0 };
        if !dry_run {
            let path = path(input);
            let log = private().create(true).truncate(true).open(&path);
            checkpoint.log = Some(log.map_err(|source| CommandError::Write { path, source })?);
            checkpoint.write(&Line::Import(head.clone()))?;
        }
        Ok(checkpoint)
    }

    /// Of an import that was cut off, if there is one. It must be of the same input and into the same place: another one would
    /// do again, or leave out, what that one did.
    pub(super) fn resume(input: &Path, into: &str) -> Result<Option<(Self, Head, State)>, CommandError> {
        let path = path(input);
        let unfit = |reason: String| CommandError::Checkpoint { path: path.clone(), reason };
        let Some((head, state, length)) = read(&path)? else { return Ok(None) };
        let same = (head.bytes, head.sha256.clone()) == fingerprint(input)?;
        match (state.finished, head.into == into, same) {
            (true, true, true) => return Err(unfit("this file was imported to its end".to_owned())),
            // What was finished is no reason not to import something else.
            (true, ..) => return Ok(None),
            (false, false, _) => return Err(unfit(format!("this file was being imported into {}", head.into))),
            (false, true, false) => return Err(unfit("the file has changed since its import began".to_owned())),
            (false, true, true) => {}
        }
        let failed = |source| CommandError::Write { path: path.clone(), source };
        let mut log = private().open(&path).map_err(failed)?;
        // A line that was being written is done again.
        log.set_len(length).map_err(failed)?;
        log.seek(SeekFrom::End(0)).map_err(failed)?;
        let rejects = Rejects::open(input, REJECTS, state.rejects)?;
        Ok(Some((Self { log: Some(log), rejects, steps: 0 }, head, state)))
    }

    /// Notes a part of the input, its rejects first.
    pub(super) fn loaded(&mut self, mut loaded: Loaded, rejects: &[Reject]) -> Result<(), CommandError> {
        loaded.rejects = self.rejects.write(rejects)?;
        self.write(&Line::Resources(loaded))
    }

    /// Notes references.
    pub(super) fn linked(&mut self, mut linked: Linked, rejects: &[Reject]) -> Result<(), CommandError> {
        linked.rejects = self.rejects.write(rejects)?;
        self.write(&Line::Links(linked))
    }

    /// Notes that the whole input was read.
    pub(super) fn all_resources(&mut self) -> Result<(), CommandError> {
        self.write(&Line::AllResources)
    }

    /// Notes the end; where the rejects are, if there are any.
    pub(super) fn finish(mut self) -> Result<PathBuf, CommandError> {
        self.write(&Line::Finished)?;
        self.rejects.finish()
    }

    fn write(&mut self, line: &Line) -> Result<(), CommandError> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let failed = |source| CommandError::Output(source);
        let mut text = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        log.write_all(&text).map_err(failed)?;
        self.steps += 1;
        match self.steps.is_multiple_of(SYNC_STEPS) || matches!(line, Line::Finished | Line::AllResources) {
            true => log.sync_data().map_err(failed),
            false => Ok(()),
        }
    }
}

/// The map of an earlier import.
pub(super) fn ids_of(path: &Path) -> Result<Ids, CommandError> {
    let missing = || CommandError::File { path: path.to_owned(), source: io::ErrorKind::NotFound.into() };
    read(path)?.map(|(_, state, _)| state.ids).ok_or_else(missing)
}

/// The whole log, and the length of its whole lines; `None` where there is none.
fn read(path: &Path) -> Result<Option<(Head, State, u64)>, CommandError> {
    let failed = |source| CommandError::File { path: path.to_owned(), source };
    let mut log = match File::open(path) {
        Ok(log) => BufReader::new(log),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let (mut head, mut state, mut length) = (None, State::default(), 0);
    let mut text = Vec::new();
    while log.read_until(b'\n', &mut text).map_err(failed)? > 0 && text.ends_with(b"\n") {
        let line = serde_json::from_slice(&text);
        let reason = |error| format!("it is no checkpoint of an import: at byte {length}, {error}");
        match line.map_err(|error| CommandError::Checkpoint { path: path.to_owned(), reason: reason(error) })? {
            Line::Import(first) => head = Some(first),
            line => state.apply(line),
        }
        length += text.len() as u64;
        text.clear();
    }
    // Without a first line nothing was done.
    Ok(head.map(|head| (head, state, length)))
}

/// The length of a file and a hash of its beginning.
fn fingerprint(path: &Path) -> Result<(u64, String), CommandError> {
    let failed = |source| CommandError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let mut start = Vec::new();
    file.take(FINGERPRINT_BYTES).read_to_end(&mut start).map_err(failed)?;
    Ok((bytes, super::hex(&Sha256::digest(&start))))
}

impl Head {
    /// Of an import that begins now.
    pub(super) fn new(
        input: &Path,
        into: &str,
        existing: Vec<String>,
        jobs: usize,
        batch: usize,
    ) -> Result<Self, CommandError> {
        let (bytes, sha256) = fingerprint(input)?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| CommandError::Output(io::Error::other(error.to_string())))?;
        let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let started = started.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        Ok(Self { bytes, sha256, into: into.to_owned(), started, import: super::hex(&random), existing, jobs, batch })
    }
}

/// What holds personal data is for its owner alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// The file of the rejects; made with the first one.
struct Rejects {
    path: PathBuf,
    file: Option<File>,
    length: u64,
}

impl Rejects {
    /// Cut to what was written when the checkpoint was: what came after it comes again.
    fn open(input: &Path, ending: &str, length: u64) -> Result<Self, CommandError> {
        let path = beside(input, ending);
        let failed = |source| CommandError::Write { path: path.clone(), source };
        let mut length = length;
        let file = match private().open(&path) {
            Ok(mut file) => {
                length = length.min(file.metadata().map_err(failed)?.len());
                file.set_len(length).map_err(failed)?;
                file.seek(SeekFrom::End(0)).map_err(failed)?;
                Some(file)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                length = 0;
                None
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path, file, length })
    }

    /// The length after it.
    fn write(&mut self, rejects: &[Reject]) -> Result<u64, CommandError> {
        if rejects.is_empty() {
            return Ok(self.length);
        }
        let failed = |source| CommandError::Write { path: self.path.clone(), source };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(private().create_new(true).open(&self.path).map_err(failed)?),
        };
        let text: String = rejects.iter().map(Reject::text).collect();
        file.write_all(text.as_bytes()).map_err(failed)?;
        self.length += text.len() as u64;
        Ok(self.length)
    }

    fn finish(self) -> Result<PathBuf, CommandError> {
        // An earlier import's rejects say nothing of this one.
        if self.length == 0 && self.file.is_some() {
            std::fs::remove_file(&self.path)
                .map_err(|source| CommandError::Write { path: self.path.clone(), source })?;
        }
        Ok(self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0193a5f0-0000-7000-8000-00000000000a";

    fn input(directory: &Path) -> PathBuf {
        let input = directory.join("users.ndjson");
        std::fs::write(&input, "{}\n").unwrap();
        input
    }

    fn loaded(from: u64, to: u64) -> Loaded {
        let counts = Counts { created: 1, ..Counts::default() };
        Loaded { from: (from, 1), to: (to, 2), counts, ids: vec![("u".into(), A.into())], ..Loaded::default() }
    }

    #[test]
    fn goes_on_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let input = input(directory.path());
        assert!(Checkpoint::resume(&input, "x").unwrap().is_none());
        let head = Head::new(&input, "x", vec!["User".to_owned()], 4, 10).unwrap();
        let mut checkpoint = Checkpoint::begin(&input, &head, false).unwrap();
        let reject = *Reject::new(1, "invalidValue", "no", serde_json::Value::Null);
        checkpoint.loaded(loaded(0, 10), std::slice::from_ref(&reject)).unwrap();
        checkpoint.rejects.write(&[reject]).unwrap();
        checkpoint.log.as_mut().unwrap().write_all(b"{\"resources\":{\"fr").unwrap();
        drop(checkpoint);

        let (mut checkpoint, found, state) = Checkpoint::resume(&input, "x").unwrap().unwrap();
        assert_eq!(found, head);
        assert_eq!(state.ids.get("u").as_deref(), Some(A));
        assert_eq!(state.done_until(0), Some(Position { offset: 10, line: 2 }));
        assert_eq!(state.done_until(10), None);
        assert_eq!(state.counts.created, 1);
        checkpoint.all_resources().unwrap();
        let rejects = checkpoint.finish().unwrap();
        // The reject that the checkpoint does not know of is gone.
        assert_eq!(std::fs::read_to_string(rejects).unwrap().lines().count(), 1);
        assert_eq!(ids_of(&path(&input)).unwrap().get("u").as_deref(), Some(A));
        check_unfit(&input, "x", "to its end");
        assert!(Checkpoint::resume(&input, "y").unwrap().is_none());
        std::fs::write(&input, "{}{}\n").unwrap();
        assert!(Checkpoint::resume(&input, "x").unwrap().is_none());
    }

    #[track_caller]
    fn check_unfit(input: &Path, into: &str, says: &str) {
        let error = Checkpoint::resume(input, into).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn goes_on_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        let input = input(directory.path());
        Checkpoint::begin(&input, &Head::new(&input, "x", vec![], 4, 10).unwrap(), false).unwrap();
        check_unfit(&input, "y", "being imported into x");
        std::fs::write(&input, "{}{}\n").unwrap();
        check_unfit(&input, "x", "has changed");
        std::fs::write(path(&input), "something\n").unwrap();
        check_unfit(&input, "x", "no checkpoint");
    }

    #[test]
    fn ids_are_uuids() {
        let mut ids = Ids::default();
        assert!(ids.insert("a", A) && !ids.insert("b", "7"));
        assert_eq!(ids.get("a").as_deref(), Some(A));
        assert_eq!(ids.get("b"), None);
    }
}
