//! The command line: one file a command.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0; 1 for a rule that does not compile,
//! a module that is refused, a test that fails, a limit that does not hold, an audit log that was changed or a service
//! that is not well; 2 for bad usage or data that cannot be read.

mod admin;
mod audit;
mod backup;
mod check;
mod compile_worker;
mod csv;
mod demo;
mod engine;
mod explain;
mod failure;
mod fmt;
mod guest;
mod healthcheck;
mod key;
mod migrate;
mod open_files;
mod params;
mod report;
mod run;
mod selftest;
mod serve;
mod signal;
mod source;
mod tenant;
mod terminal;
mod test;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Compiles trading rules to WebAssembly and runs them over account bars.
#[derive(Debug, Parser)]
#[command(name = "rulebox", version, about, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0; 1 for a rule that does not compile, a module that is refused, a test that fails, a \
                  limit that does not hold, an audit log that was changed or a service that is not well; 2 for bad \
                  usage or data that cannot be read."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Serve(serve::Arguments),
    Healthcheck(healthcheck::Arguments),
    Check(check::Arguments),
    Fmt(fmt::Arguments),
    Test(test::Arguments),
    Explain(explain::Arguments),
    Run(run::Arguments),
    Guest(guest::Arguments),
    Selftest(selftest::Arguments),
    Migrate(migrate::Arguments),
    Tenant(tenant::Arguments),
    Key(key::Arguments),
    Audit(audit::Arguments),
    Backup(backup::Arguments),
    CompileWorker(compile_worker::Arguments),
}

/// Reads the arguments of the process, does what they ask, and says how it went.
pub fn main() -> ExitCode {
    let done = match CommandLine::parse().command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Healthcheck(arguments) => healthcheck::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Fmt(arguments) => fmt::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Guest(arguments) => guest::run(&arguments),
        Command::Selftest(arguments) => selftest::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Tenant(arguments) => tenant::run(&arguments),
        Command::Key(arguments) => key::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::CompileWorker(arguments) => compile_worker::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
