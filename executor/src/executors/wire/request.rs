//! What the API says.

use rulebox_sandbox::{Limits, Shape};
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

use super::InputBytes;

/// A message of the API: one [`Begin`], then batches.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request<'a> {
    /// The run.
    #[serde(borrow)]
    Begin(Begin<'a>),
    /// Its next bars.
    #[serde(borrow)]
    Batch(Batch<'a>),
    /// Nobody wants the rest: the run ends before its next call into the module, and says what it used.
    Cancel,
}

/// A run in a fresh instance.
#[derive(Debug, Serialize, Deserialize)]
pub struct Begin<'a> {
    /// SHA-256 of the module.
    pub digest: [u8; 32],
    /// On whose behalf it runs: turns go round among these.
    pub owner: u128,
    /// What it takes and gives.
    pub shape: Shape,
    /// In the order of the manifest.
    pub params: Vec<f64>,
    /// What the run may take.
    pub limits: Limits,
    /// A saved state to go on from.
    #[serde(borrow)]
    pub state: Option<&'a Bytes>,
    /// Whether the set-up is answered by itself.
    pub answers: bool,
    /// Whether the run stays between its batches, for as long as the API is there: there are only so many of those.
    pub stays: bool,
    /// Whether that answer has the state in it.
    pub save: bool,
}

/// Some bars.
#[derive(Debug, Serialize, Deserialize)]
pub struct Batch<'a> {
    /// The fuel that bars from here on may use, if it is other than before.
    pub refuel: Option<u64>,
    /// Whether the answer has the state in it, if the module keeps one.
    pub save: bool,
    /// Whether more bars of the same series follow.
    pub follows: bool,
    /// The bars.
    #[serde(borrow)]
    pub input: InputBytes<'a>,
}
