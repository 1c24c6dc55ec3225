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
use tokio::sync::Notify;
use tokio_stream::wrappers::ReceiverStream;

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
    http: Mutex<Option<Http>>,
    runs: AtomicUsize,
    /// In a row.
    failures: AtomicU32,
    /// It has failed too often: the connection shall end.
    ejected: Notify,
}

impl Peer {
    pub(super) fn new(place: Place) -> Arc<Self> {
        let (runs, failures) = (AtomicUsize::new(0), AtomicU32::new(0));
        Arc::new(Self { place, http: Mutex::default(), runs, failures, ejected: Notify::new() })
    }

    fn http(&self) -> MutexGuard<'_, Option<Http>> {
        self.http.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it can be asked.
    pub(super) fn is_up(&self) -> bool {
        self.http().as_ref().is_some_and(|http| !http.is_closed())
    }

    /// Runs that it was given and has not answered.
    pub(super) fn runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }

    pub(super) fn connected(&self, http: Http) {
        self.failures.store(0, Ordering::Relaxed);
        *self.http() = Some(http);
    }

    pub(super) fn disconnected(&self) {
        *self.http() = None;
    }

    /// Until it has failed too often.
    pub(super) async fn ejected(&self) {
        self.ejected.notified().await;
    }

    /// Gives it a run, if it has room for one. `None` also if it has just been lost.
    pub(super) fn hold(self: &Arc<Self>, most: usize) -> Option<Held> {
        let http = self.http().clone()?;
        let more = |runs: usize| (runs < most).then_some(runs + 1);
        self.runs.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Held { peer: Arc::clone(self), http })
    }

    /// It answered as it should.
    pub(super) fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// It did not answer as it should. Too often, and it is asked no more until it has been connected anew.
    pub(super) fn failed(&self) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES {
            self.disconnected();
            self.ejected.notify_one();
        }
    }
}

/// A place on an executor, for one run.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) peer: Arc<Peer>,
    pub(super) http: Http,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.peer.runs.fetch_sub(1, Ordering::Relaxed);
    }
}
