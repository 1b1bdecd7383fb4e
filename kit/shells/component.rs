//! World `scimwell:provider/storage-checker`: the cases, on the storage that an embedder imports.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use scimwell_storage_check::{
    Case, Check, Ended, Entry, Key, KeyRange, Mutation, Outcome, Reading, ScanOptions, StoreError, Subject, Value,
    Verdict, conclude, prepare, run, take_part,
};

// Nothing here prints, and an embedder of a storage should not have to bring wasi:cli.
#[path = "../../guest/src/component/libc.rs"]
mod libc;

mod bindings {
    #![allow(missing_docs, clippy::pedantic, reason = "generated from wit/, where everything is documented")]
    wit_bindgen::generate!({
        path: "../wit",
        world: "scimwell:provider/storage-checker",
        export_macro_name: "export",
    });
}

mod grants;

use bindings::exports::scimwell::provider::storage_check::{self, StorageCase};
use bindings::scimwell::provider::{authenticator, storage};

struct Component;

impl storage_check::Guest for Component {
    fn cases() -> Vec<StorageCase> {
        let grants = StorageCase { name: grants::NAME.to_owned(), clause: grants::CLAUSE.to_owned(), race: false };
        let cases = Case::ALL.iter().map(|case| StorageCase {
            name: case.name().to_owned(),
            clause: case.clause().to_owned(),
            race: case.is_race(),
        });
        std::iter::once(grants).chain(cases).collect()
    }

    fn run(name: String) -> storage_check::Verdict {
        if name == grants::NAME {
            return told(grants::run());
        }
        on(&name, |case| ready(run(&Imported, case)))
    }

    fn prepare(name: String) -> storage_check::Verdict {
        on_race(&name, |case| ready(prepare(&Imported, case)))
    }

    fn take_part(name: String, part: u32, parts: u32) -> storage_check::Verdict {
        if parts < 2 || part >= parts {
            return storage_check::Verdict::Failed(format!(
                "part {part} of {parts}: a race has 2 parts or more, and the first of them is number 0"
            ));
        }
        on_race(&name, |case| ready(take_part(&Imported, case, part, parts)))
    }

    fn conclude(name: String, parts: u32) -> storage_check::Verdict {
        on_race(&name, |case| ready(conclude(&Imported, case, parts)))
    }
}

fn on(name: &str, work: impl FnOnce(Case) -> Verdict) -> storage_check::Verdict {
    match Case::named(name) {
        Some(case) => told(work(case)),
        None => storage_check::Verdict::Failed(format!("there is no case {name:?}; `cases` lists them")),
    }
}

fn on_race(name: &str, work: impl FnOnce(Case) -> Verdict) -> storage_check::Verdict {
    match Case::named(name) {
        Some(case) if !case.is_race() => {
            storage_check::Verdict::Failed(format!("case {name:?} has no parts; `run` runs it"))
        }
        _ => on(name, work),
    }
}

fn told(verdict: Verdict) -> storage_check::Verdict {
    match verdict {
        Ok(()) => storage_check::Verdict::Passed,
        Err(Ended::Failed(why)) => storage_check::Verdict::Failed(why),
        Err(Ended::Skipped(why)) => storage_check::Verdict::Skipped(why),
    }
}

/// What a future gives that never waits: every import of ours answers before it returns.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

/// The storage that the world imports.
#[derive(Clone, Copy)]
struct Imported;

/// The store that is open, and whose it is.
struct Open {
    wanted: String,
    tenant: String,
    store: storage::Store,
}

static OPEN: Mutex<Option<Open>> = Mutex::new(None);

impl Imported {
    /// Runs `call` on the tenant's store, under a new grant where the latest is another's.
    fn with<T>(
        tenant: &str,
        call: impl FnOnce(&storage::Store) -> Result<T, storage::StoreError>,
    ) -> Result<T, StoreError> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = open.as_ref().filter(|open| open.tenant == tenant) {
            return call(&open.store).map_err(error);
        }
        call(&grant(&mut open, tenant)?.store).map_err(error)
    }
}

/// Has the authenticator grant a tenant, and opens its store.
fn grant<'a>(open: &'a mut Option<Open>, wanted: &str) -> Result<&'a Open, StoreError> {
    *open = None;
    let principal = authenticator::authenticate(&credentials(Some(wanted))).map_err(|error| {
        StoreError::Other(format!(
            "`authenticate` refuses the hint {wanted:?} with {error:?}; the authenticator given to a check grants what \
             `tenant-hint` names"
        ))
    })?;
    let store = storage::open(&principal.tenant).map_err(error)?;
    Ok(open.insert(Open { wanted: wanted.to_owned(), tenant: principal.tenant, store }))
}

/// The tenant's name is its token too, for authenticators that know tokens only.
fn credentials(tenant: Option<&str>) -> authenticator::Credentials {
    authenticator::Credentials {
        authorization: tenant.map(|tenant| format!("Bearer {tenant}")),
        tenant_hint: tenant.map(str::to_owned),
        client_certificate_subject: None,
        remote_address: None,
    }
}

impl Subject for Imported {
    async fn grant(&self, wanted: &str) -> Result<String, StoreError> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = open.as_ref().filter(|open| open.wanted == wanted) {
            return Ok(open.tenant.clone());
        }
        Ok(grant(&mut open, wanted)?.tenant.clone())
    }

    async fn get(&self, tenant: &str, keys: &[Key]) -> Result<Vec<Option<Value>>, StoreError> {
        Self::with(tenant, |store| store.get(keys))
    }

    async fn scan(&self, tenant: &str, range: &KeyRange, options: ScanOptions) -> Result<Vec<Entry>, StoreError> {
        Self::with(tenant, |store| store.scan(&range_of(range.clone()), options_of(options))).map(entries_of)
    }

    async fn read(
        &self,
        tenant: &str,
        keys: &[Key],
        ranges: &[KeyRange],
        options: ScanOptions,
        follow: &[Key],
    ) -> Result<Reading, StoreError> {
        let ranges: Vec<_> = ranges.iter().cloned().map(range_of).collect();
        let reading = Self::with(tenant, |store| store.read(keys, &ranges, options_of(options), follow))?;
        let storage::Reading { values, entries, followed } = reading;
        Ok(Reading { values, entries: entries.into_iter().map(entries_of).collect(), followed })
    }

    async fn count(&self, tenant: &str, range: &KeyRange) -> Result<u64, StoreError> {
        Self::with(tenant, |store| store.count(&range_of(range.clone())))
    }

    async fn commit(&self, tenant: &str, checks: Vec<Check>, mutations: Vec<Mutation>) -> Result<Outcome, StoreError> {
        let checks: Vec<_> = checks.into_iter().map(|c| storage::Check { key: c.key, expected: c.expected }).collect();
        let mutations: Vec<_> = mutations.into_iter().map(mutation).collect();
        Ok(match Self::with(tenant, |store| store.commit(&checks, &mutations))? {
            storage::Outcome::Committed => Outcome::Committed,
            storage::Outcome::Conflict => Outcome::Conflict,
        })
    }

    async fn pause(&self) {}
}

fn options_of(options: ScanOptions) -> storage::ScanOptions {
    let ScanOptions { reverse, keys_only, skip, limit } = options;
    storage::ScanOptions { reverse, keys_only, skip, limit }
}

fn entries_of(entries: Vec<storage::Entry>) -> Vec<Entry> {
    entries.into_iter().map(|entry| Entry { key: entry.key, value: entry.value }).collect()
}

fn range_of(range: KeyRange) -> storage::KeyRange {
    storage::KeyRange { start: range.start, end: range.end }
}

fn mutation(mutation: Mutation) -> storage::Mutation {
    match mutation {
        Mutation::Put(key, value) => storage::Mutation::Put(storage::Entry { key, value }),
        Mutation::Delete(key) => storage::Mutation::Delete(key),
        Mutation::DeleteRange(range) => storage::Mutation::DeleteRange(range_of(range)),
        Mutation::Add(key, by) => storage::Mutation::Add(storage::Increment { key, by }),
        Mutation::Append(prefix, value) => storage::Mutation::Append(storage::LogEntry { prefix, value }),
    }
}

fn error(error: storage::StoreError) -> StoreError {
    match error {
        storage::StoreError::AccessDenied => StoreError::AccessDenied,
        storage::StoreError::TooLarge => StoreError::TooLarge,
        storage::StoreError::Unavailable(why) => StoreError::Unavailable(why),
        storage::StoreError::Other(why) => StoreError::Other(why),
    }
}

bindings::export!(Component with_types_in bindings);
