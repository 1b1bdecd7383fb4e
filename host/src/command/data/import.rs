//! `scimwell import`: first all resources, a batch after the other and several at once, then what refers to others.
//!
//! Ids are the server's to give out. So members, managers and the like wait until all resources are there, and are then
//! written with the new ids. Whatever is done is noted in the checkpoint, and an import that is cut off goes on after it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::checkpoint::{self, Checkpoint, Counts, Head, Ids, Linked, SYNC_STEPS, State, place, position};
use super::link::{self, Links};
use super::load::{self, Batch};
use super::options::{ImportOptions, OnConflict};
use super::path::Path;
use super::progress;
use super::record::{Columns, Reject};
use super::scim::Scim;
use super::shape::Shapes;
use super::source::{Format, Item, Position, Source};
use crate::command::output::Output;
use crate::command::{CommandError, Place};

/// Bytes of the items in one batch; an item may be larger.
const BATCH_BYTES: u64 = 512 * 1024;
/// Records with references that are worked on together.
const LINK_BATCH: usize = 20;

/// What all batches of an import share.
pub(super) struct Import {
    pub(super) scim: Scim,
    pub(super) shapes: Shapes,
    pub(super) columns: Option<Columns>,
    /// The type of resources that don't say theirs.
    pub(super) default_shape: Option<usize>,
    pub(super) on_conflict: OnConflict,
    pub(super) dry_run: bool,
    /// Operations in one request.
    pub(super) batch: usize,
    /// See [`Head::import`].
    pub(super) id: String,
    /// See [`Head::started`].
    pub(super) started: u64,
    /// For each type, whether there were resources of it to begin with.
    pub(super) existing: Vec<bool>,
    ids: RwLock<Ids>,
    /// Maps of other imports.
    other_ids: Vec<Ids>,
    /// Resources that records of the file stand for, where nothing unique tells which.
    claimed: Mutex<HashSet<u128>>,
    /// What references were looked up to.
    pub(super) resolved: Mutex<HashMap<String, Option<String>>>,
}

impl Import {
    /// The id on this server of what the file calls so.
    pub(super) fn id_of(&self, name: &str) -> Option<String> {
        let found = self.ids.read().unwrap_or_else(PoisonError::into_inner).get(name);
        found.or_else(|| self.other_ids.iter().find_map(|ids| ids.get(name)))
    }

    /// The type of a resource, by what it says of itself; that of --type where it says nothing.
    pub(super) fn shape_of(&self, resource: &Map<String, Value>) -> Option<usize> {
        let found = self.shapes.of(resource);
        let silent = resource.get("meta").is_none_or(|meta| meta["resourceType"].is_null())
            && resource.get("schemas").and_then(Value::as_array).is_none_or(Vec::is_empty);
        found.or(self.default_shape.filter(|_| silent))
    }

    /// Takes a resource for a record of the file; false where another record has it.
    pub(super) fn claim(&self, id: &str) -> bool {
        let number = checkpoint::id_number(id);
        number.is_some_and(|number| lock(&self.claimed).insert(number))
    }

    fn learn(&self, ids: &[(String, String)]) {
        let mut known = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        for (name, id) in ids {
            known.insert(name, id);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the command.
pub(in crate::command) async fn run(options: ImportOptions, place: &Place, output: Output) -> Result<(), CommandError> {
    let began = Instant::now();
    let scim = Scim::open(place, options.tenant.as_deref()).await?;
    let shapes = Shapes::read(&scim).await?;
    let default_shape = shapes.named(&options.resource_type);
    let (source, columns) = open(&options, &shapes, default_shape)?;
    let resumed = match options.dry_run || options.restart {
        true => None,
        false => Checkpoint::resume(&options.file, &scim.place)?,
    };
    let resumes = resumed.is_some();
    let jobs = options.jobs as usize;
    let (checkpoint, head, mut state) = match resumed {
        Some(resumed) => resumed,
        None => {
            let existing = existing(&scim, &shapes).await?;
            let batch = options.batch as usize;
            let head = Head::new(&options.file, &scim.place, existing, jobs, batch)?;
            (Checkpoint::begin(&options.file, &head, options.dry_run)?, head, State::default())
        }
    };
    // Those that were under way when the import was cut off, and those that a lost machine did not sync.
    let rechecked = ((head.jobs + SYNC_STEPS) * head.batch).div_ceil(options.batch as usize);
    let rechecked = if resumes { rechecked } else { 0 };
    let import = Import {
        existing: shapes.0.iter().map(|shape| head.existing.contains(&shape.name)).collect(),
        scim,
        shapes,
        columns,
        default_shape,
        on_conflict: options.on_conflict,
        dry_run: options.dry_run,
        batch: options.batch as usize,
        id: head.import.clone(),
        started: head.started,
        ids: RwLock::new(std::mem::take(&mut state.ids)),
        other_ids: options.ids.iter().map(|path| checkpoint::ids_of(path)).collect::<Result<_, _>>()?,
        claimed: Mutex::new(std::mem::take(&mut state.claimed)),
        resolved: Mutex::default(),
    };
    let mut running = Running { import: Arc::new(import), options, source, checkpoint, state, jobs };
    let before = running.state.counts;
    if !running.state.all_resources {
        running.resources(rechecked).await?;
    }
    running.links().await?;
    let Running { state: State { counts, .. }, checkpoint, options, .. } = running;
    let rejects = checkpoint.finish()?;
    report(output, &options, before, counts, rejects, began)
}

fn report(
    output: Output,
    options: &ImportOptions,
    before: Counts,
    counts: Counts,
    rejects: PathBuf,
    began: Instant,
) -> Result<(), CommandError> {
    let Counts { created, updated, skipped, rejected } = counts;
    let seconds = began.elapsed().as_secs_f64();
    let now = |counts: Counts| counts.created + counts.updated + counts.skipped;
    let mut summary = json!({
        "created": created, "updated": updated, "skipped": skipped, "rejected": rejected, "seconds": seconds,
    });
    if rejected > 0 {
        summary["rejects"] = rejects.display().to_string().into();
    }
    if options.dry_run {
        summary["dryRun"] = true.into();
    }
    output.print(&summary, || {
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = (now(counts) - now(before)) as f64 / seconds.max(0.001);
        let would = if options.dry_run { "A dry run; nothing was changed. It would have been: " } else { "" };
        format!(
            "{would}{created} created, {updated} updated, {skipped} left as they were, {rejected} rejected, in {seconds:.1} s \
             ({rate:.0} resources/s).\n"
        )
    })?;
    match rejected {
        0 => Ok(()),
        _ => Err(CommandError::Rejected { count: rejected, path: rejects }),
    }
}

/// Types that the tenant has resources of.
async fn existing(scim: &Scim, shapes: &Shapes) -> Result<Vec<String>, CommandError> {
    let mut existing = Vec::new();
    for shape in &shapes.0 {
        let page = scim.get(&format!("{}?count=0", shape.endpoint)).await?;
        if page["totalResults"] != 0 {
            existing.push(shape.name.clone());
        }
    }
    Ok(existing)
}

fn open(
    options: &ImportOptions,
    shapes: &Shapes,
    default_shape: Option<usize>,
) -> Result<(Source, Option<Columns>), CommandError> {
    let failed = |source| CommandError::File { path: options.file.clone(), source };
    if options.format.unwrap_or_else(|| Format::of(&options.file)) == Format::Ndjson {
        return Ok((Source::json(&options.file).map_err(failed)?, None));
    }
    let Some(shape) = default_shape else {
        let reason = format!("there is no resource type {}; there are {}", options.resource_type, shapes.names());
        return Err(CommandError::Option { option: "--type", reason });
    };
    let (source, columns) = Source::csv(&options.file, options.delimiter).map_err(failed)?;
    let mut mapped = mapping(options)?;
    let path = |column: &String| {
        let text = mapped.remove(column.as_str()).unwrap_or_else(|| column.clone());
        if text.trim().is_empty() {
            return Ok(None);
        }
        Path::parse(&text, &shapes.0[shape]).map(Some).map_err(|reason| CommandError::Option {
            option: "--map",
            reason: format!(
                "column {column:?}: {reason}; say what it stands for with --map '{column}=PATH', or leave it out with --map \
                 '{column}='"
            ),
        })
    };
    let paths = columns.iter().map(path).collect::<Result<_, _>>()?;
    match mapped.into_keys().next() {
        Some(column) => {
            let reason = format!("there is no column {column:?}; there are {}", columns.join(", "));
            Err(CommandError::Option { option: "--map", reason })
        }
        None => Ok((source, Some(Columns { shape, paths }))),
    }
}

/// Columns and their paths, of --map and --map-file.
fn mapping(options: &ImportOptions) -> Result<HashMap<String, String>, CommandError> {
    let mut lines = options.map.clone();
    if let Some(path) = &options.map_file {
        let failed = |source| CommandError::File { path: path.clone(), source };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let meant = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
        lines.extend(text.lines().filter(meant).map(str::to_owned));
    }
    let pair = |line: &String| match line.split_once('=') {
        Some((column, path)) => Ok((column.trim().to_owned(), path.trim().to_owned())),
        None => {
            let reason = format!("{line:?} is no COLUMN=PATH");
            Err(CommandError::Option { option: "--map", reason })
        }
    };
    lines.iter().map(pair).collect()
}

/// An import under way.
struct Running {
    import: Arc<Import>,
    options: ImportOptions,
    source: Source,
    checkpoint: Checkpoint,
    state: State,
    /// Batches at once.
    jobs: usize,
}

impl Running {
    /// All that is not done yet of the first pass. The first `rechecked` batches may have been done without being noted.
    async fn resources(&mut self, mut rechecked: usize) -> Result<(), CommandError> {
        let length = std::fs::metadata(&self.options.file).map_or(0, |file| file.len());
        let bar = progress::bar("Resources", length, true);
        let mut under_way = JoinSet::new();
        loop {
            let (from, items) = self.next_batch()?;
            if under_way.len() == self.jobs || items.is_empty() {
                let Some(done) = under_way.join_next().await else { break };
                self.loaded(joined(done)?)?;
                let Counts { created, updated, skipped, rejected } = self.state.counts;
                bar.set_message(format!("{} done, {rejected} rejected", created + updated + skipped));
            }
            if items.is_empty() {
                continue;
            }
            bar.set_position(from.offset);
            let recheck = rechecked > 0;
            rechecked = rechecked.saturating_sub(1);
            let (import, to) = (self.import.clone(), self.source.position());
            under_way.spawn(async move {
                let mut batch = load::load(&import, &items, recheck).await?;
                batch.loaded.from = place(from);
                batch.loaded.to = place(to);
                Ok::<_, CommandError>(batch)
            });
        }
        bar.finish_and_clear();
        self.state.all_resources = true;
        self.checkpoint.all_resources()
    }

    fn loaded(&mut self, batch: Batch) -> Result<(), CommandError> {
        let Batch { loaded, rejects } = batch;
        self.import.learn(&loaded.ids);
        self.state.counts.add(loaded.counts);
        self.state.later.extend(loaded.later.iter().copied());
        self.checkpoint.loaded(loaded, &rejects)
    }

    /// The next items that are to do, and where they begin. A batch ends before a part that is done, so that one that was
    /// under way when the import was cut off is made of the same items again.
    fn next_batch(&mut self) -> Result<(Position, Vec<Item>), CommandError> {
        while let Some(end) = self.state.done_until(self.source.position().offset) {
            self.source.seek(end).map_err(|source| self.unreadable(source))?;
        }
        let from = self.source.position();
        let mut items = Vec::new();
        while items.len() < self.options.batch as usize && self.source.position().offset - from.offset < BATCH_BYTES {
            if !items.is_empty() && self.state.done_until(self.source.position().offset).is_some() {
                break;
            }
            let Some(item) = self.source.next().map_err(|source| self.unreadable(source))? else { break };
            items.push(item);
        }
        Ok((from, items))
    }

    fn unreadable(&self, source: std::io::Error) -> CommandError {
        CommandError::File { path: self.options.file.clone(), source }
    }

    /// The second pass: what refers to other resources.
    async fn links(&mut self) -> Result<(), CommandError> {
        let later: Vec<_> = std::mem::take(&mut self.state.later).into_iter().collect();
        let bar = progress::bar("References", later.len() as u64, false);
        let mut to_do: VecDeque<usize> =
            (0..later.len()).filter(|number| !self.state.linked.contains(number)).collect();
        let mut under_way = JoinSet::new();
        loop {
            let mut batch = Vec::new();
            let mut bytes = 0;
            let from = to_do.front().copied();
            while batch.len() < LINK_BATCH && bytes < BATCH_BYTES {
                // Numbers that follow each other, so that they are noted as one.
                let Some(number) = to_do.pop_front_if(|next| from.is_some_and(|from| *next == from + batch.len()))
                else {
                    break;
                };
                let (at, which) = later[number];
                self.source.seek(position(at)).map_err(|source| self.unreadable(source))?;
                let item = self.source.next().map_err(|source| self.unreadable(source))?;
                bytes += item.as_ref().map_or(0, |item| item.end - item.start.offset);
                batch.push((item, which));
            }
            if under_way.len() == self.jobs || batch.is_empty() {
                let Some(done) = under_way.join_next().await else { break };
                let (linked, rejects): (Linked, Vec<Reject>) = joined(done)?;
                bar.inc((linked.to - linked.from) as u64);
                self.state.counts.rejected += linked.rejected;
                self.checkpoint.linked(linked, &rejects)?;
            }
            let (Some(from), false) = (from, batch.is_empty()) else { continue };
            let import = self.import.clone();
            let to = from + batch.len();
            under_way.spawn(async move {
                let mut rejects = Vec::new();
                for (item, which) in batch {
                    if let Some(links) = item.and_then(|item| Links::of(&import, &item, which)) {
                        rejects.extend(link::write(&import, &links).await?);
                    }
                }
                Ok::<_, CommandError>((Linked::new(from, to, rejects.len()), rejects))
            });
        }
        bar.finish_and_clear();
        Ok(())
    }
}

/// What a task gave; a panic in it goes on here.
fn joined<T>(done: Result<Result<T, CommandError>, tokio::task::JoinError>) -> Result<T, CommandError> {
    done.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(cancelled) => Err(CommandError::Output(std::io::Error::other(cancelled))),
    })
}
