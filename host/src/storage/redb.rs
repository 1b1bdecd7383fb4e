//! Storage in one file on this machine, over [redb](https://docs.rs/redb): what `scimwell serve` uses unless told
//! otherwise.
//!
//! All tenants share one table; a key in it is the tenant's name, a NUL and the tenant's own key. Reads run on the
//! caller's thread against the snapshot that the latest commit left. Writes go to one thread, which takes whatever
//! commits are waiting into one durable transaction: however many requests are in flight, they share one fsync.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, hash_map};
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use redb::backends::FileBackend;
use redb::{
    AccessGuard, Database, DatabaseError, Range, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable,
    StorageBackend, Table, TableDefinition,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::backup::Snapshot;
use super::{
    Check, Entry, Key, KeyRange, Mutation, Outcome, ScanOptions, Storage, StoreError, Value, added, check_sizes,
    check_tenant,
};

mod copy;

pub use self::copy::RestoreError;

/// The database's file inside the data directory.
const FILE: &str = "scimwell.redb";
/// Every tenant's keys.
const KEYS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("keys");
/// The sequence number last given to an append, by tenant.
const SEQUENCES: TableDefinition<&str, u64> = TableDefinition::new("sequences");

/// Memory for pages read and pages being written. The process grows by two to three times as much, and the server is to
/// stay under 150 MB. What is missed here the operating system's page cache has, at 1 to 2 µs a page.
const CACHE: usize = 16 * 1024 * 1024;
/// Commits that may wait for the writer before further callers wait to hand theirs over.
const QUEUE: usize = 1024;
/// Commits in one transaction at most.
const BATCH: usize = 1024;
/// Bytes after which a transaction takes no further commit.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Keys that a read walks on the caller's thread; beyond it, the walk moves to a thread that may block.
const INLINE: usize = 1024;
/// How long the writer waits between attempts to open a database that failed.
const REOPEN_DELAY: Duration = Duration::from_millis(500);

type Keys = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// The keys as one transaction left them, and the transaction, which has the rest.
struct View {
    transaction: ReadTransaction,
    keys: Keys,
}

impl Deref for View {
    type Target = Keys;

    fn deref(&self) -> &Keys {
        &self.keys
    }
}

/// Keeps everything in one file; survives the process being killed at any moment.
#[derive(Debug)]
pub struct Redb {
    latest: Arc<Latest>,
    /// `None` only while dropping.
    commits: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

/// A commit on its way to the writer.
struct Job {
    tenant: String,
    checks: Vec<Check>,
    mutations: Vec<Mutation>,
    bytes: usize,
    answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// The snapshot that reads use, or why there is none.
///
/// Opening one costs several times what a point read does, so it is opened once a transaction rather than once a read.
/// The writer replaces it before it answers the commits that the new one contains, which is what makes every read see
/// every commit that returned before.
struct Latest(RwLock<Result<Arc<View>, StoreError>>);

impl Debug for Latest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Latest")
    }
}

impl Latest {
    fn get(&self) -> Result<Arc<View>, StoreError> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, snapshot: Result<Arc<View>, StoreError>) {
        // The old snapshot is dropped after the lock is released: giving its pages back takes a while.
        let _old = std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), snapshot);
    }
}

impl Redb {
    /// Opens the database in the directory `data`, creating both where they do not exist.
    pub fn open(data: &Path) -> Result<Self, StoreError> {
        create_directory(data).map_err(|error| StoreError::Unavailable(format!("{}: {error}", data.display())))?;
        let path = data.join(FILE);
        Self::start(Box::new(move || open_file(&path)))
    }

    /// Opens the database and starts its writer.
    fn start(open: Box<Open>) -> Result<Self, StoreError> {
        let (database, snapshot) = open()?;
        let latest = Arc::new(Latest(RwLock::new(Ok(snapshot))));
        let (commits, jobs) = mpsc::channel(QUEUE);
        let writer = thread::Builder::new()
            .name("scimwell-redb".to_owned())
            .spawn({
                let latest = Arc::clone(&latest);
                move || write_until_closed(database, &open, &latest, jobs)
            })
            .map_err(|error| StoreError::Unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Self { latest, commits: Some(commits), writer: Some(writer) })
    }
}

impl Drop for Redb {
    /// Waits for the writer to finish what it accepted and to close the file.
    fn drop(&mut self) {
        drop(self.commits.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the storage writer panicked");
        }
    }
}

#[async_trait]
impl Storage for Redb {
    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        check_tenant(tenant)?;
        let snapshot = self.latest.get()?;
        let mut path = Prefixed::new(tenant);
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            values.push(snapshot.get(path.with(key)).map_err(failed)?.map(|value| value.value().to_vec()));
        }
        Ok(values)
    }

    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        check_tenant(tenant)?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let mut scan = Scan {
            walk: walk(&*self.latest.get()?, tenant, range)?,
            prefix: tenant.len() + 1,
            options,
            skipped: 0,
            found: Vec::new(),
        };
        if scan.run(INLINE)? {
            return Ok(scan.found);
        }
        spawn_blocking(move || scan.run(usize::MAX).map(|_| scan.found)).await.map_err(|error| interrupted(&error))?
    }

    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
        check_tenant(tenant)?;
        if range.is_empty() {
            return Ok(0);
        }
        let mut walk = walk(&*self.latest.get()?, tenant, range)?;
        let first = count(walk.by_ref().take(INLINE))?;
        if first < INLINE as u64 {
            return Ok(first);
        }
        spawn_blocking(move || Ok(first + count(walk)?)).await.map_err(|error| interrupted(&error))?
    }

    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
        check_tenant(tenant)?;
        let bytes = check_sizes(&checks, &mutations)?;
        let (answer, outcome) = oneshot::channel();
        let job = Job { tenant: tenant.to_owned(), checks, mutations, bytes, answer };
        let gone = || StoreError::Unavailable("the storage writer has stopped".to_owned());
        self.commits.as_ref().ok_or_else(gone)?.send(job).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    fn snapshot(&self) -> Option<Result<Snapshot, StoreError>> {
        Some(self.latest.get().and_then(|view| copy::snapshot(&view)))
    }
}

/// A key in the table: the tenant's name, a NUL, the tenant's key. The buffer is kept from one key to the next.
struct Prefixed {
    bytes: Vec<u8>,
    prefix: usize,
}

impl Prefixed {
    fn new(tenant: &str) -> Self {
        let mut bytes = Vec::with_capacity(tenant.len() + 1 + 128);
        bytes.extend_from_slice(tenant.as_bytes());
        // A name holds no NUL, so no tenant's keys lie among those of another whose name starts the same.
        bytes.push(0);
        Self { prefix: bytes.len(), bytes }
    }

    fn with(&mut self, key: &[u8]) -> &[u8] {
        self.bytes.truncate(self.prefix);
        self.bytes.extend_from_slice(key);
        &self.bytes
    }
}

type Walk = Range<'static, &'static [u8], &'static [u8]>;

/// The entries of a range that is not empty.
fn walk(snapshot: &Keys, tenant: &str, range: &KeyRange) -> Result<Walk, StoreError> {
    let (mut start, mut end) = (Prefixed::new(tenant), Prefixed::new(tenant));
    snapshot.range(start.with(&range.start)..end.with(&range.end)).map_err(failed)
}

fn count(walk: impl Iterator<Item = Result<impl Sized, redb::StorageError>>) -> Result<u64, StoreError> {
    let mut keys = 0;
    for entry in walk {
        entry.map_err(failed)?;
        keys += 1;
    }
    Ok(keys)
}

/// A scan under way.
struct Scan {
    walk: Walk,
    prefix: usize,
    options: ScanOptions,
    skipped: u64,
    found: Vec<Entry>,
}

impl Scan {
    /// Walks `steps` entries at most; true once the scan is complete.
    fn run(&mut self, steps: usize) -> Result<bool, StoreError> {
        for _ in 0..steps {
            if self.found.len() == self.options.limit as usize {
                return Ok(true);
            }
            let entry = if self.options.reverse { self.walk.next_back() } else { self.walk.next() };
            let Some(entry) = entry else { return Ok(true) };
            let (key, value) = entry.map_err(failed)?;
            if self.skipped < self.options.skip {
                self.skipped += 1;
                continue;
            }
            let key = key.value()[self.prefix..].to_vec();
            let value = if self.options.keys_only { Value::new() } else { value.value().to_vec() };
            self.found.push(Entry { key, value });
        }
        Ok(false)
    }
}

/// Opens the database and a first snapshot of it.
type Open = dyn Fn() -> Result<(Database, Arc<View>), StoreError> + Send;

fn open_file(path: &Path) -> Result<(Database, Arc<View>), StoreError> {
    let at = |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("{}: {error}", path.display()));
    let is_new = !path.exists();
    let file = create_file(path).map_err(|error| at(&error))?;
    let backend = FileBackend::new(file).map_err(|error| at(&error))?;
    let opened = open_backend(backend, &path.display().to_string())?;
    if is_new && let Some(directory) = path.parent() {
        // Without this the file's name, and all that is acknowledged with it, may be lost with the power.
        sync_directory(directory).map_err(|error| at(&error))?;
    }
    Ok(opened)
}

fn open_backend(backend: impl StorageBackend, name: &str) -> Result<(Database, Arc<View>), StoreError> {
    let unavailable = |why: &dyn std::fmt::Display| StoreError::Unavailable(format!("{name}: {why}"));
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    // Not expected, see `write`; but a file that takes minutes to open should say why.
    builder.set_repair_callback(|repair| tracing::warn!(progress = repair.progress(), "repairing the database"));
    let database = builder.create_with_backend(backend).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(name.to_owned()),
        error => unavailable(&error),
    })?;
    // A snapshot can't be taken of a table that was never written.
    let mut transaction = database.begin_write().map_err(|error| unavailable(&error))?;
    transaction.set_quick_repair(true);
    transaction.open_table(KEYS).map_err(|error| unavailable(&error))?;
    transaction.open_table(SEQUENCES).map_err(|error| unavailable(&error))?;
    transaction.commit().map_err(|error| unavailable(&error))?;
    let snapshot = snapshot(&database).map_err(failed)?;
    Ok((database, snapshot))
}

fn snapshot(database: &Database) -> Result<Arc<View>, redb::Error> {
    let transaction = database.begin_read()?;
    Ok(Arc::new(View { keys: transaction.open_table(KEYS)?, transaction }))
}

/// Only the owner may look in: documents hold personal data.
fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn create_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    // Windows neither opens directories as files nor needs it.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// The writer: takes waiting commits into durable transactions until every sender is gone.
fn write_until_closed(mut database: Database, open: &Open, latest: &Latest, mut jobs: mpsc::Receiver<Job>) {
    while let Some(batch) = next_batch(&mut jobs) {
        let written = write(&database, &batch).and_then(|outcomes| Ok((outcomes, snapshot(&database)?)));
        match written {
            Ok((outcomes, snapshot)) => {
                latest.set(Ok(snapshot));
                for (job, outcome) in batch.into_iter().zip(outcomes) {
                    job.answer(outcome);
                }
            }
            Err(error) => {
                let error = failed(error);
                tracing::error!(%error, commits = batch.len(), "commits failed; opening the database anew");
                latest.set(Err(error.clone()));
                refuse(batch, &error);
                // Closes the file and gives up its lock; whatever the failed transaction did is settled by the open.
                drop(database);
                let Some(reopened) = reopen(open, latest, &mut jobs) else { return };
                database = reopened;
            }
        }
    }
}

impl Job {
    fn answer(self, outcome: Result<Outcome, StoreError>) {
        // The request that waited may be gone, cancelled; what it committed stays.
        let _ = self.answer.send(outcome);
    }
}

fn refuse(jobs: impl IntoIterator<Item = Job>, error: &StoreError) {
    jobs.into_iter().for_each(|job| job.answer(Err(error.clone())));
}

/// Opens the database until that succeeds, so that a full disk heals once there is room again; meanwhile refuses
/// commits. `None` once every sender is gone.
fn reopen(open: &Open, latest: &Latest, jobs: &mut mpsc::Receiver<Job>) -> Option<Database> {
    loop {
        match open() {
            Ok((database, snapshot)) => {
                tracing::info!("the database is open again");
                latest.set(Ok(snapshot));
                return Some(database);
            }
            Err(error) => {
                latest.set(Err(error.clone()));
                thread::sleep(REOPEN_DELAY);
                refuse(std::iter::from_fn(|| jobs.try_recv().ok()), &error);
                if jobs.is_closed() {
                    return None;
                }
            }
        }
    }
}

/// Waits for a commit and takes all that wait with it, within the limits of one transaction: a lone commit goes at
/// once, and while one batch is being synced the next one gathers. Holding a batch back until more commits come was
/// tried: the batches grow, the rate doesn't, since it is the pages written that take the time.
fn next_batch(jobs: &mut mpsc::Receiver<Job>) -> Option<Vec<Job>> {
    let first = jobs.blocking_recv()?;
    let mut bytes = first.bytes;
    let mut batch = vec![first];
    while batch.len() < BATCH && bytes < BATCH_BYTES {
        let Ok(job) = jobs.try_recv() else { break };
        bytes += job.bytes;
        batch.push(job);
    }
    Some(batch)
}

type Outcomes = Vec<Result<Outcome, StoreError>>;

/// Applies the batch in one transaction, durable when this returns.
///
/// A commit that fails of itself (it adds to what is no counter) may have applied half of its mutations by then. So the
/// transaction is thrown away and the batch applied again without that commit: only a bug upstream gets here.
fn write(database: &Database, batch: &[Job]) -> Result<Outcomes, redb::Error> {
    let mut failures = HashMap::new();
    'again: loop {
        let mut transaction = database.begin_write()?;
        // Saves the allocator's state with each commit and syncs twice. Without it a process that was killed comes back
        // only after reading its whole file: 0.2 s for 200 MB that the page cache holds, minutes for gigabytes that it
        // doesn't. With it that takes milliseconds. One thing it isn't is free: where a sync takes long, a lone commit
        // takes twice as long.
        transaction.set_quick_repair(true);
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut changes = Changes {
            keys: transaction.open_table(KEYS)?,
            sequences: transaction.open_table(SEQUENCES)?,
            pending: BTreeMap::new(),
            appended: HashMap::new(),
            changed: false,
        };
        for (at, job) in batch.iter().enumerate() {
            let outcome = match failures.get(&at) {
                Some(error) => Err(StoreError::clone(error)),
                None => changes.apply(job)?,
            };
            if let Err(error) = &outcome
                && !failures.contains_key(&at)
            {
                failures.insert(at, error.clone());
                continue 'again;
            }
            outcomes.push(outcome);
        }
        // Conflicts are answered with the batch, not before it is durable: who retries at once then sees who won.
        if changes.flush()? {
            transaction.commit()?;
        } else {
            transaction.abort()?;
        }
        return Ok(outcomes);
    }
}

/// What the commits of a batch change, one after the other.
///
/// Changes are gathered in memory and written in key order at the end: counters and other keys that many commits touch
/// are written once, and neighbours in one go.
struct Changes<'a> {
    keys: Table<'a, &'static [u8], &'static [u8]>,
    sequences: Table<'a, &'static str, u64>,
    /// New values, and `None` for keys removed; wins over `keys`.
    pending: BTreeMap<Vec<u8>, Option<Cow<'a, [u8]>>>,
    /// The sequence number last given to an append, for the tenants of this batch.
    appended: HashMap<&'a str, u64>,
    /// Whether `keys` was changed directly.
    changed: bool,
}

impl<'a> Changes<'a> {
    /// Applies one commit if its checks hold. The outer error is the store's, the inner one the commit's own.
    fn apply(&mut self, job: &'a Job) -> Result<Result<Outcome, StoreError>, redb::Error> {
        let mut path = Prefixed::new(&job.tenant);
        for check in &job.checks {
            if !self.holds(path.with(&check.key), |value| value == check.expected.as_deref())? {
                return Ok(Ok(Outcome::Conflict));
            }
        }
        for mutation in &job.mutations {
            match mutation {
                Mutation::Put(key, value) => self.set(path.with(key), Some(Cow::Borrowed(value.as_slice()))),
                Mutation::Delete(key) => self.set(path.with(key), None),
                Mutation::DeleteRange(range) if !range.is_empty() => {
                    let start = path.with(&range.start).to_vec();
                    self.delete_range(start..path.with(&range.end).to_vec())?;
                }
                Mutation::DeleteRange(_) => {}
                Mutation::Add(key, by) => match self.holds(path.with(key), |value| added(key, value, *by))? {
                    Ok(after) => self.set(path.with(key), Some(Cow::Owned(after.to_vec()))),
                    Err(error) => return Ok(Err(error)),
                },
                Mutation::Append(prefix, value) => {
                    let number = self.next_number(&job.tenant)?;
                    let key = [prefix.as_slice(), &number.to_be_bytes()].concat();
                    self.set(path.with(&key), Some(Cow::Borrowed(value.as_slice())));
                }
            }
        }
        Ok(Ok(Outcome::Committed))
    }

    /// What `question` answers about the key's value as of the commits before.
    fn holds<T>(&self, key: &[u8], question: impl FnOnce(Option<&[u8]>) -> T) -> Result<T, redb::Error> {
        Ok(match self.pending.get(key) {
            Some(value) => question(value.as_deref()),
            None => question(self.keys.get(key)?.as_ref().map(AccessGuard::value)),
        })
    }

    fn set(&mut self, key: &[u8], value: Option<Cow<'a, [u8]>>) {
        match self.pending.get_mut(key) {
            Some(before) => *before = value,
            None => {
                self.pending.insert(key.to_vec(), value);
            }
        }
    }

    fn delete_range(&mut self, range: std::ops::Range<Vec<u8>>) -> Result<(), redb::Error> {
        self.keys.retain_in(range.start.as_slice()..range.end.as_slice(), |_, _| false)?;
        self.pending.extract_if(range, |_, _| true).for_each(drop);
        self.changed = true;
        Ok(())
    }

    fn next_number(&mut self, tenant: &'a str) -> Result<u64, redb::Error> {
        let number = match self.appended.entry(tenant) {
            hash_map::Entry::Occupied(last) => last.into_mut(),
            hash_map::Entry::Vacant(none) => none.insert(self.sequences.get(tenant)?.map_or(0, |last| last.value())),
        };
        *number += 1;
        Ok(*number)
    }

    /// Writes what is pending; false where nothing was changed at all.
    fn flush(mut self) -> Result<bool, redb::Error> {
        for (tenant, last) in &self.appended {
            self.sequences.insert(tenant, last)?;
        }
        for (key, value) in &self.pending {
            match value {
                Some(value) => drop(self.keys.insert(key.as_slice(), value.as_ref())?),
                None => drop(self.keys.remove(key.as_slice())?),
            }
        }
        Ok(self.changed || !self.pending.is_empty())
    }
}

/// A walk runs on one of tokio's threads where it is long; the runtime may be shutting down.
fn interrupted(error: &tokio::task::JoinError) -> StoreError {
    StoreError::Other(format!("a walk over keys did not finish: {error}"))
}

/// redb refuses everything after an I/O error until the file is opened anew, which the writer does.
fn failed(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Unavailable(error.into().to_string())
}

#[cfg(test)]
mod tests;
