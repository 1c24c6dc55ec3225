//! Thousands of generated rules: the module against the interpreter, bit for bit, however the bars are split, with
//! the state saved and restored between any two bars, and never over the proved cost.
//!
//! `TESTS_GENERATED_RULES` sets how many (10,000 by default), `TESTS_GENERATED_SEED` which.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod check;
#[path = "../../../../fuzz/src/seeds.rs"]
mod seeds;

use std::fmt::Write as _;

use check::{ROWS, Seen, check};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use rulebox_abi::Verdict;
use rulebox_dsl::generate::{Choices, Generated, generate};
use rulebox_sandbox::{Sandbox, SandboxConfig};

/// The tests share the rules among them, so that they run side by side.
const SHARDS: u32 = 4;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a whole number: {text}")),
        Err(_) => default,
    }
}

fn check_shard(shard: u32) {
    let rules = setting("TESTS_GENERATED_RULES", 10_000).div_ceil(u64::from(SHARDS));
    let seed = setting("TESTS_GENERATED_SEED", 1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..12].copy_from_slice(&shard.to_le_bytes());
    let config = Config {
        cases: u32::try_from(rules).unwrap(),
        max_shrink_iters: 4_000,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
    let counts = std::cell::RefCell::new(Seen::default());
    let result = runner.run(&vec(any::<u8>(), 64..5_000), |bytes| {
        let mut choices = Choices::of_bytes(&bytes);
        let size = choices.between(1, 12);
        let generated = generate(&mut choices, size, ROWS);
        check(&sandbox, &generated, &mut choices, &mut counts.borrow_mut()).map_err(TestCaseError::fail)
    });
    if let Err(TestError::Fail(reason, bytes)) = &result {
        let mut choices = Choices::of_bytes(bytes);
        let size = choices.between(1, 12);
        let generated = generate(&mut choices, size, ROWS);
        panic!("{reason}\n{}\nparams {:?}\n{}", generated.source, generated.params, table(&generated));
    }
    result.unwrap();
    let counts = counts.into_inner();
    println!("shard {shard}, seed {seed}: {counts:?}");
    // After a shrink the counts would mean nothing, but then the test has failed above.
    assert_eq!(counts.rules, rules);
    let bars = rules * ROWS as u64;
    for verdict in Verdict::ALL {
        let count = counts.verdicts.get(verdict.name()).copied().unwrap_or(0);
        assert!(count * 20 > bars, "only {count} of {bars} bars are {}", verdict.name());
    }
    assert!(counts.by_bars * 10 > rules, "only {} of {rules} rules have a form for single bars", counts.by_bars);
    assert!(counts.actions * 20 > bars, "only {} of {bars} bars have a reduce", counts.actions);
}

/// The bars as text, for a failure.
fn table(generated: &Generated) -> String {
    let bars = &generated.bars;
    let mut text = format!("bar time {}\n", bars.names.join(" "));
    for row in 0..bars.rows {
        let _ = write!(text, "{row} {}", bars.times[row]);
        for column in &bars.inputs {
            let _ = write!(text, " {:e}", column[row]);
        }
        text.push('\n');
    }
    text
}

macro_rules! shards {
    ($($name:ident = $shard:literal),*) => {$(
        #[test]
        fn $name() {
            check_shard($shard);
        }
    )*};
}
shards!(
    generated_rules_agree_0 = 0,
    generated_rules_agree_1 = 1,
    generated_rules_agree_2 = 2,
    generated_rules_agree_3 = 3
);

#[test]
fn seeds_of_differential() {
    seeds::replay("differential", check::differential);
}
