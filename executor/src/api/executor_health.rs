//! Health and metrics of an executor: what a service's are, without a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::health::{is_verbose, mark, metrics_text};
use crate::confinement::{Confinement, Holds};
use crate::execution::workers::Workers;
use crate::executors::server::Executor;

/// What the health port of an executor needs.
#[derive(Clone, Debug)]
pub struct ExecutorHealth {
    /// Metrics and pools.
    pub executor: Executor,
    /// What the process has given up.
    pub confinement: Confinement,
    /// What compiles modules. A confined process cannot start others in their place.
    pub workers: Workers,
    /// Set when it is to stop.
    pub draining: Arc<AtomicBool>,
}

/// `/livez`, `/readyz?verbose`, `/startupz`, `/metrics`.
pub fn router(state: ExecutorHealth) -> Router {
    Router::new()
        .route("/livez", get(alive))
        .route("/startupz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(state)
}

/// Without a worker it will never compile again, and only a new process helps.
async fn alive(State(state): State<ExecutorHealth>) -> Response {
    if state.workers.alive() == 0 {
        return (StatusCode::SERVICE_UNAVAILABLE, "no compile worker is left\n").into_response();
    }
    "ok\n".into_response()
}

async fn ready(State(state): State<ExecutorHealth>, RawQuery(query): RawQuery) -> Response {
    let draining = state.draining.load(Ordering::Relaxed);
    let (alive, wanted) = (state.workers.alive(), state.workers.wanted());
    let not_ready = draining || alive == 0;
    let mut text = String::new();
    if is_verbose(query.as_deref()) {
        for (name, layer) in state.confinement.layers() {
            text.push_str(&format!("{} {name}: {layer}\n", mark(layer.holds == Holds::Whole)));
        }
        text.push_str(&format!("{} compile workers: {alive} of {wanted}\n", mark(alive == wanted)));
        text.push_str(&format!("{} serving: {}\n", mark(!draining), if draining { "draining" } else { "ok" }));
    }
    text.push_str(if not_ready { "not ready\n" } else { "ok\n" });
    let status = if not_ready { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, text).into_response()
}

async fn metrics(State(state): State<ExecutorHealth>) -> Response {
    state.executor.measure();
    metrics_text(state.executor.metrics())
}
