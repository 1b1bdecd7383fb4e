//! DELETE (RFC 7644 §3.6).

use crate::error::Result;
use crate::host::Host;
use crate::http::Response;
use crate::render;
use crate::schema::ResourceType;
use crate::store::log::{self, Operation};
use crate::store::{edges, repo, transact};

use super::Context;

/// Delete `id` and take it out of every group; 204.
pub fn run<H: Host>(ctx: &Context<'_, H>, resource_type: &ResourceType, id: &str) -> Result<Response> {
    transact(&ctx.store, |txn| {
        let mut old = repo::read(txn, resource_type, id)?;
        ctx.check_if_match(txn, &mut old)?;
        let documents = (Some(&old.resource.attributes), None);
        ctx.review(Operation::Delete, resource_type, id, documents)?;
        repo::remove(txn, resource_type, &old.resource);
        let members = edges::detach(txn, id)?;
        log::append(txn, &ctx.cause(Operation::Delete, &ctx.compat), resource_type, id, documents, &members)
    })?;
    Ok(render::empty(204))
}
