//! Limits: what an engine, a module and a run may take. Values, so that each tenant can have its own.

use std::time::Duration;

use rulebox_abi::MAX_ROWS;

use crate::outcome::Refusal;
use crate::validate;

/// Bytes of a page of linear memory.
pub const PAGE_BYTES: usize = 64 * 1024;

/// What is fixed when the engine is made: the pool that instances come from, and the clock of deadlines.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SandboxConfig {
    /// Instances alive at a time. One more is refused with [`crate::RunError::Busy`]. Each reserves 4 GiB of address
    /// space (not of memory), so that compiled code needs no bounds checks.
    pub pool_size: u32,
    /// Bytes of linear memory that an instance can have, whatever its own limit says.
    pub max_memory_bytes: usize,
    /// Elements that a table can have, whatever the limit of a run says.
    pub max_table_elements: usize,
    /// Bytes of a module's state outside its linear memory: globals, table headers, pointers to its functions.
    pub max_instance_bytes: usize,
    /// Bytes of stack that a module may use. The threads that run modules need as much, and half a MiB for the host.
    pub stack_bytes: usize,
    /// Bytes of a pooled memory that are zeroed for the next instance instead of given back to the system.
    pub keep_resident_bytes: usize,
    /// Whether the kernel is asked which pages of a memory were written to (Linux 6.7 can tell), so that others need not
    /// be zeroed. Without it, all that are kept are.
    pub scan_pages: bool,
    /// Slots that are kept for the module that had them last. Fewer, and another's is reset and taken instead.
    pub warm_slots: u32,
    /// How often deadlines are looked at; a millisecond at least.
    pub tick: Duration,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            // Runs hold an instance for milliseconds, on a pool of threads that is smaller than this.
            pool_size: 128,
            max_memory_bytes: 64 << 20,
            max_table_elements: 10_000,
            max_instance_bytes: 256 << 10,
            // A quarter MiB is 1,000 frames of an unoptimised guest; tokio's and std's threads have 2 MiB.
            stack_bytes: 256 << 10,
            keep_resident_bytes: 512 << 10,
            scan_pages: true,
            warm_slots: u32::MAX,
            tick: Duration::from_millis(10),
        }
    }
}

/// What a module may be. Each is counted before the work that it bounds, and all before the module is compiled.
///
/// The defaults admit guests of common toolchains and all but the most intricate rules of the language (whose authors
/// are told so), and keep the compilation of the worst module that passes within seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ModuleLimits {
    /// Bytes of the module.
    pub module_bytes: usize,
    /// Entries of the type section.
    pub types: u32,
    /// Params of one function type.
    pub params: u32,
    /// Imports. Only `env.abort` is allowed, but it may be named more than once.
    pub imports: u32,
    /// Functions with a body. One costs about 0.1 ms to compile, were it empty.
    pub functions: u32,
    /// Globals.
    pub globals: u32,
    /// Exports. Each exported function is compiled a second time, as an entry from the host.
    pub exports: u32,
    /// Tables.
    pub tables: u32,
    /// Elements of a table, and items of all element segments together.
    pub table_elements: u32,
    /// Data segments.
    pub data_segments: u32,
    /// Bytes of memory that a module declares from the start.
    pub initial_memory_bytes: usize,
    /// Sections that the engine skips (names, manifest).
    pub custom_sections: u32,
    /// Bytes of one function's code.
    pub body_bytes: usize,
    /// Params and locals of one function.
    pub locals: u32,
    /// Params and locals of all functions together.
    pub total_locals: u32,
    /// Depth of blocks in blocks.
    pub nesting: u32,
    /// Labels of all `br_table`s of a function together.
    pub branch_targets: u32,
    /// What the module costs to compile, in units of at most about a microsecond: operators, joins, edges and live
    /// values, as the gate counts them (`validate/cost.rs`).
    pub compile_work: u64,
}

impl ModuleLimits {
    /// Checks a module without compiling it: what is refused here is what [`crate::Sandbox::load`] refuses by these
    /// limits.
    ///
    /// # Errors
    /// A refusal that says which limit or rule the module breaks.
    pub fn check(&self, module: &[u8]) -> Result<(), Refusal> {
        validate::module(module, self, &SandboxConfig::default())
    }
}

impl ModuleLimits {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        module_bytes: 1 << 20,
        types: 500,
        params: 64,
        imports: 4,
        functions: 2_000,
        globals: 2_000,
        exports: 64,
        tables: 1,
        table_elements: 4_000,
        data_segments: 1_000,
        initial_memory_bytes: 16 << 20,
        custom_sections: 32,
        body_bytes: 512 << 10,
        locals: 6_000,
        total_locals: 50_000,
        nesting: 300,
        branch_targets: 4_000,
        compile_work: 2_000_000,
    };
}

impl Default for ModuleLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What one run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Fuel of all calls of `rulebox_eval` together. Exact: a run that uses as much passes, one unit more does not.
    pub fuel: u64,
    /// Fuel of everything before and beside them together: start, params, buffers, reset, state.
    pub setup_fuel: u64,
    /// Wall-clock time of one call of `rulebox_eval`, and of the setup. Fuel is the limit, and this the backstop for
    /// what fuel does not see; [`Limits::MIN_DEADLINE`] at least, so that a busy machine does not decide.
    pub deadline: Duration,
    /// Bytes of linear memory.
    pub memory_bytes: usize,
    /// Elements of each table.
    pub table_elements: usize,
    /// Bars passed to one call, 1 to [`MAX_ROWS`].
    pub chunk_rows: u32,
    /// Bytes of saved state.
    pub state_bytes: usize,
    /// Which of its own texts a module is asked for. They burn the fuel of the run, and those of one call of
    /// `rulebox_eval` share one more deadline.
    pub messages: Messages,
    /// Bytes of one such text; what is longer is cut. So the texts of one call have at most
    /// `chunk_rows * message_bytes`.
    pub message_bytes: usize,
    /// Whether the buffers that a module has must be those of its shape, no less and no more: holds a manifest against
    /// its module. Without it a module may leave out columns that it does not read.
    pub every_buffer: bool,
}

/// Which of its own texts a module that exports `rulebox_message` is asked for. Only bars with a warning or a breach
/// have any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Messages {
    /// None.
    #[default]
    None,
    /// Those of bars whose verdict or fired statements are not those of the bar before, and of the last bar, of
    /// which [`rulebox_abi::columns::OutputSink::bars_follow`] tells.
    Changes,
    /// All.
    Flagged,
}

impl Limits {
    /// The shortest deadline; a shorter one is raised to it.
    pub const MIN_DEADLINE: Duration = Duration::from_millis(250);

    /// [`Limits::chunk_rows`] brought into its range.
    pub(crate) fn chunk(&self) -> u32 {
        self.chunk_rows.clamp(1, MAX_ROWS)
    }

    /// Ticks after which a call is late: never before the deadline, since the current tick is already running.
    pub(crate) fn deadline_ticks(&self, tick: Duration) -> u64 {
        let deadline = self.deadline.max(Self::MIN_DEADLINE);
        let ticks = deadline.as_nanos().div_ceil(tick.as_nanos().max(1_000_000));
        u64::try_from(ticks).unwrap_or(u64::MAX / 2).saturating_add(1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Some seconds of machine time: a million bars of a large rule.
            fuel: 2_000_000_000,
            // Clearing a MiB of state takes a hundredth of it.
            setup_fuel: 20_000_000,
            deadline: Duration::from_millis(500),
            // Every column that the language allows, 4,096 bars of each, and the largest state: 14 MiB.
            memory_bytes: 16 << 20,
            table_elements: 4_000,
            chunk_rows: MAX_ROWS,
            state_bytes: 2 << 20,
            messages: Messages::None,
            message_bytes: 1 << 10,
            every_buffer: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_never_too_short() {
        let tick = Duration::from_millis(10);
        let ticks = |ms| Limits { deadline: Duration::from_millis(ms), ..Limits::default() }.deadline_ticks(tick);
        assert_eq!(ticks(1000), 101);
        assert_eq!(ticks(1001), 102);
        assert_eq!(ticks(1), 26, "raised to the minimum");
    }

    #[test]
    fn a_chunk_has_rows_and_fits_the_buffers() {
        assert_eq!(Limits { chunk_rows: 0, ..Limits::default() }.chunk(), 1);
        assert_eq!(Limits { chunk_rows: u32::MAX, ..Limits::default() }.chunk(), MAX_ROWS);
    }
}
