//! The built-ins in the interpreter against TA-Lib, pandas and exact sums: `reference/make_reference.py` says which.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "reference/table.rs"]
mod table;

use rulebox_abi::columns::OutputColumns;
use rulebox_dsl::interp::Interpreter;
use rulebox_dsl::{Limits, check_source};

fn holds(values: &str) {
    let rule = check_source(table::RULE, &Limits::DEFAULT).unwrap().rule;
    let table = table::Table::parse(values);
    let bars = table.bars(rule.inputs.iter().map(|input| input.name.as_str()));
    let mut ran = OutputColumns::default();
    Interpreter::new(&rule, &[]).run(&bars.view().columns(), 0, &mut ran);
    table.compare(rule.outs.iter().map(|out| out.name.as_str()), &ran);
}

#[test]
fn real_bars_give_the_values_of_the_libraries() {
    holds(table::REAL);
}

#[test]
fn a_hard_series_gives_the_reference_values() {
    holds(table::HARD);
}
