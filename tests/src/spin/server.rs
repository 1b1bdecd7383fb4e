//! The HTTP side of the stand-in.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use wasmtime_wasi_http::WasiBody;

use super::Application;

/// Serves the application until the process ends.
pub async fn serve(listener: TcpListener, application: Arc<Application>) -> std::io::Result<Infallible> {
    loop {
        // As in Spin, without TCP_NODELAY: what leaves in two writes waits for the client's acknowledgement.
        let (stream, _) = listener.accept().await?;
        let application = Arc::clone(&application);
        let service = service_fn(move |request| {
            let application = Arc::clone(&application);
            async move { Ok::<_, Infallible>(answer(&application, request).await) }
        });
        tokio::spawn(async move {
            // A client that goes away is no failure of the server.
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(application: &Application, request: http::Request<Incoming>) -> http::Response<WasiBody> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return plain(http::StatusCode::BAD_REQUEST) };
    match application.handle(http::Request::from_parts(parts, body.to_bytes())).await {
        Ok(response) => response,
        Err(error) => {
            eprintln!("the instance failed: {error:?}");
            plain(http::StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

fn plain(status: http::StatusCode) -> http::Response<WasiBody> {
    let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync();
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    response
}
