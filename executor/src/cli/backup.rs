//! `rulebox backup`: writes down that there was one.

use std::io::{Write, stdout};

use clap::{Args, Subcommand};

use super::admin::Admin;
use super::failure::Failure;

/// Write down that a backup of the store has succeeded
///
/// The service shows when that was (`rulebox_backup_last_success_timestamp_seconds`), and an alert fires when it is too
/// long ago. To be run by what makes backups, behind one that succeeded.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: super::admin::Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write down that a backup has succeeded now
    Record,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.settings.block_on(false, async |admin: &Admin| match &arguments.command {
        Command::Record => {
            let at = admin.store.backed_up(&admin.change()).await?;
            writeln!(stdout(), "backed up at {at}")?;
            Ok(())
        }
    })
}
