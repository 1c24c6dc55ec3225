//! The description of the API, a page to read it with, and a page for each problem. Nothing is loaded from elsewhere.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::problem::{Code, Problem};
use super::state::ApiState;

/// `/openapi.json`, `/docs`, `/problems/{code}`.
pub fn router(openapi: OpenApi) -> Router<ApiState> {
    // Its validator is on the Internet, and would be told the address of this service.
    let config = Config::from("/openapi.json").validator_url("none");
    let page: Router<ApiState> = SwaggerUi::new("/docs").url("/openapi.json", openapi).config(config).into();
    let policy = HeaderValue::from_static(
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
    );
    page.route("/problems/{code}", get(problem))
        .layer(map_response(explain))
        .layer(SetResponseHeaderLayer::if_not_present(CONTENT_SECURITY_POLICY, policy))
}

/// The page's own errors are not problems: an empty 404, or a text with an error of the machine's.
async fn explain(response: Response) -> Response {
    match response.status() {
        _ if response.extensions().get::<Problem>().is_some() => response,
        StatusCode::NOT_FOUND => {
            Problem::new(Code::NOT_FOUND, "there is no such file of the documentation; see /docs").into_response()
        }
        status if status.is_server_error() => {
            Problem::new(Code::INTERNAL, "the documentation cannot be shown").into_response()
        }
        _ => response,
    }
}

async fn problem(Path(code): Path<String>) -> Response {
    let Some(code) = Code::find(&code) else {
        return Problem::new(Code::NOT_FOUND, "there is no such problem").into_response();
    };
    let info = code.info();
    let text = format!("{} ({})\n\n{}.\n{}\n", info.code, info.status, info.title, info.explanation);
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
