//! `rulebox compile-worker`: what `rulebox serve` starts to compile modules of tenants. Not for people.

use clap::Args;
use rulebox_sandbox::worker::{Stage, serve};

use super::failure::Failure;
use crate::confinement::{OnlyThread, Policy, Profile, confine_thread};

/// Compile modules for the server that started this
#[derive(Debug, Args)]
#[command(hide = true)]
pub(super) struct Arguments {
    /// What to do where the system lacks a part of the confinement
    #[arg(long, value_enum)]
    confinement: Policy,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let policy = arguments.confinement;
    serve(&move |stage| {
        let confined = match stage {
            Stage::Worker => confine_thread(&Profile::compile_parent(), policy, &OnlyThread::of_process()?),
            Stage::Job => confine_thread(&Profile::compile_worker(), policy, &OnlyThread::after_fork()),
        };
        Ok(confined?.to_string())
    })?;
    Ok(())
}
