//! The adapter's exported `storage` as a [`Storage`], for the contract suite: each call in an instance of its own, which
//! authenticates first, as a request would.

use async_trait::async_trait;
use scimwell::storage::{
    Check, Entry, Key, KeyRange, Mutation, Outcome, Reading, ScanOptions, Storage, StoreError, Value,
};
use serde_json::json;
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use super::application::{Application, State};
use super::bindings::adapter::exports::scimwell::provider::{authenticator, storage};
use super::bindings::adapter::{Adapter, AdapterPre};

/// The token that every tenant gets.
const TOKEN: &str = "bridge";
/// What stands for `""`, the space that a host of ours keeps to itself: no principal is ever granted that.
const HOST_SPACE: &str = "the-host-s-own";

/// The adapter alone, without the guest.
pub struct Bridge {
    application: Application,
}

/// An instance that has opened a tenant's store.
struct Opened {
    store: Store<State>,
    adapter: Adapter,
    handle: ResourceAny,
}

impl Bridge {
    /// Over the adapter component.
    pub fn new(application: Application) -> Self {
        Self { application }
    }

    async fn open(&self, tenant: &str) -> Result<Opened, StoreError> {
        let tenant = if tenant.is_empty() { HOST_SPACE } else { tenant };
        let tokens = json!([{"tenant": tenant, "token": TOKEN}]).to_string();
        let mut store = self.application.store(&[("tokens", tokens)]);
        let adapter = AdapterPre::new(self.application.component().clone()).map_err(trapped)?;
        let adapter = adapter.instantiate_async(&mut store).await.map_err(trapped)?;
        let credentials = authenticator::Credentials {
            authorization: Some(format!("Bearer {TOKEN}")),
            tenant_hint: None,
            client_certificate_subject: None,
            remote_address: None,
        };
        let authenticator = adapter.scimwell_provider_authenticator();
        let authenticated = authenticator.call_authenticate(&mut store, &credentials).await.map_err(trapped)?;
        authenticated.map_err(|error| StoreError::Other(format!("not authenticated: {error:?}")))?;
        let opened = adapter.scimwell_provider_storage().call_open(&mut store, tenant).await;
        let handle = opened.map_err(trapped)?.map_err(store_error)?;
        Ok(Opened { store, adapter, handle })
    }
}

#[async_trait]
impl Storage for Bridge {
    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        let Opened { mut store, adapter, handle } = self.open(tenant).await?;
        let guest = adapter.scimwell_provider_storage().store();
        guest.call_get(&mut store, handle, keys).await.map_err(trapped)?.map_err(store_error)
    }

    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        let Opened { mut store, adapter, handle } = self.open(tenant).await?;
        let guest = adapter.scimwell_provider_storage().store();
        let found = guest.call_scan(&mut store, handle, &range_of(range), options_of(options)).await;
        Ok(entries_of(found.map_err(trapped)?.map_err(store_error)?))
    }

    async fn read(
        &self,
        tenant: &str,
        keys: &[Key],
        ranges: &[KeyRange],
        options: ScanOptions,
        follow: &[Key],
    ) -> Result<Reading, StoreError> {
        let Opened { mut store, adapter, handle } = self.open(tenant).await?;
        let guest = adapter.scimwell_provider_storage().store();
        let ranges: Vec<_> = ranges.iter().map(range_of).collect();
        let found = guest.call_read(&mut store, handle, keys, &ranges, options_of(options), follow).await;
        let storage::Reading { values, entries, followed } = found.map_err(trapped)?.map_err(store_error)?;
        Ok(Reading { values, entries: entries.into_iter().map(entries_of).collect(), followed })
    }

    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
        let Opened { mut store, adapter, handle } = self.open(tenant).await?;
        let guest = adapter.scimwell_provider_storage().store();
        guest.call_count(&mut store, handle, &range_of(range)).await.map_err(trapped)?.map_err(store_error)
    }

    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
        let Opened { mut store, adapter, handle } = self.open(tenant).await?;
        let guest = adapter.scimwell_provider_storage().store();
        let checks: Vec<_> =
            checks.into_iter().map(|check| storage::Check { key: check.key, expected: check.expected }).collect();
        let mutations: Vec<_> = mutations.into_iter().map(mutation).collect();
        let committed = guest.call_commit(&mut store, handle, &checks, &mutations).await;
        match committed.map_err(trapped)?.map_err(store_error)? {
            storage::Outcome::Committed => Ok(Outcome::Committed),
            storage::Outcome::Conflict => Ok(Outcome::Conflict),
        }
    }
}

fn entries_of(entries: Vec<storage::Entry>) -> Vec<Entry> {
    entries.into_iter().map(|entry| Entry { key: entry.key, value: entry.value }).collect()
}

fn options_of(options: ScanOptions) -> storage::ScanOptions {
    let ScanOptions { reverse, keys_only, skip, limit } = options;
    storage::ScanOptions { reverse, keys_only, skip, limit }
}

fn range_of(range: &KeyRange) -> storage::KeyRange {
    storage::KeyRange { start: range.start.clone(), end: range.end.clone() }
}

fn mutation(mutation: Mutation) -> storage::Mutation {
    match mutation {
        Mutation::Put(key, value) => storage::Mutation::Put(storage::Entry { key, value }),
        Mutation::Delete(key) => storage::Mutation::Delete(key),
        Mutation::DeleteRange(range) => storage::Mutation::DeleteRange(range_of(&range)),
        Mutation::Add(key, by) => storage::Mutation::Add(storage::Increment { key, by }),
        Mutation::Append(prefix, value) => storage::Mutation::Append(storage::LogEntry { prefix, value }),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "what map_err passes")]
fn trapped(error: wasmtime::Error) -> StoreError {
    StoreError::Other(format!("the adapter failed: {error:?}"))
}

fn store_error(error: storage::StoreError) -> StoreError {
    match error {
        storage::StoreError::AccessDenied => StoreError::AccessDenied,
        storage::StoreError::TooLarge => StoreError::TooLarge,
        storage::StoreError::Unavailable(why) => StoreError::Unavailable(why),
        storage::StoreError::Other(why) => StoreError::Other(why),
    }
}
