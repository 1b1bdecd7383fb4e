//! The tenant's configuration over HTTP, below `/admin`, for principals with the permission `admin`: settings, schemas and
//! resource types of its own, and the log.
//!
//! | route | methods |
//! |---|---|
//! | `/admin/settings` | GET, PUT, PATCH (JSON merge patch, RFC 7396) |
//! | `/admin/schemas` | GET |
//! | `/admin/schemas/{urn}` | GET, PUT, DELETE |
//! | `/admin/resource-types` | GET |
//! | `/admin/resource-types/{name}` | GET, PUT, DELETE |
//! | `/admin/log?after=…&count=…` | GET |
//! | `/admin/tolerances` | GET, DELETE |
//! | `/admin/explain?resourceType=…&filter=…&sortBy=…` | GET |
//! | `/admin/maintenance` | POST |

pub mod change;
mod conform;
mod explain;
mod log;
mod maintenance;
mod resource_types;
mod schemas;
mod settings;
mod tolerances;

use serde_json::Value;

use crate::compat::Compat;
use crate::error::{ErrorKind, Result, ScimError};
use crate::host::Host;
use crate::http::Response;
use crate::ops::Context;
use crate::store::Mode;

/// Answer a request for what lies below `/admin`.
pub fn run<H: Host>(ctx: &mut Context<'_, H>, segments: &[String]) -> Result<Response> {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    // HEAD is GET without the content (RFC 9110 §9.3.2).
    let method = if ctx.request.method == "HEAD" { "GET" } else { ctx.request.method.as_str() };
    if ctx.mode == Mode::Rehearse && method != "GET" {
        return Err(ScimError::new(
            ErrorKind::InvalidValue,
            "Scimwell-Dry-Run: a change of the configuration can't be rehearsed. Send the request without the header.",
        ));
    }
    match (segments.as_slice(), method) {
        (["settings"], "GET") => settings::show(ctx),
        (["settings"], "PUT") => settings::replace(ctx),
        (["settings"], "PATCH") => settings::merge(ctx),
        (["settings"], _) => Err(not_allowed(method, "GET, HEAD, PUT, PATCH, OPTIONS")),
        (["schemas"], "GET") => schemas::list(ctx),
        (["schemas", urn], "GET") => schemas::show(ctx, urn),
        (["schemas", urn], "PUT") => schemas::put(ctx, urn),
        (["schemas", urn], "DELETE") => schemas::delete(ctx, urn),
        (["resource-types"], "GET") => Ok(resource_types::list(ctx)),
        (["resource-types", name], "GET") => resource_types::show(ctx, name),
        (["resource-types", name], "PUT") => resource_types::put(ctx, name),
        (["resource-types", name], "DELETE") => resource_types::delete(ctx, name),
        (["schemas" | "resource-types", _], _) => Err(not_allowed(method, "GET, HEAD, PUT, DELETE, OPTIONS")),
        (["log"], "GET") => log::page(ctx),
        (["tolerances"], "GET") => tolerances::report(ctx),
        (["tolerances"], "DELETE") => tolerances::forget(ctx),
        (["tolerances"], _) => Err(not_allowed(method, "GET, HEAD, DELETE, OPTIONS")),
        (["maintenance"], "POST") => maintenance::run(ctx),
        (["maintenance"], _) => Err(not_allowed(method, "POST, OPTIONS")),
        (["explain"], "GET") => explain::show(ctx),
        (["schemas" | "resource-types" | "log" | "explain"], _) => Err(not_allowed(method, "GET, HEAD, OPTIONS")),
        _ => Err(ScimError::new(
            ErrorKind::NotFound,
            "There is nothing here. Below /admin are settings, schemas, schemas/{urn}, resource-types, \
             resource-types/{name}, log, tolerances, explain and maintenance.",
        )),
    }
}

fn not_allowed(method: &str, allow: &'static str) -> ScimError {
    ScimError::new(ErrorKind::MethodNotAllowed { allow }, format!("{method} is not offered here. Use one of {allow}."))
}

/// The request's body. No profile holds here: it would shut out whoever is to change it.
fn body<H: Host>(ctx: &Context<'_, H>) -> Result<Value> {
    crate::ops::body(ctx.request, &mut Compat::default())
}

/// The JSON form of something that holds nothing but strings, numbers and lists.
fn json(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| {
        ScimError::new(ErrorKind::Internal, "The server failed to show its configuration.").with_log(error.to_string())
    })
}
