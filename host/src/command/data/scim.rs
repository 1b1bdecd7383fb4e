//! SCIM requests to one tenant, many at once: answered in this process on local data, or by a running server.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use serde_json::Value;

use crate::command::client::{Client, Connection};
use crate::command::target::{Target, accepted};
use crate::command::{CommandError, Place};
use crate::provider::{MEDIA_TYPE, Provider, Request};
use crate::server::StorageUrl;

/// Attempts of a request that meets a busy server or a broken connection.
const ATTEMPTS: u32 = 8;
/// What to wait before the third attempt; each further one waits twice as long. The second comes at once: a server may
/// have closed a connection that was idle.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest wait that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The resources of one tenant.
pub(super) struct Scim {
    via: Via,
    /// For the checkpoint: an import goes on only where it began.
    pub(super) place: String,
}

enum Via {
    Local {
        provider: Box<Provider>,
        base_url: String,
    },
    Server {
        client: Client,
        base: String,
        /// Connections that wait for a request.
        idle: Mutex<Vec<Connection>>,
    },
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Bytes,
    retry_after: Option<Duration>,
}

impl Reply {
    /// The body as JSON, null where there is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Scim {
    /// The tenant of this name. On a server without a name it is the token's.
    pub(super) async fn open(place: &Place, tenant: Option<&str>) -> Result<Self, CommandError> {
        match Target::open(place, false).await? {
            Target::Server(client) => {
                let base = tenant.map_or_else(|| "/scim/v2".to_owned(), |tenant| format!("/t/{tenant}/scim/v2"));
                let place = format!("{}{base}", client.url());
                Ok(Self { via: Via::Server { client, base, idle: Mutex::default() }, place })
            }
            Target::Local(local) => {
                let tenant = tenant.unwrap_or(crate::tenants::DEFAULT);
                let place = format!("{}, tenant {tenant}", directory(place));
                let base_url = format!("http://localhost/t/{tenant}/scim/v2");
                let provider = Box::new(local.resources(tenant).await?);
                Ok(Self { via: Via::Local { provider, base_url }, place })
            }
        }
    }

    /// One GET that must succeed, tried once: whether there is a server at all shows here.
    pub(super) async fn get(&self, target: &str) -> Result<Value, CommandError> {
        let reply = self.attempt("GET", target, &[], &Bytes::new()).await?;
        accepted(reply.status, reply.json())
    }

    /// One request. It is repeated where the server is busy or the connection breaks, so it must be one that may happen
    /// twice: a read, one that leaves the same the second time, or one with an `Idempotency-Key`.
    pub(super) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Reply, CommandError> {
        let mut attempt = 1;
        loop {
            let answered = self.attempt(method, target, headers, &body).await;
            let backoff = PAUSE.saturating_mul(1 << attempt) / 4;
            let pause = match &answered {
                _ if attempt == ATTEMPTS => return answered,
                Ok(reply) if matches!(reply.status, 429 | 503) => reply.retry_after.unwrap_or(backoff),
                Err(CommandError::Unreachable { .. }) if attempt == 1 => Duration::ZERO,
                Err(CommandError::Unreachable { .. }) => backoff,
                _ => return answered,
            };
            tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &Bytes,
    ) -> Result<Reply, CommandError> {
        match &self.via {
            Via::Local { provider, base_url } => {
                let headers = headers.iter().chain(&[("content-type", MEDIA_TYPE)]);
                let request = Request {
                    method: method.to_owned(),
                    target: target.to_owned(),
                    headers: headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
                    body: body.to_vec(),
                    base_url: base_url.clone(),
                    ..Request::default()
                };
                let response = provider.handle(request).await;
                let retry_after = response.headers.iter().find(|(name, _)| name == "retry-after");
                let retry_after = retry_after.and_then(|(_, value)| seconds(value));
                Ok(Reply { status: response.status, body: response.body.into(), retry_after })
            }
            Via::Server { client, base, idle } => {
                let mut connection = loop {
                    let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some(mut kept) = kept else { break client.connect().await? };
                    // One that the server has closed meanwhile is never ready again.
                    if kept.ready().await.is_ok() {
                        break kept;
                    }
                };
                let headers: Vec<_> = headers.iter().copied().chain([("content-type", MEDIA_TYPE)]).collect();
                let path = format!("{base}{target}");
                let response = client.send(&mut connection, method, &path, &headers, body.clone()).await?;
                let status = response.status().as_u16();
                let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| seconds(value.to_str().ok()?));
                let body = client.body(response).await?;
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                Ok(Reply { status, body, retry_after })
            }
        }
    }
}

/// Where local data is, the same wherever the command runs.
fn directory(place: &Place) -> String {
    let directory = match &place.storage {
        None => &place.data,
        Some(StorageUrl::Redb(directory)) => directory,
        // Its URL may hold a password, and the checkpoint is kept.
        Some(_) => return "the storage of --storage".to_owned(),
    };
    directory.canonicalize().unwrap_or_else(|_| directory.clone()).display().to_string()
}

fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}
