//! What is in front of SCIM: health, metrics, the administration, the access log.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tower_service::Service;

use super::admin::backup::{self, AnyBody};
use super::admin::{self, Admin};
use crate::provider;
use crate::service::{PeerAddress, ScimService, Secure, Served};
use crate::storage::Storage;

/// How long storage may take to answer `/readyz`.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// The whole server, as one connection sees it.
#[derive(Clone)]
pub(super) struct Front {
    scim: ScimService,
    admin: Arc<Admin>,
    storage: Arc<dyn Storage>,
    peer: Option<SocketAddr>,
    secure: bool,
}

impl Front {
    pub(super) fn new(scim: ScimService, admin: Admin, storage: Arc<dyn Storage>) -> Self {
        Self { scim, admin: Arc::new(admin), storage, peer: None, secure: false }
    }

    /// The same for a connection from `peer`, over TLS or not.
    pub(super) fn connection(mut self, peer: SocketAddr, secure: bool) -> Self {
        self.peer = Some(peer);
        self.secure = secure;
        self
    }

    async fn answer(mut self, request: Request<Incoming>) -> Response<AnyBody> {
        let whole = match request.uri().path() {
            "/healthz" => probe(request.method(), || async { plain(StatusCode::OK, "ok\n") }).await,
            "/readyz" => probe(request.method(), || self.ready()).await,
            "/metrics" => probe(request.method(), || async { self.metrics() }).await,
            _ => return self.logged(request).await,
        };
        whole.map(Either::Left)
    }

    async fn ready(&self) -> Response<Full<Bytes>> {
        let keys = [b"ready".to_vec()];
        let read = self.storage.get(crate::tenants::HOST_SPACE, &keys);
        match tokio::time::timeout(READY_TIMEOUT, read).await {
            Ok(Ok(_)) => plain(StatusCode::OK, "ready\n"),
            Ok(Err(error)) => {
                tracing::error!(%error, "not ready: storage fails");
                plain(StatusCode::SERVICE_UNAVAILABLE, "storage fails; the log says why\n")
            }
            Err(_elapsed) => plain(StatusCode::SERVICE_UNAVAILABLE, "storage does not answer\n"),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let mut response = plain(StatusCode::OK, self.scim.provider().metrics().render());
        let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, format);
        response
    }

    async fn logged(&mut self, mut request: Request<Incoming>) -> Response<AnyBody> {
        let started = Instant::now();
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(PeerAddress(peer));
        }
        if self.secure {
            request.extensions_mut().insert(Secure);
        }
        let method = request.method().clone();
        // Query values may hold personal data; the path holds ids only.
        let uri = request.uri().clone();
        let mut response = match uri.path() {
            path if backup::serves(path) => self.admin.backup(request).await,
            path if admin::serves(path) => self.admin.answer(&self.scim, request).await.map(Either::Left),
            _ => {
                let Ok(response) = self.scim.call(request).await;
                response.map(Either::Left)
            }
        };
        let duration = started.elapsed();
        let status = response.status().as_u16();
        self.scim.provider().metrics().answered(method.as_str(), status, duration);
        let Some(Served { principal, request_id }) = response.extensions_mut().remove() else { return response };
        tracing::info!(
            request_id,
            tenant = principal.as_ref().map(|principal| principal.tenant.as_str()),
            subject = principal.as_ref().map(|principal| principal.subject.as_str()),
            remote = self.peer.map(|peer| tracing::field::display(peer.ip())),
            method = method.as_str(),
            path = uri.path(),
            status,
            duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            "request"
        );
        if let Ok(id) = HeaderValue::try_from(request_id) {
            response.headers_mut().insert("x-request-id", id);
        }
        response
    }
}

impl Service<Request<Incoming>> for Front {
    type Response = Response<AnyBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let front = self.clone();
        Box::pin(async move { Ok(front.answer(request).await) })
    }
}

/// Answers GET and HEAD; anything else is 405, as a SCIM Error like every other.
async fn probe<F>(method: &Method, answer: impl FnOnce() -> F) -> Response<Full<Bytes>>
where
    F: Future<Output = Response<Full<Bytes>>>,
{
    if matches!(*method, Method::GET | Method::HEAD) {
        return answer().await;
    }
    let error = provider::Response::error(405, "Only GET and HEAD are served here.");
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, error.body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(provider::MEDIA_TYPE));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
