//! `rulebox backup`: writes down that there was one, or that one was tried.

use std::io::{Write, stdout};

use clap::{Args, Subcommand};

use super::admin::Admin;
use super::failure::Failure;
use crate::store::BackupEvent;

/// Write down that a backup of the store has succeeded, or was tried
///
/// The service shows when that was (`rulebox_backup_last_success_timestamp_seconds`,
/// `rulebox_restore_test_last_success_timestamp_seconds`, `rulebox_restore_test_last_failure_timestamp_seconds`), and alerts
/// fire when it is too long ago, or a trial failed. To be run by what makes and restores backups, behind it.
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
    Record(Record),
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct Record {
    /// That one was restored on trial, and held
    #[arg(long)]
    restored: bool,
    /// That one could not be restored on trial, or was not what it should be
    #[arg(long)]
    restore_failed: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Command::Record(record) = &arguments.command;
    let (event, said) = match record {
        Record { restored: true, .. } => (BackupEvent::Restored, "restored on trial"),
        Record { restore_failed: true, .. } => (BackupEvent::Failed, "restore on trial failed"),
        Record { .. } => (BackupEvent::Made, "backed up"),
    };
    arguments.settings.block_on(false, async |admin: &Admin| {
        let at = admin.store.record_backup(event, &admin.change()).await?;
        writeln!(stdout(), "{said} at {at}")?;
        Ok(())
    })
}
