//! A sorted page out of an index that is in the wanted order: no more is read than is shown and passed over.

use std::collections::VecDeque;

use serde_json::json;

use crate::error::Result;
use crate::filter::{self, Access, Plan, Rest};
use crate::host::Host;
use crate::limits;
use crate::query::SortOrder;
use crate::schema::order::{self, Span};
use crate::schema::{Target, Type};
use crate::store::ahead::Ahead;
use crate::store::repo::Stored;
use crate::store::{Entry, Key, KeyRange, census, keys};

use super::super::sort::{Place, SortKey};
use super::candidates::{self, Candidate, Choice, FEW, Proof};
use super::search::Search;
use super::{Scope, Selection, Window, fetch, limit, matches, texts};

/// A page in the order of an index; `None` where none has it, or another way is cheaper.
pub(super) fn select<H: Host>(
    search: &Search<'_, '_, H>,
    scope: &Scope<'_>,
    order: SortOrder,
    window: &Window,
) -> Result<Option<Selection>> {
    let ty = scope.resource_type;
    let Some(target) = scope.sort.as_ref().map(|sort| *sort.target()) else { return Ok(None) };
    // The keys of numbers tell apart what the order of documents does not.
    let ordered = matches!(target.leaf().kind, Type::String | Type::Reference | Type::DateTime | Type::Boolean);
    if !ordered || !ty.serves(target.leaf()) || !target.is_single() {
        return Ok(None);
    }
    let after = match window.after() {
        None => None,
        Some(place) => match Position::of(place) {
            Some(position) => Some(position),
            None => return Ok(None),
        },
    };
    let plan = scope.filter.as_ref().map(|filter| filter::plan(filter, ty));
    let Some(Course { span, rest, total }) = course(search, scope, &target, plan.as_ref(), window)? else {
        return Ok(None);
    };
    search.note(|| {
        let name = target.name();
        let access = match &span {
            Some(span) => Access::Index(target, span.clone()).to_string(),
            None => format!("the index of {name}, whole"),
        };
        json!({ "access": [access], "order": format!("of the index of {name}"), "tested": texts(&rest) })
    });
    let values = keys::index_span(ty, &target, &Span::ALL);
    let absent = keys::index_span(ty, &target, &Span::Absent);
    let walk =
        Walk::new(&values, &absent, order, |text| keys::index_span(ty, &target, &Span::Equal(text.into())), after);
    let mut walk = match span {
        Some(span) => walk.within(&keys::index_span(ty, &target, &span)),
        None => walk,
    };
    let key_of = |entry: &Key| match keys::index_value(ty, &target, entry) {
        None => SortKey::Absent,
        Some(text) if target.leaf().kind == Type::DateTime => {
            order::from_instant(&text).map_or(SortKey::Absent, SortKey::Instant)
        }
        Some(text) => SortKey::Text(text),
    };
    let place = |entry: &Key| Place { key: key_of(entry), order, rank: 0, id: keys::last_part(entry) };
    if rest.is_empty() {
        walk.skip(search, window.skip())?;
    }
    let mut page: Vec<(Key, Stored)> = Vec::new();
    let mut unmatched = if rest.is_empty() { 0 } else { window.skip() };
    let mut last: Option<Key> = None;
    let mut ended = false;
    'page: while page.len() < window.gathered() {
        let wanted = window.gathered() - page.len();
        let batch = if rest.is_empty() { wanted } else { wanted.max(limits::FETCH_BATCH) };
        let Some(entries) = walk.next(search, limit(batch))? else { break };
        let claim = |entry: &Entry| Candidate {
            id: keys::last_part(&entry.key),
            proof: Proof::Claim(Box::new((entry.key.clone(), entry.value.clone()))),
        };
        let found: Vec<Candidate> = entries.iter().map(claim).collect();
        let mut stored =
            fetch(search, scope, &found, &search.ctx.store)?.into_iter().map(|(stored, _)| stored).peekable();
        for (entry, candidate) in entries.into_iter().zip(&found) {
            // Whom the key no longer leads to is left out.
            let Some(stored) = stored.next_if(|stored| stored.id() == candidate.id) else { continue };
            if !rest.is_empty() && !search.examine() {
                ended = true;
                break 'page;
            }
            let matches = matches(search, scope, &rest, &stored)?;
            last = Some(entry.key.clone());
            if matches && unmatched > 0 {
                unmatched -= 1;
            } else if matches {
                page.push((entry.key, stored));
                if page.len() == window.gathered() {
                    break 'page;
                }
            }
        }
    }
    if ended && !window.is_cursor() {
        return Err(search.too_many(scope));
    }
    let more = page.len() > window.count();
    page.truncate(window.count());
    let next = match (more, ended) {
        (true, _) => page.last().map(|(key, _)| place(key)),
        // A cursor's page may hold fewer than were asked for (RFC 9865 §2): the next one goes on where this one stopped.
        (false, true) => last.as_ref().map(place),
        (false, false) => None,
    };
    let page = page.into_iter().map(|(_, stored)| (0, stored)).collect();
    Ok(Some(Selection { total, page, next: next.filter(|_| window.is_cursor()), ahead: Ahead::default() }))
}

/// What part of an index to follow, and what to test on the way.
struct Course<'f> {
    span: Option<Span<'f>>,
    rest: Rest<'f>,
    total: Option<u64>,
}

/// `None` where the total is known only to whoever has looked at every match, or few candidates are better put in order.
fn course<'f, H: Host>(
    search: &Search<'_, '_, H>,
    scope: &Scope<'_>,
    target: &Target<'_>,
    plan: Option<&Plan<'f>>,
    window: &Window,
) -> Result<Option<Course<'f>>> {
    let ty = scope.resource_type;
    let known = window.after().and(window.total());
    let goes_on = window.after().is_some();
    let Some(plan) = plan else {
        let total = if goes_on { known } else { Some(census::count(&search.ctx.store, ty)?) };
        return Ok(Some(Course { span: None, rest: Rest::default(), total }));
    };
    let counted = candidates::total(ty, plan);
    let total = match (goes_on, &counted) {
        (true, _) => known,
        (false, Some(range)) => Some(search.count(range)?),
        (false, None) => return Ok(None),
    };
    // A filter on what is sorted by is a part of the same index.
    for way in &plan.ways {
        let [Access::Index(other, span)] = way.paths.as_slice() else { continue };
        if other.name() == target.name() {
            return Ok(Some(Course { span: Some(span.clone()), rest: plan.rest(Some(way)), total }));
        }
    }
    match candidates::choose(search, ty, plan)? {
        Choice::Way(_, most) if most <= FEW => Ok(None),
        _ => Ok(Some(Course { span: None, rest: plan.rest(None), total })),
    }
}

/// A place in an index.
struct Position<'p> {
    /// `None` among those without a value.
    text: Option<String>,
    id: &'p str,
}

impl<'p> Position<'p> {
    /// `None` for the place of what no index has.
    fn of(place: &'p Place) -> Option<Self> {
        let text = match &place.key {
            SortKey::Absent => None,
            SortKey::Text(text) => Some(text.clone()),
            SortKey::Instant(nanoseconds) => Some(order::instant(*nanoseconds)),
            SortKey::Number(_) => return None,
        };
        Some(Self { text, id: &place.id })
    }
}

/// A part of an index that is still to come.
#[derive(Debug)]
enum Part {
    /// In the order of its keys.
    Forward(KeyRange),
    /// The greatest value first; those of one value in the order of their ids.
    Backward(KeyRange),
}

/// A walk over an index in one of its orders.
struct Walk {
    parts: VecDeque<Part>,
}

impl Walk {
    /// Those without a value come last in ascending order, and first in descending order (RFC 7644 §3.4.2.3).
    fn new(
        values: &KeyRange,
        absent: &KeyRange,
        order: SortOrder,
        equal: impl Fn(&str) -> KeyRange,
        after: Option<Position<'_>>,
    ) -> Self {
        let rest = |range: &KeyRange, id: &str| keys::after(range, &keys::index_of(range, id));
        let above = |equal: &KeyRange, id| KeyRange { end: values.end.clone(), ..rest(equal, id) };
        let below = |equal: KeyRange| KeyRange { start: values.start.clone(), end: equal.start };
        let (values, absent) = (values.clone(), absent.clone());
        let parts = match (order, after) {
            (SortOrder::Ascending, None) => vec![Part::Forward(values), Part::Forward(absent)],
            (SortOrder::Descending, None) => vec![Part::Forward(absent), Part::Backward(values)],
            (SortOrder::Ascending, Some(Position { text: Some(text), id })) => {
                vec![Part::Forward(above(&equal(&text), id)), Part::Forward(absent)]
            }
            (SortOrder::Ascending, Some(Position { text: None, id })) => vec![Part::Forward(rest(&absent, id))],
            (SortOrder::Descending, Some(Position { text: None, id })) => {
                vec![Part::Forward(rest(&absent, id)), Part::Backward(values)]
            }
            (SortOrder::Descending, Some(Position { text: Some(text), id })) => {
                let equal = equal(&text);
                vec![Part::Forward(rest(&equal, id)), Part::Backward(below(equal))]
            }
        };
        Self { parts: parts.into() }
    }

    /// Only what lies in a range.
    fn within(mut self, bounds: &KeyRange) -> Self {
        for part in &mut self.parts {
            let (Part::Forward(range) | Part::Backward(range)) = part;
            range.start = bounds.start.clone().max(std::mem::take(&mut range.start));
            range.end = bounds.end.clone().min(std::mem::take(&mut range.end));
        }
        self
    }

    /// The next entries; a few more or less than are wanted, but none only at the end.
    fn next<H: Host>(&mut self, search: &Search<'_, '_, H>, wanted: u32) -> Result<Option<Vec<Entry>>> {
        let wanted = wanted.min(limits::SCAN_BATCH);
        while let Some(part) = self.parts.pop_front() {
            let found = match part {
                Part::Forward(range) => {
                    let entries = search.keys(&range, 0, wanted, false)?;
                    if let Some(last) = entries.last().filter(|_| entries.len() == wanted as usize) {
                        self.parts.push_front(Part::Forward(keys::after(&range, &last.key)));
                    }
                    entries
                }
                Part::Backward(range) => self.backward(search, range, wanted)?,
            };
            if !found.is_empty() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn backward<H: Host>(&mut self, search: &Search<'_, '_, H>, range: KeyRange, wanted: u32) -> Result<Vec<Entry>> {
        // One more may tell that the last value is complete.
        let entries = search.keys(&range, 0, wanted.saturating_add(1), true)?;
        let complete = entries.len() <= wanted as usize;
        let mut values: Vec<Vec<Entry>> = Vec::new();
        let mut siblings: Option<KeyRange> = None;
        for entry in entries {
            match (&siblings, values.last_mut()) {
                (Some(range), Some(value)) if range.start <= entry.key => value.push(entry),
                _ => {
                    siblings = Some(keys::index_siblings(&entry.key));
                    values.push(vec![entry]);
                }
            }
        }
        if let Some(last) = siblings.filter(|_| !complete) {
            // The value that was cut off is to come again; where it is the only one, from its front.
            values.pop();
            let rest = KeyRange { start: range.start.clone(), end: last.start.clone() };
            match values.is_empty() {
                true => {
                    self.parts.push_front(Part::Backward(rest));
                    self.parts.push_front(Part::Forward(KeyRange {
                        start: last.start.max(range.start),
                        end: last.end.min(range.end),
                    }));
                }
                false => self.parts.push_front(Part::Backward(KeyRange { start: range.start, end: last.end })),
            }
        }
        Ok(values.into_iter().flat_map(|value| value.into_iter().rev()).collect())
    }

    /// Pass over the first entries.
    fn skip<H: Host>(&mut self, search: &Search<'_, '_, H>, mut skip: u64) -> Result<()> {
        while skip > 0
            && let Some(part) = self.parts.pop_front()
        {
            let (range, reverse) = match part {
                Part::Forward(range) => (range, false),
                Part::Backward(range) => (range, true),
            };
            let Some(first) = search.keys(&range, skip, 1, reverse)?.pop() else {
                skip = skip.saturating_sub(search.count(&range)?);
                continue;
            };
            search.read(skip);
            if !reverse {
                self.parts.push_front(Part::Forward(KeyRange { start: first.key, end: range.end }));
                return Ok(());
            }
            // Those of its value come in the order of their ids, so the place is found from the value's front.
            let siblings = keys::index_siblings(&first.key);
            let greater = search.count(&KeyRange { start: siblings.end.clone(), end: range.end.clone() })?;
            self.parts.push_front(Part::Backward(KeyRange { start: range.start.clone(), end: siblings.start.clone() }));
            self.parts.push_front(Part::Forward(KeyRange {
                start: siblings.start.max(range.start),
                end: siblings.end.min(range.end),
            }));
            skip = skip.saturating_sub(greater);
        }
        Ok(())
    }
}
