//! Any bytes as a module: refused by name, or run to one of the ends that there are, within its limits.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rulebox_abi::columns::OutputColumns;
use rulebox_sandbox::selftest::{self, frame};
use rulebox_sandbox::{InputError, Limits, Module, ModuleLimits, Outline, RunError, Sandbox, SandboxConfig};

/// Longer than any module takes that meets its limits, on a machine that is busy and with every access checked.
const MOST: Duration = Duration::from_secs(30);

struct Host {
    sandbox: Sandbox,
    /// The well-behaved rule.
    good: Module,
}

static HOST: LazyLock<Host> = LazyLock::new(|| {
    let sandbox = Sandbox::new(SandboxConfig { pool_size: 4, ..SandboxConfig::default() }).unwrap();
    let good = sandbox.load(&frame::assemble("").unwrap(), &ModuleLimits::default()).unwrap();
    Host { sandbox, good }
});

/// Takes the bytes for a module.
pub fn untrusted_wasm(module: &[u8]) {
    let began = Instant::now();
    let limits = selftest::limits();
    let outline = Outline::read(module);
    match HOST.sandbox.load(module, &ModuleLimits::default()) {
        Err(refusal) => {
            assert!(refusal.kind.is_at_upload(), "{refusal}");
            let shown = !refusal.detail.is_empty() && refusal.detail.len() < 2_000;
            assert!(shown && !refusal.detail.contains(char::is_control), "{refusal:?}");
        }
        Ok(module) => {
            let outline = outline.unwrap();
            assert_eq!((outline.has_state, outline.has_messages), (module.has_state(), module.has_messages()));
            if let Err(error) = bars(&module, &limits) {
                classified(&error, &limits);
            }
        }
    }
    assert!(began.elapsed() < MOST, "took {:?}", began.elapsed());
    // The process is as it was.
    let mut output = OutputColumns::default();
    HOST.good.run(&frame::SHAPE, &[2.0], &frame::input(&[&[10.0, 20.0]]), &limits, &mut output).unwrap();
    assert_eq!(output.outs, [[20.0_f64.to_bits(), 60.0_f64.to_bits()]]);
}

/// Some bars, and the next ones in another instance, if the module keeps a state.
fn bars(module: &Module, limits: &Limits) -> Result<(), RunError> {
    let mut output = OutputColumns::default();
    let mut instance = module.start(&frame::SHAPE, &[2.0], limits)?;
    instance.eval(&frame::input(&[&[1.0, f64::NAN, -3.0]]), 0, &mut output)?;
    assert_eq!(output.verdicts.len(), 3);
    assert!(output.verdicts.iter().all(|verdict| *verdict <= 3));
    let state = match instance.save_state() {
        Err(RunError::Input(InputError::NoState)) if !module.has_state() => return Ok(()),
        state => state?,
    };
    assert!(state.len() <= limits.state_bytes);
    let mut other = module.start(&frame::SHAPE, &[2.0], limits)?;
    match other.restore_state(&state) {
        // A module may say something else each time.
        Err(RunError::Input(InputError::StateLength { .. })) => return Ok(()),
        restored => restored?,
    }
    other.eval(&frame::input(&[&[4.0]]), 3, &mut output)
}

/// Every end of a run of a module, and none of ours.
fn classified(error: &RunError, limits: &Limits) {
    match error {
        RunError::Violation(violation) => {
            assert!(!violation.kind.is_at_upload(), "{violation}");
            assert!(violation.fuel_used <= limits.fuel, "{violation:?}");
            assert!(violation.memory_peak <= limits.memory_bytes, "{violation:?}");
        }
        RunError::ParamsRefused(code) => assert!(*code < 0, "{code}"),
        other => assert!(matches!(other, RunError::Violation(_)), "no end of a module's: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::seeds;

    #[test]
    fn seeds_of_untrusted_wasm() {
        seeds::replay("untrusted_wasm", super::untrusted_wasm);
    }
}
