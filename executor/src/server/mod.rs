//! The HTTP server under the routers: accepts connections, bounds their number and their silence, and stops.

mod activity;
mod connection;
mod lingering;
pub mod newcomers;

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use newcomers::Newcomers;

/// Who has connected, as an extension of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// What connections may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// That have sent a request, at a time; more wait. Beside them there are half as many that have sent none yet.
    pub connections: usize,
    /// How long a connection may be without a request: to send the head of one, or idle.
    pub header_time: Duration,
    /// How long a client may take no byte of an answer that is there.
    pub untaken_time: Duration,
    /// Bytes of a body that nobody wants that are still taken, so that a client who writes before it reads gets to its
    /// answer.
    pub unwanted_bytes: usize,
}

/// Connections without a request that there may be, however few may have one.
const LEAST_NEWCOMERS: usize = 16;
/// The system is out of something, such as file descriptors: it will not be better at once.
const PAUSE: Duration = Duration::from_millis(100);
/// How long it takes until a connection that has been made can be accepted.
const LAST_WAIT: Duration = Duration::from_millis(20);
/// As many as may wait to be accepted.
const MOST_LAST: usize = 4_096;

/// Answers requests until `stop`; then takes no new connections, and ends when those that are there have ended. If it
/// is dropped before, the connections are cut.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let newcomers = Newcomers::new((limits.connections / 2).max(LEAST_NEWCOMERS), Arc::clone(&room));
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            // Whoever comes may have a request at once.
            let Ok(free) = room.acquire().await else { return };
            drop(free);
            match listener.accept().await {
                Ok((stream, from)) => {
                    let guest = newcomers.enter();
                    let whose = (stream, Peer(from.ip()));
                    connections.spawn(connection::serve(whose, router.clone(), limits, guest, stop.clone()));
                }
                Err(error) if is_the_clients(error.kind()) => {}
                Err(error) => {
                    tracing::error!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stop.cancelled() => {}
    }
    let newcomers = Newcomers::new(MOST_LAST, room);
    for whose in last_of(listener).await {
        let guest = newcomers.enter();
        connections.spawn(connection::serve(whose, router.clone(), limits, guest, stop.clone()));
    }
    while connections.join_next().await.is_some() {}
}

/// The connections that clients have made and nobody has accepted yet. Closing the port would reset them, with the
/// requests that are on their way: so first the system is told to take no more, and then those that are there are taken.
/// Whoever comes later is refused, and knows that nothing of his was begun.
async fn last_of(listener: TcpListener) -> Vec<(TcpStream, Peer)> {
    if let Err(error) = SockRef::from(&listener).listen(0) {
        tracing::debug!(%error, "the port cannot be told to take no more");
    }
    let mut last = Vec::new();
    while let Ok(Ok((stream, from))) = timeout(LAST_WAIT, listener.accept()).await {
        last.push((stream, Peer(from.ip())));
        if last.len() >= MOST_LAST {
            break;
        }
    }
    last
}

const fn is_the_clients(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}
