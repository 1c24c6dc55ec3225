//! One executor: whether it is there, and how much it has to do.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::client::conn::http2::SendRequest;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::exchange::Lost;
use crate::execution::shares::Shares;
use crate::telemetry::chain;

/// Failures in a row after which an executor that is connected is connected anew.
const FAILURES: u32 = 3;

/// The body of a request, as it is written.
pub(super) type RequestBody = StreamBody<Pin<Box<ReceiverStream<Result<Frame<Bytes>, Infallible>>>>>;
/// A connection that requests can be sent on.
pub(super) type Http = SendRequest<RequestBody>;

/// Where one executor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A socket.
    Unix(PathBuf),
    /// One of the addresses of a name, which is in its certificate.
    Tls(SocketAddr, String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tls(address, host) => write!(f, "{host} at {address}"),
        }
    }
}

/// One executor.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) place: Place,
    link: Mutex<Option<Arc<Link>>>,
    /// So many batches at a time.
    pub(super) shares: Shares,
}

/// One connection to it.
#[derive(Debug)]
pub(super) struct Link {
    http: Http,
    /// Runs that are open on it, between their batches or not.
    runs: AtomicUsize,
    /// In a row.
    failures: AtomicU32,
    /// It has failed too often.
    ejected: CancellationToken,
}

impl Link {
    pub(super) fn new(http: Http) -> Arc<Self> {
        let (runs, failures) = (AtomicUsize::new(0), AtomicU32::new(0));
        Arc::new(Self { http, runs, failures, ejected: CancellationToken::new() })
    }

    /// Until it has failed too often.
    pub(super) async fn ejected(&self) {
        self.ejected.cancelled().await;
    }

    /// Whether no run is open on it.
    pub(super) fn is_idle(&self) -> bool {
        self.runs.load(Ordering::Relaxed) == 0
    }

    fn is_up(&self) -> bool {
        !self.http.is_closed() && !self.ejected.is_cancelled()
    }
}

impl Peer {
    /// At this place, with so many batches at a time.
    pub(super) fn new(place: Place, batches: usize) -> Arc<Self> {
        Arc::new(Self { place, link: Mutex::default(), shares: Shares::among(batches) })
    }

    fn link(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it can be asked.
    pub(super) fn is_up(&self) -> bool {
        self.link().as_ref().is_some_and(|link| link.is_up())
    }

    /// Runs that are open on it.
    pub(super) fn runs(&self) -> usize {
        self.link().as_ref().map_or(0, |link| link.runs.load(Ordering::Relaxed))
    }

    pub(super) fn connected(&self, link: Arc<Link>) {
        *self.link() = Some(link);
    }

    /// This connection is not to be given runs any more.
    pub(super) fn disconnected(&self, link: &Arc<Link>) {
        self.link().take_if(|current| Arc::ptr_eq(current, link));
    }

    /// Gives it a run, if it can be asked.
    pub(super) fn hold(self: &Arc<Self>) -> Option<Held> {
        let link = self.link().clone().filter(|link| link.is_up())?;
        link.runs.fetch_add(1, Ordering::Relaxed);
        let http = link.http.clone();
        Some(Held { peer: Arc::clone(self), link, http })
    }

    /// Failures in a row, on the connection that it has.
    #[cfg(test)]
    pub(super) fn failures(&self) -> Option<u32> {
        self.link().as_ref().map(|link| link.failures.load(Ordering::Relaxed))
    }
}

/// A run on an executor.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) peer: Arc<Peer>,
    pub(super) link: Arc<Link>,
    pub(super) http: Http,
}

impl Held {
    /// It answered as it should.
    pub(super) fn succeeded(&self) {
        self.link.failures.store(0, Ordering::Relaxed);
    }

    /// It did not answer as it should, if it is to blame. Too often, and it is asked no more until it has been
    /// connected anew.
    pub(super) fn lost(&self, lost: &Lost) {
        if !lost.counts() {
            return tracing::debug!(executor = %self.peer.place, error = chain(lost), "a run was not done");
        }
        tracing::warn!(executor = %self.peer.place, error = chain(lost), "a run was lost");
        if self.link.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES {
            self.peer.disconnected(&self.link);
            self.link.ejected.cancel();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.link.runs.fetch_sub(1, Ordering::Relaxed);
    }
}
