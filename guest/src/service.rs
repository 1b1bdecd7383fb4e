//! What a bare HTTP host leaves to the component: which part of a URL is the SCIM base, which tenant it names, what the
//! public URL is. For the world `service`; hosts of the world `provider` do this themselves.

use crate::error::{ErrorKind, ScimError};
use crate::http::{Request, Response};
use crate::render;

/// Where SCIM begins in a path.
const BASE: &str = "/scim/v2";
/// Bytes of a request body at most.
pub const MAX_BODY: usize = 16 * 1024 * 1024;

/// Split a request for `https://host/any/prefix/t/acme/scim/v2/Users` into base URL, tenant hint and target.
///
/// `target` is the whole path and query and `base_url` the scheme and authority that the host saw; proxies' headers
/// (`X-Forwarded-Proto`, `X-Forwarded-Host`) go before them. Hosts do not strip the prefix of a route, so everything up to
/// `/scim/v2` belongs to the base. Elsewhere there is nothing: 404.
///
/// `public` is what was configured to stand for all of that: the URL before `/t/acme/scim/v2`.
pub fn split(mut request: Request, public: Option<&str>) -> Result<Request, Response> {
    let (path, query) = match request.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (request.target.as_str(), None),
    };
    let Some(at) = base_end(path) else { return Err(outside(path)) };
    let (prefix, rest) = path.split_at(at);
    let tenant_hint = tenant(&prefix[..prefix.len() - BASE.len()]);
    let base_url = match (public, &tenant_hint) {
        (None, _) => format!("{}{prefix}", origin(&request)),
        (Some(public), None) => format!("{}{BASE}", configured(public)?),
        (Some(public), Some(tenant)) => format!("{}/t/{tenant}{BASE}", configured(public)?),
    };
    let target = match query {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    request.base_url = base_url;
    request.tenant_hint = tenant_hint;
    request.target = target;
    Ok(request)
}

/// The configured public URL without what is added to it, or the answer as long as it is no URL that clients could use.
fn configured(url: &str) -> Result<&str, Response> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let (authority, _) = rest.map_or(("", ""), |rest| rest.split_once('/').unwrap_or((rest, "")));
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
    if authority.is_empty() || authority.contains('@') || !url.bytes().all(is_plain) {
        return Err(render::error(&ScimError::new(
            ErrorKind::Internal,
            "The server's base URL is configured wrongly. Its operator should give it as https://scim.example.com.",
        )));
    }
    let url = url.trim_end_matches('/');
    Ok(url.strip_suffix(BASE).unwrap_or(url))
}

/// 413 for a body over [`MAX_BODY`].
pub fn body_too_large() -> Response {
    render::error(&ScimError::new(
        ErrorKind::PayloadTooLarge,
        format!("The body is larger than {MAX_BODY} bytes. Split the request into smaller ones."),
    ))
}

/// 400 for a body that broke off.
pub fn broken_body() -> Response {
    render::error(&ScimError::new(ErrorKind::InvalidSyntax, "The request's body broke off. Send it again."))
}

fn outside(path: &str) -> Response {
    render::error(&ScimError::new(
        ErrorKind::NotFound,
        format!("`{path}` is outside the SCIM base path. The base URL ends in {BASE}: …{BASE}/Users."),
    ))
}

/// Where the first `/scim/v2` that is followed by a slash or nothing ends.
fn base_end(path: &str) -> Option<usize> {
    let ends = path.match_indices(BASE).map(|(at, base)| at + base.len());
    ends.into_iter().find(|end| path[*end..].is_empty() || path[*end..].starts_with('/'))
}

/// The tenant of a prefix that ends in `/t/{tenant}`.
fn tenant(prefix: &str) -> Option<String> {
    let (before, tenant) = prefix.rsplit_once('/')?;
    (before.ends_with("/t") && !tenant.is_empty()).then(|| tenant.to_owned())
}

/// Scheme and authority as the client sees them.
fn origin(request: &Request) -> String {
    let (scheme, authority) = request.base_url.split_once("://").unwrap_or(("https", ""));
    // Each proxy adds its own value; the first is the client's.
    let first = |name| request.header(name).and_then(|v| v.split(',').next()).map(str::trim).filter(|v| !v.is_empty());
    let scheme = first("x-forwarded-proto").unwrap_or(scheme);
    let authority = first("x-forwarded-host").or_else(|| first("host")).unwrap_or(authority);
    format!("{scheme}://{authority}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Header;

    fn check(target: &str, expect: Option<(&str, Option<&str>, &str)>) {
        let request = Request { target: target.into(), base_url: "http://h".into(), ..Request::default() };
        let found = split(request, None).ok().map(|r| (r.base_url, r.tenant_hint, r.target));
        let expect = expect.map(|(base, tenant, target)| (base.into(), tenant.map(Into::into), target.into()));
        assert_eq!(found, expect, "{target}");
    }

    #[test]
    fn base_tenant_and_target() {
        check("/scim/v2/Users?a=b", Some(("http://h/scim/v2", None, "/Users?a=b")));
        check("/scim/v2", Some(("http://h/scim/v2", None, "")));
        check("/t/acme/scim/v2/Users/1", Some(("http://h/t/acme/scim/v2", Some("acme"), "/Users/1")));
        check("/x/t/acme/scim/v2//Users", Some(("http://h/x/t/acme/scim/v2", Some("acme"), "//Users")));
        check("/scim/v2/Users?next=/t/x/scim/v2", Some(("http://h/scim/v2", None, "/Users?next=/t/x/scim/v2")));
        check("/scim/v20/Users", None);
        check("/Users", None);
    }

    #[test]
    fn proxies_tell_the_public_origin() {
        let headers =
            vec![Header::new("x-forwarded-proto", "https, http"), Header::new("x-forwarded-host", "p.example")];
        let request =
            Request { target: "/scim/v2/Users".into(), base_url: "http://h".into(), headers, ..Request::default() };
        assert_eq!(split(request.clone(), None).map(|r| r.base_url), Ok("https://p.example/scim/v2".into()));
        let configured = split(request, Some("https://q.example")).map(|r| r.base_url);
        assert_eq!(configured, Ok("https://q.example/scim/v2".into()));
    }

    #[track_caller]
    fn public(url: &str, target: &str, expect: Option<&str>) {
        let request = Request { target: target.into(), base_url: "http://h".into(), ..Request::default() };
        match (split(request, Some(url)), expect) {
            (Ok(request), expect) => assert_eq!(Some(request.base_url.as_str()), expect, "{url}"),
            (Err(response), expect) => assert_eq!((response.status, None), (500, expect), "{url}"),
        }
    }

    #[test]
    fn a_configured_base_url_stands_for_all_before_the_tenant() {
        public("https://p.example", "/any/where/scim/v2/Users", Some("https://p.example/scim/v2"));
        public("https://p.example/", "/t/acme/scim/v2/Users", Some("https://p.example/t/acme/scim/v2"));
        public("http://p.example:81/id/", "/x/t/acme/scim/v2", Some("http://p.example:81/id/t/acme/scim/v2"));
        public("https://p.example/id/scim/v2", "/t/acme/scim/v2", Some("https://p.example/id/t/acme/scim/v2"));
        for wrong in [
            "",
            "p.example",
            "//p.example",
            "ftp://p.example",
            "https://",
            "https:///id",
            "https://p.example?a",
            "https://p.example/#a",
            "https://u@p.example",
            "https://p.example/a b",
            "https://p.example\r\nA: b",
        ] {
            public(wrong, "/scim/v2/Users", None);
        }
    }
}
