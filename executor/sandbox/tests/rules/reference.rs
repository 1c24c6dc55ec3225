//! The built-ins as modules against the values that the interpreter is held against: TA-Lib, pandas and exact sums.

#[path = "../../../../dsl/tests/reference/table.rs"]
mod table;

use crate::harness::Case;

fn holds(values: &str) {
    let case = Case::new(table::RULE);
    let table = table::Table::parse(values);
    let bars = table.bars(case.compiled.rule.inputs.iter().map(|input| input.name.as_str()));
    let ran = case.agree(&[], &bars.view().columns());
    table.compare(case.compiled.rule.outs.iter().map(|out| out.name.as_str()), &ran.columns);
}

#[test]
fn real_bars_give_the_values_of_the_libraries() {
    holds(table::REAL);
}

#[test]
fn a_hard_series_gives_the_reference_values() {
    holds(table::HARD);
}
