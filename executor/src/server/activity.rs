//! Whether a connection is good for something: a request of it is being worked on, or its client takes an answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Bytes that are a part of an answer. The words of HTTP/2 itself have fewer: who pings takes nothing by that.
const PROGRESS: usize = 64;

/// Of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    /// Milliseconds from then to when the last request ended or the last bytes were taken.
    last: AtomicU64,
    /// Requests in flight.
    requests: AtomicUsize,
    /// Of these, those that wait for us, and not for their client to take what there is of their answer.
    worked_on: AtomicUsize,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let (last, requests, worked_on) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { opened: Instant::now(), last, requests, worked_on })
    }

    pub(super) fn touch(&self) {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// When the connection is silent for as long as it may be: without a request, or with an answer that is not taken.
    /// Now counts as its last activity while a request is worked on.
    pub(super) fn silent_at(&self, idle: Duration, untaken: Duration) -> Instant {
        let last = self.opened + Duration::from_millis(self.last.load(Ordering::Relaxed));
        match (self.worked_on.load(Ordering::Acquire), self.requests.load(Ordering::Acquire)) {
            (0, 0) => last + idle,
            (0, _) => last + untaken,
            _ => Instant::now() + idle,
        }
    }
}

/// A request in flight, until the last of its answer is handed over.
#[derive(Debug)]
pub(super) struct InFlight {
    activity: Arc<Activity>,
    is_worked_on: bool,
}

impl InFlight {
    pub(super) fn new(activity: &Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::AcqRel);
        activity.worked_on.fetch_add(1, Ordering::AcqRel);
        Self { activity: Arc::clone(activity), is_worked_on: true }
    }

    /// Says whose turn it is.
    fn is_worked_on(&mut self, now: bool) {
        if std::mem::replace(&mut self.is_worked_on, now) == now {
            return;
        }
        if now {
            self.activity.worked_on.fetch_add(1, Ordering::AcqRel);
        } else {
            // The client's time begins here.
            self.activity.touch();
            self.activity.worked_on.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.is_worked_on(false);
        self.activity.touch();
        self.activity.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The body of an answer. Its next piece is asked for when its client has room for it.
pub(super) struct Answer {
    body: Body,
    in_flight: InFlight,
}

impl Answer {
    pub(super) fn new(body: Body, mut in_flight: InFlight) -> Self {
        in_flight.is_worked_on(false);
        Self { body, in_flight }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.in_flight.is_worked_on(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notes when its client takes bytes. What a client sends does not count: a head may be sent for ever.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) stream: TcpStream,
    pub(super) activity: Arc<Activity>,
}

impl Watched {
    fn note(&self, written: io::Result<usize>) -> Poll<io::Result<usize>> {
        if matches!(written, Ok(PROGRESS..)) {
            self.activity.touch();
        }
        Poll::Ready(written)
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts));
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
