//! `GET /admin/backup`: the whole store, of all tenants, as one stream from one snapshot, while the server goes on.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body::{Body, Frame};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::{Admin, is_operator};
use crate::provider::{self, Handled, Response};
use crate::service::{self, Served};
use crate::storage::StoreError;
use crate::storage::backup::Stream;

/// Where it is.
const PATH: &str = "/admin/backup";
/// Parts of the stream that wait for the connection: they bound the memory that a slow client takes.
const PARTS: usize = 4;

/// The body of any of the server's responses.
pub(in crate::server) type AnyBody = Either<Full<Bytes>, Parts>;

/// Whether this path is answered here.
pub(in crate::server) fn serves(path: &str) -> bool {
    path == PATH
}

/// Parts that another thread reads.
pub(in crate::server) struct Parts(mpsc::Receiver<Result<Vec<u8>, StoreError>>);

impl Body for Parts {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StoreError>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| part.map(|bytes| Frame::data(Bytes::from(bytes)))))
    }
}

impl Admin {
    pub(in crate::server) async fn backup(&self, request: Request<Incoming>) -> http::Response<AnyBody> {
        let (parts, _) = request.into_parts();
        let headers = service::headers(&parts.headers);
        let request_id = provider::request_id(&headers);
        let refuse = |response, principal| {
            service::respond(Handled { response, principal, request_id: request_id.clone() }).map(Either::Left)
        };
        if parts.method != Method::GET {
            let mut refused = refuse(Response::error(405, "Only GET is served here."), None);
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return refused;
        }
        let caller = match self.caller(&parts).await {
            Ok(caller) => caller,
            Err((refusal, caller)) => return refuse(refusal, caller),
        };
        if !is_operator(&caller) {
            let detail =
                "A backup holds all tenants; it needs a token of the tenant `default` with the permission `admin`.";
            return refuse(Response::error(403, detail), Some(caller));
        }
        let stream = match self.storage.snapshot() {
            Some(Ok(snapshot)) => Stream::new(snapshot),
            Some(Err(error)) => return refuse(super::records::failed(&error.into()), Some(caller)),
            None => {
                let detail = "This server's storage has no backup of its own. For PostgreSQL use pg_dump; what is kept in \
                              memory ends with the process.";
                return refuse(Response::error(501, detail), Some(caller));
            }
        };
        let (sender, receiver) = mpsc::channel(PARTS);
        tokio::task::spawn_blocking(move || {
            for part in stream {
                if let Err(error) = &part {
                    // The response breaks off, so that nobody takes it for a backup.
                    tracing::error!(%error, "a backup failed");
                }
                if sender.blocking_send(part).is_err() {
                    tracing::warn!("whoever asked for a backup did not wait for its end");
                    return;
                }
            }
        });
        let mut response = http::Response::new(Either::Right(Parts(receiver)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(Served { principal: Some(caller), request_id: request_id.clone() });
        response
    }
}

#[cfg(test)]
mod tests {
    use super::serves;

    #[test]
    fn path() {
        assert!(serves("/admin/backup"));
        assert!(!serves("/admin/backup/") && !serves("/admin/backups"));
    }
}
