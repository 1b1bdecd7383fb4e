//! GET of one resource (RFC 7644 §3.4.1).

use crate::error::Result;
use crate::host::Host;
use crate::http::{Header, Response};
use crate::render;
use crate::schema::ResourceType;
use crate::store::{keys, repo};

use super::Context;
use super::precondition::Known;

/// Read `id`; 304 where the client has this version already (§3.14).
pub fn run<H: Host>(ctx: &Context<'_, H>, resource_type: &ResourceType, id: &str) -> Result<Response> {
    let reader = &ctx.ahead.over(&ctx.store);
    let found = match keys::is_id(id) {
        true => repo::peek(reader, resource_type, &[id.to_owned()])?.pop().flatten(),
        false => None,
    };
    let stored = found.ok_or_else(|| repo::not_found(resource_type, id))?;
    let version = stored.shell.version();
    let location = render::location(resource_type, id, &ctx.request.base_url);
    let mut response = match ctx.known(&version)? {
        Known::Yes => {
            let mut response = render::empty(304);
            response.headers.push(Header::new("etag", version));
            response
        }
        Known::No => {
            let projection = ctx.projection(resource_type)?;
            let memberships = ctx.memberships(reader, [(resource_type, &projection, &stored.shell)])?;
            let text = ctx.text(reader, resource_type, &stored, &projection, &memberships)?;
            render::single(200, &version, &location, text)
        }
    };
    // Read by another URL than its own, as `/Me` or `/users/…`, it still tells its own (RFC 9110 §8.7); a 304 carries what
    // the 200 would have (§15.4.5).
    let path = ctx.request.target.split('?').next().unwrap_or_default();
    if location != format!("{}{path}", ctx.request.base_url) {
        response.headers.push(Header::new("content-location", location));
    }
    Ok(response)
}
