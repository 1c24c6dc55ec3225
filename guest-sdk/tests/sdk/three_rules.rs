//! The three example rules, in both languages.

use std::path::{Path, PathBuf};

use rulebox_abi::columns::{InputColumns, OutputColumns};
use rulebox_dsl::interp::Interpreter;
use rulebox_dsl::manifest::Manifest;
use rulebox_dsl::typed::Rule as DslRule;
use rulebox_dsl::{Limits, check_source, manifest};
use rulebox_guest::{Rule, Runner};

/// The names of the rules.
pub const RULES: [&str; 3] = ["drawdown_guard", "trailing_stop", "session_limits"];

/// A rule that is not written in Rust: it has texts of its own.
pub const IN_C_ALONE: &str = "losing_streak";

/// A file of the SDK.
pub fn sdk(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A rule in the rule language.
pub struct InDsl {
    pub rule: DslRule,
    pub manifest: Manifest,
    pub source: String,
    pub warnings: usize,
}

impl InDsl {
    pub fn read(name: &str) -> Self {
        Self::of(&std::fs::read_to_string(sdk(&format!("examples/dsl/{name}.rule"))).unwrap())
    }

    pub fn of(source: &str) -> Self {
        let checked = check_source(source, &Limits::DEFAULT).unwrap_or_else(|errors| panic!("{errors}"));
        let manifest = manifest::describe(&checked.rule, source);
        Self { rule: checked.rule, manifest, source: source.to_owned(), warnings: checked.warnings.len() }
    }

    /// All params, in order.
    pub fn params(&self, given: &[(&str, f64)]) -> Vec<f64> {
        let value = |name: &str| given.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        self.manifest.params.iter().map(|p| value(&p.name).unwrap_or(p.default)).collect()
    }

    pub fn run(&self, params: &[(&str, f64)], bars: &InputColumns<'_>) -> OutputColumns {
        let mut kept = OutputColumns::default();
        Interpreter::new(&self.rule, &self.params(params)).run(bars, 0, &mut kept);
        kept
    }
}

/// How a run of a guest is cut: bars a call, and the bar after which another instance goes on, if any.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub rows: usize,
    pub resume_after: Option<usize>,
}

/// Runs a guest natively.
pub fn run<R: Rule>(params: &[(&str, f64)], bars: &InputColumns<'_>, cut: Cut) -> OutputColumns {
    let mut kept = OutputColumns::default();
    let mut runner = Runner::<R>::new(params).unwrap();
    let Some(split) = cut.resume_after else {
        runner.eval(bars, cut.rows, &mut kept).unwrap();
        return kept;
    };
    let (before, after) = super::bars::split(bars, split.min(bars.rows));
    before.with(|bars| runner.eval(bars, cut.rows, &mut kept).unwrap());
    let state = runner.save();
    let mut other = Runner::<R>::new(params).unwrap();
    other.restore(&state).unwrap();
    after.with(|bars| other.eval(bars, cut.rows, &mut kept).unwrap());
    kept
}

/// Runs the rule of this name natively.
pub fn run_named(name: &str, params: &[(&str, f64)], bars: &InputColumns<'_>, cut: Cut) -> OutputColumns {
    match name {
        "drawdown_guard" => run::<drawdown_guard::Guard>(params, bars, cut),
        "trailing_stop" => run::<trailing_stop::TrailingStop>(params, bars, cut),
        "session_limits" => run::<session_limits::Session>(params, bars, cut),
        _ => panic!("no rule {name}"),
    }
}

/// The manifest of the guest of this name.
pub fn manifest_of(name: &str) -> Manifest {
    let json = match name {
        "drawdown_guard" => drawdown_guard::Guard::MANIFEST,
        "trailing_stop" => trailing_stop::TrailingStop::MANIFEST,
        "session_limits" => session_limits::Session::MANIFEST,
        _ => panic!("no rule {name}"),
    };
    serde_json::from_slice(json).unwrap_or_else(|error| panic!("{name}: {error}: {}", String::from_utf8_lossy(json)))
}
