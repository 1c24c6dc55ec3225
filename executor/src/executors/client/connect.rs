//! Keeps one executor connected.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http2::{Builder, Connection};
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::believed::cleaned;
use super::exchange::request;
use super::peer::{Http, Link, Peer, Place, RequestBody};
use crate::executors::wire;

/// How often an executor is asked whether it is still there, and how long it may take to say so: one that hangs is
/// lost as soon as one that is gone.
const PING: Duration = Duration::from_secs(2);
/// Until the first try to connect again; the next ones take twice as long each, up to the last.
const FIRST_REST: Duration = Duration::from_millis(50);
const LAST_REST: Duration = Duration::from_secs(5);
/// The last, of one that was connected and failed.
const LAST_REST_OF_FAILED: Duration = Duration::from_secs(30);
/// After as long a connection was a good one.
const GOOD: Duration = Duration::from_secs(10);
/// How long runs have to end on an executor that is not to be asked any more.
const LAST_RUNS: Duration = Duration::from_mins(1);
/// What may be under way to this side: a batch's results do not wait for a word that they were read.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;
const HTTP_FRAME: u32 = 1 << 20;

/// How long it is waited until the next try.
#[derive(Debug)]
struct Rest {
    next: Duration,
    last: Duration,
}

impl Rest {
    const fn new() -> Self {
        Self { next: FIRST_REST, last: LAST_REST }
    }

    /// A connection was lost. Who fails takes his time to do so: how long it lasted says nothing.
    fn after(&mut self, is_ejected: bool, is_good: bool) {
        if is_ejected {
            self.last = LAST_REST_OF_FAILED;
        } else if is_good {
            *self = Self::new();
        }
    }

    /// This one.
    fn take(&mut self) -> Duration {
        let next = self.next;
        self.next = (next * 2).min(self.last);
        next
    }
}

/// A stream of either kind.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

type Http2 = Connection<TokioIo<Box<dyn Io>>, RequestBody, TokioExecutor>;

/// Connects until `stop`, and again when the connection is lost.
pub(super) async fn keep(shared: Arc<Shared>, peer: Arc<Peer>, stop: CancellationToken) {
    let mut rest = Rest::new();
    let mut said = false;
    while !stop.is_cancelled() {
        let opened = tokio::time::timeout(shared.options.connect_time, open(&shared, &peer.place)).await;
        match opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok((http, connection)) => {
                tracing::info!(executor = %peer.place, "connected");
                said = false;
                let since = Instant::now();
                let link = Link::new(http);
                peer.connected(Arc::clone(&link));
                shared.places.hand_out();
                let why = last(&shared, &peer, &link, connection, &stop).await;
                peer.disconnected(&link);
                if stop.is_cancelled() {
                    return;
                }
                tracing::warn!(executor = %peer.place, why, "lost");
                rest.after(link.is_ejected(), link.answered() > 0 || link.is_blameless() && since.elapsed() > GOOD);
            }
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::warn!(executor = %peer.place, error = cleaned(&error), "cannot be connected");
                }
            }
        }
        stop.run_until_cancelled(tokio::time::sleep(rest.take())).await;
    }
}

/// Works a connection until it is not to be given runs any more, and says why. At `stop`, and when there are new
/// certificates, the runs that are open on it come to their end.
async fn last(
    shared: &Shared,
    peer: &Peer,
    link: &Arc<Link>,
    mut connection: Http2,
    stop: &CancellationToken,
) -> String {
    let renewed = async {
        match &shared.options.identity {
            Some(identity) => identity.renewed().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        end = &mut connection => return end.err().map_or_else(|| "closed".to_owned(), |error| cleaned(&error)),
        () = link.ejected() => return "it failed too often".to_owned(),
        () = renewed => {}
        () = stop.cancelled() => {}
    }
    peer.disconnected(link);
    let link = Arc::clone(link);
    tokio::spawn(async move {
        tokio::select! {
            _ = connection => {}
            () = idle(&link) => {}
            () = tokio::time::sleep(LAST_RUNS) => {}
        }
    });
    "there are new certificates".to_owned()
}

/// Until it has answered all that it was given.
async fn idle(link: &Link) {
    while !link.is_idle() {
        tokio::time::sleep(FIRST_REST).await;
    }
}

/// Hears of the executor that it is one, of this version, and takes runs: a connection may be made long before that.
async fn greet(http: &mut Http) -> io::Result<()> {
    let (request, out) = request(Method::GET, wire::GREETING_PATH);
    drop(out);
    let answer = http.send_request(request).await.map_err(io::Error::other)?;
    match answer.status() {
        StatusCode::OK => Ok(()),
        status => Err(io::Error::other(format!("it answers {status}: it is another version, or about to stop"))),
    }
}

async fn open(shared: &Shared, place: &Place) -> io::Result<(Http, Http2)> {
    let stream: Box<dyn Io> = match place {
        Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Place::Tls(address, host) => {
            let identity = shared.options.identity.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let stream = TcpStream::connect(address).await?;
            // A run is written as one piece: there is nothing to wait for.
            stream.set_nodelay(true)?;
            Box::new(TlsConnector::from(identity.client()).connect(name, stream).await?)
        }
    };
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP_FRAME);
    let (mut http, mut connection) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::select! {
        greeted = greet(&mut http) => greeted?,
        ended = &mut connection => {
            ended.map_err(io::Error::other)?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
    }
    Ok((http, connection))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_is_rested_longer_each_time_and_who_has_answered_is_not() {
        let mut rest = Rest::new();
        let rests: Vec<_> = (0..12)
            .map(|_| {
                rest.after(true, true);
                rest.take()
            })
            .collect();
        assert!(rests.is_sorted() && rests[1] == 2 * FIRST_REST, "{rests:?}");
        assert_eq!(rests.last(), Some(&LAST_REST_OF_FAILED));
        rest.after(false, false);
        assert_eq!(rest.take(), LAST_REST_OF_FAILED, "it was lost before it had answered");
        rest.after(false, true);
        let rests: Vec<_> = (0..12).map(|_| rest.take()).collect();
        assert_eq!((rests[0], rests.last()), (FIRST_REST, Some(&LAST_REST)));
    }
}
