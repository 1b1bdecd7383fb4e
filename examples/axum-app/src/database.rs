//! The application's database: one SQLite file, with its own tables and those of SCIM beside them.
//!
//! One connection writes, so that writers queue instead of failing for each other's locks; any number read, each the state
//! of the last commit (write-ahead log). Every commit is on the disk when it returns.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

/// The tables, made at the first start.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS customer (
        name TEXT NOT NULL PRIMARY KEY,
        seats INTEGER NOT NULL,
        -- The last record of the change log that the user table has: see directory.rs.
        told INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE IF NOT EXISTS user (
        customer TEXT NOT NULL REFERENCES customer (name) ON DELETE CASCADE,
        id TEXT NOT NULL,
        user_name TEXT NOT NULL COLLATE NOCASE,
        display_name TEXT,
        email TEXT,
        active INTEGER NOT NULL,
        PRIMARY KEY (customer, id)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS user_by_name ON user (customer, user_name);
    CREATE TABLE IF NOT EXISTS session (
        token_hash BLOB NOT NULL PRIMARY KEY,
        customer TEXT NOT NULL,
        user TEXT NOT NULL,
        FOREIGN KEY (customer, user) REFERENCES user (customer, id) ON DELETE CASCADE
    ) STRICT;
    CREATE INDEX IF NOT EXISTS session_by_user ON session (customer, user);
    -- SCIM's data: see storage.rs.
    CREATE TABLE IF NOT EXISTS scim_entry (
        tenant TEXT NOT NULL,
        key BLOB NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (tenant, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS scim_sequence (
        tenant TEXT NOT NULL PRIMARY KEY,
        last INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// The database; clones share it.
#[derive(Clone)]
pub(crate) struct Database(Arc<Connections>);

struct Connections {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// Those that nobody reads with just now.
    readers: Mutex<Vec<Connection>>,
}

/// Why a statement failed.
#[derive(Debug)]
pub(crate) enum DatabaseError {
    /// SQLite refused it.
    Sqlite(rusqlite::Error),
    /// It broke off.
    BrokenOff(tokio::task::JoinError),
}

impl Database {
    /// Opens the file, and makes it where there is none.
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let writer = connect(path)?;
        writer.execute_batch(SCHEMA)?;
        Ok(Self(Arc::new(Connections { path: path.to_owned(), writer: Mutex::new(writer), readers: Mutex::default() })))
    }

    /// Runs `read` on one state of the database.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let Self(connections) = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let idle = connections.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = match idle {
                Some(connection) => connection,
                None => connect(&connections.path)?,
            };
            let answer = read(&connection.transaction()?);
            connections.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            answer
        });
        Ok(reading.await.map_err(DatabaseError::BrokenOff)??)
    }

    /// Runs `write` as a transaction: durable when this returns, undone where it fails.
    pub(crate) async fn write<T: Send + 'static, E: From<rusqlite::Error> + Send + 'static>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, DatabaseError> {
        let Self(connections) = self.clone();
        let writing = tokio::task::spawn_blocking(move || {
            // A panic while the lock was held has rolled its transaction back.
            let mut connection = connections.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = write(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        });
        writing.await.map_err(DatabaseError::BrokenOff)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // NORMAL, SQLite's advice for this journal, loses the last commits with the machine's power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

impl DatabaseError {
    /// Whether it may work later.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Sqlite(error) => {
                matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
            }
            Self::BrokenOff(_) => false,
        }
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => write!(f, "database: {error}"),
            Self::BrokenOff(error) => write!(f, "the database's work broke off: {error}"),
        }
    }
}

impl std::error::Error for DatabaseError {}
