//! One component instance's state, and the host's side of its imports.
//!
//! Architecture invariant: an instance serves one tenant in all its life, and reaches it only while it is granted, whatever
//! the guest asks for.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::ResourceLimiter;
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error as WasiHttpError, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::authenticator::{Authenticator, Credentials, Principal};
use crate::bindings::scimwell::provider::{authenticator as wit_auth, policy as wit_policy, storage as wit_storage};
use crate::bindings::service::scimwell::provider::settings;
use crate::changes::{Deliveries, Outstanding};
use crate::metrics::Metrics;
use crate::policy::{Change, Policy};
use crate::storage::{Check, KeyRange, MAX_TENANT, Mutation, Outcome, Reading, Storage};

use authentication::Authentication;
use convert::{entries_of, logged, refused};
use import::Calls;
pub(crate) use import::Panicked;

mod authentication;
mod convert;
mod import;

/// Bytes of a guest's standard output and error that are kept for the log.
const OUTPUT_KEPT: usize = 4096;
/// Entries that a scan returns at most, whatever the guest asks for.
const SCAN_LIMIT: u32 = 100_000;

/// What every instance imports.
pub(crate) struct Imports {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) metrics: Arc<Metrics>,
    /// Where the application wants to be told of changes.
    pub(crate) deliveries: Option<Arc<Deliveries>>,
}

/// The state of one instance, thrown away with it.
pub(crate) struct Instance {
    imports: Arc<Imports>,
    grant: Grant,
    authentication: Authentication,
    /// The only tenant that it serves, once it has served one.
    tenant: Option<String>,
    calls: Calls,
    table: ResourceTable,
    /// Made when the guest first uses wasi: most requests touch few of its interfaces.
    wasi: Option<WasiCtx>,
    http: WasiHttpCtx,
    http_hooks: NoOutgoing,
    /// What the service component makes URLs of.
    pub(crate) base_url: Option<String>,
    output: Output,
    pub(crate) memory: MemoryCap,
    /// The last commit of a change that the application is to be told of.
    pub(crate) outstanding: Option<Outstanding>,
}

/// What the latest `authenticate` granted. Handles carry the generation in which they were opened, so that those of an
/// earlier grant are worthless, even where the same tenant is granted again.
#[derive(Default)]
struct Grant {
    generation: u64,
    principal: Option<Principal>,
}

/// The instance was called for another principal than it may or did serve: for another tenant than in its life so far, or for
/// one whose grant was assumed and isn't what it was. A fresh instance can take the request, of which nothing was done yet but reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OtherPrincipal;

impl std::fmt::Display for OtherPrincipal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the instance serves another principal")
    }
}

impl std::error::Error for OtherPrincipal {}

/// An open store: what a guest's `store` handle stands for.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct StoreHandle {
    tenant: String,
    generation: u64,
}

impl Instance {
    pub(crate) fn new(imports: Arc<Imports>, memory_bytes: usize) -> Self {
        Self {
            authentication: Authentication::new(imports.authenticator.clone()),
            imports,
            grant: Grant::default(),
            tenant: None,
            calls: Calls::default(),
            table: ResourceTable::new(),
            wasi: None,
            http: WasiHttpCtx::new(),
            http_hooks: NoOutgoing,
            base_url: None,
            output: Output::default(),
            memory: MemoryCap { limit: memory_bytes, used: 0, exceeded: false },
            outstanding: None,
        }
    }

    /// Whom the instance serves, once it has authenticated somebody.
    pub(crate) fn principal(&self) -> Option<&Principal> {
        self.grant.principal.as_ref()
    }

    /// Takes the grant away until the next request of the same tenant; false where the instance must not serve another:
    /// it uses more memory than this, holds on to something, or wrote what belongs to this request's log.
    pub(crate) fn rest(&mut self, memory_bytes: usize) -> bool {
        self.grant = Grant { generation: self.grant.generation + 1, principal: None };
        self.tenant.is_some()
            && self.memory.used <= memory_bytes
            && self.table.is_empty()
            && self.output.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Waits until whom the request is granted to is no mere assumption: before it is answered.
    pub(crate) fn confirmed(&self) -> impl Future<Output = wasmtime::Result<()>> + Send {
        self.authentication.confirmed(&self.calls)
    }

    /// The import that has not answered yet.
    pub(crate) fn calling(&self) -> Option<&'static str> {
        self.calls.under_way()
    }

    /// What the guest wrote to its standard output and error.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&self.output.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The tenant that this handle may still use.
    fn tenant(&self, handle: &Resource<StoreHandle>) -> wasmtime::Result<Result<&str, wit_storage::StoreError>> {
        let handle = self.table.get(handle)?;
        if handle.generation != self.grant.generation {
            return Ok(Err(denied(&handle.tenant)));
        }
        Ok(Ok(&handle.tenant))
    }
}

/// Adds everything that either world may import. Neither a file system nor a socket is among it.
pub(crate) fn add_to_linker(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
    use wasmtime_wasi::cli::{WasiCli, WasiCliView};
    use wasmtime_wasi::p2::bindings::{cli, random};
    use wasmtime_wasi::random::{WasiRandom, WasiRandomView};

    wit_storage::add_to_linker::<_, HasSelf<_>>(linker, |instance| instance)?;
    wit_auth::add_to_linker::<_, HasSelf<_>>(linker, |instance| instance)?;
    wit_policy::add_to_linker::<_, HasSelf<_>>(linker, |instance| instance)?;
    settings::add_to_linker::<_, HasSelf<_>>(linker, |instance| instance)?;
    wasmtime_wasi_http::p2::add_to_linker_async(linker)?;
    // Rust's standard library imports these: hash maps the seed, and the rest though nothing uses it.
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, Instance::random)?;
    cli::environment::add_to_linker::<_, WasiCli>(linker, Instance::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, Instance::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, Instance::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, Instance::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, Instance::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, Instance::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, Instance::cli)
}

impl WasiView for Instance {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let output = &self.output;
        let ctx =
            self.wasi.get_or_insert_with(|| WasiCtx::builder().stdout(output.clone()).stderr(output.clone()).build());
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl WasiHttpView for Instance {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.http_hooks }
    }
}

/// The provider answers requests and makes none.
struct NoOutgoing;

impl WasiHttpHooks for NoOutgoing {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), WasiHttpError>> + Send>,
    ) -> Box<dyn Future<Output = OutgoingResult> + Send> {
        Box::new(std::future::ready(Err(WasiHttpError::HttpRequestDenied)))
    }
}

/// A response, and what goes on until its body is read.
type OutgoingResult =
    Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), WasiHttpError>> + Send>), WasiHttpError>;

impl wit_storage::Host for Instance {
    async fn open(
        &mut self,
        tenant: String,
    ) -> wasmtime::Result<Result<Resource<StoreHandle>, wit_storage::StoreError>> {
        match self.principal() {
            Some(principal) if principal.tenant == tenant => {
                let generation = self.grant.generation;
                Ok(Ok(self.table.push(StoreHandle { tenant, generation })?))
            }
            _ => Ok(Err(denied(&tenant))),
        }
    }
}

impl wit_storage::HostStore for Instance {
    async fn get(
        &mut self,
        handle: Resource<StoreHandle>,
        keys: Vec<Vec<u8>>,
    ) -> wasmtime::Result<Result<Vec<Option<Vec<u8>>>, wit_storage::StoreError>> {
        let tenant = match self.tenant(&handle)? {
            Ok(tenant) => tenant,
            Err(denied) => return Ok(Err(denied)),
        };
        let values =
            self.authentication.reading(&self.calls, "storage.get", || self.imports.storage.get(tenant, &keys)).await?;
        Ok(values.map_err(|error| logged("storage.get", tenant, &error)))
    }

    async fn scan(
        &mut self,
        handle: Resource<StoreHandle>,
        range: wit_storage::KeyRange,
        options: wit_storage::ScanOptions,
    ) -> wasmtime::Result<Result<Vec<wit_storage::Entry>, wit_storage::StoreError>> {
        let tenant = match self.tenant(&handle)? {
            Ok(tenant) => tenant,
            Err(denied) => return Ok(Err(denied)),
        };
        if options.limit > SCAN_LIMIT {
            return Ok(Err(wit_storage::StoreError::TooLarge));
        }
        let (range, options) = (range.into(), options.into());
        match self
            .authentication
            .reading(&self.calls, "storage.scan", || self.imports.storage.scan(tenant, &range, options))
            .await?
        {
            Ok(entries) => Ok(Ok(entries_of(entries))),
            Err(error) => Ok(Err(logged("storage.scan", tenant, &error))),
        }
    }

    async fn read(
        &mut self,
        handle: Resource<StoreHandle>,
        keys: Vec<Vec<u8>>,
        ranges: Vec<wit_storage::KeyRange>,
        options: wit_storage::ScanOptions,
        follow: Vec<Vec<u8>>,
    ) -> wasmtime::Result<Result<wit_storage::Reading, wit_storage::StoreError>> {
        let tenant = match self.tenant(&handle)? {
            Ok(tenant) => tenant,
            Err(denied) => return Ok(Err(denied)),
        };
        let each = ranges.len().saturating_mul(follow.len().saturating_add(1));
        let most = u64::from(options.limit).saturating_mul(each as u64);
        if most > u64::from(SCAN_LIMIT) {
            return Ok(Err(wit_storage::StoreError::TooLarge));
        }
        let ranges: Vec<KeyRange> = ranges.into_iter().map(KeyRange::from).collect();
        let options = options.into();
        match self
            .authentication
            .reading(&self.calls, "storage.read", || {
                self.imports.storage.read(tenant, &keys, &ranges, options, &follow)
            })
            .await?
        {
            Ok(Reading { values, entries, followed }) => Ok(Ok(wit_storage::Reading {
                values,
                entries: entries.into_iter().map(entries_of).collect(),
                followed,
            })),
            Err(error) => Ok(Err(logged("storage.read", tenant, &error))),
        }
    }

    async fn count(
        &mut self,
        handle: Resource<StoreHandle>,
        range: wit_storage::KeyRange,
    ) -> wasmtime::Result<Result<u64, wit_storage::StoreError>> {
        let tenant = match self.tenant(&handle)? {
            Ok(tenant) => tenant,
            Err(denied) => return Ok(Err(denied)),
        };
        let range = range.into();
        let counted = self
            .authentication
            .reading(&self.calls, "storage.count", || self.imports.storage.count(tenant, &range))
            .await?;
        Ok(counted.map_err(|error| logged("storage.count", tenant, &error)))
    }

    async fn commit(
        &mut self,
        handle: Resource<StoreHandle>,
        checks: Vec<wit_storage::Check>,
        mutations: Vec<wit_storage::Mutation>,
    ) -> wasmtime::Result<Result<wit_storage::Outcome, wit_storage::StoreError>> {
        let tenant = match self.tenant(&handle)? {
            Ok(tenant) => tenant,
            Err(denied) => return Ok(Err(denied)),
        };
        self.authentication.confirmed(&self.calls).await?;
        let checks = checks.into_iter().map(|check| Check { key: check.key, expected: check.expected }).collect();
        let mutations: Vec<Mutation> = mutations.into_iter().map(Mutation::from).collect();
        // Every change appends its record to the log, and nothing else appends.
        let deliveries =
            self.imports.deliveries.as_ref().filter(|_| mutations.iter().any(|m| matches!(m, Mutation::Append(..))));
        let commit = || async {
            match deliveries {
                Some(deliveries) => deliveries.commit(tenant, checks, mutations).await,
                None => (self.imports.storage.commit(tenant, checks, mutations).await, None),
            }
        };
        let (committed, outstanding) = self.calls.run("storage.commit", commit).await?;
        let committed = match committed {
            Ok(Outcome::Committed) => {
                self.imports.metrics.committed();
                Ok(wit_storage::Outcome::Committed)
            }
            Ok(Outcome::Conflict) => {
                self.imports.metrics.conflicted();
                Ok(wit_storage::Outcome::Conflict)
            }
            Err(error) => Err(logged("storage.commit", tenant, &error)),
        };
        // Commits of a tenant are delivered in their order: the last one stands for all.
        if outstanding.is_some() {
            self.outstanding = outstanding;
        }
        Ok(committed)
    }

    async fn drop(&mut self, handle: Resource<StoreHandle>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl wit_auth::Host for Instance {
    async fn authenticate(
        &mut self,
        credentials: wit_auth::Credentials,
    ) -> wasmtime::Result<Result<wit_auth::Principal, wit_auth::AuthError>> {
        self.grant = Grant { generation: self.grant.generation + 1, principal: None };
        let credentials = Credentials {
            authorization: credentials.authorization,
            tenant_hint: credentials.tenant_hint,
            client_certificate_subject: credentials.client_certificate_subject,
            remote_address: credentials.remote_address,
        };
        if let Some(principal) = self.authentication.assume(&credentials) {
            self.grant.principal = Some(principal.clone());
            return Ok(Ok(principal.into()));
        }
        let answer = self.authentication.ask(&self.calls, credentials.clone()).await?;
        let principal = match answer {
            // The key space "" is the host's own, and no storage has to tell apart what is longer or has a NUL.
            Ok(principal) if !(1..=MAX_TENANT).contains(&principal.tenant.len()) || principal.tenant.contains('\0') => {
                let Principal { tenant, subject, .. } = principal;
                tracing::error!(
                    import = "authenticator.authenticate",
                    tenant,
                    subject,
                    "the authenticator granted what can be no tenant: a name has 1 to {MAX_TENANT} bytes, none of them NUL"
                );
                return Ok(Err(wit_auth::AuthError::Unavailable(String::new())));
            }
            Ok(principal) => principal,
            Err(error) => return Ok(Err(refused(error))),
        };
        match &self.tenant {
            None => self.tenant = Some(principal.tenant.clone()),
            Some(tenant) if *tenant == principal.tenant => {}
            // Its memory may hold what belongs to the tenant that it served before.
            Some(_) => return Err(OtherPrincipal.into()),
        }
        self.grant.principal = Some(principal.clone());
        self.authentication.granted(credentials, &principal);
        Ok(Ok(principal.into()))
    }
}

impl wit_policy::Host for Instance {
    async fn review(&mut self, change: wit_policy::Change) -> wasmtime::Result<Result<(), wit_policy::Refusal>> {
        let Some(principal) = self.principal() else {
            let detail = "nobody is authenticated, so nothing may be changed".to_owned();
            return Ok(Err(wit_policy::Refusal { status: 403, scim_type: None, detail }));
        };
        // Whose data and who asks is the host's knowledge, not the guest's claim.
        let change = Change {
            tenant: principal.tenant.clone(),
            subject: principal.subject.clone(),
            operation: change.operation.into(),
            resource_type: change.resource_type,
            id: change.id,
            before: change.before,
            after: change.after,
        };
        let reviewed = self.calls.run("policy.review", || self.imports.policy.review(change)).await?;
        Ok(reviewed.map_err(wit_policy::Refusal::from))
    }
}

fn denied(tenant: &str) -> wit_storage::StoreError {
    tracing::error!(tenant, "the guest asked for a store that it has not been granted");
    wit_storage::StoreError::AccessDenied
}

/// Caps the sum of an instance's memories, and remembers that the cap was met: the trap that follows has no name.
pub(crate) struct MemoryCap {
    limit: usize,
    used: usize,
    pub(crate) exceeded: bool,
}

impl ResourceLimiter for MemoryCap {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            self.exceeded = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= crate::engine::TABLE_ELEMENTS)
    }
}

/// The guest's standard output and error, of which the beginning is kept.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = OUTPUT_KEPT.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only wasi 0.3 asks for this; no interface of it is linked.
        Box::new(tokio::io::sink())
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.keep(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(OUTPUT_KEPT)
    }
}

#[cfg(test)]
mod tests;
