//! The URL, the pool of connections, and what a connection begins with.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;

use super::sql;
use super::tls::{Tls, Trust};
use crate::storage::StoreError;

/// Connections of this process at most, unless the URL says otherwise.
const POOL_SIZE: usize = 16;
/// How long connecting may take, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection of the pool.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long sent data may stay unconfirmed, and a silent connection unprobed, unless the URL says otherwise.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(15);

/// Where the database is and how to reach it, from a URL: `postgres://user:password@host:5432/database?sslmode=require`.
///
/// Beside what libpq's URLs have, `pool_size` sets how many connections are held at most. Neither [`Debug`] nor
/// [`Display`](fmt::Display) show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    config: tokio_postgres::Config,
    trust: Option<Trust>,
    pool_size: usize,
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        for (at, host) in self.config.get_hosts().iter().enumerate() {
            let separator = if at == 0 { "" } else { "," };
            match host {
                Host::Tcp(name) => write!(f, "{separator}{name}")?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{separator}{}", path.display())?,
            }
            let ports = self.config.get_ports();
            if let Some(port) = ports.get(at).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wrong with a URL. It names the part, never what else the URL holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlError(String);

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; expected postgres://user:password@host:5432/database?sslmode=require", self.0)
    }
}

impl std::error::Error for UrlError {}

impl FromStr for Options {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let mut trust = None;
        let mut root = None;
        let mut pool_size = POOL_SIZE;
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "sslmode" => trust = ssl_mode(value)?,
                "sslrootcert" => root = Some(decoded(name, value)?),
                "pool_size" => {
                    let size = value.parse().ok().filter(|size| (2..=1000).contains(size));
                    pool_size = size.ok_or_else(|| UrlError("pool_size is no number from 2 to 1000".to_owned()))?;
                }
                _ => rest.push(pair),
            }
        }
        let trust = match (trust, root) {
            (None, Some(_)) => return Err(UrlError("sslrootcert without sslmode=require".to_owned())),
            (Some(_), Some(file)) if file != "system" => Some(Trust::File(file.into())),
            (trust, _) => trust,
        };
        let plain = if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) };
        // What it says of a URL names a parameter at most, never a value.
        let mut config = tokio_postgres::Config::from_str(&plain).map_err(|error| UrlError(chain(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(UrlError("the host is missing".to_owned()));
        }
        if config.get_user().is_none() {
            return Err(UrlError("the user is missing".to_owned()));
        }
        // The one certain guard against a fallback to plain text is to have no fallback.
        config.ssl_mode(if trust.is_some() { SslMode::Require } else { SslMode::Disable });
        if config.get_target_session_attrs() == TargetSessionAttrs::Any {
            // A replica would answer reads that miss what was committed, and refuse writes.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if config.get_application_name().is_none() {
            config.application_name("scimwell");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(NETWORK_TIMEOUT);
        }
        if !query.contains("keepalives_idle") {
            config.keepalives_idle(NETWORK_TIMEOUT);
        }
        Ok(Self { config, trust, pool_size })
    }
}

/// Whether to use TLS. Where it is used the server's certificate is verified, its name too: without that, whoever can
/// read the network can stand between.
fn ssl_mode(mode: &str) -> Result<Option<Trust>, UrlError> {
    match mode {
        "disable" => Ok(None),
        "require" | "verify-ca" | "verify-full" => Ok(Some(Trust::System)),
        "allow" | "prefer" => Err(UrlError(format!(
            "sslmode={mode} protects nothing, as whoever is between can choose plain text: use `disable` or `require`"
        ))),
        _ => Err(UrlError("sslmode is neither `disable` nor `require`, `verify-ca` or `verify-full`".to_owned())),
    }
}

/// A value of the query without its percent-encoding (RFC 3986 §2.1).
fn decoded(name: &str, value: &str) -> Result<String, UrlError> {
    let bad = || UrlError(format!("{name} is not percent-encoded UTF-8"));
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().ok_or_else(bad)?, rest.next().ok_or_else(bad)?];
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(digits[0]).zip(digit(digits[1])).map(|(high, low)| high * 16 + low).ok_or_else(bad)?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

impl Options {
    /// The password to use where the URL holds none.
    pub fn default_password(&mut self, password: &str) {
        if self.config.get_password().is_none() {
            self.config.password(password);
        }
    }

    /// A pool that connects when it is asked to.
    pub(super) fn pool(&self) -> Result<Pool, StoreError> {
        let tls = Tls::new(self.trust.as_ref())?;
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(self.config.clone(), tls, config);
        Pool::builder(manager)
            .max_size(self.pool_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT * 2))
            .recycle_timeout(Some(CONNECT_TIMEOUT))
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move { client.batch_execute(sql::SESSION).await.map_err(HookError::Backend) })
            }))
            .build()
            .map_err(|error| StoreError::Other(error.to_string()))
    }
}

/// A connection of the pool.
pub(super) async fn connection(pool: &Pool) -> Result<Object, StoreError> {
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            StoreError::Unavailable(chain(&error))
        }
        PoolError::Timeout(_) => {
            StoreError::Unavailable("no connection to the database became free in time".to_owned())
        }
        other => StoreError::Unavailable(other.to_string()),
    })
}

/// What a failed statement means.
pub(super) fn failed(error: &tokio_postgres::Error) -> StoreError {
    let text = chain(error);
    match error.code().map(SqlState::code) {
        // No answer, so nobody knows.
        None => StoreError::Unavailable(text),
        // Connections, resources, the operator, lost races, I/O, and a server that became a replica.
        Some(code) if ["08", "53", "57", "40", "58"].contains(&&code[..2]) || code == "25006" => {
            StoreError::Unavailable(text)
        }
        Some(_) => StoreError::Other(text),
    }
}

/// Whether the database asks to try the transaction again: it lost a race, and left nothing behind. 40003 is none of
/// these: there the outcome is unknown.
pub(super) fn is_lost_race(error: &tokio_postgres::Error) -> bool {
    [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].iter().any(|code| error.code() == Some(code))
}

/// The error and its causes. PostgreSQL's DETAIL is left out: it quotes stored data.
pub(super) fn chain(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} ({})", error.message(), error.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expect: &str) {
        let shown = url.parse::<Options>().map_or_else(|error| error.to_string(), |options| options.to_string());
        assert!(shown.starts_with(expect), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn urls() {
        check("postgres://u:s3cret@db.example/scim", "postgres://db.example:5432/scim");
        check("postgresql://u:s3cret@a:5433,b:5434/scim?pool_size=4", "postgres://a:5433,b:5434/scim");
        check("postgres://u:s3cret@/scim?host=%2Frun%2Fpostgresql", "postgres:///run/postgresql/scim");
        check("postgres://u:s3cret@/scim", "the host is missing; expected postgres://");
        check("postgres://db.example/scim", "the user is missing; ");
        check("postgres://u:s3cret@h:s3crets/scim", "invalid connection string: invalid value for option `port`");
        check("postgres://u:s3cret@h/scim?colour=s3cret", "invalid connection string: unknown option `colour`");
        check("postgres://u:s3cret@h/d?pool_size=0", "pool_size is no number from 2 to 1000");
        check("postgres://u:s3cret@h/d?sslmode=prefer", "sslmode=prefer protects nothing");
        check("postgres://u:s3cret@h/d?sslmode=on", "sslmode is neither");
        check("postgres://u:s3cret@h/d?sslrootcert=ca.pem", "sslrootcert without sslmode");
        check("postgres://u:s3cret@h/d?sslmode=require&sslrootcert=%zz", "sslrootcert is not percent-encoded");
    }

    #[test]
    fn tls_where_the_url_asks_for_it() {
        let options = |url: &str| url.parse::<Options>().unwrap();
        let plain = options("postgres://u@h/d");
        assert_eq!((plain.config.get_ssl_mode(), plain.trust), (SslMode::Disable, None));
        let system = options("postgres://u@h/d?sslmode=verify-full");
        assert_eq!((system.config.get_ssl_mode(), system.trust), (SslMode::Require, Some(Trust::System)));
        let own = options("postgres://u@h/d?sslrootcert=%2Fetc%2Fca.pem&sslmode=require");
        assert_eq!(own.trust, Some(Trust::File("/etc/ca.pem".into())));
    }

    #[test]
    fn reads_are_the_primary_s() {
        let options = "postgres://u@h/d".parse::<Options>().unwrap();
        assert_eq!(options.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    }
}
