//! From a plan to candidates: the way that leads to the fewest, and whom it leads to.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::filter::{Access, Plan, Way};
use crate::host::Host;
use crate::limits;
use crate::schema::order::Span;
use crate::schema::{ResourceType, Source};
use crate::store::repo::{self, Claim};
use crate::store::{KeyRange, Read, census, edges, keys};

use super::search::Search;

/// Sizes up to which ways are compared. To find the smallest costs in proportion to it, whatever the size of the others.
const SIZES: [u64; 4] = [64, 1_024, 16_384, 262_144];

/// A way to so few is taken whatever else there is: put in order in memory rather than by following an index past others.
pub(super) const FEW: u64 = SIZES[1];

/// Of so many resources, one that is found by its key costs as much as all that lie in a row.
const ROW: u64 = 4;

/// One that a way leads to.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub id: String,
    pub proof: Proof,
}

/// What is left to do to know that a candidate satisfies the terms that its way answers.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// Nothing.
    Given,
    /// This must still be so when the document is read.
    Claim(Box<Claim>),
    /// The terms must be tested: the index was read before the document is.
    Test,
}

/// Which way to go.
pub(super) enum Choice<'p, 'f> {
    /// This one, to as many candidates at most where that was found out.
    Way(&'p Way<'f>, u64),
    /// None: every resource is tested.
    All,
}

/// Choose the way that leads to the fewest candidates.
pub(super) fn choose<'p, 'f, H: Host>(
    search: &Search<'_, '_, H>,
    ty: &ResourceType,
    plan: &'p Plan<'f>,
) -> Result<Choice<'p, 'f>> {
    let Some(first) = plan.ways.first() else { return Ok(Choice::All) };
    if first.is_narrow() {
        return Ok(Choice::Way(first, first.paths.len() as u64));
    }
    // Beyond a few, no way is taken that leads to so many that it is cheaper to read all in a row.
    let most = census::count(&search.ctx.store, ty)? / ROW;
    let mut tried = 0;
    for size in SIZES.map(|size| if size > FEW { size.min(most) } else { size }) {
        if size <= tried {
            break;
        }
        tried = size;
        for way in &plan.ways {
            if !exceeds(search, ty, way, size)? {
                return Ok(Choice::Way(way, size));
            }
        }
    }
    Ok(Choice::All)
}

/// The keys that are as many as the matches: those of an index that answers alone, each resource once.
pub(super) fn total(ty: &ResourceType, plan: &Plan<'_>) -> Option<KeyRange> {
    plan.ways.iter().find_map(|way| match way.paths.as_slice() {
        [Access::Index(target, span)] if plan.rest(Some(way)).is_empty() => {
            let once = target.is_single() || matches!(span, Span::Equal(_));
            once.then(|| keys::index_span(ty, target, span))
        }
        _ => None,
    })
}

/// The paths of a way in words.
pub(super) fn paths(way: &Way<'_>) -> Vec<String> {
    way.paths.iter().map(ToString::to_string).collect()
}

/// Whether a way leads to more than `size` candidates, as far as that can be told from each of its paths on its own.
fn exceeds<H: Host>(search: &Search<'_, '_, H>, ty: &ResourceType, way: &Way<'_>, size: u64) -> Result<bool> {
    let each = size / way.paths.len() as u64;
    for path in &way.paths {
        let range = match path {
            Access::Id(_) | Access::Unique(..) => continue,
            Access::HasMember(id) => keys::memberships(id),
            Access::MemberOf(id) => keys::members(id),
            Access::Index(target, span) => keys::index_span(ty, target, span),
        };
        if search.exceeds(&range, each.max(1))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whom a way leads to, in order and each once; `None` where they are too many.
pub(super) fn gather<H: Host>(
    search: &Search<'_, '_, H>,
    ty: &ResourceType,
    way: &Way<'_>,
) -> Result<Option<Vec<Candidate>>> {
    let store = &search.ctx.ahead.over(&search.ctx.store);
    let mut found: Vec<Candidate> = Vec::new();
    // These are looked up at once.
    let (mut unique, mut named) = (Vec::new(), Vec::new());
    for access in &way.paths {
        match access {
            Access::Id(id) => named.push((*id).to_owned()),
            Access::Unique(target, value) => unique.push(keys::unique(ty, target, value)),
            Access::HasMember(member) => {
                if keys::is_id(member) && store.peek_one(keys::alive(member))?.is_some() {
                    named.extend(edges::holders(store, member)?);
                }
            }
            Access::MemberOf(id) => {
                let Some(members) = members(search, id)? else { return Ok(None) };
                found.extend(members.into_iter().map(|id| Candidate { id, proof: Proof::Test }));
            }
            Access::Index(target, span) => {
                let range = keys::index_span(ty, target, span);
                let Some(ids) = ids(search, range)? else { return Ok(None) };
                found.extend(ids.into_iter().map(|id| Candidate { id, proof: Proof::Test }));
            }
        }
    }
    if !unique.is_empty() {
        search.read(unique.len() as u64);
        let holders = store.peek(&unique)?;
        found.extend(unique.into_iter().zip(holders).filter_map(|(key, holder)| {
            let holder = holder?;
            let id = String::from_utf8_lossy(&holder).into_owned();
            Some(Candidate { id, proof: Proof::Claim(Box::new((key, holder))) })
        }));
    }
    if !named.is_empty() {
        // Neither what a client calls an id need be one, nor what has an edge be there still.
        named.retain(|id| keys::is_id(id));
        search.read(named.len() as u64);
        let alive = store.peek(&named.iter().map(|id| keys::alive(id)).collect::<Vec<_>>())?;
        let lives = |value: Option<Vec<u8>>| value.is_some_and(|value| repo::split_alive(&value).0 == ty.name);
        let living = named.into_iter().zip(alive).filter_map(|(id, value)| lives(value).then_some(id));
        found.extend(living.map(|id| Candidate { id, proof: Proof::Given }));
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    // Who is there by two paths, one of which may hold no longer, is tested.
    found.dedup_by(|again, first| {
        let same = again.id == first.id;
        if same && !matches!(first.proof, Proof::Given) {
            first.proof = Proof::Test;
        }
        same
    });
    Ok(Some(found))
}

/// The ids at the end of a range's keys; `None` where they are too many.
fn ids<H: Host>(search: &Search<'_, '_, H>, mut range: KeyRange) -> Result<Option<Vec<String>>> {
    let mut ids = Vec::new();
    loop {
        let entries = search.keys(&range, 0, limits::SCAN_BATCH, false)?;
        ids.extend(entries.iter().map(|entry| keys::last_part(&entry.key)));
        if search.is_overdrawn() {
            return Ok(None);
        }
        match entries.last() {
            Some(last) if entries.len() == limits::SCAN_BATCH as usize => range = keys::after(&range, &last.key),
            _ => return Ok(Some(ids)),
        }
    }
}

/// All that are below `id`, as members of it or of members of it; `None` where they are too many.
fn members<H: Host>(search: &Search<'_, '_, H>, id: &str) -> Result<Option<Vec<String>>> {
    if !keys::is_id(id) {
        return Ok(Some(Vec::new()));
    }
    let registry = &search.ctx.tenant.registry;
    let holds_members =
        |name: &str| registry.by_name(name).is_some_and(|ty| ty.attribute_from(Source::Members).is_some());
    let mut seen = BTreeSet::new();
    let mut level = vec![id.to_owned()];
    for _ in 0..limits::GROUP_DEPTH {
        let mut next = Vec::new();
        for group in &level {
            let mut range = keys::members(group);
            loop {
                let entries = search.ctx.store.entries(&range, false, limits::SCAN_BATCH)?;
                search.read(entries.len() as u64);
                if search.is_overdrawn() {
                    return Ok(None);
                }
                for entry in &entries {
                    let member = keys::last_part(&entry.key);
                    let (kind, _) = repo::split_alive(&entry.value);
                    if seen.insert(member.clone()) && holds_members(&kind) {
                        next.push(member);
                    }
                }
                match entries.last() {
                    Some(last) if entries.len() == limits::SCAN_BATCH as usize => {
                        range = keys::after(&range, &last.key);
                    }
                    _ => break,
                }
            }
        }
        if next.is_empty() {
            break;
        }
        level = next;
    }
    Ok(Some(seen.into_iter().collect()))
}
