//! The walk behind a search: candidates from the cheapest index, tested, put in order, cut to a page.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::ControlFlow;

use crate::error::{ErrorKind, Result, ScimError};
use crate::filter::{self, Access, Checked, Plan};
use crate::host::Host;
use crate::limits;
use crate::project::Projection;
use crate::query::SortOrder;
use crate::schema::{ResourceType, Source};
use crate::store::repo::{self, Claim, Stored};
use crate::store::{Entry, Key, KeyRange, Read, ScanOptions, Store, census, counter, edges, failure, keys};

use super::Context;
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
}

/// What one page may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Resources looked at.
    pub examined: u64,
    /// Sort keys held at once.
    pub held: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { examined: limits::SEARCH_EXAMINED, held: limits::SORT_KEYS }
    }
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

    fn after(&self) -> Option<&Place> {
        match self {
            Self::Index { .. } => None,
            Self::Cursor { after, .. } => after.as_ref(),
        }
    }
}

/// A page of the matches, sorted where there is an `order`, else by type and creation.
pub(super) fn select<H: Host>(
    ctx: &Context<'_, H>,
    scopes: &[Scope<'_>],
    order: Option<SortOrder>,
    window: &Window,
    budget: Budget,
) -> Result<Selection> {
    match order {
        Some(order) if window.count() > 0 => sorted(ctx, scopes, order, window, budget),
        _ if scopes.iter().all(|scope| scope.filter.is_none()) => everything(ctx, scopes, window),
        _ => filtered(ctx, scopes, window, budget),
    }
}

/// Without filter and sort, totals are counters and the page is read where it is.
fn everything<H: Host>(ctx: &Context<'_, H>, scopes: &[Scope<'_>], window: &Window) -> Result<Selection> {
    let counters: Vec<_> = scopes.iter().map(|scope| keys::resource_count(scope.resource_type)).collect();
    let counts = ctx.store.get(&counters).map_err(failure)?;
    let counts: Vec<u64> = counts.iter().map(|c| u64::try_from(counter(c.as_deref())).unwrap_or(0)).collect();
    let mut skip = match window {
        Window::Index { skip, .. } => *skip,
        Window::Cursor { .. } => 0,
    };
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
            skip => census::place(&ctx.store, scope.resource_type, skip)?,
        };
        let options = ScanOptions { skip: place.skip, limit: limit(wanted), ..ScanOptions::default() };
        let entries = ctx.store.scan(&place.range, options).map_err(failure)?;
        page.extend(repo::stamp(&ctx.store, scope.resource_type, &entries)?.into_iter().map(|stored| (rank, stored)));
        skip = 0;
    }
    Ok(cut(page, window, Some(counts.iter().sum())))
}

/// With a filter, in the order of creation.
fn filtered<H: Host>(ctx: &Context<'_, H>, scopes: &[Scope<'_>], window: &Window, budget: Budget) -> Result<Selection> {
    let (skip, known) = match window {
        Window::Index { skip, .. } => (*skip, None),
        Window::Cursor { total, .. } => (0, *total),
    };
    let by_cursor = matches!(window, Window::Cursor { .. });
    let counts = window.after().is_none();
    let mut page: Vec<(usize, Stored)> = Vec::new();
    let (mut number, mut examined, mut stopped, mut overran) = (0_u64, 0_u64, None, false);
    for (rank, scope) in scopes.iter().enumerate() {
        if window.after().is_some_and(|after| rank < after.rank) {
            continue;
        }
        let flow = walk(ctx, scope, rank, window.after(), budget, &mut |seen| {
            let full = page.len() >= window.gathered();
            if full && !counts {
                return ControlFlow::Break(());
            }
            if examined == budget.examined {
                overran = true;
                return ControlFlow::Break(());
            }
            examined += 1;
            if examined == budget.examined {
                stopped = Some(place(SortOrder::Ascending, SortKey::Absent, rank, &seen.stored));
            }
            if seen.matches {
                if number >= skip && !full {
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
    if !overran {
        return Ok(cut(page, window, if counts { Some(number) } else { known }));
    }
    if !by_cursor {
        return Err(too_many_examined(budget));
    }
    // A cursor's page may hold fewer than were asked for (RFC 9865 §2): the next one goes on where this one stopped.
    let full = page.len() >= window.gathered();
    let mut selection = cut(page, window, known);
    if !full {
        selection.next = stopped;
    }
    Ok(selection)
}

/// The matches with the smallest keys of those that the window begins with.
fn sorted<H: Host>(
    ctx: &Context<'_, H>,
    scopes: &[Scope<'_>],
    order: SortOrder,
    window: &Window,
    budget: Budget,
) -> Result<Selection> {
    let skip = match window {
        Window::Index { skip, .. } => usize::try_from(*skip).unwrap_or(usize::MAX),
        Window::Cursor { .. } => 0,
    };
    let wanted = skip.saturating_add(window.gathered());
    let mut smallest: BinaryHeap<Place> = BinaryHeap::new();
    let (mut total, mut examined, mut refused) = (0_u64, 0_u64, None);
    for (rank, scope) in scopes.iter().enumerate() {
        let flow = walk(ctx, scope, rank, None, budget, &mut |seen| {
            examined += 1;
            if examined > budget.examined {
                refused = Some(too_many_examined(budget));
                return ControlFlow::Break(());
            }
            if !seen.matches {
                return ControlFlow::Continue(());
            }
            total += 1;
            let place = place(order, seen.key, rank, &seen.stored);
            if window.after().is_some_and(|after| place <= *after) {
                return ControlFlow::Continue(());
            }
            if smallest.len() < wanted {
                if smallest.len() >= budget.held {
                    refused = Some(too_many_held(budget));
                    return ControlFlow::Break(());
                }
                smallest.push(place);
            } else if smallest.peek().is_some_and(|largest| place < *largest) {
                smallest.pop();
                smallest.push(place);
            }
            ControlFlow::Continue(())
        })?;
        if flow.is_break() {
            break;
        }
    }
    if let Some(refused) = refused {
        return Err(refused);
    }
    let places: Vec<Place> = smallest.into_sorted_vec().into_iter().skip(skip).collect();
    let shown = &places[..places.len().min(window.count())];
    let goes_on = places.len() > shown.len();
    let next = shown.last().filter(|_| goes_on).cloned();
    let mut found: BTreeMap<&str, Stored> = BTreeMap::new();
    for (rank, scope) in scopes.iter().enumerate() {
        let ids: Vec<String> = shown.iter().filter(|place| place.rank == rank).map(|place| place.id.clone()).collect();
        let stored = repo::peek(&ctx.store, scope.resource_type, &ids)?;
        let here = shown.iter().filter(|place| place.rank == rank).map(|place| place.id.as_str());
        found.extend(here.zip(stored).filter_map(|(id, stored)| Some((id, stored?))));
    }
    // What was deleted since its key was read is left out.
    let page = shown.iter().filter_map(|place| Some((place.rank, found.remove(place.id.as_str())?))).collect();
    Ok(Selection { total: Some(total), page, next })
}

/// The page out of what was gathered, and where a cursor goes on after it.
fn cut(mut gathered: Vec<(usize, Stored)>, window: &Window, total: Option<u64>) -> Selection {
    let more = matches!(window, Window::Cursor { .. }) && gathered.len() > window.count();
    gathered.truncate(window.count());
    let last = gathered.last().filter(|_| more);
    let next = last.map(|(rank, stored)| place(SortOrder::Ascending, SortKey::Absent, *rank, stored));
    Selection { total, page: gathered, next }
}

fn place(order: SortOrder, key: SortKey, rank: usize, stored: &Stored) -> Place {
    Place { key, order, rank, id: stored.id().to_owned() }
}

/// Come by every candidate of a scope in the order of creation, from `after` on, until `each` breaks off.
fn walk<H: Host>(
    ctx: &Context<'_, H>,
    scope: &Scope<'_>,
    rank: usize,
    after: Option<&Place>,
    budget: Budget,
    each: &mut impl FnMut(Seen) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let plan = match &scope.filter {
        Some(filter) => filter::plan(filter),
        None => Plan { access: Access::All, members: Vec::new(), residual: Vec::new() },
    };
    match candidates(ctx, scope.resource_type, &plan.access, budget)? {
        Some(ids) => {
            let passed = after.filter(|after| after.rank == rank).map(|after| after.id.as_str());
            let claims: Vec<_> = ids.iter().map(|(id, claim)| (id.as_str(), claim.clone())).collect();
            let first = claims.partition_point(|(id, _)| passed.is_some_and(|passed| *id <= passed));
            for claims in claims[first..].chunks(limits::SCAN_BATCH as usize) {
                let found =
                    repo::peek_claimed(&ctx.store, scope.resource_type, claims)?.into_iter().flatten().collect();
                if test(ctx, scope, &plan, found, each)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        None => {
            let mut range = documents_from(scope, rank, after);
            while let Some((entries, rest)) = batch(ctx, &range)? {
                range = rest;
                let found = repo::stamp(&ctx.store, scope.resource_type, &entries)?;
                if test(ctx, scope, &plan, found, each)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The documents of a scope that come after a place.
fn documents_from(scope: &Scope<'_>, rank: usize, after: Option<&Place>) -> KeyRange {
    let all = keys::documents(scope.resource_type);
    match after.filter(|after| after.rank == rank) {
        Some(after) => keys::after(&all, &keys::document(scope.resource_type, &after.id)),
        None => all,
    }
}

/// The next documents of a range, and the range after them; `None` at its end.
fn batch<H: Host>(ctx: &Context<'_, H>, range: &KeyRange) -> Result<Option<(Vec<Entry>, KeyRange)>> {
    let options = ScanOptions { limit: limits::SCAN_BATCH, ..ScanOptions::default() };
    let entries = ctx.store.scan(range, options).map_err(failure)?;
    let Some(last) = entries.last() else { return Ok(None) };
    let rest = keys::after(range, &last.key);
    Ok(Some((entries, rest)))
}

/// Test candidates, and show each to `each`.
fn test<H: Host>(
    ctx: &Context<'_, H>,
    scope: &Scope<'_>,
    plan: &Plan<'_>,
    found: Vec<Stored>,
    each: &mut impl FnMut(Seen) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let sort = scope.sort.as_ref();
    let mentions = |source| {
        let filtered = plan.residual.iter().any(|term| term.mentions(source));
        filtered || sort.is_some_and(|sort| sort.target().attribute.source == source)
    };
    let (members, memberships) = (mentions(Source::Members), mentions(Source::Memberships));
    let viewed = !plan.residual.is_empty() || sort.is_some();
    for stored in found {
        let id = stored.id();
        let mut member = plan.members.iter().map(|member| edges::is_member(&ctx.store, id, member));
        let mut matches = member.try_fold(true, |all, one| one.map(|one| all && one))?;
        let mut key = SortKey::Absent;
        if matches && viewed {
            let view = ctx.whole(&ctx.store, scope.resource_type, stored.loaded()?, members, memberships)?;
            matches = plan.residual.iter().all(|term| term.matches(&view));
            if let Some(sort) = sort.filter(|_| matches) {
                key = sort.key(&view);
            }
        }
        if each(Seen { stored, matches, key }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The ids that an access path leads to, in order and each once, with what must still lead there when the document is read;
/// `None` where every resource is a candidate.
fn candidates<H: Host>(
    ctx: &Context<'_, H>,
    resource_type: &ResourceType,
    access: &Access<'_>,
    budget: Budget,
) -> Result<Option<Vec<(String, Option<Claim>)>>> {
    let free = |ids: BTreeSet<String>| ids.into_iter().map(|id| (id, None)).collect();
    let found = match access {
        Access::All => return Ok(None),
        Access::Id(id) => free(std::iter::once((*id).to_owned()).filter(|id| keys::is_id(id)).collect()),
        Access::Unique(target, value) => holder(ctx, keys::unique(resource_type, target, value))?,
        Access::HasMember(member) => free(edges::holders(&ctx.store, member)?.into_iter().collect()),
        Access::MemberOf(id) if keys::is_id(id) => {
            free(edges::members(&ctx.store, id)?.into_iter().map(|m| m.id).collect())
        }
        Access::MemberOf(_) => Vec::new(),
        Access::Same(target, operand) => match operand.text(target.leaf()) {
            Some(text) if target.leaf().indexed => index(ctx, keys::index_equal(resource_type, target, &text), budget)?,
            Some(text) => holder(ctx, keys::unique(resource_type, target, &text))?,
            None => return Ok(None),
        },
        Access::Equal(target, value) => index(ctx, keys::index_equal(resource_type, target, value), budget)?,
        Access::StartsWith(target, value) => index(ctx, keys::index_starting(resource_type, target, value), budget)?,
    };
    Ok(Some(found))
}

fn holder<H: Host>(ctx: &Context<'_, H>, key: Key) -> Result<Vec<(String, Option<Claim>)>> {
    let holder = ctx.store.peek_one(key.clone())?;
    Ok(holder.into_iter().map(|id| (String::from_utf8_lossy(&id).into_owned(), Some((key.clone(), id)))).collect())
}

fn index<H: Host>(ctx: &Context<'_, H>, mut range: KeyRange, budget: Budget) -> Result<Vec<(String, Option<Claim>)>> {
    let mut ids = BTreeSet::new();
    loop {
        let entries = ctx.store.entries(&range, true, limits::SCAN_BATCH)?;
        ids.extend(entries.iter().map(|entry| keys::last_part(&entry.key)));
        match entries.last() {
            _ if ids.len() as u64 > budget.examined => return Err(too_many_examined(budget)),
            Some(last) if entries.len() == limits::SCAN_BATCH as usize => range = keys::after(&range, &last.key),
            _ => return Ok(ids.into_iter().map(|id| (id, None)).collect()),
        }
    }
}

/// 400 tooMany (RFC 7644 §3.12): more work than one request is worth.
fn too_many_examined(budget: Budget) -> ScimError {
    ScimError::new(
        ErrorKind::TooMany,
        format!(
            "More than {} resources would have to be examined for this page. Narrow the filter by an attribute that is \
             indexed (id, externalId, userName, emails.value with eq or sw), leave out sortBy, or page with `cursor`.",
            budget.examined
        ),
    )
}

fn too_many_held(budget: Budget) -> ScimError {
    ScimError::new(
        ErrorKind::TooMany,
        format!(
            "startIndex reaches deeper into a sorted list than {} resources. Narrow the filter, leave out sortBy, or page \
             with `cursor`.",
            budget.held
        ),
    )
}

fn limit(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
