//! Connections of APIs.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Executor, Listener, handler};
use crate::executors::tls::Identity;
use crate::telemetry::chain;

/// To show who one is, and then to ask for something.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The system is out of something, such as file descriptors: it will not be better at once.
const PAUSE: Duration = Duration::from_millis(100);
/// How often an API is asked whether it is still there, and how long it may take to say so: its runs end with it.
const PING: Duration = Duration::from_secs(5);
/// Those who are showing who they are, at a time.
const STRANGERS: usize = 256;
/// Runs of one connection at a time.
const STREAMS: u32 = 512;
/// What may be under way to this side: of one run no more than leaves room for the others of its API.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;
const HTTP_FRAME: u32 = 1 << 20;

/// What connections may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of APIs, open at a time; more are closed.
    pub connections: usize,
}

/// Serves APIs until `stop`; then takes nothing new, and ends when what it was given is done.
///
/// # Errors
/// If the listener cannot be used, or one for TLS has no identity.
pub async fn serve(
    listener: Listener,
    identity: Option<Arc<Identity>>,
    executor: Executor,
    limits: Limits,
    stop: CancellationToken,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let connections = TaskTracker::new();
    let (unix, tls) = match listener {
        Listener::Unix(listener) => (Some(UnixListener::from_std(listener)?), None),
        Listener::Tls(listener) => {
            let identity = identity.ok_or_else(|| io::Error::other("TLS needs certificates"))?;
            (None, Some((TcpListener::from_std(listener)?, identity)))
        }
    };
    let guests = Guests { room, executor, stop: stop.clone() };
    let accepting = async {
        let mut strangers = Strangers::default();
        loop {
            let accepted = match (&unix, &tls) {
                (Some(listener), _) => listener.accept().await.map(|(stream, _)| {
                    let guests = guests.clone();
                    connections.spawn(async move { guests.welcome(stream, std::future::pending()).await });
                }),
                (None, Some((listener, identity))) => listener.accept().await.map(|(stream, from)| {
                    let (guests, identity, sent_away) = (guests.clone(), Arc::clone(identity), strangers.add());
                    connections.spawn(async move {
                        let config = identity.server();
                        match shake_hands(stream, &config, sent_away).await {
                            Ok(stream) => guests.welcome(stream, identity.replaced(&config)).await,
                            Err(error) => tracing::warn!(%from, error = chain(&error), "a connection was refused"),
                        }
                    });
                }),
                (None, None) => return,
            };
            if let Err(error) = accepted {
                tracing::warn!(error = chain(&error), "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    stop.run_until_cancelled(accepting).await;
    // Nobody connects to one that is about to stop, and waits there.
    drop((unix, tls));
    connections.close();
    connections.wait().await;
    Ok(())
}

/// Why a stranger is not let in.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// He has shown nothing, or nothing good.
    #[error("the handshake failed")]
    Handshake(#[from] io::Error),
    /// He did not say who he is in time.
    #[error("it did not say who it is within {HANDSHAKE:?}")]
    Late(#[from] tokio::time::error::Elapsed),
    /// Others came.
    #[error("it had not said who it is when {STRANGERS} others had come")]
    SentAway,
}

/// Those who have not shown who they are. They take no connection of those who have: of too many, the first to come is
/// the first to go, and one who has something to show does so in milliseconds.
#[derive(Default)]
struct Strangers(VecDeque<oneshot::Sender<()>>);

impl Strangers {
    /// One more; what it is given ends when it is to go.
    fn add(&mut self) -> oneshot::Receiver<()> {
        let (stays, sent_away) = oneshot::channel();
        self.0.retain(|stays| !stays.is_closed());
        if self.0.len() >= STRANGERS {
            self.0.pop_front();
        }
        self.0.push_back(stays);
        sent_away
    }
}

/// Has a stranger show who he is.
async fn shake_hands(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    sent_away: oneshot::Receiver<()>,
) -> Result<TlsStream<TcpStream>, Refused> {
    let _ = stream.set_nodelay(true);
    let shaken = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(Arc::clone(config)).accept(stream));
    tokio::select! {
        shaken = shaken => Ok(shaken??),
        _ = sent_away => Err(Refused::SentAway),
    }
}

/// What those are given who may talk.
#[derive(Clone)]
struct Guests {
    room: Arc<Semaphore>,
    executor: Executor,
    stop: CancellationToken,
}

impl Guests {
    /// Serves one, if there is room, until he goes; after `until` or the stop he is told to come again elsewhere, and
    /// what he has begun ends well.
    async fn welcome(self, stream: impl AsyncRead + AsyncWrite + Unpin, until: impl Future<Output = ()>) {
        let Ok(_place) = self.room.try_acquire() else {
            tracing::warn!("there are as many connections as there may be (RULEBOX_EXECUTORS__CONNECTIONS)");
            return;
        };
        let (executor, said) = (self.executor.clone(), Arc::new(AtomicBool::new(false)));
        let service = service_fn({
            let said = Arc::clone(&said);
            move |request: hyper::Request<Incoming>| {
                said.store(true, Ordering::Relaxed);
                let executor = executor.clone();
                async move { Ok::<_, std::convert::Infallible>(handler::answer(executor, request).await) }
            }
        });
        let connection = server().serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let silent = async {
            tokio::time::sleep(HANDSHAKE).await;
            if said.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = silent => return tracing::warn!("a connection asked for nothing"),
            () = async { tokio::select! { () = self.stop.cancelled() => {} () = until => {} } } => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error = chain(&error), "a connection ended");
        }
    }
}

fn server() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP_FRAME);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_strangers_the_first_goes_and_those_who_are_known_do_not_count() {
        let mut strangers = Strangers::default();
        let known: Vec<_> = (0..STRANGERS).map(|_| strangers.add()).collect();
        drop(known);
        let mut waiting: Vec<_> = (0..STRANGERS).map(|_| strangers.add()).collect();
        let there = |stays: &mut oneshot::Receiver<()>| stays.try_recv() == Err(oneshot::error::TryRecvError::Empty);
        assert!(waiting.iter_mut().all(there));
        let mut last = strangers.add();
        assert!(!there(&mut waiting[0]) && waiting.iter_mut().skip(1).all(there) && there(&mut last));
        assert_eq!(strangers.0.len(), STRANGERS);
    }
}
