//! The rules say the same in both languages: verdicts, actions, fractions, messages, outs.

use std::collections::BTreeSet;

use rulebox_abi::Verdict;
use rulebox_abi::columns::OutputColumns;
use rulebox_dsl::manifest::Manifest;
use rulebox_dsl::outcome::Outcome;

use super::bars::{ACCOUNTS, Bars};
use super::three_rules::{Cut, InDsl, RULES, manifest_of, run_named};

/// Params under which each rule has something to say.
pub fn params(rule: &str) -> Vec<Vec<(&'static str, f64)>> {
    match rule {
        "drawdown_guard" => vec![vec![], vec![("limit", 0.02)], vec![("limit", 0.001)]],
        "trailing_stop" => vec![vec![], vec![("n", 250.0), ("distance", 0.01)], vec![("n", 2.0), ("distance", 0.001)]],
        _ => vec![
            vec![],
            vec![("loss", 0.004), ("leverage", 0.4)],
            vec![("loss", 0.001), ("leverage", 0.1), ("warnings", 0.0)],
        ],
    }
}

const CUTS: [Cut; 5] = [
    Cut { rows: 4096, resume_after: None },
    Cut { rows: 1, resume_after: None },
    Cut { rows: 7, resume_after: None },
    Cut { rows: 4096, resume_after: Some(701) },
    Cut { rows: 100, resume_after: Some(1) },
];

/// What bars mean, and the bits of the outs.
fn read(manifest: &Manifest, columns: &OutputColumns, row: usize) -> (Outcome, Vec<u64>) {
    let mut outcome = Outcome::of_columns(manifest, columns, row);
    outcome.fault = None;
    (outcome, columns.outs.iter().map(|out| out[row]).collect())
}

/// Compares a run of every cut with the interpreter's; the verdicts that came up.
fn compare(name: &str, params: &[(&str, f64)], bars: &Bars) -> BTreeSet<String> {
    let dsl = InDsl::read(name);
    let guest = manifest_of(name);
    let expected = bars.with(|bars| dsl.run(params, bars));
    for cut in CUTS {
        let got = bars.with(|bars| run_named(name, params, bars, cut));
        assert_eq!(got.verdicts.len(), bars.rows());
        for row in 0..bars.rows() {
            let (got, expected) = (read(&guest, &got, row), read(&dsl.manifest, &expected, row));
            assert_eq!(got, expected, "{name} {params:?} {cut:?} bar {row}");
        }
    }
    let outcomes = (0..bars.rows()).map(|row| Outcome::of_columns(&dsl.manifest, &expected, row));
    outcomes.map(|outcome| format!("{:?} {:?}", outcome.verdict, outcome.action)).collect()
}

#[test]
fn the_rules_say_the_same_on_real_accounts_however_the_run_is_cut() {
    for name in RULES {
        let mut said = BTreeSet::new();
        for account in ACCOUNTS {
            let bars = Bars::of_account(account, &InDsl::read(name).manifest);
            for params in params(name) {
                said.extend(compare(name, &params, &bars));
            }
        }
        let expected = if name == "session_limits" { 4 } else { 2 };
        assert!(said.len() >= expected, "{name} says only {said:?}");
    }
}

#[test]
fn the_rules_fault_on_the_same_bars_and_stay_faulted() {
    for name in RULES {
        let good = Bars::of_account("goog_daily", &InDsl::read(name).manifest).part(0..800);
        for input in 0..good.inputs.len() {
            for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e300] {
                let mut bars = good.clone();
                bars.inputs[input][705] = wrong;
                compare(name, &[], &bars);
            }
        }
        let mut backwards = good.clone();
        backwards.time[300] = backwards.time[299] - 1;
        let mut missing = good;
        missing.time[0] = rulebox_abi::TIME_MISSING;
        for bars in [backwards, missing] {
            let said = compare(name, &[], &bars);
            let faults = said.iter().any(|said| said.starts_with("Fault"));
            assert_eq!(faults, name == "session_limits", "{name}: {said:?}");
        }
    }
}

#[test]
fn a_fault_names_its_reason() {
    let mut bars = Bars::of_account("goog_daily", &manifest_of("trailing_stop")).part(0..9);
    for (wrong, reason) in [(f64::NAN, "`position` is missing"), (2e9, "`position` is outside its range")] {
        bars.inputs[1][4] = wrong;
        let columns = bars.with(|bars| run_named("trailing_stop", &[], bars, CUTS[0]));
        let outcome = Outcome::of_columns(&manifest_of("trailing_stop"), &columns, 8);
        assert_eq!(outcome.verdict, Verdict::Fault);
        let message = &manifest_of("trailing_stop").spans[outcome.fault.unwrap()].message;
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn holds_keep_their_messages_and_end_when_they_end() {
    let dsl = InDsl::read("session_limits");
    let mut bars = Bars::of_account("eurusd_hourly", &dsl.manifest).part(0..200);
    bars.inputs[1].fill(0.5);
    bars.inputs[2].fill(0.0);
    for (row, exits) in [(10, 1.0), (11, 2.0), (30, f64::NAN), (31, 4.0), (33, 5.0)] {
        bars.inputs[2][row] = exits;
    }
    let factor = |row: usize| 1.0 - [0.0, 0.006, 0.011, 0.021, 0.001][row / 7 % 5];
    for (row, equity) in bars.inputs[0].iter_mut().enumerate() {
        *equity *= factor(row);
    }
    let said = compare("session_limits", &[("loss", 0.02)], &bars);
    assert!(said.contains("Breach Some(Block)") && said.contains("Warn None"), "{said:?}");
    let stopped = bars.with(|bars| run_named("session_limits", &[("loss", 1.0), ("warnings", 0.0)], bars, CUTS[1]));
    let manifest = manifest_of("session_limits");
    let reasons = |row| Outcome::of_columns(&manifest, &stopped, row).reasons;
    assert_eq!(reasons(10), ["1 stops hit"]);
    assert_eq!([reasons(11), reasons(12), reasons(13)].concat(), ["2 stops hit"; 3]);
    assert_eq!([reasons(14), reasons(30)].concat(), Vec::<String>::new());
    assert_eq!([reasons(32), reasons(33), reasons(35)].concat(), ["4 stops hit", "5 stops hit", "5 stops hit"]);
}
