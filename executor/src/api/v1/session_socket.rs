//! The WebSocket of a session, from its upgrade to its end.
//!
//! One message is worked on at a time, and one answer waits to be taken: what a client sends ahead waits in the
//! connection, where the client feels it.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::http::{HeaderMap, StatusCode};
use futures_util::SinkExt;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use super::session_view::{SessionBarsAnswer, render};
use crate::api::bars_json::{self, Form};
use crate::api::body::Held;
use crate::api::context::raise_within;
use crate::api::problem::Problem;
use crate::api::state::ApiState;
use crate::api::tenant::may_still;
use crate::auth::permission::Evaluate;
use crate::domain::audit::Chain;
use crate::service::Caller;
use crate::service::sessions::{Live, NextBars};
use crate::service::sockets::SocketPlace;
use crate::shared::Change;

/// How often a key is looked at again, should no word of a change have come.
const RECHECK: Duration = Duration::from_secs(1);
/// Pings without a word from the client after which it is gone.
const PINGS: u32 = 3;
/// Pings and pongs of the client a second, between two pings of ours: more than anybody needs to know that we are here.
const MOST_PINGS_A_SECOND: u64 = 50;
/// How long the client may take to close in turn.
const CLOSE: Duration = Duration::from_secs(1);

/// A session's socket and what it needs.
pub(super) struct Socket {
    state: ApiState,
    caller: Caller,
    id: String,
    /// As it was saved last, so that a bar need not read it.
    live: Option<Live>,
    /// Of the request, with its key.
    headers: HeaderMap,
    /// Why the key could not be looked at again.
    unchecked: Option<Problem>,
    _place: SocketPlace,
}

/// Why a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client has closed.
    Closed,
    /// The connection is gone.
    Gone,
    /// The client says nothing, or nothing of use.
    Idle,
    /// The service stops.
    Drain,
    /// The client does not take answers.
    Slow,
    /// What it sends is no WebSocket.
    Protocol,
    /// A message of bytes.
    Binary,
    /// A text that is not UTF-8.
    NotText,
    /// A message that is too large.
    TooLarge,
    /// More pings than are of use.
    Flood,
    /// The key is not valid any more, or does not permit this any more.
    Revoked,
    /// The session is not there any more.
    Lost,
    /// A rule of it is quarantined.
    Locked,
}

impl End {
    /// Its name in metrics; the code to close with, and words for it.
    const fn told(self) -> (&'static str, Option<(u16, &'static str)>) {
        match self {
            Self::Closed => ("closed", None),
            Self::Gone => ("gone", None),
            Self::Idle => ("idle", Some((1001, "no word from the client"))),
            Self::Drain => ("drain", Some((1012, "the service restarts: connect again"))),
            Self::Slow => ("slow", Some((4008, "answers are not taken"))),
            Self::Protocol => ("protocol", Some((1002, "not as RFC 6455 says"))),
            Self::Binary => ("binary", Some((1003, "messages are text"))),
            Self::NotText => ("not_text", Some((1007, "not UTF-8"))),
            Self::Flood => ("flood", Some((1008, "too many pings"))),
            Self::TooLarge => ("too_large", Some((1009, "the message is too large"))),
            Self::Revoked => ("revoked", Some((4401, "the key is not valid any more"))),
            Self::Lost => ("lost", Some((4410, "the session is lost"))),
            Self::Locked => ("locked", Some((4423, "a rule of the session is quarantined"))),
        }
    }

    /// Of a problem after which no message can go well.
    fn after(problem: &Problem) -> Option<Self> {
        match problem.code.info().status {
            StatusCode::GONE | StatusCode::NOT_FOUND => Some(Self::Lost),
            StatusCode::LOCKED => Some(Self::Locked),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Self::Revoked),
            _ => None,
        }
    }

    /// Of an error of the stream.
    fn of(error: axum::Error) -> Self {
        match error.into_inner().downcast::<WsError>().as_deref() {
            Ok(WsError::Capacity(_)) => Self::TooLarge,
            Ok(WsError::Utf8(_)) => Self::NotText,
            Ok(WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Self::Gone,
            Ok(WsError::Protocol(_)) => Self::Protocol,
            _ => Self::Gone,
        }
    }
}

impl Socket {
    pub(super) const fn new(
        state: ApiState,
        caller: Caller,
        id: String,
        live: Live,
        headers: HeaderMap,
        place: SocketPlace,
    ) -> Self {
        Self { state, caller, id, live: Some(live), headers, unchecked: None, _place: place }
    }

    /// Answers messages until one side closes.
    pub(super) async fn serve(mut self, mut stream: WebSocket) {
        let metrics = self.state.service.metrics().clone();
        metrics.sessions_active.inc();
        let end = self.converse(&mut stream).await;
        let (name, close) = end.told();
        if let Some((code, reason)) = close {
            let close = async {
                let frame = CloseFrame { code, reason: reason.into() };
                if stream.send(Message::Close(Some(frame))).await.is_err() {
                    return;
                }
                if matches!(end, End::TooLarge | End::NotText | End::Protocol) {
                    // It cannot be read any more. Cut off now, the client might never see why.
                    std::future::pending::<()>().await;
                }
                while let Some(Ok(_)) = stream.recv().await {}
            };
            // Whoever does not close in turn is cut off.
            let _ = timeout(CLOSE, close).await;
        } else {
            // Lets the answer to the client's close leave.
            let _ = timeout(CLOSE, stream.recv()).await;
        }
        metrics.sessions_active.dec();
        metrics.ws_disconnects.with_label_values(&[name]).inc();
        tracing::info!(end = name, "the stream of a session ended");
    }

    async fn converse(&mut self, stream: &mut WebSocket) -> End {
        let service = self.state.service.clone();
        let settings = service.settings().sessions.clone();
        let sockets = service.sockets().clone();
        let mut changes = service.shared().invalidations.subscribe();
        let (mut recheck, mut ping) = (interval(RECHECK), interval(settings.ping()));
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut message_at, mut pings) = (Instant::now(), Instant::now(), 0);
        loop {
            let received = tokio::select! {
                biased;
                () = sockets.draining() => return End::Drain,
                _ = recheck.tick() => {
                    if self.is_revoked().await {
                        return End::Revoked;
                    }
                    continue;
                }
                () = change_of(&mut changes, &self.caller) => {
                    recheck.reset_immediately();
                    continue;
                }
                _ = ping.tick() => {
                    if heard.elapsed() > settings.ping() * PINGS || message_at.elapsed() > settings.socket_idle() {
                        return End::Idle;
                    }
                    pings = 0;
                    if let Err(end) = send(stream, Message::Ping(Vec::new().into()), settings.slow()).await {
                        return end;
                    }
                    continue;
                }
                received = stream.recv() => received,
            };
            heard = Instant::now();
            let text = match received {
                None => return End::Gone,
                Some(Err(error)) => return End::of(error),
                Some(Ok(Message::Close(_))) => return End::Closed,
                Some(Ok(Message::Binary(_))) => return End::Binary,
                // The answer has been made, and leaves before the next is: who does not take it, waits.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                    pings += 1;
                    if pings > MOST_PINGS_A_SECOND * settings.ping_seconds.max(2) {
                        return End::Flood;
                    }
                    match taken(stream.flush(), settings.slow()).await {
                        Ok(()) => continue,
                        Err(end) => return end,
                    }
                }
                Some(Ok(Message::Text(text))) => text,
            };
            message_at = heard;
            let (answer, end) = match self.answer(text.as_str().as_bytes().to_vec()).await {
                Ok(answer) => (answer, None),
                Err(problem) => {
                    raise_within(&self.state.service, &problem, &self.caller).await;
                    (self.told(&problem), End::after(&problem))
                }
            };
            if let Err(end) = send(stream, Message::Text(answer.into()), settings.slow()).await {
                return end;
            }
            if let Some(end) = end {
                return end;
            }
        }
    }

    async fn answer(&mut self, bytes: Vec<u8>) -> Result<String, Problem> {
        if let Some(problem) = &self.unchecked {
            return Err(problem.clone());
        }
        let service = &self.state.service;
        // A message is a request as any other.
        service.admit(self.caller.tenant).await?;
        let mut room = self.state.body_room.none(self.caller.tenant.into());
        room.resize(bytes.capacity())?;
        let (request, place, _room) =
            bars_json::read_on(service, self.caller.tenant, Held { bytes, room }, Form::SessionBars).await?;
        let next = NextBars { seq: request.seq, bars: request.bars, place };
        let answer = service.advance_session(&self.caller, &self.id, &mut self.live, next, render).await?;
        serde_json::to_string(&SessionBarsAnswer::from(answer)).map_err(|error| Problem::internal(&error))
    }

    /// A problem as its message.
    fn told(&self, problem: &Problem) -> String {
        let body = problem.body(&self.caller.marks, &format!("/v1/sessions/{}/stream", self.id));
        // Strings and numbers always serialise.
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// Whether the key has lost its right since the last look. As long as that cannot be told, nothing is run.
    async fn is_revoked(&mut self) -> bool {
        let looked = may_still::<Evaluate>(&self.headers, Chain(Some(self.caller.tenant)), &self.state.service).await;
        self.unchecked = looked.err();
        self.unchecked.as_ref().and_then(End::after) == Some(End::Revoked)
    }
}

/// Ready when something of the caller's tenant may have changed.
async fn change_of(changes: &mut Receiver<Change>, caller: &Caller) {
    loop {
        match changes.recv().await {
            Ok(Change { tenant: Some(tenant) }) if tenant != caller.tenant => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            // There will be no more: the clock goes on.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

async fn send(stream: &mut WebSocket, message: Message, slow: Duration) -> Result<(), End> {
    taken(stream.send(message), slow).await
}

/// Whether the client takes what is sent.
async fn taken(sent: impl Future<Output = Result<(), axum::Error>>, slow: Duration) -> Result<(), End> {
    match timeout(slow, sent).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::Slow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn every_end_is_counted_from_the_start() {
        let ends = [
            End::Closed,
            End::Gone,
            End::Idle,
            End::Drain,
            End::Slow,
            End::Protocol,
            End::Binary,
            End::NotText,
            End::TooLarge,
            End::Flood,
            End::Revoked,
            End::Lost,
            End::Locked,
        ];
        assert_eq!(ends.map(|end| end.told().0), Metrics::WS_ENDS);
    }
}
