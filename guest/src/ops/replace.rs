//! PUT (RFC 7644 §3.5.1).

use serde_json::Value;

use crate::compat::Compat;
use crate::error::Result;
use crate::host::Host;
use crate::http::Response;
use crate::password::Password;
use crate::resource::Object;
use crate::schema::ResourceType;
use crate::store::Txn;
use crate::store::edges::Edit;
use crate::store::log::Operation;
use crate::store::repo::{self, Loaded};
use crate::validate;

use super::membership::{self, New};
use super::{Context, check_if_match};

/// What is to take the place of a resource.
#[derive(Clone, Debug)]
pub struct Replace<'t> {
    resource_type: &'t ResourceType,
    id: String,
    if_match: Option<String>,
    attributes: Object,
    members: Option<Edit>,
    compat: Compat,
    password: Password,
}

/// Replace the document by the body; 200 with all of it.
pub fn run<H: Host>(ctx: &mut Context<'_, H>, resource_type: &ResourceType, id: &str) -> Result<Response> {
    let body = ctx.body()?;
    ctx.projection(resource_type)?;
    let if_match = ctx.if_match();
    let replace = Replace::decode(ctx, resource_type, id, if_match, body)?;
    let ctx = &*ctx;
    ctx.transact(|txn| {
        ctx.check_if_none_match(txn, resource_type, id)?;
        let loaded = replace.apply(ctx, txn)?;
        ctx.show(txn, 200, resource_type, loaded)
    })
}

impl<'t> Replace<'t> {
    /// From a body. Members stay where it doesn't name them, since clients send group PUTs without them to rename a group.
    pub fn decode<H: Host>(
        ctx: &mut Context<'_, H>,
        resource_type: &'t ResourceType,
        id: &str,
        if_match: Option<String>,
        body: Value,
    ) -> Result<Self> {
        let (draft, password) = ctx.draft(resource_type, body)?;
        let members = draft.members.map(|members| Edit::naming(members, true));
        let (attributes, compat) = (draft.attributes, ctx.compat.clone());
        Ok(Self { resource_type, id: id.to_owned(), if_match, attributes, members, compat, password })
    }

    /// Replace it in a transaction.
    pub fn apply<H: Host>(&self, ctx: &Context<'_, H>, txn: &mut Txn<'_, H::Store>) -> Result<Loaded> {
        let Self { resource_type, id, if_match, attributes, members, compat, password } = self;
        let mut old = repo::read(txn, resource_type, id)?;
        check_if_match(txn, if_match.as_deref(), &mut old)?;
        let mut attributes = attributes.clone();
        keep_activity(resource_type, &old.resource.attributes, &mut attributes);
        validate::immutable(resource_type, &old.resource.attributes, &attributes)?;
        let cause = ctx.cause(Operation::Replace, compat);
        let new = New { attributes, members: members.as_ref(), password };
        membership::change(ctx, txn, &cause, resource_type, &old, new)
    }
}

/// Leave `active` as it is where the PUT doesn't name it. What is left out may count as not asserted by the client (§3.5.1),
/// and clients that know nothing of `active` (a template without it) would else let somebody in again who was deactivated.
fn keep_activity(resource_type: &ResourceType, old: &Object, new: &mut Object) {
    let Some(activity) = resource_type.activity() else { return };
    if let Some(value) = old.get(activity.name.as_ref()) {
        new.entry(activity.name.as_ref()).or_insert_with(|| value.clone());
    }
}
