//! Transactions: a read set and a write set over a store that knows only checks and mutations.
//!
//! A key that was read is checked at the commit; if it changed meanwhile, the operation runs again from the start on what
//! is there now. Keys that were only peeked at are not checked. An operation sees its own writes.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::error::{ErrorKind, Result, ScimError};
use crate::limits;

use super::ahead::{Ahead, Fetched};
use super::{Check, Entry, Key, KeyRange, Mutation, Outcome, ScanOptions, Store, StoreError, Value, counter};

/// Reads without checks: of a store, or of a transaction with what it has written so far.
pub trait Read {
    /// The values of `keys`, in that order.
    fn peek(&self, keys: &[Key]) -> Result<Vec<Option<Value>>>;
    /// The first `limit` entries of a range; fewer mean that the range ended.
    fn entries(&self, range: &KeyRange, keys_only: bool, limit: u32) -> Result<Vec<Entry>>;

    /// The first `limit` keys of each of several ranges.
    fn keys(&self, ranges: &[KeyRange], limit: u32) -> Result<Vec<Vec<Entry>>> {
        ranges.iter().map(|range| self.entries(range, true, limit)).collect()
    }

    /// The value of one key.
    fn peek_one(&self, key: Key) -> Result<Option<Value>> {
        Ok(self.peek(&[key])?.pop().flatten())
    }

    /// All entries of a range, in batches: for ranges whose size the caller has bounded or must see whole.
    fn all_entries(&self, range: &KeyRange, keys_only: bool) -> Result<Vec<Entry>> {
        let mut range = range.clone();
        let mut all = Vec::new();
        loop {
            let batch = self.entries(&range, keys_only, limits::SCAN_BATCH)?;
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
}

impl<S: Store> Read for S {
    fn peek(&self, keys: &[Key]) -> Result<Vec<Option<Value>>> {
        self.get(keys).map_err(failure)
    }

    fn entries(&self, range: &KeyRange, keys_only: bool, limit: u32) -> Result<Vec<Entry>> {
        self.scan(range, ScanOptions { keys_only, limit, ..ScanOptions::default() }).map_err(failure)
    }

    fn keys(&self, ranges: &[KeyRange], limit: u32) -> Result<Vec<Vec<Entry>>> {
        let options = ScanOptions { keys_only: true, limit, ..ScanOptions::default() };
        Ok(Store::read(self, &[], ranges, options, &[]).map_err(failure)?.entries)
    }
}

/// One attempt at an operation.
pub struct Txn<'s, S> {
    store: &'s S,
    /// What was read before. Nothing after the first attempt, as it may be what a conflict is about.
    ahead: &'s Ahead,
    reads: BTreeMap<Key, Option<Value>>,
    writes: BTreeMap<Key, Write>,
    appends: Vec<(Key, Value)>,
    /// What the writes since the beginning of the current `attempt` have replaced, in order.
    undo: Option<Vec<(Key, Option<Write>)>>,
}

/// What is to become of a key.
enum Write {
    Put(Value),
    Delete,
    Add(i64),
}

impl<'s, S: Store> Txn<'s, S> {
    fn new(store: &'s S, ahead: &'s Ahead) -> Self {
        Self { store, ahead, reads: BTreeMap::new(), writes: BTreeMap::new(), appends: Vec::new(), undo: None }
    }

    /// What there is before this transaction.
    fn stored(&self) -> Fetched<'s, S> {
        self.ahead.over(self.store)
    }

    /// The values of `keys`, which must not change before the commit.
    pub fn read(&mut self, keys: &[Key]) -> Result<Vec<Option<Value>>> {
        let missing: Vec<Key> = keys.iter().filter(|key| !self.reads.contains_key(*key)).cloned().collect();
        if !missing.is_empty() {
            let values = self.stored().peek(&missing)?;
            self.reads.extend(missing.into_iter().zip(values));
        }
        keys.iter().map(|key| self.written(key, self.reads.get(key).cloned().flatten())).collect()
    }

    /// The value of one key, which must not change before the commit.
    pub fn read_one(&mut self, key: &Key) -> Result<Option<Value>> {
        Ok(self.read(std::slice::from_ref(key))?.pop().flatten())
    }

    /// A value that was read before this transaction and must not change before its commit.
    pub fn assume(&mut self, key: Key, value: Option<Value>) {
        self.reads.entry(key).or_insert(value);
    }

    /// Map the key to the value.
    pub fn put(&mut self, key: Key, value: Value) {
        self.write(key, Write::Put(value));
    }

    /// Remove the key.
    pub fn delete(&mut self, key: Key) {
        self.write(key, Write::Delete);
    }

    /// Add to a counter, whatever it is by then.
    pub fn add(&mut self, key: Key, by: i64) {
        let write = match self.writes.get(&key) {
            None => Write::Add(by),
            Some(Write::Add(before)) => Write::Add(before.wrapping_add(by)),
            Some(Write::Delete) => Write::Put(by.to_le_bytes().to_vec()),
            // Under a counter's key the core puts nothing else.
            Some(Write::Put(value)) => {
                let before = counter(Some(value)).unwrap_or_default();
                Write::Put(before.wrapping_add(by).to_le_bytes().to_vec())
            }
        };
        self.write(key, write);
    }

    /// Append to a log.
    pub fn append(&mut self, prefix: Key, value: Value) {
        self.appends.push((prefix, value));
    }

    /// Run a part of the transaction; if it fails, take back what it has written. What it has read stays checked.
    pub fn attempt<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outer = self.undo.replace(Vec::new());
        let appended = self.appends.len();
        let result = part(self);
        let undo = std::mem::replace(&mut self.undo, outer).unwrap_or_default();
        match (&result, &mut self.undo) {
            (Ok(_), Some(outer)) => outer.extend(undo),
            (Ok(_), None) => {}
            (Err(_), _) => {
                for (key, before) in undo.into_iter().rev() {
                    match before {
                        Some(write) => self.writes.insert(key, write),
                        None => self.writes.remove(&key),
                    };
                }
                self.appends.truncate(appended);
            }
        }
        result
    }

    fn write(&mut self, key: Key, write: Write) {
        match &mut self.undo {
            None => {
                self.writes.insert(key, write);
            }
            Some(undo) => {
                let before = self.writes.insert(key.clone(), write);
                undo.push((key, before));
            }
        }
    }

    /// What a key maps to after this transaction's writes.
    fn written(&self, key: &Key, stored: Option<Value>) -> Result<Option<Value>> {
        Ok(match self.writes.get(key) {
            None => stored,
            Some(Write::Put(value)) => Some(value.clone()),
            Some(Write::Delete) => None,
            Some(Write::Add(by)) => Some(counter(stored.as_deref())?.wrapping_add(*by).to_le_bytes().to_vec()),
        })
    }

    fn commit(self) -> Result<Outcome> {
        // Nothing to write: what was read was true at some time during the request, which is all that a reader gets.
        if self.writes.is_empty() && self.appends.is_empty() {
            return Ok(Outcome::Committed);
        }
        let checks: Vec<Check> = self.reads.into_iter().map(|(key, expected)| Check { key, expected }).collect();
        let writes = self.writes.into_iter().map(|(key, write)| match write {
            Write::Put(value) => Mutation::Put(key, value),
            Write::Delete => Mutation::Delete(key),
            Write::Add(by) => Mutation::Add(key, by),
        });
        let appends = self.appends.into_iter().map(|(prefix, value)| Mutation::Append(prefix, value));
        self.store.commit(&checks, &writes.chain(appends).collect::<Vec<_>>()).map_err(failure)
    }
}

impl<S: Store> Read for Txn<'_, S> {
    fn peek(&self, keys: &[Key]) -> Result<Vec<Option<Value>>> {
        let stored = self.stored().peek(keys)?;
        keys.iter().zip(stored).map(|(key, stored)| self.written(key, stored)).collect()
    }

    fn entries(&self, range: &KeyRange, keys_only: bool, limit: u32) -> Result<Vec<Entry>> {
        let bounds = (Bound::Included(range.start.as_slice()), Bound::Excluded(range.end.as_slice()));
        // `BTreeMap::range` panics on a range that runs backwards.
        let mine: Vec<_> = match range.start < range.end {
            true => self.writes.range::<[u8], _>(bounds).collect(),
            false => Vec::new(),
        };
        // As many more as this transaction may have removed.
        let more = u32::try_from(mine.len()).unwrap_or(u32::MAX);
        let wanted = limit.saturating_add(more);
        let stored = self.stored().entries(range, keys_only, wanted)?;
        if mine.is_empty() {
            return Ok(stored);
        }
        let ended = stored.len() < wanted as usize;
        let last = stored.last().map(|entry| entry.key.clone());
        let mut merged: BTreeMap<Key, Value> = stored.into_iter().map(|entry| (entry.key, entry.value)).collect();
        for (key, _) in mine.into_iter().filter(|(key, _)| ended || last.as_ref().is_some_and(|last| *key <= last)) {
            match self.written(key, merged.remove(key))? {
                Some(value) => merged.insert(key.clone(), if keys_only { Vec::new() } else { value }),
                None => None,
            };
        }
        Ok(merged.into_iter().take(limit as usize).map(|(key, value)| Entry { key, value }).collect())
    }
}

/// Whether what a transaction did is to stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Commit it.
    #[default]
    Commit,
    /// Throw it away: a dry run.
    Rehearse,
}

/// Run `operation` until its commit wins, at most [`limits::COMMIT_ATTEMPTS`] times. An error it returns is final, and
/// leaves nothing behind.
pub fn transact<S: Store, T>(store: &S, mode: Mode, operation: impl FnMut(&mut Txn<'_, S>) -> Result<T>) -> Result<T> {
    transact_ahead(store, &Ahead::default(), mode, operation)
}

/// The same with something read ahead, so that the first attempt need not read it again.
pub fn transact_ahead<S: Store, T>(
    store: &S,
    ahead: &Ahead,
    mode: Mode,
    mut operation: impl FnMut(&mut Txn<'_, S>) -> Result<T>,
) -> Result<T> {
    let nothing = Ahead::default();
    for attempt in 0..limits::COMMIT_ATTEMPTS {
        let mut txn = Txn::new(store, if attempt == 0 { ahead } else { &nothing });
        let value = operation(&mut txn)?;
        if mode == Mode::Rehearse {
            return Ok(value);
        }
        match txn.commit()? {
            Outcome::Committed => return Ok(value),
            Outcome::Conflict => {}
        }
    }
    let error = ScimError::new(
        ErrorKind::Unavailable,
        "The resource is being changed by many requests at once; nothing was changed by this one. Repeat it in a moment.",
    );
    // A store that finds conflicts where there are none looks the same.
    Err(error.with_log(format!("storage.commit answered `conflict` {} times in a row", limits::COMMIT_ATTEMPTS)))
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
        let seen = transact(&store, Mode::Commit, |txn| {
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
    fn what_was_read_ahead_is_checked_and_read_again_after_a_conflict() {
        let store = Memory::default();
        let (key, put) = (b"k".to_vec(), |value: &[u8]| Mutation::Put(b"k".to_vec(), value.to_vec()));
        store.commit(&[], &[put(b"old")]).unwrap();
        let ahead = Ahead::fetch(&store, vec![key.clone()], None, &[]).unwrap();
        store.commit(&[], &[put(b"new")]).unwrap();
        let mut seen = Vec::new();
        transact_ahead(&store, &ahead, Mode::Commit, |txn| {
            seen.extend([txn.peek_one(key.clone())?, txn.read_one(&key)?]);
            txn.put(key.clone(), b"mine".to_vec());
            Ok(())
        })
        .unwrap();
        let told = |value: &[u8]| Some(value.to_vec());
        assert_eq!(seen, [told(b"old"), told(b"old"), told(b"new"), told(b"new")]);
        assert_eq!(store.get(&[key]).unwrap(), [told(b"mine")]);
    }

    #[test]
    fn a_race_lost_for_ever_is_503_and_changes_nothing() {
        let store = Memory::default();
        let mut round = 0u32;
        let error = transact(&store, Mode::Commit, |txn| {
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
        transact(&store, Mode::Commit, |txn| {
            txn.peek_one(b"k".to_vec())?;
            store.commit(&[], &[Mutation::Add(b"k".to_vec(), 1)]).unwrap();
            txn.add(b"k".to_vec(), 1);
            Ok(())
        })
        .unwrap();
        assert_eq!(super::super::counter(store.get(&[b"k".to_vec()]).unwrap()[0].as_deref()), Ok(2));
    }

    #[test]
    fn an_operation_sees_its_own_writes() {
        let store = Memory::default();
        let key = |k: &str| k.as_bytes().to_vec();
        let put = |k: &str| Mutation::Put(key(k), b"stored".to_vec());
        store.commit(&[], &[put("a"), put("b"), put("d")]).unwrap();
        let range = KeyRange { start: key("a"), end: key("z") };
        let names = |entries: Vec<Entry>| {
            entries.into_iter().map(|e| String::from_utf8(e.key).unwrap()).collect::<Vec<_>>().concat()
        };
        transact(&store, Mode::Rehearse, |txn| {
            txn.delete(key("b"));
            txn.put(key("c"), b"mine".to_vec());
            txn.add(key("n"), 2);
            txn.add(key("n"), -3);
            assert_eq!(txn.read_one(&key("b"))?, None);
            assert_eq!(txn.peek_one(key("c"))?, Some(b"mine".to_vec()));
            assert_eq!(counter(txn.read_one(&key("n"))?.as_deref()), Ok(-1));
            assert_eq!(names(txn.entries(&range, true, 10)?), "acdn");
            assert_eq!(names(txn.entries(&range, true, 2)?), "ac");
            assert_eq!(names(txn.entries(&range, true, 1)?), "a");
            txn.delete(key("a"));
            assert_eq!(names(txn.entries(&range, true, 1)?), "c");
            Ok(())
        })
        .unwrap();
        assert_eq!(names(store.entries(&range, true, 10).unwrap()), "abd");
    }

    #[test]
    fn a_failed_attempt_takes_its_own_writes_back_and_no_others() {
        let store = Memory::default();
        let key = |k: &str| k.as_bytes().to_vec();
        let failed = || ScimError::new(ErrorKind::InvalidValue, "no");
        transact(&store, Mode::Commit, |txn| {
            txn.put(key("a"), b"1".to_vec());
            txn.add(key("n"), 1);
            let outcome: Result<()> = txn.attempt(|txn| {
                txn.put(key("a"), b"2".to_vec());
                txn.put(key("b"), Vec::new());
                txn.attempt(|txn| {
                    txn.add(key("n"), 5);
                    Ok(())
                })?;
                txn.delete(key("a"));
                txn.append(key("l"), Vec::new());
                Err(failed())
            });
            assert_eq!(outcome, Err(failed()));
            txn.attempt(|txn| {
                let inner: Result<()> = txn.attempt(|txn| {
                    txn.delete(key("a"));
                    Err(failed())
                });
                assert!(inner.is_err());
                txn.add(key("n"), 1);
                Ok(())
            })
        })
        .unwrap();
        let stored: Vec<_> = store.dump().into_iter().collect();
        assert_eq!(stored, [(key("a"), b"1".to_vec()), (key("n"), 2i64.to_le_bytes().to_vec())]);
    }
}
