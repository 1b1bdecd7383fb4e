//! A component that runs as Spin runs it: a fresh instance for each request.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::{WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::Manifest;
use super::bindings::spin::fermyon::spin::variables;
use super::bindings::spin::spin::postgres::postgres;
use super::bindings::spin::spin::sqlite::sqlite;
use super::outbound::Outbound;
use super::postgres::Pool;

/// Instances at once.
const INSTANCES: u32 = 128;
/// Bytes of one instance's memory at most: a commit of 64 MiB is held several times over.
const MEMORY_BYTES: usize = 1 << 30;

/// The state of one instance.
pub(crate) struct State {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) table: ResourceTable,
    pub(crate) pool: Pool,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outbound }
    }
}

impl variables::Host for State {
    async fn get(&mut self, name: String) -> wasmtime::Result<Result<String, variables::Error>> {
        let name_is_valid = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !name_is_valid {
            return Ok(Err(variables::Error::InvalidName(name)));
        }
        let value = self.manifest.variables.get(&name).cloned();
        Ok(value.ok_or_else(|| variables::Error::Undefined(format!("no variable for key {name:?}"))))
    }
}

/// Of WASI what our components import; file system and sockets, which Spin offers as well, are not among it.
fn wasi(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    use wasmtime_wasi::cli::{WasiCli, WasiCliView};
    use wasmtime_wasi::p2::bindings::{cli, random};
    use wasmtime_wasi::random::{WasiRandom, WasiRandomView};

    wasmtime_wasi_http::p2::add_to_linker_async(linker)?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, State::random)?;
    cli::environment::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, State::cli)
}

/// A compiled component and what it may use.
pub struct Application {
    engine: Engine,
    component: InstancePre<State>,
    proxy: Option<ProxyPre<State>>,
    manifest: Arc<Manifest>,
    pool: Pool,
}

impl Application {
    /// Compiles the component.
    pub fn new(component: &[u8], manifest: Manifest) -> wasmtime::Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(INSTANCES)
            .total_core_instances(INSTANCES * 16)
            .total_memories(INSTANCES * 4)
            .total_tables(INSTANCES * 8)
            .total_stacks(INSTANCES)
            .max_memory_size(MEMORY_BYTES);
        let mut config = wasmtime::Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        // Less address space than the pool wants: allocate each on demand.
        let engine = Engine::new(&config).or_else(|_| Engine::new(&wasmtime::Config::new()))?;
        let mut linker = Linker::new(&engine);
        wasi(&mut linker)?;
        variables::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
        postgres::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
        sqlite::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
        let component = linker.instantiate_pre(&Component::from_binary(&engine, component)?)?;
        // The adapter alone has no HTTP side.
        let proxy = ProxyPre::new(component.clone()).ok();
        Ok(Self { engine, component, proxy, manifest: Arc::new(manifest), pool: Pool::default() })
    }

    /// The same component, compiled once, for another manifest.
    #[must_use]
    pub fn with(&self, manifest: Manifest) -> Self {
        Self {
            engine: self.engine.clone(),
            component: self.component.clone(),
            proxy: self.proxy.clone(),
            manifest: Arc::new(manifest),
            pool: Arc::clone(&self.pool),
        }
    }

    /// The component, for instances of other worlds than HTTP.
    pub(crate) fn component(&self) -> &InstancePre<State> {
        &self.component
    }

    /// A store for one instance with these variables beside the manifest's.
    pub(crate) fn store(&self, variables: &[(&str, String)]) -> Store<State> {
        let mut manifest = Arc::clone(&self.manifest);
        for (name, value) in variables {
            Arc::make_mut(&mut manifest).variables.insert((*name).to_owned(), value.clone());
        }
        let outbound = Outbound { allowed: Arc::clone(&manifest) };
        let wasi = WasiCtx::builder().inherit_stderr().build();
        let table = ResourceTable::new();
        let pool = Arc::clone(&self.pool);
        Store::new(&self.engine, State { manifest, table, pool, wasi, http: WasiHttpCtx::new(), outbound })
    }

    /// Answers one request; the body streams while the instance goes on.
    pub async fn handle(&self, request: http::Request<Bytes>) -> wasmtime::Result<http::Response<WasiBody>> {
        let mut store = self.store(&[]);
        let request =
            request.map(|body| Full::new(body).map_err(|never| -> wasmtime_wasi_http::Error { match never {} }));
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let out = store.data_mut().http().new_response_outparam(sender)?;
        let Some(proxy) = self.proxy.clone() else {
            wasmtime::bail!("the component exports no wasi:http/incoming-handler");
        };
        let handling = tokio::spawn(async move {
            let instance = proxy.instantiate_async(&mut store).await?;
            instance.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
        });
        match receiver.await {
            Ok(response) => Ok(response?),
            Err(_dropped) => {
                handling.await??;
                wasmtime::bail!("the component set no response")
            }
        }
    }
}
