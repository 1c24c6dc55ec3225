//! Where a compiled rule keeps what: params, columns, state, in this order, in one memory of fixed size.

use rulebox_abi::{BufferKind, MAX_ROWS};

use crate::typed::{Action, Rule};

/// Bytes of a page of linear memory.
pub const PAGE: u32 = 65_536;

/// Address 0 means "not used" to the host, so nothing is there.
const FIRST: u32 = 64;

/// Bytes between columns of f64. A power of two would put the same row of every column into the same set of the
/// first-level cache, which holds eight or twelve lines; an odd number of lines more spreads them.
const STRIDE: u32 = MAX_ROWS * 8 + 3 * 64;

/// Buffers of one kind: equal columns one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// What they are for.
    pub kind: BufferKind,
    /// First byte of the first.
    pub base: u32,
    /// How many.
    pub count: u32,
    /// The largest request that one satisfies.
    pub bytes: u32,
}

impl Columns {
    /// First byte of column `index`.
    pub const fn at(&self, index: u32) -> u32 {
        self.base.saturating_add(index.saturating_mul(STRIDE))
    }

    /// Bytes from one column to the next.
    pub const fn stride() -> u32 {
        STRIDE
    }
}

/// Addresses of everything in a module's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    buffers: Vec<Columns>,
    /// First byte of the state, a multiple of 64.
    pub state: u32,
    /// Bytes of the state that are in use, a multiple of 8; at least 8.
    pub state_bytes: u32,
}

impl Layout {
    /// Places the buffers that a rule uses. The state is empty.
    pub fn new(rule: &Rule) -> Self {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut layout = Self { buffers: Vec::new(), state: 0, state_bytes: 0 };
        let mut next = FIRST;
        let params = count(rule.params.len());
        if params > 0 {
            layout.buffers.push(Columns {
                kind: BufferKind::Params,
                base: next,
                count: 1,
                bytes: params.saturating_mul(8),
            });
            next = next.saturating_add(params.saturating_mul(8)).checked_next_multiple_of(64).unwrap_or(u32::MAX);
        }
        let time = u32::from(rule.uses_time());
        let keep = rule.statements.iter().any(|s| matches!(s.action, Some(Action::Reduce { .. })));
        for (kind, count) in [
            (BufferKind::Input, count(rule.inputs.len())),
            (BufferKind::Time, time),
            (BufferKind::LocalDay, time),
            (BufferKind::MinuteOfDay, time),
            (BufferKind::Weekday, time),
            (BufferKind::Verdicts, 1),
            (BufferKind::Fired, 1),
            (BufferKind::Out, count(rule.outs.len())),
            (BufferKind::MessageValue, rule.message_values),
            (BufferKind::Keep, u32::from(keep)),
        ] {
            if count > 0 {
                layout.buffers.push(Columns { kind, base: next, count, bytes: MAX_ROWS * kind.row_bytes() });
                next =
                    next.saturating_add(count.saturating_mul(STRIDE)).checked_next_multiple_of(64).unwrap_or(u32::MAX);
            }
        }
        layout.state = next;
        layout
    }

    /// Every kind of buffer that is there.
    pub fn buffers(&self) -> &[Columns] {
        &self.buffers
    }

    /// First byte of a column; `None` if the rule has no such column.
    pub fn column(&self, kind: BufferKind, index: u32) -> Option<u32> {
        self.buffers.iter().find(|c| c.kind == kind && index < c.count).map(|c| c.at(index))
    }

    /// Adds `words` 8-byte values to the state: the address of the first.
    pub fn add_state(&mut self, words: u32) -> u32 {
        let address = self.state.saturating_add(self.state_bytes);
        self.state_bytes = self.state_bytes.saturating_add(words.saturating_mul(8));
        address
    }

    /// Pages of the memory. The reset writes whole lines of 64 bytes, so the last one is inside too.
    pub fn pages(&self) -> u64 {
        (u64::from(self.state) + u64::from(self.state_bytes).next_multiple_of(64)).div_ceil(u64::from(PAGE))
    }

    /// Bytes of the memory.
    pub fn bytes(&self) -> u64 {
        self.pages() * u64::from(PAGE)
    }
}

/// Number of slots of a ring that keeps `values` values: a power of two, so that a position is masked, not divided.
pub const fn ring_slots(values: u32) -> u32 {
    values.next_power_of_two()
}
