//! GET and POST of many resources (RFC 7644 §3.4.2, §3.4.3): one type, or all of them from the root (§3.4.2.1).

use crate::error::{ErrorKind, Result, ScimError};
use crate::filter::{self, Across};
use crate::host::Host;
use crate::http::Response;
use crate::limits;
use crate::query::{Query, SortOrder};
use crate::render::{self, Page};
use crate::route::Parameters;
use crate::schema::ResourceType;

use super::Context;
use super::cursor::{self, Cursor};
use super::select::{Budget, Scope, Search, Selection, Window, select};
use super::sort::{Place, Sort};

/// One page of the resources of a type that match, and how many match in all.
pub fn run<H: Host>(
    ctx: &mut Context<'_, H>,
    resource_type: &ResourceType,
    parameters: Parameters,
) -> Result<Response> {
    decode(ctx, parameters)?;
    search(ctx, &resource_type.name, &[resource_type])
}

/// The same over all types.
pub fn root<H: Host>(ctx: &mut Context<'_, H>, parameters: Parameters) -> Result<Response> {
    decode(ctx, parameters)?;
    let tenant = ctx.tenant;
    search(ctx, "", &tenant.registry.resource_types.iter().collect::<Vec<_>>())
}

/// Take the query from the body where it is there (§3.4.3).
fn decode<H: Host>(ctx: &mut Context<'_, H>, parameters: Parameters) -> Result<()> {
    if parameters == Parameters::Url {
        return Ok(());
    }
    // A filter that is passed over would show resources that the client takes for matches.
    if ctx.query != Query::default() {
        return Err(ScimError::new(
            ErrorKind::InvalidValue,
            "A search by POST takes its parameters from the body, not from the URL. Put them into the SearchRequest.",
        ));
    }
    let body = ctx.body()?;
    ctx.query = Query::from_search_request(&body, &mut ctx.compat)?;
    Ok(())
}

/// `endpoint` tells the cursors of one endpoint from those of another.
fn search<H: Host>(ctx: &mut Context<'_, H>, endpoint: &str, types: &[&ResourceType]) -> Result<Response> {
    let scopes = scopes(ctx, types)?;
    let order = ctx.query.sort_order()?;
    let sorted = ctx.query.sort_by().map(|_| order);
    let (window, index) = window(ctx, endpoint, &scopes, order)?;
    let ctx = &*ctx;
    let Selection { total, page, next, ahead } =
        select(&Search::new(ctx, Budget::default()), &scopes, sorted, &window)?;
    let mut resources = Vec::with_capacity(page.len());
    let mut bytes = 0;
    let shown =
        page.iter().map(|(rank, stored)| (scopes[*rank].resource_type, &scopes[*rank].projection, &stored.shell));
    let reader = &ahead.over(&ctx.store);
    let memberships = ctx.memberships(reader, shown)?;
    for (rank, stored) in page {
        let Scope { resource_type, projection, .. } = &scopes[rank];
        let text = ctx.text(reader, resource_type, &stored, projection, &memberships)?;
        bytes += text.len();
        resources.push(text);
        if bytes > limits::PAGE_BYTES && resources.len() > 1 {
            return Err(too_large(resources.len()));
        }
    }
    let next = match (next, &window) {
        (Some(Place { key, rank, id, .. }), Window::Cursor { count, .. }) => {
            let resource_type = scopes[rank].resource_type.name.to_string();
            let cursor = Cursor { issued: ctx.now, count: *count, total, key, resource_type, id };
            Some(ctx.seal_cursor(endpoint, &cursor)?)
        }
        _ => None,
    };
    Ok(render::page(&Page { total, start_index: index, next_cursor: next.as_deref(), resources: &resources }))
}

/// 400 tooMany (RFC 7644 §3.12), rather than a page with fewer resources than were asked for.
fn too_large(resources: usize) -> ScimError {
    ScimError::new(
        ErrorKind::TooMany,
        format!(
            "The first {resources} resources of this page alone take more than {} MiB. Ask for fewer by `count`, or leave out \
             what is large by excludedAttributes=members.",
            limits::PAGE_BYTES >> 20
        ),
    )
}

/// What the query comes to in each type; types in which nothing can match are left out.
pub(super) fn scopes<'t, H: Host>(ctx: &mut Context<'_, H>, types: &[&'t ResourceType]) -> Result<Vec<Scope<'t>>> {
    let filter = match ctx.query.filter() {
        Some(text) => Some(filter::parse(text, &mut ctx.compat)?),
        None => None,
    };
    let mut scopes = Vec::with_capacity(types.len());
    for resource_type in types.iter().copied() {
        let found = match &filter {
            Some(filter) => filter::check_across(filter, resource_type, types, &mut ctx.compat)?,
            None => Across::All,
        };
        let sort = match ctx.query.sort_by() {
            Some(by) => Sort::across(resource_type, types, by, &mut ctx.compat)?,
            None => None,
        };
        let projection = ctx.projection(resource_type)?;
        let filter = match found {
            Across::None => continue,
            Across::All => None,
            Across::Some(filter) => Some(filter),
        };
        scopes.push(Scope { resource_type, filter, sort, projection });
    }
    Ok(scopes)
}

/// The part to show, and the `startIndex` to answer with. Clients that name no method get pages by index, as they always did
/// (RFC 9865 §2.4).
pub(super) fn window<H: Host>(
    ctx: &mut Context<'_, H>,
    endpoint: &str,
    scopes: &[Scope<'_>],
    order: SortOrder,
) -> Result<(Window, Option<u64>)> {
    let settings = &ctx.tenant.settings;
    let (default, most) = (settings.default_page_size(), settings.max_page_size);
    let Some(text) = ctx.query.cursor()? else {
        let start_index = ctx.query.start_index(&mut ctx.compat)?;
        let count = ctx.query.count(default, most, &mut ctx.compat)?;
        return Ok((Window::Index { skip: start_index - 1, count }, Some(start_index)));
    };
    let asked = ctx.query.cursor_count(most)?;
    if text.is_empty() {
        return Ok((Window::Cursor { after: None, count: asked.unwrap_or(default), total: None }, None));
    }
    let Cursor { count, total, key, resource_type, id, .. } = ctx.open_cursor(endpoint, text)?;
    if asked.is_some_and(|asked| asked != count) {
        return Err(ScimError::new(
            ErrorKind::InvalidCount,
            format!("count: it must stay {count}, as in the query that this cursor goes on with"),
        ));
    }
    // A type may have gone, or lost all that could match, since.
    let rank = scopes.iter().position(|scope| scope.resource_type.name == resource_type).ok_or_else(cursor::invalid)?;
    let after = Place { key, order: place_order(ctx, order), rank, id };
    Ok((Window::Cursor { after: Some(after), count: count.min(most), total }, None))
}

/// What isn't sorted is in ascending order, whatever `sortOrder` says.
fn place_order<H: Host>(ctx: &Context<'_, H>, order: SortOrder) -> SortOrder {
    match ctx.query.sort_by() {
        Some(_) => order,
        None => SortOrder::Ascending,
    }
}
