//! POST (RFC 7644 §3.3).

use serde_json::Value;

use crate::error::Result;
use crate::host::Host;
use crate::http::Response;
use crate::password::Password;
use crate::resource::Resource;
use crate::schema::ResourceType;
use crate::store::Txn;
use crate::store::edges::{self, Edit};
use crate::store::log::{self, Cause, Operation};
use crate::store::repo::{self, Loaded};
use crate::validate;

use super::{Context, drop_secrets, password};

/// A resource to be created.
#[derive(Clone, Debug)]
pub struct Create<'t> {
    resource_type: &'t ResourceType,
    new: Resource,
    members: Edit,
    password: Password,
}

/// Create a resource from the body; 201 with all of it.
pub fn run<H: Host>(ctx: &mut Context<'_, H>, resource_type: &ResourceType) -> Result<Response> {
    let body = ctx.body()?;
    ctx.projection(resource_type)?;
    let create = Create::decode(ctx, resource_type, body)?;
    let ctx = &*ctx;
    ctx.transact(|txn| {
        let loaded = create.apply(ctx, txn)?;
        ctx.show(txn, 201, resource_type, loaded)
    })
}

impl<'t> Create<'t> {
    /// From a body, with a new id.
    pub fn decode<H: Host>(ctx: &mut Context<'_, H>, resource_type: &'t ResourceType, body: Value) -> Result<Self> {
        let mut draft = validate::draft(resource_type, body, &mut ctx.compat)?;
        validate::document(resource_type, &draft.attributes)?;
        let password = password::sent(ctx, resource_type, &draft.attributes)?;
        drop_secrets(resource_type, &mut draft.attributes);
        let id = ctx.new_id();
        let new = Resource { id, attributes: draft.attributes, created: ctx.now, modified: ctx.now, revision: 1 };
        let named = draft.members.unwrap_or_default().into_iter().map(|member| (member, true)).collect();
        Ok(Self { resource_type, new, members: Edit { only: false, named }, password })
    }

    /// Create it in a transaction.
    pub fn apply<H: Host>(&self, ctx: &Context<'_, H>, txn: &mut Txn<'_, H::Store>) -> Result<Loaded> {
        let Self { resource_type, new, members, password } = self;
        repo::write(txn, resource_type, None, new)?;
        let members = edges::edit(txn, resource_type, &new.id, members, ctx.now)?;
        let documents = (None, Some(&new.attributes));
        ctx.review(Operation::Create, resource_type, &new.id, documents)?;
        let password_changed = repo::set_password(txn, &new.id, password)?;
        let cause = Cause { password_changed, ..ctx.cause(Operation::Create, &ctx.compat) };
        log::append(txn, &cause, resource_type, &new.id, documents, &members)?;
        let changed = !members.is_empty();
        Ok(Loaded {
            resource: new.clone(),
            edge_revision: i64::from(changed),
            members_modified: changed.then_some(ctx.now),
        })
    }
}
