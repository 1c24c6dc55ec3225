//! One generated rule in both engines.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use rulebox_abi::Verdict;
use rulebox_abi::columns::{InputColumns, OutputColumns, TimeColumns};
use rulebox_dsl::bars::Bars;
use rulebox_dsl::calendar::Calendar;
use rulebox_dsl::generate::{Choices, Generated, generate};
use rulebox_dsl::interp::Interpreter;
use rulebox_dsl::manifest::Manifest;
use rulebox_dsl::outcome::normalise;
use rulebox_dsl::{Compiled, compile};
use rulebox_sandbox::{BarModule, Limits, Module, ModuleLimits, RunError, Sandbox, SandboxConfig, Shape};

/// Bars of each rule.
pub const ROWS: usize = 48;

/// The rule and the bars of these bytes, in both engines; panics with what differs.
pub fn differential(bytes: &[u8]) {
    static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new(SandboxConfig::default()).unwrap());
    let mut choices = Choices::of_bytes(bytes);
    let size = choices.between(1, 12);
    let generated = generate(&mut choices, size, ROWS);
    let checked = check(&SANDBOX, &generated, &mut choices, &mut Seen::default());
    assert!(checked.is_ok(), "{}\nparams {:?}\n{}", checked.unwrap_err(), generated.params, generated.source);
}

/// What a shard has seen, so that a generator that went blind is noticed.
#[derive(Debug, Default)]
pub struct Seen {
    pub rules: u64,
    pub verdicts: BTreeMap<&'static str, u64>,
    pub actions: u64,
    pub at_bound: u64,
    /// With a form for single bars.
    pub by_bars: u64,
}

struct Case<'a> {
    module: &'a Module,
    bar: Option<&'a BarModule>,
    shape: Shape,
    params: &'a [f64],
    manifest: &'a Manifest,
    columns: InputColumns<'a>,
}

fn limits(chunk_rows: u32) -> Limits {
    // A busy machine does not decide.
    Limits { chunk_rows, deadline: Duration::from_mins(1), ..Limits::default() }
}

impl Case<'_> {
    /// One run in calls of `chunk_rows`; the fuel used beside the results.
    fn run(&self, chunk_rows: u32) -> Result<(OutputColumns, u64), String> {
        let mut out = OutputColumns::default();
        let report = self
            .module
            .run(&self.shape, self.params, &self.columns, &limits(chunk_rows), &mut out)
            .map_err(|e| format!("the module failed: {e}"))?;
        normalise(&mut out, self.manifest);
        Ok((out, report.fuel))
    }

    /// A run that moves to a fresh instance, by its saved state, before every bar of `stops`.
    fn run_moving(&self, stops: &[usize]) -> Result<OutputColumns, String> {
        let limits = limits(4_096);
        let start = || self.module.start(&self.shape, self.params, &limits);
        let mut instance = start().map_err(|e| e.to_string())?;
        self.run_in_parts(stops, |columns, from, out| {
            instance.eval(columns, from, out)?;
            let state = instance.save_state()?;
            instance = start()?;
            instance.restore_state(&state)
        })
    }

    /// A run bar by bar in the form for single bars, whose state is put into the other form and taken out of it again
    /// before every bar of `stops`.
    fn run_by_bars(&self, bar: &BarModule, stops: &[usize]) -> Result<OutputColumns, String> {
        let limits = limits(1);
        let start = || bar.start(&self.shape, self.params, &limits);
        let mut instance = start().map_err(|e| e.to_string())?;
        self.run_in_parts(stops, |columns, from, out| {
            instance.eval(columns, from, out)?;
            let state = instance.save_state()?;
            let mut other = self.module.start(&self.shape, self.params, &limits)?;
            other.restore_state(&state)?;
            instance = start()?;
            instance.restore_state(&other.save_state()?)
        })
    }

    /// The bars in parts, of which each ends before a bar of `stops`.
    fn run_in_parts(
        &self,
        stops: &[usize],
        mut part: impl FnMut(&InputColumns<'_>, usize, &mut OutputColumns) -> Result<(), RunError>,
    ) -> Result<OutputColumns, String> {
        let mut out = OutputColumns::default();
        let mut from = 0;
        for &to in stops.iter().chain([&self.columns.rows]) {
            let inputs: Vec<&[f64]> = self.columns.inputs.iter().map(|c| &c[from..to]).collect();
            part(&slice(&self.columns, &inputs, from, to), from, &mut out).map_err(|e| e.to_string())?;
            from = to;
        }
        normalise(&mut out, self.manifest);
        Ok(out)
    }
}

fn slice<'a>(columns: &InputColumns<'a>, inputs: &'a [&'a [f64]], from: usize, to: usize) -> InputColumns<'a> {
    let time = columns.time.map(|t| TimeColumns {
        time: &t.time[from..to],
        local_day: &t.local_day[from..to],
        minute_of_day: &t.minute_of_day[from..to],
        weekday: &t.weekday[from..to],
    });
    InputColumns { rows: to - from, inputs, time }
}

fn same(what: &str, expected: &OutputColumns, got: &OutputColumns) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    let row = (0..expected.verdicts.len()).find(|&r| {
        expected.verdicts.get(r) != got.verdicts.get(r)
            || expected.fired.get(r) != got.fired.get(r)
            || expected.outs.iter().zip(&got.outs).any(|(a, b)| a.get(r) != b.get(r))
            || expected.message_values.iter().zip(&got.message_values).any(|(a, b)| a.get(r) != b.get(r))
            || expected.keep.get(r) != got.keep.get(r)
    });
    let at = |o: &OutputColumns| {
        let row = row.unwrap_or(0);
        let cells = |c: &[Vec<u64>]| c.iter().map(|c| c.get(row).map(|b| f64::from_bits(*b))).collect::<Vec<_>>();
        format!(
            "verdict {:?} fired {:?} keep {:?} outs {:?} values {:?}",
            o.verdicts.get(row),
            o.fired.get(row),
            o.keep.get(row).map(|b| f64::from_bits(*b)),
            cells(&o.outs),
            cells(&o.message_values)
        )
    };
    Err(format!("{what} differs at bar {row:?}:\n  expected {}\n  got      {}", at(expected), at(got)))
}

/// Runs a rule in the interpreter, and as a module in calls of several sizes and with its state moved.
///
/// # Errors
/// What differs, or what fuel was used over the proved.
pub fn check(
    sandbox: &Sandbox,
    generated: &Generated,
    choices: &mut Choices<'_>,
    seen: &mut Seen,
) -> Result<(), String> {
    let source = &generated.source;
    let Compiled { rule, module, manifest, .. } =
        compile(source, &rulebox_dsl::Limits::DEFAULT).map_err(|d| format!("does not compile: {d}"))?;
    let calendar = Calendar::new(&rule.clock.zone, rule.clock.day_start).map_err(|e| e.to_string())?;
    let bars = Bars::new(ROWS, generated.bars.inputs.clone());
    let bars = if rule.uses_time() { bars.with_time(generated.bars.times.clone(), &calendar) } else { bars };
    let view = bars.view();
    let mut expected = OutputColumns::default();
    Interpreter::new(&rule, &generated.params).run(&view.columns(), 0, &mut expected);
    normalise(&mut expected, &manifest);

    let bar = sandbox.bar_form(&module, &ModuleLimits::default());
    let bar = bar.and_then(|form| form.map(|form| sandbox.load_bar(form)).transpose());
    let bar = bar.map_err(|e| format!("refused: {e}"))?;
    let module = sandbox.load(&module, &ModuleLimits::default()).map_err(|e| format!("refused: {e}"))?;
    let case = Case {
        module: &module,
        bar: bar.as_ref(),
        shape: shape(&manifest),
        params: &generated.params,
        manifest: &manifest,
        columns: view.columns(),
    };
    let cost = manifest.cost.as_ref().ok_or("no cost")?;
    for chunk_rows in [4_096, 1, choices.between(2, 40)] {
        let (got, fuel) = case.run(chunk_rows)?;
        same(&format!("the module in chunks of {chunk_rows}"), &expected, &got)?;
        let proved = cost.of_run(ROWS as u64, u64::from(chunk_rows));
        if fuel > proved {
            return Err(format!("{fuel} fuel used in chunks of {chunk_rows}, {proved} proved"));
        }
        seen.at_bound += u64::from(fuel == proved);
    }
    let every: Vec<usize> = (1..ROWS).filter(|_| choices.chance(1, 4)).collect();
    same("the module with its state moved", &expected, &case.run_moving(&every)?)?;
    if let Some(bar) = case.bar {
        same("the form for single bars", &expected, &case.run_by_bars(bar, &every)?)?;
        seen.by_bars += 1;
    }

    seen.rules += 1;
    for verdict in &expected.verdicts {
        let name = Verdict::from_byte(*verdict).ok_or("a verdict over 3")?.name();
        *seen.verdicts.entry(name).or_default() += 1;
    }
    seen.actions += expected.keep.iter().filter(|b| !f64::from_bits(**b).is_nan()).count() as u64;
    Ok(())
}

fn shape(manifest: &Manifest) -> Shape {
    Shape {
        params: manifest.params.len(),
        inputs: manifest.inputs.len(),
        uses_time: manifest.uses_time,
        outs: manifest.outs.len(),
        message_values: manifest.message_values(),
        keep: manifest.reduces(),
    }
}
