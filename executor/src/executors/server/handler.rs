//! One request of an API's.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use rulebox_sandbox::{ModuleLimits, RunError};
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use super::Executor;
use super::run::{self, Begun};
use crate::execution::fair::Owner;
use crate::execution::modules::LoadError;
use crate::execution::pool::PoolError;
use crate::executors::wire::{self, FrameError, Frames};
use crate::telemetry::chain;

/// How long the first message of a run may be on its way: it is sent at once.
const BEGIN: Duration = Duration::from_secs(30);
/// How long a module may be on its way, or wait for others that are.
const ARRIVES: Duration = Duration::from_secs(15);

/// Of an answer: whole, or as it comes.
pub(super) type Body = Either<Full<Bytes>, StreamBody<Pin<Box<ReceiverStream<Result<Frame<Bytes>, Infallible>>>>>>;

/// Answers a request.
pub(super) async fn answer(executor: Executor, request: Request<Incoming>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, wire::RUN_PATH) => post_run(executor, request).await,
        (&Method::GET, wire::GREETING_PATH) if executor.is_stopping() => {
            said(StatusCode::SERVICE_UNAVAILABLE, "stopping")
        }
        (&Method::GET, wire::GREETING_PATH) => said(StatusCode::OK, "ready"),
        (&Method::PUT, wire::MODULE_PATH) => put_module(executor, request).await,
        // 404 would say that a module is needed.
        _ => said(StatusCode::BAD_REQUEST, "there is no such address in this version"),
    }
}

async fn post_run(executor: Executor, request: Request<Incoming>) -> Response<Body> {
    let frames = Frames::within(request.into_body(), executor.frames.clone());
    let begun = tokio::time::timeout(BEGIN, run::begin(executor, frames)).await;
    match begun.unwrap_or(Begun::Unread(FrameError::Late)) {
        Begun::Runs(replies) => Response::new(Either::Right(StreamBody::new(Box::pin(ReceiverStream::new(replies))))),
        Begun::NeedsModule => said(StatusCode::NOT_FOUND, "put the module first"),
        Begun::Full => said(StatusCode::SERVICE_UNAVAILABLE, "no room"),
        Begun::Unread(error) => {
            tracing::warn!(error = chain(&error), "a run could not be read");
            said(StatusCode::BAD_REQUEST, "this is no run")
        }
    }
}

fn said(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(text.into())));
    *response.status_mut() = status;
    response
}

async fn put_module(executor: Executor, request: Request<Incoming>) -> Response<Body> {
    let compiled = request.headers().get(wire::MADE_BY).is_some_and(|by| by == "compiler");
    let owner = request.headers().get(wire::OWNER).and_then(|owner| Uuid::try_parse_ascii(owner.as_bytes()).ok());
    let owner = owner.map_or(Owner::NOBODY, Owner);
    let loads = if compiled { &executor.loads } else { &executor.guest_loads };
    // All of it first: a place is not for who has nothing to do yet.
    let Ok(bytes) = tokio::time::timeout(ARRIVES, read_module(&executor, request.into_body())).await else {
        return said(StatusCode::SERVICE_UNAVAILABLE, "the module was not whole in time");
    };
    let Some(bytes) = bytes else { return said(StatusCode::BAD_REQUEST, "the module is too long, or was cut off") };
    let Ok(place) = loads.place(owner) else { return said(StatusCode::SERVICE_UNAVAILABLE, "no room") };
    let loading = executor.clone();
    let loaded = place.run(move || loading.load(owner, &bytes, compiled).map(|_| ())).await;
    match loaded {
        Ok(Ok(())) => said(StatusCode::NO_CONTENT, ""),
        Ok(Err(error)) => match &*error {
            LoadError::Refused(refusal) => match postcard::to_stdvec(refusal) {
                Ok(refusal) => said(StatusCode::UNPROCESSABLE_ENTITY, refusal),
                Err(_) => said(StatusCode::INTERNAL_SERVER_ERROR, "the refusal cannot be written"),
            },
            LoadError::NoWorker(error) => {
                tracing::error!(error = chain(error), "a module could not be compiled");
                said(StatusCode::SERVICE_UNAVAILABLE, "no compile worker")
            }
            LoadError::Away(RunError::Busy) => said(StatusCode::SERVICE_UNAVAILABLE, "no room"),
            other => {
                tracing::error!(error = chain(other), "a module could not be loaded");
                said(StatusCode::INTERNAL_SERVER_ERROR, "it could not be loaded")
            }
        },
        Err(PoolError::Full { .. }) => said(StatusCode::SERVICE_UNAVAILABLE, "no room"),
        Err(error) => {
            tracing::error!(error = chain(&error), "a module could not be loaded");
            said(StatusCode::INTERNAL_SERVER_ERROR, "it could not be loaded")
        }
    }
}

/// The bytes of a module, if they are one's.
async fn read_module(executor: &Executor, body: Incoming) -> Option<Bytes> {
    let _arriving = executor.arriving.acquire().await.ok()?;
    let body = Limited::new(body, ModuleLimits::default().module_bytes).collect().await.ok()?;
    Some(body.to_bytes())
}
