//! Checked views of a guest's memory. Every address that a module returns goes through here before it is used.
//!
//! A [`Region`] is a checked pair of offsets, never a pointer: the memory is asked for again at every use, so that
//! growth between two calls cannot leave anything stale.

use std::fmt;

use rulebox_abi::{BUFFER_ALIGN, BufferKind, unpack};

/// Part of a guest's memory that was inside it when it was checked. Memories do not shrink, so it stays inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    start: usize,
    bytes: usize,
}

/// Which buffer an address was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffer {
    pub(crate) kind: BufferKind,
    pub(crate) index: usize,
}

impl fmt::Display for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            BufferKind::Params => f.write_str("the params"),
            BufferKind::Input => write!(f, "input column {}", self.index),
            BufferKind::Time => f.write_str("the times"),
            BufferKind::LocalDay => f.write_str("the local days"),
            BufferKind::MinuteOfDay => f.write_str("the minutes of day"),
            BufferKind::Weekday => f.write_str("the weekdays"),
            BufferKind::Verdicts => f.write_str("the verdicts"),
            BufferKind::Fired => f.write_str("the fired statements"),
            BufferKind::Out => write!(f, "out column {}", self.index),
            BufferKind::MessageValue => write!(f, "message value {}", self.index),
            BufferKind::Keep => f.write_str("the fractions to keep"),
        }
    }
}

/// How a module broke the rules of the ABI. Numbers alone: nothing of the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Breach {
    #[error("rulebox_buffer gave no address for {0}")]
    NoBuffer(Buffer),
    #[error("rulebox_buffer gave -1, which is no address, for {bytes} bytes of {buffer}: has the module as many?")]
    TooFew { buffer: Buffer, bytes: usize },
    #[error("rulebox_buffer gave no address for any column of time, and the manifest's `uses_time` is true")]
    NoTime,
    #[error("rulebox_buffer gave an address for {0}, which there should not be: its answer is then 0")]
    OtherBuffer(Buffer),
    #[error("rulebox_buffer gave address {address} for {buffer}, which is not a multiple of {BUFFER_ALIGN}")]
    Unaligned { buffer: Buffer, address: u32 },
    #[error("rulebox_buffer gave address {address} for {bytes} bytes of {buffer}; the memory has {memory} bytes")]
    OutOfBounds { buffer: Buffer, address: u32, bytes: usize, memory: usize },
    #[error("rulebox_buffer gave overlapping addresses for {0} and {1}")]
    Overlap(Buffer, Buffer),
    #[error("rulebox_init returned {0}: 0 accepts, a negative number refuses")]
    Init(i32),
    #[error("rulebox_eval returned {0}: it failed")]
    Eval(i32),
    #[error("rulebox_eval wrote verdict {verdict} for bar {row} of the call: the largest is 3")]
    Verdict { row: usize, verdict: u8 },
    #[error("rulebox_state gave {bytes} bytes at {address}; the memory has {memory} bytes")]
    StateOutOfBounds { address: u32, bytes: u32, memory: usize },
    #[error("the state that rulebox_state gives has {bytes} bytes; the most that is kept is {limit}: keep less")]
    StateTooLarge { bytes: u32, limit: usize },
    #[error("rulebox_state gave another address or length than before")]
    StateMoved,
    #[error("rulebox_message gave {bytes} bytes at {address}; the memory has {memory} bytes")]
    MessageOutOfBounds { address: u32, bytes: u32, memory: usize },
    #[error("the module has other params or columns than its shape")]
    Shape,
    #[error("a checked region is no longer inside the memory")]
    MemoryShrank,
}

impl Region {
    /// Checks the address that `rulebox_buffer` returned, as the unsigned number that it is. `None` for 0, by which
    /// a module says that it does not use the buffer.
    pub(crate) fn of_buffer(buffer: Buffer, address: i32, bytes: usize, memory: usize) -> Result<Option<Self>, Breach> {
        let address = address.cast_unsigned();
        if address == 0 {
            return Ok(None);
        }
        // What the SDK and the header answer to whoever asks for more than there is.
        if address == u32::MAX {
            return Err(Breach::TooFew { buffer, bytes });
        }
        if !address.is_multiple_of(BUFFER_ALIGN) {
            return Err(Breach::Unaligned { buffer, address });
        }
        match Self::inside(address, bytes, memory) {
            Some(region) => Ok(Some(region)),
            None => Err(Breach::OutOfBounds { buffer, address, bytes, memory }),
        }
    }

    /// Checks what `rulebox_state` returned. It may overlap buffers: a module may save its whole memory.
    pub(crate) fn of_state(packed: i64, limit: usize, memory: usize) -> Result<Self, Breach> {
        let (address, bytes) = unpack(packed.cast_unsigned());
        let region = Self::inside(address, bytes as usize, memory);
        let region = region.ok_or(Breach::StateOutOfBounds { address, bytes, memory })?;
        if region.bytes > limit { Err(Breach::StateTooLarge { bytes, limit }) } else { Ok(region) }
    }

    /// Checks what `rulebox_message` returned; it may be anywhere in the memory.
    pub(crate) fn of_message(packed: i64, memory: usize) -> Result<Self, Breach> {
        let (address, bytes) = unpack(packed.cast_unsigned());
        Self::inside(address, bytes as usize, memory).ok_or(Breach::MessageOutOfBounds { address, bytes, memory })
    }

    fn inside(address: u32, bytes: usize, memory: usize) -> Option<Self> {
        let start = address as usize;
        // INVARIANT: start + bytes <= memory, without overflow.
        let end = start.checked_add(bytes)?;
        (end <= memory).then_some(Self { start, bytes })
    }

    pub(crate) fn bytes(self) -> usize {
        self.bytes
    }

    /// The first `bytes` bytes of the region.
    pub(crate) fn read(self, memory: &[u8], bytes: usize) -> Result<&[u8], Breach> {
        memory.get(self.start..self.start + bytes.min(self.bytes)).ok_or(Breach::MemoryShrank)
    }

    /// The same, to write to.
    pub(crate) fn write(self, memory: &mut [u8], bytes: usize) -> Result<&mut [u8], Breach> {
        memory.get_mut(self.start..self.start + bytes.min(self.bytes)).ok_or(Breach::MemoryShrank)
    }
}

/// Every buffer of an instance, to find two that overlap.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    taken: Vec<(Region, Buffer)>,
}

impl Layout {
    pub(crate) fn add(&mut self, region: Region, buffer: Buffer) {
        self.taken.push((region, buffer));
    }

    /// Whether one of them begins where this one does.
    pub(crate) fn begins_at(&self, region: Region) -> bool {
        self.taken.iter().any(|(taken, _)| taken.start == region.start)
    }

    /// Whether all are disjoint. Empty ones overlap nothing.
    pub(crate) fn check_disjoint(mut self) -> Result<(), Breach> {
        self.taken.retain(|(region, _)| region.bytes > 0);
        self.taken.sort_unstable_by_key(|(region, _)| region.start);
        for (&(a, first), &(b, second)) in self.taken.iter().zip(self.taken.iter().skip(1)) {
            if b.start < a.start + a.bytes {
                return Err(Breach::Overlap(first, second));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rulebox_abi::pack;

    use super::*;

    const OUT: Buffer = Buffer { kind: BufferKind::Out, index: 3 };
    const MEMORY: usize = 65_536;

    #[test]
    fn an_address_is_aligned_and_inside() {
        let region = |address, bytes| Region::of_buffer(OUT, address, bytes, MEMORY);
        assert_eq!(region(0, 8), Ok(None));
        assert_eq!(region(8, 65_528), Ok(Some(Region { start: 8, bytes: 65_528 })));
        assert!(matches!(region(12, 8), Err(Breach::Unaligned { address: 12, .. })));
        assert!(matches!(region(16, 65_528), Err(Breach::OutOfBounds { .. })));
        assert!(matches!(region(-8, 16), Err(Breach::OutOfBounds { address: 0xffff_fff8, .. })), "the end would wrap");
        assert!(matches!(region(-1, 8), Err(Breach::TooFew { bytes: 8, .. })));
        assert!(matches!(region(i32::MIN, 0), Err(Breach::OutOfBounds { .. })));
        assert!(matches!(region(8, usize::MAX), Err(Breach::OutOfBounds { .. })));
    }

    #[test]
    fn overlap_is_found_in_any_order() {
        let layout = |starts: &[(usize, usize)]| {
            let mut layout = Layout::default();
            for &(start, bytes) in starts {
                layout.add(Region { start, bytes }, OUT);
            }
            layout.check_disjoint()
        };
        assert_eq!(layout(&[(64, 8), (8, 56), (72, 8)]), Ok(()));
        assert!(layout(&[(64, 8), (8, 57)]).is_err());
        assert!(layout(&[(8, 8), (16, 8), (8, 1)]).is_err(), "the same start");
        assert_eq!(layout(&[(8, 8), (8, 0)]), Ok(()), "an empty one is nowhere");
    }

    #[test]
    fn state_is_inside_and_bounded() {
        let state = |ptr, len| Region::of_state(pack(ptr, len).cast_signed(), 4096, MEMORY);
        assert_eq!(state(65_528, 8), Ok(Region { start: 65_528, bytes: 8 }));
        assert!(matches!(state(65_536, 8), Err(Breach::StateOutOfBounds { .. })));
        assert!(matches!(state(u32::MAX, 4096), Err(Breach::StateOutOfBounds { .. })));
        assert!(matches!(state(0, u32::MAX), Err(Breach::StateOutOfBounds { .. })), "a lie is no size");
        assert!(matches!(state(0, 4104), Err(Breach::StateTooLarge { bytes: 4104, limit: 4096 })));
    }

    #[test]
    fn a_region_reads_no_further_than_itself() {
        let memory: Vec<u8> = (0..32).collect();
        let region = Region { start: 8, bytes: 8 };
        assert_eq!(region.read(&memory, 4), Ok(&memory[8..12]));
        assert_eq!(region.read(&memory, 100), Ok(&memory[8..16]));
        assert_eq!(region.read(&memory[..10], 8), Err(Breach::MemoryShrank));
    }
}
