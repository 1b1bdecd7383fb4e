//! The thread that writes, and what it does with the commits that wait.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, hash_map};
use std::thread;
use std::time::Duration;

use redb::{AccessGuard, Durability, ReadableTable, StorageError, Table};
use tokio::sync::{mpsc, oneshot};

use super::journal::{Change, Record};
use super::open::{Open, Store};
use super::{Check, Latest, Mutation, Outcome, Prefixed, StoreError, added, failed};
use super::{KEYS, SEQUENCES};

/// Commits that may wait for the writer before further callers wait to hand theirs over.
pub(super) const QUEUE: usize = 1024;
/// Commits in one transaction at most.
const BATCH: usize = 1024;
/// Bytes after which a transaction takes no further commit.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// How long the writer waits between attempts to open a database that failed.
pub(super) const REOPEN_DELAY: Duration = Duration::from_millis(500);

/// A commit on its way to the writer.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) tenant: String,
    pub(super) checks: Vec<Check>,
    pub(super) mutations: Vec<Mutation>,
    pub(super) bytes: usize,
    pub(super) answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// The writer: takes waiting commits into transactions until every sender is gone.
pub(super) fn write_until_closed(mut store: Store, open: &Open, latest: &Latest, mut jobs: mpsc::Receiver<Job>) {
    while let Some(batch) = next_batch(&mut jobs) {
        let written = write(&mut store, &batch).and_then(|outcomes| Ok((outcomes, store.view()?)));
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
                drop(store);
                let Some(reopened) = reopen(open, latest, &mut jobs) else { return };
                store = reopened;
            }
        }
    }
    if let Err(error) = store.close() {
        // Nothing is lost: the next start takes from the journal what the database lacks.
        tracing::warn!(error = %failed(error), "the database was closed without its journal's changes");
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
fn reopen(open: &Open, latest: &Latest, jobs: &mut mpsc::Receiver<Job>) -> Option<Store> {
    loop {
        match open() {
            Ok((store, view)) => {
                tracing::info!("the database is open again");
                latest.set(Ok(view));
                return Some(store);
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

/// Applies the batch in one transaction, durable when this returns: in the journal while that has room, else in the
/// database.
///
/// A commit that fails of itself (it adds to what is no counter) may have applied half of its mutations by then. So the
/// transaction is thrown away and the batch applied again without that commit: only a bug upstream gets here.
pub(super) fn write(store: &mut Store, batch: &[Job]) -> Result<Outcomes, redb::Error> {
    let mut failures = HashMap::new();
    'again: loop {
        let mut transaction = store.database.begin_write()?;
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut changes = Changes {
            keys: transaction.open_table(KEYS)?,
            sequences: transaction.open_table(SEQUENCES)?,
            pending: BTreeMap::new(),
            appended: HashMap::new(),
            record: Record::default(),
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
        let record = changes.flush()?;
        if record.is_empty() {
            transaction.abort()?;
        } else if store.journal.fits(&record) {
            transaction.set_durability(Durability::None)?;
            store.journal.append(&record).map_err(StorageError::from)?;
            transaction.commit()?;
        } else {
            store.commit_durably(transaction)?;
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
    /// All of it, for the journal; what `pending` and `appended` hold comes last.
    record: Record,
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
        let change = Change::DeleteRange { start: &range.start, end: &range.end };
        change.apply(&mut self.keys, &mut self.sequences)?;
        self.record.push(change);
        self.pending.extract_if(range, |_, _| true).for_each(drop);
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

    /// Writes what is pending; all that the batch changes.
    fn flush(mut self) -> Result<Record, redb::Error> {
        let sequences = self.appended.iter().map(|(&tenant, &last)| Change::Sequence { tenant, last });
        let keys = self.pending.iter().map(|(key, value)| match value {
            Some(value) => Change::Put { key, value },
            None => Change::Delete { key },
        });
        for change in sequences.chain(keys) {
            change.apply(&mut self.keys, &mut self.sequences)?;
            self.record.push(change);
        }
        Ok(self.record)
    }
}

impl Change<'_> {
    /// Makes the change in the tables.
    pub(super) fn apply(
        self,
        keys: &mut Table<&'static [u8], &'static [u8]>,
        sequences: &mut Table<&'static str, u64>,
    ) -> Result<(), StorageError> {
        match self {
            Self::Put { key, value } => drop(keys.insert(key, value)?),
            Self::Delete { key } => drop(keys.remove(key)?),
            Self::DeleteRange { start, end } => keys.retain_in(start..end, |_, _| false)?,
            Self::Sequence { tenant, last } => drop(sequences.insert(tenant, last)?),
        }
        Ok(())
    }
}
