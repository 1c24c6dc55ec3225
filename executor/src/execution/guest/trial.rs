//! The trial of a module at its upload: it runs with its defaults over a few bars at the bounds of its inputs, and what
//! it does is held against its manifest.
//!
//! What a module may do to itself on some bars (trap, spend its fuel) is no reason to refuse it: whoever evaluates it is
//! told then. What can never be right is: a module that does not start, has other buffers than its manifest, or breaks
//! the ABI. A lie that shows on no bar of the trial stays one, and can make that module's own answers wrong.

use std::ops::Range;
use std::time::Duration;

use rulebox_abi::Verdict;
use rulebox_abi::columns::OutputColumns;
use rulebox_dsl::manifest::Manifest;
use rulebox_dsl::outcome::normalise;
use rulebox_sandbox::{InputError, Limits, Messages, RunError, Violation, ViolationKind};

use super::ManifestError;
use super::trial_bars::{BARS, Bars};
use crate::execution::prepared::Prepared;

/// Fuel of the trial: a bar of a good module takes a hundredth of it.
const FUEL: u64 = 20_000_000;
/// Of each call: a hundred times what that fuel takes.
const DEADLINE: Duration = Duration::from_secs(10);

/// What the trial of a module that is kept has shown.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// Bytes of its state, if it has any.
    pub state_bytes: Option<u32>,
    /// Units of fuel of the dearest bar that it ended.
    pub bar_fuel: u64,
    /// Where it was stopped, if it was.
    pub stopped: Option<Stopped>,
}

/// A trial that was stopped: what comes from there on was not checked.
#[derive(Clone, Debug)]
pub struct Stopped {
    /// The bar, from 0.
    pub bar: usize,
    /// For what.
    pub violation: Box<Violation>,
}

/// Why a module is not kept.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// It is not what its manifest says.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It was stopped where no good module is.
    #[error("in a trial with its defaults, the module was stopped: {}{}", .violation.detail, .declared.as_deref().unwrap_or_default())]
    Stopped {
        /// For what.
        violation: Box<Violation>,
        /// What its manifest declares, which may be more than it has.
        declared: Option<String>,
    },
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
            Self::Stopped { violation, .. } => Some(violation.kind),
            Self::Unsteady(_) => Some(ViolationKind::AbiBreach),
            Self::Run(_) => None,
        }
    }
}

impl From<RunError> for TrialError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Violation(violation) => Self::Stopped { violation, declared: None },
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

/// Runs a module within these limits, and says what that has shown.
///
/// # Errors
/// If the module is not what its manifest says, or not what the ABI wants.
pub fn run(prepared: &Prepared, limits: &Limits) -> Result<Tried, TrialError> {
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
    let state_bytes = trial.start().map_err(|error| error.beside(&prepared.manifest))?;
    trial.check_buffers()?;
    let tried = Tried { state_bytes, ..Tried::default() };
    trial.check_bars(tried)
}

impl TrialError {
    /// A module that breaks the ABI when it is set up may have other buffers than its manifest says.
    fn beside(self, manifest: &Manifest) -> Self {
        match self {
            Self::Stopped { violation, .. } if violation.kind == ViolationKind::AbiBreach => {
                let declared = Some(format!(". {}", declared(manifest)));
                Self::Stopped { violation, declared }
            }
            other => other,
        }
    }
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

    /// Runs the bars one a call, in one call, and handed on in the middle: the results must be the same. Of a module
    /// that is stopped, the bars before.
    fn check_bars(&self, mut tried: Tried) -> Result<Tried, TrialError> {
        let manifest = &*self.prepared.manifest;
        let bars = Bars::of(manifest);
        let single = self.one_by_one(&bars, &mut tried)?;
        check_words(manifest, &single)?;
        let count = single.verdicts.len();
        if count == 0 {
            return Ok(tried);
        }
        let rows = 0..count;
        let whole = stopped_or(&mut tried, self.bars(&bars, std::slice::from_ref(&rows)))?;
        if whole.is_some_and(|whole| whole != single) {
            return Err(TrialError::Unsteady("the module said other things when its bars came one by one"));
        }
        if tried.state_bytes.is_none() {
            return Ok(tried);
        }
        // The first has no bars: the state before bar 0 is handed on too.
        let parts = [0..0, 0..count / 2, count / 2..count];
        let parts = stopped_or(&mut tried, self.bars(&bars, &parts))?;
        if parts.is_some_and(|parts| parts != single) {
            return Err(TrialError::Unsteady(
                "the module said other things when its state was saved and restored in another instance",
            ));
        }
        Ok(tried)
    }

    /// The results of the bars before the one on which the module was stopped.
    fn one_by_one(&self, bars: &Bars, tried: &mut Tried) -> Result<OutputColumns, TrialError> {
        let Prepared { module, manifest, .. } = self.prepared;
        let mut results = OutputColumns::default();
        let begun = module.begin(self.prepared.setup(&self.params, &self.limits), None, false);
        let Some(mut run) = stopped_or(tried, begun.map_err(|error| (0, error)))? else { return Ok(results) };
        for bar in 0..BARS {
            let before = run.report().fuel;
            let ran = bars.rows(self.prepared, bar..bar + 1, |input| run.batch(input, bar, &mut results));
            if stopped_or(tried, ran.map_err(|error| (bar, error)))?.is_none() {
                break;
            }
            tried.bar_fuel = tried.bar_fuel.max(run.report().fuel.saturating_sub(before));
        }
        normalise(&mut results, manifest);
        Ok(results)
    }

    /// The results of these parts of the bars, each from the state that the one before has left.
    fn bars(&self, bars: &Bars, parts: &[Range<usize>]) -> Result<OutputColumns, (usize, RunError)> {
        let Prepared { module, manifest, .. } = self.prepared;
        let setup = self.prepared.setup(&self.params, &self.limits);
        let mut results = OutputColumns::default();
        let mut state = None;
        for rows in parts {
            let first = rows.start;
            let keeps = parts.len() > 1;
            state = bars
                .rows(self.prepared, rows.clone(), |input| {
                    let mut run = module.begin(setup, state.as_deref(), keeps)?;
                    if input.rows > 0 {
                        run.batch(input, first, &mut results)?;
                    }
                    if keeps { run.state().map(Some) } else { Ok(None) }
                })
                .map_err(|error| (first, error))?;
        }
        normalise(&mut results, manifest);
        Ok(results)
    }
}

/// What a module may do to itself is noted, the first time; what can never be right is an error.
fn stopped_or<T>(tried: &mut Tried, ran: Result<T, (usize, RunError)>) -> Result<Option<T>, TrialError> {
    match ran {
        Ok(done) => Ok(Some(done)),
        Err((bar, RunError::Violation(violation))) if violation.kind != ViolationKind::AbiBreach => {
            tried.stopped.get_or_insert(Stopped { bar, violation });
            Ok(None)
        }
        Err((_, error)) => Err(error.into()),
    }
}

/// Whether the words of the results have a statement, and a text of its fault, in the manifest.
fn check_words(manifest: &Manifest, results: &OutputColumns) -> Result<(), TrialError> {
    let words = results.verdicts.iter().map(|verdict| Verdict::from_byte(*verdict)).zip(&results.fired).enumerate();
    for (bar, (verdict, word)) in words {
        match verdict {
            Some(Verdict::Warn | Verdict::Breach) if u64::from(*word) >> manifest.statements.len() != 0 => {
                let (bit, count) = (31 - word.leading_zeros(), manifest.statements.len());
                let problem = format!(
                    "on bar {bar} of the trial, bit {bit} of the module's fired word was set, which is statement {bit} \
                     from 0 on, and {count} are declared: declare all"
                );
                return Err(ManifestError::contradicted("statements", problem).into());
            }
            Some(Verdict::Fault) if usize::try_from(*word).map_or(true, |word| word >= manifest.spans.len()) => {
                let count = manifest.spans.len();
                let problem = format!(
                    "on bar {bar} of the trial, the module faulted with the word {word}, an index from 0 on, and {count} \
                     are declared: declare a text for each of its faults"
                );
                return Err(ManifestError::contradicted("spans", problem).into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a module with other buffers contradicts.
fn contradiction(manifest: &Manifest, detail: &str) -> String {
    format!("it is not what the module has: {detail}. {}", declared(manifest))
}

fn declared(manifest: &Manifest) -> String {
    let names =
        |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { format!("`{}`", names.join("`, `")) };
    let params = names(manifest.params.iter().map(|param| param.name.as_str()).collect());
    let inputs = names(manifest.inputs.iter().map(|input| input.name.as_str()).collect());
    let outs = names(manifest.outs.iter().map(|out| out.name.as_str()).collect());
    format!(
        "The manifest declares as its params {params}, its inputs {inputs}, its outs {outs}, its message values {}; its \
         `uses_time` is {}. Declare each that `rulebox_buffer` gives an address for, in the order of its indexes, and no \
         other",
        manifest.message_values(),
        manifest.uses_time
    )
}
