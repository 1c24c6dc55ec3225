//! Request bodies that nobody reads to their end.
//!
//! A client that writes its whole request before it reads would meet a closed connection instead of the answer, if the
//! answer comes before the last byte. So the rest is taken and dropped, up to a bound in bytes and time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::runtime::Handle;

/// How long the rest of a body is taken.
const TIME: Duration = Duration::from_secs(5);

/// A request's body. Dropped before its end, the rest is still taken.
#[derive(Debug)]
pub(super) struct Lingering {
    /// Until its end.
    body: Option<Incoming>,
    unwanted_bytes: usize,
}

impl Lingering {
    pub(super) const fn new(body: Incoming, unwanted_bytes: usize) -> Self {
        Self { body: Some(body), unwanted_bytes }
    }
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let mut left = self.unwanted_bytes;
        runtime.spawn(tokio::time::timeout(TIME, async move {
            while let Some(Ok(frame)) = body.frame().await {
                let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
                left = rest;
            }
        }));
    }
}
