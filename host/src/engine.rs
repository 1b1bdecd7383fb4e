//! The WebAssembly engine: a component compiled once, its instances and what they may use.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use crate::bindings::ProviderPre;
use crate::code_cache::CodeCache;
use crate::error::{Error, Result};
use crate::instance::{self, Imports, Instance};

/// Elements of a guest's function table at most.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;
/// How long a guest computes before it lets other requests have the thread.
const TICK: Duration = Duration::from_millis(10);
/// Bytes of an instance's memory that stay mapped for the next one, so that it takes no page faults: more than a usual
/// request touches. Only touched pages count, in as many slots as were ever busy at once. Measured on a read of one user:
/// 22 µs of CPU time against 60 with nothing kept, and against 40 to 56 where the kernel has no PAGEMAP_SCAN (before 6.7).
const MEMORY_RESIDENT: usize = 1024 * 1024;
/// Likewise for function tables; saves another 14 µs.
const TABLE_RESIDENT: usize = 16 * 1024;

/// What one request may use, and how many run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bytes of memory that an instance may use; more is a 500. Default: 256 MiB.
    pub memory_bytes: usize,
    /// How long a request may take, waiting for its turn included; more is a 503. Default: 30 seconds.
    pub timeout: Duration,
    /// Requests handled at once; more wait for their turn. Default: 128.
    pub max_concurrent: u32,
    /// Idle instances that a [`Provider`](crate::Provider) keeps, each for the next request of the tenant that it has
    /// served and no other; 0 makes a fresh one for each request. Default: 32.
    pub kept_instances: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            memory_bytes: 256 * 1024 * 1024,
            timeout: Duration::from_secs(30),
            max_concurrent: 128,
            kept_instances: 32,
        }
    }
}

/// A compiled component of world `provider`.
///
/// Compiling is the slow part of a start; share one engine between providers where there is more than one.
pub struct Engine {
    pub(crate) runtime: Runtime,
    pub(crate) provider: ProviderPre<Instance>,
}

impl Engine {
    /// Compiles the component.
    pub fn new(component: &[u8], config: Config) -> Result<Self> {
        Self::build(component, config, None)
    }

    /// The same with a cache, so that it is compiled at the first start only.
    pub fn cached(component: &[u8], config: Config, cache: &CodeCache) -> Result<Self> {
        Self::build(component, config, Some(cache))
    }

    fn build(component: &[u8], config: Config, cache: Option<&CodeCache>) -> Result<Self> {
        const WORLD: &str = "scimwell:provider/provider@0.1.0";
        let runtime = Runtime::new(config)?;
        let provider = runtime
            .instantiate_pre(component, cache)
            .and_then(ProviderPre::new)
            .map_err(|source| Error::Component { world: WORLD, source })?;
        Ok(Self { runtime, provider })
    }
}

/// What both worlds run on.
pub(crate) struct Runtime {
    wasm: wasmtime::Engine,
    pub(crate) config: Config,
    /// One for each slot of the pool.
    pub(crate) permits: Arc<Semaphore>,
}

impl Runtime {
    pub(crate) fn new(config: Config) -> Result<Self> {
        let wasm = match wasmtime::Engine::new(&pooled(&config)) {
            Ok(wasm) => wasm,
            // A pool reserves terabytes of address space, which `ulimit -v` and some containers deny.
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "no address space for a pool of instances: each is allocated on demand, which is slower"
                );
                wasmtime::Engine::new(&on_demand()).map_err(Error::Engine)?
            }
        };
        tick(&wasm)?;
        let permits = Arc::new(Semaphore::new(config.max_concurrent as usize));
        Ok(Self { wasm, config, permits })
    }

    pub(crate) fn instantiate_pre(
        &self,
        component: &[u8],
        cache: Option<&CodeCache>,
    ) -> wasmtime::Result<InstancePre<Instance>> {
        let component = match cache {
            Some(cache) => cache.component(&self.wasm, component)?,
            None => Component::from_binary(&self.wasm, component)?,
        };
        let mut linker = Linker::new(&self.wasm);
        instance::add_to_linker(&mut linker)?;
        linker.instantiate_pre(&component)
    }

    /// A store for one instance: capped in memory, and interrupted when it computes for long, so that others get their
    /// turn and a time-out its chance.
    pub(crate) fn store(&self, imports: Arc<Imports>) -> Store<Instance> {
        let mut store = Store::new(&self.wasm, Instance::new(imports, self.config.memory_bytes));
        store.limiter(|instance| &mut instance.memory);
        store.epoch_deadline_async_yield_and_update(1);
        store
    }
}

fn common() -> wasmtime::Config {
    let mut wasm = wasmtime::Config::new();
    wasm.epoch_interruption(true);
    wasm
}

fn pooled(config: &Config) -> wasmtime::Config {
    // Twice those that are kept: one that gives its place to another takes a moment to go.
    let count = config.max_concurrent.saturating_add(config.kept_instances.saturating_mul(2));
    let mut pool = PoolingAllocationConfig::new();
    // A component of ours has one core module of size and a few small ones that adapt it.
    pool.total_component_instances(count)
        .total_core_instances(count.saturating_mul(8))
        .total_memories(count.saturating_mul(2))
        .total_tables(count.saturating_mul(4))
        .total_stacks(count)
        .max_memory_size(config.memory_bytes)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(MEMORY_RESIDENT)
        .table_keep_resident(TABLE_RESIDENT)
        .pagemap_scan(Enabled::Auto)
        // Take the slot used last, whose pages are still mapped.
        .max_unused_warm_slots(0);
    let mut wasm = common();
    wasm.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    wasm
}

/// Allocates with as little address space as can be.
fn on_demand() -> wasmtime::Config {
    let mut wasm = common();
    wasm.allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .memory_reservation(0)
        .memory_guard_size(64 * 1024)
        .memory_reservation_for_growth(1024 * 1024);
    wasm
}

/// Advances the engine's epoch for as long as the engine lives.
fn tick(wasm: &wasmtime::Engine) -> Result<()> {
    let weak = wasm.weak();
    std::thread::Builder::new()
        .name("scimwell-epoch".to_owned())
        .spawn(move || {
            while let Some(wasm) = weak.upgrade() {
                wasm.increment_epoch();
                drop(wasm);
                std::thread::sleep(TICK);
            }
        })
        .map_err(|error| Error::Engine(error.into()))?;
    Ok(())
}
