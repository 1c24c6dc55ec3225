//! The table, and the same as JSON.

use std::fmt;

use serde::Serialize;

use crate::measure::Sample;

/// How far a ratio or a value must go.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Target {
    /// Less is better.
    AtMost {
        /// What is asked for.
        must: f64,
        /// What is hoped for.
        aim: Option<f64>,
    },
    /// More is better.
    AtLeast {
        /// What is asked for.
        must: f64,
        /// What is hoped for.
        aim: Option<f64>,
    },
}

/// Where a figure came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    /// As far as was hoped.
    Aim,
    /// As far as was asked.
    Must,
    /// Neither.
    Missed,
}

impl Target {
    /// Where this value comes. A value that is no number misses.
    pub fn reached(self, value: f64) -> Reached {
        let (must, aim) = match self {
            Self::AtMost { must, aim } => (value <= must, aim.is_none_or(|aim| value <= aim)),
            Self::AtLeast { must, aim } => (value >= must, aim.is_none_or(|aim| value >= aim)),
        };
        match (must, aim) {
            (true, true) => Reached::Aim,
            (true, false) => Reached::Must,
            (false, _) => Reached::Missed,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, must, aim) = match self {
            Self::AtMost { must, aim } => ("<=", must, aim),
            Self::AtLeast { must, aim } => (">=", must, aim),
        };
        write!(f, "{sign} {}", number(*must))?;
        aim.map_or(Ok(()), |aim| write!(f, " ({})", number(aim)))
    }
}

/// What a target is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// The median itself.
    Value,
    /// Its ratio to what ran beside it.
    Ratio,
}

/// A line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    section: &'static str,
    what: String,
    median: f64,
    unit: &'static str,
    spread: f64,
    samples: usize,
    beside: Option<String>,
    beside_median: Option<f64>,
    ratio: Option<f64>,
    target: Option<Target>,
    judged: Judged,
    reached: Option<Reached>,
}

impl Figure {
    /// What was measured, in `unit`.
    pub fn new(what: impl Into<String>, unit: &'static str, sample: &Sample) -> Self {
        Self {
            section: "",
            what: what.into(),
            median: sample.median(),
            unit,
            spread: sample.spread(),
            samples: sample.len(),
            beside: None,
            beside_median: None,
            ratio: None,
            target: None,
            judged: Judged::Value,
            reached: None,
        }
    }

    /// With its ratio to what ran in the same rounds: this over that.
    #[must_use]
    pub fn over(mut self, name: impl Into<String>, mine: &Sample, theirs: &Sample) -> Self {
        self.beside = Some(name.into());
        self.beside_median = Some(theirs.median());
        self.ratio = Some(mine.over(theirs));
        self.judged = Judged::Ratio;
        self
    }

    /// The same the other way round, for things of which less is better: how many times as much the other takes.
    #[must_use]
    pub fn times_better_than(self, name: impl Into<String>, mine: &Sample, theirs: &Sample) -> Self {
        let ratio = theirs.over(mine);
        Self { ratio: Some(ratio), ..self.over(name, mine, theirs) }
    }

    /// What its ratio must be, or its median if it has none.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self.reached = Some(target.reached(self.ratio.unwrap_or(self.median)));
        self
    }

    /// What its median must be, although it has a ratio.
    #[must_use]
    pub fn value_target(mut self, target: Target) -> Self {
        self.judged = Judged::Value;
        self.target = Some(target);
        self.reached = Some(target.reached(self.median));
        self
    }
}

/// All lines, and what they were measured with.
#[derive(Debug, Serialize)]
pub struct Report {
    quick: bool,
    cores: usize,
    #[serde(skip)]
    section: &'static str,
    figures: Vec<Figure>,
}

impl Report {
    /// No lines yet.
    pub fn new(quick: bool) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { quick, cores, section: "", figures: Vec::new() }
    }

    /// What is added from here on is of this part.
    pub const fn section(&mut self, name: &'static str) -> &mut Self {
        self.section = name;
        self
    }

    /// Adds a line, and shows on standard error that it is there.
    pub fn add(&mut self, figure: Figure) {
        let figure = Figure { section: self.section, ..figure };
        let cells = cells(&figure);
        eprintln!("  {} {}, spread {}, {} {}", cells[1], cells[2], cells[3], cells[5], cells[4]);
        self.figures.push(figure);
    }
}

/// Three digits that count, and no exponent where people would not write one.
fn number(value: f64) -> String {
    match value.abs() {
        x if x >= 1e9 => format!("{:.1} G", value / 1e9),
        x if x >= 1e6 => format!("{:.2} M", value / 1e6),
        x if x >= 1e4 => format!("{:.1} k", value / 1e3),
        x if x >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        x if x >= 10.0 => format!("{value:.1}"),
        x if x >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

const HEADER: [&str; 8] = ["part", "what", "median", "spread", "beside it", "ratio", "target (aim)", "reached"];

fn cells(figure: &Figure) -> [String; 8] {
    let beside = figure.beside.as_ref().map_or(String::new(), |name| {
        format!("{name}: {} {}", figure.beside_median.map_or_else(String::new, number), figure.unit)
    });
    [
        figure.section.to_owned(),
        figure.what.clone(),
        format!("{} {}", number(figure.median), figure.unit),
        format!("{:.0}%", figure.spread * 100.0),
        beside,
        figure.ratio.map_or_else(String::new, |ratio| format!("{}x", number(ratio))),
        figure.target.map_or_else(String::new, |target| target.to_string()),
        figure
            .reached
            .map_or("", |reached| match reached {
                Reached::Aim => "aim",
                Reached::Must => "must",
                Reached::Missed => "MISSED",
            })
            .to_owned(),
    ]
}

impl fmt::Display for Report {
    /// A table in Markdown, its columns aligned.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.figures.iter().map(cells).collect();
        let mut widths = HEADER.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |f: &mut fmt::Formatter<'_>, cells: [&str; 8]| {
            for (cell, width) in cells.iter().zip(widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")
        };
        line(f, HEADER)?;
        for width in widths {
            write!(f, "|{:-<1$}", "", width + 2)?;
        }
        writeln!(f, "|")?;
        for row in &rows {
            line(f, row.each_ref().map(String::as_str))?;
        }
        if self.quick {
            writeln!(f, "\n`--quick`: these are no measurements.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_reached_or_missed() {
        let less = Target::AtMost { must: 2.0, aim: Some(1.6) };
        assert_eq!(
            [1.6, 2.0, 2.1, f64::NAN].map(|x| less.reached(x)),
            [Reached::Aim, Reached::Must, Reached::Missed, Reached::Missed]
        );
        let more = Target::AtLeast { must: 3.0, aim: None };
        assert_eq!([3.0, 2.9].map(|x| more.reached(x)), [Reached::Aim, Reached::Missed]);
    }

    #[test]
    fn a_table_says_everything() {
        let (mine, theirs) = (Sample::new(vec![2.0, 2.0]), Sample::new(vec![1.0, 1.0]));
        let mut report = Report::new(true);
        let figure = Figure::new("R1", "ns", &mine).over("native", &mine, &theirs);
        report.section("columns").add(figure.target(Target::AtMost { must: 1.5, aim: None }));
        let text = report.to_string();
        assert!(text.contains("| columns | R1   | 2 ns   | 0%     | native: 1 ns | 2x    | <= 1.50"), "{text}");
        assert!(text.contains("MISSED"), "{text}");
    }
}
