//! The ordered, transactional key-value store that everything is kept in, as the core sees it (wit/storage.wit).
//!
//! Architecture invariant: nothing here knows HTTP, JSON over the wire or a concrete attribute.

pub mod ahead;
pub mod answers;
pub mod census;
pub mod edges;
pub mod identity;
pub mod keys;
pub mod log;
pub mod memberships;
pub mod memory;
pub mod replies;
pub mod repo;
pub mod sightings;
pub mod sweep;
pub mod tombstones;
mod txn;

use crate::error::{ErrorKind, ScimError};

pub use txn::{Mode, Read, Txn, failure, transact, transact_ahead};

/// An opaque key; at most 1 KiB. Keys compare byte by byte.
pub type Key = Vec<u8>;
/// An opaque value; at most 1 MiB.
pub type Value = Vec<u8>;

/// A key and what it maps to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Its value; empty where only keys were asked for.
    pub value: Value,
}

/// The keys `start <= key < end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// First key of the range.
    pub start: Key,
    /// First key beyond it.
    pub end: Key,
}

/// How to walk a range.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScanOptions {
    /// Descending instead of ascending order.
    pub reverse: bool,
    /// Leave values empty.
    pub keys_only: bool,
    /// Entries to pass over first.
    pub skip: u64,
    /// Entries to return at most.
    pub limit: u32,
}

/// What one [`Store::read`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What each of the keys maps to.
    pub values: Vec<Option<Value>>,
    /// The entries of each of the ranges.
    pub entries: Vec<Vec<Entry>>,
    /// Of each of the ranges: what each of its entries leads to by each of the prefixes. Empty where there are none.
    pub followed: Vec<Vec<Option<Value>>>,
}

/// `key` must still map to exactly `expected`; `None` means that it must be absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The key looked at.
    pub key: Key,
    /// What it must map to.
    pub expected: Option<Value>,
}

/// One change of a commit. Mutations apply in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Map the key to the value, whatever was there.
    Put(Key, Value),
    /// Remove the key, if it is there.
    Delete(Key),
    /// Remove every key of the range.
    DeleteRange(KeyRange),
    /// Add to a counter: 8 bytes, little-endian, two's complement; an absent key counts as 0.
    Add(Key, i64),
    /// Store the value under the prefix followed by the store's next sequence number.
    Append(Key, Value),
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every check held; every mutation was applied and is durable.
    Committed,
    /// A check failed; nothing was applied.
    Conflict,
}

/// The store itself failed. A lost race is `Outcome::Conflict`, not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// This instance may not use that tenant's store.
    AccessDenied,
    /// A key, value or commit exceeds what the store takes.
    TooLarge,
    /// Unreachable for now; whether a commit was applied is unknown.
    Unavailable(String),
    /// Anything else; for logs only.
    Other(String),
}

/// One tenant's store.
pub trait Store {
    /// The values of `keys`, in that order.
    fn get(&self, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError>;
    /// The entries of a range; fewer than `limit` means that the range ended.
    fn scan(&self, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError>;
    /// `get` of `keys`, `scan` of each of the `ranges`, and the values of what the entries found lead to by each of the
    /// prefixes `follow`, in one call; not necessarily of one moment.
    fn read(
        &self,
        keys: &[Key],
        ranges: &[KeyRange],
        options: ScanOptions,
        follow: &[Key],
    ) -> Result<Reading, StoreError> {
        let values = if keys.is_empty() { Vec::new() } else { self.get(keys)? };
        let entries = ranges.iter().map(|range| self.scan(range, options)).collect::<Result<Vec<_>, _>>()?;
        let followed = match follow {
            [] => Vec::new(),
            _ => ranges
                .iter()
                .zip(&entries)
                .map(|(range, found)| led_to(self, range, found, follow))
                .collect::<Result<_, _>>()?,
        };
        Ok(Reading { values, entries, followed })
    }
    /// How many keys a range holds.
    fn count(&self, range: &KeyRange) -> Result<u64, StoreError>;
    /// Apply all `mutations` if every check holds; all or nothing, durable when it returns.
    fn commit(&self, checks: &[Check], mutations: &[Mutation]) -> Result<Outcome, StoreError>;
}

impl KeyRange {
    /// The keys that its entries lead to by each of the prefixes: the prefix, and what the entry's key has beyond the range's start.
    pub fn leads(&self, entries: &[Entry], follow: &[Key]) -> impl Iterator<Item = Option<Key>> {
        entries.iter().flat_map(move |entry| {
            let rest = entry.key.strip_prefix(self.start.as_slice());
            follow.iter().map(move |prefix| rest.map(|rest| [prefix, rest].concat()))
        })
    }
}

/// The values of what the entries of a range lead to by each of the prefixes.
fn led_to(
    store: &(impl Store + ?Sized),
    range: &KeyRange,
    entries: &[Entry],
    follow: &[Key],
) -> Result<Vec<Option<Value>>, StoreError> {
    let leads: Vec<Option<Key>> = range.leads(entries, follow).collect();
    let keys: Vec<Key> = leads.iter().flatten().cloned().collect();
    let mut values = if keys.is_empty() { Vec::new() } else { store.get(&keys)? }.into_iter();
    Ok(leads.iter().map(|key| key.as_ref().and_then(|_| values.next().flatten())).collect())
}

/// What a counter key holds: 8 bytes, little-endian, two's complement; an absent key counts as 0. A store that keeps
/// counters in another form would else be taken at its word that there is nothing.
pub fn counter(value: Option<&[u8]>) -> crate::error::Result<i64> {
    let Some(bytes) = value else { return Ok(0) };
    bytes.try_into().map(i64::from_le_bytes).map_err(|_| {
        ScimError::new(ErrorKind::Internal, "The server failed to read a stored counter.").with_log(format!(
            "storage.commit has kept, or a read has answered, a counter of {} bytes; `add` makes 8",
            bytes.len()
        ))
    })
}
