//! An executor that says what a test has it say.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::executors::address::Address;
use crate::executors::wire::{self, Frames};

/// What it does about a request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Says this, as the body of an answer of this status.
    Say(StatusCode, Vec<Step>),
    /// Nothing, not even the head of an answer.
    Nothing,
}

/// A part of an answer.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Some bytes.
    Bytes(Bytes),
    /// Waits for the next message of the API.
    Hear,
    /// Says it again and again, with so long in between, for as long as somebody reads.
    Again(Bytes, Duration),
    /// Nothing more, and no end.
    Hang,
    /// Says that it takes no more requests on this connection.
    GoAway,
    /// Closes the connection.
    Close,
}

type Script = Box<dyn Fn(usize) -> Act + Send + Sync>;
type Body = StreamBody<Pin<Box<ReceiverStream<Result<Frame<Bytes>, Infallible>>>>>;

struct Inner {
    runs: Script,
    modules: Script,
    begun: AtomicUsize,
    put: AtomicUsize,
    /// The first messages of runs, and those that were heard.
    heard: Mutex<Vec<Bytes>>,
}

/// It listens until it is dropped.
pub(super) struct Fake {
    inner: Arc<Inner>,
    directory: TempDir,
    stop: CancellationToken,
}

#[derive(Clone)]
struct Link {
    away: CancellationToken,
    close: CancellationToken,
}

impl Fake {
    /// `runs` and `modules` are told how many there have been before.
    pub(super) fn start(
        runs: impl Fn(usize) -> Act + Send + Sync + 'static,
        modules: impl Fn(usize) -> Act + Send + Sync + 'static,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("e.sock")).unwrap();
        let inner = Arc::new(Inner {
            runs: Box::new(runs),
            modules: Box::new(modules),
            begun: AtomicUsize::new(0),
            put: AtomicUsize::new(0),
            heard: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let (serving, stopping) = (Arc::clone(&inner), stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let link = Link { away: CancellationToken::new(), close: stopping.child_token() };
                tokio::spawn(connection(stream, Arc::clone(&serving), link));
            }
        }));
        Self { inner, directory, stop }
    }

    pub(super) fn address(&self) -> Address {
        Address::Unix(self.directory.path().join("e.sock"))
    }

    /// Runs that were begun here, and modules that were put.
    pub(super) fn asked(&self) -> (usize, usize) {
        (self.inner.begun.load(Ordering::SeqCst), self.inner.put.load(Ordering::SeqCst))
    }

    /// What it was told.
    pub(super) fn heard(&self) -> Vec<Bytes> {
        self.inner.heard.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn connection(stream: tokio::net::UnixStream, inner: Arc<Inner>, link: Link) {
    let of_requests = link.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (inner, link) = (Arc::clone(&inner), of_requests.clone());
        async move { Ok::<_, Infallible>(answer(inner, link, request).await) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new());
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut is_away = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = link.close.cancelled() => return,
            () = link.away.cancelled(), if !is_away => {
                is_away = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn answer(inner: Arc<Inner>, link: Link, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let mut frames = None;
    let act = match path.as_str() {
        wire::RUN_PATH => {
            let act = (inner.runs)(inner.begun.fetch_add(1, Ordering::SeqCst));
            frames = Some(Frames::new(request.into_body()));
            act
        }
        wire::MODULE_PATH => {
            let act = (inner.modules)(inner.put.fetch_add(1, Ordering::SeqCst));
            let _ = request.into_body().collect().await;
            act
        }
        _ => Act::Say(StatusCode::OK, Vec::new()),
    };
    let Act::Say(status, steps) = act else { return std::future::pending().await };
    let (sender, body) = mpsc::channel(4);
    tokio::spawn(async move {
        for step in steps {
            match step {
                Step::Bytes(bytes) => drop(sender.send(Ok(Frame::data(bytes))).await),
                Step::Hear => {
                    if let Some(Ok(Some(message))) = match &mut frames {
                        Some(frames) => Some(frames.next().await),
                        None => None,
                    } {
                        inner.heard.lock().unwrap().push(message);
                    }
                }
                Step::Again(bytes, pause) => {
                    while sender.send(Ok(Frame::data(bytes.clone()))).await.is_ok() {
                        tokio::time::sleep(pause).await;
                    }
                }
                Step::Hang => sender.closed().await,
                Step::GoAway => link.away.cancel(),
                Step::Close => link.close.cancel(),
            }
        }
    });
    let mut response = Response::new(StreamBody::new(Box::pin(ReceiverStream::new(body)) as Pin<Box<_>>));
    *response.status_mut() = status;
    response
}
