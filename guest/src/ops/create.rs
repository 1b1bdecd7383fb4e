//! POST (RFC 7644 §3.3).

use serde_json::Value;

use crate::compat::Compat;
use crate::error::{ErrorKind, Result, ScimError};
use crate::host::Host;
use crate::http::Response;
use crate::password::Password;
use crate::resource::Resource;
use crate::schema::ResourceType;
use crate::store::edges::{self, EdgeCounter, Edit};
use crate::store::log::{self, Cause, Operation, Reprovisioned};
use crate::store::repo::{self, Loaded};
use crate::store::{Txn, tombstones};
use crate::validate;

use super::Context;
use super::idempotency::Once;
use super::reprovision::{self, Former};

/// A resource to be created.
#[derive(Clone, Debug)]
pub struct Create<'t> {
    resource_type: &'t ResourceType,
    new: Resource,
    /// What others of a bulk request refer to it by; `None` where nobody does.
    told: Option<String>,
    members: Edit,
    compat: Compat,
    password: Password,
}

/// The ids of a resource to be created.
#[derive(Clone, Debug, Default)]
pub struct Assigned {
    /// A new one, in case that it is a new resource.
    pub fresh: String,
    /// The one that others refer to it by, where they do: it must be this one in the end.
    pub told: Option<String>,
}

/// A document that has been written.
#[derive(Clone, Debug)]
pub struct Written {
    /// As it is now.
    resource: Resource,
    /// Whom the POST has brought back.
    former: Option<Former>,
}

impl Written {
    /// The id that the resource has.
    pub fn id(&self) -> &str {
        &self.resource.id
    }
}

/// Create a resource from the body; 201 with all of it. With an `Idempotency-Key`, once (see [`super::idempotency`]). It may
/// bring back somebody who has left (see `ops::reprovision`).
pub fn run<H: Host>(ctx: &mut Context<'_, H>, resource_type: &ResourceType) -> Result<Response> {
    let once = Once::of(ctx)?;
    if let Some(first) = once.first_answer(&ctx.store)? {
        return Ok(first);
    }
    let body = ctx.body()?;
    ctx.projection(resource_type)?;
    let id = Assigned { fresh: ctx.new_id(), told: None };
    let create = Create::decode(ctx, resource_type, id, body)?;
    let ctx = &*ctx;
    ctx.transact(|txn| {
        once.run(txn, |txn| {
            let written = create.write(ctx, txn)?;
            let loaded = create.link(ctx, txn, &written)?;
            ctx.show(txn, 201, resource_type, loaded)
        })
    })
}

impl<'t> Create<'t> {
    /// From a body.
    pub fn decode<H: Host>(
        ctx: &mut Context<'_, H>,
        resource_type: &'t ResourceType,
        Assigned { fresh, told }: Assigned,
        body: Value,
    ) -> Result<Self> {
        let (draft, password) = ctx.draft(resource_type, body)?;
        let new =
            Resource { id: fresh, attributes: draft.attributes, created: ctx.now, modified: ctx.now, revision: 1 };
        let (members, compat) = (Edit::naming(draft.members.unwrap_or_default(), false), ctx.compat.clone());
        Ok(Self { resource_type, new, told, members, compat, password })
    }

    /// The first step: its document. From here on, others may refer to it in the same transaction.
    pub fn write<H: Host>(&self, ctx: &Context<'_, H>, txn: &mut Txn<'_, H::Store>) -> Result<Written> {
        let Self { resource_type, new, told, .. } = self;
        let former = reprovision::find(ctx, txn, resource_type, &new.attributes)?;
        let id = former.as_ref().map_or(new.id.as_str(), Former::id);
        if told.as_ref().is_some_and(|told| told != id) {
            return Err(came_back_otherwise(resource_type));
        }
        let resource = match &former {
            None => new.clone(),
            Some(Former::Deactivated(old)) => Resource {
                id: id.to_owned(),
                attributes: reprovision::activated(resource_type, &new.attributes),
                created: old.resource.created,
                modified: ctx.now.max(old.resource.modified),
                revision: old.resource.revision + 1,
            },
            Some(Former::Deleted(tombstone)) => Resource {
                id: id.to_owned(),
                attributes: reprovision::activated(resource_type, &new.attributes),
                revision: tombstone.revision + 1,
                ..new.clone()
            },
        };
        match &former {
            None => repo::write(txn, resource_type, None, &resource)?,
            Some(Former::Deactivated(old)) => {
                validate::immutable(resource_type, &old.resource.attributes, &resource.attributes)?;
                repo::write(txn, resource_type, Some(&old.resource), &resource)?;
                edges::rename(txn, resource_type, &old.resource, &resource)?;
            }
            Some(Former::Deleted(tombstone)) => {
                tombstones::forget(txn, &tombstone.id)?;
                repo::write(txn, resource_type, None, &resource)?;
            }
        }
        Ok(Written { resource, former })
    }

    /// The second step: its members, which must be there by now, its password, the policy's word and the log.
    pub fn link<H: Host>(
        &self,
        ctx: &Context<'_, H>,
        txn: &mut Txn<'_, H::Store>,
        Written { resource, former }: &Written,
    ) -> Result<Loaded> {
        let Self { resource_type, members, compat, password, .. } = self;
        let members = edges::edit(txn, resource_type, &resource.id, members, ctx.now)?;
        // For the policy and for readers of the log, who is there is changed and who is not is created.
        let (operation, old, reprovisioned) = match former {
            None => (Operation::Create, None, None),
            Some(Former::Deleted(_)) => (Operation::Create, None, Some(Reprovisioned::Restored)),
            Some(Former::Deactivated(old)) => (Operation::Replace, Some(old), Some(Reprovisioned::Reactivated)),
        };
        let documents = (old.map(|old| &old.resource.attributes), Some(&resource.attributes));
        ctx.review(operation, resource_type, &resource.id, documents)?;
        let password = match password {
            Password::Kept if old.is_some() => &Password::Removed,
            sent => sent,
        };
        let password_changed = repo::set_password(txn, &resource.id, password)?;
        let cause = Cause { password_changed, reprovisioned, ..ctx.cause(operation, compat) };
        log::append(txn, &cause, resource_type, &resource.id, documents, &members)?;
        let before = old.map_or_else(EdgeCounter::default, |old| old.edges);
        let modified = old.and_then(|old| old.members_modified);
        Ok(Loaded {
            resource: resource.clone(),
            edges: before.after(&members),
            members_modified: if members.is_empty() { modified } else { Some(ctx.now) },
        })
    }
}

/// What refers to it in a bulk request was made for another id.
fn came_back_otherwise(resource_type: &ResourceType) -> ScimError {
    ScimError::new(
        ErrorKind::Conflict,
        format!(
            "Whether this {} is new or comes back changed meanwhile, by another operation or another request, and what \
             refers to its bulkId has the wrong id. Send these operations again.",
            resource_type.name
        ),
    )
}
