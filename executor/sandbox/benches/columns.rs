//! Whole columns through a compiled rule, fuel and epochs on, beside the same rule written in Rust.
//!
//! `cargo bench --workspace --bench columns`. Each native function reads the same columns and writes the same verdicts,
//! with the checks that the language promises: ranges, finite results, tolerant comparison.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench may panic, and is no library")]

use divan::Bencher;
use divan::counter::ItemsCount;
use rulebox_abi::Verdict;
use rulebox_abi::columns::{InputColumns, OutputRows, OutputSink};
use rulebox_dsl::compile;
use rulebox_sandbox::{Limits, Module, ModuleLimits, Sandbox, SandboxConfig, Shape};

const ROWS: usize = 1_000_000;

fn main() {
    divan::main();
}

/// An account that wanders: equity, and its drawdown from the peak.
fn account() -> (Vec<f64>, Vec<f64>) {
    let mut state = 7_u64;
    let (mut equity, mut peak) = (100_000.0_f64, 100_000.0_f64);
    let rows = (0..ROWS).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        #[expect(clippy::cast_precision_loss, reason = "a random step")]
        let step = (state >> 40) as f64 / f64::from(1 << 24) - 0.499;
        equity = (equity + step * 200.0).max(1_000.0);
        peak = peak.max(equity);
        (equity, 1.0 - equity / peak)
    });
    rows.unzip()
}

/// Counts verdicts, so that neither side's work can be left out.
#[derive(Default)]
struct Count([u64; 4]);

impl OutputSink for Count {
    fn rows(&mut self, _first_row: usize, rows: &OutputRows<'_>) {
        for verdict in rows.verdicts {
            self.0[usize::from(verdict & 3)] += 1;
        }
    }
}

struct Rule {
    module: Module,
    shape: Shape,
    params: Vec<f64>,
}

impl Rule {
    fn example(name: &str) -> Self {
        let path = format!("{}/../../dsl/examples/{name}.rule", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(path).unwrap();
        let compiled = compile(&source, &rulebox_dsl::Limits::DEFAULT).unwrap();
        let manifest = &compiled.manifest;
        let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
        Self {
            module: sandbox.load(&compiled.module, &ModuleLimits::default()).unwrap(),
            shape: Shape {
                params: manifest.params.len(),
                inputs: manifest.inputs.len(),
                uses_time: manifest.uses_time,
                outs: manifest.outs.len(),
                message_values: manifest.message_values(),
                keep: manifest.reduces(),
            },
            params: manifest.params.iter().map(|p| p.default).collect(),
        }
    }

    fn run(&self, inputs: &[&[f64]]) -> [u64; 4] {
        let limits = Limits { fuel: u64::MAX / 2, ..Limits::default() };
        let input = InputColumns { rows: inputs[0].len(), inputs, time: None };
        let mut count = Count::default();
        self.module.run(&self.shape, &self.params, &input, &limits, &mut count).unwrap();
        count.0
    }
}

/// Equality within the tolerance of the language.
fn equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs()).max(1.0)
}

fn at_least(a: f64, b: f64) -> bool {
    a >= b || equal(a, b)
}

fn less(a: f64, b: f64) -> bool {
    a < b && !equal(a, b)
}

/// What a native rule writes: the columns of verdicts and of fired statements that a module writes too.
struct Columns {
    verdicts: Vec<u8>,
    fired: Vec<u32>,
}

/// Runs a native rule in chunks of the size that the sandbox uses, and counts its verdicts.
fn native(rows: usize, mut bar: impl FnMut(usize) -> (Verdict, u32)) -> [u64; 4] {
    const CHUNK: usize = rulebox_abi::MAX_ROWS as usize;
    let mut columns = Columns { verdicts: vec![0; CHUNK], fired: vec![0; CHUNK] };
    let mut count = Count::default();
    for first in (0..rows).step_by(CHUNK) {
        let chunk = CHUNK.min(rows - first);
        for (row, (verdict, fired)) in columns.verdicts.iter_mut().zip(&mut columns.fired).take(chunk).enumerate() {
            let (said, statements) = bar(first + row);
            (*verdict, *fired) = (said as u8, statements);
        }
        for verdict in divan::black_box(&columns).verdicts.iter().take(chunk) {
            count.0[usize::from(verdict & 3)] += 1;
        }
    }
    count.0
}

fn native_check_custom_rule(equity: &[f64], drawdown: &[f64], limit: f64, warn_at: f64) -> [u64; 4] {
    let mut failed = false;
    native(equity.len(), |row| {
        let (equity, drawdown) = (equity[row], drawdown[row]);
        failed |= !(0.0..=1e15).contains(&equity) || !(0.0..=1.0).contains(&drawdown);
        if failed {
            (Verdict::Fault, 0)
        } else if at_least(drawdown, limit) {
            (Verdict::Breach, 1)
        } else if at_least(drawdown, warn_at) {
            (Verdict::Warn, 2)
        } else {
            (Verdict::Ok, 0)
        }
    })
}

fn native_lean_max_drawdown(equity: &[f64], limit: f64, trailing: bool) -> [u64; 4] {
    let (mut high, mut rebase, mut failed) = (None, false, false);
    native(equity.len(), |row| {
        let equity = equity[row];
        failed |= !(1.0..=1e15).contains(&equity);
        let top = high.get_or_insert(equity);
        if rebase {
            (*top, rebase) = (equity, false);
        }
        let mut said = (Verdict::Ok, 0);
        if trailing && less(*top, equity) {
            *top = equity;
        } else {
            let fall = equity / *top - 1.0;
            failed |= !fall.is_finite();
            if less(fall, -limit) {
                rebase = true;
                said = (Verdict::Breach, 1);
            }
        }
        if failed { (Verdict::Fault, 0) } else { said }
    })
}

fn native_vol_target(equity: &[f64], target: f64, n: usize, per_year: f64) -> [u64; 4] {
    let mut ring = vec![0.0; n];
    let (mut last, mut failed) = (None, false);
    native(equity.len(), |bar| {
        let equity = equity[bar];
        failed |= !(1.0..=1e15).contains(&equity);
        ring[bar % n] = equity / last.unwrap_or(equity) - 1.0;
        last = Some(equity);
        let vol = if bar + 1 >= n {
            let from = (bar + 1) % n;
            let values = || ring[from..].iter().chain(&ring[..from]);
            #[expect(clippy::cast_precision_loss, reason = "a window is small")]
            let len = n as f64;
            let mean = values().fold(0.0, |sum, x| sum + x) / len;
            let squares = values().fold(0.0, |sum, x| sum + (x - mean) * (x - mean));
            (squares / (len - 1.0)).sqrt() * per_year.sqrt()
        } else {
            target
        };
        failed |= !vol.is_finite();
        let scale = if vol == 0.0 { 1.0 } else { target / vol };
        let scale = if scale.is_finite() { scale } else { 1.0 };
        if failed {
            (Verdict::Fault, 0)
        } else if less(scale, 1.0) {
            (Verdict::Breach, 1)
        } else {
            (Verdict::Ok, 0)
        }
    })
}

macro_rules! pair {
    ($name:ident, $inputs:expr, $native:expr) => {
        mod $name {
            use super::*;

            #[divan::bench]
            fn module(bencher: Bencher<'_, '_>) {
                let (equity, drawdown) = account();
                let rule = Rule::example(stringify!($name));
                let all = [equity.as_slice(), drawdown.as_slice()];
                let columns = &all[..$inputs];
                // Both sides give the same verdicts, or the comparison means nothing.
                assert_eq!(rule.run(columns), ($native)(&equity, &drawdown));
                bencher.counter(ItemsCount::new(ROWS)).bench(|| rule.run(divan::black_box(columns)));
            }

            #[divan::bench]
            fn in_rust(bencher: Bencher<'_, '_>) {
                let (equity, drawdown) = account();
                bencher
                    .counter(ItemsCount::new(ROWS))
                    .bench(|| ($native)(divan::black_box(&equity), divan::black_box(&drawdown)));
            }
        }
    };
}

pair!(check_custom_rule, 2, |e: &[f64], d: &[f64]| native_check_custom_rule(e, d, 0.1, 0.08));
pair!(lean_max_drawdown, 1, |e: &[f64], _: &[f64]| native_lean_max_drawdown(e, 0.05, true));
pair!(vol_target, 1, |e: &[f64], _: &[f64]| native_vol_target(e, 0.1, 20, 252.0));
