//! What a storage is asked and what it answers, as `wit/storage.wit` has it.

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
/// Bytes of a tenant's name at most. A name holds no NUL, so that a backend may use it to end a name.
pub const MAX_TENANT: usize = 64;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// What one reading of keys and ranges found.
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
    /// Add to a counter: 8 bytes, little-endian, two's complement, wrapping; an absent key counts as 0.
    Add(Key, i64),
    /// Store the value under the prefix followed by the store's next sequence number (8 bytes, big-endian), greater than
    /// that of every append committed before, in commit order.
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

/// The store itself failed. A lost race is [`Outcome::Conflict`], not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The instance may not use that tenant's store.
    AccessDenied,
    /// A key, value or commit exceeds what the store takes.
    TooLarge,
    /// Unreachable for now; whether a commit was applied is unknown.
    Unavailable(String),
    /// Another process has it open, and it serves one at a time. Met at opening only.
    InUse(String),
    /// Anything else; for logs only.
    Other(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AccessDenied => f.write_str("access denied"),
            Self::TooLarge => f.write_str("key, value or commit too large"),
            Self::Unavailable(why) => write!(f, "store unavailable: {why}"),
            Self::InUse(place) => write!(
                f,
                "{place}: another process has this database open; stop that one or use another data directory"
            ),
            Self::Other(why) => write!(f, "store failed: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}
