//! Results, as they are sent while the run goes on.

use std::convert::Infallible;

use bytes::Bytes;
use hyper::body::Frame;
use rulebox_abi::columns::{OutputRows, OutputSink};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::execution::threads::slow_down_if_long;
use crate::executors::wire::{FrameError, Reply, Rows, frame};

/// What is sent to the API.
pub(super) type Replies = mpsc::Sender<Result<Frame<Bytes>, Infallible>>;

/// Sends results, on the thread that makes them.
pub(super) struct Sending<'a> {
    pub(super) replies: &'a Replies,
    pub(super) stop: &'a CancellationToken,
    /// Whether more bars of the same series follow.
    pub(super) follows: bool,
    /// A message that could not be written: the run is of no use without it.
    pub(super) broken: Option<FrameError>,
}

impl OutputSink for Sending<'_> {
    fn rows(&mut self, _first_row: usize, rows: &OutputRows<'_>) {
        let rows = Rows::of(rows);
        let about = rows.bytes();
        match frame(&Reply::Rows(rows), about) {
            // An API that is gone wants no more, which is asked before the next call.
            Ok(message) => drop(self.replies.blocking_send(Ok(Frame::data(message)))),
            Err(error) => self.broken = Some(error),
        }
    }

    fn bars_follow(&self) -> bool {
        self.follows
    }

    fn wants_more(&mut self) -> bool {
        slow_down_if_long();
        self.broken.is_none() && !self.stop.is_cancelled() && !self.replies.is_closed()
    }
}
