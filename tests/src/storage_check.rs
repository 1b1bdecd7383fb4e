//! Runs `scimwell-storage-check.wasm` as an embedder would, on any storage: wasmtime, the component's imports, and an
//! authenticator that grants what the hint names.

use std::sync::Arc;

use scimwell::storage::{Check, Entry, KeyRange, Mutation, Outcome, Reading, ScanOptions, Storage, StoreError};
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Config, Engine, Store};

use crate::server::workspace;

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated code")]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "scimwell:provider/storage-checker",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "scimwell:provider/storage.store": super::Opened },
    });
}

pub use bindings::exports::scimwell::provider::storage_check::{StorageCase, Verdict};
use bindings::scimwell::provider::{authenticator, storage};
use bindings::{StorageChecker, StorageCheckerPre};

/// The component, compiled once.
pub struct Checker {
    engine: Engine,
    component: StorageCheckerPre<State>,
}

/// One instance's state: an embedder's side of the imports.
pub struct State {
    storage: Arc<dyn Storage>,
    embedder: Embedder,
    granted: Option<String>,
    generation: u64,
    table: ResourceTable,
}

/// How the imports are brought.
#[derive(Clone, Debug)]
pub struct Embedder {
    /// The only tenant that there is, for an application of one customer.
    pub only: Option<String>,
    /// Whether a store is open only to whom it was granted.
    pub guards: bool,
}

impl Default for Embedder {
    fn default() -> Self {
        Self { only: None, guards: true }
    }
}

/// A store that is open.
pub struct Opened {
    tenant: String,
    generation: u64,
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

impl Checker {
    /// Compiles what `cargo xtask build` has left.
    pub fn new() -> Self {
        let path = workspace().join("target/components/scimwell-storage-check.wasm");
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask build` first", path.display()));
        let engine = Engine::new(&Config::new()).expect("an engine starts");
        let component = Component::from_binary(&engine, &bytes).expect("the component compiles");
        let mut linker = Linker::new(&engine);
        storage::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state).expect("storage links");
        authenticator::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state).expect("it links");
        let component = linker.instantiate_pre(&component).and_then(StorageCheckerPre::new);
        Self { engine, component: component.expect("its imports are there") }
    }

    /// What the component offers.
    pub async fn cases(&self) -> Vec<StorageCase> {
        let (mut store, instance) =
            self.instance(Arc::new(scimwell::storage::Memory::new()), Embedder::default()).await;
        let cases = instance.scimwell_provider_storage_check().call_cases(&mut store).await;
        cases.expect("the cases are listed")
    }

    /// Runs one case in an instance of its own. A trap is a failure.
    pub async fn run(&self, storage: &Arc<dyn Storage>, embedder: Embedder, case: &str) -> Verdict {
        let (mut store, instance) = self.instance(storage.clone(), embedder).await;
        let verdict = instance.scimwell_provider_storage_check().call_run(&mut store, case).await;
        verdict.unwrap_or_else(|trap| Verdict::Failed(format!("trap: {trap:?}")))
    }

    /// Runs the parts of a race at once, each in an instance of its own.
    pub async fn race(self: &Arc<Self>, storage: &Arc<dyn Storage>, case: &str, parts: u32) -> Verdict {
        let (mut store, instance) = self.instance(storage.clone(), Embedder::default()).await;
        let check = instance.scimwell_provider_storage_check();
        match check.call_prepare(&mut store, case).await.expect("it does not trap") {
            Verdict::Passed => {}
            ended => return ended,
        }
        let mut tasks = tokio::task::JoinSet::new();
        for part in 0..parts {
            let (checker, storage, case) = (self.clone(), storage.clone(), case.to_owned());
            tasks.spawn(async move {
                let (mut store, instance) = checker.instance(storage, Embedder::default()).await;
                let check = instance.scimwell_provider_storage_check();
                check.call_take_part(&mut store, &case, part, parts).await.expect("it does not trap")
            });
        }
        // All of them are waited for, or those that are left would go on below the next case.
        let ended = tasks.join_all().await;
        match ended.into_iter().find(|verdict| !matches!(verdict, Verdict::Passed)) {
            Some(ended) => ended,
            None => check.call_conclude(&mut store, case, parts).await.expect("it does not trap"),
        }
    }

    /// The names of the cases that the storage fails, and why, run by one caller.
    pub async fn failures(&self, storage: &Arc<dyn Storage>) -> Vec<(String, String)> {
        let mut failures = Vec::new();
        for case in self.cases().await {
            match self.run(storage, Embedder::default(), &case.name).await {
                Verdict::Passed => {}
                Verdict::Failed(why) | Verdict::Skipped(why) => failures.push((case.name, why)),
            }
        }
        failures
    }

    async fn instance(&self, storage: Arc<dyn Storage>, embedder: Embedder) -> (Store<State>, StorageChecker) {
        let table = ResourceTable::new();
        let mut store = Store::new(&self.engine, State { storage, embedder, granted: None, generation: 0, table });
        let instance = self.component.instantiate_async(&mut store).await.expect("it can be instantiated");
        (store, instance)
    }
}

impl authenticator::Host for State {
    async fn authenticate(
        &mut self,
        credentials: authenticator::Credentials,
    ) -> wasmtime::Result<Result<authenticator::Principal, authenticator::AuthError>> {
        self.generation += 1;
        self.granted = credentials.tenant_hint.map(|hint| self.embedder.only.clone().unwrap_or(hint));
        let principal = |tenant: &String| authenticator::Principal {
            tenant: tenant.clone(),
            subject: "storage-check".to_owned(),
            permissions: authenticator::Permissions::all(),
        };
        Ok(self.granted.as_ref().map(principal).ok_or(authenticator::AuthError::Unauthenticated))
    }
}

impl State {
    fn tenant(&self, handle: &Resource<Opened>) -> wasmtime::Result<Result<&str, storage::StoreError>> {
        let opened = self.table.get(handle)?;
        let is_granted = opened.generation == self.generation && self.granted.as_ref() == Some(&opened.tenant);
        Ok(if is_granted || !self.embedder.guards {
            Ok(&opened.tenant)
        } else {
            Err(storage::StoreError::AccessDenied)
        })
    }
}

impl storage::Host for State {
    async fn open(&mut self, tenant: String) -> wasmtime::Result<Result<Resource<Opened>, storage::StoreError>> {
        if self.granted.as_ref() != Some(&tenant) && self.embedder.guards {
            return Ok(Err(storage::StoreError::AccessDenied));
        }
        let generation = self.generation;
        Ok(Ok(self.table.push(Opened { tenant, generation })?))
    }
}

impl storage::HostStore for State {
    async fn get(
        &mut self,
        handle: Resource<Opened>,
        keys: Vec<Vec<u8>>,
    ) -> wasmtime::Result<Result<Vec<Option<Vec<u8>>>, storage::StoreError>> {
        match self.tenant(&handle)? {
            Ok(tenant) => Ok(self.storage.get(tenant, &keys).await.map_err(error)),
            Err(denied) => Ok(Err(denied)),
        }
    }

    async fn scan(
        &mut self,
        handle: Resource<Opened>,
        range: storage::KeyRange,
        options: storage::ScanOptions,
    ) -> wasmtime::Result<Result<Vec<storage::Entry>, storage::StoreError>> {
        let options = options_of(options);
        let found = match self.tenant(&handle)? {
            Ok(tenant) => self.storage.scan(tenant, &range_of(range), options).await,
            Err(denied) => return Ok(Err(denied)),
        };
        Ok(found.map(entries_of).map_err(error))
    }

    async fn read(
        &mut self,
        handle: Resource<Opened>,
        keys: Vec<Vec<u8>>,
        ranges: Vec<storage::KeyRange>,
        options: storage::ScanOptions,
        follow: Vec<Vec<u8>>,
    ) -> wasmtime::Result<Result<storage::Reading, storage::StoreError>> {
        let ranges: Vec<KeyRange> = ranges.into_iter().map(range_of).collect();
        let found = match self.tenant(&handle)? {
            Ok(tenant) => self.storage.read(tenant, &keys, &ranges, options_of(options), &follow).await,
            Err(denied) => return Ok(Err(denied)),
        };
        let reading = |found: Reading| storage::Reading {
            values: found.values,
            entries: found.entries.into_iter().map(entries_of).collect(),
            followed: found.followed,
        };
        Ok(found.map(reading).map_err(error))
    }

    async fn count(
        &mut self,
        handle: Resource<Opened>,
        range: storage::KeyRange,
    ) -> wasmtime::Result<Result<u64, storage::StoreError>> {
        match self.tenant(&handle)? {
            Ok(tenant) => Ok(self.storage.count(tenant, &range_of(range)).await.map_err(error)),
            Err(denied) => Ok(Err(denied)),
        }
    }

    async fn commit(
        &mut self,
        handle: Resource<Opened>,
        checks: Vec<storage::Check>,
        mutations: Vec<storage::Mutation>,
    ) -> wasmtime::Result<Result<storage::Outcome, storage::StoreError>> {
        let checks = checks.into_iter().map(|check| Check { key: check.key, expected: check.expected }).collect();
        let mutations = mutations.into_iter().map(mutation).collect();
        let committed = match self.tenant(&handle)? {
            Ok(tenant) => self.storage.commit(tenant, checks, mutations).await,
            Err(denied) => return Ok(Err(denied)),
        };
        Ok(match committed {
            Ok(Outcome::Committed) => Ok(storage::Outcome::Committed),
            Ok(Outcome::Conflict) => Ok(storage::Outcome::Conflict),
            Err(failed) => Err(error(failed)),
        })
    }

    async fn drop(&mut self, handle: Resource<Opened>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

fn options_of(options: storage::ScanOptions) -> ScanOptions {
    let storage::ScanOptions { reverse, keys_only, skip, limit } = options;
    ScanOptions { reverse, keys_only, skip, limit }
}

fn entries_of(entries: Vec<Entry>) -> Vec<storage::Entry> {
    entries.into_iter().map(|entry| storage::Entry { key: entry.key, value: entry.value }).collect()
}

fn range_of(range: storage::KeyRange) -> KeyRange {
    KeyRange { start: range.start, end: range.end }
}

fn mutation(mutation: storage::Mutation) -> Mutation {
    match mutation {
        storage::Mutation::Put(entry) => Mutation::Put(entry.key, entry.value),
        storage::Mutation::Delete(key) => Mutation::Delete(key),
        storage::Mutation::DeleteRange(range) => Mutation::DeleteRange(range_of(range)),
        storage::Mutation::Add(increment) => Mutation::Add(increment.key, increment.by),
        storage::Mutation::Append(entry) => Mutation::Append(entry.prefix, entry.value),
    }
}

fn error(error: StoreError) -> storage::StoreError {
    match error {
        StoreError::AccessDenied => storage::StoreError::AccessDenied,
        StoreError::TooLarge => storage::StoreError::TooLarge,
        StoreError::Unavailable(why) | StoreError::InUse(why) => storage::StoreError::Unavailable(why),
        StoreError::Other(why) => storage::StoreError::Other(why),
    }
}
