//! Connections of APIs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Executor, Listener, handler};
use crate::executors::tls::Identity;
use crate::telemetry::chain;

/// To show who one is.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The system is out of something, such as file descriptors: it will not be better at once.
const PAUSE: Duration = Duration::from_millis(100);
/// How often an API is asked whether it is still there, and how long it may take to say so: its runs end with it.
const PING: Duration = Duration::from_secs(5);
/// Runs of one connection at a time.
const STREAMS: u32 = 1_024;
/// What may be under way to this side.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;
const HTTP_FRAME: u32 = 1 << 20;

/// What connections may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open at a time; more wait to be accepted.
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
    let accepting = async {
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let (executor, stop) = (executor.clone(), stop.clone());
            let accepted = match (&unix, &tls) {
                (Some(listener), _) => listener.accept().await.map(|(stream, _)| {
                    connections.spawn(async move {
                        connection(stream, executor, stop).await;
                        drop(place);
                    });
                }),
                (None, Some((listener, identity))) => listener.accept().await.map(|(stream, from)| {
                    let acceptor = TlsAcceptor::from(identity.server());
                    connections.spawn(async move {
                        let _ = stream.set_nodelay(true);
                        match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                            Ok(Ok(stream)) => connection(stream, executor, stop).await,
                            Ok(Err(error)) => tracing::warn!(%from, error = chain(&error), "a connection was refused"),
                            Err(_) => tracing::warn!(%from, "a connection did not say who it is"),
                        }
                        drop(place);
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

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, executor: Executor, stop: CancellationToken) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let executor = executor.clone();
        async move { Ok::<_, std::convert::Infallible>(handler::answer(executor, request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(HTTP_FRAME);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = chain(&error), "a connection ended");
    }
}
