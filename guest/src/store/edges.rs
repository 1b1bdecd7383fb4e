//! Group membership: one key an edge, in both directions, so that a change costs what it changes and not what is there.
//!
//! Adding different members concurrently meets no conflict: an edge checks only itself and that both its ends live.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{ErrorKind, Result, ScimError};
use crate::limits;
use crate::resource::{Resource, Timestamp};
use crate::schema::{ResourceType, Source};

use super::{Read, Store, Txn, keys, repo, sweep};

/// One member of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Its resource type's name.
    pub resource_type: String,
    /// What it is called.
    pub display: String,
}

/// The counter `v` of a resource: changes of its edges in the lower 40 bits, and above them how many resources it is a member
/// of. Two numbers in one counter, since both move with each edge and a read wants both: who is a member of nothing, as most
/// groups are, has no edges to look for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeCounter(i64);

impl EdgeCounter {
    const MEMBERSHIP: i64 = 1 << 40;
    /// What to add when an edge between a resource and its members changes.
    const CHANGED: i64 = 1;
    /// What to add to a resource that has become a member.
    const JOINED: i64 = Self::CHANGED + Self::MEMBERSHIP;
    /// What to add to a resource that is a member no more.
    const LEFT: i64 = Self::CHANGED - Self::MEMBERSHIP;

    /// What is stored.
    pub fn decode(value: Option<&[u8]>) -> Result<Self> {
        super::counter(value).map(Self)
    }

    /// How often the edges have changed: the second part of a version.
    pub fn revision(self) -> i64 {
        self.0 & (Self::MEMBERSHIP - 1)
    }

    /// Whether the resource is a member of something, deleted groups that are still to be swept included.
    pub fn is_member(self) -> bool {
        self.0 >= Self::MEMBERSHIP
    }

    /// The counter after a change of the members, where there was one.
    #[must_use]
    pub fn after(self, changed: &Changed) -> Self {
        if changed.is_empty() { self } else { Self(self.0 + Self::CHANGED) }
    }
}

/// What is to become of the members: those named, on top of those there are or instead of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Members that are not named here go.
    pub only: bool,
    /// Whether each is to be a member.
    pub named: BTreeMap<String, bool>,
}

impl Edit {
    /// All of these are to be members, and none beside them where `only` says so.
    pub fn naming(members: Vec<String>, only: bool) -> Self {
        Self { only, named: members.into_iter().map(|member| (member, true)).collect() }
    }
}

/// What has become of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Ids that are members now and were not.
    pub added: Vec<String>,
    /// Ids that were members and are not now.
    pub removed: Vec<String>,
}

impl Changed {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// All members of a resource that live, by id; 400 tooMany where they are more than one answer takes.
pub fn members(reader: &impl Read, id: &str) -> Result<Vec<Member>> {
    let mut all = Vec::new();
    each_members(reader, id, |members| {
        all.extend(members);
        Ok(())
    })?;
    Ok(all)
}

/// The same, some at a time, so that nobody need hold them all.
pub fn each_members(reader: &impl Read, id: &str, mut each: impl FnMut(Vec<Member>) -> Result<()>) -> Result<()> {
    let mut range = keys::members(id);
    let mut gone = None;
    loop {
        let entries = reader.entries(&range, false, limits::SCAN_BATCH)?;
        let Some(last) = entries.last() else { return Ok(()) };
        let ended = entries.len() < limits::SCAN_BATCH as usize;
        range = keys::after(&range, &last.key);
        if gone.is_none() && !ended {
            let count = member_count(reader, id)?;
            if count > limits::SHOWN_MEMBERS {
                return Err(too_many_members(id, count));
            }
        }
        let gone = match &gone {
            Some(gone) => gone,
            None => gone.insert(self::gone(reader)?),
        };
        let members = entries.iter().map(|entry| {
            let (resource_type, display) = repo::split_alive(&entry.value);
            Member { id: keys::last_part(&entry.key), resource_type, display }
        });
        each(members.filter(|member| !gone.contains(&member.id)).collect())?;
        if ended {
            return Ok(());
        }
    }
}

/// 400 tooMany (RFC 7644 §3.12): part of the members would pass for all of them.
fn too_many_members(id: &str, count: u64) -> ScimError {
    ScimError::new(
        ErrorKind::TooMany,
        format!(
            "{id} has {count} members, more than the {} that one answer takes. Leave them out by \
             excludedAttributes=members; ask for one by filter=id eq \"{id}\" and members eq \"…\", and for all, page by page, \
             by filter=groups eq \"{id}\" on the members' own endpoint with `cursor`.",
            limits::SHOWN_MEMBERS
        ),
    )
}

/// Whether `member` is a member, by one read.
pub fn is_member(reader: &impl Read, id: &str, member: &str) -> Result<bool> {
    if !keys::is_id(member) {
        return Ok(false);
    }
    // A member that is deleted leaves at once or is marked. Few are marked, so that to look there costs less than to look whether
    // the member lives, which is somewhere among all that do.
    let values = reader.peek(&[keys::member(id, member), keys::gone(member)])?;
    Ok(matches!(values.as_slice(), [Some(_), None]))
}

/// How many members a resource has, deleted ones that are still to be swept included.
pub fn member_count(reader: &impl Read, id: &str) -> Result<u64> {
    let value = reader.peek_one(keys::member_count(id))?;
    Ok(u64::try_from(super::counter(value.as_deref())?).unwrap_or(0))
}

/// Ids of the resources that `member` is a direct member of: an index for `members eq`.
pub fn holders(reader: &impl Read, member: &str) -> Result<Vec<String>> {
    if !keys::is_id(member) {
        return Ok(Vec::new());
    }
    Ok(reader.all_entries(&keys::memberships(member), true)?.iter().map(|e| keys::last_part(&e.key)).collect())
}

/// Make `edit` true of the members of `id`. Nothing is written for what is so already (RFC 7644 §3.5.2.1).
///
/// An unknown member is 400 invalidValue that names it.
pub fn edit<S: Store>(
    txn: &mut Txn<'_, S>,
    resource_type: &ResourceType,
    id: &str,
    edit: &Edit,
    now: Timestamp,
) -> Result<Changed> {
    if let Some(bad) = edit.named.iter().find(|(member, on)| **on && !keys::is_id(member)) {
        return Err(unknown_member(resource_type, bad.0));
    }
    let named: Vec<(&String, bool)> =
        edit.named.iter().filter(|(member, _)| keys::is_id(member)).map(|(m, on)| (m, *on)).collect();
    let edges = txn.read(&named.iter().map(|(member, _)| keys::member(id, member)).collect::<Vec<_>>())?;
    let mut changed = Changed::default();
    for ((member, wanted), edge) in named.iter().zip(&edges) {
        match (wanted, edge.is_some()) {
            (true, false) => changed.added.push((*member).clone()),
            (false, true) => changed.removed.push((*member).clone()),
            _ => {}
        }
    }
    if edit.only {
        // Whoever edits members meanwhile moves this counter, so that none escapes the replacement.
        txn.read_one(&keys::edge_revision(id))?;
        // Only the difference is held.
        let mut range = keys::members(id);
        loop {
            let entries = txn.entries(&range, true, limits::SCAN_BATCH)?;
            let there = entries.iter().map(|entry| keys::last_part(&entry.key));
            changed.removed.extend(there.filter(|member| !edit.named.contains_key(member)));
            if changed.removed.len() > limits::REPLACED_MEMBERS {
                return Err(too_many_removed(txn, resource_type, id)?);
            }
            match entries.last() {
                Some(last) if entries.len() == limits::SCAN_BATCH as usize => range = keys::after(&range, &last.key),
                _ => break,
            }
        }
    }
    add(txn, resource_type, id, &changed.added)?;
    for member in &changed.removed {
        remove(txn, id, member);
    }
    if !changed.is_empty() {
        let by = count(changed.added.len()) - count(changed.removed.len());
        txn.add(keys::member_count(id), by);
        txn.add(keys::edge_revision(id), EdgeCounter::CHANGED);
        txn.put(keys::members_modified(id), now.to_le_bytes().to_vec());
    }
    Ok(changed)
}

/// 400 tooMany: a replacement that takes out more than one commit should.
fn too_many_removed(reader: &impl Read, resource_type: &ResourceType, id: &str) -> Result<ScimError> {
    let name = resource_type.attribute_from(Source::Members).map_or("members", |a| a.name.as_ref());
    let count = member_count(reader, id)?;
    Ok(ScimError::new(
        ErrorKind::TooMany,
        format!(
            "{name}: {id} has {count} members, and the replacement would take out more than {} of them at once. Remove them \
             in several PATCH requests, or delete the {} and create it anew.",
            limits::REPLACED_MEMBERS,
            resource_type.name
        ),
    ))
}

fn add<S: Store>(txn: &mut Txn<'_, S>, resource_type: &ResourceType, id: &str, members: &[String]) -> Result<()> {
    if members.is_empty() {
        return Ok(());
    }
    if members.iter().any(|member| member == id) {
        return Err(invalid_member(
            resource_type,
            &format!("\"{id}\" is the resource itself, which can't be its own member."),
        ));
    }
    // Members must live until the commit (the document of `id` is the caller's to check). A rename changes these keys too,
    // so that an edge never keeps an old name.
    let alive = txn.read(&members.iter().map(|member| keys::alive(member)).collect::<Vec<_>>())?;
    for (member, alive) in members.iter().zip(&alive) {
        let Some(alive) = alive else { return Err(unknown_member(resource_type, member)) };
        check_member_type(resource_type, member, alive)?;
        txn.put(keys::member(id, member), alive.clone());
        txn.put(keys::membership(member, id), Vec::new());
        txn.add(keys::edge_revision(member), EdgeCounter::JOINED);
    }
    Ok(())
}

/// A member's type must be one that the schema's `$ref` may refer to (RFC 7643 §4.2).
fn check_member_type(resource_type: &ResourceType, member: &str, alive: &[u8]) -> Result<()> {
    let (kind, _) = repo::split_alive(alive);
    let Some(attribute) = resource_type.attribute_from(Source::Members) else { return Ok(()) };
    let allowed = attribute.sub_attribute("$ref").map(|r| r.reference_types.as_ref()).unwrap_or_default();
    match allowed.is_empty() || allowed.iter().any(|name| name == &kind) {
        true => Ok(()),
        false => Err(invalid_member(
            resource_type,
            &format!("\"{member}\" is a {kind}; members may be of type {}.", allowed.join(", ")),
        )),
    }
}

/// Remove one edge.
pub fn remove<S: Store>(txn: &mut Txn<'_, S>, id: &str, member: &str) {
    txn.delete(keys::member(id, member));
    txn.delete(keys::membership(member, id));
    txn.add(keys::edge_revision(member), EdgeCounter::LEFT);
}

/// Bring a changed display name to the edges that carry it, in the commit that changes it.
pub fn rename<S: Store>(
    txn: &mut Txn<'_, S>,
    resource_type: &ResourceType,
    old: &Resource,
    new: &Resource,
) -> Result<()> {
    let value = repo::alive_value(resource_type, &new.attributes);
    if value == repo::alive_value(resource_type, &old.attributes) {
        return Ok(());
    }
    txn.read_one(&keys::edge_revision(&new.id))?;
    for holder in holders(txn, &new.id)? {
        txn.put(keys::member(&holder, &new.id), value.clone());
    }
    Ok(())
}

/// Take a resource that is being deleted out of its edges: at once where there are few, else it is marked as gone, readers
/// pass its edges over, and `sweep` removes them in steps.
pub fn detach<S: Store>(txn: &mut Txn<'_, S>, id: &str) -> Result<Changed> {
    txn.read_one(&keys::edge_revision(id))?;
    let limit = limits::SWEEP_EDGES;
    let members = txn.entries(&keys::members(id), true, limit)?;
    let holders = txn.entries(&keys::memberships(id), true, limit)?;
    if members.len() + holders.len() >= limit as usize {
        sweep::mark(txn, keys::gone(id));
        return Ok(Changed::default());
    }
    let ids = |entries: &[super::Entry]| entries.iter().map(|e| keys::last_part(&e.key)).collect::<Vec<_>>();
    let (members, holders) = (ids(&members), ids(&holders));
    for member in &members {
        remove(txn, id, member);
    }
    for holder in &holders {
        leave(txn, holder, id);
    }
    forget(txn, id);
    Ok(Changed { added: Vec::new(), removed: members })
}

/// Remove one edge of a member that is going, and count it at its holder.
pub fn leave<S: Store>(txn: &mut Txn<'_, S>, holder: &str, member: &str) {
    remove(txn, holder, member);
    txn.add(keys::member_count(holder), -1);
    txn.add(keys::edge_revision(holder), EdgeCounter::CHANGED);
}

/// Remove the counters of a resource without edges.
pub fn forget<S: Store>(txn: &mut Txn<'_, S>, id: &str) {
    txn.delete(keys::member_count(id));
    txn.delete(keys::edge_revision(id));
    txn.delete(keys::members_modified(id));
    txn.delete(keys::gone(id));
}

/// Deleted resources whose edges are still there.
fn gone(reader: &impl Read) -> Result<BTreeSet<String>> {
    Ok(reader.all_entries(&keys::all_gone(), true)?.iter().map(|entry| keys::last_part(&entry.key)).collect())
}

fn unknown_member(resource_type: &ResourceType, member: &str) -> ScimError {
    invalid_member(
        resource_type,
        &format!(
            "\"{member}\" is the id of no resource here. Create it first, and refer to it by the id in the reply."
        ),
    )
}

fn invalid_member(resource_type: &ResourceType, why: &str) -> ScimError {
    let name = resource_type.attribute_from(Source::Members).map_or("members", |a| a.name.as_ref());
    ScimError::new(ErrorKind::InvalidValue, format!("{name}.value: {why}"))
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
