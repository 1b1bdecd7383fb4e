//! Method and path to a route.
//!
//! Real clients send trailing slashes, double slashes and `/users`; all mean what they should (never a redirect, which
//! would lose a body).

use crate::error::{ErrorKind, Result, ScimError};
use crate::schema::{Registry, ResourceType};

/// What a request is for.
#[derive(Clone, Debug)]
pub enum Route<'r> {
    /// What the server tells about itself.
    Discovery(Discovery),
    /// Resources of a type.
    Resources(&'r ResourceType, Action),
    /// The tenant's configuration: the path's segments below `/admin`.
    Admin(Vec<String>),
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
    /// `GET /Users`
    Search,
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
        !matches!(self, Self::Discovery(_) | Self::Resources(_, Action::Search | Action::Read(_)))
    }
}

/// The route of a request, or 404, 405, 501.
pub fn route<'r>(registry: &'r Registry, method: &str, path: &str) -> Result<Route<'r>> {
    let segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(decode).collect::<Result<_>>()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (first, rest) = segments.split_first().ok_or_else(|| unknown(registry, path))?;
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
        ("bulk" | "me", _) | (".search", 0) => return Err(not_offered(first)),
        _ => return Err(unknown(registry, path)),
    };
    match method {
        "GET" => Ok(Route::Discovery(discovery)),
        _ => Err(not_allowed(method, path, "GET")),
    }
}

fn action(registry: &Registry, method: &str, path: &str, rest: &[&str]) -> Result<Action> {
    match (rest, method) {
        ([], "GET") => Ok(Action::Search),
        ([], "POST") => Ok(Action::Create),
        ([], _) => Err(not_allowed(method, path, "GET, POST")),
        ([".search"], _) => Err(not_offered(".search")),
        ([id], "GET") => Ok(Action::Read((*id).to_owned())),
        ([id], "PUT") => Ok(Action::Replace((*id).to_owned())),
        ([id], "PATCH") => Ok(Action::Patch((*id).to_owned())),
        ([id], "DELETE") => Ok(Action::Delete((*id).to_owned())),
        ([_], _) => Err(not_allowed(method, path, "GET, PUT, PATCH, DELETE")),
        _ => Err(unknown(registry, path)),
    }
}

fn decode(segment: &str) -> Result<String> {
    crate::query::percent_decode(segment).map_err(|why| {
        ScimError::new(ErrorKind::NotFound, format!("The path segment `{segment}` is malformed: {why}."))
    })
}

fn unknown(registry: &Registry, path: &str) -> ScimError {
    let mut offered: Vec<&str> = registry.resource_types.iter().map(|t| t.endpoint.as_ref()).collect();
    offered.extend(["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"]);
    ScimError::new(
        ErrorKind::NotFound,
        format!("`{path}` is no endpoint of this server. It offers {}.", offered.join(", ")),
    )
}

fn not_allowed(method: &str, path: &str, allow: &'static str) -> ScimError {
    ScimError::new(
        ErrorKind::MethodNotAllowed { allow },
        format!("{method} is not offered at `{path}`. It takes {allow}."),
    )
}

fn not_offered(feature: &str) -> ScimError {
    ScimError::new(
        ErrorKind::NotImplemented,
        format!("This server does not offer {feature}; GET /ServiceProviderConfig tells what it offers."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::REGISTRY;

    fn check(method: &str, path: &str, expect: &str) {
        let found = match route(&REGISTRY, method, path) {
            Ok(Route::Discovery(discovery)) => format!("{discovery:?}"),
            Ok(Route::Admin(segments)) => format!("admin {segments:?}"),
            Ok(Route::Resources(resource_type, action)) => format!("{} {action:?}", resource_type.name),
            Err(error) => error.kind.table().0.to_string(),
        };
        assert_eq!(found, expect, "{method} {path}");
    }

    #[test]
    fn resources() {
        check("GET", "/Users", "User Search");
        check("POST", "/Groups", "Group Create");
        check("GET", "/Users/1", "User Read(\"1\")");
        check("PUT", "/Users/1", "User Replace(\"1\")");
        check("PATCH", "/Users/a%20b", "User Patch(\"a b\")");
        check("DELETE", "/Groups/1", "Group Delete(\"1\")");
    }

    #[test]
    fn what_clients_make_of_urls() {
        check("GET", "/users/", "User Search");
        check("GET", "//Users", "User Search");
        check("GET", "Users//1/", "User Read(\"1\")");
        check("GET", "/ResourceType/User", "ResourceTypes(Some(\"User\"))");
    }

    #[test]
    fn discovery_takes_get_only() {
        check("GET", "/ServiceProviderConfig", "ServiceProviderConfig");
        check("GET", "/Schemas", "Schemas(None)");
        check("POST", "/Schemas", "405");
    }

    #[test]
    fn what_is_not_there() {
        check("GET", "/", "404");
        check("GET", "/Devices", "404");
        check("GET", "/Users/1/2", "404");
        check("GET", "/Users/%zz", "404");
        check("DELETE", "/Users", "405");
        check("POST", "/Users/1", "405");
        check("POST", "/Bulk", "501");
        check("POST", "/Users/.search", "501");
    }
}
