//! The tower service: what it refuses itself, and what it passes on.

mod common;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use scimwell::{PeerAddress, ScimService, Served};
use tower_service::Service;

use common::{config, detail, provider};

fn service() -> ScimService {
    ScimService::new(provider(config())).body_limit(1000)
}

async fn call<B>(mut service: ScimService, request: Request<B>) -> (StatusCode, Bytes, http::response::Parts)
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: std::fmt::Display + Send,
{
    let Ok(response): Result<Response<Full<Bytes>>, Infallible> = service.call(request).await;
    let (parts, body) = response.into_parts();
    (parts.status, body.collect().await.unwrap().to_bytes(), parts)
}

/// What the guest's echo says to a GET.
async fn check(service: ScimService, request: http::request::Builder, expect: &str) {
    let (status, body, _) = call(service, request.body(Empty::<Bytes>::new()).unwrap()).await;
    assert_eq!((status, body), (StatusCode::OK, Bytes::from(expect.to_owned())));
}

#[tokio::test]
async fn target_byte_for_byte() {
    let request = Request::get("/scim/v2/t//Users/?filter=a+eq+%22%C3%BC%22&&");
    check(service(), request, "/t//Users/?filter=a+eq+%22%C3%BC%22&&").await;
}

#[tokio::test]
async fn base_urls() {
    let request = || Request::get("/t/acme/scim/v2/b").header("host", "h.example");
    check(service(), request(), "http://h.example/t/acme/scim/v2").await;
    check(service(), request().extension(scimwell::Secure), "https://h.example/t/acme/scim/v2").await;
    let forwarded = request().header("x-forwarded-proto", "https").header("x-forwarded-host", "out.example");
    check(service(), forwarded, "https://out.example/t/acme/scim/v2").await;
    let configured = service().public_url("https://pub.example/api/scim/v2/");
    check(configured, request(), "https://pub.example/api/t/acme/scim/v2").await;
    check(service().prefix("api/"), Request::get("/api/scim/v2/b").header("host", "h"), "http://h/api/scim/v2").await;
}

#[tokio::test]
async fn tenant_and_peer() {
    check(service(), Request::get("/t/acme/scim/v2/h"), "acme").await;
    let peer = PeerAddress("[::1]:5000".parse().unwrap());
    check(service(), Request::get("/scim/v2/r").extension(peer), "::1").await;
}

#[tokio::test]
async fn not_below_the_base_path() {
    let (status, body, parts) = call(service(), Request::get("/Users").body(Empty::<Bytes>::new()).unwrap()).await;
    assert_eq!(status, 404);
    assert!(detail(404, &body).contains("/scim/v2"));
    assert_eq!(parts.headers["content-type"], "application/scim+json");
    assert!(parts.extensions.get::<Served>().is_some());
}

#[tokio::test]
async fn body_at_the_limit() {
    let body = Bytes::from(vec![b'x'; 1000]);
    let (status, echoed, _) = call(service(), Request::post("/scim/v2/e").body(Full::new(body.clone())).unwrap()).await;
    assert_eq!((status, echoed), (StatusCode::OK, body));
}

#[tokio::test]
async fn announced_body_too_large() {
    // None of it arrives: the refusal rests on the header alone.
    let request = Request::post("/scim/v2/e").header("content-length", "1001").body(Missing::Never).unwrap();
    let (status, body, _) = call(service(), request).await;
    assert_eq!(status, 413);
    assert!(detail(413, &body).contains("1000 bytes"));
}

#[tokio::test]
async fn unannounced_body_too_large() {
    let request = Request::post("/scim/v2/e").body(Full::new(Bytes::from(vec![0; 1001]))).unwrap();
    let (status, body, _) = call(service(), request).await;
    assert_eq!(status, 413);
    detail(413, &body);
}

#[tokio::test]
async fn body_that_breaks_off() {
    let (status, body, _) = call(service(), Request::post("/scim/v2/e").body(Missing::BrokenOff).unwrap()).await;
    assert_eq!(status, 400);
    assert!(detail(400, &body).contains("reset"));
}

#[tokio::test]
async fn body_that_never_ends() {
    let (status, body, _) = call(service(), Request::post("/scim/v2/e").body(Missing::Never).unwrap()).await;
    assert_eq!(status, 408);
    detail(408, &body);
}

#[tokio::test]
async fn response_that_is_not_http() {
    let (status, body, _) = call(service(), Request::get("/scim/v2/x").body(Empty::<Bytes>::new()).unwrap()).await;
    assert_eq!(status, 500);
    detail(500, &body);
}

/// A body that does not arrive.
enum Missing {
    Never,
    BrokenOff,
}

impl Body for Missing {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        match *self {
            Self::Never => Poll::Pending,
            Self::BrokenOff => Poll::Ready(Some(Err(std::io::Error::other("reset")))),
        }
    }
}
