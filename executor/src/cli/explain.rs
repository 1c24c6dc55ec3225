//! `rulebox explain`: the page of a diagnostic's code, or what a rule takes and costs.

use std::fmt::Write as _;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use clap::Args;
use rulebox_dsl::diagnostic::Code;
use rulebox_dsl::manifest::{Manifest, ValueType};

use super::failure::Failure;
use super::source::RuleFile;
use super::terminal::{Paint, stdout_colors};

/// Explain the code of a diagnostic (E0312), or what a rule takes, gives and costs
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A code, or a rule, `-` for standard input
    #[arg(value_name = "CODE|FILE")]
    what: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let paint = Paint { colors: stdout_colors() };
    let text = match arguments.what.to_str() {
        Some(name) if looks_like_code(name) && !Path::new(name).exists() => page(name, paint)?,
        _ => {
            let file = RuleFile::read(&arguments.what)?;
            let compiled = file.compile_or_tell()?;
            describe(&compiled.manifest, file.text().unwrap_or_default(), paint)
        }
    };
    Ok(stdout().write_all(text.as_bytes())?)
}

/// A letter and digits: `E0312`.
fn looks_like_code(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic())
        && name.len() > 1
        && chars.all(|rest| rest.is_ascii_digit())
}

fn page(name: &str, paint: Paint) -> Result<String, Failure> {
    let Some(code) = Code::find(name) else {
        let codes: Vec<_> = Code::all().map(Code::as_str).collect();
        return Err(Failure::Usage(format!("there is no code {name}; the codes are {}", codes.join(" "))));
    };
    let title = paint.bold(&format!("{}: {}", code.as_str(), code.title()));
    Ok(format!("{title}\n\n{}\n", code.explanation().trim_end()))
}

/// Inputs, params, outs, state and cost of a rule, its text beside the cost of each line.
pub(super) fn describe(manifest: &Manifest, source: &str, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.bold(&format!("rule {}", manifest.name)));
    let section = |text: &mut String, title: &str, lines: &[String]| {
        if !lines.is_empty() {
            text.push_str(&format!("\n{}\n", paint.bold(title)));
            for line in lines {
                text.push_str(&format!("  {}\n", line.trim_end()));
            }
        }
    };
    let inputs = manifest.inputs.iter().map(|input| {
        let optional = if input.optional { "?" } else { "" };
        format!("{:20} {}{optional}{}", input.name, type_name(input.ty), range(input.range, input.ty))
    });
    section(&mut text, "inputs", &inputs.collect::<Vec<_>>());
    let params = manifest.params.iter().map(|param| {
        let default = value(param.default, param.ty);
        format!("{:20} {} = {default}{}", param.name, type_name(param.ty), range(param.range, param.ty))
    });
    section(&mut text, "params", &params.collect::<Vec<_>>());
    let outs = manifest.outs.iter().map(|out| format!("{:20} {}", out.name, type_name(out.ty)));
    section(&mut text, "outs", &outs.collect::<Vec<_>>());

    let mut needs = Vec::new();
    if manifest.uses_time {
        let (hours, minutes) = (manifest.clock.day_start / 60, manifest.clock.day_start % 60);
        needs.push(format!(
            "{:20} of every bar; days of {} begin at {hours:02}:{minutes:02}",
            "time", manifest.clock.zone
        ));
    }
    needs.push(format!("{:20} {} bars", "lookback", manifest.lookback));
    needs.push(format!("{:20} {} bytes", "state", manifest.state_bytes));
    needs.push(format!("{:20} {} bytes", "memory", manifest.memory_bytes));
    section(&mut text, "keeps", &needs);

    if let Some(cost) = &manifest.cost {
        let mut lines =
            vec![format!("{:>6}  a bar, and {} a call of up to {} bars", cost.bar, cost.call, rulebox_abi::MAX_ROWS)];
        for (number, line) in (1_u32..).zip(source.lines()) {
            let fuel: u64 = cost.lines.iter().filter(|line| line.line == number).map(|line| line.fuel).sum();
            if fuel > 0 {
                // Tabs and such would break the column.
                let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                lines.push(format!("{fuel:>6}  {number:>4} | {line}"));
            }
        }
        section(&mut text, "worst-case fuel, proved", &lines);
    }
    text
}

const fn type_name(ty: ValueType) -> &'static str {
    match ty {
        ValueType::Num => "num",
        ValueType::Bool => "bool",
        ValueType::Int => "int",
        ValueType::Clock => "clock",
    }
}

fn value(value: f64, ty: ValueType) -> String {
    if ty == ValueType::Bool { (value != 0.0).to_string() } else { short(value) }
}

/// As `Debug` writes it where digits alone would be long.
fn short(value: f64) -> String {
    let plain = value.to_string();
    if plain.len() > 12 { format!("{value:e}") } else { plain }
}

fn range(range: Option<[f64; 2]>, ty: ValueType) -> String {
    let mut text = String::new();
    if let Some([low, high]) = range {
        // Writing to a string does not fail.
        let _ = write!(text, " in {}..{}", value(low, ty), value(high, ty));
    }
    text
}
