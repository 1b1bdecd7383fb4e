//! Outgoing requests, to the hosts that the manifest allows.

use std::sync::Arc;

use http::header::HOST;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::Manifest;

/// Sends what may be sent, over HTTP/1.1 without TLS.
pub(crate) struct Outbound {
    pub(crate) allowed: Arc<Manifest>,
}

/// What goes on until a body is read.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Rest,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Rest), Error>> + Send> {
        let origin = format!(
            "{}://{}",
            request.uri().scheme_str().unwrap_or("https"),
            request.uri().authority().map_or("", http::uri::Authority::as_str)
        );
        let allowed = self.allowed.outbound.contains(&origin);
        Box::new(async move {
            if !allowed {
                return Err(Error::HttpRequestDenied);
            }
            let timeout = options.and_then(|options| options.first_byte_timeout);
            let sent = send(request);
            match timeout {
                Some(limit) => tokio::time::timeout(limit, sent).await.unwrap_or(Err(Error::ConnectionReadTimeout)),
                None => sent.await,
            }
        })
    }
}

async fn send(mut request: http::Request<WasiBody>) -> Result<(http::Response<WasiBody>, Rest), Error> {
    let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let stream = TcpStream::connect(&authority).await.map_err(|_| Error::ConnectionRefused)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Error::HttpProtocolError)?;
    // It lasts until the response's body is read.
    tokio::spawn(connection);
    let host = http::HeaderValue::try_from(authority).map_err(|_| Error::HttpRequestUriInvalid)?;
    request.headers_mut().insert(HOST, host);
    let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    *request.uri_mut() = target.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
    let response = sender.send_request(request).await.map_err(|_| Error::HttpProtocolError)?;
    let response = response.map(|body| body.map_err(|_| Error::HttpProtocolError).boxed_unsync());
    Ok((response, Box::new(std::future::ready(Ok(())))))
}
