//! One request of an API's.

use std::convert::Infallible;
use std::pin::Pin;

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
use crate::executors::wire::{self, Frames};
use crate::telemetry::chain;

/// Of an answer: whole, or as it comes.
pub(super) type Body = Either<Full<Bytes>, StreamBody<Pin<Box<ReceiverStream<Result<Frame<Bytes>, Infallible>>>>>>;

/// Answers a request.
pub(super) async fn answer(executor: Executor, request: Request<Incoming>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, wire::RUN_PATH) => match run::begin(executor, Frames::new(request.into_body())).await {
            Begun::Runs(replies) => {
                Response::new(Either::Right(StreamBody::new(Box::pin(ReceiverStream::new(replies)))))
            }
            Begun::NeedsModule => said(StatusCode::NOT_FOUND, "put the module first"),
            Begun::Full => said(StatusCode::SERVICE_UNAVAILABLE, "no room"),
            Begun::Unread(error) => {
                tracing::warn!(error = chain(&error), "a run could not be read");
                said(StatusCode::BAD_REQUEST, "this is no run")
            }
        },
        (&Method::GET, wire::GREETING_PATH) if executor.is_stopping() => {
            said(StatusCode::SERVICE_UNAVAILABLE, "stopping")
        }
        (&Method::GET, wire::GREETING_PATH) => said(StatusCode::OK, "ready"),
        (&Method::PUT, wire::MODULE_PATH) => put_module(executor, request).await,
        // 404 would say that a module is needed.
        _ => said(StatusCode::BAD_REQUEST, "there is no such address in this version"),
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
    let Ok(place) = loads.place(owner) else { return said(StatusCode::SERVICE_UNAVAILABLE, "no room") };
    let most = ModuleLimits::default().module_bytes;
    let Ok(body) = Limited::new(request.into_body(), most).collect().await else {
        return said(StatusCode::BAD_REQUEST, "the module is too long, or was cut off");
    };
    let bytes = body.to_bytes();
    let loading = executor.clone();
    let loaded = place.run(move || loading.load(&bytes, compiled).map(|_| ())).await;
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
