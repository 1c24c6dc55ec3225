//! One executor: whether it is there, and how much it has to do.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::client::conn::http2::SendRequest;
use rulebox_sandbox::Digest;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::exchange::Lost;
use crate::execution::shares::Shares;
use crate::executors::wire::FrameRoom;
use crate::telemetry::chain;

/// Failures among the last answers after which an executor that is connected is connected anew.
const FAILURES: u32 = 3;
const LAST: u32 = 20;
/// Bytes of frames that may be on their way from one executor: who never ends what it began takes no others' room.
const FRAMES_BYTES: usize = 64 << 20;

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
    /// For what it answers.
    pub(super) frames: FrameRoom,
    /// It has failed too often, and answered nothing since: it is given one run at a time.
    on_trial: AtomicBool,
}

/// One connection to it.
#[derive(Debug)]
pub(super) struct Link {
    http: Http,
    /// Runs that are open on it, between their batches or not.
    runs: AtomicUsize,
    /// Of the last answers, a bit each: whether it was a failure.
    failures: AtomicU32,
    /// Runs and batches that it has done.
    answered: AtomicU64,
    /// It has failed too often.
    ejected: CancellationToken,
    /// Modules that were run on it when it was lost.
    blamed: Mutex<HashSet<Digest>>,
}

impl Link {
    pub(super) fn new(http: Http) -> Arc<Self> {
        let (runs, failures, answered) = (AtomicUsize::new(0), AtomicU32::new(0), AtomicU64::new(0));
        Arc::new(Self { http, runs, failures, answered, ejected: CancellationToken::new(), blamed: Mutex::default() })
    }

    /// Until it has failed too often.
    pub(super) async fn ejected(&self) {
        self.ejected.cancelled().await;
    }

    /// Whether it has failed too often.
    pub(super) fn is_ejected(&self) -> bool {
        self.ejected.is_cancelled()
    }

    /// What it has done.
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Whether it has not failed.
    pub(super) fn is_blameless(&self) -> bool {
        self.failures.load(Ordering::Relaxed) == 0
    }

    /// Notes how it went; the failures among the last ones.
    fn note(&self, failed: bool) -> u32 {
        let with = |before: u32| ((before << 1) | u32::from(failed)) & ((1 << LAST) - 1);
        let before = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |before| Some(with(before)));
        with(before.unwrap_or_default()).count_ones()
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
        Arc::new(Self {
            place,
            link: Mutex::default(),
            shares: Shares::among(batches),
            frames: FrameRoom::on_their_way(FRAMES_BYTES),
            on_trial: AtomicBool::new(false),
        })
    }

    fn link(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it can be asked.
    pub(super) fn is_up(&self) -> bool {
        self.link().as_ref().is_some_and(|link| link.is_up())
    }

    /// Whether it can be given one more run.
    pub(super) fn is_open(&self) -> bool {
        self.is_up() && (self.runs() == 0 || !self.on_trial.load(Ordering::Relaxed))
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

    /// Gives it a run, if it can be asked, and is not on trial with another.
    pub(super) fn hold(self: &Arc<Self>) -> Option<Held> {
        let link = self.link().clone().filter(|link| link.is_up())?;
        let others = link.runs.fetch_add(1, Ordering::Relaxed);
        let (http, before) = (link.http.clone(), link.answered());
        let held = Held { peer: Arc::clone(self), link, http, before };
        (others == 0 || !self.on_trial.load(Ordering::Relaxed)).then_some(held)
    }

    /// Failures among the last answers, on the connection that it has.
    #[cfg(test)]
    pub(super) fn failures(&self) -> Option<u32> {
        self.link().as_ref().map(|link| link.failures.load(Ordering::Relaxed).count_ones())
    }
}

/// A run on an executor.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) peer: Arc<Peer>,
    pub(super) link: Arc<Link>,
    pub(super) http: Http,
    /// What the executor had done when it was asked.
    before: u64,
}

impl Held {
    /// It is asked for something.
    pub(super) fn asks(&mut self) {
        self.before = self.link.answered();
    }

    /// It answered as it should.
    pub(super) fn succeeded(&self) {
        self.link.note(false);
        self.link.answered.fetch_add(1, Ordering::Relaxed);
        self.peer.on_trial.store(false, Ordering::Relaxed);
    }

    /// Whether this is the first that is heard of the module since its connection was lost.
    pub(super) fn blame(&self, module: Digest) -> bool {
        self.link.blamed.lock().unwrap_or_else(PoisonError::into_inner).insert(module)
    }

    /// It did not answer as it should, if it is to blame. Too often, and it is asked no more until it has been
    /// connected anew.
    pub(super) fn lost(&self, lost: &Lost) {
        // Who is busy does others' runs meanwhile.
        let counts = lost.counts() || matches!(lost, Lost::Waits) && self.link.answered() == self.before;
        if !counts {
            return tracing::debug!(executor = %self.peer.place, error = chain(lost), "a run was not done");
        }
        tracing::warn!(executor = %self.peer.place, error = chain(lost), "a run was lost");
        let is_on_trial = self.peer.on_trial.load(Ordering::Relaxed);
        if (self.link.note(true) >= FAILURES || is_on_trial) && !self.link.is_ejected() {
            self.peer.on_trial.store(true, Ordering::Relaxed);
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
