//! Results, as they are sent while the run goes on.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Frame;
use rulebox_abi::columns::{OutputRows, OutputSink};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::execution::threads::slow_down_if_long;
use crate::executors::wire::{FrameError, Reply, Rows, frame};

/// What is sent to the API.
pub(super) type Replies = mpsc::Sender<Result<Frame<Bytes>, Infallible>>;

/// How long an API may take nothing: longer than it lets its own clients.
const UNTAKEN: Duration = Duration::from_mins(5);

/// Sends from a thread of a pool; whether there is still somebody who takes it.
pub(super) fn send(replies: &Replies, message: Bytes) -> bool {
    let Err(mpsc::error::TrySendError::Full(message)) = replies.try_send(Ok(Frame::data(message))) else {
        return !replies.is_closed();
    };
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return replies.blocking_send(message).is_ok() };
    runtime
        .block_on(async { tokio::time::timeout(UNTAKEN, replies.send(message)).await.is_ok_and(|sent| sent.is_ok()) })
}

/// Sends results, on the thread that makes them.
pub(super) struct Sending<'a> {
    pub(super) replies: &'a Replies,
    pub(super) stop: &'a CancellationToken,
    /// Whether more bars of the same series follow.
    pub(super) follows: bool,
    /// A message that could not be written: the run is of no use without it.
    pub(super) broken: Option<FrameError>,
    /// Nobody took what was sent.
    pub(super) untaken: bool,
}

impl OutputSink for Sending<'_> {
    fn rows(&mut self, _first_row: usize, rows: &OutputRows<'_>) {
        let rows = Rows::of(rows);
        let about = rows.bytes();
        match frame(&Reply::Rows(rows), about) {
            // An API that is gone wants no more, which is asked before the next call.
            Ok(message) => self.untaken |= !send(self.replies, message),
            Err(error) => self.broken = Some(error),
        }
    }

    fn bars_follow(&self) -> bool {
        self.follows
    }

    fn wants_more(&mut self) -> bool {
        slow_down_if_long();
        self.broken.is_none() && !self.untaken && !self.stop.is_cancelled() && !self.replies.is_closed()
    }
}
