//! The walk behind a search: candidates by the cheapest way, tested, put in order, cut to a page.

mod by_index;
mod candidates;
mod search;
mod sorted;

use std::ops::ControlFlow;

use serde_json::json;

use crate::error::Result;
use crate::filter::{self, Access, Checked, Plan, Rest};
use crate::host::Host;
use crate::limits;
use crate::project::Projection;
use crate::query::SortOrder;
use crate::schema::order::Span;
use crate::schema::{ResourceType, Source};
use crate::store::ahead::Ahead;
use crate::store::repo::{self, Claim, Stored};
use crate::store::{Entry, KeyRange, Read, ScanOptions, Store, census, edges, failure, keys, memberships};

use self::candidates::{Candidate, Choice, Proof};
pub(super) use self::search::{Budget, Search};
use super::sort::{Place, Sort, SortKey};

/// One type of a search, and what the search asks of it.
pub(super) struct Scope<'t> {
    pub resource_type: &'t ResourceType,
    /// `None` where all of its resources match.
    pub filter: Option<Checked<'t>>,
    /// `None` where its resources have no value to sort by.
    pub sort: Option<Sort<'t>>,
    pub projection: Projection<'t>,
}

/// Which of the matches to show.
#[derive(Clone, Debug)]
pub(super) enum Window {
    /// By number (RFC 7644 §3.4.2.4).
    Index { skip: u64, count: usize },
    /// From a place on (RFC 9865). `total` is what an earlier page knew.
    Cursor { after: Option<Place>, count: usize, total: Option<u64> },
}

/// A page.
#[derive(Debug)]
pub(super) struct Selection {
    /// How many match; `None` where only a cursor's page could be afforded.
    pub total: Option<u64>,
    /// Each with the number of its scope.
    pub page: Vec<(usize, Stored)>,
    /// The place after which a cursor goes on; `None` at the end.
    pub next: Option<Place>,
    /// What was read with the only one of the page, and showing it is going to take.
    pub ahead: Ahead,
}

/// What the walk came by.
struct Seen {
    stored: Stored,
    matches: bool,
    key: SortKey,
}

impl Window {
    fn count(&self) -> usize {
        match self {
            Self::Index { count, .. } | Self::Cursor { count, .. } => *count,
        }
    }

    /// How many matches to gather: one more than is shown tells whether a cursor goes on.
    fn gathered(&self) -> usize {
        match self {
            Self::Index { count, .. } | Self::Cursor { count: count @ 0, .. } => *count,
            Self::Cursor { count, .. } => count + 1,
        }
    }

    fn skip(&self) -> u64 {
        match self {
            Self::Index { skip, .. } => *skip,
            Self::Cursor { .. } => 0,
        }
    }

    fn after(&self) -> Option<&Place> {
        match self {
            Self::Index { .. } => None,
            Self::Cursor { after, .. } => after.as_ref(),
        }
    }

    /// What an earlier page knew.
    fn total(&self) -> Option<u64> {
        match self {
            Self::Index { .. } => None,
            Self::Cursor { total, .. } => *total,
        }
    }

    fn is_cursor(&self) -> bool {
        matches!(self, Self::Cursor { .. })
    }
}

/// A page of the matches, sorted where there is an `order`, else by type and creation.
pub(super) fn select<H: Host>(
    search: &Search<'_, '_, H>,
    scopes: &[Scope<'_>],
    order: Option<SortOrder>,
    window: &Window,
) -> Result<Selection> {
    match (order, scopes) {
        (Some(order), scopes) if window.count() > 0 => {
            if let [scope] = scopes
                && let Some(found) = by_index::select(search, scope, order, window)?
            {
                return Ok(found);
            }
            sorted::select(search, scopes, order, window)
        }
        (_, scopes) if scopes.iter().all(|scope| scope.filter.is_none()) => everything(search, scopes, window),
        (_, [scope]) => match alone(search, scope, window)? {
            Some(found) => Ok(found),
            None => filtered(search, scopes, window),
        },
        (_, scopes) => filtered(search, scopes, window),
    }
}

/// Without filter and sort, totals are counters and the page is read where it is.
fn everything<H: Host>(search: &Search<'_, '_, H>, scopes: &[Scope<'_>], window: &Window) -> Result<Selection> {
    let store = &search.ctx.store;
    let counts = scopes.iter().map(|scope| census::count(store, scope.resource_type)).collect::<Result<Vec<_>>>()?;
    search.note(|| json!({ "access": ["the documents of the page"] }));
    let mut skip = window.skip();
    let mut page = Vec::new();
    for (rank, (scope, count)) in scopes.iter().zip(&counts).enumerate() {
        let wanted = window.gathered() - page.len();
        let passed = window.after().is_some_and(|after| rank < after.rank);
        if wanted == 0 || passed {
            continue;
        }
        if skip >= *count {
            skip -= count;
            continue;
        }
        let place = match skip {
            0 => census::Place { range: documents_from(scope, rank, window.after()), skip },
            skip => census::place(store, scope.resource_type, skip)?,
        };
        let options = ScanOptions { skip: place.skip, limit: limit(wanted), ..ScanOptions::default() };
        let entries = store.scan(&place.range, options).map_err(failure)?;
        search.read(place.skip + entries.len() as u64);
        page.extend(repo::stamp(store, scope.resource_type, &entries)?.into_iter().map(|stored| (rank, stored)));
        skip = 0;
    }
    Ok(cut(page, window, Some(counts.iter().sum())))
}

/// A page of one type where keys alone tell who matches: only those shown are read. `None` where they don't.
fn alone<H: Host>(search: &Search<'_, '_, H>, scope: &Scope<'_>, window: &Window) -> Result<Option<Selection>> {
    let Some(filter) = &scope.filter else { return Ok(None) };
    let ty = scope.resource_type;
    let plan = filter::plan(filter, ty);
    let after = window.after().map(|after| after.id.as_str());
    // The entries with one value are in the order of creation: the page is a part of them.
    for way in plan.ways.iter().filter(|way| plan.rest(Some(way)).is_empty()) {
        let [Access::Index(target, span @ Span::Equal(_))] = way.paths.as_slice() else { continue };
        let range = keys::index_span(ty, target, span);
        let total = match (after, window.total()) {
            (None, _) => Some(search.count(&range)?),
            (Some(_), known) => known,
        };
        search.note(|| json!({ "access": candidates::paths(way) }));
        let start = after.map_or_else(|| range.clone(), |id| keys::after(&range, &keys::index_of(&range, id)));
        let entries = search.keys(&start, window.skip(), limit(window.gathered()), false)?;
        search.read(window.skip());
        let claimed = |entry: Entry| {
            let id = keys::last_part(&entry.key);
            Candidate { id, proof: Proof::Claim(Box::new((entry.key, entry.value))) }
        };
        let found: Vec<Candidate> = entries.into_iter().map(claimed).collect();
        return shown(search, scope, &plan, found, window, total).map(Some);
    }
    if !plan.ways.iter().any(|way| plan.rest(Some(way)).is_empty()) {
        return Ok(None);
    }
    let Choice::Way(way, _) = candidates::choose(search, ty, &plan)? else { return Ok(None) };
    if !plan.rest(Some(way)).is_empty() {
        return Ok(None);
    }
    let Some(mut found) = candidates::gather(search, ty, way)? else { return Ok(None) };
    search.note(|| json!({ "access": candidates::paths(way) }));
    let total = match after {
        None => Some(found.len() as u64),
        Some(_) => window.total(),
    };
    let first = found.partition_point(|candidate| after.is_some_and(|after| candidate.id.as_str() <= after));
    let first = first.saturating_add(usize::try_from(window.skip()).unwrap_or(usize::MAX)).min(found.len());
    found.drain(..first);
    found.truncate(window.gathered());
    shown(search, scope, &plan, found, window, total).map(Some)
}

/// The page that begins with the first of these.
fn shown<H: Host>(
    search: &Search<'_, '_, H>,
    scope: &Scope<'_>,
    plan: &Plan<'_>,
    mut found: Vec<Candidate>,
    window: &Window,
    total: Option<u64>,
) -> Result<Selection> {
    let more = window.is_cursor() && found.len() > window.count();
    found.truncate(window.count());
    let next = found.last().filter(|_| more).map(|last| Place {
        key: SortKey::Absent,
        order: SortOrder::Ascending,
        rank: 0,
        id: last.id.clone(),
    });
    let mut page = Vec::with_capacity(found.len());
    let ahead = ahead(search, scope, &found)?;
    for (stored, test) in fetch(search, scope, &found, &ahead.over(&search.ctx.store))? {
        // Who has changed since the keys were read may no longer match.
        if !test || matches(search, scope, &plan.rest(None), &stored)? {
            page.push((0, stored));
        }
    }
    Ok(Selection { total, page, next, ahead })
}

/// Read the only candidate together with its memberships: most searches ask for one resource by its name.
fn ahead<H: Host>(search: &Search<'_, '_, H>, scope: &Scope<'_>, found: &[Candidate]) -> Result<Ahead> {
    let ([Candidate { id, proof }], ty) = (found, scope.resource_type) else { return Ok(Ahead::default()) };
    if !ty.attribute_from(Source::Memberships).is_some_and(|attribute| scope.projection.wants(attribute)) {
        return Ok(Ahead::default());
    }
    let mut wanted = repo::peeked(ty, id);
    if let Proof::Claim(claim) = proof {
        wanted.push(claim.0.clone());
    }
    let memberships = (keys::memberships(id), memberships::FIRST);
    Ahead::fetch(&search.ctx.store, wanted, Some(memberships), &keys::of_holders())
}

/// Read candidates, and tell of each whether it is to be tested. Those who are gone are left out.
fn fetch<H: Host>(
    search: &Search<'_, '_, H>,
    scope: &Scope<'_>,
    found: &[Candidate],
    reader: &impl Read,
) -> Result<Vec<(Stored, bool)>> {
    let claim = |candidate: &Candidate| match &candidate.proof {
        Proof::Claim(claim) => Some(Claim::clone(claim)),
        Proof::Given | Proof::Test => None,
    };
    let claims: Vec<_> = found.iter().map(|candidate| (candidate.id.as_str(), claim(candidate))).collect();
    search.read(claims.len() as u64);
    let stored = repo::peek_claimed(reader, scope.resource_type, &claims)?;
    let tests = found.iter().map(|candidate| matches!(candidate.proof, Proof::Test));
    Ok(stored.into_iter().zip(tests).filter_map(|(stored, test)| Some((stored?, test))).collect())
}

/// With a filter, in the order of creation.
fn filtered<H: Host>(search: &Search<'_, '_, H>, scopes: &[Scope<'_>], window: &Window) -> Result<Selection> {
    let mut known = window.total();
    let mut counts = window.after().is_none();
    // The keys of an index may tell the total, so that the walk ends with the page.
    if let ([scope], true) = (scopes, counts)
        && let Some(filter) = &scope.filter
        && let Some(range) = candidates::total(scope.resource_type, &filter::plan(filter, scope.resource_type))
    {
        (known, counts) = (Some(search.count(&range)?), false);
    }
    let mut page: Vec<(usize, Stored)> = Vec::new();
    let (mut number, mut stopped, mut overran, mut uncounted) = (0_u64, None, None, false);
    for (rank, scope) in scopes.iter().enumerate() {
        if window.after().is_some_and(|after| rank < after.rank) {
            continue;
        }
        let flow = walk(search, scope, rank, window, counts, &mut |seen| {
            let full = page.len() >= window.gathered();
            if full && !counts {
                return ControlFlow::Break(());
            }
            // A cursor's page needs no total (RFC 9865 §2), and may not wait for one.
            if full && window.is_cursor() && search.spent().1 >= limits::COUNTED {
                uncounted = true;
                return ControlFlow::Break(());
            }
            if !search.examine() {
                overran = Some(rank);
                return ControlFlow::Break(());
            }
            if search.is_exhausted() {
                stopped = Some(place(SortOrder::Ascending, SortKey::Absent, rank, &seen.stored));
            }
            if seen.matches {
                if number >= window.skip() && !full {
                    page.push((rank, seen.stored));
                }
                number += 1;
            }
            ControlFlow::Continue(())
        })?;
        if flow.is_break() {
            break;
        }
    }
    let Some(overran) = overran else {
        let total = if counts { Some(number).filter(|_| !uncounted) } else { known };
        return Ok(cut(page, window, total));
    };
    if !window.is_cursor() {
        return Err(search.too_many(&scopes[overran]));
    }
    // A cursor's page may hold fewer than were asked for (RFC 9865 §2): the next one goes on where this one stopped.
    let full = page.len() >= window.gathered();
    let mut selection = cut(page, window, known);
    if !full {
        selection.next = stopped;
    }
    Ok(selection)
}

/// The page out of what was gathered, and where a cursor goes on after it.
fn cut(mut gathered: Vec<(usize, Stored)>, window: &Window, total: Option<u64>) -> Selection {
    let more = window.is_cursor() && gathered.len() > window.count();
    gathered.truncate(window.count());
    let last = gathered.last().filter(|_| more);
    let next = last.map(|(rank, stored)| place(SortOrder::Ascending, SortKey::Absent, *rank, stored));
    Selection { total, page: gathered, next, ahead: Ahead::default() }
}

fn place(order: SortOrder, key: SortKey, rank: usize, stored: &Stored) -> Place {
    Place { key, order, rank, id: stored.id().to_owned() }
}

/// Come by every candidate of a scope in the order of creation, from where the window begins on, until `each` breaks off.
/// `all` tells that each of them will be looked at.
fn walk<H: Host>(
    search: &Search<'_, '_, H>,
    scope: &Scope<'_>,
    rank: usize,
    window: &Window,
    all: bool,
    each: &mut impl FnMut(Seen) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let (ty, store) = (scope.resource_type, &search.ctx.store);
    let plan = scope.filter.as_ref().map(|filter| filter::plan(filter, ty));
    let after = window.after();
    if let Some(plan) = &plan
        && let Choice::Way(way, _) = candidates::choose(search, ty, plan)?
        && let Some(found) = candidates::gather(search, ty, way)?
    {
        let rest = plan.rest(Some(way));
        search.note(|| json!({ "access": candidates::paths(way), "tested": texts(&rest) }));
        let passed = after.filter(|after| after.rank == rank).map(|after| after.id.as_str());
        let first = found.partition_point(|candidate| passed.is_some_and(|passed| candidate.id.as_str() <= passed));
        for found in found[first..].chunks(limits::FETCH_BATCH) {
            for (stored, test) in fetch(search, scope, found, store)? {
                let stored = match test {
                    true if !matches(search, scope, &answered(plan, way), &stored)? => continue,
                    _ => stored,
                };
                if look(search, scope, &rest, stored, each)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        return Ok(ControlFlow::Continue(()));
    }
    let rest = plan.as_ref().map(|plan| plan.rest(None)).unwrap_or_default();
    search.note(|| match rest.is_empty() {
        true => json!({ "access": ["every document"] }),
        false => json!({ "access": ["every document"], "tested": texts(&rest), "advice": search::advice(scope) }),
    });
    // What can't be finished isn't begun.
    if all && !window.is_cursor() && census::count(store, ty)? > search.budget.examined {
        return Err(search.too_many(scope));
    }
    let mut range = documents_from(scope, rank, after);
    while let Some((entries, after)) = search.documents(&range)? {
        range = after;
        for stored in repo::stamp(store, ty, &entries)? {
            if look(search, scope, &rest, stored, each)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The terms that a way answers, to be tested after all.
fn answered<'f>(plan: &Plan<'f>, way: &filter::Way<'f>) -> Rest<'f> {
    Rest { members: Vec::new(), terms: plan.answered(way) }
}

fn texts(rest: &Rest<'_>) -> Vec<String> {
    let members = rest.members.iter().map(|id| format!("members eq {id:?}"));
    members.chain(rest.terms.iter().map(ToString::to_string)).collect()
}

/// The documents of a scope that come after a place.
fn documents_from(scope: &Scope<'_>, rank: usize, after: Option<&Place>) -> KeyRange {
    let all = keys::documents(scope.resource_type);
    match after.filter(|after| after.rank == rank) {
        Some(after) => keys::after(&all, &keys::document(scope.resource_type, &after.id)),
        None => all,
    }
}

/// Test a candidate, and show it to `each` with its sort key.
fn look<H: Host>(
    search: &Search<'_, '_, H>,
    scope: &Scope<'_>,
    rest: &Rest<'_>,
    stored: Stored,
    each: &mut impl FnMut(Seen) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let (matches, key) = judge(search, scope, rest, scope.sort.as_ref(), &stored)?;
    Ok(each(Seen { stored, matches, key }))
}

/// Whether a resource satisfies what is left of a filter.
fn matches<H: Host>(search: &Search<'_, '_, H>, scope: &Scope<'_>, rest: &Rest<'_>, stored: &Stored) -> Result<bool> {
    judge(search, scope, rest, None, stored).map(|(matches, _)| matches)
}

/// The same, and the sort key of one that does. Its document is read only where something is asked of it.
fn judge<H: Host>(
    search: &Search<'_, '_, H>,
    scope: &Scope<'_>,
    rest: &Rest<'_>,
    sort: Option<&Sort<'_>>,
    stored: &Stored,
) -> Result<(bool, SortKey)> {
    let ctx = search.ctx;
    for member in &rest.members {
        search.read(2);
        if !edges::is_member(&ctx.store, stored.id(), member)? {
            return Ok((false, SortKey::Absent));
        }
    }
    if rest.terms.is_empty() && sort.is_none() {
        return Ok((true, SortKey::Absent));
    }
    let mentions = |source| {
        let filtered = rest.terms.iter().any(|term| term.mentions(source));
        filtered || sort.is_some_and(|sort| sort.target().attribute.source == source)
    };
    let (members, memberships) = (mentions(Source::Members), mentions(Source::Memberships));
    let view = ctx.whole(&ctx.store, scope.resource_type, stored.loaded()?, members, memberships)?;
    match rest.terms.iter().all(|term| term.matches(&view)) {
        true => Ok((true, sort.map_or(SortKey::Absent, |sort| sort.key(&view)))),
        false => Ok((false, SortKey::Absent)),
    }
}

fn limit(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
