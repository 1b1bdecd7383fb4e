//! The tables: made and changed at the first start of a version, by one process at a time.

use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::connect::{connection, failed, is_lost_race};
use super::sql;
use crate::storage::StoreError;

/// Times that a start tries what another one disturbs.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Brings the tables to the version that this program works with. Where they have it already this is one read, for which
/// a role needs no right to create anything.
pub(super) async fn migrate(pool: &Pool) -> Result<(), StoreError> {
    let mut client = connection(pool).await?;
    let mut attempt = 1;
    loop {
        let error = match apply(&mut client).await {
            Ok(found) if found > known() => {
                return Err(StoreError::Other(format!(
                    "its tables are of version {found}, and this program knows up to {}: run the newer program",
                    known()
                )));
            }
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if attempt == ATTEMPTS || !(is_lost_race(&error) || is_being_made(&error)) {
            return Err(match error.code() {
                Some(&SqlState::INSUFFICIENT_PRIVILEGE) => StoreError::Other(format!(
                    "{}: the first start needs a role that may create tables in its schema",
                    failed(&error)
                )),
                _ => failed(&error),
            });
        }
        attempt += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// The newest version.
fn known() -> i64 {
    sql::MIGRATIONS.len().try_into().unwrap_or(i64::MAX)
}

/// Whether another process is creating the same table: PostgreSQL then refuses even IF NOT EXISTS.
fn is_being_made(error: &Error) -> bool {
    matches!(error.code(), Some(&SqlState::UNIQUE_VIOLATION | &SqlState::DUPLICATE_TABLE | &SqlState::DUPLICATE_OBJECT))
}

/// Applies what is missing; returns the version found or reached.
async fn apply(client: &mut Object) -> Result<i64, Error> {
    match client.query_opt(sql::VERSION, &[]).await {
        Ok(Some(row)) if row.try_get::<_, i64>(0)? >= known() => return row.try_get(0),
        Ok(_) => {}
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {}
        Err(error) => return Err(error),
    }
    for statement in sql::PREPARE_MIGRATION {
        client.batch_execute(statement).await?;
    }
    let transaction = client.transaction().await?;
    // Whoever starts at the same time waits here, and then finds it done.
    let version: i64 = transaction.query_one(sql::VERSION_LOCKED, &[]).await?.try_get(0)?;
    let missing = usize::try_from(version).ok().and_then(|version| sql::MIGRATIONS.get(version..)).unwrap_or_default();
    for step in missing {
        transaction.batch_execute(step).await?;
    }
    if !missing.is_empty() {
        transaction.execute(sql::SET_VERSION, &[&known()]).await?;
        tracing::info!(from = version, to = known(), "the database's tables are up to date now");
    }
    transaction.commit().await?;
    Ok(version.max(known()))
}
