//! PUT (RFC 7644 §3.5.1).

use crate::error::Result;
use crate::host::Host;
use crate::http::Response;
use crate::schema::ResourceType;
use crate::store::edges::Edit;
use crate::store::log::Operation;
use crate::store::{repo, transact};
use crate::validate;

use super::{Context, drop_secrets, membership};

/// Replace the document by the body; 200 with all of it. Members stay where the body doesn't name them, since clients
/// send group PUTs without them to rename a group.
pub fn run<H: Host>(ctx: &mut Context<'_, H>, resource_type: &ResourceType, id: &str) -> Result<Response> {
    let mut draft = validate::draft(resource_type, ctx.body()?, &mut ctx.compat)?;
    validate::document(resource_type, &draft.attributes)?;
    drop_secrets(resource_type, &mut draft.attributes);
    ctx.projection(resource_type)?;
    let edit = draft
        .members
        .map(|members| Edit { only: true, named: members.into_iter().map(|member| (member, true)).collect() });
    let ctx = &*ctx;
    let loaded = transact(&ctx.store, |txn| {
        let mut old = repo::read(txn, resource_type, id)?;
        ctx.check_if_match(txn, &mut old)?;
        validate::immutable(resource_type, &old.resource.attributes, &draft.attributes)?;
        let cause = ctx.cause(Operation::Replace, &ctx.compat);
        membership::change(ctx, txn, &cause, resource_type, &old, draft.attributes.clone(), edit.as_ref())
    })?;
    ctx.show(200, resource_type, loaded)
}
