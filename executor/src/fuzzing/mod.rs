//! What holds of everything that comes from outside, for fuzz targets. Each panics with what does not hold.
//!
//! No ordinary build has this: it is there for tests, and with the feature `fuzzing` for `fuzz/`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "an oracle says what is wrong by a panic"
)]

mod arrow_stream;
mod executor_wire;
mod http_json;
#[cfg(test)]
#[path = "../../../fuzz/src/seeds.rs"]
mod seeds;
mod session_state;

use std::sync::LazyLock;

use rulebox_dsl::manifest::Manifest;

use crate::api::problem::Problem;
use crate::config::{Config, Evaluation};
use crate::domain::caller::is_hidden;

pub use arrow_stream::arrow_stream;
pub use executor_wire::executor_wire;
pub use http_json::http_json;
pub use session_state::session_state;

/// A rule that takes what rules take: numbers, some of them missing, truth values and a time.
const RULE: &str = "clock \"UTC\" day 00:00
rule fuzzed(equity, drawdown: num?, halted: bool) {
  param limit: num = 0.1 in 0..1
  let down = drawdown ?? 0
  if new_day or down > limit and not halted { breach \"down {down} of {equity}\" }
}";

/// What that rule takes.
static MANIFEST: LazyLock<Manifest> =
    LazyLock::new(|| rulebox_dsl::compile(RULE, &rulebox_dsl::Limits::DEFAULT).unwrap().manifest);

/// Limits that inputs of some kilobytes can reach.
static LIMITS: LazyLock<Evaluation> = LazyLock::new(|| {
    let mut limits = Config::on_free_ports(std::path::Path::new("unused")).unwrap().evaluation;
    (limits.rows, limits.columns, limits.cells, limits.rules) = (40, 6, 160, 5);
    limits
});

/// A refusal is an answer: its status, words that can be shown and that end, a place inside the text.
fn is_answer(problem: &Problem, text: Option<&[u8]>) {
    assert!(!problem.detail.is_empty(), "refused without a word: {problem:?}");
    assert!(problem.code.info().status.is_client_error(), "not the sender's fault: {problem:?}");
    if let (Some(text), Some((line, _))) = (text, problem.position) {
        let lines = text.split(|byte| *byte == b'\n').count();
        assert!((1..=lines).contains(&(line as usize)), "line {line} of {lines}: {problem:?}");
    }
}

/// Words of ours with some of the sender's in them.
fn is_shown(text: &str) {
    assert!(!text.is_empty() && text.len() < 8_000 && !text.contains(is_hidden), "{text:?}");
}

#[cfg(test)]
mod tests {
    use super::{arrow_stream, executor_wire, http_json, seeds, session_state};

    #[test]
    fn seeds_of_http_json() {
        seeds::replay("http_json", http_json);
    }

    #[test]
    fn seeds_of_arrow_stream() {
        seeds::replay("arrow_stream", arrow_stream);
    }

    #[test]
    fn seeds_of_session_state() {
        seeds::replay("session_state", session_state);
    }

    #[test]
    fn seeds_of_executor_wire() {
        seeds::replay("executor_wire", executor_wire);
    }
}
