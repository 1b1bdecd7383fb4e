//! What a search has at hand, what it has cost so far, and when that is enough.

use std::cell::{Cell, RefCell};

use serde_json::Value as Json;

use crate::error::{ErrorKind, Result, ScimError, excerpt};
use crate::filter;
use crate::host::Host;
use crate::limits;
use crate::store::{Entry, KeyRange, Read, ScanOptions, Store, failure, keys};

use super::super::Context;
use super::Scope;

/// What one page may cost.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Budget {
    /// Documents read to be tested or sorted.
    pub examined: u64,
    /// Sort keys held at once.
    pub held: usize,
    /// Keys of indexes and edges read.
    pub keys: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { examined: limits::SEARCH_EXAMINED, held: limits::SORT_KEYS, keys: limits::SEARCH_KEYS }
    }
}

/// A search under way.
pub(in crate::ops) struct Search<'a, 'c, H: Host> {
    pub(super) ctx: &'a Context<'c, H>,
    pub(super) budget: Budget,
    keys: Cell<u64>,
    examined: Cell<u64>,
    /// What was decided, for whoever wants to know.
    notes: Option<RefCell<Vec<Json>>>,
}

impl<'a, 'c, H: Host> Search<'a, 'c, H> {
    /// One that has cost nothing yet.
    pub(in crate::ops) fn new(ctx: &'a Context<'c, H>, budget: Budget) -> Self {
        Self { ctx, budget, keys: Cell::new(0), examined: Cell::new(0), notes: None }
    }

    /// One that tells how it goes about it.
    pub(in crate::ops) fn told(ctx: &'a Context<'c, H>, budget: Budget) -> Self {
        Self { notes: Some(RefCell::default()), ..Self::new(ctx, budget) }
    }

    /// Keys read and documents examined so far.
    pub(in crate::ops) fn spent(&self) -> (u64, u64) {
        (self.keys.get(), self.examined.get())
    }

    /// What was told.
    pub(in crate::ops) fn notes(&self) -> Vec<Json> {
        self.notes.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// Tell something to whoever wants to know.
    pub(super) fn note(&self, what: impl FnOnce() -> Json) {
        if let Some(notes) = &self.notes {
            notes.borrow_mut().push(what());
        }
    }

    /// Count keys that were read.
    pub(super) fn read(&self, keys: u64) {
        self.keys.set(self.keys.get().saturating_add(keys));
    }

    /// Whether more keys were read than one page is worth.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.keys.get() > self.budget.keys
    }

    /// Count a document that is examined. False where that is one too many.
    pub(super) fn examine(&self) -> bool {
        let examined = self.examined.get();
        if examined == self.budget.examined {
            return false;
        }
        self.examined.set(examined + 1);
        true
    }

    /// Whether the last document that may be examined was.
    pub(super) fn is_exhausted(&self) -> bool {
        self.examined.get() == self.budget.examined
    }

    /// The keys of a range after the first `skip`.
    pub(super) fn keys(&self, range: &KeyRange, skip: u64, limit: u32, reverse: bool) -> Result<Vec<Entry>> {
        let entries = match self.ctx.ahead.whole(range) {
            Some(whole) if !reverse => {
                let (skip, limit) = (usize::try_from(skip).unwrap_or(usize::MAX), limit as usize);
                whole.iter().skip(skip).take(limit).cloned().collect()
            }
            _ => {
                let options = ScanOptions { skip, limit, reverse, keys_only: true };
                self.ctx.store.scan(range, options).map_err(failure)?
            }
        };
        self.read(entries.len() as u64);
        Ok(entries)
    }

    /// How many keys a range holds.
    pub(super) fn count(&self, range: &KeyRange) -> Result<u64> {
        let count = match self.ctx.ahead.whole(range) {
            Some(whole) => whole.len() as u64,
            None => self.ctx.store.count(range).map_err(failure)?,
        };
        self.read(count);
        Ok(count)
    }

    /// Whether a range holds more than `limit` keys, which costs no more than passing over that many.
    pub(super) fn exceeds(&self, range: &KeyRange, limit: u64) -> Result<bool> {
        let beyond = self.keys(range, limit, 1, false)?;
        self.read(limit);
        Ok(!beyond.is_empty())
    }

    /// The next documents of a range, and the range after them; `None` at its end.
    pub(super) fn documents(&self, range: &KeyRange) -> Result<Option<(Vec<Entry>, KeyRange)>> {
        let entries = self.ctx.store.entries(range, false, limits::SCAN_BATCH)?;
        let Some(last) = entries.last() else { return Ok(None) };
        let rest = keys::after(range, &last.key);
        Ok(Some((entries, rest)))
    }

    /// 400 tooMany (RFC 7644 §3.12): more work than one request is worth, and what would make it less.
    pub(super) fn too_many(&self, scope: &Scope<'_>) -> ScimError {
        let (examined, ty) = (self.budget.examined, &scope.resource_type.name);
        let detail = format!(
            "More than {examined} resources of type {ty} would have to be read for this page. {}",
            advice(scope)
        );
        ScimError::new(ErrorKind::TooMany, detail)
    }

    /// 400 tooMany: a page too deep in a list that is put in order in memory.
    pub(super) fn too_many_held(&self) -> ScimError {
        ScimError::new(
            ErrorKind::TooMany,
            format!(
                "startIndex reaches deeper into a sorted list than {} resources. Narrow the filter, sort by none or by an \
                 attribute that is indexed, or page with `cursor`.",
                self.budget.held
            ),
        )
    }
}

/// Why so many resources have to be read for this search, and what would make them fewer.
pub(super) fn advice(scope: &Scope<'_>) -> String {
    let Scope { resource_type: ty, filter, .. } = scope;
    let indexed: Vec<String> = ty.targets().filter(|t| ty.serves(t.leaf())).map(|target| target.name()).collect();
    let indexed = indexed.join(", ");
    let Some(filter) = filter else {
        return format!(
            "No index has the order that sortBy asks for. Sort by an attribute with one value that is indexed ({indexed}), \
             add a filter, or leave out sortBy."
        );
    };
    let plan = filter::plan(filter, ty);
    let why = match plan.ways.as_slice() {
        [] => {
            let terms: Vec<String> = plan.terms.iter().map(|term| format!("`{}`", excerpt(term))).collect();
            format!("No index answers {}", terms.join(" or "))
        }
        ways => {
            let accesses = ways.iter().filter_map(|way| way.paths.first());
            let accesses: Vec<String> = accesses.map(excerpt).collect();
            format!("Too many lie in {}", accesses.join(", and in "))
        }
    };
    format!(
        "{why}. Narrow the filter by `and` with a value that few have of an attribute that is indexed (id, {indexed}; by eq, \
         sw, gt, ge, lt, le or pr), have an attribute of the tenant's own schemas `indexed`, or page with `cursor`."
    )
}
