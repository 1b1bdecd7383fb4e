//! GET of one resource (RFC 7644 §3.4.1).

use crate::error::Result;
use crate::host::Host;
use crate::http::{Header, Response};
use crate::render;
use crate::schema::ResourceType;
use crate::store::{keys, repo};

use super::{Context, matches_version};

/// Read `id`; 304 where the client has this version already (§3.14).
pub fn run<H: Host>(ctx: &Context<'_, H>, resource_type: &ResourceType, id: &str) -> Result<Response> {
    let found = match keys::is_id(id) {
        true => repo::peek_shown(&ctx.store, resource_type, id)?,
        false => None,
    };
    let shown = found.ok_or_else(|| repo::not_found(resource_type, id))?;
    let version = shown.loaded.version();
    match ctx.request.header("if-none-match") {
        Some(known) if matches_version(known, &version) => {
            let mut response = render::empty(304);
            response.headers.push(Header::new("etag", version));
            Ok(response)
        }
        _ => ctx.show_stored(&ctx.store, resource_type, shown),
    }
}
