//! Settings of runs.

use std::time::Duration;

use rulebox_sandbox::Limits;
use serde::{Deserialize, Serialize};

/// Settings of runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Threads that run rules.
    pub threads: usize,
    /// Requests that may wait for one; past them the answer is 503.
    pub queue: usize,
    /// Rows of a request.
    pub rows: usize,
    /// Columns of a request.
    pub columns: usize,
    /// Cells of a request: rows times columns.
    pub cells: usize,
    /// Rules of a request.
    pub rules: usize,
    /// Fuel of a request, all its rules together.
    pub fuel: u64,
    /// Milliseconds that one call into a module may take (it runs at most [`Evaluation::chunk_rows`] bars).
    pub deadline_ms: u64,
    /// Bytes of a module's memory.
    pub memory_bytes: usize,
    /// Bars passed to a module at a time, at most 4,096.
    pub chunk_rows: usize,
    /// Bytes that results and the answers made of them may take, over all requests.
    pub answers_in_flight_bytes: usize,
    /// Changes of verdict in an answer; past them it says `events_truncated`.
    pub events: usize,
    /// Compiled modules kept in memory.
    pub loaded_modules: usize,
    /// Bytes of these modules. Whoever has most of them makes room for others.
    pub loaded_bytes: usize,
    /// Streams at a time, each with an instance of its own; past them the answer is 503.
    pub streams: usize,
    /// Of these, those of one tenant, so that no tenant takes the places of the others.
    pub tenant_streams: usize,
    /// Rows of a stream.
    pub stream_rows: usize,
    /// Bytes of a record batch of a stream. (A line of JSON may have as many as [`super::Api::small_body_bytes`].)
    pub stream_batch_bytes: usize,
}

impl Evaluation {
    /// Bytes that are set aside for a value of a result: eight as a double, and up to twenty-four as text.
    pub const RESULT_BYTES: usize = 32;

    /// What a request may take.
    pub fn of_run(&self) -> Limits {
        Limits {
            fuel: self.fuel,
            deadline: Duration::from_millis(self.deadline_ms),
            memory_bytes: self.memory_bytes,
            chunk_rows: u32::try_from(self.chunk_rows).unwrap_or(u32::MAX),
            ..Limits::default()
        }
    }
}
