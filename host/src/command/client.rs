//! Requests to a running server: HTTP/1.1, TLS where the URL says so.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::uri::Authority;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::CommandError;
use super::target::accepted;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take: some changes of the configuration read everything.
const ANSWER: Duration = Duration::from_mins(10);
/// Bytes of an answer at most.
const BODY: usize = 64 * 1024 * 1024;

/// What requests go through, one at a time.
pub(super) type Connection = http1::SendRequest<Full<Bytes>>;

/// A running server and the token for it.
pub(super) struct Client {
    url: String,
    secure: bool,
    authority: Authority,
    authorization: HeaderValue,
}

impl Client {
    /// The server at this URL; what clients are given, with `/scim/v2` at its end, is understood too.
    pub(super) fn new(url: &str, token: Option<&str>) -> Result<Self, CommandError> {
        let bad = || CommandError::ServerUrl(url.to_owned());
        let trimmed = url.trim_end_matches('/');
        let trimmed = trimmed.strip_suffix("/scim/v2").unwrap_or(trimmed).trim_end_matches('/');
        let uri: Uri = trimmed.parse().map_err(|_| bad())?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad()),
        };
        let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(bad)?.clone();
        if uri.query().is_some() {
            return Err(bad());
        }
        let token = token.map(str::trim).filter(|token| !token.is_empty()).ok_or(CommandError::AdminToken)?;
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| CommandError::AdminToken)?;
        authorization.set_sensitive(true);
        Ok(Self { url: trimmed.to_owned(), secure, authority, authorization })
    }

    /// One request; the body of its answer, if it is a success.
    pub(super) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, CommandError> {
        let json = [("content-type", "application/json")];
        let headers = if body.is_some() { json.as_slice() } else { &[] };
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut connection = self.connect().await?;
        let response = self.send(&mut connection, method, path, headers, Bytes::from(body)).await?;
        let status = response.status().as_u16();
        let body = self.body(response).await?;
        match serde_json::from_slice(&body) {
            Ok(body) => accepted(status, body),
            Err(_) if body.is_empty() => accepted(status, Value::Null),
            Err(error) => Err(self.unexpected(format!("its answer with status {status} is not JSON: {error}"))),
        }
    }

    /// A connection for as many requests as are wanted, one after the other.
    pub(super) async fn connect(&self) -> Result<Connection, CommandError> {
        let host = self.authority.host();
        let port = self.authority.port_u16().unwrap_or(if self.secure { 443 } else { 80 });
        // Brackets belong to the URL, not to the address.
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let stream = self.within(CONNECT, TcpStream::connect((name, port))).await?;
        // Requests are whole: waiting to fill a packet only delays them.
        stream.set_nodelay(true).map_err(|error| self.unreachable(&error))?;
        match self.secure {
            false => self.handshake(stream).await,
            true => {
                let server = ServerName::try_from(name.to_owned()).map_err(|error| self.unreachable(&error))?;
                let connecting = connector().map_err(|error| self.unreachable(&error))?.connect(server, stream);
                self.handshake(self.within(CONNECT, connecting).await?).await
            }
        }
    }

    async fn handshake<S>(&self, stream: S) -> Result<Connection, CommandError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) =
            self.within(CONNECT, http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))).await?;
        // What it may fail with, the request fails with too.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// One request; its answer, whose body is still to be read.
    pub(super) async fn send(
        &self,
        connection: &mut Connection,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response<Incoming>, CommandError> {
        let prefix = self.url.parse::<Uri>().map(|uri| uri.path().trim_end_matches('/').to_owned()).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{prefix}{path}"))
            .header(HOST, self.authority.as_str())
            .header(AUTHORIZATION, &self.authorization);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(|error| self.unreachable(&error))?;
        self.within(ANSWER, connection.send_request(request)).await
    }

    /// The whole body of an answer.
    pub(super) async fn body(&self, response: Response<Incoming>) -> Result<Bytes, CommandError> {
        Ok(self.within(ANSWER, Limited::new(response.into_body(), BODY).collect()).await?.to_bytes())
    }

    /// Where the server is, for people.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// An answer that no scimwell gives.
    pub(super) fn unexpected(&self, reason: String) -> CommandError {
        CommandError::Answer { url: self.url.clone(), reason }
    }

    async fn within<T, E: std::fmt::Display>(
        &self,
        limit: Duration,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CommandError> {
        match tokio::time::timeout(limit, step).await {
            Ok(done) => done.map_err(|error| self.unreachable(&error)),
            Err(_elapsed) => Err(self.unreachable(&format!("no answer within {} seconds", limit.as_secs()))),
        }
    }

    pub(super) fn unreachable(&self, reason: &dyn std::fmt::Display) -> CommandError {
        CommandError::Unreachable { url: self.url.clone(), reason: reason.to_string() }
    }
}

/// Trusts what the machine trusts; `SSL_CERT_FILE` names others.
pub(crate) fn connector() -> Result<TlsConnector, tokio_rustls::rustls::Error> {
    let mut roots = RootCertStore::empty();
    // Those that can't be read or parsed are left out; if none is left, the handshake says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expect: Option<(&str, bool)>) {
        let client = Client::new(url, Some("T")).ok();
        assert_eq!(client.as_ref().map(|client| (client.url.as_str(), client.secure)), expect, "{url}");
    }

    #[test]
    fn server_urls() {
        check("https://scim.example.com", Some(("https://scim.example.com", true)));
        check("http://[::1]:8080/", Some(("http://[::1]:8080", false)));
        check("https://example.com/api/scim/v2/", Some(("https://example.com/api", true)));
        check("scim.example.com", None);
        check("ftp://example.com", None);
        check("https://example.com/?a", None);
    }

    #[test]
    fn tokens() {
        for token in [None, Some(""), Some(" "), Some("a\nb")] {
            assert!(matches!(Client::new("http://h", token), Err(CommandError::AdminToken)), "{token:?}");
        }
    }
}
