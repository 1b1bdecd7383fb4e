//! GET of many resources (RFC 7644 §3.4.2): filter, sort, page.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::Result;
use crate::filter::{self, Access, Checked, Plan};
use crate::host::Host;
use crate::http::Response;
use crate::limits;
use crate::render;
use crate::resource::Resource;
use crate::schema::{ResourceType, Source};
use crate::store::repo::{self, Loaded};
use crate::store::{Key, KeyRange, Read, ScanOptions, Store, counter, edges, failure, keys};

use super::Context;
use super::sort::{Sort, SortKey};

/// One page of the resources that match, and how many match in all.
pub fn run<H: Host>(ctx: &mut Context<'_, H>, resource_type: &ResourceType) -> Result<Response> {
    let start_index = ctx.query.start_index(&mut ctx.compat)?;
    let count = ctx.query.count(&mut ctx.compat)?;
    let filter = match ctx.query.filter() {
        Some(text) => Some(filter::check(&filter::parse(text, &mut ctx.compat)?, resource_type, &mut ctx.compat)?),
        None => None,
    };
    let sort = match ctx.query.sort_by() {
        Some(by) => Some(Sort::parse(resource_type, by, ctx.query.sort_order()?, &mut ctx.compat)?),
        None => None,
    };
    let ctx = &*ctx;
    let projection = ctx.projection(resource_type)?;
    let window = Window { skip: start_index - 1, count };
    let (total, page) = match (&filter, &sort) {
        (None, None) => everything(ctx, resource_type, window)?,
        _ => selection(ctx, resource_type, filter.as_ref(), sort.as_ref(), window)?,
    };
    let views =
        page.into_iter().map(|loaded| ctx.view(&ctx.store, resource_type, loaded, &projection).map(Value::Object));
    Ok(render::list(total, start_index, &views.collect::<Result<Vec<_>>>()?))
}

/// Which of the matches to show.
#[derive(Clone, Copy, Debug)]
struct Window {
    skip: u64,
    count: usize,
}

impl Window {
    /// Whether the match with this number, from 0, is to be shown.
    fn holds(self, number: u64) -> bool {
        number >= self.skip && number - self.skip < self.count as u64
    }
}

/// Without filter and sort, the total is a counter and the page is read where it is.
fn everything<H: Host>(
    ctx: &Context<'_, H>,
    resource_type: &ResourceType,
    window: Window,
) -> Result<(u64, Vec<Loaded>)> {
    let total = ctx.store.get(&[keys::resource_count(resource_type)]).map_err(failure)?.pop().flatten();
    let total = u64::try_from(counter(total.as_deref())).unwrap_or(0);
    if window.count == 0 || window.skip >= total {
        return Ok((total, Vec::new()));
    }
    let options = ScanOptions { skip: window.skip, limit: limit(window.count), ..ScanOptions::default() };
    let entries = ctx.store.scan(&keys::documents(resource_type), options).map_err(failure)?;
    let resources = entries.iter().map(|e| repo::decode(&keys::last_part(&e.key), &e.value)).collect::<Result<_>>()?;
    Ok((total, repo::stamp(&ctx.store, resource_type, resources)?))
}

/// What passed the filter so far: all of the page, of the rest no more than sorting needs.
struct Matches<'m> {
    sort: Option<&'m Sort<'m>>,
    window: Window,
    total: u64,
    page: Vec<Loaded>,
    keys: Vec<(SortKey, String)>,
}

/// Candidates from the cheapest index, tested, sorted, cut.
fn selection<H: Host>(
    ctx: &Context<'_, H>,
    resource_type: &ResourceType,
    filter: Option<&Checked<'_>>,
    sort: Option<&Sort<'_>>,
    window: Window,
) -> Result<(u64, Vec<Loaded>)> {
    let plan = match filter {
        Some(filter) => filter::plan(filter),
        None => Plan { access: Access::All, members: Vec::new(), residual: Vec::new() },
    };
    let mut matches = Matches { sort, window, total: 0, page: Vec::new(), keys: Vec::new() };
    match candidates(ctx, resource_type, &plan.access)? {
        Some(ids) => {
            for ids in ids.chunks(limits::SCAN_BATCH as usize) {
                let found = repo::peek(&ctx.store, resource_type, ids)?.into_iter().flatten().collect();
                test(ctx, resource_type, &plan, found, &mut matches)?;
            }
        }
        None => {
            let mut range = keys::documents(resource_type);
            while let Some((resources, rest)) = batch(ctx, &range)? {
                range = rest;
                let found = repo::stamp(&ctx.store, resource_type, resources)?;
                test(ctx, resource_type, &plan, found, &mut matches)?;
            }
        }
    }
    let Some(sort) = sort else { return Ok((matches.total, matches.page)) };
    matches.keys.sort_by(|a, b| sort.compare(a, b));
    let skip = usize::try_from(window.skip).unwrap_or(usize::MAX);
    let ids: Vec<String> = matches.keys.into_iter().skip(skip).take(window.count).map(|(_, id)| id).collect();
    let page = repo::peek(&ctx.store, resource_type, &ids)?.into_iter().flatten().collect();
    Ok((matches.total, page))
}

/// The next documents of a range, and the range after them; `None` at its end.
fn batch<H: Host>(ctx: &Context<'_, H>, range: &KeyRange) -> Result<Option<(Vec<Resource>, KeyRange)>> {
    let options = ScanOptions { limit: limits::SCAN_BATCH, ..ScanOptions::default() };
    let entries = ctx.store.scan(range, options).map_err(failure)?;
    let Some(last) = entries.last() else { return Ok(None) };
    let rest = keys::after(range, &last.key);
    let resources = entries.iter().map(|e| repo::decode(&keys::last_part(&e.key), &e.value)).collect::<Result<_>>()?;
    Ok(Some((resources, rest)))
}

/// Count those that match, and keep what the page needs of them.
fn test<H: Host>(
    ctx: &Context<'_, H>,
    resource_type: &ResourceType,
    plan: &Plan<'_>,
    found: Vec<Loaded>,
    matches: &mut Matches<'_>,
) -> Result<()> {
    let mentions = |source| {
        let filtered = plan.residual.iter().any(|term| term.mentions(source));
        filtered || matches.sort.is_some_and(|sort| sort.target().attribute.source == source)
    };
    let (members, memberships) = (mentions(Source::Members), mentions(Source::Memberships));
    let viewed = !plan.residual.is_empty() || matches.sort.is_some();
    for loaded in found {
        let id = &loaded.resource.id;
        let mut member = plan.members.iter().map(|member| edges::is_member(&ctx.store, id, member));
        if !member.try_fold(true, |all, one| one.map(|one| all && one))? {
            continue;
        }
        if viewed {
            let view = ctx.whole(&ctx.store, resource_type, loaded.clone(), members, memberships)?;
            if !plan.residual.iter().all(|term| term.matches(&view)) {
                continue;
            }
            if let Some(sort) = matches.sort {
                matches.keys.push((sort.key(&view), id.clone()));
            }
        }
        if matches.sort.is_none() && matches.window.holds(matches.total) {
            matches.page.push(loaded);
        }
        matches.total += 1;
    }
    Ok(())
}

/// The ids that an access path leads to, in order and each once; `None` where every resource is a candidate.
fn candidates<H: Host>(
    ctx: &Context<'_, H>,
    resource_type: &ResourceType,
    access: &Access<'_>,
) -> Result<Option<Vec<String>>> {
    let ids: BTreeSet<String> = match access {
        Access::All => return Ok(None),
        Access::Id(id) => std::iter::once((*id).to_owned()).filter(|id| keys::is_id(id)).collect(),
        Access::Unique(target, value) => holder(ctx, keys::unique(resource_type, target, value))?,
        Access::HasMember(member) => edges::holders(&ctx.store, member)?.into_iter().collect(),
        Access::MemberOf(id) if keys::is_id(id) => edges::members(&ctx.store, id)?.into_iter().map(|m| m.id).collect(),
        Access::MemberOf(_) => BTreeSet::new(),
        Access::Same(target, operand) => match operand.text(target.leaf()) {
            Some(text) if target.leaf().indexed => index(ctx, &keys::index_equal(resource_type, target, &text))?,
            Some(text) => holder(ctx, keys::unique(resource_type, target, &text))?,
            None => return Ok(None),
        },
        Access::Equal(target, value) => index(ctx, &keys::index_equal(resource_type, target, value))?,
        Access::StartsWith(target, value) => index(ctx, &keys::index_starting(resource_type, target, value))?,
    };
    Ok(Some(ids.into_iter().collect()))
}

fn holder<H: Host>(ctx: &Context<'_, H>, key: Key) -> Result<BTreeSet<String>> {
    let holder = ctx.store.peek_one(key)?;
    Ok(holder.into_iter().map(|id| String::from_utf8_lossy(&id).into_owned()).collect())
}

fn index<H: Host>(ctx: &Context<'_, H>, range: &KeyRange) -> Result<BTreeSet<String>> {
    Ok(ctx.store.all_entries(range, true)?.iter().map(|entry| keys::last_part(&entry.key)).collect())
}

fn limit(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
