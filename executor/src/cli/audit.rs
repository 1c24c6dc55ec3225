//! `rulebox audit`: reading the audit log, and finding out whether somebody changed it.

use std::io::{Write, stdout};

use clap::{Args, Subcommand};

use super::admin::{Admin, Owner, chain};
use super::failure::Failure;
use crate::service::audit::{Verified, verify};

/// Read the audit log, and verify that nobody changed it
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: super::admin::Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the entries from the oldest on, one a line
    List {
        #[command(flatten)]
        owner: Owner,
    },
    /// Verify every chain; exit code 1 if one was changed
    Verify {
        /// Where a chain ended when it was written down (a log line "audit head", or the output of an earlier
        /// `verify`): fails if the chain no longer has that entry. May be given several times
        #[arg(long = "expect", value_name = "CHAIN:SEQ:SEAL")]
        expected: Vec<String>,
    },
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.settings.block_on(false, async |admin: &Admin| match &arguments.command {
        Command::List { owner } => list(admin, owner).await,
        Command::Verify { expected } => verify_all(admin, expected).await,
    })
}

async fn list(admin: &Admin, owner: &Owner) -> Result<(), Failure> {
    let owner = admin.owner(owner).await?;
    let mut after = 0;
    loop {
        let page = admin.store.audit(owner, after, 1_000).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.seq;
        for entry in &page {
            let (seq, at, actor) = (entry.seq, entry.at, &entry.actor.name);
            writeln!(stdout(), "{seq}  {at}  {actor}  {}  {}  {}", entry.action, entry.object, entry.detail)?;
        }
    }
}

/// What somebody wrote down.
struct Expected {
    chain: String,
    seq: u64,
    seal: String,
    found: bool,
}

async fn verify_all(admin: &Admin, expected: &[String]) -> Result<(), Failure> {
    let mut expected = expected.iter().map(|text| read_expected(text)).collect::<Result<Vec<_>, _>>()?;
    for head in &mut expected {
        let entry = admin.store.audit(chain(&head.chain)?, head.seq.saturating_sub(1), 1).await?;
        head.found = entry.first().is_some_and(|entry| entry.seq == head.seq && entry.seal.to_string() == head.seal);
    }
    let (mut lines, mut broken) = (Vec::new(), 0);
    let found = |verified: Verified| {
        let (whose, head) = (verified.chain, &verified.head);
        let name = whose.to_string();
        // Removed by the service as too old, as the seal of the removal says.
        let kept = head.removed_seq;
        let gone =
            |expected: &&mut Expected| expected.chain == name && expected.seq <= kept && verified.broken.is_none();
        expected.iter_mut().filter(gone).for_each(|expected| expected.found = true);
        let state = match &verified.broken {
            None => format!("whole  {} entries  {whose}:{}:{}", verified.entries, head.seq, head.seal),
            Some(wrong) => {
                broken += 1;
                format!("BROKEN  {wrong}")
            }
        };
        lines.push(format!("{whose}  {state}"));
    };
    verify(&admin.store, &admin.sealer, found).await?;
    for line in lines {
        writeln!(stdout(), "{line}")?;
    }
    for head in expected.iter().filter(|head| !head.found) {
        broken += 1;
        writeln!(stdout(), "{}  BROKEN  entry {} is not there as it was written down", head.chain, head.seq)?;
    }
    if broken == 0 { Ok(()) } else { Err(Failure::Told) }
}

fn read_expected(text: &str) -> Result<Expected, Failure> {
    let wrong = || Failure::Usage(format!("--expect {text}: it is CHAIN:SEQ:SEAL, as `verify` prints them"));
    let mut parts = text.split(':');
    let (Some(chain), Some(seq), Some(seal), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    let seq = seq.parse().map_err(|_| wrong())?;
    Ok(Expected { chain: chain.to_owned(), seq, seal: seal.to_owned(), found: false })
}
