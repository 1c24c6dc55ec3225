//! `rulebox migrate`: brings the tables of the store to this version's form.

use std::io::{Write, stdout};
use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::signal;
use crate::app::tables;
use crate::config::Config;
use crate::telemetry::logs;

/// Bring the store's tables to this version's form
///
/// A database needs `RULEBOX_DATABASE__MIGRATE_URL`: a login that owns it, to the database itself and not to a
/// pooler. Two that run at once wait for one another. Without a database the store is the file in
/// `RULEBOX_DATA_DIR`, which a start brings to its form by itself. Tables of a later version that work with this one
/// are left as they are.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0; 2 if the tables do not work with this version, and cannot be brought to its form."
)]
pub(super) struct Arguments {
    /// Settings in TOML, those of `serve`; the environment overrides them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = Config::load(arguments.config.as_deref(), None)?;
    logs::start(&config.log, None)?;
    signal::block_on(async {
        let standing =
            if arguments.dry_run { tables::standing(&config).await? } else { tables::migrate(&config).await? };
        let mut out = stdout().lock();
        for step in standing.missing.iter().chain(&standing.later) {
            writeln!(out, "{step}")?;
        }
        match (standing.missing.len(), arguments.dry_run) {
            (0, _) if !standing.later.is_empty() => {
                writeln!(out, "the tables are of a later version, and work with this one: nothing to do")?;
            }
            (0, _) => writeln!(out, "the tables are this version's")?,
            (n, true) => writeln!(out, "{n} to do")?,
            (n, false) => writeln!(out, "{n} done")?,
        }
        Ok(())
    })
}
