//! Storage in PostgreSQL, or in a database that speaks its protocol and SQL (CockroachDB, YugabyteDB): any number of hosts
//! on one database.
//!
//! All tenants share one table of ordered byte keys, the tenant first. A read is one statement, so one snapshot, and many
//! point reads share one (`read`). Writes of one tenant take turns on its row of a second table, which also counts its log;
//! many share one transaction (`batch`), which takes one round trip (`commit`).

mod batch;
mod commit;
mod connect;
mod migrate;
mod read;
mod sql;
mod tls;

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

pub use self::connect::{Options, UrlError};

use self::batch::Commit;
use self::commit::Writer;
use self::connect::failed;
use self::read::Reader;
use super::{
    Check, Entry, Key, KeyRange, Mutation, Outcome, Reading, ScanOptions, Storage, StoreError, Value, check_sizes,
    check_tenant,
};

/// Entries that a scan passes over at most: no table holds more, and PostgreSQL adds to this number.
const MAX_SKIP: i64 = i64::MAX / 2;

/// Keeps everything in a PostgreSQL database.
#[derive(Clone, Debug)]
pub struct Postgres {
    reader: Arc<Reader>,
    writer: Arc<Writer>,
}

impl Postgres {
    /// Connects, and makes the tables where there are none.
    pub async fn connect(options: &Options) -> Result<Self, StoreError> {
        let pool = options.pool()?;
        migrate::migrate(&pool).await?;
        Ok(Self { writer: Writer::new(pool.clone()), reader: Reader::new(pool) })
    }
}

#[async_trait]
impl Storage for Postgres {
    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        check_tenant(tenant)?;
        self.reader.get(tenant, keys).await
    }

    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        check_tenant(tenant)?;
        if range.is_empty() || options.limit == 0 {
            return Ok(Vec::new());
        }
        let (limit, skip) = bounds(options);
        let statement = sql::scan(options.reverse, options.keys_only);
        let rows = self.reader.rows(statement, &[&tenant.as_bytes(), &range.start, &range.end, &limit, &skip]).await?;
        entries(&rows, options)
    }

    async fn read(
        &self,
        tenant: &str,
        keys: &[Key],
        ranges: &[KeyRange],
        options: ScanOptions,
        follow: &[Key],
    ) -> Result<Reading, StoreError> {
        check_tenant(tenant)?;
        if ranges.is_empty() {
            let values = self.reader.get(tenant, keys).await?;
            return Ok(Reading { values, ..Reading::default() });
        }
        let (limit, skip) = bounds(options);
        if let ([range], false) = (ranges, keys.is_empty()) {
            let tenant_bytes = tenant.as_bytes();
            let parameters: [&(dyn ToSql + Sync); 6] =
                [&tenant_bytes, &range.start, &range.end, &limit, &skip, &follow];
            let asked = match follow {
                [] => (sql::scan(options.reverse, options.keys_only).to_owned(), &parameters[..5]),
                _ => (sql::scan_and_follow(options.reverse, options.keys_only), &parameters[..]),
            };
            let (values, rows) = self.reader.keys_and_range(tenant, keys, (&asked.0, asked.1)).await?;
            let followed = if follow.is_empty() { Vec::new() } else { vec![led_to(&rows)?] };
            return Ok(Reading { values, entries: vec![entries(&rows, options)?], followed });
        }
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let (low, high): (Vec<&[u8]>, Vec<&[u8]>) =
            ranges.iter().map(|range| (range.start.as_slice(), range.end.as_slice())).unzip();
        let statement = sql::read(options.reverse, options.keys_only, !follow.is_empty());
        let tenant = tenant.as_bytes();
        let parameters: [&(dyn ToSql + Sync); 7] = [&tenant, &keys, &low, &high, &limit, &skip, &follow];
        let wanted = if follow.is_empty() { &parameters[..6] } else { &parameters };
        let rows = self.reader.rows(&statement, wanted).await?;
        let mut values = vec![None; keys.len()];
        let mut found: Vec<Vec<Found>> = (0..ranges.len()).map(|_| Vec::new()).collect();
        for row in rows {
            place(&row, &mut values, &mut found).map_err(|error| failed(&error))?;
        }
        let (mut entries, mut followed) = (Vec::with_capacity(ranges.len()), Vec::new());
        for mut found in found {
            found.sort_unstable_by(|(a, _), (b, _)| a.key.cmp(&b.key));
            if options.reverse {
                found.reverse();
            }
            let (found, led): (Vec<_>, Vec<_>) = found.into_iter().unzip();
            entries.push(found);
            if !follow.is_empty() {
                followed.push(led.into_iter().flatten().collect());
            }
        }
        Ok(Reading { values, entries, followed })
    }

    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
        check_tenant(tenant)?;
        if range.is_empty() {
            return Ok(0);
        }
        let rows = self.reader.rows(sql::COUNT, &[&tenant.as_bytes(), &range.start, &range.end]).await?;
        let counted: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(|error| failed(&error))?;
        Ok(counted.unsigned_abs())
    }

    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
        check_tenant(tenant)?;
        let bytes = check_sizes(&checks, &mutations)?;
        self.writer.commit(tenant, Commit { checks, mutations }, bytes).await
    }

    fn is_remote(&self) -> bool {
        true
    }
}

/// How many entries, after how many.
fn bounds(options: ScanOptions) -> (i64, i64) {
    (i64::from(options.limit), i64::try_from(options.skip).unwrap_or(MAX_SKIP).min(MAX_SKIP))
}

/// The entries that [`sql::scan`] found.
fn entries(rows: &[Row], options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
    let entry = |row: &Row| {
        Ok(Entry { key: row.try_get(0)?, value: if options.keys_only { Value::new() } else { row.try_get(1)? } })
    };
    rows.iter().map(entry).collect::<Result<_, Error>>().map_err(|error| failed(&error))
}

/// What the entries of [`sql::scan_and_follow`] lead to.
fn led_to(rows: &[Row]) -> Result<Vec<Option<Value>>, StoreError> {
    let led = rows.iter().map(|row| row.try_get::<_, Vec<Option<Value>>>("led")).collect::<Result<Vec<_>, _>>();
    led.map(|led| led.into_iter().flatten().collect()).map_err(|error| failed(&error))
}

/// An entry of a range, and what it leads to.
type Found = (Entry, Vec<Option<Value>>);

/// Puts a row of [`sql::read`] where it belongs.
fn place(row: &Row, values: &mut [Option<Value>], ranges: &mut [Vec<Found>]) -> Result<(), Error> {
    let at = |number: i64| usize::try_from(number - 1).unwrap_or(usize::MAX);
    let value: Value = row.try_get(3)?;
    match (row.try_get::<_, Option<i64>>(0)?, row.try_get::<_, Option<i64>>(1)?) {
        (Some(key), _) => {
            if let Some(slot) = values.get_mut(at(key)) {
                *slot = Some(value);
            }
        }
        (None, Some(range)) => {
            if let Some(found) = ranges.get_mut(at(range)) {
                let led: Option<Vec<Option<Value>>> = row.try_get(4)?;
                found.push((Entry { key: row.try_get(2)?, value }, led.unwrap_or_default()));
            }
        }
        (None, None) => {}
    }
    Ok(())
}
