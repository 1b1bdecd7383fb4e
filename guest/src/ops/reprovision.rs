//! A POST that meets somebody who has left: a resource that is deactivated or deleted, and has a unique value or the
//! `externalId` of what is to be created. What comes of it is the tenant's setting `reprovisioning`.
//!
//! - **Who.** Whoever is active stays out of it, and in the way of its unique values. There must be one candidate, and
//!   nobody else with any of these values: two are 409, since nobody could tell which is meant.
//! - **What it becomes.** What the POST says, as if created, with the id that it had; and active, unless the POST says that
//!   it is not to be. One that was deactivated keeps its memberships and `meta.created`, one that was deleted comes back
//!   without memberships: access that nobody asks for is not given back. Neither keeps a password: the name may have gone to
//!   somebody else.
//! - **The answer** is that of a creation, 201 with the resource and its Location. RFC 7644 §3.3 has no other for a POST that
//!   succeeds, and clients take 200 for a failure, having looked for nothing but 201.
//! - **Races.** Of two such POSTs one wins; the other runs again and finds somebody active.

use serde_json::Value;

use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::host::Host;
use crate::resource::{Object, Resource};
use crate::schema::ResourceType;
use crate::store::identity::{Identity, identities};
use crate::store::repo::Loaded;
use crate::store::tombstones::{self, Tombstone};
use crate::store::{Mode, Txn, transact};
use crate::tenant::Reprovisioning;
use crate::validate;

use super::Context;

/// Who is to come back.
#[derive(Clone, Debug)]
pub(super) enum Former {
    /// A resource that is there, deactivated.
    Deactivated(Box<Loaded>),
    /// One that was deleted.
    Deleted(Tombstone),
}

/// Somebody who has one or more of the values.
struct Candidate {
    /// `None` for somebody active.
    former: Option<Former>,
    id: String,
    /// The names of the attributes.
    same: Vec<String>,
}

impl Former {
    /// Its id.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Deactivated(loaded) => &loaded.resource.id,
            Self::Deleted(tombstone) => &tombstone.id,
        }
    }
}

/// Whom a POST with these attributes brings back; `None` where it creates somebody new, or meets a conflict as any other.
pub(super) fn find<H: Host>(
    ctx: &Context<'_, H>,
    txn: &mut Txn<'_, H::Store>,
    resource_type: &ResourceType,
    attributes: &Object,
) -> Result<Option<Former>> {
    let settings = &ctx.tenant.settings;
    if settings.reprovisioning == Reprovisioning::Conflict || resource_type.activity().is_none() {
        return Ok(None);
    }
    let mut candidates: Vec<Candidate> = Vec::new();
    for identity in identities(resource_type, attributes) {
        let name = identity.target.name();
        let holders = identity.holders(txn, resource_type)?;
        let deactivated = |loaded: &Loaded| resource_type.is_deactivated(&loaded.resource.attributes);
        if identity.target.is_unique() && holders.iter().any(|loaded| !deactivated(loaded)) {
            return Ok(None);
        }
        // Who has the value now comes before who had it.
        if holders.is_empty()
            && let Some(tombstone) = deleted(ctx, txn, resource_type, &identity)?
        {
            let id = tombstone.id.clone();
            note(&mut candidates, id, &name, || Some(Former::Deleted(tombstone)));
        }
        for loaded in holders {
            let id = loaded.resource.id.clone();
            note(&mut candidates, id, &name, || deactivated(&loaded).then(|| Former::Deactivated(Box::new(loaded))));
        }
    }
    match candidates.as_mut_slice() {
        [only] => Ok(only.former.take()),
        several if several.iter().any(|candidate| candidate.former.is_some()) => {
            Err(ambiguous(resource_type, &candidates))
        }
        _ => Ok(None),
    }
}

/// The id of whom a POST with this body would bring back now. What is wrong with the body is told when it is decoded.
pub(super) fn expected<H: Host>(
    ctx: &Context<'_, H>,
    resource_type: &ResourceType,
    body: &Value,
) -> Result<Option<String>> {
    let draft = validate::draft(resource_type, body.clone(), &mut ctx.compat.trial());
    let Ok(draft) = draft else { return Ok(None) };
    let found = transact(&ctx.store, Mode::Rehearse, |txn| find(ctx, txn, resource_type, &draft.attributes));
    match found {
        Ok(found) => Ok(found.map(|former| former.id().to_owned())),
        Err(error) if error.kind == ErrorKind::Uniqueness => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the POST says, and active unless it says otherwise.
pub(super) fn activated(resource_type: &ResourceType, attributes: &Object) -> Object {
    let mut attributes = attributes.clone();
    if let Some(activity) = resource_type.activity() {
        attributes.entry(activity.name.as_ref()).or_insert(Value::Bool(true));
    }
    attributes
}

/// Remember a resource that is being deleted, where the tenant wants such restored.
pub(super) fn remember<H: Host>(
    ctx: &Context<'_, H>,
    txn: &mut Txn<'_, H::Store>,
    resource_type: &ResourceType,
    old: &Resource,
) -> Result<()> {
    match ctx.tenant.settings.reprovisioning == Reprovisioning::Restore && resource_type.activity().is_some() {
        true => tombstones::bury(txn, resource_type, old, ctx.now),
        false => Ok(()),
    }
}

fn deleted<H: Host>(
    ctx: &Context<'_, H>,
    txn: &mut Txn<'_, H::Store>,
    resource_type: &ResourceType,
    identity: &Identity<'_>,
) -> Result<Option<Tombstone>> {
    match ctx.tenant.settings.reprovisioning {
        Reprovisioning::Restore => {
            tombstones::find(txn, resource_type, identity, ctx.tenant.settings.deletions_since(ctx.now))
        }
        Reprovisioning::Conflict | Reprovisioning::Reactivate => Ok(None),
    }
}

fn note(candidates: &mut Vec<Candidate>, id: String, name: &str, former: impl FnOnce() -> Option<Former>) {
    match candidates.iter_mut().find(|candidate| candidate.id == id) {
        Some(known) => known.same.push(name.to_owned()),
        None => candidates.push(Candidate { former: former(), id, same: vec![name.to_owned()] }),
    }
}

fn ambiguous(resource_type: &ResourceType, candidates: &[Candidate]) -> ScimError {
    let each = candidates.iter().map(|Candidate { former, id, same }| {
        let state = match former {
            Some(Former::Deactivated(_)) => "deactivated",
            Some(Former::Deleted(_)) => "deleted",
            None => "active",
        };
        format!("{state} `{}` ({})", excerpt(id), same.join(", "))
    });
    ScimError::new(
        ErrorKind::Uniqueness,
        format!(
            "It can't be told which {} is to come back: there are {}. Send the values of one of them, or update the one that              is meant by its id.",
            resource_type.name,
            each.collect::<Vec<_>>().join(" and "),
        ),
    )
}
