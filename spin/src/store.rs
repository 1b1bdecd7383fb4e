//! The types of a store (wit/storage.wit) and their limits.

/// An opaque key; at most [`MAX_KEY`] bytes.
pub type Key = Vec<u8>;
/// An opaque value; at most [`MAX_VALUE`] bytes.
pub type Value = Vec<u8>;

/// Bytes of a key at most.
pub const MAX_KEY: usize = 1024;
/// Bytes of a value at most.
pub const MAX_VALUE: usize = 1024 * 1024;
/// Bytes of all keys and values of one commit at most, those of its checks included.
pub const MAX_COMMIT: usize = 64 * 1024 * 1024;
/// Bytes of the sequence number that an append puts behind its prefix.
pub const SEQUENCE: usize = size_of::<u64>();

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

impl KeyRange {
    /// Whether it holds no key whatever is stored.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Whether the key lies in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start.as_slice() <= key && key < self.end.as_slice()
    }
}

/// How to walk a range.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "mirrors the WIT record")]
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
    /// Add to a counter: 8 bytes, little-endian, two's complement, wrapping; an absent key counts as 0.
    Add(Key, i64),
    /// Store the value under the prefix followed by the tenant's next sequence number.
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

/// The store itself failed. A lost race is [`Outcome::Conflict`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// A key, value or commit exceeds what a store takes.
    TooLarge,
    /// Out of reach for now; whether a commit was applied is unknown.
    Unavailable(String),
    /// Anything else.
    Other(String),
}

/// Refuses what exceeds the limits before any of it is applied.
pub fn check_sizes(checks: &[Check], mutations: &[Mutation]) -> Result<(), StoreError> {
    let mut total = 0_usize;
    let mut tally = |key: usize, value: usize| {
        total = total.saturating_add(key).saturating_add(value);
        if key > MAX_KEY || value > MAX_VALUE || total > MAX_COMMIT { Err(StoreError::TooLarge) } else { Ok(()) }
    };
    for check in checks {
        tally(check.key.len(), check.expected.as_ref().map_or(0, Vec::len))?;
    }
    for mutation in mutations {
        match mutation {
            Mutation::Put(key, value) => tally(key.len(), value.len())?,
            Mutation::Append(prefix, value) => tally(prefix.len() + SEQUENCE, value.len())?,
            Mutation::Delete(key) => tally(key.len(), 0)?,
            Mutation::Add(key, _) => tally(key.len(), size_of::<i64>())?,
            // Bounds are compared, never stored: the end of a range may well be one byte longer than any key.
            Mutation::DeleteRange(range) => tally(0, range.start.len() + range.end.len())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mutation: Mutation, fits: bool) {
        let expect = if fits { Ok(()) } else { Err(StoreError::TooLarge) };
        assert_eq!(check_sizes(&[], &[mutation]), expect);
    }

    #[test]
    fn sizes() {
        check(Mutation::Put(vec![0; MAX_KEY], vec![0; MAX_VALUE]), true);
        check(Mutation::Put(vec![0; MAX_KEY], vec![0; MAX_VALUE + 1]), false);
        check(Mutation::Put(vec![0; MAX_KEY + 1], vec![]), false);
        check(Mutation::Delete(vec![0; MAX_KEY + 1]), false);
        check(Mutation::Add(vec![0; MAX_KEY + 1], 1), false);
        check(Mutation::Append(vec![0; MAX_KEY - SEQUENCE], vec![]), true);
        check(Mutation::Append(vec![0; MAX_KEY - SEQUENCE + 1], vec![]), false);
        check(Mutation::DeleteRange(KeyRange { start: vec![], end: vec![0; MAX_KEY + 1] }), true);
    }

    #[test]
    fn commit_size() {
        let puts = |n| vec![Mutation::Put(vec![], vec![0; MAX_VALUE]); n];
        assert_eq!(check_sizes(&[], &puts(MAX_COMMIT / MAX_VALUE)), Ok(()));
        assert_eq!(check_sizes(&[], &puts(MAX_COMMIT / MAX_VALUE + 1)), Err(StoreError::TooLarge));
        let held = Check { key: vec![0; MAX_KEY + 1], expected: None };
        assert_eq!(check_sizes(&[held], &[]), Err(StoreError::TooLarge));
    }

    #[test]
    fn ranges() {
        let range = |start: &str, end: &str| KeyRange { start: start.into(), end: end.into() };
        assert!(range("b", "b").is_empty() && range("c", "b").is_empty() && !range("b", "c").is_empty());
        assert!(range("b", "d").contains(b"b") && range("b", "d").contains(b"cc"));
        assert!(!range("b", "d").contains(b"d") && !range("b", "d").contains(b"a"));
    }
}
