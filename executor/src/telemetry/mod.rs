//! What the service says of itself: logs, metrics and traces.

mod json_lines;
pub mod logs;
pub mod metrics;
mod process;
pub mod spans;
pub mod tenants;
pub mod traceparent;
pub mod traces;

/// An error and everything under it, as a log line has it: JSON lines would show the error alone.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
