//! Everything that a module keeps: the buffers of the ABI, and the state of a run. No allocator, fixed addresses.

use rulebox_abi::{BufferKind, MAX_ROWS};

use crate::plain::{Plain, bytes_of_mut};

/// The most bars of a call.
pub(crate) const ROWS: usize = MAX_ROWS as usize;

/// A column of `ROWS` cells.
///
/// Three lines of the cache stand between two columns: at a distance of a power of two, the same row of every column
/// would fall into one set of the first-level cache.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub struct Column<T> {
    pub(crate) cells: [T; ROWS],
    between: [u64; 24],
}

/// A type of cells.
pub trait Cell: Copy + 'static {
    /// All bits 0.
    const ZERO: Self;
}

impl Cell for f64 {
    const ZERO: Self = 0.0;
}

impl Cell for i64 {
    const ZERO: Self = 0;
}

impl Cell for i32 {
    const ZERO: Self = 0;
}

impl Cell for u32 {
    const ZERO: Self = 0;
}

impl Cell for u8 {
    const ZERO: Self = 0;
}

// SAFETY: a number of numbers whose size is a multiple of 8, then words: no padding, and any bits are values.
unsafe impl<T: Cell> Plain for Column<T> {
    const ZERO: Self = Self { cells: [T::ZERO; ROWS], between: [0; 24] };
}

impl<T: Cell> Column<T> {
    pub(crate) fn read(&self, row: usize) -> T {
        self.cells.get(row).copied().unwrap_or(T::ZERO)
    }

    pub(crate) fn write(&mut self, row: usize, value: T) {
        if let Some(cell) = self.cells.get_mut(row) {
            *cell = value;
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        let bytes = ROWS * size_of::<T>();
        bytes_of_mut(self).split_at_mut(bytes).0
    }
}

/// The columns of time.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Times {
    pub(crate) time: Column<i64>,
    pub(crate) local_day: Column<i32>,
    pub(crate) minute_of_day: Column<i32>,
    pub(crate) weekday: Column<i32>,
}

impl Times {
    const ZERO: Self =
        Self { time: Column::ZERO, local_day: Column::ZERO, minute_of_day: Column::ZERO, weekday: Column::ZERO };
}

/// What is kept from bar to bar. `H` is the number of statements if any is held, else 0; `HV` is that of message
/// values then.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Kept<S, const H: usize, const HV: usize> {
    /// Bars since the last reset.
    pub(crate) index: u64,
    /// 0, or the fault that latches and 1.
    pub(crate) latch: u64,
    /// Time and local day of the bar before.
    pub(crate) time: i64,
    pub(crate) local_day: i64,
    /// Bit i: statement i is held.
    pub(crate) held: u64,
    /// Bar and time of what gave the hold, and what it gave.
    pub(crate) hold_index: [u64; H],
    pub(crate) hold_time: [i64; H],
    pub(crate) hold_keep: [f64; H],
    pub(crate) hold_values: [f64; HV],
    /// The author's.
    pub(crate) author: S,
}

// SAFETY: repr(C) of types that are Plain.
unsafe impl<S: Plain, const H: usize, const HV: usize> Plain for Kept<S, H, HV> {
    const ZERO: Self = Self {
        index: 0,
        latch: 0,
        time: 0,
        local_day: 0,
        held: 0,
        hold_index: [0; H],
        hold_time: [0; H],
        hold_keep: [0.0; H],
        hold_values: [0.0; HV],
        author: S::ZERO,
    };
}

/// All of it. `P` params, `I` inputs, `T` columns of time (0 or 1), `O` outs, `V` message values, `K` columns of
/// fractions (0 or 1).
///
/// A new one is all zero, so that a module of some kB declares it without carrying it.
#[repr(C)]
pub struct Memory<
    S,
    const P: usize,
    const I: usize,
    const T: usize,
    const O: usize,
    const V: usize,
    const K: usize,
    const H: usize,
    const HV: usize,
> {
    pub(crate) params: [f64; P],
    pub(crate) inputs: [Column<f64>; I],
    pub(crate) times: [Times; T],
    pub(crate) verdicts: Column<u8>,
    pub(crate) fired: Column<u32>,
    pub(crate) outs: [Column<f64>; O],
    pub(crate) values: [Column<f64>; V],
    pub(crate) keep: [Column<f64>; K],
    pub(crate) kept: Kept<S, H, HV>,
}

impl<
    S: Plain,
    const P: usize,
    const I: usize,
    const T: usize,
    const O: usize,
    const V: usize,
    const K: usize,
    const H: usize,
    const HV: usize,
> Memory<S, P, I, T, O, V, K, H, HV>
{
    /// Not yet at bar 0: `init` comes first.
    pub(crate) const NEW: Self = Self {
        params: [0.0; P],
        inputs: [Column::ZERO; I],
        times: [Times::ZERO; T],
        verdicts: Column::ZERO,
        fired: Column::ZERO,
        outs: [Column::ZERO; O],
        values: [Column::ZERO; V],
        keep: [Column::ZERO; K],
        kept: Kept::ZERO,
    };

    /// The bytes of a buffer; `None` for one that the rule does not use.
    pub(crate) fn bytes(&mut self, kind: i32, index: usize) -> Option<&mut [u8]> {
        let kind = BufferKind::ALL.into_iter().find(|known| *known as i32 == kind)?;
        match kind {
            BufferKind::Params => (P > 0 && index == 0).then(|| bytes_of_mut(&mut self.params)),
            BufferKind::Input => self.inputs.get_mut(index).map(Column::bytes),
            BufferKind::Time => self.times.get_mut(index).map(|times| times.time.bytes()),
            BufferKind::LocalDay => self.times.get_mut(index).map(|times| times.local_day.bytes()),
            BufferKind::MinuteOfDay => self.times.get_mut(index).map(|times| times.minute_of_day.bytes()),
            BufferKind::Weekday => self.times.get_mut(index).map(|times| times.weekday.bytes()),
            BufferKind::Verdicts => (index == 0).then(|| self.verdicts.bytes()),
            BufferKind::Fired => (index == 0).then(|| self.fired.bytes()),
            BufferKind::Out => self.outs.get_mut(index).map(Column::bytes),
            BufferKind::MessageValue => self.values.get_mut(index).map(Column::bytes),
            BufferKind::Keep => self.keep.get_mut(index).map(Column::bytes),
        }
    }

    pub(crate) fn state(&mut self) -> &mut [u8] {
        bytes_of_mut(&mut self.kept)
    }
}
