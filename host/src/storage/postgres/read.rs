//! Point reads: those that wait share a statement.
//!
//! A statement costs the database and this process several times what one more key in it does. So a few are under way at
//! most: a read that finds one of them free goes at once, and those that come meanwhile go together in the next. Each still
//! is one statement, so one snapshot, taken after the read was asked for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deadpool_postgres::{Object, Pool};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::connect::{connection, failed};
use super::sql;
use crate::storage::{Key, StoreError, Value};

/// Statements under way at most.
const LANES: usize = 4;
/// Keys of a read that shares its statement; larger ones go by themselves.
const SMALL: usize = 16;
/// Keys in one statement at most.
const BATCH: usize = 256;

type Values = Vec<Option<Value>>;
pub(super) type Parameters<'p> = &'p [&'p (dyn ToSql + Sync)];
/// SQL and what stands for its `$1`, `$2`, …
type Statement<'s> = (&'s str, Parameters<'s>);

/// Reads, and those that wait for their turn.
#[derive(Debug)]
pub(super) struct Reader {
    pool: Pool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    waiting: VecDeque<Read>,
}

#[derive(Debug)]
struct Read {
    tenant: String,
    keys: Vec<Key>,
    answer: oneshot::Sender<Result<Values, StoreError>>,
}

/// One of the statements under way.
struct Lane {
    reader: Arc<Reader>,
    /// Whether it ever ran: a runtime that shuts down drops new tasks at once.
    has_run: bool,
}

impl Drop for Lane {
    /// Whoever held it may have been cancelled: those who wait must not wait for that.
    fn drop(&mut self) {
        let mut state = self.reader.state();
        if self.has_run
            && !state.waiting.is_empty()
            && let Ok(runtime) = Handle::try_current()
        {
            drop(state);
            let next = Self { reader: Arc::clone(&self.reader), has_run: false };
            runtime.spawn(next.share());
            return;
        }
        state.under_way -= 1;
        // Not empty where the runtime is gone, and with it all who could read: their callers notice.
        state.waiting.clear();
    }
}

impl Lane {
    /// Reads what waits, until nothing does.
    async fn share(mut self) {
        self.has_run = true;
        loop {
            let reads = self.reader.next();
            if reads.is_empty() {
                return;
            }
            let tenants: Vec<&str> =
                reads.iter().flat_map(|read| read.keys.iter().map(|_| read.tenant.as_str())).collect();
            let keys = reads.iter().flat_map(|read| read.keys.iter().map(Vec::as_slice)).collect();
            match self.reader.values(&tenants, keys).await {
                Ok(values) => {
                    let mut values = values.into_iter();
                    for read in reads {
                        let own = values.by_ref().take(read.keys.len()).collect();
                        // Whoever asked may be gone.
                        let _ = read.answer.send(Ok(own));
                    }
                }
                Err(error) => reads.into_iter().for_each(|read| drop(read.answer.send(Err(error.clone())))),
            }
        }
    }
}

impl Reader {
    pub(super) fn new(pool: Pool) -> Arc<Self> {
        Arc::new(Self { pool, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whatever panicked while it was locked, the queue is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The values of the keys, in their order, from one snapshot.
    pub(super) async fn get(self: &Arc<Self>, tenant: &str, keys: &[Key]) -> Result<Values, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        if keys.len() > SMALL {
            return self.values(&vec![tenant; keys.len()], keys.iter().map(Vec::as_slice).collect()).await;
        }
        match self.turn(tenant, keys) {
            Ok(lane) => {
                let values = match keys {
                    [key] => self.one(tenant, key).await,
                    _ => self.values(&vec![tenant; keys.len()], keys.iter().map(Vec::as_slice).collect()).await,
                };
                drop(lane);
                values
            }
            Err(answer) => {
                answer.await.map_err(|_| StoreError::Unavailable("the task that reads has ended".to_owned()))?
            }
        }
    }

    /// A statement of its own, or the answer of one that is shared.
    fn turn(
        self: &Arc<Self>,
        tenant: &str,
        keys: &[Key],
    ) -> Result<Lane, oneshot::Receiver<Result<Values, StoreError>>> {
        let mut state = self.state();
        if state.under_way < LANES {
            state.under_way += 1;
            return Ok(Lane { reader: Arc::clone(self), has_run: true });
        }
        let (answer, values) = oneshot::channel();
        state.waiting.push_back(Read { tenant: tenant.to_owned(), keys: keys.to_vec(), answer });
        Err(values)
    }

    /// What goes into the next statement.
    fn next(&self) -> Vec<Read> {
        let mut state = self.state();
        let mut keys = 0;
        let mut reads = Vec::new();
        while keys < BATCH
            && let Some(read) = state.waiting.pop_front()
        {
            keys += read.keys.len();
            reads.push(read);
        }
        reads
    }

    async fn one(&self, tenant: &str, key: &Key) -> Result<Values, StoreError> {
        let rows = self.rows(sql::GET_ONE, &[&tenant.as_bytes(), key]).await?;
        let value = rows.first().map(|row| row.try_get(0)).transpose();
        Ok(vec![value.map_err(|error| failed(&error))?])
    }

    /// The values of the keys, each of the tenant at the same place.
    ///
    /// A statement a tenant, sent together, where there are two at most: a server looks up tokens in its own key space and
    /// everything else in its tenant's. A join with the pairs costs the database several times that.
    async fn values(&self, tenants: &[&str], keys: Vec<&[u8]>) -> Result<Values, StoreError> {
        let Some(first) = tenants.first() else { return Ok(Vec::new()) };
        let second = tenants.iter().find(|tenant| *tenant != first);
        if tenants.iter().any(|tenant| tenant != first && Some(tenant) != second) {
            return self.values_of_many(tenants, keys).await;
        }
        let of = |tenant: &str| -> Vec<&[u8]> {
            keys.iter().zip(tenants).filter(|(_, of)| **of == tenant).map(|(key, _)| *key).collect()
        };
        let (first_keys, second_keys) = (of(first), second.map(|tenant| of(tenant)));
        let first_parameters: Parameters<'_> = &[&first.as_bytes(), &first_keys];
        let found = match (second, &second_keys) {
            (Some(second), Some(second_keys)) => {
                let (first, second) = self
                    .both((sql::GET_SOME, first_parameters), (sql::GET_SOME, &[&second.as_bytes(), second_keys]))
                    .await?;
                (by_key(&first)?, by_key(&second)?)
            }
            _ => (by_key(&self.rows(sql::GET_SOME, first_parameters).await?)?, BTreeMap::new()),
        };
        let value = |(key, tenant): (&&[u8], &&str)| {
            let found = if tenant == first { &found.0 } else { &found.1 };
            found.get(*key).cloned()
        };
        Ok(keys.iter().zip(tenants).map(value).collect())
    }

    async fn values_of_many(&self, tenants: &[&str], keys: Vec<&[u8]>) -> Result<Values, StoreError> {
        let tenants: Vec<&[u8]> = tenants.iter().map(|tenant| tenant.as_bytes()).collect();
        let rows = self.rows(sql::GET, &[&tenants, &keys]).await?;
        let mut values = vec![None; keys.len()];
        for row in rows {
            let (place, value) = (row.try_get::<_, i64>(0), row.try_get(1));
            let place = place.map_err(|error| failed(&error))?;
            if let Some(slot) = usize::try_from(place - 1).ok().and_then(|place| values.get_mut(place)) {
                *slot = Some(value.map_err(|error| failed(&error))?);
            }
        }
        Ok(values)
    }

    /// Keys of a tenant and the entries of one range, by two statements that are sent together.
    pub(super) async fn keys_and_range(
        &self,
        tenant: &str,
        keys: &[Key],
        (scan, range): Statement<'_>,
    ) -> Result<(Values, Vec<Row>), StoreError> {
        let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let (values, entries) = self.both((sql::GET_SOME, &[&tenant.as_bytes(), &asked]), (scan, range)).await?;
        let values = by_key(&values)?;
        Ok((keys.iter().map(|key| values.get(key).cloned()).collect(), entries))
    }

    /// The rows of two statements on one connection, the second sent without waiting for the first.
    async fn both(&self, first: Statement<'_>, second: Statement<'_>) -> Result<(Vec<Row>, Vec<Row>), StoreError> {
        self.one_or_both(first, Some(second)).await
    }

    /// The rows of one statement.
    pub(super) async fn rows(&self, statement: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, StoreError> {
        self.one_or_both((statement, parameters), None).await.map(|(rows, _)| rows)
    }

    /// A connection that turns out to be closed, as all are after the database was restarted, is replaced by another once: a
    /// read may be repeated.
    async fn one_or_both(
        &self,
        first: Statement<'_>,
        second: Option<Statement<'_>>,
    ) -> Result<(Vec<Row>, Vec<Row>), StoreError> {
        let client = connection(&self.pool).await?;
        match query_together(&client, first, second).await {
            Ok(rows) => return Ok(rows),
            Err(_) if client.is_closed() => {}
            Err(error) => return Err(failed(&error)),
        }
        drop(Object::take(client));
        let client = connection(&self.pool).await?;
        query_together(&client, first, second).await.map_err(|error| failed(&error))
    }
}

/// The values of rows of key and value.
fn by_key(rows: &[Row]) -> Result<BTreeMap<Key, Value>, StoreError> {
    let entry = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
    rows.iter().map(entry).collect::<Result<_, Error>>().map_err(|error| failed(&error))
}

async fn query_together(
    client: &Object,
    first: Statement<'_>,
    second: Option<Statement<'_>>,
) -> Result<(Vec<Row>, Vec<Row>), Error> {
    match second {
        Some(second) => tokio::try_join!(query(client, first.0, first.1), query(client, second.0, second.1)),
        None => Ok((query(client, first.0, first.1).await?, Vec::new())),
    }
}

async fn query(client: &Object, statement: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, Error> {
    let statement = client.prepare_cached(statement).await?;
    client.query(&statement, parameters).await
}
