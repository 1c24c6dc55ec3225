//! The self-test of all that stops modules: the limits of the sandbox, and beside them what this program holds modules
//! against that the sandbox does not know.
//!
//! A limit that does not hold, and a check that finds nothing, look like nothing at all until somebody needs them. So
//! `rulebox selftest` tries each; and no service starts before it has tried those that are quick ([`quick`]).

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rulebox_abi::columns::{InputColumns, OutputColumns};
use rulebox_dsl::Compiled;
use rulebox_sandbox::selftest::{self, Check, frame};
use rulebox_sandbox::worker::{JobLimits, Setup};
use rulebox_sandbox::{Digest, ModuleLimits, Sandbox};
use tokio_util::sync::CancellationToken;

use super::compile::over_cost;
use super::differential::{Verdict, boundary};
use super::modules::LoadError;
use super::prepared::{Prepared, proved, shape};
use super::workers::{Workers, WorkersConfig};
use crate::confinement::Policy;
use crate::domain::violation::Kind;

/// A limit that does not hold, or a check that finds nothing.
#[derive(Debug, thiserror::Error)]
#[error(
    "the self-test fails: `{name}` should have ended with `{expected}`, and ended with `{got}`. Modules are not safe to \
     run here, and none is: run `rulebox selftest` on this machine, and if it says the same, use another build or another \
     machine, and report it"
)]
pub struct NotHeld {
    /// What was tried.
    pub name: &'static str,
    /// The outcome that it must have.
    pub expected: &'static str,
    /// The outcome that it had.
    pub got: String,
}

/// Kinds that a module can cause and that no self-test tries, each with the reason.
pub const NOT_TRIED: [(Kind, &str); 1] = [(
    Kind::ExecutorDied,
    "it takes a process that dies, which no module is known to be able to cause; what is done then is tried by the \
     service's own tests, which kill executors",
)];

/// A rule, and the same with another number: its module says other things.
const TEXT: &str = "rule selftest(x: num in 0..1e9) { out o = x * 0.1 if x > 5000 { breach \"x {x}\" } }";
const OTHER: &str = "rule selftest(x: num in 0..1e9) { out o = x * 0.1 if x >= 5000.5 { breach \"x {x}\" } }";

/// Tries what is quick: some tens of milliseconds, and every kind of limit that modules are run within.
///
/// # Errors
/// The first that does not hold.
pub fn quick(sandbox: &Sandbox) -> Result<usize, NotHeld> {
    let mut checks = selftest::quick(sandbox);
    checks.push(cost_over_bound(sandbox));
    checks.push(differential(sandbox));
    let tried = checks.len();
    match checks.into_iter().find(|check| !check.passed) {
        None => Ok(tried),
        Some(Check { name, expected, got, .. }) => Err(NotHeld { name, expected, got }),
    }
}

/// Tries all of it. `program` is what compile workers are started from, this one if not named.
pub fn all(sandbox: &Sandbox, program: Option<&Path>) -> Vec<Check> {
    let mut checks = selftest::run(sandbox);
    checks.push(compile_killed(sandbox, program));
    checks.push(cost_limit());
    checks.push(cost_over_bound(sandbox));
    checks.push(differential(sandbox));
    checks
}

fn check(name: &'static str, expected: &'static str, got: impl FnOnce() -> String) -> Check {
    let began = Instant::now();
    let got = got();
    Check { name, expected, passed: got == expected, got, elapsed: began.elapsed(), fuel: 0 }
}

/// A module whose machine code has more bytes than it may; and then one in the same worker that may have as many.
fn compile_killed(sandbox: &Sandbox, program: Option<&Path>) -> Check {
    let load = |artifact_bytes: usize| {
        let job = JobLimits { artifact_bytes, ..JobLimits::default() };
        let setup = Setup { sandbox: sandbox.config().clone(), module: ModuleLimits::default(), job };
        let config = WorkersConfig {
            processes: 1,
            program: program.map(Path::to_path_buf),
            confinement: Policy::BestEffort,
            setup,
        };
        let Ok(module) = frame::assemble("") else { return "not WebAssembly text".to_owned() };
        match Workers::new(config).load(sandbox, Digest::of(&module), &module) {
            Ok(_) => "ok".to_owned(),
            Err(LoadError::Refused(refusal)) => refusal.kind.name().to_owned(),
            Err(error) => error.to_string(),
        }
    };
    check("machine_code_too_large", "compile_killed", || match load(JobLimits::default().artifact_bytes) {
        good if good == "ok" => load(100),
        bad => format!("{bad}, with all the room there is"),
    })
}

/// A rule whose worst bar costs more than it may.
fn cost_limit() -> Check {
    check("rule_over_its_cost", Kind::CostLimit.name(), || {
        match rulebox_dsl::compile(TEXT, &rulebox_dsl::Limits::DEFAULT) {
            Err(diagnostics) => diagnostics.to_string(),
            Ok(Compiled { manifest, .. }) => match (over_cost(&manifest, 1), over_cost(&manifest, u64::MAX)) {
                (Some(_), None) => Kind::CostLimit.name().to_owned(),
                _ => "ok".to_owned(),
            },
        }
    })
}

/// A module of which less was proved than it uses, as if it had been exchanged; and then the one that was proved.
fn cost_over_bound(sandbox: &Sandbox) -> Check {
    let outcome = |tampered: bool| -> Result<bool, String> {
        let Compiled { module, mut manifest, .. } =
            rulebox_dsl::compile(TEXT, &rulebox_dsl::Limits::DEFAULT).map_err(|error| error.to_string())?;
        if let Some(cost) = manifest.cost.as_mut().filter(|_| tampered) {
            (cost.bar, cost.call) = (1, 1);
        }
        let module = sandbox.load(&module, &ModuleLimits::default()).map_err(|refusal| refusal.to_string())?;
        let bars = [1.0, 2.0, 1e9];
        let input = InputColumns { rows: bars.len(), inputs: &[&bars], time: None };
        let limits = selftest::limits();
        let report = module.run(&shape(&manifest), &[], &input, &limits, &mut OutputColumns::default());
        let used = report.map_err(|error| error.to_string())?.fuel;
        Ok(proved(&manifest, bars.len(), limits.chunk_rows).is_some_and(|most| used > most))
    };
    check("module_over_its_proof", Kind::CostOverBound.name(), || match (outcome(false), outcome(true)) {
        (Ok(false), Ok(true)) => Kind::CostOverBound.name().to_owned(),
        (Ok(false), Ok(false)) => "ok".to_owned(),
        (good, bad) => format!("as proved: {good:?}, exchanged: {bad:?}"),
    })
}

/// The module of another text than it is said to be of; and then that of its own.
fn differential(sandbox: &Sandbox) -> Check {
    let limits = rulebox_dsl::Limits::DEFAULT;
    let outcome = |module: &str| -> Result<Verdict, String> {
        let compile = |text: &str| rulebox_dsl::compile(text, &limits).map_err(|error| error.to_string());
        let loaded = sandbox.load(&compile(module)?.module, &ModuleLimits::default());
        let loaded = loaded.map_err(|refusal| refusal.to_string())?;
        let prepared = Prepared::new(Arc::new(loaded), compile(TEXT)?.manifest).ok_or("no zone")?;
        Ok(boundary::check(TEXT, &limits, &prepared, &CancellationToken::new()))
    };
    check("module_of_another_text", Kind::DifferentialMismatch.name(), || match (outcome(TEXT), outcome(OTHER)) {
        (Ok(Verdict::Same(_)), Ok(Verdict::Different(_))) => Kind::DifferentialMismatch.name().to_owned(),
        (Ok(Verdict::Same(_)), Ok(Verdict::Same(_))) => "ok".to_owned(),
        (good, bad) => format!("its own: {good:?}, another's: {bad:?}"),
    })
}

#[cfg(test)]
mod tests {
    use rulebox_sandbox::SandboxConfig;

    use super::*;
    use crate::domain::violation::Stage;

    #[test]
    fn every_kind_that_a_module_can_cause_is_tried_or_has_a_reason() {
        let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
        // What is no worker says so, which is another outcome: here the names alone count.
        let checks = all(&sandbox, Some(Path::new("/nonexistent")));
        for kind in Kind::ALL.iter().filter(|kind| kind.info().stage != Stage::Service) {
            let tried = checks.iter().any(|check| check.expected.split(':').next() == Some(kind.name()));
            let excused = NOT_TRIED.iter().any(|(other, why)| other == kind && !why.is_empty());
            assert!(tried != excused, "{}: tried {tried}, excused {excused}", kind.name());
        }
        for check in checks.iter().filter(|check| check.expected != "compile_killed") {
            assert!(check.passed, "{check:?}");
        }
    }

    #[test]
    fn the_quick_form_holds_and_takes_its_time() {
        let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
        let began = Instant::now();
        let tried = quick(&sandbox).unwrap();
        println!("{tried} tried in {:?}", began.elapsed());
        assert!(tried >= 10);
    }

    #[test]
    fn a_sandbox_that_does_not_hold_what_it_should_is_named() {
        // No room for the memory of the good rule.
        let sandbox = Sandbox::new(SandboxConfig { max_memory_bytes: 1 << 16, ..SandboxConfig::default() }).unwrap();
        let broken = quick(&sandbox).unwrap_err();
        assert_eq!((broken.name, broken.expected), ("well_behaved", "ok"));
        let text = broken.to_string();
        for part in ["well_behaved", "`ok`", &broken.got, "rulebox selftest"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
