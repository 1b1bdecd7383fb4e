//! Storage: the trait that every backend implements, and the backends.
//!
//! The types mirror `wit/storage.wit`; the contract is documented there and tested by `storage::contract`.

use async_trait::async_trait;

pub mod backup;
pub mod contract;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redb")]
pub mod redb;

pub use self::memory::Memory;
#[cfg(feature = "postgres")]
pub use self::postgres::Postgres;
#[cfg(feature = "redb")]
pub use self::redb::Redb;

pub use scimwell_storage_check::{
    Check, Entry, Key, KeyRange, MAX_COMMIT, MAX_KEY, MAX_TENANT, MAX_VALUE, Mutation, Outcome, Reading, ScanOptions,
    StoreError, Value,
};

/// Bytes of the sequence number that [`Mutation::Append`] puts behind its prefix.
const SEQUENCE: usize = size_of::<u64>();

/// An ordered, transactional key-value store, one key space a tenant.
///
/// Every read sees every commit that returned before it started. Tenants never see each other's keys. The tenant `""` is
/// the host's own key space (tokens, tenants); no principal is ever granted it.
///
/// ```
/// use scimwell::storage::{Check, KeyRange, Memory, Mutation, Outcome, ScanOptions, Storage};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let store = Memory::new();
/// let put = |value: &str| vec![Mutation::Put(b"a".to_vec(), value.into()), Mutation::Append(b"log".to_vec(), value.into())];
/// let is_absent = Check { key: b"a".to_vec(), expected: None };
/// assert_eq!(store.commit("acme", vec![is_absent.clone()], put("1")).await?, Outcome::Committed);
/// // All or nothing: the check fails, so nothing is appended either.
/// assert_eq!(store.commit("acme", vec![is_absent], put("2")).await?, Outcome::Conflict);
///
/// let all = KeyRange { start: vec![], end: vec![0xff] };
/// let entries = store.scan("acme", &all, ScanOptions { limit: 10, ..ScanOptions::default() }).await?;
/// assert_eq!(entries[1].key, [b"log".as_slice(), &1_u64.to_be_bytes()].concat());
/// assert_eq!(store.count("other", &all).await?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// The values of `keys`, in that order, from one snapshot.
    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError>;
    /// The entries of a range; fewer than `limit` means that the range ended.
    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError>;
    /// [`get`](Self::get) of `keys`, and [`scan`](Self::scan) of each of the `ranges` with the same options, in one call;
    /// not necessarily of one moment. Worth overriding where a call is a trip over a network.
    async fn read(
        &self,
        tenant: &str,
        keys: &[Key],
        ranges: &[KeyRange],
        options: ScanOptions,
    ) -> Result<Reading, StoreError> {
        let values = if keys.is_empty() { Vec::new() } else { self.get(tenant, keys).await? };
        let mut entries = Vec::with_capacity(ranges.len());
        for range in ranges {
            entries.push(self.scan(tenant, range, options).await?);
        }
        Ok(Reading { values, entries })
    }
    /// How many keys a range holds.
    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError>;
    /// Apply all `mutations` if every check holds; all or nothing, durable when it returns.
    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError>;
    /// Everything that all tenants have at one moment, for a backup, while writes go on. `None` where the backend's own
    /// tools are for that, or there is nothing that lasts.
    fn snapshot(&self) -> Option<Result<backup::Snapshot, StoreError>> {
        None
    }
    /// Whether a call is a trip over a network, so that calls had better be under way at once than one after the other.
    fn is_remote(&self) -> bool {
        false
    }
}

/// Refuses a tenant name that a backend could not tell from another's; every call of a [`Storage`] starts with it.
pub fn check_tenant(tenant: &str) -> Result<(), StoreError> {
    if tenant.len() > MAX_TENANT || tenant.contains('\0') {
        let why = format!("tenant name {tenant:?}: at most {MAX_TENANT} bytes, none of them NUL, are allowed");
        return Err(StoreError::Other(why));
    }
    Ok(())
}

/// Refuses what exceeds the limits before any of it is applied; returns the commit's size in bytes. Every
/// [`commit`](Storage::commit) starts with it.
pub fn check_sizes(checks: &[Check], mutations: &[Mutation]) -> Result<usize, StoreError> {
    let mut total = 0_usize;
    let mut tally = |key: usize, value: usize| {
        if key > MAX_KEY || value > MAX_VALUE {
            return Err(StoreError::TooLarge);
        }
        total += key + value;
        if total > MAX_COMMIT { Err(StoreError::TooLarge) } else { Ok(()) }
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
    Ok(total)
}

/// What a counter holds after [`Mutation::Add`] of `by`, given what is stored at its key.
pub fn added(key: &[u8], before: Option<&[u8]>, by: i64) -> Result<[u8; 8], StoreError> {
    let before = match before {
        None => 0,
        Some(bytes) => i64::from_le_bytes(bytes.try_into().map_err(|_| not_a_counter(key, bytes.len()))?),
    };
    Ok(before.wrapping_add(by).to_le_bytes())
}

fn not_a_counter(key: &[u8], len: usize) -> StoreError {
    StoreError::Other(format!(
        "add to key \"{}\": its value is no counter of 8 bytes but has {len}",
        key.escape_ascii()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mutation: &Mutation, expect: Option<usize>) {
        assert_eq!(check_sizes(&[], std::slice::from_ref(mutation)), expect.ok_or(StoreError::TooLarge));
    }

    #[test]
    fn sizes() {
        let full = vec![0; MAX_KEY];
        check(&Mutation::Put(full.clone(), vec![0; MAX_VALUE]), Some(MAX_KEY + MAX_VALUE));
        check(&Mutation::Put(full.clone(), vec![0; MAX_VALUE + 1]), None);
        check(&Mutation::Put(vec![0; MAX_KEY + 1], vec![]), None);
        check(&Mutation::Delete(vec![0; MAX_KEY + 1]), None);
        check(&Mutation::Add(vec![0; MAX_KEY + 1], 1), None);
        check(&Mutation::Append(vec![0; MAX_KEY - 8], vec![]), Some(MAX_KEY));
        check(&Mutation::Append(vec![0; MAX_KEY - 7], vec![]), None);
        check(&Mutation::DeleteRange(KeyRange { start: full, end: vec![0; MAX_KEY + 1] }), Some(2 * MAX_KEY + 1));
    }

    #[test]
    fn commit_size() {
        let puts = |n| vec![Mutation::Put(vec![], vec![0; MAX_VALUE]); n];
        assert_eq!(check_sizes(&[], &puts(MAX_COMMIT / MAX_VALUE)), Ok(MAX_COMMIT));
        assert_eq!(check_sizes(&[], &puts(MAX_COMMIT / MAX_VALUE + 1)), Err(StoreError::TooLarge));
    }

    #[test]
    fn tenants() {
        assert_eq!(check_tenant(""), Ok(()));
        assert_eq!(check_tenant(&"t".repeat(MAX_TENANT)), Ok(()));
        assert!(check_tenant(&"t".repeat(MAX_TENANT + 1)).is_err());
        assert!(check_tenant("a\0b").is_err());
    }

    #[test]
    fn counters() {
        assert_eq!(added(b"k", None, -2), Ok((-2_i64).to_le_bytes()));
        assert_eq!(added(b"k", Some(&i64::MAX.to_le_bytes()), 1), Ok(i64::MIN.to_le_bytes()));
        let expect = "add to key \"k\": its value is no counter of 8 bytes but has 3";
        assert_eq!(added(b"k", Some(b"abc"), 1), Err(StoreError::Other(expect.to_owned())));
    }
}
