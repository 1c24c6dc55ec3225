//! `rulebox selftest`: everything that stops modules, tried.

use std::io::{Write, stdout};

use clap::Args;

use super::engine;
use super::failure::Failure;
use super::terminal::{Paint, stdout_colors};
use crate::execution::selftest;

/// Try every limit and check with hostile modules, and see that each holds
#[derive(Debug, Args)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> Result<(), Failure> {
    let checks = selftest::all(&engine::sandbox()?, None);
    let paint = Paint { colors: stdout_colors() };
    let mut out = stdout().lock();
    let head = format!("{:32}  {:32}  {:>10}  {:>8}  holds", "module", "outcome", "fuel", "ms");
    writeln!(out, "{}", paint.bold(&head))?;
    for check in &checks {
        let millis = check.elapsed.as_secs_f64() * 1e3;
        let holds = if check.passed { paint.good("yes") } else { paint.bad("NO") };
        write!(out, "{:32}  {:32}  {:>10}  {millis:>8.1}  {holds}", check.name, check.got, check.fuel)?;
        if check.passed { writeln!(out)? } else { writeln!(out, ", expected {}", check.expected)? }
    }
    for (kind, why) in selftest::NOT_TRIED {
        writeln!(out, "\nnot tried: {}, since {why}", kind.name())?;
    }
    let broken = checks.iter().filter(|check| !check.passed).count();
    if broken == 0 {
        writeln!(out, "\nall {} limits hold", checks.len())?;
        Ok(())
    } else {
        writeln!(out, "\n{broken} of {} limits do not hold", checks.len())?;
        Err(Failure::Told)
    }
}
