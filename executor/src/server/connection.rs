//! One connection.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Request, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::activity::{Activity, Answer, InFlight, Watched};
use super::lingering::Lingering;
use super::newcomers::Guest;
use super::{Limits, Peer};

/// Requests of one HTTP/2 connection at a time.
const STREAMS: u32 = 64;
/// How often an HTTP/2 client with requests in flight is asked whether it is still there, and how long it may take to
/// say so.
const PING: Duration = Duration::from_secs(20);
/// How long a connection may be without its first request, if that is less than how long it may be silent later.
const FIRST_HEAD: Duration = Duration::from_secs(10);
/// How long a connection without a request lives on when the service is to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// Answers the requests of a connection until the client goes, has been silent for too long, or `stop` and the last
/// request has ended.
pub(super) async fn serve(
    (stream, peer): (TcpStream, Peer),
    router: Router,
    limits: Limits,
    guest: Guest,
    stop: CancellationToken,
) {
    // An answer is written as one piece: there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let (activity, guest) = (Activity::new(), Arc::new(guest));
    let is_http2 = Arc::new(AtomicBool::new(false));
    let service = service_fn({
        let (activity, is_http2, stop) = (activity.clone(), Arc::clone(&is_http2), stop.clone());
        let guest = Arc::clone(&guest);
        move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            is_http2.store(request.version() >= Version::HTTP_2, Ordering::Relaxed);
            let (in_flight, guest) = (InFlight::new(&activity), Arc::clone(&guest));
            let answered = answer(&router, in_flight, request, limits.unwanted_bytes, stop.clone());
            async move {
                guest.speaks().await;
                answered.await
            }
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    // Silence is measured here, for both versions alike, and not while an answer is being taken.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    let io = TokioIo::new(Watched { stream, activity: activity.clone() });
    let mut connection = pin!(builder.serve_connection_with_upgrades(io, service));
    // Until when a stopping service waits for a request that may be on its way.
    let mut waits_until: Option<Instant> = None;
    loop {
        let idle = if guest.has_spoken() { limits.header_time } else { limits.header_time.min(FIRST_HEAD) };
        let patience = if waits_until.is_some() { idle.min(STOP_PATIENCE) } else { idle };
        let silent_at = |activity: &Activity| {
            activity.silent_at(patience, limits.untaken_time).max(waits_until.unwrap_or_else(Instant::now))
        };
        let wake_at = silent_at(&activity);
        tokio::select! {
            served = connection.as_mut() => {
                if let Err(error) = served {
                    tracing::debug!(error, "a connection ended");
                }
                return;
            }
            () = stop.cancelled(), if waits_until.is_none() => {
                waits_until = Some(Instant::now() + STOP_PATIENCE);
                // HTTP/2 can say so. An HTTP/1 client may be sending a request on a connection that looks idle from
                // here: its answer tells it to close, and without a request the connection ends when it has been
                // silent for long enough.
                if is_http2.load(Ordering::Relaxed) {
                    connection.as_mut().graceful_shutdown();
                }
            }
            () = guest.shown_out(), if !guest.has_spoken() => return,
            () = tokio::time::sleep_until(wake_at) => {
                if silent_at(&activity) <= Instant::now() {
                    return;
                }
            }
        }
    }
}

fn answer(
    router: &Router,
    in_flight: InFlight,
    request: Request<Incoming>,
    unwanted_bytes: usize,
    stop: CancellationToken,
) -> impl Future<Output = Result<axum::http::Response<Answer>, Infallible>> + use<> {
    // HTTP/2 can end a request by itself, and who waits for a word before the body has not begun to write.
    let is_http1 = request.version() < Version::HTTP_2;
    let lingers = is_http1 && !request.headers().contains_key(EXPECT);
    let request = request.map(|body| match body {
        body if body.is_end_stream() || !lingers => Body::new(body),
        body => Body::new(Lingering::new(body, unwanted_bytes)),
    });
    let answered = router.clone().oneshot(request);
    async move {
        let mut answered = answered.await?;
        if is_http1 && stop.is_cancelled() && answered.status() != StatusCode::SWITCHING_PROTOCOLS {
            answered.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answered.map(|body| Answer::new(body, in_flight)))
    }
}
