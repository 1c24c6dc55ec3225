//! Log lines: JSON for machines, pretty on a terminal. They go to standard error.

use std::io::IsTerminal;

use tracing::Metadata;
use tracing_subscriber::filter::{FilterExt, FilterFn, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use super::json_lines::{JsonFields, JsonLines};
use super::spans;
use super::traces::Traces;
use crate::config::{Log, LogFormat};

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("RULEBOX_LOG__FILTER: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The process has a logger already.
    #[error(transparent)]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts the process's logs, and hands its spans to `traces`.
///
/// What is logged does not decide what is traced, nor the other way round: each has a filter of its own.
///
/// # Errors
/// If the filter cannot be read, or logs have been started before.
pub fn start(settings: &Log, traces: Option<&Traces>) -> Result<(), LogError> {
    // A line says to which request it belongs, however little is logged; and to that, not to a span below it that is for
    // traces alone. The hints keep lines cheap that nobody reads.
    let own = FilterFn::new(spans::is_own).with_max_level_hint(LevelFilter::INFO);
    let of_request = FilterFn::new(|metadata: &Metadata<'_>| metadata.target() != spans::TARGET);
    let of_request = of_request.with_max_level_hint(LevelFilter::TRACE);
    let filter = EnvFilter::try_new(&settings.filter)?.or(own).and(of_request);
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let written: Box<dyn Layer<Registry> + Send + Sync> = if json {
        let lines = fmt::layer().fmt_fields(JsonFields).event_format(JsonLines);
        lines.with_writer(std::io::stderr).with_filter(filter).boxed()
    } else {
        fmt::layer().compact().with_target(false).with_writer(std::io::stderr).with_filter(filter).boxed()
    };
    let layers: Vec<_> = std::iter::once(written).chain(traces.map(Traces::layer)).collect();
    tracing_subscriber::registry().with(layers).try_init()?;
    Ok(())
}
