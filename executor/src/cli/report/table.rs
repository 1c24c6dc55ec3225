//! Changes of the verdict and counts, for people.

use std::io::{self, Write};

use rulebox_abi::Verdict;
use rulebox_dsl::manifest::Action;

use super::Results;
use crate::cli::terminal::Paint;

/// More changes than anybody reads.
const MOST: usize = 200;

/// Writes the counts, then a line for every change of verdict or action.
pub(in crate::cli) fn write(results: &Results<'_>, paint: Paint, out: &mut impl Write) -> io::Result<()> {
    let summary = results.summary();
    let counts: Vec<_> = Verdict::ALL
        .iter()
        .map(|&verdict| {
            let text = format!("{} {}", summary.counts.of(verdict), verdict.name());
            if summary.counts.of(verdict) == 0 { text } else { paint.verdict(verdict, &text) }
        })
        .collect();
    writeln!(out, "{}: {} bars, {}", paint.bold(&results.manifest.name), results.bars(), counts.join(", "))?;
    if summary.changes.is_empty() {
        return Ok(());
    }
    let shown: Vec<_> = summary.changes.iter().copied().take(MOST).map(|bar| Line::new(results, bar)).collect();
    let width = |cell: fn(&Line) -> &str, title: &str| {
        shown.iter().map(|line| cell(line).chars().count()).max().unwrap_or(0).max(title.len())
    };
    let bar = width(|line| &line.bar, "bar");
    let time = width(|line| &line.time, "time");
    let action = width(|line| &line.action, "action");
    let head = format!("{:>bar$}  {:time$}  {:7}  {:action$}  {}", "bar", "time", "verdict", "action", "reasons");
    writeln!(out, "\n{}", paint.bold(&head))?;
    for line in &shown {
        let verdict = paint.verdict(line.verdict, &format!("{:7}", line.verdict.name()));
        let text =
            format!("{:>bar$}  {:time$}  {verdict}  {:action$}  {}", line.bar, line.time, line.action, line.reasons);
        writeln!(out, "{}", text.trim_end())?;
    }
    let more = summary.changes.len() - shown.len();
    if more > 0 {
        writeln!(out, "... and {more} more changes; `--format csv` writes every bar")?;
    }
    Ok(())
}

struct Line {
    bar: String,
    time: String,
    verdict: Verdict,
    action: String,
    reasons: String,
}

impl Line {
    fn new(results: &Results<'_>, bar: usize) -> Self {
        let outcome = results.outcome(bar);
        let mut action = outcome.action.map(Action::name).unwrap_or_default().to_owned();
        if let Some(keep) = outcome.keep {
            action = format!("{action} to {keep:.4}");
        }
        let reasons = match results.fault(&outcome) {
            Some(fault) => format!("{} (line {}, column {})", fault.message, fault.line, fault.column),
            None => outcome.reasons.join("; "),
        };
        Self {
            bar: bar.to_string(),
            // A cell of the file: nothing of it may reach the terminal as a command.
            time: results.times.get(bar).chars().flat_map(char::escape_debug).collect(),
            verdict: outcome.verdict,
            action,
            reasons,
        }
    }
}
