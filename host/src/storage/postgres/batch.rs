//! Many commits folded into one: what is left of them is a set of checks and one final effect a key.
//!
//! The fold supposes that every check on the database will hold, and decides by itself the checks on what earlier commits
//! of the batch write. Should one on the database fail, the commit that made it is taken out and the rest folded anew.
//! So a batch is four statements however many commits it holds, and a counter that all of them add to is written once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::storage::{Check, Key, KeyRange, Mutation, Outcome, SEQUENCE, StoreError, added};

/// A commit on its way to the database.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) checks: Vec<Check>,
    pub(super) mutations: Vec<Mutation>,
}

/// What becomes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect<'a> {
    Put(Cow<'a, [u8]>),
    Delete,
    /// Added to whatever the database holds.
    Add(i64),
}

/// A key, and what it must map to.
type Expected<'a> = (&'a [u8], Option<&'a [u8]>);

/// Folded commits. Ranges are deleted before effects and appends take place.
#[derive(Debug, Default)]
pub(super) struct Batch<'a> {
    /// What the database must hold, and the commits that say so.
    pub(super) checks: BTreeMap<Expected<'a>, Vec<usize>>,
    /// Keys that must be absent or counters in the database, and the commits that add to them.
    pub(super) counters: BTreeMap<&'a [u8], Vec<usize>>,
    pub(super) ranges: Vec<&'a KeyRange>,
    pub(super) effects: BTreeMap<&'a [u8], Effect<'a>>,
    /// Prefixes and values, in the order of their numbers.
    pub(super) appends: Vec<(&'a [u8], &'a [u8])>,
    /// How each commit ends if every check on the database holds.
    pub(super) outcomes: Vec<Result<Outcome, StoreError>>,
    prefixes: BTreeSet<&'a [u8]>,
}

/// Whether a commit is part of the batch now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folded {
    Taken,
    /// It asks for something that only the database knows once the batch is committed: it begins the next one.
    Later,
}

/// What is known of a key.
enum Known<'b> {
    Value(Option<&'b [u8]>),
    /// What the database holds.
    Stored,
    /// What the database holds, and more added to it.
    StoredAndAdded(i64),
}

/// What one commit changes, until it is certain that it does.
#[derive(Default)]
struct Changes<'a> {
    effects: BTreeMap<&'a [u8], Effect<'a>>,
    ranges: Vec<&'a KeyRange>,
    counters: Vec<&'a [u8]>,
    appends: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Batch<'a> {
    /// Folds one more commit into the batch.
    pub(super) fn fold(&mut self, commit: &'a Commit) -> Folded {
        if self.needs_numbers(commit) {
            return Folded::Later;
        }
        let at = self.outcomes.len();
        let mut stored = Vec::new();
        let mut holds = true;
        for Check { key, expected } in &commit.checks {
            match self.known(key) {
                Known::Value(value) => holds &= value == expected.as_deref(),
                Known::Stored => stored.push((key.as_slice(), expected.as_deref())),
                Known::StoredAndAdded(_) => return Folded::Later,
            }
        }
        if !holds {
            self.outcomes.push(Ok(Outcome::Conflict));
            return Folded::Taken;
        }
        // Those that are to be answered by the database come before any failure of the commit's own.
        for check in stored {
            self.checks.entry(check).or_default().push(at);
        }
        match self.changes(&commit.mutations) {
            Ok(changes) => {
                self.merge(changes, at);
                self.outcomes.push(Ok(Outcome::Committed));
            }
            Err(error) => self.outcomes.push(Err(error)),
        }
        Folded::Taken
    }

    /// Whether the commit may touch a key that an append of the batch makes, or the other way round: which keys those are
    /// is known with their numbers only.
    fn needs_numbers(&self, commit: &Commit) -> bool {
        let made = |key: &[u8]| {
            key.len()
                .checked_sub(SEQUENCE)
                .is_some_and(|end| !self.appends.is_empty() && self.prefixes.contains(&key[..end]))
        };
        commit.checks.iter().any(|check| made(&check.key))
            || commit.mutations.iter().any(|mutation| match mutation {
                Mutation::Put(key, _) | Mutation::Delete(key) | Mutation::Add(key, _) => made(key),
                Mutation::DeleteRange(range) => !self.appends.is_empty() && !range.is_empty(),
                Mutation::Append(prefix, _) => self.effects.keys().any(|key| is_below(key, prefix)),
            })
    }

    fn known(&self, key: &[u8]) -> Known<'_> {
        match self.effects.get(key) {
            Some(Effect::Put(value)) => Known::Value(Some(value)),
            Some(Effect::Delete) => Known::Value(None),
            Some(Effect::Add(by)) => Known::StoredAndAdded(*by),
            None if covers(&self.ranges, key) => Known::Value(None),
            None => Known::Stored,
        }
    }

    /// What the mutations change, in their order, after those of the batch.
    fn changes(&self, mutations: &'a [Mutation]) -> Result<Changes<'a>, StoreError> {
        let mut changes = Changes::default();
        for mutation in mutations {
            match mutation {
                Mutation::Put(key, value) => {
                    changes.effects.insert(key, Effect::Put(Cow::Borrowed(value)));
                }
                Mutation::Delete(key) => {
                    changes.effects.insert(key, Effect::Delete);
                }
                Mutation::DeleteRange(range) if !range.is_empty() => {
                    changes.effects.retain(|key, _| !contains(range, key));
                    changes.ranges.push(range);
                }
                Mutation::DeleteRange(_) => {}
                Mutation::Add(key, by) => {
                    let known = match changes.effects.get(key.as_slice()) {
                        Some(Effect::Put(value)) => Known::Value(Some(value)),
                        Some(Effect::Delete) => Known::Value(None),
                        Some(Effect::Add(before)) => Known::StoredAndAdded(*before),
                        None if covers(&changes.ranges, key) => Known::Value(None),
                        None => self.known(key),
                    };
                    let effect = match known {
                        Known::Value(value) => Effect::Put(Cow::Owned(added(key, value, *by)?.to_vec())),
                        Known::StoredAndAdded(before) => Effect::Add(before.wrapping_add(*by)),
                        Known::Stored => {
                            changes.counters.push(key);
                            Effect::Add(*by)
                        }
                    };
                    changes.effects.insert(key, effect);
                }
                Mutation::Append(prefix, value) => changes.appends.push((prefix, value)),
            }
        }
        Ok(changes)
    }

    fn merge(&mut self, changes: Changes<'a>, at: usize) {
        for range in changes.ranges {
            self.effects.retain(|key, _| !contains(range, key));
            self.ranges.push(range);
        }
        self.effects.extend(changes.effects);
        for key in changes.counters {
            self.counters.entry(key).or_default().push(at);
        }
        self.prefixes.extend(changes.appends.iter().map(|(prefix, _)| prefix));
        self.appends.extend(changes.appends);
    }

    /// How the commits end that made the checks, or added to the counters, which failed: by their places in `checks`
    /// followed by `counters`, from 1.
    pub(super) fn losers(&self, failed: &[i64]) -> BTreeMap<usize, Result<Outcome, StoreError>> {
        let mut losers = BTreeMap::new();
        let is_failed = |place: usize| i64::try_from(place + 1).is_ok_and(|place| failed.contains(&place));
        for (place, commits) in self.checks.values().enumerate() {
            if is_failed(place) {
                losers.extend(commits.iter().map(|at| (*at, Ok(Outcome::Conflict))));
            }
        }
        for (place, (key, commits)) in self.counters.iter().enumerate() {
            if is_failed(self.checks.len() + place) {
                for at in commits {
                    // A check of its own that fails comes first.
                    losers.entry(*at).or_insert_with(|| Err(no_counter(key)));
                }
            }
        }
        losers
    }
}

impl Commit {
    /// Whether what it does depends on the numbers of its own appends.
    pub(super) fn needs_its_numbers(&self) -> bool {
        let mut appended = false;
        let mut prefixes = BTreeSet::new();
        for mutation in &self.mutations {
            match mutation {
                Mutation::Append(prefix, _) => {
                    appended = true;
                    prefixes.insert(prefix.as_slice());
                }
                Mutation::DeleteRange(range) if appended && !range.is_empty() => return true,
                _ => {}
            }
        }
        appended
            && self.mutations.iter().any(|mutation| match mutation {
                Mutation::Put(key, _) | Mutation::Delete(key) | Mutation::Add(key, _) => {
                    key.len().checked_sub(SEQUENCE).is_some_and(|end| prefixes.contains(&key[..end]))
                }
                Mutation::DeleteRange(_) | Mutation::Append(..) => false,
            })
    }

    /// The same with its appends as puts, numbered from the one after `last`; and how many they are.
    pub(super) fn numbered(self, last: u64) -> (Self, u64) {
        let mut number = last;
        let mutations = self.mutations.into_iter().map(|mutation| match mutation {
            Mutation::Append(prefix, value) => {
                number += 1;
                Mutation::Put(record_key(prefix, number), value)
            }
            other => other,
        });
        let mutations = mutations.collect();
        (Self { checks: self.checks, mutations }, number - last)
    }
}

fn record_key(mut prefix: Key, number: u64) -> Key {
    prefix.extend_from_slice(&number.to_be_bytes());
    prefix
}

/// Whether an append to `prefix` could make this key.
fn is_below(key: &[u8], prefix: &[u8]) -> bool {
    key.len() == prefix.len() + SEQUENCE && key.starts_with(prefix)
}

fn contains(range: &KeyRange, key: &[u8]) -> bool {
    range.start.as_slice() <= key && key < range.end.as_slice()
}

fn covers(ranges: &[&KeyRange], key: &[u8]) -> bool {
    ranges.iter().any(|range| contains(range, key))
}

fn no_counter(key: &[u8]) -> StoreError {
    StoreError::Other(format!("add to key \"{}\": its value is no counter of 8 bytes", key.escape_ascii()))
}

#[cfg(test)]
mod tests;
