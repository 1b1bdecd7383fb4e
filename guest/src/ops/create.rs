//! POST (RFC 7644 §3.3).

use crate::error::Result;
use crate::host::Host;
use crate::http::Response;
use crate::resource::Resource;
use crate::schema::ResourceType;
use crate::store::edges::{self, Edit};
use crate::store::log::{self, Operation};
use crate::store::repo::{self, Loaded};
use crate::store::transact;
use crate::validate;

use super::{Context, drop_secrets};

/// Create a resource from the body; 201 with all of it.
pub fn run<H: Host>(ctx: &mut Context<'_, H>, resource_type: &ResourceType) -> Result<Response> {
    let mut draft = validate::draft(resource_type, ctx.body()?, &mut ctx.compat)?;
    validate::document(resource_type, &draft.attributes)?;
    drop_secrets(resource_type, &mut draft.attributes);
    ctx.projection(resource_type)?;
    let id = ctx.new_id();
    let new = Resource { id, attributes: draft.attributes, created: ctx.now, modified: ctx.now, revision: 1 };
    let named = draft.members.unwrap_or_default().into_iter().map(|member| (member, true)).collect();
    let edit = Edit { only: false, named };
    let ctx = &*ctx;
    let loaded = transact(&ctx.store, |txn| {
        repo::write(txn, resource_type, None, &new)?;
        let members = edges::edit(txn, resource_type, &new.id, &edit, ctx.now)?;
        let documents = (None, Some(&new.attributes));
        ctx.review(Operation::Create, resource_type, &new.id, documents)?;
        log::append(txn, &ctx.cause(Operation::Create, &ctx.compat), resource_type, &new.id, documents, &members)?;
        let changed = !members.is_empty();
        Ok(Loaded {
            resource: new.clone(),
            edge_revision: i64::from(changed),
            members_modified: changed.then_some(ctx.now),
        })
    })?;
    ctx.show(201, resource_type, loaded)
}
