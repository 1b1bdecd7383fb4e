//! SCIM's data in the application's own database: scimwell's `Storage` over SQLite.
//!
//! One table of ordered keys, the tenant first; BLOBs compare byte by byte. A commit is one transaction that holds the only
//! write lock from its checks to its writes. The library's contract suite tells whether that is all it must be.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction, params};
use scimwell::storage::{
    Check, Entry, Key, KeyRange, Mutation, Outcome, ScanOptions, Storage, StoreError, Value, added, check_sizes,
    check_tenant,
};

use crate::database::{Database, DatabaseError};

/// Keeps everything in the application's database.
pub(crate) struct SqliteStorage {
    database: Database,
}

impl SqliteStorage {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Storage for SqliteStorage {
    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        check_tenant(tenant)?;
        let (tenant, keys) = (tenant.to_owned(), keys.to_vec());
        let values = self.database.read(move |db| keys.iter().map(|key| value(db, &tenant, key)).collect());
        values.await.map_err(|error| failed(&error))
    }

    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        check_tenant(tenant)?;
        let (tenant, range) = (tenant.to_owned(), range.clone());
        let entries = self.database.read(move |db| {
            let columns = if options.keys_only { "key, x''" } else { "key, value" };
            let order = if options.reverse { "DESC" } else { "ASC" };
            let mut statement = db.prepare_cached(&format!(
                "SELECT {columns} FROM scim_entry WHERE tenant = ?1 AND key >= ?2 AND key < ?3
                 ORDER BY key {order} LIMIT ?4 OFFSET ?5"
            ))?;
            // No table holds more than SQLite can count.
            let skip = i64::try_from(options.skip).unwrap_or(i64::MAX);
            let entries = statement.query_map(params![tenant, range.start, range.end, options.limit, skip], |row| {
                Ok(Entry { key: row.get(0)?, value: row.get(1)? })
            })?;
            entries.collect()
        });
        entries.await.map_err(|error| failed(&error))
    }

    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
        check_tenant(tenant)?;
        let (tenant, range) = (tenant.to_owned(), range.clone());
        let counted = self.database.read(move |db| {
            let mut statement =
                db.prepare_cached("SELECT count(*) FROM scim_entry WHERE tenant = ?1 AND key >= ?2 AND key < ?3")?;
            statement.query_row(params![tenant, range.start, range.end], |row| row.get(0).map(i64::cast_unsigned))
        });
        counted.await.map_err(|error| failed(&error))
    }

    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
        check_tenant(tenant)?;
        check_sizes(&checks, &mutations)?;
        let tenant = tenant.to_owned();
        let committed = self.database.write(move |db| {
            for Check { key, expected } in &checks {
                if value(db, &tenant, key)? != *expected {
                    return Ok(Outcome::Conflict);
                }
            }
            for mutation in &mutations {
                apply(db, &tenant, mutation)?;
            }
            Ok(Outcome::Committed)
        });
        match committed.await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(Refused(error))) => Err(error),
            Err(error) => Err(failed(&error)),
        }
    }
}

fn apply(db: &Transaction<'_>, tenant: &str, mutation: &Mutation) -> Result<(), Refused> {
    match mutation {
        Mutation::Put(key, value) => put(db, tenant, key, value)?,
        Mutation::Delete(key) => {
            db.prepare_cached("DELETE FROM scim_entry WHERE tenant = ?1 AND key = ?2")?
                .execute(params![tenant, key])?;
        }
        Mutation::DeleteRange(range) => {
            db.prepare_cached("DELETE FROM scim_entry WHERE tenant = ?1 AND key >= ?2 AND key < ?3")?
                .execute(params![tenant, range.start, range.end])?;
        }
        Mutation::Add(key, by) => {
            let before = value(db, tenant, key)?;
            let after = added(key, before.as_deref(), *by).map_err(Refused)?;
            put(db, tenant, key, &after)?;
        }
        Mutation::Append(prefix, value) => {
            let mut statement = db.prepare_cached(
                "INSERT INTO scim_sequence VALUES (?1, 1) ON CONFLICT (tenant) DO UPDATE SET last = last + 1 RETURNING last",
            )?;
            let sequence: i64 = statement.query_row(params![tenant], |row| row.get(0))?;
            put(db, tenant, &[prefix.as_slice(), &sequence.to_be_bytes()].concat(), value)?;
        }
    }
    Ok(())
}

fn value(db: &Transaction<'_>, tenant: &str, key: &[u8]) -> rusqlite::Result<Option<Value>> {
    db.prepare_cached("SELECT value FROM scim_entry WHERE tenant = ?1 AND key = ?2")?
        .query_row(params![tenant, key], |row| row.get(0))
        .optional()
}

fn put(db: &Transaction<'_>, tenant: &str, key: &[u8], value: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO scim_entry VALUES (?1, ?2, ?3)")?.execute(params![tenant, key, value])?;
    Ok(())
}

/// A commit that nothing is left of.
struct Refused(StoreError);

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self(failed(&error.into()))
    }
}

fn failed(error: &DatabaseError) -> StoreError {
    match error.is_temporary() {
        true => StoreError::Unavailable(error.to_string()),
        false => StoreError::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use scimwell::storage::contract;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn does_all_that_a_storage_must() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.db");
        // Twice, the second time on what the first has left.
        for _ in 0..2 {
            let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::new(Database::open(&path).unwrap()));
            let violations = contract::check(&storage).await;
            assert!(violations.is_empty(), "{violations:?}");
        }
    }
}
