//! `rulebox tenant usage`: what a tenant used, as a table.

use std::io::{Write, stdout};

use clap::{Args, ValueEnum};

use super::admin::Admin;
use super::failure::Failure;
use crate::domain::at::At;
use crate::domain::usage::{Period, Span, Usage};

/// Of which time, and how it is summed.
#[derive(Debug, Args)]
pub(super) struct Times {
    /// The first period is the one of this time; without it, there are 24 hours or 30 days
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The last period is the one before or at this time; without it, the one that is now
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Periods, in UTC
    #[arg(long, value_enum, default_value_t = By::Hour)]
    by: By,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    /// At most 744 at once
    Hour,
    /// At most 366 at once
    Day,
}

impl Times {
    fn span(&self, now: At) -> Result<Span, Failure> {
        let time = |text: &Option<String>, name: &str| {
            let wrong = |text: &str| Failure::Usage(format!("--{name} {text}: it is a time like 2026-01-31T15:00:00Z"));
            text.as_deref().map(|text| At::parse(text).ok_or_else(|| wrong(text))).transpose()
        };
        let period = match self.by {
            By::Hour => Period::Hour,
            By::Day => Period::Day,
        };
        let span = Span::new(period, time(&self.from, "from")?, time(&self.to, "to")?, now);
        span.map_err(|error| Failure::Usage(error.to_string()))
    }
}

/// Prints every period, then their sum.
pub(super) async fn print(admin: &Admin, name: &str, times: &Times) -> Result<(), Failure> {
    let (span, tenant) = (times.span(admin.store.now().await?)?, admin.tenant(name).await?);
    let periods = span.sums(&admin.store.usage(tenant.id, &span, &[]).await?);
    let total = periods.iter().fold(Usage::NONE, |total, period| total.plus(period.used));
    let head = ["requests", "refused", "evaluations", "bars", "fuel"];
    let mut rows = vec![(span.period().name().to_owned(), head.map(str::to_owned))];
    rows.extend(periods.iter().map(|period| (period.from.to_string(), cells(period.used))));
    rows.push(("total".to_owned(), cells(total)));
    let first = rows.iter().map(|(first, _)| first.len()).max().unwrap_or(0);
    // The total is the longest of each column, if the head is not.
    let widths: Vec<_> = head.iter().zip(cells(total)).map(|(head, total)| head.len().max(total.len())).collect();
    for (name, cells) in rows {
        write!(stdout(), "{name:first$}")?;
        for (cell, width) in cells.iter().zip(&widths) {
            write!(stdout(), "  {cell:>width$}")?;
        }
        writeln!(stdout())?;
    }
    Ok(())
}

fn cells(used: Usage) -> [String; 5] {
    let Usage { requests, refused, evaluations, bars, fuel } = used;
    [requests, refused, evaluations, bars, fuel].map(|count| count.to_string())
}
