//! Measures Rulebox beside its peers, on the same rules and rows, and prints one table.
//!
//! `cargo run --release -p rulebox-bench`; README.md says what each line is.

mod answer;
mod columns;
mod compile;
mod http;
mod measure;
mod memory;
mod metering;
mod native;
mod peers;
mod python;
mod report;
mod rows;
mod rules;
mod sandbox;
mod scaling;
mod subject;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use report::Report;

/// That of the service, which compiles rules and answers requests with it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why a measurement could not be made.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A part of the suite: measures, and adds its lines to the report.
type Section = fn(&Bench, &mut Report) -> Result<(), Error>;

/// The parts, in the order of the table.
const SECTIONS: &[(&str, Section)] = &[
    ("columns", columns::measure),
    ("metering", metering::measure),
    ("peers", peers::measure),
    ("sandbox", sandbox::measure),
    ("compile", compile::measure),
    ("memory", memory::measure),
    ("scaling", scaling::measure),
    ("one_bar", http::one_bar::measure),
    ("bulk", http::bulk::measure),
    ("roles", http::roles::measure),
    ("sessions", http::sessions::measure),
    ("upload", http::upload::measure),
    ("http_scaling", http::scaling::measure),
    ("stored", http::stored::measure),
];

/// Measures Rulebox beside its peers, on the same rules and rows.
#[derive(Debug, Parser)]
#[command(name = "rulebox-bench")]
struct Arguments {
    /// Only these parts; all of them without.
    sections: Vec<String>,
    /// Writes the figures as JSON to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A fraction of the rows and rounds: shows that the suite works, and measures nothing.
    #[arg(long)]
    quick: bool,
    /// Loads the rules of a directory and prints what each takes: the part `memory` runs itself with it.
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    load: Option<PathBuf>,
    /// Measures this binary over HTTP, instead of the one that is built from here.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    #[command(flatten)]
    peer: http::peer::Arguments,
}

/// What every part needs to know.
#[derive(Debug)]
pub struct Bench {
    /// Whether figures do not matter.
    pub quick: bool,
    /// The `rulebox` that is started, if not the one that is built from here.
    pub binary: Option<PathBuf>,
}

impl Bench {
    /// How often each contestant has its turn.
    pub const fn rounds(&self) -> usize {
        if self.quick { 3 } else { 15 }
    }

    /// Bars of a long series.
    pub const fn rows(&self) -> usize {
        if self.quick { 20_000 } else { 1_000_000 }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rulebox-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    if let Some(directory) = &arguments.load {
        return memory::load(directory);
    }
    if arguments.peer.serve()? {
        return Ok(());
    }
    let known: Vec<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = arguments.sections.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("there is no part '{unknown}'; there are {}", known.join(", ")).into());
    }
    let bench = Bench { quick: arguments.quick, binary: arguments.binary.clone() };
    let mut report = Report::new(arguments.quick);
    for (name, section) in SECTIONS {
        if arguments.sections.is_empty() || arguments.sections.iter().any(|wanted| wanted == name) {
            eprintln!("{name} ...");
            section(&bench, report.section(name))?;
        }
    }
    print!("{report}");
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    Ok(())
}
