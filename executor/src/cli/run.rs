//! `rulebox run`: a rule over the bars of a CSV file.

use std::io::{BufWriter, Write, stdout};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rulebox_abi::columns::InputColumns;
use rulebox_dsl::Compiled;
use rulebox_dsl::calendar::Calendar;
use rulebox_dsl::manifest::Manifest;
use rulebox_sandbox::{ModuleLimits, RunError, ViolationKind};

use super::engine::{Allowed, Engine, Loaded, OfService};
use super::failure::Failure;
use super::params::{self, Given};
use super::report::{self, Results};
use super::source::{self, RuleFile};
use super::{csv, guest, terminal};
use crate::execution::guest::Guest;

/// Run a rule over the bars of a CSV file
#[derive(Debug, Args)]
#[command(
    after_help = "The first line of the file names its columns: inputs of the rule, and `time` (or `ts`), RFC 3339 \
                        or whole milliseconds since 1970; other columns are ignored. An empty cell is a missing value."
)]
pub(super) struct Arguments {
    /// The rule: its text or, in WebAssembly, a module; `-` for standard input
    rule: PathBuf,
    /// The manifest of a module that does not carry it
    #[arg(long, value_name = "JSON")]
    manifest: Option<PathBuf>,
    /// The bars, `-` for standard input
    #[arg(long, value_name = "CSV")]
    data: PathBuf,
    /// The value of a param, written as in a rule: `limit=12%`; may be given for each param
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<Given>,
    /// Units of fuel that a module may use, in place of what a service gives by default to so many bars
    #[arg(long, value_name = "UNITS", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000_000))]
    fuel: Option<u64>,
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

/// What is run.
enum Rule {
    Text(Box<Compiled>),
    Module(Box<Guest>),
}

impl Rule {
    fn of(file: &RuleFile, arguments: &Arguments) -> Result<Self, Failure> {
        if !file.is_module() {
            if arguments.manifest.is_some() {
                return Err(Failure::Usage("--manifest is of modules; a rule's text needs none".to_owned()));
            }
            if arguments.fuel.is_some() {
                let why = "--fuel is of modules; what a rule's text needs is proved";
                return Err(Failure::Usage(why.to_owned()));
            }
            return Ok(Self::Text(Box::new(file.compile_or_tell()?)));
        }
        if arguments.engine == Engine::Interp {
            return Err(Failure::Usage("the interpreter runs texts; leave out --engine for a module".to_owned()));
        }
        let beside = guest::read_manifest(arguments.manifest.as_deref())?;
        let read = Guest::read(file.bytes.clone(), beside.as_deref(), &ModuleLimits::DEFAULT);
        Ok(Self::Module(Box::new(read.map_err(|error| guest::Refused::from(error).tell(&file.name))?)))
    }

    fn manifest(&self) -> &Manifest {
        match self {
            Self::Text(compiled) => &compiled.manifest,
            Self::Module(guest) => &guest.manifest,
        }
    }

    fn load(&self, arguments: &Arguments) -> Result<Loaded<'_>, Failure> {
        match self {
            Self::Text(compiled) => Loaded::new(arguments.engine, compiled),
            Self::Module(guest) => {
                let allowed = Allowed { service: OfService::defaults()?, fuel: arguments.fuel };
                Loaded::module(&guest.manifest, &guest.module, Some(allowed))
            }
        }
    }

    /// Why it did not run; of a module's, its author knows less than the compiler of a text.
    fn stopped(&self, error: RunError) -> Failure {
        match error {
            RunError::Violation(violation) if matches!(self, Self::Module(_)) => {
                let advice = match violation.kind {
                    ViolationKind::FuelExhausted => {
                        ". A service gives as much by default (guest-sdk/README.md has the numbers); --fuel gives more here"
                    }
                    ViolationKind::Trap | ViolationKind::StackOverflow => {
                        ". In a test of the rule, natively (in Rust `rulebox_guest::Runner`), the same bars show where"
                    }
                    _ => "",
                };
                Failure::ModuleStopped { violation, advice }
            }
            other => other.into(),
        }
    }
}

/// Everything is read and run before the first byte is written: an error leaves no half of an output.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if source::is_stdin(&arguments.rule) && source::is_stdin(&arguments.data) {
        return Err(Failure::Usage("rule and bars cannot both come from standard input".to_owned()));
    }
    let file = RuleFile::read(&arguments.rule)?;
    let rule = Rule::of(&file, arguments)?;
    let manifest = rule.manifest();
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
    let ran = rule.load(arguments)?.collect(&params, &input).map_err(|error| rule.stopped(error))?;

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
