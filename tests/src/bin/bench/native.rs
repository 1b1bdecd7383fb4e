//! The protocol core without WebAssembly behind the same HTTP stack and the same storage: what the component's speed is
//! held against. The bench runs it as a process of its own, as it does the server.

use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use scimwell::storage::{self as host, Redb, Storage};
use scimwell_guest::store::{Check, Entry, Key, KeyRange, Mutation, Outcome, ScanOptions, Store, StoreError, Value};
use scimwell_tests::client::Request;
use scimwell_tests::native::Native;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};

/// A tenant of the host's storage as the core sees a store.
#[derive(Clone)]
pub(crate) struct Bridge {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) tenant: String,
}

/// Serve the data directory until the process is killed.
pub(crate) fn serve(data: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let storage: Arc<dyn Storage> = Arc::new(Redb::open(data)?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        println!("listening on http://{address}");
        let base = format!("http://{address}/scim/v2");
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let tenant = "default".to_owned();
            let native = Native { store: Bridge { storage: storage.clone(), tenant: tenant.clone() }, tenant };
            let base = base.clone();
            let service = service_fn(move |request| answer(native.clone(), base.clone(), request));
            tokio::spawn(async move {
                // A client that goes away is no failure of the server.
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

async fn answer(
    native: Native<Bridge>,
    base: String,
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let mut response = http::Response::new(Full::default());
    let Ok(body) = body.collect().await else {
        *response.status_mut() = http::StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let headers =
        parts.headers.iter().filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    let request = Request {
        method: parts.method.to_string(),
        target: target.strip_prefix("/scim/v2").unwrap_or(target).to_owned(),
        headers: headers.collect(),
        body: body.to_bytes().to_vec(),
    };
    let answer = native.send(&request, &base);
    *response.status_mut() = http::StatusCode::from_u16(answer.status).unwrap_or_default();
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    *response.body_mut() = Full::new(Bytes::from(answer.body));
    Ok(response)
}

/// Wait in place for what is mostly ready at once: only a commit really waits, and only then does another thread take
/// over this one's connections.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => tokio::task::block_in_place(|| Handle::current().block_on(future)),
    }
}

impl Store for Bridge {
    fn get(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        wait(self.storage.get(&self.tenant, keys)).map_err(error)
    }

    fn scan(&self, wanted: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        let ScanOptions { reverse, keys_only, skip, limit } = options;
        let options = host::ScanOptions { reverse, keys_only, skip, limit };
        let entries = wait(self.storage.scan(&self.tenant, &range(wanted), options)).map_err(error)?;
        Ok(entries.into_iter().map(|entry| Entry { key: entry.key, value: entry.value }).collect())
    }

    fn count(&self, wanted: &KeyRange) -> Result<u64, StoreError> {
        wait(self.storage.count(&self.tenant, &range(wanted))).map_err(error)
    }

    fn commit(&self, checks: &[Check], mutations: &[Mutation]) -> Result<Outcome, StoreError> {
        let checks = checks.iter().map(|c| host::Check { key: c.key.clone(), expected: c.expected.clone() }).collect();
        let mutations = mutations.iter().map(mutation).collect();
        match wait(self.storage.commit(&self.tenant, checks, mutations)).map_err(error)? {
            host::Outcome::Committed => Ok(Outcome::Committed),
            host::Outcome::Conflict => Ok(Outcome::Conflict),
        }
    }
}

fn range(range: &KeyRange) -> host::KeyRange {
    host::KeyRange { start: range.start.clone(), end: range.end.clone() }
}

fn mutation(mutation: &Mutation) -> host::Mutation {
    match mutation {
        Mutation::Put(key, value) => host::Mutation::Put(key.clone(), value.clone()),
        Mutation::Delete(key) => host::Mutation::Delete(key.clone()),
        Mutation::DeleteRange(wanted) => host::Mutation::DeleteRange(range(wanted)),
        Mutation::Add(key, by) => host::Mutation::Add(key.clone(), *by),
        Mutation::Append(prefix, value) => host::Mutation::Append(prefix.clone(), value.clone()),
    }
}

fn error(error: host::StoreError) -> StoreError {
    match error {
        host::StoreError::AccessDenied => StoreError::AccessDenied,
        host::StoreError::TooLarge => StoreError::TooLarge,
        host::StoreError::Unavailable(why) | host::StoreError::InUse(why) => StoreError::Unavailable(why),
        host::StoreError::Other(why) => StoreError::Other(why),
    }
}
