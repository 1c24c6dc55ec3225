//! Keeps one executor connected.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http2::{Builder, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::peer::{Http, Peer, Place, RequestBody};
use crate::telemetry::chain;

/// How often an executor is asked whether it is still there, and how long it may take to say so: one that hangs is
/// lost as soon as one that is gone.
const PING: Duration = Duration::from_secs(2);
/// Until the first try to connect again; the next ones take twice as long each, up to the last.
const FIRST_REST: Duration = Duration::from_millis(50);
const LAST_REST: Duration = Duration::from_secs(5);
/// After as long a connection was a good one.
const GOOD: Duration = Duration::from_secs(10);
/// How long runs have to end on an executor that is not to be asked any more.
const LAST_RUNS: Duration = Duration::from_mins(1);
/// What may be under way to this side: a batch's results do not wait for a word that they were read.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;
const HTTP_FRAME: u32 = 1 << 20;

/// A stream of either kind.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

type Http2 = Connection<TokioIo<Box<dyn Io>>, RequestBody, TokioExecutor>;

/// Connects until `stop`, and again when the connection is lost.
pub(super) async fn keep(shared: Arc<Shared>, peer: Arc<Peer>, stop: CancellationToken) {
    let mut rest = FIRST_REST;
    let mut said = false;
    while !stop.is_cancelled() {
        let opened = tokio::time::timeout(shared.options.connect_time, open(&shared, &peer.place)).await;
        match opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok((http, connection)) => {
                tracing::info!(executor = %peer.place, "connected");
                said = false;
                let since = Instant::now();
                peer.connected(http);
                shared.changed.notify_waiters();
                let why = last(&peer, connection, &stop).await;
                peer.disconnected();
                if stop.is_cancelled() {
                    return;
                }
                tracing::warn!(executor = %peer.place, why, "lost");
                if since.elapsed() > GOOD {
                    rest = FIRST_REST;
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::warn!(executor = %peer.place, error = chain(&error), "cannot be connected");
                }
            }
        }
        stop.run_until_cancelled(tokio::time::sleep(rest)).await;
        rest = (rest * 2).min(LAST_REST);
    }
}

/// Works a connection until it ends, and says why it did. At `stop`, runs come to their end before.
async fn last(peer: &Peer, mut connection: Http2, stop: &CancellationToken) -> String {
    let ended = |ended: hyper::Result<()>| ended.err().map_or_else(|| "closed".to_owned(), |e| chain(&e));
    tokio::select! {
        end = &mut connection => ended(end),
        () = peer.ejected() => "it failed too often".to_owned(),
        () = stop.cancelled() => tokio::select! {
            end = connection => ended(end),
            () = idle(peer) => "not needed any more".to_owned(),
            () = tokio::time::sleep(LAST_RUNS) => "not needed any more".to_owned(),
        },
    }
}

/// Until it has answered all that it was given.
async fn idle(peer: &Peer) {
    while peer.runs() > 0 {
        tokio::time::sleep(FIRST_REST).await;
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
    builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)
}
