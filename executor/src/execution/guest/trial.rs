//! The trial of a module at its upload: it runs with its defaults over a few bars at the bounds of its inputs, and what
//! it does is held against its manifest.
//!
//! What a module may do to itself on some bars (trap, spend its fuel) is no reason to refuse it: whoever evaluates it is
//! told then. What can never be right is: a module that does not start, has other buffers than its manifest, or breaks
//! the ABI. A lie that shows on no bar of the trial stays one, and can make that module's own answers wrong.

use std::ops::Range;
use std::time::Duration;

use rulebox_abi::Verdict;
use rulebox_abi::columns::{InputColumns, OutputColumns};
use rulebox_dsl::manifest::{InputInfo, Manifest, ValueType};
use rulebox_dsl::outcome::normalise;
use rulebox_sandbox::{InputError, Limits, Messages, RunError, Violation, ViolationKind};

use super::manifest::ManifestError;
use crate::execution::prepared::Prepared;

/// Fuel of the trial: a bar of a good module takes a hundredth of it.
const FUEL: u64 = 20_000_000;
/// Of each call: a hundred times what that fuel takes.
const DEADLINE: Duration = Duration::from_secs(10);
/// Bars of the trial; in the middle of them a session is handed on.
const BARS: usize = 8;
/// 2026-01-05, a Monday, 00:00 UTC.
const FIRST_TIME: i64 = 1_767_571_200_000;
/// Seven hours: the bars are of three days.
const STEP: i64 = 7 * 3_600_000;

/// Why a module is not kept.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// It is not what its manifest says.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It was stopped where no good module is.
    #[error("in a trial with its defaults, the module was stopped: {}", .0.detail)]
    Stopped(Box<Violation>),
    /// It says other things of the same bars.
    #[error("in a trial, {0}")]
    Unsteady(&'static str),
    /// The trial itself failed.
    #[error("the trial failed")]
    Run(#[source] RunError),
}

impl TrialError {
    /// Name of the kind of violation that it is; none if it is no fault of the module's.
    pub fn kind(&self) -> Option<ViolationKind> {
        match self {
            Self::Manifest(_) => Some(ViolationKind::ModuleInvalid),
            Self::Stopped(violation) => Some(violation.kind),
            Self::Unsteady(_) => Some(ViolationKind::AbiBreach),
            Self::Run(_) => None,
        }
    }
}

impl From<RunError> for TrialError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Violation(violation) => Self::Stopped(violation),
            RunError::ParamsRefused(code) => Self::Manifest(ManifestError::contradicted(
                "params",
                format!(
                    "`rulebox_init` refuses their defaults with {code}: declare the params that the module takes, in \
                     its order, with defaults that it accepts"
                ),
            )),
            other => Self::Run(other),
        }
    }
}

/// Runs a module within these limits, and gives the bytes of its state, if it has any.
///
/// # Errors
/// If the module is not what its manifest says, or not what the ABI wants.
pub fn run(prepared: &Prepared, limits: &Limits) -> Result<Option<u32>, TrialError> {
    let limits = Limits {
        fuel: limits.fuel.min(FUEL),
        // Fuel decides: a busy machine refuses nobody.
        deadline: limits.deadline.max(DEADLINE),
        messages: Messages::Flagged,
        every_buffer: false,
        ..*limits
    };
    let params: Vec<f64> = prepared.manifest.params.iter().map(|param| param.default).collect();
    let trial = Trial { prepared, params, limits };
    let state_bytes = trial.start()?;
    trial.check_buffers()?;
    trial.check_bars(state_bytes.is_some())?;
    Ok(state_bytes)
}

struct Trial<'a> {
    prepared: &'a Prepared,
    params: Vec<f64>,
    limits: Limits,
}

impl Trial<'_> {
    /// Starts the module, and asks for its state.
    fn start(&self) -> Result<Option<u32>, TrialError> {
        let Prepared { module, manifest, .. } = self.prepared;
        let state = match module.initial_state(self.prepared.setup(&self.params, &self.limits)) {
            Err(RunError::Input(InputError::NoState)) => return Ok(None),
            state => state?,
        };
        let bytes = u32::try_from(state.len()).unwrap_or(u32::MAX);
        if manifest.state_bytes != 0 && manifest.state_bytes != bytes {
            let said = manifest.state_bytes;
            let problem = format!("`rulebox_state` gives {bytes}, not {said}: write that, or 0");
            return Err(ManifestError::contradicted("state_bytes", problem).into());
        }
        Ok(Some(bytes))
    }

    /// Whether the module has the buffers of its manifest, and no others.
    fn check_buffers(&self) -> Result<(), TrialError> {
        let Prepared { module, manifest, .. } = self.prepared;
        let limits = Limits { every_buffer: true, ..self.limits };
        let begun = module.begin(self.prepared.setup(&self.params, &limits), None, false);
        match begun.and_then(|mut run| run.ready()) {
            Err(RunError::Violation(violation)) if violation.kind == ViolationKind::AbiBreach => {
                Err(ManifestError::contradicted("", contradiction(manifest, &violation.detail)).into())
            }
            // It was started before: it traps where it is asked for a column that it does not have. Its right.
            Ok(()) | Err(RunError::Violation(_)) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    /// Runs the bars in one call, one a call, and handed on in the middle: the results must be the same.
    fn check_bars(&self, has_state: bool) -> Result<(), TrialError> {
        let manifest = &*self.prepared.manifest;
        let bars = Bars::of(manifest);
        let Some(whole) = self.bars(&bars, self.limits.chunk_rows, How::Whole)? else { return Ok(()) };
        let bits = 1_u64 << manifest.statements.len();
        let flagged = |verdict| matches!(Verdict::from_byte(verdict), Some(Verdict::Warn | Verdict::Breach));
        let rows = whole.verdicts.iter().zip(&whole.fired);
        if let Some((_, fired)) = rows.clone().find(|(verdict, fired)| flagged(**verdict) && u64::from(**fired) >= bits)
        {
            let (last, count) = (31 - fired.leading_zeros(), manifest.statements.len());
            let problem = format!("statement {last} of the module fired, and {count} are declared: declare all");
            return Err(ManifestError::contradicted("statements", problem).into());
        }
        if self.bars(&bars, 1, How::Whole)?.is_some_and(|single| single != whole) {
            return Err(TrialError::Unsteady("the module said other things when its bars came one by one"));
        }
        if has_state && self.bars(&bars, self.limits.chunk_rows, How::HandedOn)?.is_some_and(|parts| parts != whole) {
            return Err(TrialError::Unsteady(
                "the module said other things when its state was saved and restored in another instance",
            ));
        }
        Ok(())
    }

    /// The results; none if the module was stopped for what it did on these bars.
    fn bars(&self, bars: &Bars, chunk_rows: u32, how: How) -> Result<Option<OutputColumns>, TrialError> {
        let Prepared { module, manifest, .. } = self.prepared;
        let limits = Limits { chunk_rows, ..self.limits };
        let setup = self.prepared.setup(&self.params, &limits);
        let mut results = OutputColumns::default();
        let ran = match how {
            How::Whole => self.columns(bars, 0..BARS, |input| module.run(setup, input, &mut results).map(drop)),
            How::HandedOn => (|| {
                let mut state = module.initial_state(setup)?;
                for rows in [0..BARS / 2, BARS / 2..BARS] {
                    state = self.columns(bars, rows, |input| {
                        let resumed = module.resume(setup, &state, input, &mut results);
                        resumed.map(|(state, _)| state)
                    })?;
                }
                Ok(())
            })(),
        };
        match ran {
            Ok(()) => {
                normalise(&mut results, manifest);
                Ok(Some(results))
            }
            Err(RunError::Violation(violation)) if violation.kind != ViolationKind::AbiBreach => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Some of the bars, as a module takes them.
    fn columns<T>(&self, bars: &Bars, rows: Range<usize>, use_them: impl FnOnce(&InputColumns<'_>) -> T) -> T {
        let inputs: Vec<_> = bars.inputs.iter().filter_map(|column| column.get(rows.clone())).collect();
        let times = bars.times.get(rows.clone()).unwrap_or_default();
        let local = self.prepared.calendar.as_ref().map(|calendar| calendar.local(times));
        let time = local.as_ref().map(|local| local.view(times));
        use_them(&InputColumns { rows: rows.len(), inputs: &inputs, time })
    }
}

/// How the bars are run.
#[derive(Clone, Copy)]
enum How {
    /// In one instance.
    Whole,
    /// In two, by its state.
    HandedOn,
}

/// What a module with other buffers contradicts.
fn contradiction(manifest: &Manifest, detail: &str) -> String {
    let names =
        |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { format!("`{}`", names.join("`, `")) };
    let inputs = names(manifest.inputs.iter().map(|input| input.name.as_str()).collect());
    let outs = names(manifest.outs.iter().map(|out| out.name.as_str()).collect());
    format!(
        "it is not what the module has: {detail}. Its inputs are {inputs}, its outs {outs}, its message values {}; \
         `uses_time` is {}. Declare what `rulebox_buffer` knows, in its order",
        manifest.message_values(),
        manifest.uses_time
    )
}

/// Bars at the bounds of what a manifest admits.
struct Bars {
    inputs: Vec<Vec<f64>>,
    times: Vec<i64>,
}

impl Bars {
    fn of(manifest: &Manifest) -> Self {
        let steps = (0..).take(BARS).map(|bar: i64| FIRST_TIME + bar * STEP);
        Self { inputs: manifest.inputs.iter().map(column).collect(), times: steps.collect() }
    }
}

/// The middle, both ends in turn and, last, what is missing: a required one may be a fault from then on.
fn column(input: &InputInfo) -> Vec<f64> {
    let (low, high) = match (input.ty, input.range) {
        (ValueType::Bool, _) => (0.0, 1.0),
        (_, Some([low, high])) => (low, high),
        (_, None) => (-1e9, 1e9),
    };
    // Of a range that is as wide as a double can be, the sum is not.
    let middle = if input.ty == ValueType::Bool { 0.0 } else { low / 2.0 + high / 2.0 };
    let missing = if input.optional { f64::NAN } else { middle };
    vec![middle, high, low, high, missing, low, low, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_inside_of_ranges() {
        let input = |ty, range, optional| InputInfo { name: "x".to_owned(), ty, optional, range };
        for (ty, range) in [
            (ValueType::Num, None),
            (ValueType::Num, Some([0.01, 1e9])),
            (ValueType::Num, Some([-f64::MAX, f64::MAX])),
            (ValueType::Num, Some([3.0, 3.0])),
        ] {
            let column = column(&input(ty, range, false));
            assert_eq!(column.len(), BARS);
            let [low, high] = range.unwrap_or([-1e9, 1e9]);
            assert!(column.iter().all(|value| (low..=high).contains(value)), "{column:?}");
        }
        assert!(column(&input(ValueType::Bool, None, false)).iter().all(|value| matches!(value, 0.0 | 1.0)));
        assert!(column(&input(ValueType::Num, None, true)).iter().any(|value| value.is_nan()));
    }
}
