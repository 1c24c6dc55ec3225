//! Streams of Arrow record batches (the IPC streaming format), in and out.
//!
//! The frames are taken apart here, so that every length is held against its limit before anything of that length is
//! kept; the columns are decoded by `arrow-ipc`, which checks them in turn. It is written for friendly bytes: what it
//! panics on is a problem of the sender's, and ends nothing but the stream.

pub mod answer;
mod columns;
mod input;
mod messages;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::api::problem::{Code, Problem};

pub use input::{ArrowBatch, ArrowInput, Undecoded};

/// Does what hostile bytes may make panic.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err(malformed("a message contradicts itself")))
}

fn malformed(detail: &str) -> Problem {
    Problem::new(Code::MALFORMED_ARROW, format!("the Arrow stream is broken: {detail}"))
}

fn unsupported(detail: impl Into<Box<str>>) -> Problem {
    Problem::new(Code::UNSUPPORTED_ARROW, detail)
}
