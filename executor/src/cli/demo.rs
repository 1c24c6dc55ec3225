//! `rulebox demo`: the whole service on loopback, at work on a real account's bars.

use std::io::{Write, stdout};

use clap::Args;

use super::failure::Failure;
use super::{signal, terminal};
use crate::demo;

/// Show the whole service at work on a real account's bars, then serve until Ctrl-C
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Do not serve: exit when everything has been shown
    #[arg(long)]
    once: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let once = arguments.once;
    signal::block_on(async {
        let stop = signal::stop().map_err(Failure::Runtime)?;
        let stop = (!once).then_some(async move {
            // Nobody to read it is nobody to tell.
            if writeln!(stdout(), "  serving until Ctrl-C").is_ok() {
                stop.await;
            }
        });
        Ok(demo::run(&mut stdout(), terminal::stdout_colors(), stop).await?)
    })
}
