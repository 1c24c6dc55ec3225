//! Runs hand-written modules through the whole sandbox.

use rulebox_abi::columns::OutputColumns;
use rulebox_sandbox::{Limits, ModuleLimits, Sandbox, SandboxConfig, selftest::frame};

#[test]
fn a_run_longer_than_a_chunk_carries_its_state() {
    let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
    let module = sandbox.load(&frame::assemble("").unwrap(), &ModuleLimits::default()).unwrap();
    let bars: Vec<f64> = (1..=10_000).map(f64::from).collect();
    let mut out = OutputColumns::default();
    module.run(&frame::SHAPE, &[2.0], &frame::input(&[&bars]), &Limits::default(), &mut out).unwrap();
    assert_eq!(out.outs[0].len(), 10_000);
    assert_eq!(out.outs[0][9_999], (10_000.0 * 10_001.0_f64).to_bits());
    assert_eq!(out.verdicts[..11], [0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2]);
}
