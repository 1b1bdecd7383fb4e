//! Commits: one task a tenant takes whatever commits wait into one transaction, sent in one round trip.
//!
//! Every transaction takes the tenant's row first, so commits of one tenant come one after the other over all hosts, each
//! seeing what was committed before it: checks, for absence too, are plain reads, and appends are numbered in commit order.
//! The row is held while the database executes and syncs, never while a host waits for an answer.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement};

use super::batch::{Batch, Commit, Effect, Folded};
use super::connect::{connection, failed, is_lost_race};
use super::sql;
use crate::storage::{Outcome, StoreError};

/// Commits in one transaction at most.
const BATCH: usize = 256;
/// Bytes after which a transaction takes no further commit.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Times that a transaction is tried which the database says lost a race. PostgreSQL never says so here: the rows are
/// locked in one order. Databases that are serializable throughout do.
const ATTEMPTS: u32 = 12;
/// How long a transaction may take: longer than the database lets any of its statements run.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(45);

/// Commits waiting to be written.
#[derive(Debug)]
pub(super) struct Writer {
    pool: Pool,
    /// By tenant. A tenant that has an entry has a task that writes it.
    waiting: Mutex<HashMap<String, VecDeque<Job>>>,
}

#[derive(Debug)]
struct Job {
    commit: Commit,
    bytes: usize,
    answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// How commits ended, by their places.
type Verdicts = BTreeMap<usize, Result<Outcome, StoreError>>;

impl Writer {
    pub(super) fn new(pool: Pool) -> Arc<Self> {
        Arc::new(Self { pool, waiting: Mutex::default() })
    }

    /// Hands the commit over and waits for its outcome.
    pub(super) async fn commit(
        self: &Arc<Self>,
        tenant: &str,
        commit: Commit,
        bytes: usize,
    ) -> Result<Outcome, StoreError> {
        if commit.checks.is_empty() && commit.mutations.is_empty() {
            return Ok(Outcome::Committed);
        }
        let (answer, outcome) = oneshot::channel();
        self.enqueue(tenant, Job { commit, bytes, answer });
        outcome.await.map_err(|_| StoreError::Unavailable("the task that writes commits has ended".to_owned()))?
    }

    fn enqueue(self: &Arc<Self>, tenant: &str, job: Job) {
        let mut waiting = self.waiting();
        match waiting.get_mut(tenant) {
            Some(queue) => queue.push_back(job),
            None => {
                waiting.insert(tenant.to_owned(), VecDeque::from([job]));
                let working = Working { writer: Arc::clone(self), tenant: tenant.to_owned(), has_entry: true };
                tokio::spawn(working.run());
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, VecDeque<Job>>> {
        // Whatever panicked while it was locked, queues are whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that writes one tenant's commits, for as long as there are any.
struct Working {
    writer: Arc<Writer>,
    tenant: String,
    /// Whether the tenant's entry is this task's.
    has_entry: bool,
}

impl Drop for Working {
    /// Should the task panic, nobody would ever answer what waits: the senders are dropped, which their callers notice.
    fn drop(&mut self) {
        if self.has_entry {
            self.writer.waiting().remove(&self.tenant);
        }
    }
}

impl Working {
    async fn run(mut self) {
        while let Some(jobs) = self.next() {
            self.write(jobs).await;
        }
    }

    /// Everything that waits, within the limits of one transaction: a lone commit goes at once, and while one batch is
    /// under way the next one gathers.
    fn next(&mut self) -> Option<Vec<Job>> {
        let mut waiting = self.writer.waiting();
        let queue = waiting.get_mut(&self.tenant)?;
        let mut bytes = 0;
        let mut jobs = Vec::new();
        while jobs.len() < BATCH
            && bytes < BATCH_BYTES
            && let Some(job) = queue.pop_front()
        {
            bytes += job.bytes;
            jobs.push(job);
        }
        if jobs.is_empty() {
            waiting.remove(&self.tenant);
            // The next commit of the tenant starts another task.
            self.has_entry = false;
            return None;
        }
        Some(jobs)
    }

    /// Writes the jobs, in as many transactions as they need: mostly one.
    async fn write(&self, mut jobs: Vec<Job>) {
        let mut attempt = 0;
        while !jobs.is_empty() {
            let verdicts = match self.attempt(&jobs).await {
                Ok(verdicts) => {
                    attempt = 0;
                    verdicts
                }
                Err(Failure::LostRace(_)) if attempt < ATTEMPTS => {
                    tokio::time::sleep(pause(attempt)).await;
                    attempt += 1;
                    continue;
                }
                Err(Failure::LostRace(error) | Failure::Final(error)) => {
                    for job in jobs {
                        job.answer(Err(error.clone()));
                    }
                    return;
                }
            };
            jobs = answered(jobs, verdicts);
        }
    }

    async fn attempt(&self, jobs: &[Job]) -> Result<Verdicts, Failure> {
        let client = connection(&self.writer.pool).await.map_err(Failure::Final)?;
        let error = match timeout(ANSWER_TIMEOUT, transaction(&client, self.tenant.as_bytes(), jobs)).await {
            Ok(Ok(verdicts)) => return Ok(verdicts),
            // The transaction was ended by its own COMMIT or by a ROLLBACK.
            Ok(Err(error)) if is_lost_race(&error) => return Err(Failure::LostRace(failed(&error))),
            Ok(Err(error)) => failed(&error),
            Err(_elapsed) => StoreError::Unavailable("the database did not answer a commit in time".to_owned()),
        };
        // Nobody knows what the connection still carries.
        drop(Object::take(client));
        Err(Failure::Final(error))
    }
}

enum Failure {
    LostRace(StoreError),
    Final(StoreError),
}

impl Job {
    fn answer(self, outcome: Result<Outcome, StoreError>) {
        // The request that waited may be gone, cancelled; what it committed stays.
        let _ = self.answer.send(outcome);
    }
}

/// Answers the jobs that are decided; returns the others, in their order.
fn answered(jobs: Vec<Job>, mut verdicts: Verdicts) -> Vec<Job> {
    let mut others = Vec::new();
    for (at, job) in jobs.into_iter().enumerate() {
        match verdicts.remove(&at) {
            Some(outcome) => job.answer(outcome),
            None => others.push(job),
        }
    }
    others
}

/// How long to wait before the next attempt: longer each time, and not as long as the others who lost.
fn pause(attempt: u32) -> Duration {
    let longest = 2_u64 << attempt.min(7);
    // Without randomness the pauses are equal, which is no harm but a delay.
    let random = u64::from(getrandom::u32().unwrap_or(u32::MAX));
    Duration::from_micros(500 + longest * 1000 * random / u64::from(u32::MAX))
}

/// Writes the first of the jobs, as many as fold into one batch, and says how they ended. Of those that a failed check
/// leaves undecided it says nothing: they are to be tried again without the losers.
async fn transaction(client: &Object, tenant: &[u8], jobs: &[Job]) -> Result<Verdicts, Error> {
    let statements = Statements::prepare(client).await?;
    let Some(first) = jobs.first() else { return Ok(Verdicts::new()) };
    if first.commit.needs_its_numbers() {
        let last = match begin(client, &statements, tenant).await {
            Ok(last) => last,
            Err(error) => {
                // Where this fails too, the connection is at fault and ends.
                let _ = client.batch_execute(sql::ROLLBACK).await;
                return Err(error);
            }
        };
        let (commit, numbers) = first.commit.clone().numbered(last);
        let mut batch = Batch::default();
        batch.fold(&commit);
        // One that fails of itself takes none.
        let numbers = if batch.outcomes == [Ok(Outcome::Committed)] { numbers } else { 0 };
        return execute(client, &statements, tenant, &batch, Begun::Already { numbers }).await;
    }
    let mut batch = Batch::default();
    for job in jobs {
        if job.commit.needs_its_numbers() || batch.fold(&job.commit) == Folded::Later {
            break;
        }
    }
    execute(client, &statements, tenant, &batch, Begun::NotYet).await
}

/// Begins a transaction and takes the tenant's row; returns the number last given to an append.
async fn begin(client: &Object, statements: &Statements, tenant: &[u8]) -> Result<u64, Error> {
    client.batch_execute(sql::BEGIN).await?;
    let row = client.query_one(&statements.lock, &[&tenant]).await?;
    row.try_get::<_, i64>(0).map(i64::cast_unsigned)
}

/// Whether the transaction has begun.
#[derive(Clone, Copy)]
enum Begun {
    NotYet,
    /// And the batch has used so many numbers for its appends.
    Already {
        numbers: u64,
    },
}

type Step<'a> = Pin<Box<dyn Future<Output = Result<Option<Row>, Error>> + Send + 'a>>;

/// Sends the whole transaction at once and reads what comes of it.
async fn execute(
    client: &Object,
    statements: &Statements,
    tenant: &[u8],
    batch: &Batch<'_>,
    begun: Begun,
) -> Result<Verdicts, Error> {
    let written = Written::of(batch);
    let keys: Vec<&[u8]> = batch.checks.keys().map(|(key, _)| *key).collect();
    let expected: Vec<Option<&[u8]>> = batch.checks.keys().map(|(_, expected)| *expected).collect();
    let counters: Vec<&[u8]> = batch.counters.keys().copied().collect();
    let check_count = count(keys.len());
    let append_count = count(batch.appends.len());
    let numbers = match begun {
        Begun::NotYet => append_count,
        Begun::Already { numbers } => numbers.cast_signed(),
    };
    let judge: [&(dyn ToSql + Sync); 6] = [&tenant, &keys, &expected, &counters, &check_count, &numbers];
    let write: [&(dyn ToSql + Sync); 9] = [
        &tenant,
        &written.keys,
        &written.values,
        &written.counters,
        &written.low,
        &written.high,
        &written.prefixes,
        &written.records,
        &append_count,
    ];
    let delete: [&(dyn ToSql + Sync); 2] = [&tenant, &written.deleted];

    let mut steps: Vec<Step<'_>> = Vec::with_capacity(6 + batch.ranges.len());
    if let Begun::NotYet = begun {
        steps.push(plain(client, sql::BEGIN));
        steps.push(Box::pin(async { client.query_opt(&statements.lock, &[&tenant]).await }));
    }
    let verdict = steps.len();
    steps.push(Box::pin(async { client.query_opt(&statements.judge, &judge).await }));
    for range in &batch.ranges {
        steps.push(Box::pin(async move {
            client.execute(&statements.delete_range, &[&tenant, &range.start, &range.end]).await.map(|_| None)
        }));
    }
    if !written.deleted.is_empty() {
        steps.push(Box::pin(async { client.execute(&statements.delete, &delete).await.map(|_| None) }));
    }
    if !written.is_empty() {
        steps.push(Box::pin(async { client.execute(&statements.write, &write).await.map(|_| None) }));
    }
    steps.push(plain(client, sql::COMMIT));

    // The first error is the cause; those after it say only that the transaction has failed.
    let mut answers = pipelined(steps).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let failed: Option<Vec<i64>> = match answers.swap_remove(verdict) {
        Some(row) => row.try_get(0)?,
        // The row that the transaction itself has made is there.
        None => None,
    };
    Ok(match failed {
        Some(failed) => batch.losers(&failed),
        None => batch.outcomes.iter().cloned().enumerate().collect(),
    })
}

fn plain<'a>(client: &'a Object, statement: &'static str) -> Step<'a> {
    Box::pin(async { client.batch_execute(statement).await.map(|()| None) })
}

/// Polls all steps, always in their order: each sends its statement when it is polled first, so that all are on their way
/// before the first answer.
async fn pipelined(mut steps: Vec<Step<'_>>) -> Vec<Result<Option<Row>, Error>> {
    let mut answers: Vec<Option<_>> = steps.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (step, answer) in steps.iter_mut().zip(&mut answers) {
            if answer.is_none() {
                match step.as_mut().poll(context) {
                    Poll::Ready(result) => *answer = Some(result),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    answers.into_iter().flatten().collect()
}

/// What a batch writes, as the columns that the statements take.
#[derive(Default)]
struct Written<'a> {
    keys: Vec<&'a [u8]>,
    values: Vec<&'a [u8]>,
    deleted: Vec<&'a [u8]>,
    counters: Vec<&'a [u8]>,
    low: Vec<i64>,
    high: Vec<i64>,
    prefixes: Vec<&'a [u8]>,
    records: Vec<&'a [u8]>,
}

impl<'a> Written<'a> {
    fn of(batch: &'a Batch<'_>) -> Self {
        let mut written = Self::default();
        for (key, effect) in &batch.effects {
            match effect {
                Effect::Put(value) => {
                    written.keys.push(key);
                    written.values.push(value);
                }
                Effect::Delete => written.deleted.push(key),
                Effect::Add(by) => {
                    let by = by.cast_unsigned();
                    written.counters.push(key);
                    written.low.push((by & u64::from(u32::MAX)).cast_signed());
                    written.high.push((by >> 32).cast_signed());
                }
            }
        }
        (written.prefixes, written.records) = batch.appends.iter().copied().unzip();
        written
    }

    fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.counters.is_empty() && self.prefixes.is_empty()
    }
}

/// A batch's items are counted by its limits, far below what this takes.
fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

/// The statements of a transaction, prepared once a connection.
struct Statements {
    lock: Statement,
    judge: Statement,
    delete_range: Statement,
    delete: Statement,
    write: Statement,
}

impl Statements {
    async fn prepare(client: &Object) -> Result<Self, Error> {
        Ok(Self {
            lock: client.prepare_cached(sql::LOCK).await?,
            judge: client.prepare_cached(sql::JUDGE).await?,
            delete_range: client.prepare_cached(sql::DELETE_RANGE).await?,
            delete: client.prepare_cached(sql::DELETE).await?,
            write: client.prepare_cached(sql::WRITE).await?,
        })
    }
}
