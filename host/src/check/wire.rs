//! HTTP to the server under check: HTTP/1.1, TLS where the URL says so, connections kept as providers keep them.
//!
//! Architecture invariant: nothing here knows SCIM, and nothing is repeated that the server may have taken.

use std::fmt;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::CheckError;

/// Bytes of an answer at most.
const BODY: usize = 64 * 1024 * 1024;

/// A request as it goes out; the path is below the SCIM base.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An answer as it came in.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// How long it took.
    pub(super) took: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WireError {
    /// No connection: nothing was sent.
    Connect(String),
    /// The connection broke off, or what came over it is not HTTP.
    Broken(String),
    /// Nothing within so many seconds.
    Slow(u64),
    /// The request can't be written as HTTP.
    Request(String),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(reason) => write!(f, "cannot connect: {reason}"),
            Self::Broken(reason) => write!(f, "the connection broke off: {reason}"),
            Self::Slow(seconds) => write!(f, "no answer within {seconds} seconds"),
            Self::Request(reason) => write!(f, "cannot be sent: {reason}"),
        }
    }
}

/// The way to one server.
pub(super) struct Wire {
    authority: Authority,
    /// What stands before each path: `/scim/v2`.
    prefix: String,
    tls: Option<TlsConnector>,
    timeout: Duration,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Wire {
    /// The way to the SCIM base at this URL.
    pub(super) fn new(url: &str, timeout: Duration) -> Result<Self, CheckError> {
        let bad = || CheckError::Url(url.to_owned());
        let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| bad())?;
        let tls = match uri.scheme_str() {
            Some("https") => Some(crate::command::connector().map_err(|error| CheckError::Tls(error.to_string()))?),
            Some("http") => None,
            _ => return Err(bad()),
        };
        let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(bad)?.clone();
        // A token belongs into --token; one in the URL would be shown in every report.
        if uri.query().is_some() || authority.as_str().contains('@') {
            return Err(bad());
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { authority, prefix, tls, timeout, idle: Mutex::new(Vec::new()) })
    }

    /// Host and port as the URL has them.
    pub(super) fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// What stands before each path.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// One request and its answer.
    pub(super) async fn exchange(&self, outgoing: &Outgoing) -> Result<Incoming, WireError> {
        let started = Instant::now();
        let limit = tokio::time::timeout(self.timeout, self.send(outgoing));
        let mut incoming = limit.await.map_err(|_elapsed| WireError::Slow(self.timeout.as_secs()))??;
        incoming.took = started.elapsed();
        Ok(incoming)
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<Incoming, WireError> {
        let mut request = self.request(outgoing)?;
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let fresh = kept.is_none();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            if sender.ready().await.is_err() {
                if fresh {
                    return Err(WireError::Broken("closed before the request".to_owned()));
                }
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    let body = Limited::new(body, BODY).collect().await.map_err(|error| broken(&*error))?.to_bytes();
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
                    let status = head.status.as_u16();
                    return Ok(Incoming { status, headers: head.headers, body, took: Duration::ZERO });
                }
                // A kept connection that the server had closed: the request comes back unsent, and goes out on another.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !fresh => request = unsent,
                    _ => return Err(broken(error.error())),
                },
            }
        }
    }

    fn request(&self, outgoing: &Outgoing) -> Result<Request<Full<Bytes>>, WireError> {
        let mut request = Request::builder()
            .method(outgoing.method.clone())
            .uri(format!("{}{}", self.prefix, outgoing.path))
            .header(HOST, self.authority.as_str());
        for (name, value) in &outgoing.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(outgoing.body.clone())).map_err(|error| WireError::Request(error.to_string()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, WireError> {
        let port = self.authority.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        // Brackets belong to the URL, not to the address.
        let name = self.authority.host().trim_start_matches('[').trim_end_matches(']');
        let stream = connected(TcpStream::connect((name, port))).await?;
        // Requests are small and wait for their answers.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => handshake(stream).await,
            Some(tls) => {
                let server =
                    ServerName::try_from(name.to_owned()).map_err(|error| WireError::Connect(error.to_string()))?;
                handshake(connected(tls.connect(server, stream)).await?).await
            }
        }
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = connected(http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))).await?;
    // What it may fail with, the request fails with too.
    tokio::spawn(connection);
    Ok(sender)
}

async fn connected<T, E: fmt::Display>(step: impl Future<Output = Result<T, E>>) -> Result<T, WireError> {
    step.await.map_err(|error| WireError::Connect(error.to_string()))
}

fn broken(error: &dyn std::error::Error) -> WireError {
    // hyper's own words say what it was doing; its source says what happened.
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    WireError::Broken(format!("{error}{source}"))
}

/// The headers that every request carries for authentication: the token's, and those of `--header`.
pub(super) fn credentials(token: Option<&str>, headers: &[String]) -> Result<HeaderMap, CheckError> {
    let mut map = HeaderMap::new();
    if let Some(token) = token {
        let value = HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(|_| CheckError::Token)?;
        map.insert(AUTHORIZATION, value);
    }
    for header in headers {
        let bad = || CheckError::Header(header.split(':').next().unwrap_or_default().to_owned());
        let (name, value) = header.split_once(':').ok_or_else(bad)?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| bad())?;
        map.insert(name, HeaderValue::try_from(value.trim()).map_err(|_| bad())?);
    }
    if map.is_empty() {
        return Err(CheckError::Token);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expect: Option<(&str, &str)>) {
        let wire = Wire::new(url, Duration::from_secs(1)).ok();
        assert_eq!(wire.as_ref().map(|wire| (wire.authority(), wire.prefix())), expect, "{url}");
    }

    #[test]
    fn urls() {
        check("https://example.com/scim/v2/", Some(("example.com", "/scim/v2")));
        check("http://[::1]:8080", Some(("[::1]:8080", "")));
        check("http://user:secret@example.com/", None);
        check("example.com/scim", None);
        check("ftp://example.com", None);
        check("https://example.com/?token=x", None);
    }

    #[test]
    fn what_authenticates() {
        let headers = |list: &[&str]| list.iter().map(|header| (*header).to_owned()).collect::<Vec<_>>();
        assert_eq!(credentials(Some(" T "), &[]).expect("a token")[AUTHORIZATION], "Bearer T");
        assert_eq!(credentials(None, &headers(&["X-Api-Key: k:1"])).expect("a header")["x-api-key"], "k:1");
        assert!(credentials(None, &[]).is_err() && credentials(Some("a\nb"), &[]).is_err());
        assert!(credentials(Some("T"), &headers(&["no colon"])).is_err());
    }
}
