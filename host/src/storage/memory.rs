//! Storage in memory: the reference implementation, for tests, for `--dev` and for trying things out.

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock};

use async_trait::async_trait;

use super::{
    Check, Entry, Key, KeyRange, Mutation, Outcome, ScanOptions, Storage, StoreError, Value, added, check_sizes,
    check_tenant,
};

/// Keeps everything in memory and loses it when dropped.
///
/// One lock guards all tenants, so that each commit and each read sees one state of the whole.
#[derive(Debug, Default)]
pub struct Memory {
    spaces: RwLock<HashMap<String, Space>>,
}

/// One tenant's keys.
#[derive(Debug, Default)]
struct Space {
    entries: BTreeMap<Key, Value>,
    /// The sequence number last given to an append.
    sequence: u64,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `read` on the tenant's entries.
    fn read<T>(&self, tenant: &str, read: impl FnOnce(&BTreeMap<Key, Value>) -> T) -> Result<T, StoreError> {
        check_tenant(tenant)?;
        let spaces = self.spaces.read().map_err(broken)?;
        Ok(match spaces.get(tenant) {
            Some(space) => read(&space.entries),
            None => read(&BTreeMap::new()),
        })
    }
}

#[async_trait]
impl Storage for Memory {
    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        self.read(tenant, |entries| keys.iter().map(|key| entries.get(key).cloned()).collect())
    }

    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        self.read(tenant, |entries| {
            if range.is_empty() {
                return Vec::new();
            }
            let walk = entries.range(range.start.clone()..range.end.clone());
            if options.reverse { page(walk.rev(), options) } else { page(walk, options) }
        })
    }

    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
        self.read(tenant, |entries| {
            if range.is_empty() {
                return 0;
            }
            entries.range(range.start.clone()..range.end.clone()).count() as u64
        })
    }

    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
        check_tenant(tenant)?;
        check_sizes(&checks, &mutations)?;
        let mut spaces = self.spaces.write().map_err(broken)?;
        let space = match spaces.get_mut(tenant) {
            Some(space) => space,
            None => spaces.entry(tenant.to_owned()).or_default(),
        };
        if checks.iter().any(|check| space.entries.get(&check.key) != check.expected.as_ref()) {
            return Ok(Outcome::Conflict);
        }
        space.apply(mutations)?;
        Ok(Outcome::Committed)
    }
}

fn page<'a>(walk: impl Iterator<Item = (&'a Key, &'a Value)>, options: ScanOptions) -> Vec<Entry> {
    let skip = usize::try_from(options.skip).unwrap_or(usize::MAX);
    let entry = |(key, value): (&Key, &Value)| Entry {
        key: key.clone(),
        value: if options.keys_only { Value::new() } else { value.clone() },
    };
    walk.skip(skip).take(options.limit as usize).map(entry).collect()
}

/// A panic while the lock was held may have left half a commit, so nothing is read or written any more.
fn broken<T>(_: PoisonError<T>) -> StoreError {
    StoreError::Other("a commit to the store in memory panicked; restart to get an empty one".to_owned())
}

impl Space {
    /// Applies all mutations, or none where one of them fails.
    fn apply(&mut self, mutations: Vec<Mutation>) -> Result<(), StoreError> {
        let sequence = self.sequence;
        let mut undo = Vec::with_capacity(mutations.len());
        for mutation in mutations {
            if let Err(error) = self.apply_one(mutation, &mut undo) {
                for (key, before) in undo.into_iter().rev() {
                    self.set(key, before);
                }
                self.sequence = sequence;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Applies one mutation and notes in `undo` what each key held before.
    fn apply_one(&mut self, mutation: Mutation, undo: &mut Vec<(Key, Option<Value>)>) -> Result<(), StoreError> {
        match mutation {
            Mutation::Put(key, value) => undo.push((key.clone(), self.set(key, Some(value)))),
            Mutation::Delete(key) => {
                let before = self.set(key.clone(), None);
                undo.push((key, before));
            }
            Mutation::DeleteRange(KeyRange { start, end }) if start < end => {
                undo.extend(self.entries.extract_if(start..end, |_, _| true).map(|(key, value)| (key, Some(value))));
            }
            Mutation::DeleteRange(_) => {}
            Mutation::Add(key, by) => {
                let after = added(&key, self.entries.get(&key).map(Vec::as_slice), by)?;
                undo.push((key.clone(), self.set(key, Some(after.to_vec()))));
            }
            Mutation::Append(mut key, value) => {
                self.sequence += 1;
                key.extend_from_slice(&self.sequence.to_be_bytes());
                undo.push((key.clone(), self.set(key, Some(value))));
            }
        }
        Ok(())
    }

    fn set(&mut self, key: Key, value: Option<Value>) -> Option<Value> {
        match value {
            Some(value) => self.entries.insert(key, value),
            None => self.entries.remove(&key),
        }
    }
}
