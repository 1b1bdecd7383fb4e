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

#[cfg(feature = "postgres")]
pub(crate) use scimwell_storage_check::SEQUENCE;
pub use scimwell_storage_check::{
    Check, Entry, Key, KeyRange, Leads, MAX_COMMIT, MAX_KEY, MAX_TENANT, MAX_VALUE, Mutation, Outcome, Reading,
    ScanOptions, StoreError, Value, added, check_sizes, check_tenant,
};

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
    /// [`get`](Self::get) of `keys`, [`scan`](Self::scan) of each of the `ranges` with the same options, and the values that
    /// the entries found [lead to](Leads) by each of the prefixes `follow`, in one call; not necessarily of one moment. Worth
    /// overriding where a call is a trip over a network.
    async fn read(
        &self,
        tenant: &str,
        keys: &[Key],
        ranges: &[KeyRange],
        options: ScanOptions,
        follow: &[Key],
    ) -> Result<Reading, StoreError> {
        let values = if keys.is_empty() { Vec::new() } else { self.get(tenant, keys).await? };
        let mut entries = Vec::with_capacity(ranges.len());
        for range in ranges {
            entries.push(self.scan(tenant, range, options).await?);
        }
        let leads = Leads::of(ranges, &entries, follow);
        let led_to = if leads.keys().is_empty() { Vec::new() } else { self.get(tenant, leads.keys()).await? };
        Ok(Reading { values, entries, followed: leads.followed(led_to) })
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
