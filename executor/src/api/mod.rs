//! The HTTP API: translates requests to use cases and their results to answers.

pub mod bars_json;
pub mod body;
pub mod body_room;
mod client_address;
pub mod conditional;
pub mod context;
pub(crate) mod cursor;
pub mod docs;
pub mod encoding;
pub mod executor_health;
pub mod health;
mod idempotency;
mod json_words;
pub mod params;
pub mod problem;
mod rate_limits;
pub mod rule_upload;
pub mod state;
pub mod streams;
pub mod tenant;
#[cfg(test)]
mod tests;
pub mod v1;

use axum::Router;
use axum::middleware;
use axum::response::IntoResponse;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;

use problem::{Code, Problem};
use state::ApiState;

/// The API and its description.
pub fn router(state: ApiState) -> (Router, OpenApi) {
    let (v1, openapi) = v1::router().split_for_parts();
    (around(v1.merge(docs::router(openapi.clone())), state), openapi)
}

/// What is the same for every address: marks, logs, metrics, and a problem for whatever goes wrong.
fn around(router: Router<ApiState>, state: ApiState) -> Router {
    router
        .fallback(|| async { Problem::new(Code::NOT_FOUND, "there is no such address; see /docs").into_response() })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::METHOD_NOT_ALLOWED, "this address does not take that method").into_response()
        })
        .layer(CatchPanicLayer::custom(context::panicked))
        .layer(middleware::from_fn_with_state(state.service.clone(), context::wrap))
        .with_state(state)
}
