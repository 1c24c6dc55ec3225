//! The interpreter in the place of a module, so that what reads a module's results reads its results as well.

use std::sync::Arc;
use std::time::Duration;

use rulebox_abi::columns::{InputColumns, OutputSink};
use rulebox_dsl::boundary::part;
use rulebox_dsl::interp::Interpreter;
use rulebox_dsl::typed::Rule;
use rulebox_sandbox::{InputError, RunError, RunReport};

use crate::execution::engine::{Module, Run, Setup};

/// Bars that it runs until it asks whether it is to go on.
const BARS: usize = 32;

/// A rule that is interpreted. It runs from bar 0 to the end, and keeps no state: its own is no bytes.
#[derive(Debug)]
pub(super) struct Interpreted(pub(super) Arc<Rule>);

const NOTHING: RunReport = RunReport { fuel: 0, setup_fuel: 0, memory_peak: 0, elapsed: Duration::ZERO, texts_cut: 0 };

impl Module for Interpreted {
    fn begin(&self, _: Setup<'_>, _: Option<&[u8]>, _keeps: bool) -> Result<Box<dyn Run>, RunError> {
        Err(RunError::Input(InputError::NoState))
    }

    fn run(
        &self,
        setup: Setup<'_>,
        input: &InputColumns<'_>,
        sink: &mut dyn OutputSink,
    ) -> Result<RunReport, RunError> {
        let mut interpreter = Interpreter::new(&self.0, setup.params);
        let mut from = 0;
        while from < input.rows {
            if !sink.wants_more() {
                return Err(RunError::Cancelled(NOTHING));
            }
            let mut inputs = Vec::new();
            let columns = part(input, &mut inputs, from, from + BARS);
            interpreter.run(&columns, from, sink);
            from += columns.rows;
        }
        Ok(NOTHING)
    }
}
