//! SCIM requests in, SCIM responses out, by instances of the component.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::json;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};
use wasmtime::Store;

#[cfg(feature = "server")]
use crate::authenticator::Acting;
use crate::authenticator::{Authenticator, Principal, Reading};
use crate::bindings::exports::scimwell::provider::handler;
use crate::changes::{ChangeHandler, ChangeLog, Deliveries, Delivery, Outstanding};
use crate::engine::{Engine, Runtime};
use crate::instance::{Imports, Instance, OtherPrincipal, Panicked};
use crate::kept::{Client, Kept, KeptInstances};
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::storage::Storage;

/// The media type of SCIM responses (RFC 7644 §3.1).
pub const MEDIA_TYPE: &str = "application/scim+json";
/// What a client is asked to wait before it repeats a request that met a time-out or a busy server.
const RETRY_AFTER_SECONDS: &str = "1";

/// A request, as `wit/handler.wit` has it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, ….
    pub method: String,
    /// Path and query as received, below the SCIM base path: `/Users?filter=…`.
    pub target: String,
    /// Names in lower case; values that were not UTF-8 as ISO 8859-1.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The public base URL, for `meta.location`: `https://example.com/scim/v2`.
    pub base_url: String,
    /// The subject of the verified TLS client certificate.
    pub client_certificate_subject: Option<String>,
    /// The tenant named by the URL, where the URL names one.
    pub tenant_hint: Option<String>,
    /// The client's address, where it is known.
    pub remote_address: Option<String>,
}

/// A response, as `wit/handler.wit` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; empty where there is none.
    pub body: Vec<u8>,
}

impl Response {
    /// A SCIM Error (RFC 7644 §3.12) that the host makes itself.
    pub fn error(status: u16, detail: &str) -> Self {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": status.to_string(),
            "detail": detail,
        });
        let headers = vec![("content-type".to_owned(), MEDIA_TYPE.to_owned())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }

    fn retry_later(detail: &str) -> Self {
        let mut response = Self::error(503, detail);
        response.headers.push(("retry-after".to_owned(), RETRY_AFTER_SECONDS.to_owned()));
        response
    }
}

/// A response, and what the log may say about it.
#[derive(Clone, Debug)]
pub struct Handled {
    /// The response.
    pub response: Response,
    /// Whom the request was served for; `None` where nobody was authenticated.
    pub principal: Option<Principal>,
    /// The request's id: the client's `x-request-id` where it sent a plausible one, else a new one.
    pub request_id: String,
}

/// Why the component gave no response.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It trapped: a bug.
    Trap {
        /// Where and why.
        error: wasmtime::Error,
        /// What it wrote to its standard output and error: a panic's message for example.
        output: String,
    },
    /// Code of the embedder's that it called panicked.
    Import(Panicked),
    /// It wanted more memory than it may have.
    Memory,
    /// It took too long, or waited too long for its turn.
    TimedOut {
        /// The import that it was waiting for.
        import: Option<&'static str>,
    },
}

/// A SCIM service provider: a component, and what it needs from outside.
pub struct Provider {
    engine: Arc<Engine>,
    imports: Arc<Imports>,
    kept: KeptInstances,
}

impl Provider {
    /// A provider on these backends.
    pub fn new(
        engine: Arc<Engine>,
        storage: Arc<dyn Storage>,
        authenticator: Arc<dyn Authenticator>,
        policy: Arc<dyn Policy>,
    ) -> Self {
        let metrics = Arc::new(Metrics::default());
        let kept = KeptInstances::new(engine.runtime.config.kept_instances);
        let imports = Imports { storage, authenticator, policy, metrics, deliveries: None };
        Self { engine, imports: Arc::new(imports), kept }
    }

    /// Tells this handler of every change from now on, and first of those that an earlier process has committed and not told;
    /// see [`changes`](crate::changes). Needs a tokio runtime, and returns when each tenant was caught up on or its delivery
    /// failed once: thereafter the application's own tables are true.
    ///
    /// A tenant that had data before any handler was there is told of from the beginning of its log, once it is written to.
    ///
    /// A provider has one handler; the one given last.
    pub async fn on_change(mut self, handler: Arc<dyn ChangeHandler>, delivery: Delivery) -> crate::Result<Self> {
        let Imports { storage, authenticator, policy, metrics, .. } = &*self.imports;
        let deliveries =
            Deliveries::new(handler, delivery, self.change_log(), Arc::clone(storage), Arc::clone(metrics));
        deliveries.catch_up().await?;
        self.imports = Arc::new(Imports {
            storage: Arc::clone(storage),
            authenticator: Arc::clone(authenticator),
            policy: Arc::clone(policy),
            metrics: Arc::clone(metrics),
            deliveries: Some(deliveries),
        });
        // Instances that were kept before would go on without it.
        self.kept = KeptInstances::new(self.engine.runtime.config.kept_instances);
        Ok(self)
    }

    /// The logs of this provider's tenants, for whoever keeps its own place in them.
    pub fn change_log(&self) -> ChangeLog {
        let Imports { storage, policy, metrics, .. } = &*self.imports;
        let imports = Imports {
            storage: Arc::clone(storage),
            authenticator: Arc::new(Reading),
            policy: Arc::clone(policy),
            metrics: Arc::clone(metrics),
            deliveries: None,
        };
        ChangeLog::new(Self {
            engine: Arc::clone(&self.engine),
            imports: Arc::new(imports),
            kept: KeptInstances::new(0),
        })
    }

    /// The same for requests of this principal only: for a caller that was authenticated before.
    #[cfg(feature = "server")]
    pub(crate) fn acting_as(&self, principal: Principal) -> Self {
        let Imports { storage, policy, metrics, deliveries, .. } = &*self.imports;
        let imports = Imports {
            storage: storage.clone(),
            authenticator: Arc::new(Acting(principal)),
            policy: policy.clone(),
            metrics: metrics.clone(),
            deliveries: deliveries.clone(),
        };
        Self { engine: self.engine.clone(), imports: Arc::new(imports), kept: KeptInstances::new(0) }
    }

    /// What this provider counts.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.imports.metrics
    }

    /// How long a request may take.
    pub fn timeout(&self) -> std::time::Duration {
        self.engine.runtime.config.timeout
    }

    /// Answers one request. Whatever the component does, there is a response, and the next request finds all well.
    pub async fn handle(&self, request: Request) -> Response {
        self.handle_detailed(request).await.response
    }

    /// Like [`handle`](Self::handle), with what an access log wants to know.
    pub async fn handle_detailed(&self, request: Request) -> Handled {
        let request_id = request_id(&request.headers);
        let client = self.kept.client(&request);
        let Ended { called, principal, outstanding } = self.call(client, &request.into()).await;
        let response = match called {
            Ok(response) => {
                if let Some(log) = &response.log {
                    tracing::error!(request_id, status = response.status, log, "the component reports a failure");
                }
                self.tell(&request_id, outstanding).await;
                response.into()
            }
            Err(failure) => failed(&failure, &request_id, &self.imports.metrics),
        };
        Handled { response, principal, request_id }
    }

    /// Waits until the application has taken over what the request has changed, where answers wait for that.
    async fn tell(&self, request_id: &str, outstanding: Option<Outstanding>) {
        let Some(deliveries) = &self.imports.deliveries else { return };
        let Some(outstanding) = outstanding.filter(|_| deliveries.is_awaited()) else { return };
        if !outstanding.settled(self.timeout()).await {
            tracing::error!(request_id, "the answer waits no longer for the application to take the change over");
        }
    }

    /// The component's answer, by an instance that this client's tenant has used before or by a fresh one.
    async fn call(&self, client: Client, request: &handler::Request) -> Ended {
        let runtime = &self.engine.runtime;
        let turn = match runtime.turn().await {
            Ok(turn) => turn,
            Err(failure) => return Ended { called: Err(failure), principal: None, outstanding: None },
        };
        if let Some(mut kept) = self.kept.take(client) {
            let component = &kept.component;
            let call = async |store: &mut Store<Instance>| {
                let response = component.scimwell_provider_handler().call_handle(&mut *store, request).await?;
                store.data().confirmed().await?;
                Ok(response)
            };
            let called = turn.call(&mut kept.store, call).await;
            if !matches!(&called, Err(Failure::Trap { error, .. }) if error.is::<OtherPrincipal>()) {
                return self.ended(client, kept, called);
            }
        }
        let mut store = runtime.store(self.imports.clone());
        let called = turn.call(&mut store, async |store| {
            self.imports.metrics.instantiated();
            let component = self.engine.provider.instantiate_async(&mut *store).await?;
            let response = component.scimwell_provider_handler().call_handle(store, request).await?;
            Ok((component, response))
        });
        match called.await {
            Ok((component, response)) => self.ended(client, Kept::new(store, component), Ok(response)),
            Err(failure) => {
                Ended { called: Err(failure), principal: store.data().principal().cloned(), outstanding: None }
            }
        }
    }

    /// Keeps the instance where it did well; what failed in any way is thrown away.
    fn ended(&self, client: Client, mut kept: Kept, called: Result<handler::Response, Failure>) -> Ended {
        let principal = kept.store.data().principal().cloned();
        let outstanding = kept.store.data_mut().outstanding.take();
        if principal.is_some() && called.as_ref().is_ok_and(|response| response.status < 500) {
            self.kept.put(client, kept);
        }
        Ended { called, principal, outstanding }
    }
}

/// How a call of the component ended.
struct Ended {
    called: Result<handler::Response, Failure>,
    /// Whom it was for.
    principal: Option<Principal>,
    /// The last commit whose changes the application is yet to be told of.
    outstanding: Option<Outstanding>,
}

/// The right to run one instance, until a deadline.
pub(crate) struct Turn<'r> {
    /// Held until the instance is gone or kept.
    _permit: SemaphorePermit<'r>,
    deadline: Instant,
}

impl Runtime {
    /// Waits for a turn.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, Failure> {
        let deadline = Instant::now() + self.config.timeout;
        match timeout_at(deadline, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(Turn { _permit: permit, deadline }),
            // Nothing closes the semaphore.
            Ok(Err(_)) | Err(_) => Err(Failure::TimedOut { import: None }),
        }
    }
}

impl Turn<'_> {
    /// Runs `call` on the store of an instance, bounded in time and memory.
    pub(crate) async fn call<T>(
        &self,
        store: &mut Store<Instance>,
        call: impl AsyncFnOnce(&mut Store<Instance>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        store.set_epoch_deadline(1);
        match timeout_at(self.deadline, call(store)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) if store.data().memory.exceeded => Err(Failure::Memory),
            Ok(Err(error)) => match error.downcast_ref::<Panicked>() {
                Some(panicked) => Err(Failure::Import(panicked.clone())),
                None => Err(Failure::Trap { error, output: store.data().output() }),
            },
            Err(_elapsed) => Err(Failure::TimedOut { import: store.data().calling() }),
        }
    }
}

/// Logs the failure, counts it and makes a response of it.
pub(crate) fn failed(failure: &Failure, request_id: &str, metrics: &Metrics) -> Response {
    match failure {
        Failure::Trap { error, output } => {
            metrics.trapped();
            tracing::error!(request_id, error = format!("{error:?}"), output, "the component trapped");
            server_failed(request_id)
        }
        Failure::Import(Panicked { import, message }) => {
            metrics.trapped();
            tracing::error!(request_id, import, panic = message, "what the component calls panicked");
            server_failed(request_id)
        }
        Failure::Memory => {
            metrics.exceeded_memory();
            tracing::error!(request_id, "the component exceeded its memory cap");
            let detail = format!(
                "This request needs more memory than the server allows (request id {request_id}); ask for less at once: a \
                 smaller count, fewer operations."
            );
            Response::error(500, &detail)
        }
        Failure::TimedOut { import } => {
            metrics.timed_out();
            // Without a name it was the component itself that took the time, or others that it waited for.
            tracing::error!(request_id, import, "the request took too long and was stopped");
            let detail = format!(
                "The server could not finish this request in time (request id {request_id}); whether a change was made is \
                 unknown: read the resource before repeating it."
            );
            Response::retry_later(&detail)
        }
    }
}

fn server_failed(request_id: &str) -> Response {
    let detail = format!("The server failed on this request; its log has the cause under request id {request_id}.");
    Response::error(500, &detail)
}

impl From<Request> for handler::Request {
    fn from(request: Request) -> Self {
        Self {
            method: request.method,
            target: request.target,
            headers: request.headers.into_iter().map(|(name, value)| handler::Header { name, value }).collect(),
            body: request.body,
            base_url: request.base_url,
            client_certificate_subject: request.client_certificate_subject,
            tenant_hint: request.tenant_hint,
            remote_address: request.remote_address,
        }
    }
}

impl From<handler::Response> for Response {
    fn from(response: handler::Response) -> Self {
        Self {
            status: response.status,
            headers: response.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            body: response.body,
        }
    }
}

/// The id that the client or a proxy gave the request, where it can do no harm in a log, or else a new one.
pub(crate) fn request_id(headers: &[(String, String)]) -> String {
    let plausible = |id: &str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    match headers.iter().find(|(name, _)| name == "x-request-id") {
        Some((_, id)) if plausible(id) => id.clone(),
        _ => new_request_id(),
    }
}

/// Unique to this process, and to others as far as the clock tells them apart: an id finds log lines, it guards nothing.
pub(crate) fn new_request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static STARTED: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let started = STARTED.get_or_init(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |now| now.as_secs())
    });
    format!("{started:08x}-{:06x}", NEXT.fetch_add(1, Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_body_has_the_keys_of_the_rfc_only() {
        let response = Response::error(413, "too \"large\"");
        let expect =
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"413","detail":"too \"large\""}"#;
        assert_eq!(String::from_utf8(response.body).unwrap(), expect);
    }

    #[track_caller]
    fn check_id(sent: &str, kept: bool) {
        let id = request_id(&[("x-request-id".to_owned(), sent.to_owned())]);
        assert_eq!(id == sent, kept, "{id}");
    }

    #[test]
    fn request_ids() {
        check_id("5f3a-9.b:c_D", true);
        check_id("", false);
        check_id("line\nbreak", false);
        check_id(&"x".repeat(64), true);
        check_id(&"x".repeat(65), false);
        assert_ne!(request_id(&[]), request_id(&[]));
    }
}
