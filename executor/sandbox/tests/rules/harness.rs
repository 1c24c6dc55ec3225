//! Runs a rule in both engines.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use rulebox_abi::columns::{InputColumns, OutputColumns, TimeColumns};
use rulebox_dsl::interp::Interpreter;
use rulebox_dsl::manifest::{CostInfo, Manifest};
use rulebox_dsl::{Compiled, Limits as CompilerLimits, outcome};
use rulebox_sandbox::{BarModule, Instance, Limits, Module, ModuleLimits, Refusal, Sandbox, SandboxConfig, Shape};

/// One engine for all tests.
pub static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new(SandboxConfig::default()).unwrap());

/// A compiled and loaded rule.
pub struct Case {
    pub compiled: Compiled,
    pub module: Module,
    /// The form for single bars, if it has one.
    pub bar: Option<BarModule>,
    pub shape: Shape,
}

/// What a run in the sandbox gave.
pub struct Ran {
    /// Results, cells that the ABI leaves open brought to one value.
    pub columns: OutputColumns,
    /// Fuel of all calls of `rulebox_eval`.
    pub fuel: u64,
    /// The most that was proved for them.
    pub proved: u64,
}

fn shape(manifest: &Manifest) -> Shape {
    use rulebox_dsl::manifest::{Action, MessagePart};
    let placeholders = |s: &rulebox_dsl::manifest::StatementInfo| {
        s.message.iter().filter(|part| matches!(part, MessagePart::Value { .. })).count()
    };
    Shape {
        params: manifest.params.len(),
        inputs: manifest.inputs.len(),
        uses_time: manifest.uses_time,
        outs: manifest.outs.len(),
        message_values: manifest.statements.iter().map(placeholders).sum(),
        keep: manifest.statements.iter().any(|s| s.action == Some(Action::Reduce)),
    }
}

impl Case {
    /// Compiles and loads; panics with the diagnostics.
    pub fn new(source: &str) -> Self {
        let compiled = rulebox_dsl::compile(source, &CompilerLimits::DEFAULT)
            .unwrap_or_else(|diagnostics| panic!("{diagnostics}\n{source}"));
        Self::of(compiled).unwrap()
    }

    /// Loads.
    ///
    /// # Errors
    /// If the gate refuses the module.
    pub fn of(compiled: Compiled) -> Result<Self, Refusal> {
        let module = SANDBOX.load(&compiled.module, &ModuleLimits::default())?;
        let bar = SANDBOX.bar_form(&compiled.module, &ModuleLimits::default())?;
        let bar = bar.map(|form| SANDBOX.load_bar(form)).transpose()?;
        let shape = shape(&compiled.manifest);
        Ok(Self { compiled, module, bar, shape })
    }

    /// The params' defaults.
    pub fn defaults(&self) -> Vec<f64> {
        self.compiled.rule.params.iter().map(|param| param.default).collect()
    }

    pub fn cost(&self) -> &CostInfo {
        self.compiled.manifest.cost.as_ref().unwrap()
    }

    /// Limits that fit any rule of these tests, in calls of `chunk` bars.
    pub fn limits(chunk: u32) -> Limits {
        let (fuel, memory_bytes) = (1 << 40, 64 << 20);
        // A busy machine does not decide.
        let deadline = Duration::from_mins(1);
        Limits { chunk_rows: chunk, fuel, setup_fuel: fuel, deadline, memory_bytes, ..Limits::default() }
    }

    pub fn start(&self, params: &[f64], chunk: u32) -> Instance {
        self.module.start(&self.shape, params, &Self::limits(chunk)).unwrap()
    }

    /// A whole run in the sandbox, in calls of `chunk` bars.
    pub fn wasm(&self, params: &[f64], input: &InputColumns<'_>, chunk: u32) -> Ran {
        let mut columns = OutputColumns::default();
        let mut instance = self.start(params, chunk);
        instance.eval(input, 0, &mut columns).unwrap();
        outcome::normalise(&mut columns, &self.compiled.manifest);
        let report = instance.report();
        assert!(report.setup_fuel <= self.cost().setup + STATE_CALL, "setup: {}", report.setup_fuel);
        Ran { columns, fuel: report.fuel, proved: self.cost().of_run(input.rows as u64, u64::from(chunk)) }
    }

    /// A whole run bar by bar, each in both forms and from the state that one of them left, in turn: they leave the same
    /// bytes. `None` if there is one form.
    pub fn by_bars(&self, params: &[f64], input: &InputColumns<'_>) -> Option<OutputColumns> {
        let bar = self.bar.as_ref()?;
        let (mut columns, mut other) = (OutputColumns::default(), OutputColumns::default());
        let limits = Self::limits(1);
        let mut state = None::<Vec<u8>>;
        for row in 0..input.rows {
            let inputs: Vec<&[f64]> = input.inputs.iter().map(|column| &column[row..=row]).collect();
            let time = input.time.map(|t| TimeColumns {
                time: &t.time[row..=row],
                local_day: &t.local_day[row..=row],
                minute_of_day: &t.minute_of_day[row..=row],
                weekday: &t.weekday[row..=row],
            });
            let one = InputColumns { rows: 1, inputs: &inputs, time };
            let (mut small, mut large) = (bar.start(&self.shape, params, &limits).unwrap(), self.start(params, 1));
            if let Some(state) = &state {
                small.restore_state(state).unwrap();
                large.restore_state(state).unwrap();
            }
            small.eval(&one, row, &mut columns).unwrap();
            large.eval(&one, row, &mut other).unwrap();
            let (small, large) = (small.save_state().unwrap(), large.save_state().unwrap());
            assert_eq!(small, large, "the state after bar {row}");
            state = Some(if row % 2 == 0 { small } else { large });
        }
        outcome::normalise(&mut columns, &self.compiled.manifest);
        Some(columns)
    }

    /// A whole run in the interpreter.
    pub fn interp(&self, params: &[f64], input: &InputColumns<'_>) -> OutputColumns {
        let mut columns = OutputColumns::default();
        Interpreter::new(&self.compiled.rule, params).run(input, 0, &mut columns);
        outcome::normalise(&mut columns, &self.compiled.manifest);
        columns
    }

    /// Runs bars in both engines, in calls of several sizes: equal bits, and no more fuel than was proved. Panics with
    /// what differs. Hands back the run in the largest calls.
    pub fn agree(&self, params: &[f64], input: &InputColumns<'_>) -> Ran {
        let expected = self.interp(params, input);
        if let Some(columns) = self.by_bars(params, input) {
            assert_same(&expected, &columns, "the form for single bars");
        }
        for chunk in [1, 7, 4096] {
            let ran = self.wasm(params, input, chunk);
            assert_same(&expected, &ran.columns, &format!("calls of {chunk} bars"));
            assert!(ran.fuel <= ran.proved, "calls of {chunk} bars: {} used, {} proved", ran.fuel, ran.proved);
            if chunk == 4096 {
                return ran;
            }
        }
        unreachable!("the last chunk returns")
    }
}

/// `rulebox_state`, which hosts call now and then: not part of the proved setup.
const STATE_CALL: u64 = 2;

/// Panics with the first bar that differs.
pub fn assert_same(expected: &OutputColumns, got: &OutputColumns, what: &str) {
    if expected == got {
        return;
    }
    for row in 0..expected.verdicts.len() {
        let line = |c: &OutputColumns| {
            let cell = |column: &Vec<u64>| column.get(row).map(|bits| f64::from_bits(*bits));
            format!(
                "verdict {:?} fired {:?} outs {:?} messages {:?} keep {:?}",
                c.verdicts.get(row),
                c.fired.get(row),
                c.outs.iter().map(cell).collect::<Vec<_>>(),
                c.message_values.iter().map(cell).collect::<Vec<_>>(),
                cell(&c.keep),
            )
        };
        let (left, right) = (line(expected), line(got));
        assert_eq!(left, right, "{what}: bar {row}");
    }
    assert_eq!(expected, got, "{what}");
}

/// The example rules, and rules that between them have every construct: names and texts.
pub static SOURCES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let folders = ["../../dsl/examples", "tests/rules/sources"];
    let files = folders.iter().flat_map(|folder| {
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
    });
    let rules = files.filter(|path| path.extension().is_some_and(|extension| extension == "rule"));
    let mut sources: Vec<_> =
        rules.map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap())).collect();
    sources.sort();
    assert!(sources.len() >= 40, "only {} rules", sources.len());
    sources
});
