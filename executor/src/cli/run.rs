//! `rulebox run`: a rule over the bars of a CSV file.

use std::io::{BufWriter, Write, stdout};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rulebox_abi::columns::InputColumns;
use rulebox_dsl::calendar::Calendar;

use super::engine::{Engine, Loaded};
use super::failure::Failure;
use super::params::{self, Given};
use super::report::{self, Results};
use super::source::{self, RuleFile};
use super::{csv, terminal};

/// Run a rule over the bars of a CSV file
#[derive(Debug, Args)]
#[command(
    after_help = "The first line of the file names its columns: inputs of the rule, and `time` (or `ts`), RFC 3339 \
                        or whole milliseconds since 1970; other columns are ignored. An empty cell is a missing value."
)]
pub(super) struct Arguments {
    /// The rule, `-` for standard input
    rule: PathBuf,
    /// The bars, `-` for standard input
    #[arg(long, value_name = "CSV")]
    data: PathBuf,
    /// The value of a param, written as in a rule: `limit=12%`; may be given for each param
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<Given>,
    /// How to write the results
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// What runs the rule
    #[arg(long, value_enum, default_value_t = Engine::Wasm)]
    engine: Engine,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Changes of the verdict, for people
    Table,
    /// One line a bar: bar,time,verdict,action,reasons
    Csv,
    /// Counts, first bars and changes, as the HTTP API answers
    Json,
}

/// Everything is read and run before the first byte is written: an error leaves no half of an output.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if source::is_stdin(&arguments.rule) && source::is_stdin(&arguments.data) {
        return Err(Failure::Usage("rule and bars cannot both come from standard input".to_owned()));
    }
    let file = RuleFile::read(&arguments.rule)?;
    let compiled = file.compile_or_tell()?;
    let manifest = &compiled.manifest;
    let params = params::bind(manifest, &arguments.params)?;

    let name = source::display_name(&arguments.data);
    let read = source::read(&arguments.data, u64::MAX);
    let bytes = read.map_err(|source| Failure::Read { file: name.clone(), source })?;
    let table = csv::read(&bytes, manifest).map_err(|source| Failure::Data { file: name, source })?;
    drop(bytes);

    let clock = &manifest.clock;
    let local = match &table.times {
        Some(times) => Some(Calendar::new(&clock.zone, clock.day_start)?.local(times)),
        None => None,
    };
    let time = local.as_ref().zip(table.times.as_deref()).map(|(local, times)| local.view(times));
    let inputs: Vec<&[f64]> = table.inputs.iter().map(Vec::as_slice).collect();
    let input = InputColumns { rows: table.rows, inputs: &inputs, time };
    let ran = Loaded::new(arguments.engine, &compiled)?.collect(&params, &input)?;

    let results = Results { manifest, times: &table.raw_times, columns: &ran.columns, metered: ran.metered };
    let mut out = BufWriter::with_capacity(64 << 10, stdout().lock());
    match arguments.format {
        Format::Table => {
            report::table::write(&results, terminal::Paint { colors: terminal::stdout_colors() }, &mut out)?;
        }
        Format::Csv => report::csv::write(&results, &mut out)?,
        Format::Json => report::json::write(&results, &mut out)?,
    }
    Ok(out.flush()?)
}
