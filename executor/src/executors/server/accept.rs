//! Connections of APIs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Executor, Listener, handler};
use crate::executors::tls::Identity;
use crate::server::newcomers::{Guest, Newcomers};
use crate::telemetry::chain;

/// To show who one is, and then to ask for something.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The system is out of something, such as file descriptors: it will not be better at once.
const PAUSE: Duration = Duration::from_millis(100);
/// How often an API is asked whether it is still there, and how long it may take to say so: its runs end with it.
const PING: Duration = Duration::from_secs(5);
/// Connections that have not asked for anything, at a time: an API shows who it is, and asks, in milliseconds.
const NEWCOMERS: usize = 256;
/// Runs of one connection at a time.
const STREAMS: u32 = 512;
/// What may be under way to this side: of one run no more than leaves room for the others of its API.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;
const HTTP_FRAME: u32 = 1 << 20;

/// What connections may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// That have asked for something, at a time; more wait.
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
    let newcomers = Newcomers::new(NEWCOMERS, room);
    let connections = TaskTracker::new();
    let (unix, tls) = match listener {
        Listener::Unix(listener) => (Some(UnixListener::from_std(listener)?), None),
        Listener::Tls(listener) => {
            let identity = identity.ok_or_else(|| io::Error::other("TLS needs certificates"))?;
            (None, Some((TcpListener::from_std(listener)?, identity)))
        }
    };
    let accepting = async {
        loop {
            let (executor, stop) = (executor.clone(), stop.clone());
            let accepted = match (&unix, &tls) {
                (Some(listener), _) => listener.accept().await.map(|(stream, _)| {
                    let guest = newcomers.enter();
                    connections.spawn(talk(stream, executor, guest, stop.cancelled_owned()));
                }),
                (None, Some((listener, identity))) => listener.accept().await.map(|(stream, from)| {
                    let (guest, identity) = (newcomers.enter(), Arc::clone(identity));
                    connections.spawn(async move {
                        let config = identity.server();
                        match shake_hands(stream, &config, &guest).await {
                            Ok(stream) => {
                                let over = async {
                                    tokio::select! {
                                        () = stop.cancelled() => {}
                                        () = identity.replaced(&config) => {}
                                    }
                                };
                                talk(stream, executor, guest, over).await;
                            }
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
    #[error("it had not said who it is when {NEWCOMERS} others had come")]
    ShownOut,
}

/// Has one who comes show who he is.
async fn shake_hands(
    stream: TcpStream,
    config: &Arc<ServerConfig>,
    guest: &Guest,
) -> Result<TlsStream<TcpStream>, Refused> {
    let _ = stream.set_nodelay(true);
    let shaken = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(Arc::clone(config)).accept(stream));
    tokio::select! {
        shaken = shaken => Ok(shaken??),
        () = guest.shown_out() => Err(Refused::ShownOut),
    }
}

/// Answers one who may talk until he goes; when it is `over`, he is told to come again elsewhere, and what he has begun
/// ends well.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    executor: Executor,
    guest: Guest,
    over: impl Future<Output = ()>,
) {
    let guest = Arc::new(guest);
    let service = service_fn({
        let guest = Arc::clone(&guest);
        move |request: hyper::Request<Incoming>| {
            let (executor, guest) = (executor.clone(), Arc::clone(&guest));
            async move {
                guest.speaks().await;
                Ok::<_, std::convert::Infallible>(handler::answer(executor, request).await)
            }
        }
    });
    let mut connection = std::pin::pin!(server().serve_connection(TokioIo::new(stream), service));
    let silent = async {
        let _ = tokio::time::timeout(HANDSHAKE, guest.shown_out()).await;
        if guest.has_spoken() {
            std::future::pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = silent => return tracing::warn!("a connection asked for nothing"),
        () = over => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = chain(&error), "a connection ended");
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
