//! The provider as a tower service, to mount in any hyper, tower or axum application.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};

use crate::authenticator::Principal;
use crate::provider::{self, Handled, Provider, Request, Response};

/// Bytes of a request's body at most, where nothing else is configured.
pub const DEFAULT_BODY_LIMIT: usize = 16 * 1024 * 1024;

/// A request extension: the address of the peer. Insert it where the transport knows it.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub SocketAddr);

/// A request extension: the subject of the TLS client certificate that the transport has verified.
#[derive(Clone, Debug)]
pub struct ClientCertificateSubject(pub String);

/// A request extension: the connection is TLS, so that the base URL starts with `https` even where the request says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Secure;

/// A response extension: what an access log may say.
#[derive(Clone, Debug)]
pub struct Served {
    /// Whom the request was served for; `None` where nobody was authenticated.
    pub principal: Option<Principal>,
    /// The request's id.
    pub request_id: String,
}

/// Serves `/scim/v2/…`, where the token names the tenant, and `/t/{tenant}/scim/v2/…`, below a prefix of choice.
///
/// It is a `tower::Service` for requests of any body, and never fails: in axum, `Router::fallback_service(service)`.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # use std::sync::Arc;
/// # use scimwell::{Config, Engine, Provider, policy::AllowAll, storage::Memory, tokens::StaticToken};
/// use http_body_util::Full;
/// use scimwell::ScimService;
/// use tower_service::Service;
///
/// # let component = scimwell::component().ok_or("run `cargo xtask build` first")?;
/// # let engine = Arc::new(Engine::new(component, Config::default())?);
/// # let token = Arc::new(StaticToken::new("T", "default"));
/// # let provider = Arc::new(Provider::new(engine, Arc::new(Memory::new()), token, Arc::new(AllowAll)));
/// let mut service = ScimService::new(provider).public_url("https://example.com");
/// let request = http::Request::get("/scim/v2/Users").header("authorization", "Bearer T");
/// let response = service.call(request.body(Full::<bytes::Bytes>::default())?).await?;
/// assert_eq!(response.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ScimService {
    provider: Arc<Provider>,
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    prefix: String,
    public_url: Option<String>,
    body_limit: usize,
}

impl ScimService {
    /// A service at the root, with bodies up to [`DEFAULT_BODY_LIMIT`].
    pub fn new(provider: Arc<Provider>) -> Self {
        let settings = Settings { prefix: String::new(), public_url: None, body_limit: DEFAULT_BODY_LIMIT };
        Self { provider, settings: Arc::new(settings) }
    }

    /// Serves below `prefix`, `/api` for example, where the application does not strip it itself.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        let trimmed = prefix.trim_matches('/');
        let prefix = if trimmed.is_empty() { String::new() } else { format!("/{trimmed}") };
        Arc::make_mut(&mut self.settings).prefix = prefix;
        self
    }

    /// Where clients find what this service serves, `https://example.com/api` for example; a trailing `/scim/v2` is
    /// understood. Without it, it is read from each request: X-Forwarded-Proto and X-Forwarded-Host, else scheme and host.
    #[must_use]
    pub fn public_url(mut self, url: &str) -> Self {
        let url = url.trim_end_matches('/');
        let url = url.strip_suffix("/scim/v2").unwrap_or(url).trim_end_matches('/');
        Arc::make_mut(&mut self.settings).public_url = Some(url.to_owned());
        self
    }

    /// Refuses bodies of more bytes with 413.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        Arc::make_mut(&mut self.settings).body_limit = bytes;
        self
    }

    /// The provider behind it.
    pub fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// The same service with another provider behind it.
    #[cfg(feature = "server")]
    pub(crate) fn on(&self, provider: Provider) -> Self {
        Self { provider: Arc::new(provider), settings: self.settings.clone() }
    }

    async fn serve<B>(&self, request: http::Request<B>) -> http::Response<Full<Bytes>>
    where
        B: Body,
        B::Error: std::fmt::Display,
    {
        let (parts, body) = request.into_parts();
        let headers = headers(&parts.headers);
        let Some((tenant, target)) = split(&parts.uri, &self.settings.prefix) else {
            let detail = format!(
                "Nothing is served here. SCIM is at {0}/scim/v2 and {0}/t/{{tenant}}/scim/v2.",
                self.settings.prefix
            );
            return refuse(404, &detail, &headers);
        };
        let body = match self.read(body, &parts.headers).await {
            Ok(body) => body,
            Err((status, detail)) => return refuse(status, &detail, &headers),
        };
        let handled = self
            .provider
            .handle_detailed(Request {
                method: parts.method.as_str().to_owned(),
                target,
                base_url: self.base_url(&parts, tenant.as_deref()),
                headers,
                body,
                client_certificate_subject: parts.extensions.get().map(|ClientCertificateSubject(name)| name.clone()),
                tenant_hint: tenant,
                remote_address: parts.extensions.get().map(|PeerAddress(address)| address.ip().to_string()),
            })
            .await;
        respond(handled)
    }

    /// The whole body, or the status and detail of a refusal.
    pub(crate) async fn read<B>(&self, body: B, headers: &HeaderMap) -> Result<Vec<u8>, (u16, String)>
    where
        B: Body,
        B::Error: std::fmt::Display,
    {
        let limit = self.settings.body_limit;
        let too_large = || {
            let detail = format!("The request body exceeds {limit} bytes; send fewer operations or resources at once.");
            (413, detail)
        };
        let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut body = std::pin::pin!(body);
        let mut bytes = Vec::new();
        let read = async {
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| (400, format!("The request body broke off: {error}.")))?;
                // Trailers mean nothing here.
                let Ok(mut data) = frame.into_data() else { continue };
                if data.remaining() > limit - bytes.len() {
                    return Err(too_large());
                }
                while data.has_remaining() {
                    let chunk = data.chunk();
                    bytes.extend_from_slice(chunk);
                    let read = chunk.len();
                    data.advance(read);
                }
            }
            Ok(())
        };
        match tokio::time::timeout(self.provider.timeout(), read).await {
            Ok(read) => read.map(|()| bytes),
            Err(_elapsed) => Err((408, "The request body took too long to arrive; send it again.".to_owned())),
        }
    }

    fn base_url(&self, request: &http::request::Parts, tenant: Option<&str>) -> String {
        let root = match &self.settings.public_url {
            Some(url) => url.clone(),
            None => {
                let secure = request.extensions.get::<Secure>().is_some();
                format!("{}{}", origin(&request.uri, &request.headers, secure), self.settings.prefix)
            }
        };
        match tenant {
            Some(tenant) => format!("{root}/t/{tenant}/scim/v2"),
            None => format!("{root}/scim/v2"),
        }
    }
}

impl<B> tower_service::Service<http::Request<B>> for ScimService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: std::fmt::Display + Send,
{
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.serve(request).await) })
    }
}

/// The tenant that the path names, if it names one, and the target below the base path, byte for byte; `None` outside it.
///
/// Identity providers' administrators type this path: slashes too many and another case are let through.
fn split(uri: &Uri, prefix: &str) -> Option<(Option<String>, String)> {
    let whole = uri.path_and_query()?.as_str();
    let (path, query) = whole.split_at(uri.path().len());
    let (first, rest) = segment(path.strip_prefix(prefix)?)?;
    let (tenant, first, rest) = if first.eq_ignore_ascii_case("t") {
        let (tenant, rest) = segment(rest)?;
        let (first, rest) = segment(rest)?;
        (Some(tenant), first, rest)
    } else {
        (None, first, rest)
    };
    let (second, rest) = segment(rest)?;
    if !first.eq_ignore_ascii_case("scim") || !second.eq_ignore_ascii_case("v2") {
        return None;
    }
    if tenant.is_some_and(|tenant| !crate::tenants::is_valid(tenant)) {
        return None;
    }
    let target = if rest.is_empty() { format!("/{query}") } else { format!("{rest}{query}") };
    Some((tenant.map(str::to_owned), target))
}

/// The first segment, and what follows it.
fn segment(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?.trim_start_matches('/');
    let end = path.find('/').unwrap_or(path.len());
    (end > 0).then(|| path.split_at(end))
}

/// Scheme and host as the client knows them.
fn origin(uri: &Uri, headers: &HeaderMap, secure: bool) -> String {
    // Of several proxies, the first is the one that the client spoke to.
    let forwarded = |name: &str| headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim);
    let scheme = forwarded("x-forwarded-proto")
        .into_iter()
        .chain(uri.scheme_str())
        .find(|scheme| matches!(*scheme, "http" | "https"))
        .unwrap_or(if secure { "https" } else { "http" });
    let host = forwarded("x-forwarded-host")
        .into_iter()
        .chain(uri.authority().map(http::uri::Authority::as_str))
        .chain(headers.get(HOST).and_then(|host| host.to_str().ok()))
        .find(|host| is_host(host))
        .unwrap_or("localhost");
    format!("{scheme}://{host}")
}

/// Whether the text can stand as host and port in a URL that others will follow.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
}

pub(crate) fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    // Names of a HeaderMap are in lower case.
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// The value as UTF-8, or else as ISO 8859-1, where each byte is the character of its number.
fn text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().copied().map(char::from).collect(),
    }
}

/// A SCIM Error for a request that does not get as far as the component.
fn refuse(status: u16, detail: &str, headers: &[(String, String)]) -> http::Response<Full<Bytes>> {
    let request_id = provider::request_id(headers);
    respond(Handled { response: Response::error(status, detail), principal: None, request_id })
}

/// The response as HTTP, with what the access log may say.
pub(crate) fn respond(handled: Handled) -> http::Response<Full<Bytes>> {
    let Handled { response, principal, request_id } = handled;
    let mut http = match into_http(response) {
        Ok(http) => http.map(Full::new),
        Err(error) => {
            tracing::error!(request_id, %error, "the component's response is not HTTP");
            let detail =
                format!("The server failed on this request; its log has the cause under request id {request_id}.");
            let Response { body, .. } = Response::error(500, &detail);
            let mut http = http::Response::new(Full::from(body));
            *http.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            http.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(provider::MEDIA_TYPE));
            http
        }
    };
    http.extensions_mut().insert(Served { principal, request_id });
    http
}

pub(crate) fn into_http(response: Response) -> Result<http::Response<Bytes>, http::Error> {
    let mut http = http::Response::builder().status(response.status).body(Bytes::from(response.body))?;
    for (name, value) in response.headers {
        http.headers_mut().append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(http)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, prefix: &str, expect: Option<(Option<&str>, &str)>) {
        let found = split(&uri.parse().unwrap(), prefix);
        assert_eq!(found.as_ref().map(|(tenant, target)| (tenant.as_deref(), target.as_str())), expect);
    }

    #[test]
    fn base_path() {
        check("/scim/v2/Users", "", Some((None, "/Users")));
        check("/scim/v2/Users?filter=a%20eq+%22b%22&", "", Some((None, "/Users?filter=a%20eq+%22b%22&")));
        check("/scim/v2//Users/", "", Some((None, "//Users/")));
        check("//SCIM//V2/Users", "", Some((None, "/Users")));
        check("/scim/v2", "", Some((None, "/")));
        check("/scim/v2?count=1", "", Some((None, "/?count=1")));
        check("https://h/t/acme/scim/v2/Groups", "", Some((Some("acme"), "/Groups")));
        check("/api/t/acme/scim/v2/Groups", "/api", Some((Some("acme"), "/Groups")));
        check("/api/scim/v2/Users", "", None);
        check("/scim/v2/Users", "/api", None);
        check("/scim/v2Users", "", None);
        check("/t/scim/v2/Users", "", None);
        check("/t/a%2Fb/scim/v2/Users", "", None);
        check("/", "", None);
    }

    #[track_caller]
    fn check_origin(uri: &str, sent: &[(&'static str, &'static str)], expect: &str) {
        let headers = sent.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        assert_eq!(origin(&uri.parse().unwrap(), &headers.collect(), false), expect);
    }

    #[test]
    fn origins() {
        check_origin("/", &[("host", "a.example:8080")], "http://a.example:8080");
        check_origin("https://b.example/", &[], "https://b.example");
        check_origin("/", &[("host", "in:1"), ("x-forwarded-host", "out.example")], "http://out.example");
        check_origin("/", &[("host", "h"), ("x-forwarded-proto", "https, http")], "https://h");
        check_origin("/", &[("host", "h"), ("x-forwarded-proto", "javascript")], "http://h");
        check_origin("/", &[("host", "h"), ("x-forwarded-host", "a/\"><b")], "http://h");
        check_origin("/", &[], "http://localhost");
    }

    #[test]
    fn values_that_are_not_utf8() {
        assert_eq!(text(&HeaderValue::from_bytes(b"J\xfcrgen").unwrap()), "Jürgen");
        assert_eq!(text(&HeaderValue::from_bytes("Jürgen".as_bytes()).unwrap()), "Jürgen");
    }

    #[test]
    fn response_that_is_not_http() {
        let handled = |status, value: &str| Handled {
            response: Response { status, headers: vec![("etag".to_owned(), value.to_owned())], body: vec![] },
            principal: None,
            request_id: "r".to_owned(),
        };
        assert_eq!(respond(handled(204, "W/\"1\"")).status(), 204);
        assert_eq!(respond(handled(204, "line\nbreak")).status(), 500);
        assert_eq!(respond(handled(7, "")).status(), 500);
    }
}
