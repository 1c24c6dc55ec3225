//! From the text of a rule to a module and its manifest: the one place that calls the compiler.

use std::time::Instant;

use rulebox_dsl::Limits;
use rulebox_dsl::diagnostic::{Diagnostics, Report};
use rulebox_dsl::manifest::Manifest;
use rulebox_dsl::span::LineIndex;
use rulebox_dsl::typed;
use rulebox_sandbox::{ModuleLimits, Refusal, ViolationKind};
use tracing::Span;

use super::fair::Owner;
use super::pool::{Pool, PoolError};
use crate::config;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::spans;

/// A rule that compiles.
#[derive(Debug)]
pub struct Compiled {
    /// The text.
    pub source: String,
    /// What its tests are made from.
    pub rule: typed::Rule,
    /// WebAssembly.
    pub module: Vec<u8>,
    /// What the module takes, gives and costs.
    pub manifest: Manifest,
    /// What the author should look at.
    pub warnings: Vec<Report>,
}

/// Why there is no module.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The text is not a rule.
    #[error("the rule does not compile")]
    Refused(Vec<Report>),
    /// It was not tried.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// Compiles on a pool of its own, so that uploads and runs do not starve each other.
#[derive(Clone, Debug)]
pub struct Compiler {
    pool: Pool,
    limits: Limits,
    metrics: Metrics,
}

impl Compiler {
    /// A compiler with these limits.
    pub fn new(settings: &config::Compile, metrics: Metrics) -> Self {
        let limits = Limits { source_bytes: settings.source_bytes, ..Limits::DEFAULT };
        Self { pool: Pool::new("compile", settings.threads, settings.queue).strict(), limits, metrics }
    }

    /// The pool that compiles texts; loading what was made of them belongs there too.
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// How many texts wait.
    pub fn waiting(&self) -> usize {
        self.pool.waiting()
    }

    /// The most that any limits may be.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Compiles a text within these limits and does `next` with the outcome, on the same thread.
    ///
    /// # Errors
    /// [`CompileError::Refused`] with everything that is wrong with the text.
    pub async fn compile<T: Send + 'static>(
        &self,
        owner: impl Into<Owner>,
        source: Vec<u8>,
        limits: Limits,
        next: impl FnOnce(Compiled) -> T + Send + 'static,
    ) -> Result<T, CompileError> {
        let metrics = self.metrics.clone();
        let within = Span::current();
        let work = move || {
            let _within = spans::compile(&within, "compile").entered();
            let began = Instant::now();
            let compiled = compile(&source, &limits);
            let result = if compiled.is_ok() { "ok" } else { "refused" };
            metrics.compile_duration.with_label_values(&["compile", result]).observe(began.elapsed().as_secs_f64());
            spans::compiled(result);
            compiled.map(next).map_err(CompileError::Refused)
        };
        let done = self.pool.run(owner, work).await;
        if matches!(done, Err(PoolError::Full { .. })) {
            self.metrics.compile_rejected.with_label_values(&["queue_full"]).inc();
        }
        done?
    }
}

/// Compiles a rule, and holds its module against the limits of those that are loaded: what compiles can be run.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn compile_rule(source: &str, limits: &Limits) -> Result<rulebox_dsl::Compiled, Diagnostics> {
    let compiled = rulebox_dsl::compile(source, limits)?;
    match ModuleLimits::default().check(&compiled.module) {
        Err(Refusal { kind: ViolationKind::ModuleTooComplex | ViolationKind::ModuleTooLarge, detail }) => {
            Err(rulebox_dsl::too_complex(&compiled.rule, &detail))
        }
        // Whatever else it has, a module of the compiler's that is refused is the compiler's fault: loading says so.
        _ => Ok(compiled),
    }
}

/// The worst case of a bar, if it is over this.
pub fn over_cost(manifest: &Manifest, limit: u64) -> Option<u64> {
    manifest.cost.as_ref().map(|cost| cost.bar).filter(|cost| *cost > limit)
}

fn compile(bytes: &[u8], limits: &Limits) -> Result<Compiled, Vec<Report>> {
    let lossy = |diagnostics: &Diagnostics| diagnostics.to_reports(&String::from_utf8_lossy(bytes));
    let source = rulebox_dsl::source::text(bytes, limits).map_err(|d| lossy(&d))?;
    let compiled = compile_rule(source, limits).map_err(|d| d.to_reports(source))?;
    let lines = LineIndex::new(source);
    Ok(Compiled {
        source: source.to_owned(),
        rule: compiled.rule,
        module: compiled.module,
        manifest: compiled.manifest,
        warnings: compiled.warnings.iter().map(|warning| warning.to_report(&lines)).collect(),
    })
}
