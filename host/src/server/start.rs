//! From options to a running server.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::admin::Admin;
use super::error::StartError;
use super::front::Front;
use super::options::{LogFormat, ServeOptions, StorageUrl};
use super::welcome::{self, Token};
use super::{lines, listen, tls};
use crate::authenticator::{Authenticator, Permissions};
use crate::policy::AllowAll;
use crate::service::ScimService;
use crate::storage::{Memory, Storage};
use crate::tokens::{DevToken, Either, StaticToken, StoredTokens};
use crate::{CodeCache, Config, Engine, Provider, tenants, tokens};

/// Serves until the process is told to end.
pub fn serve(options: ServeOptions) -> Result<(), StartError> {
    let (stderr, _written_at_the_end) = lines::writing(std::io::stderr()).map_err(StartError::System)?;
    log(options.log_format, "info", stderr);
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::System)?.block_on(run(options))
}

async fn run(options: ServeOptions) -> Result<(), StartError> {
    let base_url = options.base_url.as_deref().map(checked_url).transpose()?;
    let tls = match (&options.tls_cert, &options.tls_key) {
        (Some(certificate), Some(key)) => Some(tls::acceptor(certificate, key)?),
        _ => None,
    };
    let storage = open_storage(&options).await?;
    // Before a first start issues a token that would never be shown if this failed.
    let listener = TcpListener::bind(options.listen).await;
    let listener = listener.map_err(|source| StartError::Listen { address: options.listen, source })?;
    let address = listener.local_addr().map_err(StartError::System)?;
    let end = listen::told_to_end().map_err(StartError::System)?;
    let engine = compile(options.component.as_deref(), Duration::from_secs(options.timeout))?;

    let (authenticator, token) = authenticator(&options, &storage).await?;
    let admin = Admin::new(storage.clone(), authenticator.clone());
    let provider = Provider::new(Arc::new(engine), storage.clone(), authenticator, Arc::new(AllowAll));
    let mut scim = ScimService::new(Arc::new(provider)).body_limit(options.body_limit);
    let local = local_url(address, tls.is_some());
    let root = base_url.unwrap_or(&local);
    if let Some(url) = base_url {
        scim = scim.public_url(url);
    }
    greet(&format!("listening on {local}\n{}", welcome::text(root, &token, options.dev)));
    listen::serve(listener, tls, Front::new(scim, admin, storage), end).await;
    Ok(())
}

/// The log of a command that ends by itself: what went wrong, and nothing else unless asked for.
pub(crate) fn start_log() {
    log(LogFormat::Text, "warn", std::io::stderr);
}

fn log<W>(format: LogFormat, level: &str, to: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(to);
    // A subscriber that an embedding test has set stays.
    let _ = match format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
}

/// The component made ready to run: the one of this file, or the embedded one. Compiled at its first start, loaded later.
pub(crate) fn compile(file: Option<&Path>, timeout: Duration) -> Result<Engine, StartError> {
    let started = Instant::now();
    let component = match file {
        Some(path) => Cow::Owned(read_component(path)?),
        None => Cow::Borrowed(crate::component().ok_or(StartError::NoComponent)?),
    };
    let config = Config { timeout, ..Config::default() };
    let engine = match CodeCache::of_user() {
        Some(cache) => Engine::cached(&component, config, &cache)?,
        None => Engine::new(&component, config)?,
    };
    tracing::info!(bytes = component.len(), milliseconds = started.elapsed().as_millis(), "component ready");
    Ok(engine)
}

fn read_component(path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|source| StartError::File { option: "--component", path: path.to_owned(), source })
}

async fn open_storage(options: &ServeOptions) -> Result<Arc<dyn Storage>, StartError> {
    let directory = match &options.storage {
        _ if options.dev => return Ok(Arc::new(Memory::new())),
        Some(StorageUrl::Memory) => return Ok(Arc::new(Memory::new())),
        Some(StorageUrl::Postgres(url)) => return open_postgres(url).await,
        Some(StorageUrl::Redb(directory)) => directory,
        None => &options.data,
    };
    open_redb(directory)
}

/// Connects to the PostgreSQL database of this URL.
#[cfg(feature = "postgres")]
pub(crate) async fn open_postgres(url: &str) -> Result<Arc<dyn Storage>, StartError> {
    use crate::storage::postgres::{Options, Postgres};
    let mut options: Options = url.parse().map_err(|error| StartError::StorageUrl(format!("{error}")))?;
    if let Ok(password) = std::env::var("PGPASSWORD") {
        options.default_password(&password);
    }
    let connected = Postgres::connect(&options).await;
    let storage = connected.map_err(|source| StartError::Database { place: options.to_string(), source })?;
    Ok(Arc::new(storage))
}

/// This build can't.
#[cfg(not(feature = "postgres"))]
#[expect(clippy::unused_async, reason = "with the feature it is")]
pub(crate) async fn open_postgres(_: &str) -> Result<Arc<dyn Storage>, StartError> {
    Err(StartError::StorageUrl("this program was built without the feature `postgres`".to_owned()))
}

/// Opens the embedded database in this directory.
pub(crate) fn open_redb(directory: &Path) -> Result<Arc<dyn Storage>, StartError> {
    let opened = crate::storage::Redb::open(directory);
    let storage = opened.map_err(|source| StartError::Storage { place: directory.display().to_string(), source })?;
    Ok(Arc::new(storage))
}

/// Who is let in, and what may be said about the token. A first start creates the tenant and its token.
async fn authenticator(
    options: &ServeOptions,
    storage: &Arc<dyn Storage>,
) -> Result<(Arc<dyn Authenticator>, Token), StartError> {
    tenants::create(&**storage, tenants::DEFAULT).await?;
    let stored = StoredTokens::new(storage.clone());
    if options.dev {
        let (token, said) = match &options.token {
            Some(token) => (token.clone(), Token::Given),
            None => {
                let token = tokens::generate()?;
                (token.clone(), Token::New(token))
            }
        };
        return Ok((Arc::new(Either(DevToken::new(&token, storage.clone()), stored)), said));
    }
    if let Some(token) = &options.token {
        return Ok((Arc::new(Either(StaticToken::new(token, tenants::DEFAULT), stored)), Token::Given));
    }
    if tokens::any(&**storage).await? {
        return Ok((Arc::new(stored), Token::Earlier));
    }
    let issued = tokens::issue(
        &**storage,
        tenants::DEFAULT,
        "first start",
        Permissions::ALL,
        Some(tokens::now() + tokens::LIFETIME),
    )
    .await?;
    Ok((Arc::new(stored), Token::New(issued.secret)))
}

/// `--base-url` as clients can use it: a scheme, a host, and nothing that would end a URL.
fn checked_url(url: &str) -> Result<&str, StartError> {
    let bad = || StartError::BaseUrl(url.to_owned());
    let parsed: http::Uri = url.parse().map_err(|_| bad())?;
    match (parsed.scheme_str(), parsed.host(), parsed.query()) {
        (Some("http" | "https"), Some(host), None) if !host.is_empty() => {
            let url = url.trim_end_matches('/');
            Ok(url.strip_suffix("/scim/v2").unwrap_or(url))
        }
        _ => Err(bad()),
    }
}

/// A URL under which this machine reaches the server.
fn local_url(address: SocketAddr, secure: bool) -> String {
    let scheme = if secure { "https" } else { "http" };
    match address.ip() {
        ip if ip.is_unspecified() => format!("{scheme}://localhost:{}", address.port()),
        _ => format!("{scheme}://{address}"),
    }
}

/// A closed standard output is no reason not to serve.
fn greet(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expect: Option<&str>) {
        assert_eq!(checked_url(url).ok(), expect);
    }

    #[test]
    fn base_urls() {
        check("https://scim.example.com", Some("https://scim.example.com"));
        check("https://example.com/api/", Some("https://example.com/api"));
        check("http://example.com:81/scim/v2/", Some("http://example.com:81"));
        check("example.com", None);
        check("/scim/v2", None);
        check("ftp://example.com", None);
        check("https://example.com/?a", None);
    }

    #[test]
    fn local_urls() {
        assert_eq!(local_url("0.0.0.0:8080".parse().unwrap(), false), "http://localhost:8080");
        assert_eq!(local_url("[::1]:443".parse().unwrap(), true), "https://[::1]:443");
    }
}
