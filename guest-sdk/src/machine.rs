//! A run: checks before the author's function, holds and results after it.

use rulebox_abi::{MISSING, TIME_MISSING as NO_TIME, Verdict};

use crate::declared::{self, Action, Declared, FAULTS_OF_AN_INPUT, Hold, Input, KEEP_OUT_OF_RANGE, NOT_FINITE, Type};
use crate::memory::{Kept, Memory, ROWS, Times};
use crate::plain::Plain;

/// Where a bar stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Bars before this one: 0 on the first. The rest is 0 and false in rules without a `clock`.
    pub index: u64,
    /// Milliseconds since 1970.
    pub time: i64,
    /// Days since 1970-01-01 of the trading day.
    pub local_day: i32,
    /// Whether this is the first bar of another trading day; false on bar 0.
    pub new_day: bool,
    /// Minute of the wall clock's day, 0 to 1439.
    pub minute_of_day: u16,
    /// Weekday of the calendar date, 1 (Monday) to 7.
    pub weekday: u8,
}

/// What an author's function gave, in the layout of columns.
#[derive(Clone, Copy, Debug)]
pub struct Answer<const O: usize, const N: usize, const V: usize> {
    /// A fault, as an index into the manifest's spans. Nothing else counts then.
    pub fault: Option<usize>,
    /// Bit i: statement i.
    pub fired: u32,
    /// Out values.
    pub outs: [f64; O],
    /// The fraction of each statement.
    pub keep: [f64; N],
    /// Message values.
    pub values: [f64; V],
}

impl<const O: usize, const N: usize, const V: usize> Answer<O, N, V> {
    /// Nothing to say.
    pub const OK: Self = Self { fault: None, fired: 0, outs: [MISSING; O], keep: [MISSING; N], values: [MISSING; V] };

    /// A statement gives its verdict, with the values from `first_value` on.
    pub fn fire(&mut self, statement: usize, keep: f64, first_value: usize, values: &[f64]) {
        if let Some(cell) = self.keep.get_mut(statement) {
            self.fired |= 1 << statement;
            *cell = keep;
        }
        for (cell, value) in self.values.iter_mut().skip(first_value).zip(values) {
            *cell = *value;
        }
    }
}

/// The state of a rule before its first bar.
pub trait Start {
    /// Puts the state at bar 0; it is all zero.
    fn start(&mut self);
}

/// The author's part of a rule: what [`crate::rule!`] makes of the state and its function.
pub trait Program<const P: usize, const I: usize, const O: usize, const N: usize, const V: usize>:
    Plain + Start
{
    /// What the rule declares.
    const DECLARED: &'static Declared;

    /// One bar. The cells were checked: required inputs are there, and all are in their ranges.
    fn on_bar(&mut self, cells: &[f64; I], params: &[f64; P], moment: Moment) -> Answer<O, N, V>;
}

mod sealed {
    /// What is made of [`crate::Plain`] alone.
    pub trait Sealed {}
}

/// A module as its exports and [`crate::Runner`] drive it.
///
/// INVARIANT: sealed, since a runner makes one out of zeros: [`Run`] alone is one, of which all bits 0 are a value.
pub trait Machine: sealed::Sealed {
    /// Takes the params out of their buffer and goes to bar 0; a negative number refuses them.
    fn init(&mut self, params: i32) -> i32;
    /// The bytes of a buffer; `None` for one that the rule does not use.
    fn buffer(&mut self, kind: i32, index: i32) -> Option<&mut [u8]>;
    /// Back to bar 0.
    fn reset(&mut self);
    /// Runs bars; a negative number if it cannot run as many.
    fn eval(&mut self, rows: i32) -> i32;
    /// The bytes that resume a run.
    fn state(&mut self) -> &mut [u8];
}

/// A memory and the program that it is for.
#[repr(transparent)]
pub struct Run<
    S,
    const P: usize,
    const I: usize,
    const T: usize,
    const O: usize,
    const N: usize,
    const V: usize,
    const K: usize,
    const H: usize,
    const HV: usize,
>(Memory<S, P, I, T, O, V, K, H, HV>);

impl<
    S: Program<P, I, O, N, V>,
    const P: usize,
    const I: usize,
    const T: usize,
    const O: usize,
    const N: usize,
    const V: usize,
    const K: usize,
    const H: usize,
    const HV: usize,
> Run<S, P, I, T, O, N, V, K, H, HV>
{
    /// All zero, and of use after `init`.
    pub const NEW: Self = Self(Memory::NEW);
    /// Bytes of its state.
    pub const STATE_BYTES: usize = size_of::<Kept<S, H, HV>>();

    #[inline]
    fn row(&mut self, row: usize) {
        let memory = &mut self.0;
        let said = match usize::try_from(memory.kept.latch) {
            Ok(0) => Self::bar(memory, row),
            latch => Err(latch.unwrap_or(usize::MAX).wrapping_sub(1)),
        };
        let (verdict, fired) = match said {
            Ok(said) => said,
            Err(fault) => {
                memory.kept.latch = fault as u64 + 1;
                memory.outs.iter_mut().for_each(|out| out.write(row, MISSING));
                (Verdict::Fault, u32::try_from(fault).unwrap_or(u32::MAX))
            }
        };
        memory.verdicts.write(row, verdict as u8);
        memory.fired.write(row, fired);
    }

    /// One bar without a latched fault: its verdict and its fired statements, or its fault.
    #[inline]
    fn bar(memory: &mut Memory<S, P, I, T, O, V, K, H, HV>, row: usize) -> Result<(Verdict, u32), usize> {
        let mut cells = [0.0; I];
        for (i, ((cell, column), input)) in cells.iter_mut().zip(&memory.inputs).zip(S::DECLARED.inputs).enumerate() {
            *cell = column.read(row);
            check(*cell, input).map_err(|fault| i * FAULTS_OF_AN_INPUT + fault)?;
        }
        let kept = &mut memory.kept;
        let moment = match memory.times.first() {
            Some(times) => timed(times, row, kept).map_err(|fault| S::DECLARED.general_fault(fault))?,
            None => Moment { index: kept.index, ..Moment::default() },
        };
        let mut answer = kept.author.on_bar(&cells, &memory.params, moment);
        if let Some(fault) = answer.fault {
            return Err(fault);
        }
        sound(&answer).map_err(|fault| S::DECLARED.general_fault(fault))?;
        hold::<S, P, I, O, N, V, H, HV>(&mut answer, kept, moment);
        // Saturates: a forged state must not trap.
        kept.index = kept.index.saturating_add(1);
        (kept.time, kept.local_day) = (moment.time, i64::from(moment.local_day));

        for (column, value) in memory.outs.iter_mut().zip(answer.outs) {
            column.write(row, value);
        }
        for (column, value) in memory.values.iter_mut().zip(answer.values) {
            column.write(row, value);
        }
        let winner = winner(S::DECLARED, answer.fired);
        let keep = winner.and_then(|(statement, _)| answer.keep.get(statement).copied()).unwrap_or(MISSING);
        memory.keep.iter_mut().for_each(|column| column.write(row, keep));
        Ok((winner.map_or(Verdict::Ok, |(_, statement)| statement.verdict), answer.fired))
    }
}

/// Whether a cell is what its input declares; else which of its faults it is.
#[inline]
fn check(cell: f64, input: &Input) -> Result<(), usize> {
    if cell.is_nan() {
        return if input.optional { Ok(()) } else { Err(0) };
    }
    let valid = match input.ty {
        Type::Bool => matches!(cell, 0.0 | 1.0),
        _ => cell.is_finite(),
    };
    match input.range {
        _ if !valid => Err(1),
        Some(range) if cell < range.low || cell > range.high => Err(2),
        _ => Ok(()),
    }
}

/// The moment of a bar of a rule that uses time.
fn timed<S, const H: usize, const HV: usize>(
    times: &Times,
    row: usize,
    kept: &Kept<S, H, HV>,
) -> Result<Moment, usize> {
    let (time, local_day) = (times.time.read(row), times.local_day.read(row));
    if time == NO_TIME {
        return Err(declared::TIME_MISSING);
    }
    if kept.index > 0 && time < kept.time {
        return Err(declared::TIME_BACKWARDS);
    }
    Ok(Moment {
        index: kept.index,
        time,
        local_day,
        new_day: kept.index > 0 && i64::from(local_day) != kept.local_day,
        minute_of_day: u16::try_from(times.minute_of_day.read(row)).unwrap_or(0),
        weekday: u8::try_from(times.weekday.read(row)).unwrap_or(0),
    })
}

/// Whether an answer has no infinity (what is not a number was made one), and fractions that are such.
#[inline]
fn sound<const O: usize, const N: usize, const V: usize>(answer: &Answer<O, N, V>) -> Result<(), usize> {
    if answer.outs.iter().chain(&answer.values).any(|value| value.is_infinite()) {
        return Err(NOT_FINITE);
    }
    // A statement that does not reduce has no fraction: missing.
    if answer.keep.iter().any(|keep| *keep < 0.0 || *keep > 1.0) {
        return Err(KEEP_OUT_OF_RANGE);
    }
    Ok(())
}

/// Starts the holds of the statements that fired, and lets those fire that are held.
#[inline]
fn hold<
    S: Program<P, I, O, N, V>,
    const P: usize,
    const I: usize,
    const O: usize,
    const N: usize,
    const V: usize,
    const H: usize,
    const HV: usize,
>(
    answer: &mut Answer<O, N, V>,
    kept: &mut Kept<S, H, HV>,
    moment: Moment,
) {
    let slots = kept.hold_index.iter_mut().zip(&mut kept.hold_time).zip(&mut kept.hold_keep);
    let statements = S::DECLARED.statements.iter().zip(&mut answer.keep).zip(slots).enumerate();
    let mut first_value = 0;
    for (i, ((statement, keep), ((hold_index, hold_time), hold_keep))) in statements {
        let count = statement.args.len();
        let values = answer.values.iter_mut().zip(&mut kept.hold_values).skip(first_value).take(count);
        first_value += count;
        let Some(hold) = statement.hold else { continue };
        let bit = 1_u32 << i;
        if answer.fired & bit != 0 {
            kept.held |= u64::from(bit);
            (*hold_index, *hold_time, *hold_keep) = (moment.index, moment.time, *keep);
            values.for_each(|(value, held)| *held = *value);
            continue;
        }
        let in_force = match hold {
            Hold::Bars(bars) => moment.index < hold_index.saturating_add(bars),
            Hold::Millis(millis) => moment.time < hold_time.saturating_add(millis),
            Hold::Day => !moment.new_day,
            Hold::Forever => true,
        };
        if kept.held & u64::from(bit) == 0 {
            continue;
        }
        if in_force {
            answer.fired |= bit;
            *keep = *hold_keep;
            values.for_each(|(value, held)| *value = *held);
        } else {
            kept.held &= !u64::from(bit);
        }
    }
}

/// The statement that gives a bar's verdict, by its index: the most severe, and of equals the first.
#[inline]
fn winner(rule: &'static Declared, fired: u32) -> Option<(usize, &'static declared::Statement)> {
    let statements = rule.statements.iter().enumerate().filter(|(i, _)| fired >> i & 1 != 0);
    statements.reduce(|best, next| if next.1.rank() > best.1.rank() { next } else { best })
}

/// Whether the params in the buffer are what the rule declares. A host has checked them; the author's function may
/// rely on it, so they are checked here too.
fn accepts(rule: &Declared, params: &[f64]) -> bool {
    rule.params.iter().zip(params).all(|(param, value)| declared::accepts(param, *value))
}

impl<
    S,
    const P: usize,
    const I: usize,
    const T: usize,
    const O: usize,
    const N: usize,
    const V: usize,
    const K: usize,
    const H: usize,
    const HV: usize,
> sealed::Sealed for Run<S, P, I, T, O, N, V, K, H, HV>
{
}

impl<
    S: Program<P, I, O, N, V>,
    const P: usize,
    const I: usize,
    const T: usize,
    const O: usize,
    const N: usize,
    const V: usize,
    const K: usize,
    const H: usize,
    const HV: usize,
> Machine for Run<S, P, I, T, O, N, V, K, H, HV>
{
    fn init(&mut self, params: i32) -> i32 {
        if usize::try_from(params) != Ok(P) || !accepts(S::DECLARED, &self.0.params) {
            return -1;
        }
        self.reset();
        0
    }

    fn buffer(&mut self, kind: i32, index: i32) -> Option<&mut [u8]> {
        self.0.bytes(kind, usize::try_from(index).ok()?)
    }

    fn reset(&mut self) {
        // In place, and not by a constant: a module would carry it, and a window of 10,000 bars is 80 kB.
        self.0.state().fill(0);
        self.0.kept.author.start();
    }

    fn eval(&mut self, rows: i32) -> i32 {
        match usize::try_from(rows) {
            Ok(rows @ 1..=ROWS) => {
                (0..rows).for_each(|row| self.row(row));
                0
            }
            _ => -1,
        }
    }

    fn state(&mut self) -> &mut [u8] {
        self.0.state()
    }
}

/// The fraction that a statement without `reduce` gives.
pub const NO_FRACTION: f64 = MISSING;

/// A fraction as [`Answer::fire`] takes it: NaN is none, so it is made one that is refused.
pub const fn fraction(keep: f64) -> f64 {
    if keep.is_nan() { -1.0 } else { keep }
}

const _: () = assert!((Action::Liquidate as u8) < 4, "a rank has two bits for the action");
