//! What the API and its executors say to each other.
//!
//! A run is one HTTP/2 request, `POST /v2/run`: frames of [`Request`] in its body, frames of [`Reply`] in the answer's,
//! both at the same time. `PUT /v2/modules` hands over a module. Both are the same build or neighbours of it: what
//! cannot be read is refused, and the addresses say which version of these messages it is.

mod columns;
mod frames;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use columns::{InputBytes, TimeBytes, borrowed, rows_a_batch};
pub use frames::{FRAME_BYTES, FrameError, FrameRoom, Frames, frame};
pub use reply::{Done, Failure, Reply, Rows};
pub use request::{Batch, Begin, Request};

/// What an executor of this version answers with 200, for as long as it takes runs.
pub const GREETING_PATH: &str = "/v2";
/// Where runs are posted.
pub const RUN_PATH: &str = "/v2/run";
/// Where modules are put.
pub const MODULE_PATH: &str = "/v2/modules";
/// Of a module that is put: on whose behalf.
pub const OWNER: &str = "x-owner";
/// Of a module that is put: `compiler` or `tenant`, which says how it is compiled.
pub const MADE_BY: &str = "x-made-by";
