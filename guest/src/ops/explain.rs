//! How a search is run, and what it costs: the search itself, with its course told instead of its resources.

use serde_json::{Value, json};

use crate::error::{ErrorKind, Result};
use crate::filter;
use crate::host::Host;
use crate::http::Response;
use crate::render;
use crate::resource::Object;
use crate::schema::ResourceType;

use super::Context;
use super::search::{scopes, window};
use super::select::{Budget, Search, select};

/// Run the search of the query for resources of a type, and tell how.
pub fn run<H: Host>(ctx: &mut Context<'_, H>, resource_type: &ResourceType) -> Result<Response> {
    let scopes = scopes(ctx, &[resource_type])?;
    let order = ctx.query.sort_order()?;
    let sorted = ctx.query.sort_by().map(|_| order);
    let (window, _) = window(ctx, &resource_type.name, &scopes, order)?;
    let ctx = &*ctx;
    let search = Search::told(ctx, Budget::default());
    let found = select(&search, &scopes, sorted, &window);
    let (keys, documents) = search.spent();
    let mut answer = Object::new();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("resourceType", resource_type.name.as_ref().into());
    if let Some(filter) = scopes.first().and_then(|scope| scope.filter.as_ref()) {
        put("filter", filter.to_string().into());
        let ways = filter::plan(filter, resource_type).ways;
        let ways: Vec<Vec<String>> =
            ways.iter().map(|way| way.paths.iter().map(ToString::to_string).collect()).collect();
        put("ways", json!(ways));
    }
    // What was told later is what was done in the end.
    let mut plan = Object::from_iter([("order".to_owned(), json!("creation"))]);
    for note in search.notes() {
        if let Value::Object(note) = note {
            plan.extend(note);
        }
    }
    put("plan", Value::Object(plan));
    let mut cost = json!({ "keysRead": keys, "documentsTested": documents });
    match found {
        Ok(found) => {
            cost["shown"] = found.page.len().into();
            cost["matches"] = json!(found.total);
        }
        // What the search itself would be answered.
        Err(error) if error.kind == ErrorKind::TooMany => _ = put("refused", error.detail.into()),
        Err(error) => return Err(error),
    }
    put("cost", cost);
    Ok(render::json(200, &Value::Object(answer)))
}
