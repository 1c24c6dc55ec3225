//! Bars: the accounts that the demonstration ships, and what is cut out of them.

use rulebox_abi::columns::{InputColumns, TimeColumns};
use rulebox_dsl::calendar::Calendar;
use rulebox_dsl::manifest::Manifest;

use super::three_rules::sdk;

/// The demonstration's accounts.
pub const ACCOUNTS: [&str; 2] = ["goog_daily", "eurusd_hourly"];

/// Bars of one rule.
#[derive(Clone, Debug, Default)]
pub struct Bars {
    pub inputs: Vec<Vec<f64>>,
    pub time: Vec<i64>,
    pub local_day: Vec<i32>,
    pub minute_of_day: Vec<i32>,
    pub weekday: Vec<i32>,
}

impl Bars {
    /// The bars of an account, as this rule takes them.
    pub fn of_account(name: &str, manifest: &Manifest) -> Self {
        let text = std::fs::read_to_string(sdk(&format!("../executor/demo/{name}.csv"))).unwrap();
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let header = lines.next().unwrap();
        let rows: Vec<_> = lines.collect();
        assert!(rows.len() > 2000, "{name}");
        let column = |name: &str| header.iter().position(|cell| *cell == name).unwrap();
        let inputs = manifest.inputs.iter().map(|input| {
            let at = column(&input.name);
            rows.iter().map(|row| row[at].parse().unwrap()).collect()
        });
        let at = column("time");
        let time: Vec<i64> = rows.iter().map(|row| rulebox_dsl::time::parse(row[at]).unwrap()).collect();
        let calendar = Calendar::new(&manifest.clock.zone, manifest.clock.day_start).unwrap();
        let local = calendar.local(&time);
        let view = local.view(&time);
        let (local_day, minute_of_day, weekday) =
            (view.local_day.to_vec(), view.minute_of_day.to_vec(), view.weekday.to_vec());
        Self { inputs: inputs.collect(), time, local_day, minute_of_day, weekday }
    }

    pub fn rows(&self) -> usize {
        self.time.len()
    }

    pub fn with<T>(&self, use_them: impl FnOnce(&InputColumns<'_>) -> T) -> T {
        let inputs: Vec<&[f64]> = self.inputs.iter().map(Vec::as_slice).collect();
        let time = TimeColumns {
            time: &self.time,
            local_day: &self.local_day,
            minute_of_day: &self.minute_of_day,
            weekday: &self.weekday,
        };
        use_them(&InputColumns { rows: self.rows(), inputs: &inputs, time: Some(time) })
    }

    pub fn part(&self, range: std::ops::Range<usize>) -> Self {
        self.with(|bars| of_range(bars, range))
    }
}

fn of_range(bars: &InputColumns<'_>, range: std::ops::Range<usize>) -> Bars {
    let time = bars.time.unwrap();
    Bars {
        inputs: bars.inputs.iter().map(|column| column[range.clone()].to_vec()).collect(),
        time: time.time[range.clone()].to_vec(),
        local_day: time.local_day[range.clone()].to_vec(),
        minute_of_day: time.minute_of_day[range.clone()].to_vec(),
        weekday: time.weekday[range].to_vec(),
    }
}

/// The first `bars` and the rest.
pub fn split(bars: &InputColumns<'_>, at: usize) -> (Bars, Bars) {
    (of_range(bars, 0..at), of_range(bars, at..bars.rows))
}
