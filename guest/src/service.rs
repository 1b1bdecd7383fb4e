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
pub fn split(mut request: Request) -> Result<Request, Response> {
    let (path, query) = match request.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (request.target.as_str(), None),
    };
    let Some(at) = base_end(path) else { return Err(outside(path)) };
    let (prefix, rest) = path.split_at(at);
    let base_url = format!("{}{prefix}", origin(&request));
    let tenant_hint = tenant(&prefix[..prefix.len() - BASE.len()]);
    let target = match query {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    request.base_url = base_url;
    request.tenant_hint = tenant_hint;
    request.target = target;
    Ok(request)
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
        let found = split(request).ok().map(|r| (r.base_url, r.tenant_hint, r.target));
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
        assert_eq!(split(request).map(|r| r.base_url), Ok("https://p.example/scim/v2".into()));
    }
}
