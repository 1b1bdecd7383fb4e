//! Storage in PostgreSQL, or in a database that speaks its protocol and SQL (CockroachDB, YugabyteDB): any number of hosts
//! on one database.
//!
//! All tenants share one table of ordered byte keys, the tenant first. A read is one statement, so one snapshot. Writes of
//! one tenant take turns on its row of a second table, which also counts its log: see `commit`.

mod batch;
mod commit;
mod connect;
mod migrate;
mod sql;
mod tls;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::{Object, Pool};
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

pub use self::connect::{Options, UrlError};

use self::batch::Commit;
use self::commit::Writer;
use self::connect::{connection, failed};
use super::{
    Check, Entry, Key, KeyRange, Mutation, Outcome, ScanOptions, Storage, StoreError, Value, check_sizes, check_tenant,
};

/// Entries that a scan passes over at most: no table holds more, and PostgreSQL adds to this number.
const MAX_SKIP: i64 = i64::MAX / 2;

/// Keeps everything in a PostgreSQL database.
#[derive(Clone, Debug)]
pub struct Postgres {
    pool: Pool,
    writer: Arc<Writer>,
}

impl Postgres {
    /// Connects, and makes the tables where there are none.
    pub async fn connect(options: &Options) -> Result<Self, StoreError> {
        let pool = options.pool()?;
        migrate::migrate(&pool).await?;
        Ok(Self { writer: Writer::new(pool.clone()), pool })
    }

    /// The rows of one statement. A connection that turns out to be closed, as all are after the database was restarted,
    /// is replaced by another once: a read may be repeated.
    async fn rows(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let client = connection(&self.pool).await?;
        match query(&client, statement, parameters).await {
            Ok(rows) => return Ok(rows),
            Err(_) if client.is_closed() => {}
            Err(error) => return Err(failed(&error)),
        }
        drop(Object::take(client));
        let client = connection(&self.pool).await?;
        query(&client, statement, parameters).await.map_err(|error| failed(&error))
    }
}

async fn query(
    client: &Object,
    statement: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<tokio_postgres::Row>, Error> {
    let statement = client.prepare_cached(statement).await?;
    client.query(&statement, parameters).await
}

#[async_trait]
impl Storage for Postgres {
    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        check_tenant(tenant)?;
        let tenant = tenant.as_bytes();
        if let [key] = keys {
            let rows = self.rows(sql::GET_ONE, &[&tenant, key]).await?;
            let value = rows.first().map(|row| row.try_get(0)).transpose();
            return Ok(vec![value.map_err(|error| failed(&error))?]);
        }
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.rows(sql::GET, &[&tenant, &keys]).await?;
        let found = rows.iter().map(|row| Ok((row.try_get::<_, &[u8]>(0)?, row.try_get::<_, &[u8]>(1)?)));
        let found = found.collect::<Result<HashMap<_, _>, Error>>().map_err(|error| failed(&error))?;
        Ok(keys.iter().map(|key| found.get(key.as_slice()).map(|value| value.to_vec())).collect())
    }

    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        check_tenant(tenant)?;
        if range.start >= range.end || options.limit == 0 {
            return Ok(Vec::new());
        }
        let limit = i64::from(options.limit);
        let skip = i64::try_from(options.skip).unwrap_or(MAX_SKIP).min(MAX_SKIP);
        let statement = sql::scan(options.reverse, options.keys_only);
        let rows = self.rows(statement, &[&tenant.as_bytes(), &range.start, &range.end, &limit, &skip]).await?;
        let entry = |row: &tokio_postgres::Row| {
            Ok(Entry { key: row.try_get(0)?, value: if options.keys_only { Value::new() } else { row.try_get(1)? } })
        };
        rows.iter().map(entry).collect::<Result<_, Error>>().map_err(|error| failed(&error))
    }

    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
        check_tenant(tenant)?;
        if range.start >= range.end {
            return Ok(0);
        }
        let rows = self.rows(sql::COUNT, &[&tenant.as_bytes(), &range.start, &range.end]).await?;
        let counted: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(|error| failed(&error))?;
        Ok(counted.unsigned_abs())
    }

    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
        check_tenant(tenant)?;
        let bytes = check_sizes(&checks, &mutations)?;
        self.writer.commit(tenant, Commit { checks, mutations }, bytes).await
    }
}
