//! A sorted page where no index has the order: every match is looked at, and the smallest sort keys are kept.

use std::collections::{BTreeMap, BinaryHeap};
use std::ops::ControlFlow;

use serde_json::json;

use crate::error::Result;
use crate::host::Host;
use crate::query::SortOrder;
use crate::store::ahead::Ahead;
use crate::store::repo::{self, Stored};

use super::super::sort::Place;
use super::search::Search;
use super::{Scope, Selection, Window, place, walk};

/// The matches with the smallest keys of those that the window begins with.
pub(super) fn select<H: Host>(
    search: &Search<'_, '_, H>,
    scopes: &[Scope<'_>],
    order: SortOrder,
    window: &Window,
) -> Result<Selection> {
    search.note(|| json!({ "order": "sorted in memory" }));
    let skip = usize::try_from(window.skip()).unwrap_or(usize::MAX);
    let wanted = skip.saturating_add(window.gathered());
    let mut smallest: BinaryHeap<Place> = BinaryHeap::new();
    let (mut total, mut refused) = (0_u64, None);
    // Every match is looked at, wherever the window begins.
    let whole = Window::Index { skip: 0, count: 0 };
    for (rank, scope) in scopes.iter().enumerate() {
        let flow = walk(search, scope, rank, &whole, true, &mut |seen| {
            if !search.examine() {
                refused = Some(search.too_many(scope));
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
                if smallest.len() >= search.budget.held {
                    refused = Some(search.too_many_held());
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
        let stored = repo::peek(&search.ctx.store, scope.resource_type, &ids)?;
        let here = shown.iter().filter(|place| place.rank == rank).map(|place| place.id.as_str());
        found.extend(here.zip(stored).filter_map(|(id, stored)| Some((id, stored?))));
    }
    // What was deleted since its key was read is left out.
    let page = shown.iter().filter_map(|place| Some((place.rank, found.remove(place.id.as_str())?))).collect();
    Ok(Selection { total: Some(total), page, next, ahead: Ahead::default() })
}
