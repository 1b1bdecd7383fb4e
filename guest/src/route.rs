//! Method and path to a route.
//!
//! Real clients send trailing slashes, double slashes and `/users`; all mean what they should (never a redirect, which
//! would lose a body).

use crate::compat::{Compat, Tolerance};
use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::schema::{Registry, ResourceType};

/// What a request is for.
#[derive(Clone, Debug)]
pub enum Route<'r> {
    /// What the server tells about itself.
    Discovery(Discovery),
    /// `POST /Bulk` (RFC 7644 §3.7)
    Bulk,
    /// Resources of a type.
    Resources(&'r ResourceType, Action),
    /// The tenant's configuration: the path's segments below `/admin`.
    Admin(Vec<String>),
    /// `GET /` or `POST /.search`: resources of all types (RFC 7644 §3.4.2.1, §3.4.3).
    Root(Parameters),
    /// `/Me`: the resource of whoever asks (RFC 7644 §3.11).
    Me(Me),
}

/// Where a search takes its parameters from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// The query string.
    Url,
    /// The body, a SearchRequest (RFC 7644 §3.4.3).
    Body,
}

/// What to do with the resource of whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Me {
    /// `GET /Me`
    Read,
    /// `PUT /Me`
    Replace,
    /// `PATCH /Me`
    Patch,
    /// `DELETE /Me`
    Delete,
    /// `POST /Me`
    Create,
}

/// The discovery endpoints (RFC 7644 §4); GET only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// `/ServiceProviderConfig`
    ServiceProviderConfig,
    /// `/ResourceTypes`, or the one named
    ResourceTypes(Option<String>),
    /// `/Schemas`, or the one with this URN
    Schemas(Option<String>),
}

/// What to do with resources of a type (RFC 7644 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `GET /Users` or `POST /Users/.search`
    Search(Parameters),
    /// `POST /Users`
    Create,
    /// `GET /Users/{id}`
    Read(String),
    /// `PUT /Users/{id}`
    Replace(String),
    /// `PATCH /Users/{id}`
    Patch(String),
    /// `DELETE /Users/{id}`
    Delete(String),
}

impl Route<'_> {
    /// Whether it may change anything.
    pub fn writes(&self) -> bool {
        match self {
            Self::Discovery(_) | Self::Root(_) | Self::Me(Me::Read) => false,
            Self::Resources(_, action) => !matches!(action, Action::Search(_) | Action::Read(_)),
            Self::Admin(_) | Self::Bulk | Self::Me(_) => true,
        }
    }
}

/// What a search by POST is called.
const SEARCH: &str = ".search";
/// What `/Me` takes.
const ME_ALLOW: &str = "GET, HEAD, PUT, PATCH, DELETE, OPTIONS";

/// The route of a request, or 404, 405, 501. HEAD goes where GET goes (RFC 9110 §9.3.2); no route takes OPTIONS, whose
/// answer is what its 405 would allow.
pub fn route<'r>(registry: &'r Registry, method: &str, path: &str, compat: &mut Compat) -> Result<Route<'r>> {
    let route = find(registry, method, path)?;
    // What is below /admin is no SCIM, and stays within reach whatever the profile.
    if !matches!(route, Route::Admin(_)) && !is_canonical(registry, path) {
        compat.accept(Tolerance::UrlPath, &excerpt(path))?;
    }
    Ok(route)
}

/// Whether the path of a route is written as in RFC 7644 §3.2: single slashes, none at the end, endpoints in their case.
fn is_canonical(registry: &Registry, path: &str) -> bool {
    const ENDPOINTS: [&str; 6] = ["ServiceProviderConfig", "ResourceTypes", "Schemas", "Bulk", "Me", SEARCH];
    if path.is_empty() || path == "/" {
        return true;
    }
    let Some(segments) = path.strip_prefix('/') else { return false };
    let first = segments.split('/').next().unwrap_or_default();
    let known = ENDPOINTS.contains(&first)
        || registry.by_endpoint(first).is_some_and(|ty| ty.endpoint.trim_start_matches('/') == first);
    known && segments.split('/').all(|segment| !segment.is_empty())
}

fn find<'r>(registry: &'r Registry, method: &str, path: &str) -> Result<Route<'r>> {
    let segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(decode).collect::<Result<_>>()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = if method == "HEAD" { "GET" } else { method };
    let Some((first, rest)) = segments.split_first() else {
        return match method {
            "GET" => Ok(Route::Root(Parameters::Url)),
            _ => Err(not_allowed(method, path, "GET, HEAD, OPTIONS")),
        };
    };
    if first.eq_ignore_ascii_case("admin") {
        return Ok(Route::Admin(rest.iter().map(|segment| (*segment).to_owned()).collect()));
    }
    if let Some(resource_type) = registry.by_endpoint(first) {
        return Ok(Route::Resources(resource_type, action(registry, method, path, rest)?));
    }
    let name = rest.first().map(|name| (*name).to_owned());
    // Some clients use the singular, or the plural of SCIM 1.1.
    let discovery = match (first.to_ascii_lowercase().as_str(), rest.len()) {
        ("serviceproviderconfig" | "serviceproviderconfigs", 0) => Discovery::ServiceProviderConfig,
        ("resourcetypes" | "resourcetype", 0 | 1) => Discovery::ResourceTypes(name),
        ("schemas", 0 | 1) => Discovery::Schemas(name),
        ("bulk", 0) if method == "POST" => return Ok(Route::Bulk),
        ("bulk", 0) => return Err(not_allowed(method, path, "POST, OPTIONS")),
        ("me", 0) => return me(method, path).map(Route::Me),
        (SEARCH, 0) => return by_post(method, path).map(Route::Root),
        _ => return Err(unknown(registry, path)),
    };
    match method {
        "GET" => Ok(Route::Discovery(discovery)),
        _ => Err(not_allowed(method, path, "GET, HEAD, OPTIONS")),
    }
}

fn action(registry: &Registry, method: &str, path: &str, rest: &[&str]) -> Result<Action> {
    match (rest, method) {
        ([], "GET") => Ok(Action::Search(Parameters::Url)),
        ([], "POST") => Ok(Action::Create),
        ([], _) => Err(not_allowed(method, path, "GET, HEAD, POST, OPTIONS")),
        ([SEARCH], _) => by_post(method, path).map(Action::Search),
        ([id], "GET") => Ok(Action::Read((*id).to_owned())),
        ([id], "PUT") => Ok(Action::Replace((*id).to_owned())),
        ([id], "PATCH") => Ok(Action::Patch((*id).to_owned())),
        ([id], "DELETE") => Ok(Action::Delete((*id).to_owned())),
        ([_], _) => Err(not_allowed(method, path, "GET, HEAD, PUT, PATCH, DELETE, OPTIONS")),
        _ => Err(unknown(registry, path)),
    }
}

fn by_post(method: &str, path: &str) -> Result<Parameters> {
    match method {
        "POST" => Ok(Parameters::Body),
        _ => Err(not_allowed(method, path, "POST, OPTIONS")),
    }
}

fn me(method: &str, path: &str) -> Result<Me> {
    match method {
        "GET" => Ok(Me::Read),
        "PUT" => Ok(Me::Replace),
        "PATCH" => Ok(Me::Patch),
        "DELETE" => Ok(Me::Delete),
        // Whether it is 405 or 501 is the tenant's configuration.
        "POST" => Ok(Me::Create),
        _ => Err(not_allowed(method, path, ME_ALLOW)),
    }
}

fn decode(segment: &str) -> Result<String> {
    crate::query::percent_decode(segment).map_err(|why| {
        ScimError::new(ErrorKind::NotFound, format!("The path segment `{segment}` is malformed: {why}."))
    })
}

fn unknown(registry: &Registry, path: &str) -> ScimError {
    let mut offered: Vec<&str> = registry.resource_types.iter().map(|t| t.endpoint.as_ref()).collect();
    offered.extend(["/Bulk", "/ServiceProviderConfig", "/ResourceTypes", "/Schemas"]);
    ScimError::new(
        ErrorKind::NotFound,
        format!("`{path}` is no endpoint of this server. It offers {}.", offered.join(", ")),
    )
}

/// 405 for `POST /Me`: whoever asks has a resource already (RFC 7644 §3.11).
pub fn me_exists() -> ScimError {
    not_allowed("POST", "/Me", ME_ALLOW)
}

fn not_allowed(method: &str, path: &str, allow: &'static str) -> ScimError {
    ScimError::new(
        ErrorKind::MethodNotAllowed { allow },
        format!("{method} is not offered at `{path}`. It takes {allow}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::REGISTRY;

    fn check(method: &str, path: &str, expect: &str) {
        let found = match find(&REGISTRY, method, path) {
            Ok(Route::Bulk) => "Bulk".to_owned(),
            Ok(Route::Discovery(discovery)) => format!("{discovery:?}"),
            Ok(Route::Admin(segments)) => format!("admin {segments:?}"),
            Ok(Route::Resources(resource_type, action)) => format!("{} {action:?}", resource_type.name),
            Ok(Route::Root(parameters)) => format!("Root {parameters:?}"),
            Ok(Route::Me(me)) => format!("Me {me:?}"),
            Err(error) => error.kind.table().0.to_string(),
        };
        assert_eq!(found, expect, "{method} {path}");
    }

    #[test]
    fn resources() {
        check("GET", "/Users", "User Search(Url)");
        check("POST", "/Groups", "Group Create");
        check("GET", "/Users/1", "User Read(\"1\")");
        check("PUT", "/Users/1", "User Replace(\"1\")");
        check("PATCH", "/Users/a%20b", "User Patch(\"a b\")");
        check("DELETE", "/Groups/1", "Group Delete(\"1\")");
    }

    #[test]
    fn bulk_takes_post_only() {
        check("POST", "/Bulk", "Bulk");
        check("POST", "/bulk/", "Bulk");
        check("PUT", "/Bulk", "405");
    }

    #[test]
    fn what_clients_make_of_urls() {
        check("GET", "/users/", "User Search(Url)");
        check("GET", "//Users", "User Search(Url)");
        check("GET", "Users//1/", "User Read(\"1\")");
        check("GET", "/ResourceType/User", "ResourceTypes(Some(\"User\"))");
    }

    #[test]
    fn what_is_written_otherwise_takes_a_tolerance() {
        let needs = |method, path| {
            let strict = &mut Compat::refusing([Tolerance::UrlPath]);
            route(&REGISTRY, method, path, strict).map_err(|error| error.detail).err()
        };
        for path in ["", "/", "/Users", "/Users/1", "/Groups/a%20b", "/Schemas/urn:x", "/Me", "/admin/log/", "//Admin"]
        {
            assert_eq!(needs("GET", path), None, "{path}");
        }
        assert_eq!(needs("POST", "/Users/.search"), None);
        for path in ["/Users/", "//Users", "/users", "Users", "/Users//1", "/ResourceType/User", "//"] {
            let detail = needs("GET", path).expect(path);
            assert!(detail.starts_with(path) && detail.contains("`url-path` is off"), "{detail}");
        }
    }

    #[test]
    fn discovery_takes_get_only() {
        check("GET", "/ServiceProviderConfig", "ServiceProviderConfig");
        check("GET", "/Schemas", "Schemas(None)");
        check("POST", "/Schemas", "405");
    }

    #[test]
    fn searches() {
        check("GET", "/", "Root Url");
        check("GET", "", "Root Url");
        check("POST", "/.search", "Root Body");
        check("POST", "/Users/.search", "User Search(Body)");
        check("POST", "/", "405");
        check("GET", "/.search", "405");
        check("GET", "/Users/.search", "405");
        let writes = |method, path| find(&REGISTRY, method, path).unwrap().writes();
        assert!(!writes("POST", "/.search") && !writes("POST", "/Users/.search") && !writes("GET", "/Me"));
        assert!(writes("PUT", "/Me") && writes("POST", "/Me") && writes("POST", "/Users"));
    }

    #[test]
    fn me_takes_what_a_user_takes() {
        check("GET", "/Me", "Me Read");
        check("HEAD", "/me/", "Me Read");
        check("PUT", "/Me", "Me Replace");
        check("PATCH", "/Me", "Me Patch");
        check("DELETE", "/Me", "Me Delete");
        check("POST", "/Me", "Me Create");
    }

    #[test]
    fn every_place_tells_its_methods() {
        let allow = |path| match find(&REGISTRY, "OPTIONS", path).map_err(|error| error.kind) {
            Err(ErrorKind::MethodNotAllowed { allow }) => allow,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(allow("/"), "GET, HEAD, OPTIONS");
        assert_eq!(allow("/Users"), "GET, HEAD, POST, OPTIONS");
        assert_eq!(allow("/Users/1"), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
        assert_eq!(allow("/Me"), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
        assert_eq!(allow("/Groups/.search"), "POST, OPTIONS");
        assert_eq!(allow("/Schemas"), "GET, HEAD, OPTIONS");
    }

    #[test]
    fn what_is_not_there() {
        check("GET", "/Devices", "404");
        check("GET", "/Users/1/2", "404");
        check("GET", "/Users/%zz", "404");
        check("DELETE", "/Users", "405");
        check("POST", "/Users/1", "405");
        check("POST", "/Bulk/1", "404");
        check("GET", "/Bulk", "405");
        check("GET", "/Me/1", "404");
        check("POST", "/Users/1/.search", "404");
    }
}
