//! The engine: one Wasmtime configuration for the whole process, each line with its reason.

use std::sync::Arc;

use wasmparser::WasmFeatures;
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, Linker, OptLevel, PoolingAllocationConfig, Store, Strategy,
};

use crate::limiter::{Guest, watch};
use crate::limits::{Limits, SandboxConfig};
use crate::outcome::RunError;
use crate::ticker::Ticker;
use crate::trap::AbortCalled;

/// The proposals that a module may use: what C, Rust and `AssemblyScript` cannot do without, and nothing else. The
/// gate and the engine both read this, so they cannot differ.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT);

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Wasmtime refused the configuration, or the system the address space for the pool.
    #[error("the WebAssembly engine cannot start (does the system limit address space, `ulimit -v`?)")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The thread that watches deadlines could not be started.
    #[error("the thread that watches deadlines cannot start")]
    Ticker(#[source] std::io::Error),
}

/// The engine, its pool of instances and the clock of its deadlines. Cheap to clone; one for each process.
#[derive(Clone)]
pub struct Sandbox {
    pub(crate) shared: Arc<Shared>,
}

/// What modules keep alive: without the ticker their deadlines would never come.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<Guest>,
    pub(crate) config: SandboxConfig,
    pub(crate) on_slow: fn(),
    _ticker: Ticker,
}

impl Shared {
    /// A fresh store for one run, which watches its limits and its deadline. It has no fuel and no time yet.
    pub(crate) fn store(&self, limits: &Limits) -> Result<Store<Guest>, RunError> {
        let guest = Guest::new(limits, &self.config, self.on_slow);
        let mut store = Store::try_new(&self.engine, guest).map_err(|e| RunError::Engine(e.into()))?;
        watch(&mut store);
        Ok(store)
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Makes the engine, reserves its pool and starts the thread that watches deadlines.
    ///
    /// # Errors
    /// If the system refuses the address space or the thread.
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        Self::watching(config, || {})
    }

    /// The same. `on_slow` is called once on the thread of each call into a module that takes longer than one or two
    /// ticks, while it goes on; it must be quick, and must not panic.
    ///
    /// # Errors
    /// As [`Sandbox::new`].
    pub fn watching(config: SandboxConfig, on_slow: fn()) -> Result<Self, SandboxError> {
        let engine = Engine::new(&wasmtime_config(&config)).map_err(|e| SandboxError::Engine(e.into()))?;
        let mut linker = Linker::new(&engine);
        linker
            .func_wrap("env", "abort", |_: i32, _: i32, _: i32, _: i32| -> wasmtime::Result<()> {
                Err(AbortCalled.into())
            })
            .map_err(|e| SandboxError::Engine(e.into()))?;
        let ticker = Ticker::start(engine.clone(), config.tick).map_err(SandboxError::Ticker)?;
        Ok(Self { shared: Arc::new(Shared { engine, linker, config, on_slow, _ticker: ticker }) })
    }

    /// What the engine was made with.
    pub fn config(&self) -> &SandboxConfig {
        &self.shared.config
    }
}

/// Makes what a confined process can make no more: the file that tells which pages of a memory were written to, which
/// the first pool opens for the process. Without it (an older system) memories are zeroed whole: slower, nothing else.
pub fn prepare() {
    let smallest = SandboxConfig { pool_size: 1, ..SandboxConfig::default() };
    drop(Engine::new(&wasmtime_config(&smallest)));
}

pub(crate) fn wasmtime_config(settings: &SandboxConfig) -> Config {
    let mut config = Config::new();
    // Everything off, then on what modules may use: a proposal that a later Wasmtime turns on stays off here.
    config.wasm_features(WasmFeatures::all().difference(FEATURES), false);
    config.wasm_features(FEATURES, true);
    // Cranelift is the compiler whose isolation is verified and fuzzed most. Not Winch, not an interpreter.
    config.strategy(Strategy::Cranelift);
    config.cranelift_opt_level(OptLevel::Speed);
    // A module gets one core of the compile pool, not all of them: others compile meanwhile.
    config.parallel_compilation(false);

    // Fuel decides when a run has had enough: it counts the same on every machine.
    config.consume_fuel(true);
    // Epochs end what fuel underrates, by the clock.
    config.epoch_interruption(true);
    // The stack of a run; more is a `StackOverflow`, never a crash.
    config.max_wasm_stack(settings.stack_bytes);

    // 4 GiB of reservation and guards behind it, so that no load or store needs a bounds check; a memory never moves.
    config.memory_reservation(1 << 32);
    config.memory_may_move(false);
    config.guard_before_linear_memory(true);
    config.signals_based_traps(true);
    // Data segments are copied at each start. Compiled rules have none, and an image would let a module of a hundred
    // bytes hold as much memory as it declares for as long as it is loaded.
    config.memory_init_cow(false);

    // Traps are told apart by type: nobody reads a guest's backtrace, and neither table for it is built.
    config.wasm_backtrace_max_frames(None);
    config.generate_address_map(false);
    // System unwinders never meet guest frames, and registering them costs time that grows with modules loaded.
    config.native_unwind_info(false);

    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(settings)));
    config
}

/// Slots that are mapped once: a fresh instance costs microseconds and no system call on the common path.
fn pool(settings: &SandboxConfig) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(settings.pool_size);
    pool.total_memories(settings.pool_size);
    pool.total_tables(settings.pool_size);
    pool.max_memories_per_module(1);
    pool.max_tables_per_module(1);
    pool.max_memory_size(settings.max_memory_bytes);
    pool.table_elements(settings.max_table_elements);
    pool.max_core_instance_size(settings.max_instance_bytes);
    // Zeroing what a run dirtied is cheaper than faulting its pages in again. Where the kernel can tell which pages
    // those are (Linux 6.7), only they are zeroed.
    pool.linear_memory_keep_resident(settings.keep_resident_bytes);
    pool.table_keep_resident(4096);
    pool.pagemap_scan(if settings.scan_pages { Enabled::Auto } else { Enabled::No });
    // A slot that another module used is reset before it is handed on; warm ones first, to stay in caches.
    pool.max_unused_warm_slots(settings.warm_slots.min(settings.pool_size));
    pool
}
