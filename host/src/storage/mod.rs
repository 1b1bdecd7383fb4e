//! Storage: the trait that every backend implements, and the backends.
//!
//! The types mirror `wit/storage.wit`; the contract is documented there and tested by `storage::contract`.

use async_trait::async_trait;

/// An opaque key; at most [`MAX_KEY`] bytes.
pub type Key = Vec<u8>;
/// An opaque value; at most [`MAX_VALUE`] bytes.
pub type Value = Vec<u8>;

/// Bytes of a key at most.
pub const MAX_KEY: usize = 1024;
/// Bytes of a value at most.
pub const MAX_VALUE: usize = 1024 * 1024;

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
    /// Anything else; for logs only.
    Other(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AccessDenied => f.write_str("access denied"),
            Self::TooLarge => f.write_str("key, value or commit too large"),
            Self::Unavailable(why) => write!(f, "store unavailable: {why}"),
            Self::Other(why) => write!(f, "store failed: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// An ordered, transactional key-value store, one key space a tenant.
///
/// Every read sees every commit that returned before it started. Tenants never see each other's keys. The tenant `""` is
/// the host's own key space (tokens, tenants); no principal is ever granted it.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// The values of `keys`, in that order, from one snapshot.
    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError>;
    /// The entries of a range; fewer than `limit` means that the range ended.
    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError>;
    /// How many keys a range holds.
    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError>;
    /// Apply all `mutations` if every check holds; all or nothing, durable when it returns.
    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError>;
}
