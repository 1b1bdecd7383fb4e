//! Storage in one file on this machine, over [redb](https://docs.rs/redb): what `scimwell serve` uses unless told
//! otherwise.
//!
//! All tenants share one table; a key in it is the tenant's name, a NUL and the tenant's own key. Reads run on the
//! caller's thread against the snapshot that the latest commit left. Writes go to one thread, which takes whatever
//! commits are waiting into one transaction: however many requests are in flight, they share one sync, of the journal.

use std::fmt::Debug;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use redb::{Range, ReadOnlyTable, ReadTransaction, TableDefinition};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::backup::Snapshot;
use super::{
    Check, Entry, Key, KeyRange, Leads, Mutation, Outcome, Reading, ScanOptions, Storage, StoreError, Value, added,
    check_sizes, check_tenant,
};

mod copy;
mod journal;
mod open;
mod write;

pub use self::copy::RestoreError;
use self::open::{Open, create_directory, open_file};
use self::write::{Job, QUEUE, write_until_closed};

/// The database's file inside the data directory.
const FILE: &str = "scimwell.redb";
/// Every tenant's keys.
const KEYS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("keys");
/// The sequence number last given to an append, by tenant.
const SEQUENCES: TableDefinition<&str, u64> = TableDefinition::new("sequences");

/// Memory for pages read and pages being written. The process grows by two to three times as much, and the server is to
/// stay under 150 MB. What is missed here the operating system's page cache has, at 1 to 2 µs a page.
const CACHE: usize = 16 * 1024 * 1024;
/// Keys that a read walks on the caller's thread; beyond it, the walk moves to a thread that may block.
const INLINE: usize = 1024;

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

impl View {
    /// The values of a tenant's keys, in that order.
    fn values(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        let mut path = Prefixed::new(tenant);
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            values.push(self.get(path.with(key)).map_err(failed)?.map(|value| value.value().to_vec()));
        }
        Ok(values)
    }

    /// The entries of a range of a tenant's keys.
    async fn entries(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let mut scan =
            Scan { walk: walk(self, tenant, range)?, prefix: tenant.len() + 1, options, skipped: 0, found: Vec::new() };
        if scan.run(INLINE)? {
            return Ok(scan.found);
        }
        spawn_blocking(move || scan.run(usize::MAX).map(|_| scan.found)).await.map_err(|error| interrupted(&error))?
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
        let (store, view) = open()?;
        let latest = Arc::new(Latest(RwLock::new(Ok(view))));
        let (commits, jobs) = mpsc::channel(QUEUE);
        let writer = thread::Builder::new()
            .name("scimwell-redb".to_owned())
            .spawn({
                let latest = Arc::clone(&latest);
                move || write_until_closed(store, &open, &latest, jobs)
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
        self.latest.get()?.values(tenant, keys)
    }

    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        check_tenant(tenant)?;
        self.latest.get()?.entries(tenant, range, options).await
    }

    /// Of one moment, all of it.
    async fn read(
        &self,
        tenant: &str,
        keys: &[Key],
        ranges: &[KeyRange],
        options: ScanOptions,
        follow: &[Key],
    ) -> Result<Reading, StoreError> {
        check_tenant(tenant)?;
        let view = self.latest.get()?;
        let values = view.values(tenant, keys)?;
        let mut entries = Vec::with_capacity(ranges.len());
        for range in ranges {
            entries.push(view.entries(tenant, range, options).await?);
        }
        let leads = Leads::of(ranges, &entries, follow);
        let followed = leads.followed(view.values(tenant, leads.keys())?);
        Ok(Reading { values, entries, followed })
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

/// A walk runs on one of tokio's threads where it is long; the runtime may be shutting down.
fn interrupted(error: &tokio::task::JoinError) -> StoreError {
    StoreError::Other(format!("a walk over keys did not finish: {error}"))
}

/// redb refuses everything after an I/O error until the file is opened anew, which the writer does.
fn failed(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Unavailable(error.into().to_string())
}

#[cfg(test)]
mod power;
#[cfg(test)]
mod tests;
