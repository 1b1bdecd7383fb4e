//! Spin's SQLite: a connection a handle, opened at its first statement.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::types::{Value as Stored, ValueRef};
use wasmtime::component::Resource;

use super::application::State;
use super::bindings::spin::spin::sqlite::sqlite::{Error, Host, HostConnection, QueryResult, RowResult, Value};

/// The one database that a manifest of ours names.
const LABEL: &str = "default";
/// Bytes of a result at most (Spin's `MAX_HOST_BUFFERED_BYTES`).
const RESULT_BYTES: usize = 128 << 20;

/// What a guest's handle stands for.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Connection {
    path: PathBuf,
    opened: Option<Arc<Mutex<rusqlite::Connection>>>,
}

impl Host for State {}

impl HostConnection for State {
    async fn open(&mut self, database: String) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        match &self.manifest.sqlite {
            Some(path) if database == LABEL => {
                let connection = Connection { path: path.clone(), opened: None };
                Ok(Ok(self.table.push(connection)?))
            }
            _ => Ok(Err(Error::AccessDenied)),
        }
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<QueryResult, Error>> {
        if self.manifest.dies_at.as_ref().is_some_and(|start| statement.starts_with(start.as_str())) {
            wasmtime::bail!("the instance dies at `{statement}`, as it was told to");
        }
        let connection = self.table.get_mut(&connection)?;
        let opened = match &connection.opened {
            Some(opened) => Arc::clone(opened),
            None => match open(&connection.path) {
                Ok(opened) => Arc::clone(connection.opened.insert(opened)),
                Err(error) => return Ok(Err(failed(&error))),
            },
        };
        Ok(tokio::task::spawn_blocking(move || run(&opened, &statement, parameters)).await?)
    }

    async fn last_insert_rowid(&mut self, connection: Resource<Connection>) -> wasmtime::Result<i64> {
        Ok(self.opened(&connection)?.map_or(0, |c| lock(&c).last_insert_rowid()))
    }

    async fn changes(&mut self, connection: Resource<Connection>) -> wasmtime::Result<u64> {
        Ok(self.opened(&connection)?.map_or(0, |c| lock(&c).changes()))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl State {
    fn opened(&self, connection: &Resource<Connection>) -> wasmtime::Result<Option<Arc<Mutex<rusqlite::Connection>>>> {
        Ok(self.table.get(connection)?.opened.clone())
    }
}

fn open(path: &Path) -> rusqlite::Result<Arc<Mutex<rusqlite::Connection>>> {
    // rusqlite has SQLite wait five seconds for a lock, as it does in Spin.
    rusqlite::Connection::open(path).map(|connection| Arc::new(Mutex::new(connection)))
}

fn lock(connection: &Mutex<rusqlite::Connection>) -> std::sync::MutexGuard<'_, rusqlite::Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(
    connection: &Mutex<rusqlite::Connection>,
    statement: &str,
    parameters: Vec<Value>,
) -> Result<QueryResult, Error> {
    let connection = lock(connection);
    let mut statement = connection.prepare_cached(statement).map_err(|error| failed(&error))?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let parameters = rusqlite::params_from_iter(parameters.into_iter().map(stored));
    let mut found = statement.query(parameters).map_err(|error| failed(&error))?;
    let mut rows = Vec::new();
    let mut bytes = 0;
    while let Some(row) = found.next().map_err(|error| failed(&error))? {
        let values: Result<Vec<Value>, rusqlite::Error> =
            (0..columns.len()).map(|at| row.get_ref(at).map(value)).collect();
        let values = values.map_err(|error| failed(&error))?;
        bytes += values.iter().map(size).sum::<usize>();
        if bytes > RESULT_BYTES {
            return Err(Error::Io(format!("query result exceeds limit of {RESULT_BYTES} bytes")));
        }
        rows.push(RowResult { values });
    }
    Ok(QueryResult { columns, rows })
}

fn failed(error: &rusqlite::Error) -> Error {
    Error::Io(error.to_string())
}

fn stored(value: Value) -> Stored {
    match value {
        Value::Integer(number) => Stored::Integer(number),
        Value::Real(number) => Stored::Real(number),
        Value::Text(text) => Stored::Text(text),
        Value::Blob(bytes) => Stored::Blob(bytes),
        Value::Null => Stored::Null,
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        ValueRef::Null => Value::Null,
    }
}

fn size(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            Value::Integer(_) | Value::Real(_) | Value::Null => 0,
        }
}
