//! What every part over HTTP needs: a directory, programs, a collector of traces, and how long a turn is.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::peer::{self, Peer};
use super::process::{LOADING, Server};
use super::tools;
use crate::measure::{self, Sample};
use crate::{Bench, Error};

/// Turns that can fail.
pub type Turn<'a> = Box<dyn FnMut() -> Result<f64, Error> + 'a>;

/// Where a part is played.
#[derive(Debug)]
pub struct Stage {
    /// The binary that is measured.
    pub rulebox: PathBuf,
    /// Where its traces go, by OTLP.
    pub traces: String,
    /// Whether figures do not matter.
    pub quick: bool,
    directory: TempDir,
    _collector: Server,
}

impl Stage {
    /// With a collector that takes all traces and forgets them.
    pub fn new(bench: &Bench) -> Result<Self, Error> {
        tools::program("taskset", "util-linux")?;
        let rulebox = bench.binary.clone().map_or_else(tools::rulebox, Ok)?;
        // A client wants a provider of cryptography, although it speaks without. There may be one from another part.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = TempDir::with_prefix("rulebox-bench-")?;
        let collector = peer::start(LOADING, Peer::Sink, b"", directory.path())?;
        let traces = format!("{}/v1/traces", collector.word("API")?);
        Ok(Self { rulebox, traces, quick: bench.quick, directory, _collector: collector })
    }

    /// A place for files.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// How often each has its turn.
    pub const fn rounds(&self) -> usize {
        if self.quick { 1 } else { 5 }
    }

    /// Seconds of a turn.
    pub const fn seconds(&self) -> u64 {
        if self.quick { 1 } else { 5 }
    }

    /// [`measure::in_turn`], of those that can fail: the first failure is what comes of it.
    pub fn in_turn<const N: usize>(&self, turns: [Turn<'_>; N]) -> Result<[Sample; N], Error> {
        let failed = Cell::new(None);
        let failed_at = &failed;
        let mut contestants = turns.map(|mut turn| -> measure::Contestant<'_> {
            Box::new(move || {
                let earlier = failed_at.take();
                let result = earlier.map_or_else(&mut turn, Err);
                result.unwrap_or_else(|error| {
                    failed_at.set(Some(error));
                    f64::NAN
                })
            })
        });
        let samples = measure::in_turn(self.rounds(), &mut contestants);
        drop(contestants);
        failed.into_inner().map_or(Ok(()), Err)?;
        samples.try_into().map_err(|_| "a sample each".into())
    }
}
