//! The exports: types converted at the boundary, failures logged, a store for no tenant but the one granted.

use scimwell_adapter::bindings::exports::scimwell::provider::{authenticator, policy, settings, storage};
use scimwell_adapter::url::{Url, base_url};
use scimwell_adapter::{callout, grant, tokens};
use scimwell_storage_check::{self as store, Outcome, StoreError};

use crate::settings::{Variables, variable};
use crate::{postgres, sqlite};

/// Spin keeps a component's standard error in its log.
fn log(what: &str, why: &str) {
    eprintln!("scimwell: {what}: {why}");
}

struct Adapter;

impl authenticator::Guest for Adapter {
    fn authenticate(
        credentials: authenticator::Credentials,
    ) -> Result<authenticator::Principal, authenticator::AuthError> {
        grant::decided(|| tokens::authenticate(&Variables, &credentials), |why| log("nobody can be let in", why))
    }
}

impl policy::Guest for Adapter {
    fn review(change: policy::Change) -> Result<(), policy::Refusal> {
        let remedy = |url: &Url| format!("; does `allowed_outbound_hosts` name {}?", url.origin());
        callout::review(&Variables, &change, remedy, |why| log("the policy can't be asked", why))
    }
}

impl settings::Guest for Adapter {
    fn base_url() -> Option<String> {
        base_url(&Variables, log)
    }
}

impl storage::Guest for Adapter {
    type Store = TenantStore;

    fn open(tenant: String) -> Result<storage::Store, storage::StoreError> {
        let grant = grant::of(&tenant).ok_or(storage::StoreError::AccessDenied)?;
        let backend = Backend::configured().map_err(|why| {
            log("storage", &why);
            storage::StoreError::Other(why)
        })?;
        Ok(storage::Store::new(TenantStore { tenant, grant, backend }))
    }
}

/// Where everything is kept.
enum Backend {
    Sqlite,
    /// With the database's URL.
    Postgres(String),
}

impl Backend {
    /// What the variable `storage` chooses.
    fn configured() -> Result<Self, String> {
        match variable("storage")?.as_str() {
            "" | "sqlite" => Ok(Self::Sqlite),
            "postgres" => match variable("postgres_url")? {
                url if url.is_empty() => {
                    Err("variable `postgres_url` is empty: postgres://user:password@host/database is expected".into())
                }
                url => Ok(Self::Postgres(url)),
            },
            unknown => Err(format!("variable `storage`: {unknown:?} is not known; use `sqlite` or `postgres`")),
        }
    }
}

impl Backend {
    fn get(&self, tenant: &str, keys: &[store::Key]) -> Result<Vec<Option<store::Value>>, StoreError> {
        match self {
            Self::Sqlite => sqlite::get(tenant, keys),
            Self::Postgres(url) => postgres::get(url, tenant, keys),
        }
    }

    fn scan(
        &self,
        tenant: &str,
        range: &store::KeyRange,
        options: store::ScanOptions,
    ) -> Result<Vec<store::Entry>, StoreError> {
        match self {
            Self::Sqlite => sqlite::scan(tenant, range, options),
            Self::Postgres(url) => postgres::scan(url, tenant, range, options),
        }
    }

    fn read(
        &self,
        tenant: &str,
        keys: &[store::Key],
        ranges: &[store::KeyRange],
        options: store::ScanOptions,
        follow: &[store::Key],
    ) -> Result<store::Reading, StoreError> {
        match self {
            Self::Sqlite => sqlite::read(tenant, keys, ranges, options, follow),
            Self::Postgres(url) => postgres::read(url, tenant, keys, ranges, options, follow),
        }
    }
}

/// A tenant's store, for as long as its grant is the latest.
struct TenantStore {
    tenant: String,
    grant: u64,
    backend: Backend,
}

impl TenantStore {
    fn granted<T>(&self, work: impl FnOnce(&str) -> Result<T, StoreError>) -> Result<T, storage::StoreError> {
        if !grant::is_latest(self.grant) {
            return Err(storage::StoreError::AccessDenied);
        }
        work(&self.tenant).map_err(|error| match error {
            StoreError::AccessDenied => storage::StoreError::AccessDenied,
            StoreError::TooLarge => storage::StoreError::TooLarge,
            StoreError::Unavailable(why) | StoreError::InUse(why) => {
                log("storage is out of reach", &why);
                storage::StoreError::Unavailable(why)
            }
            StoreError::Other(why) => {
                log("storage failed", &why);
                storage::StoreError::Other(why)
            }
        })
    }
}

impl storage::GuestStore for TenantStore {
    fn get(&self, keys: Vec<storage::Key>) -> Result<Vec<Option<storage::Value>>, storage::StoreError> {
        self.granted(|tenant| self.backend.get(tenant, &keys))
    }

    fn scan(
        &self,
        range: storage::KeyRange,
        options: storage::ScanOptions,
    ) -> Result<Vec<storage::Entry>, storage::StoreError> {
        let (range, options) = (range_of(range), options_of(options));
        Ok(entries_of(self.granted(|tenant| self.backend.scan(tenant, &range, options))?))
    }

    fn read(
        &self,
        keys: Vec<storage::Key>,
        ranges: Vec<storage::KeyRange>,
        options: storage::ScanOptions,
        follow: Vec<storage::Key>,
    ) -> Result<storage::Reading, storage::StoreError> {
        let ranges: Vec<_> = ranges.into_iter().map(range_of).collect();
        let store::Reading { values, entries, followed } =
            self.granted(|tenant| self.backend.read(tenant, &keys, &ranges, options_of(options), &follow))?;
        Ok(storage::Reading { values, entries: entries.into_iter().map(entries_of).collect(), followed })
    }

    fn count(&self, range: storage::KeyRange) -> Result<u64, storage::StoreError> {
        let range = range_of(range);
        self.granted(|tenant| match &self.backend {
            Backend::Sqlite => sqlite::count(tenant, &range),
            Backend::Postgres(url) => postgres::count(url, tenant, &range),
        })
    }

    fn commit(
        &self,
        checks: Vec<storage::Check>,
        mutations: Vec<storage::Mutation>,
    ) -> Result<storage::Outcome, storage::StoreError> {
        let checks: Vec<_> =
            checks.into_iter().map(|check| store::Check { key: check.key, expected: check.expected }).collect();
        let mutations: Vec<_> = mutations.into_iter().map(mutation).collect();
        let outcome = self.granted(|tenant| match &self.backend {
            Backend::Sqlite => sqlite::commit(tenant, &checks, &mutations),
            Backend::Postgres(url) => postgres::commit(url, tenant, &checks, &mutations),
        })?;
        match outcome {
            Outcome::Committed => Ok(storage::Outcome::Committed),
            Outcome::Conflict => Ok(storage::Outcome::Conflict),
        }
    }
}

fn entries_of(entries: Vec<store::Entry>) -> Vec<storage::Entry> {
    entries.into_iter().map(|entry| storage::Entry { key: entry.key, value: entry.value }).collect()
}

fn options_of(options: storage::ScanOptions) -> store::ScanOptions {
    let storage::ScanOptions { reverse, keys_only, skip, limit } = options;
    store::ScanOptions { reverse, keys_only, skip, limit }
}

fn range_of(range: storage::KeyRange) -> store::KeyRange {
    store::KeyRange { start: range.start, end: range.end }
}

fn mutation(mutation: storage::Mutation) -> store::Mutation {
    match mutation {
        storage::Mutation::Put(entry) => store::Mutation::Put(entry.key, entry.value),
        storage::Mutation::Delete(key) => store::Mutation::Delete(key),
        storage::Mutation::DeleteRange(range) => store::Mutation::DeleteRange(range_of(range)),
        storage::Mutation::Add(increment) => store::Mutation::Add(increment.key, increment.by),
        storage::Mutation::Append(record) => store::Mutation::Append(record.prefix, record.value),
    }
}

mod exported {
    #![allow(unreachable_pub, reason = "generated from wit/")]
    use super::Adapter;

    scimwell_adapter::bindings::export!(Adapter with_types_in scimwell_adapter::bindings);
}
