//! POST (RFC 7644 §3.3).

use serde_json::Value;

use crate::compat::Compat;
use crate::error::Result;
use crate::host::Host;
use crate::http::Response;
use crate::password::Password;
use crate::resource::Resource;
use crate::schema::ResourceType;
use crate::store::edges::{self, EdgeCounter, Edit};
use crate::store::log::{self, Cause, Operation};
use crate::store::repo::{self, Loaded};
use crate::store::{Store, Txn};

use super::Context;
use super::idempotency::Once;

/// A resource to be created.
#[derive(Clone, Debug)]
pub struct Create<'t> {
    resource_type: &'t ResourceType,
    new: Resource,
    members: Edit,
    compat: Compat,
    password: Password,
}

/// Create a resource from the body; 201 with all of it. With an `Idempotency-Key`, once (see [`super::idempotency`]).
pub fn run<H: Host>(ctx: &mut Context<'_, H>, resource_type: &ResourceType) -> Result<Response> {
    let once = Once::of(ctx)?;
    if let Some(first) = once.first_answer(&ctx.store)? {
        return Ok(first);
    }
    let body = ctx.body()?;
    ctx.projection(resource_type)?;
    let id = ctx.new_id();
    let create = Create::decode(ctx, resource_type, id, body)?;
    let ctx = &*ctx;
    ctx.transact(|txn| {
        once.run(txn, |txn| {
            create.write(txn)?;
            let loaded = create.link(ctx, txn)?;
            ctx.show(txn, 201, resource_type, loaded)
        })
    })
}

impl<'t> Create<'t> {
    /// From a body, with a new id.
    pub fn decode<H: Host>(
        ctx: &mut Context<'_, H>,
        resource_type: &'t ResourceType,
        id: String,
        body: Value,
    ) -> Result<Self> {
        let (draft, password) = ctx.draft(resource_type, body)?;
        let new = Resource { id, attributes: draft.attributes, created: ctx.now, modified: ctx.now, revision: 1 };
        let named = draft.members.unwrap_or_default().into_iter().map(|member| (member, true)).collect();
        Ok(Self { resource_type, new, members: Edit { only: false, named }, compat: ctx.compat.clone(), password })
    }

    /// The first step: its document. From here on, others may refer to it in the same transaction.
    pub fn write<S: Store>(&self, txn: &mut Txn<'_, S>) -> Result<()> {
        repo::write(txn, self.resource_type, None, &self.new)
    }

    /// The second step: its members, which must be there by now, its password, the policy's word and the log.
    pub fn link<H: Host>(&self, ctx: &Context<'_, H>, txn: &mut Txn<'_, H::Store>) -> Result<Loaded> {
        let Self { resource_type, new, members, compat, password } = self;
        let members = edges::edit(txn, resource_type, &new.id, members, ctx.now)?;
        let documents = (None, Some(&new.attributes));
        ctx.review(Operation::Create, resource_type, &new.id, documents)?;
        let password_changed = repo::set_password(txn, &new.id, password)?;
        let cause = Cause { password_changed, ..ctx.cause(Operation::Create, compat) };
        log::append(txn, &cause, resource_type, &new.id, documents, &members)?;
        Ok(Loaded {
            resource: new.clone(),
            edges: EdgeCounter::default().after(&members),
            members_modified: (!members.is_empty()).then_some(ctx.now),
        })
    }
}
