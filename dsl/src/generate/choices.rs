//! Where a generator's decisions come from: bytes (of a fuzzer or a shrinking property test), or a seed.

/// A source of decisions. Equal sources give equal decisions.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    bytes: Option<&'a [u8]>,
    state: u64,
}

impl<'a> Choices<'a> {
    /// Decisions of a seed, without end.
    pub const fn seeded(seed: u64) -> Self {
        Self { bytes: None, state: seed }
    }

    /// Decisions of bytes; past their end every decision is the first, which generators make the simplest.
    pub const fn of_bytes(bytes: &'a [u8]) -> Self {
        Self { bytes: Some(bytes), state: 0 }
    }

    /// `SplitMix64` (Steele, Lea and Flood, 2014).
    fn next_word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of 16 bits.
    fn next_u16(&mut self) -> u32 {
        let Some(bytes) = self.bytes.as_mut() else { return (self.next_word() >> 48) as u32 };
        let mut word = [0; 2];
        for slot in &mut word {
            if let Some((first, rest)) = bytes.split_first() {
                *slot = *first;
                *bytes = rest;
            }
        }
        u32::from(u16::from_le_bytes(word))
    }

    /// A number below `n`; 0 if `n` is 0. `n` is at most 65,536.
    pub fn below(&mut self, n: u32) -> u32 {
        self.next_u16() % n.max(1)
    }

    /// A number from `lo` to `hi`, both included.
    pub fn between(&mut self, lo: u32, hi: u32) -> u32 {
        lo + self.below(hi.saturating_sub(lo) + 1)
    }

    /// True in `parts` cases of `whole`.
    pub fn chance(&mut self, parts: u32, whole: u32) -> bool {
        self.below(whole) >= whole.saturating_sub(parts)
    }

    /// One of some values; the default of an empty slice.
    pub fn pick<T: Clone + Default>(&mut self, of: &[T]) -> T {
        let at = self.below(u32::try_from(of.len()).unwrap_or(u32::MAX));
        of.get(at as usize).cloned().unwrap_or_default()
    }

    /// A number from 0 to 1.
    pub fn fraction(&mut self) -> f64 {
        f64::from(self.next_u16()) / 65_535.0
    }
}
