//! Frames on the pipes between a server and its worker: a kind, a length (u32, little-endian), and so many bytes.

use serde::{Deserialize, Serialize};

/// Bytes before the payload.
pub(super) const HEAD: usize = 5;
/// Bytes of a frame of JSON.
pub(super) const MOST_JSON: usize = 16 << 10;
/// Bytes of what a job says that are handed on at a time.
pub(super) const MOST_PART: usize = 64 << 10;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// To the worker, first: [`super::Setup`].
    Setup = 1,
    /// To the worker: a module.
    Module = 2,
    /// To the server, first: [`Ready`].
    Ready = 11,
    /// To the server, in the place of the former: why it cannot work, in words.
    Unable = 12,
    /// To the server: some bytes of what the job says.
    Part = 13,
    /// To the server, after these: [`Ending`].
    End = 14,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Setup, Self::Module, Self::Ready, Self::Unable, Self::Part, Self::End];
}

/// The head of a frame.
pub(super) fn head(kind: Kind, bytes: usize) -> Option<[u8; HEAD]> {
    let [a, b, c, d] = u32::try_from(bytes).ok()?.to_le_bytes();
    Some([kind as u8, a, b, c, d])
}

/// The kind and the length in a head. The length is as the other side says: bound it.
pub(super) fn read_head([kind, a, b, c, d]: [u8; HEAD]) -> Option<(Kind, usize)> {
    let kind = Kind::ALL.into_iter().find(|known| *known as u8 == kind)?;
    Some((kind, usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?))
}

/// A worker that is ready.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    /// What its code depends on.
    pub(super) compatibility: u64,
    /// What it has given up, in words.
    pub(super) confinement: String,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// Of this signal.
    Signalled(i32),
    /// It was killed for the time that it took.
    WallClock,
    /// It was killed for the length of what it said.
    TooLong,
    /// It did not begin: what the system said.
    NotStarted(String),
}

/// The code of a job that did what it had to.
pub(super) const EXIT_DONE: i32 = 0;
/// The code of a job that could not confine itself.
pub(super) const EXIT_UNCONFINED: i32 = 3;
/// The code of a job that was refused memory, and could still say so.
pub(super) const EXIT_NO_MEMORY: i32 = 4;
/// The code of a job that panicked.
pub(super) const EXIT_PANICKED: i32 = 101;

/// First byte of what a job says: machine code follows.
pub(super) const SAYS_CODE: u8 = 0;
/// First byte of what a job says: a refusal follows, as JSON.
pub(super) const SAYS_REFUSAL: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_come_back_as_they_were() {
        for kind in Kind::ALL {
            assert_eq!(read_head(head(kind, 70_000).unwrap()), Some((kind, 70_000)));
        }
        assert_eq!(read_head([0, 1, 0, 0, 0]), None);
        assert!(head(Kind::Part, usize::MAX).is_none());
    }
}
