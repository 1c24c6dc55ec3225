//! `GET /v1/sessions/{id}/stream`

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::HeaderMap;
use axum::response::Response;
use tracing::Instrument;

use super::session_socket::Socket;
use crate::api::context::Marks;
use crate::api::params::{NoQuery, QueryArgs, SessionPath};
use crate::api::problem::{Code, Problem};
use crate::api::state::ApiState;
use crate::api::tenant::Tenant;
use crate::auth::permission::Evaluate;

/// The subprotocol.
const PROTOCOL: &str = "rulebox.session.v1";

/// Bytes to read at a time: a bar is smaller, and there may be thousands of sockets.
const READ_BYTES: usize = 8 << 10;

/// Runs a session over a WebSocket of the subprotocol `rulebox.session.v1`.
///
/// Each text message of the client is a `SessionBarsRequest`, and is answered, in order, by a `SessionBarsAnswer` or a
/// `Problem`; a problem does not end the stream unless the session or the key is gone. Whoever is cut off connects
/// again, to any replica, and sends again what was not answered: answers to the last bars are kept (`oldest_seq` of the
/// session), so no more bars than that should be waiting for their answers. The server closes with 1012 when it stops,
/// 4008 if answers are not taken, 1001 after silence, 1002, 1003, 1007 and 1009 for what is no message, 1008 for
/// more pings than are of use, 4401 when the
/// key is not valid any more, 4410 when the session is lost, and 4423 when a rule of it is quarantined.
#[utoipa::path(
    get, path = "/v1/sessions/{id}/stream", tag = "sessions", operation_id = "stream_session",
    params(SessionPath),
    responses(
        (status = 101, description = "The WebSocket"),
        (status = 404, description = "`session_not_found`"),
        (status = 410, description = "`session_lost`"),
        (status = 429, description = "`too_many_open`"),
        (status = 426, description = "`websocket_required`"),
    )
)]
pub async fn handle(
    tenant: Tenant<Evaluate>,
    State(state): State<ApiState>,
    SessionPath(id): SessionPath,
    _: QueryArgs<NoQuery>,
    marks: Marks,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let caller = tenant.caller(marks);
    let live = state.service.open_session(&caller, &id).await?;
    let refused = |detail: &str| Problem::new(Code::WEBSOCKET_REQUIRED, detail);
    let upgrade = upgrade.map_err(|rejection| refused(&rejection.body_text()))?.protocols([PROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        return Err(refused("offer the subprotocol `rulebox.session.v1`"));
    }
    let place = state.service.sockets().place(caller.tenant.into())?;
    let most = state.service.settings().sessions.message_bytes;
    let socket = Socket::new(state, caller, id, live, headers, place);
    let span = tracing::Span::current();
    Ok(upgrade
        .max_message_size(most)
        .max_frame_size(most)
        .read_buffer_size(READ_BYTES)
        .on_upgrade(move |stream| socket.serve(stream).instrument(span)))
}
