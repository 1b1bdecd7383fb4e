//! What PUT and PATCH share: a document and its edges change in one commit.

use crate::error::Result;
use crate::host::Host;
use crate::password::Password;
use crate::patch::EdgeEdit;
use crate::resource::Object;
use crate::schema::{ResourceType, Source};
use crate::store::edges::{self, Edit};
use crate::store::log::{self, Cause};
use crate::store::repo::{self, Loaded};
use crate::store::{Read, Txn};

use super::{Context, revised};

/// What a resource is to be.
pub(super) struct New<'n> {
    /// Its document.
    pub(super) attributes: Object,
    /// Its members; `None` leaves them.
    pub(super) members: Option<&'n Edit>,
    /// Its password.
    pub(super) password: &'n Password,
}

/// Bring a resource, its members and its password to what is wanted. Where none differs from what is there, nothing is
/// written, and version and lastModified stay.
pub(super) fn change<H: Host>(
    ctx: &Context<'_, H>,
    txn: &mut Txn<'_, H::Store>,
    cause: &Cause<'_>,
    resource_type: &ResourceType,
    old: &Loaded,
    New { attributes, members: edit, password }: New<'_>,
) -> Result<Loaded> {
    let mut new = revised(&old.resource, attributes, ctx.now);
    let password_changed = repo::set_password(txn, &new.id, password)?;
    // A password alone makes a version too: a client that compares versions must see that somebody set it.
    if password_changed && new == old.resource {
        new.revision += 1;
        new.modified = ctx.now.max(new.modified);
    }
    if new != old.resource {
        repo::write(txn, resource_type, Some(&old.resource), &new)?;
        edges::rename(txn, resource_type, &old.resource, &new)?;
    }
    let members = match edit {
        Some(edit) => edges::edit(txn, resource_type, &new.id, edit, ctx.now)?,
        None => edges::Changed::default(),
    };
    if new == old.resource && members.is_empty() {
        return Ok(old.clone());
    }
    let documents = (Some(&old.resource.attributes), Some(&new.attributes));
    ctx.review(cause.operation, resource_type, &new.id, documents)?;
    let cause = &Cause { password_changed, ..cause.clone() };
    log::append(txn, cause, resource_type, &new.id, documents, &members)?;
    Ok(Loaded {
        resource: new,
        edges: old.edges.after(&members),
        members_modified: if members.is_empty() { old.members_modified } else { Some(ctx.now) },
    })
}

/// The edits of a PATCH, in order, as one: only a filter on members needs to know who they are.
pub(super) fn combine<H: Host>(
    ctx: &Context<'_, H>,
    reader: &impl Read,
    resource_type: &ResourceType,
    old: &Loaded,
    edits: &[EdgeEdit<'_>],
) -> Result<Option<Edit>> {
    if edits.is_empty() {
        return Ok(None);
    }
    let mut combined = Edit::default();
    for edit in edits {
        match edit {
            EdgeEdit::Add(ids) => combined.named.extend(ids.iter().map(|id| (id.clone(), true))),
            EdgeEdit::Remove(ids) => combined.named.extend(ids.iter().map(|id| (id.clone(), false))),
            EdgeEdit::Replace(ids) => combined = Edit::naming(ids.clone(), true),
            EdgeEdit::RemoveWhere(filter) => {
                let whole = ctx.whole(reader, resource_type, old.clone(), true, false)?;
                let name = resource_type.attribute_from(Source::Members).map_or("", |a| a.name.as_ref());
                let elements = whole.get(name).and_then(|v| v.as_array()).map(Vec::as_slice).unwrap_or_default();
                let selected = elements.iter().filter(|element| filter.matches_element(element));
                let ids = selected.filter_map(|element| element.get("value")?.as_str());
                combined.named.extend(ids.map(|id| (id.to_owned(), false)));
            }
        }
    }
    Ok(Some(combined))
}
