//! The reference store: a `BTreeMap`. For tests and for native use of the core; other stores are held against it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Check, Entry, Key, KeyRange, Mutation, Outcome, ScanOptions, Store, StoreError, Value};

/// A store in memory. Clones share their contents.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<Key, Value>,
    sequence: u64,
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held can't leave a half-applied commit that matters: the test has failed by then.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that is stored, for tests that compare states.
    pub fn dump(&self) -> BTreeMap<Key, Value> {
        self.state().entries.clone()
    }
}

impl Store for Memory {
    fn get(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        let state = self.state();
        Ok(keys.iter().map(|key| state.entries.get(key).cloned()).collect())
    }

    fn scan(&self, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        let state = self.state();
        let Some(entries) = entries(&state.entries, range) else { return Ok(Vec::new()) };
        let entry = |(key, value): (&Key, &Value)| Entry {
            key: key.clone(),
            value: if options.keys_only { Vec::new() } else { value.clone() },
        };
        let skip = usize::try_from(options.skip).unwrap_or(usize::MAX);
        let limit = options.limit as usize;
        Ok(if options.reverse {
            entries.rev().skip(skip).take(limit).map(entry).collect()
        } else {
            entries.skip(skip).take(limit).map(entry).collect()
        })
    }

    fn count(&self, range: &KeyRange) -> Result<u64, StoreError> {
        Ok(entries(&self.state().entries, range).map_or(0, |entries| entries.count() as u64))
    }

    fn commit(&self, checks: &[Check], mutations: &[Mutation]) -> Result<Outcome, StoreError> {
        let mut state = self.state();
        if checks.iter().any(|check| state.entries.get(&check.key) != check.expected.as_ref()) {
            return Ok(Outcome::Conflict);
        }
        for mutation in mutations {
            match mutation {
                Mutation::Put(key, value) => {
                    state.entries.insert(key.clone(), value.clone());
                }
                Mutation::Delete(key) => {
                    state.entries.remove(key);
                }
                Mutation::DeleteRange(range) => {
                    state.entries.retain(|key, _| *key < range.start || *key >= range.end);
                }
                Mutation::Add(key, by) => {
                    let before = super::counter(state.entries.get(key).map(Vec::as_slice));
                    let sum = before.map_err(|error| StoreError::Other(error.to_string()))?.wrapping_add(*by);
                    state.entries.insert(key.clone(), sum.to_le_bytes().to_vec());
                }
                Mutation::Append(prefix, value) => {
                    state.sequence += 1;
                    let mut key = prefix.clone();
                    key.extend_from_slice(&state.sequence.to_be_bytes());
                    state.entries.insert(key, value.clone());
                }
            }
        }
        Ok(Outcome::Committed)
    }
}

fn entries<'m>(
    entries: &'m BTreeMap<Key, Value>,
    range: &KeyRange,
) -> Option<std::collections::btree_map::Range<'m, Key, Value>> {
    // `BTreeMap::range` panics on a range that runs backwards.
    (range.start < range.end).then(|| {
        entries.range::<[u8], _>((Bound::Included(range.start.as_slice()), Bound::Excluded(range.end.as_slice())))
    })
}
