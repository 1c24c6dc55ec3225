//! Bars that own their columns, for callers that build them value by value.

use rulebox_abi::columns::InputColumns;

use crate::calendar::{Calendar, LocalColumns};

/// The bars of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    rows: usize,
    inputs: Vec<Vec<f64>>,
    time: Option<(Vec<i64>, LocalColumns)>,
}

impl Bars {
    /// Bars of a rule that does not use time. Every column has `rows` values.
    pub const fn new(rows: usize, inputs: Vec<Vec<f64>>) -> Self {
        Self { rows, inputs, time: None }
    }

    /// Adds the times of the bars, in milliseconds since 1970.
    #[must_use]
    pub fn with_time(mut self, time: Vec<i64>, calendar: &Calendar) -> Self {
        let local = calendar.local(&time);
        self.time = Some((time, local));
        self
    }

    /// Number of bars.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The columns as references, from which engines are given [`BarsView::columns`].
    pub fn view(&self) -> BarsView<'_> {
        BarsView { bars: self, inputs: self.inputs.iter().map(Vec::as_slice).collect() }
    }
}

/// References to the columns of [`Bars`].
#[derive(Clone, Debug)]
pub struct BarsView<'a> {
    bars: &'a Bars,
    inputs: Vec<&'a [f64]>,
}

impl BarsView<'_> {
    /// As engines read them.
    pub fn columns(&self) -> InputColumns<'_> {
        let time = self.bars.time.as_ref().map(|(time, local)| local.view(time));
        InputColumns { rows: self.bars.rows, inputs: &self.inputs, time }
    }
}
