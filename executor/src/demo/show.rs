//! What the demonstration prints.

use std::io::{self, Write};

use super::account::Account;
use super::chart::{self, LABEL};
use super::client::{Evaluation, Event, Version};
use super::hostile::Stopped;

/// An evaluation, and the account that it looked at.
pub(super) struct RuleResult {
    pub(super) account: usize,
    pub(super) evaluation: Evaluation,
}

/// Standard output, with or without colours.
pub(super) struct Page<'o> {
    out: &'o mut (dyn Write + Send),
    colors: bool,
}

impl<'o> Page<'o> {
    pub(super) fn new(out: &'o mut (dyn Write + Send), colors: bool) -> Self {
        Self { out, colors }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colors { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn title(&mut self, text: &str) -> io::Result<()> {
        let text = self.paint("1", text);
        writeln!(self.out, "\n{text}\n")
    }

    pub(super) fn service(&mut self, base: &str, health: &str, usual_free: bool) -> io::Result<()> {
        let name = self.paint("1", "Rulebox");
        writeln!(self.out, "{name}: your customers' rules, run safely over their accounts\n")?;
        writeln!(self.out, "  API      {base}   (the documents: {base}/docs)")?;
        writeln!(self.out, "  health   {health}/readyz, {health}/metrics")?;
        writeln!(self.out, "  store    SQLite in a temporary directory, gone at the end")?;
        if !usual_free {
            writeln!(self.out, "  port 8080 is taken, so this is another")?;
        }
        Ok(())
    }

    pub(super) fn uploaded(&mut self, version: &Version) -> io::Result<()> {
        let bar = version.manifest.cost.as_ref().map_or(0, |cost| cost.bar);
        let digest = version.digest.get(..15).unwrap_or(&version.digest);
        let (rule, number, state) = (&version.rule, version.number, version.manifest.state_bytes);
        writeln!(
            self.out,
            "  {rule:<18} version {number}  {digest}…  {bar:>5} fuel a bar at most  {state:>5} bytes of state"
        )
    }

    pub(super) fn account(&mut self, account: &Account) -> io::Result<()> {
        let (rows, bar, title) = (account.rows, account.bar, account.title);
        let (first, last) = (account.day(0), account.day(rows.saturating_sub(1)));
        writeln!(self.out, "  {title}: {rows} bars, one {bar}, {first} to {last}")
    }

    pub(super) fn result_head(&mut self) -> io::Result<()> {
        writeln!(self.out, "\n    rule                    ok   warn breach fault        fuel  fuel/bar     bars/s")
    }

    pub(super) fn result(&mut self, number: usize, result: &RuleResult) -> io::Result<()> {
        let Evaluation { rule, bars, counts, fuel, elapsed, .. } = &result.evaluation;
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let (per_bar, per_second) = (*fuel as f64 / (*bars).max(1) as f64, *bars as f64 / elapsed.as_secs_f64());
        let (ok, warn, breach, fault) = (counts.ok, counts.warn, counts.breach, counts.fault);
        writeln!(
            self.out,
            "  {number} {rule:<20} {ok:>5} {warn:>6} {breach:>6} {fault:>5} {fuel:>11} {per_bar:>9.1} {per_second:>10.0}"
        )
    }

    pub(super) fn firsts(&mut self, results: &[RuleResult]) -> io::Result<()> {
        writeln!(self.out, "\n    first breach")?;
        for (at, result) in results.iter().enumerate() {
            let first = result.evaluation.first.breach.as_ref().or(result.evaluation.first.fault.as_ref());
            let text = first.map_or_else(|| "none".to_owned(), event);
            writeln!(self.out, "  {} {:<18} {text}", at + 1, result.evaluation.rule)?;
        }
        Ok(())
    }

    pub(super) fn chart(&mut self, account: &Account, at: usize, results: &[RuleResult]) -> io::Result<()> {
        self.title(&format!("Equity of {}, and where rules spoke", account.title))?;
        for line in chart::equity(&account.numbers("equity")) {
            writeln!(self.out, "{line}")?;
        }
        for line in chart::drawdown(&account.numbers("drawdown")) {
            writeln!(self.out, "{}", self.paint("31", &line))?;
        }
        let last = account.rows.saturating_sub(1);
        writeln!(self.out, "{}", chart::ends(account.day(0), account.day(last)))?;
        for (number, result) in results.iter().enumerate().filter(|(_, result)| result.account == at) {
            let label = format!("rule {}", number + 1);
            let marks = self.colored_marks(&chart::marks(&result.evaluation.series.verdict));
            writeln!(self.out, "{label:>LABEL$}  {marks}")?;
        }
        writeln!(self.out, "{:LABEL$}  B breach, w warn, F fault, · ok: the worst of each column's bars", "")
    }

    fn colored_marks(&self, marks: &str) -> String {
        let paint = |mark| match mark {
            'B' | 'F' => self.paint("1;31", &String::from(mark)),
            'w' => self.paint("33", "w"),
            _ => self.paint("2", &String::from(mark)),
        };
        marks.chars().map(paint).collect()
    }

    pub(super) fn hostile(&mut self, stopped: &Stopped) -> io::Result<()> {
        let Stopped { text, outcome, fuel, elapsed } = stopped;
        let outcome = self.paint("1;31", outcome);
        writeln!(self.out, "  {text}\n")?;
        writeln!(
            self.out,
            "  ended with {outcome} after {fuel} units of fuel, {:.1} ms;",
            elapsed.as_secs_f64() * 1e3
        )?;
        writeln!(
            self.out,
            "  the rule that ran next, in the same process, was right. `rulebox selftest` tries every limit."
        )
    }

    pub(super) fn go_on(&mut self, base: &str, key: &str) -> io::Result<()> {
        writeln!(self.out, "  URL   {base}\n  key   {key}\n")?;
        writeln!(
            self.out,
            "  curl -s {base}/v1/rules/check_custom_rule/evaluate -H 'Authorization: Bearer {key}' \
             -H 'Content-Type: application/json' -d '{{\"inputs\": {{\"equity\": 92000, \"drawdown\": 0.08}}}}'\n"
        )?;
        self.out.flush()
    }
}

/// An event in one line.
fn event(event: &Event) -> String {
    let time = event.time.as_deref().unwrap_or("no time");
    let action = match (&event.action, event.keep) {
        (Some(action), Some(keep)) => format!("{action} to {:.0}%", keep * 100.0),
        (Some(action), None) => action.clone(),
        (None, _) => "no action".to_owned(),
    };
    format!("bar {:>4}  {time}  {action}  {}", event.bar, event.reasons.join("; "))
}
