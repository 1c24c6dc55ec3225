//! The rows that every contestant gets.

/// An account that wanders: equity, and its drawdown from the peak. The same each time.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Money, 1,000 and more.
    pub equity: Vec<f64>,
    /// Fraction of the highest equity until then.
    pub drawdown: Vec<f64>,
}

impl Rows {
    /// So many bars.
    pub fn new(bars: usize) -> Self {
        let mut state = 7_u64;
        let (mut equity, mut peak) = (100_000.0_f64, 100_000.0_f64);
        let (equity, drawdown) = (0..bars)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                #[expect(clippy::cast_precision_loss, reason = "a random step")]
                let step = (state >> 40) as f64 / f64::from(1 << 24) - 0.499;
                equity = (equity + step * 200.0).max(1_000.0);
                peak = peak.max(equity);
                (equity, 1.0 - equity / peak)
            })
            .unzip();
        Self { equity, drawdown }
    }

    /// How many.
    pub const fn bars(&self) -> usize {
        self.equity.len()
    }
}
