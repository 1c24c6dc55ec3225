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
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

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
    /// So many batches at a time; who waits for one waits in turn.
    places: Arc<Semaphore>,
    /// Somebody may be given a place again.
    freed: Arc<Notify>,
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
    /// At this place, with so many batches at a time; tells `freed` of each that ends.
    pub(super) fn new(place: Place, batches: usize, freed: &Arc<Notify>) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(batches.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { place, link: Mutex::default(), places, freed: Arc::clone(freed) })
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
        self.freed.notify_waiters();
    }

    /// This connection is not to be given runs any more.
    pub(super) fn disconnected(&self, link: &Arc<Link>) {
        self.link().take_if(|current| Arc::ptr_eq(current, link));
    }

    /// Gives it a run and a place for its first batch, if there is one. `None` also if it has just been lost.
    pub(super) fn hold(self: &Arc<Self>) -> Option<(Held, Batching)> {
        let link = self.link().clone().filter(|link| link.is_up())?;
        let batching = Batching::new(Arc::clone(&self.places).try_acquire_owned().ok()?, &self.freed);
        link.runs.fetch_add(1, Ordering::Relaxed);
        let http = link.http.clone();
        Some((Held { peer: Arc::clone(self), link, http }, batching))
    }
}

/// A run on an executor.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) peer: Arc<Peer>,
    link: Arc<Link>,
    pub(super) http: Http,
}

impl Held {
    /// Waits for a place for the next batch.
    pub(super) async fn batching(&self) -> Option<Batching> {
        let permit = Arc::clone(&self.peer.places).acquire_owned().await.ok()?;
        Some(Batching::new(permit, &self.peer.freed))
    }

    /// It answered as it should.
    pub(super) fn succeeded(&self) {
        self.link.failures.store(0, Ordering::Relaxed);
    }

    /// It did not answer as it should. Too often, and it is asked no more until it has been connected anew.
    pub(super) fn failed(&self) {
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

/// A place for a batch, while it is run.
#[derive(Debug)]
pub(super) struct Batching {
    permit: Option<OwnedSemaphorePermit>,
    freed: Arc<Notify>,
}

impl Batching {
    fn new(permit: OwnedSemaphorePermit, freed: &Arc<Notify>) -> Self {
        Self { permit: Some(permit), freed: Arc::clone(freed) }
    }
}

impl Drop for Batching {
    fn drop(&mut self) {
        // There before anybody is told of it.
        drop(self.permit.take());
        self.freed.notify_one();
    }
}
