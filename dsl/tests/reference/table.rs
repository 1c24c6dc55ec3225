//! Reads the reference values, and compares a run's outs with them.

use rulebox_abi::columns::OutputColumns;
use rulebox_dsl::bars::Bars;

/// The rule whose outs are compared, and the tables of its inputs and what its outs must be.
pub const RULE: &str = include_str!("reference.rule");
/// The first bars of a real account.
pub const REAL: &str = include_str!("real.csv");
/// A walk with flat stretches, cancellation and jumps.
pub const HARD: &str = include_str!("hard.csv");

/// Relative difference that is allowed.
const TOLERANCE: f64 = 1e-9;

/// Columns by name; an empty cell is missing (`None`).
pub struct Table {
    columns: Vec<(String, Vec<Option<f64>>)>,
}

impl Table {
    pub fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let header = lines.next().unwrap().split(',');
        let mut columns: Vec<_> = header.map(|name| (name.to_owned(), Vec::new())).collect();
        for line in lines {
            let cells: Vec<_> = line.split(',').collect();
            assert_eq!(cells.len(), columns.len(), "{line}");
            for (cell, (_, column)) in cells.iter().zip(&mut columns) {
                column.push((!cell.is_empty()).then(|| cell.parse().unwrap()));
            }
        }
        Self { columns }
    }

    fn column(&self, name: &str) -> &[Option<f64>] {
        let found = self.columns.iter().find(|(other, _)| other == name);
        &found.unwrap_or_else(|| panic!("no column {name}")).1
    }

    /// The bars of a rule with these inputs.
    pub fn bars<'a>(&self, inputs: impl Iterator<Item = &'a str>) -> Bars {
        let values = |name| self.column(name).iter().map(|cell| cell.unwrap()).collect::<Vec<_>>();
        let columns: Vec<_> = inputs.map(values).collect();
        Bars::new(columns[0].len(), columns)
    }

    /// Panics with every out whose values differ, and where first.
    pub fn compare<'a>(&self, outs: impl Iterator<Item = &'a str>, ran: &OutputColumns) {
        let mut wrong = Vec::new();
        let mut compared = 0;
        for (name, bits) in outs.zip(&ran.outs) {
            let expected = self.column(name);
            assert_eq!(expected.len(), bits.len(), "{name}");
            let got = bits.iter().map(|bits| Some(f64::from_bits(*bits)).filter(|value| !value.is_nan()));
            let differs = |(bar, (expected, got)): (usize, (&Option<f64>, Option<f64>))| {
                (!same(*expected, got)).then(|| format!("{name}, bar {bar}: expected {expected:?}, got {got:?}"))
            };
            wrong.extend(expected.iter().zip(got).enumerate().find_map(differs));
            compared += 1;
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(compared + 3, self.columns.len(), "a column has no out");
    }
}

fn same(expected: Option<f64>, got: Option<f64>) -> bool {
    match (expected, got) {
        (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()),
        (None, None) => true,
        _ => false,
    }
}
