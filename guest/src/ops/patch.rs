//! PATCH (RFC 7644 §3.5.2).

use serde_json::Value;

use crate::compat::Compat;
use crate::error::Result;
use crate::host::Host;
use crate::http::{Header, Response};
use crate::password::Password;
use crate::patch;
use crate::render;
use crate::schema::{ResourceType, Source};
use crate::store::log::Operation;
use crate::store::repo::{self, Loaded};
use crate::store::{Txn, edges};
use crate::{limits, validate};

use super::membership::{self, New};
use super::preference::Return;
use super::{Context, check_if_match, drop_secrets, password};

/// Operations on a resource, all or none.
#[derive(Clone, Debug)]
pub struct Patch<'t> {
    resource_type: &'t ResourceType,
    id: String,
    if_match: Option<String>,
    operations: Vec<patch::Operation<'t>>,
    compat: Compat,
    password: Password,
}

/// Apply the body's operations; 200 with the resource, or 204 (§3.5.2 allows both) where the client or the tenant prefers
/// that, and where showing it would cost far more than the change did.
pub fn run<H: Host>(ctx: &mut Context<'_, H>, resource_type: &ResourceType, id: &str) -> Result<Response> {
    let body = ctx.body()?;
    let projection = ctx.projection(resource_type)?;
    let if_match = ctx.if_match();
    let patch = Patch::decode(ctx, resource_type, id, if_match, &body)?;
    let ctx = &*ctx;
    let preferred = Return::of(ctx.request);
    let members = resource_type.attribute_from(Source::Members);
    let shows_members = members.is_some_and(|a| projection.wants(a));
    ctx.transact(|txn| {
        ctx.check_if_none_match(txn, resource_type, id)?;
        let loaded = patch.apply(ctx, txn)?;
        let (shown, applied) = match preferred {
            // §3.5.2 wants 200 where the client asks for attributes.
            _ if ctx.query.attributes().is_some() => (true, preferred.filter(|p| *p == Return::Representation)),
            Some(Return::Minimal) => (false, preferred),
            Some(Return::Representation) => (true, preferred),
            None if ctx.tenant.settings.patches_quietly(members.is_some()) => (false, None),
            None => (!shows_members || edges::member_count(txn, id)? <= limits::PATCH_REPLY_EDGES, None),
        };
        let mut response = match shown {
            true => ctx.show(txn, 200, resource_type, loaded)?,
            false => {
                let mut response = render::empty(204);
                response.headers.push(Header::new("etag", loaded.version()));
                response
            }
        };
        if let Some(applied) = applied {
            response.headers.push(Header::new("preference-applied", applied.applied()));
        }
        Ok(response)
    })
}

impl<'t> Patch<'t> {
    /// From a body.
    pub fn decode<H: Host>(
        ctx: &mut Context<'_, H>,
        resource_type: &'t ResourceType,
        id: &str,
        if_match: Option<String>,
        body: &Value,
    ) -> Result<Self> {
        let operations = patch::parse(body, resource_type, &mut ctx.compat)?;
        let password = password::patched(ctx, &operations)?;
        let compat = ctx.compat.clone();
        Ok(Self { resource_type, id: id.to_owned(), if_match, operations, compat, password })
    }

    /// Apply them in a transaction.
    pub fn apply<H: Host>(&self, ctx: &Context<'_, H>, txn: &mut Txn<'_, H::Store>) -> Result<Loaded> {
        let Self { resource_type, id, if_match, operations, compat, password } = self;
        let mut old = repo::read(txn, resource_type, id)?;
        check_if_match(txn, if_match.as_deref(), &mut old)?;
        let mut attributes = old.resource.attributes.clone();
        // What applying tolerates depends on what is there, and so does what this attempt says of it.
        let mut compat = compat.clone();
        let applied = patch::apply(resource_type, &mut attributes, operations, &mut compat)?;
        drop_secrets(resource_type, &mut attributes);
        validate::document(resource_type, &attributes)?;
        let edit = membership::combine(ctx, txn, resource_type, &old, &applied.edges)?;
        let cause = ctx.cause(Operation::Patch, &compat);
        let new = New { attributes, members: edit.as_ref(), password };
        membership::change(ctx, txn, &cause, resource_type, &old, new)
    }
}
