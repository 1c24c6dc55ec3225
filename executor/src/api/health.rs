//! Health and metrics, on a port of their own, so that they can be kept from those who use the API.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::state::HealthState;
use crate::store::OpenConnections;
use crate::telemetry::chain;
use crate::telemetry::metrics::Metrics;

/// `/livez`, `/readyz?verbose`, `/startupz`, `/metrics`.
pub fn router(state: HealthState) -> Router {
    Router::new()
        // Alive is who answers: a store that is away is no reason to be killed.
        .route("/livez", get(|| async { "ok\n" }))
        // The port is opened last: who reaches it reaches a service that has started.
        .route("/startupz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(state)
}

async fn ready(State(state): State<HealthState>, RawQuery(query): RawQuery) -> Response {
    let store = state.service.check_store().await;
    if let Err(error) = &store {
        tracing::warn!(error = chain(error), "the store is not ready");
    }
    // Without Redis limits go by share and sessions wait, but rules run: taking the replica away would help nobody.
    let redis = state.service.shared().health.up();
    let draining = state.is_draining();
    let executors = state.service.executors();
    // A new replica has no executor for a moment, which others have. One that has had some and lost them is as good as
    // they are: rules can be written.
    let has_met = executors.is_none_or(|(connected, _)| state.has_met_executors(connected > 0));
    let is_ready = store.is_ok() && !draining && has_met;
    let mut text = String::new();
    if is_verbose(query.as_deref()) {
        let said = store.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        text = format!("{} store: {said}\n", mark(said == "ok"));
        if let Some(up) = redis {
            let said = if up { "ok" } else { "away; limits go by share, sessions answer 503" };
            text.push_str(&format!("{} redis: {said}\n", mark(up)));
        }
        if let Some((connected, known)) = executors {
            let said = match (connected > 0, has_met) {
                (true, _) => "",
                (false, true) => "; runs answer 503",
                (false, false) => "; not ready until the first is",
            };
            text.push_str(&format!("{} executors: {connected} of {known} connected{said}\n", mark(connected > 0)));
        }
        text.push_str(&format!("{} serving: {}\n", mark(!draining), if draining { "draining" } else { "ok" }));
    }
    let is_whole = redis != Some(false) && executors.is_none_or(|(connected, _)| connected > 0);
    text.push_str(match (is_ready, is_whole) {
        (true, true) => "ok\n",
        (true, false) => "degraded\n",
        (false, _) => "not ready\n",
    });
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, text).into_response()
}

async fn metrics(State(state): State<HealthState>) -> Response {
    state.service.measure();
    let OpenConnections { idle, used } = state.store.connections();
    for (name, n) in [("idle", idle), ("used", used)] {
        state.service.metrics().db_connections.with_label_values(&[name]).set(n.into());
    }
    metrics_text(state.service.metrics())
}

/// Whether more than a word was asked for.
pub(super) fn is_verbose(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|part| part == "verbose" || part.starts_with("verbose=")))
}

/// In front of a line.
pub(super) const fn mark(is_fine: bool) -> &'static str {
    if is_fine { "[+]" } else { "[-]" }
}

/// The metrics as Prometheus reads them.
pub(super) fn metrics_text(metrics: &Metrics) -> Response {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(error = chain(&error), "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
