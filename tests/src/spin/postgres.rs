//! Spin's PostgreSQL: connections of a pool, given back as they are.
//!
//! Of Spin 4.0.2: a transaction that an instance left open is the next one's; a query without rows never returns, which
//! here fails at once, so that a test need not wait for it; what fails after a query has begun is text.

#![allow(clippy::result_large_err, reason = "Spin's errors hold all that PostgreSQL tells")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls};
use wasmtime::component::Resource;

use super::application::State;
use super::bindings::spin::spin::postgres::postgres::{
    Column, DbDataType, DbError, DbValue, Error, Host, HostConnection, ParameterValue, QueryError, RowSet,
};

/// Idle connections by their URL.
pub(crate) type Pool = Arc<Mutex<BTreeMap<String, Vec<Client>>>>;

/// What a guest's handle stands for.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Connection {
    url: String,
    pool: Pool,
    client: Option<Client>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A closed one would only fail the next instance.
        if let Some(client) = self.client.take().filter(|client| !client.is_closed()) {
            let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            pool.entry(std::mem::take(&mut self.url)).or_default().push(client);
        }
    }
}

impl Host for State {}

impl HostConnection for State {
    async fn open(&mut self, address: String) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let Ok(config) = address.parse::<tokio_postgres::Config>() else {
            return Ok(Err(Error::ConnectionFailed("parsing Postgres connection string".to_owned())));
        };
        let host = config.get_hosts().iter().find_map(|host| match host {
            tokio_postgres::config::Host::Tcp(host) => Some(host.clone()),
            #[cfg(unix)]
            tokio_postgres::config::Host::Unix(_) => None,
        });
        let (host, port) = (host.unwrap_or_default(), config.get_ports().first().copied().unwrap_or(5432));
        if !self.manifest.outbound.contains(&format!("postgres://{host}:{port}")) {
            return Ok(Err(Error::ConnectionFailed(format!("address postgres://{host}:{port} is not permitted"))));
        }
        let idle = self.pool.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&address).and_then(Vec::pop);
        let client = match idle {
            Some(client) => client,
            None => match config.connect(NoTls).await {
                Ok((client, connection)) => {
                    // It ends with its client.
                    tokio::spawn(connection);
                    client
                }
                Err(error) => {
                    // As anyhow writes it with `{:?}`.
                    let why = format!("Error occurred while creating a new object: {error}");
                    let caused = format!("\n\nCaused by:\n    0: {error}");
                    return Ok(Err(Error::ConnectionFailed(why + &caused)));
                }
            },
        };
        let connection = Connection { url: address, pool: Arc::clone(&self.pool), client: Some(client) };
        Ok(Ok(self.table.push(connection)?))
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<RowSet, Error>> {
        let parameters = match parameters.into_iter().map(parameter).collect::<Result<Vec<_>, _>>() {
            Ok(parameters) => parameters,
            Err(error) => return Ok(Err(error)),
        };
        let borrowed: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| &**value as _).collect();
        let client = self.client(&connection)?;
        let prepared = match client.prepare(&statement).await {
            Ok(prepared) => prepared,
            Err(error) => return Ok(Err(failed(&error))),
        };
        let rows = match client.query(&prepared, &borrowed).await {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(Error::QueryFailed(QueryError::Text(format!("{:?}", failed(&error)))))),
        };
        let Some(first) = rows.first() else {
            wasmtime::bail!("`{statement}` gave no row: Spin 4.0.2 would never return from it");
        };
        let column = |column: &tokio_postgres::Column| Column {
            name: column.name().to_owned(),
            data_type: DbDataType::Other(column.type_().name().to_owned()),
        };
        let columns = first.columns().iter().map(column).collect();
        let rows: Result<Vec<Vec<DbValue>>, Error> =
            rows.iter().map(|row| (0..row.len()).map(|at| value(row, at)).collect()).collect();
        Ok(rows.map(|rows| RowSet { columns, rows }))
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let parameters = match parameters.into_iter().map(parameter).collect::<Result<Vec<_>, _>>() {
            Ok(parameters) => parameters,
            Err(error) => return Ok(Err(error)),
        };
        let borrowed: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|value| &**value as _).collect();
        let done = self.client(&connection)?.execute(&statement, &borrowed).await;
        Ok(done.map_err(|error| failed(&error)))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl State {
    fn client(&self, connection: &Resource<Connection>) -> wasmtime::Result<&Client> {
        match &self.table.get(connection)?.client {
            Some(client) => Ok(client),
            None => wasmtime::bail!("the connection is closed"),
        }
    }
}

/// The kinds that the adapter sends.
fn parameter(value: ParameterValue) -> Result<Box<dyn ToSql + Sync + Send>, Error> {
    match value {
        ParameterValue::Str(text) => Ok(Box::new(text)),
        ParameterValue::Binary(bytes) => Ok(Box::new(bytes)),
        ParameterValue::Int64(number) => Ok(Box::new(number)),
        other => Err(Error::BadParameter(format!("the stand-in takes no {other:?}"))),
    }
}

/// The kinds that it reads.
fn value(row: &tokio_postgres::Row, at: usize) -> Result<DbValue, Error> {
    let found = match *row.columns()[at].type_() {
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at).map(|value| value.map(DbValue::Binary)),
        Type::TEXT => row.try_get::<_, Option<String>>(at).map(|value| value.map(DbValue::Str)),
        Type::INT8 => row.try_get::<_, Option<i64>>(at).map(|value| value.map(DbValue::Int64)),
        ref other => return Err(Error::ValueConversionFailed(format!("the stand-in reads no {other}"))),
    };
    match found {
        Ok(value) => Ok(value.unwrap_or(DbValue::DbNull)),
        Err(error) => Err(Error::ValueConversionFailed(format!("{error:?}"))),
    }
}

fn failed(error: &tokio_postgres::Error) -> Error {
    let as_text = format!("{error:?}");
    Error::QueryFailed(match error.as_db_error() {
        None => QueryError::Text(as_text),
        Some(db) => QueryError::DbError(DbError {
            as_text,
            severity: db.severity().to_owned(),
            code: db.code().code().to_owned(),
            message: db.message().to_owned(),
            detail: db.detail().map(str::to_owned),
            extras: Vec::new(),
        }),
    })
}
