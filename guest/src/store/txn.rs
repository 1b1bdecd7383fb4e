//! Transactions: a read set and a write set over a store that knows only checks and mutations.
//!
//! A key that was read is checked at the commit; if it changed meanwhile, the operation runs again from the start on what
//! is there now. Keys that were only peeked at are not checked.

use std::collections::BTreeMap;

use crate::error::{ErrorKind, Result, ScimError};
use crate::limits;

use super::{Check, Entry, Key, KeyRange, Mutation, Outcome, ScanOptions, Store, StoreError, Value};

/// One attempt at an operation.
pub struct Txn<'s, S> {
    store: &'s S,
    reads: BTreeMap<Key, Option<Value>>,
    mutations: Vec<Mutation>,
}

impl<'s, S: Store> Txn<'s, S> {
    fn new(store: &'s S) -> Self {
        Self { store, reads: BTreeMap::new(), mutations: Vec::new() }
    }

    /// The store itself, for reads that need no check.
    pub fn store(&self) -> &'s S {
        self.store
    }

    /// The values of `keys`, which must not change before the commit.
    pub fn read(&mut self, keys: &[Key]) -> Result<Vec<Option<Value>>> {
        let missing: Vec<Key> = keys.iter().filter(|key| !self.reads.contains_key(*key)).cloned().collect();
        if !missing.is_empty() {
            let values = self.store.get(&missing).map_err(failure)?;
            self.reads.extend(missing.into_iter().zip(values));
        }
        Ok(keys.iter().map(|key| self.reads.get(key).cloned().flatten()).collect())
    }

    /// The value of one key, which must not change before the commit.
    pub fn read_one(&mut self, key: &Key) -> Result<Option<Value>> {
        Ok(self.read(std::slice::from_ref(key))?.pop().flatten())
    }

    /// The values of `keys` as they are now; they may change before the commit.
    pub fn peek(&self, keys: &[Key]) -> Result<Vec<Option<Value>>> {
        self.store.get(keys).map_err(failure)
    }

    /// Map the key to the value.
    pub fn put(&mut self, key: Key, value: Value) {
        self.mutations.push(Mutation::Put(key, value));
    }

    /// Remove the key.
    pub fn delete(&mut self, key: Key) {
        self.mutations.push(Mutation::Delete(key));
    }

    /// Add to a counter, whatever it is by then.
    pub fn add(&mut self, key: Key, by: i64) {
        self.mutations.push(Mutation::Add(key, by));
    }

    /// Append to a log.
    pub fn append(&mut self, prefix: Key, value: Value) {
        self.mutations.push(Mutation::Append(prefix, value));
    }

    fn commit(self) -> Result<Outcome> {
        // Nothing to write: what was read was true at some time during the request, which is all that a reader gets.
        if self.mutations.is_empty() {
            return Ok(Outcome::Committed);
        }
        let checks: Vec<Check> = self.reads.into_iter().map(|(key, expected)| Check { key, expected }).collect();
        self.store.commit(&checks, &self.mutations).map_err(failure)
    }
}

/// Run `operation` until its commit wins, at most [`limits::COMMIT_ATTEMPTS`] times. An error it returns is final, and
/// leaves nothing behind.
pub fn transact<S: Store, T>(store: &S, mut operation: impl FnMut(&mut Txn<'_, S>) -> Result<T>) -> Result<T> {
    for _ in 0..limits::COMMIT_ATTEMPTS {
        let mut txn = Txn::new(store);
        let value = operation(&mut txn)?;
        match txn.commit()? {
            Outcome::Committed => return Ok(value),
            Outcome::Conflict => {}
        }
    }
    Err(ScimError::new(
        ErrorKind::Unavailable,
        "The resource is being changed by many requests at once; nothing was changed by this one. Repeat it in a moment.",
    ))
}

/// All entries of a range, read in batches: for ranges whose size the caller has bounded or must see whole.
pub fn scan_all<S: Store>(store: &S, range: &KeyRange, keys_only: bool) -> Result<Vec<Entry>> {
    let mut range = range.clone();
    let mut all = Vec::new();
    loop {
        let options = ScanOptions { keys_only, limit: limits::SCAN_BATCH, ..ScanOptions::default() };
        let batch = store.scan(&range, options).map_err(failure)?;
        let ended = batch.len() < limits::SCAN_BATCH as usize;
        if let Some(last) = batch.last() {
            range = super::keys::after(&range, &last.key);
        }
        all.extend(batch);
        if ended {
            return Ok(all);
        }
    }
}

/// What the client is told when the store fails. The store's own words are for the log.
pub fn failure(error: StoreError) -> ScimError {
    match error {
        StoreError::TooLarge => ScimError::new(
            ErrorKind::PayloadTooLarge,
            "The change is larger than the store takes in one piece; nothing was changed. Split it into smaller requests.",
        ),
        StoreError::Unavailable(why) => ScimError::new(
            ErrorKind::Unavailable,
            "The store can't be reached for now. Repeat the request in a moment.",
        )
        .with_log(why),
        StoreError::AccessDenied => ScimError::new(ErrorKind::Internal, "The server failed to process the request.")
            .with_log("the host denied access to the tenant's store"),
        StoreError::Other(why) => {
            ScimError::new(ErrorKind::Internal, "The server failed to process the request.").with_log(why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;

    #[test]
    fn a_lost_race_runs_again_on_what_is_there_now() {
        let store = Memory::default();
        let key = b"k".to_vec();
        let mut attempts = 0;
        let seen = transact(&store, |txn| {
            attempts += 1;
            let seen = txn.read_one(&key)?;
            if attempts == 1 {
                store.commit(&[], &[Mutation::Put(key.clone(), b"other".to_vec())]).unwrap();
            }
            txn.put(key.clone(), b"mine".to_vec());
            Ok(seen)
        });
        assert_eq!((attempts, seen), (2, Ok(Some(b"other".to_vec()))));
        assert_eq!(store.get(&[key]).unwrap(), [Some(b"mine".to_vec())]);
    }

    #[test]
    fn a_race_lost_for_ever_is_503_and_changes_nothing() {
        let store = Memory::default();
        let mut round = 0u32;
        let error = transact(&store, |txn| {
            round += 1;
            txn.read_one(&b"k".to_vec())?;
            store.commit(&[], &[Mutation::Put(b"k".to_vec(), round.to_be_bytes().to_vec())]).unwrap();
            txn.put(b"mine".to_vec(), Vec::new());
            Ok(())
        })
        .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert_eq!(store.get(&[b"mine".to_vec()]).unwrap(), [None]);
    }

    #[test]
    fn peeked_keys_may_change() {
        let store = Memory::default();
        transact(&store, |txn| {
            txn.peek(&[b"k".to_vec()])?;
            store.commit(&[], &[Mutation::Add(b"k".to_vec(), 1)]).unwrap();
            txn.add(b"k".to_vec(), 1);
            Ok(())
        })
        .unwrap();
        assert_eq!(super::super::counter(store.get(&[b"k".to_vec()]).unwrap()[0].as_deref()), 2);
    }
}
