//! PATCH (RFC 7644 §3.5.2).

use crate::error::Result;
use crate::host::Host;
use crate::http::Response;
use crate::patch;
use crate::render;
use crate::schema::{ResourceType, Source};
use crate::store::log::Operation;
use crate::store::{edges, repo, transact};
use crate::{limits, validate};

use super::{Context, drop_secrets, membership};

/// Apply the body's operations, all or none; 200 with the resource, or 204 where showing it would cost far more than
/// the change did (§3.5.2 allows both).
pub fn run<H: Host>(ctx: &mut Context<'_, H>, resource_type: &ResourceType, id: &str) -> Result<Response> {
    let body = ctx.body()?;
    let operations = patch::parse(&body, resource_type, &mut ctx.compat)?;
    let projection = ctx.projection(resource_type)?;
    let mut compat = ctx.compat.clone();
    let shared = &*ctx;
    let loaded = transact(&shared.store, |txn| {
        let mut old = repo::read(txn, resource_type, id)?;
        shared.check_if_match(txn, &mut old)?;
        let mut attributes = old.resource.attributes.clone();
        let applied = patch::apply(resource_type, &mut attributes, &operations, &mut compat)?;
        drop_secrets(resource_type, &mut attributes);
        validate::document(resource_type, &attributes)?;
        let edit = membership::combine(shared, resource_type, &old, &applied.edges)?;
        let cause = shared.cause(Operation::Patch, &compat);
        membership::change(shared, txn, &cause, resource_type, &old, attributes, edit.as_ref())
    })?;
    // §3.5.2 wants 200 where the client asks for attributes.
    let asked = ctx.query.attributes().is_some();
    let members = resource_type.attribute_from(Source::Members).filter(|a| projection.wants(a));
    if !asked && members.is_some() && edges::member_count(&ctx.store, id)? > limits::PATCH_REPLY_EDGES {
        let mut response = render::empty(204);
        response.headers.push(crate::http::Header::new("etag", loaded.version()));
        return Ok(response);
    }
    ctx.show(200, resource_type, loaded)
}
