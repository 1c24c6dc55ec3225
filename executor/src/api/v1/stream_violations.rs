//! `GET /v1/violations/stream`

use std::fmt::Write;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;

use crate::api::params::{NoQuery, QueryArgs};
use crate::api::problem::{Code, Problem};
use crate::api::tenant::{Member, may_still};
use crate::auth::permission::ViolationsRead;
use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::review::{Bookmark, SecurityEvent};
use crate::execution::fair::Owner;
use crate::service::Service;
use crate::service::sockets::SocketPlace;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Events that are read at a time: so many are in memory, however slowly a client takes them.
const EVENTS: u32 = 100;
/// How often the store is asked for what other replicas wrote, and whether the key still holds.
const ASK: Duration = Duration::from_millis(500);
/// Between two looks, however much happens.
const REST: Duration = Duration::from_millis(100);
/// Without an event for so long, a client is told that there was none.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// After which a client that was cut off comes again, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// Where to go on.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the description of a header that is read by hand")]
pub struct Resume {
    /// `id` of the last event that was taken: the stream goes on behind it. Without it, with what happens from now on.
    #[param(rename = "Last-Event-ID", required = false)]
    last_event_id: Option<String>,
}

/// Tells of violations as they happen, and of what becomes of them: server-sent events.
///
/// The events are `violation.opened`, `violation.repeated` (at most once a second), `violation.acknowledged`,
/// `violation.resolved`, `rule.quarantined` and `rule.released`; their data is JSON with `type`, `timestamp` and `data`.
/// Reviewers hear of all tenants, others of their own. Whoever is cut off comes again with the `id` of the last event,
/// to any replica, and misses none for as long as events are kept (`RULEBOX_RETENTION__EVENTS_DAYS`); one that is older
/// is refused. The stream ends when the service stops or the key does not hold any more.
#[utoipa::path(
    get, path = "/v1/violations/stream", tag = "security", operation_id = "stream_violations",
    params(Resume),
    responses(
        (status = 200, description = "The events", body = String, content_type = "text/event-stream"),
    )
)]
pub async fn handle(
    member: Member<ViolationsRead>,
    State(service): State<Service>,
    _: QueryArgs<NoQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let chain = member.chain();
    let end = Bookmark { position: service.feed_end(chain).await?, at: At::now() };
    let bookmark = last_event_id(&headers)?.unwrap_or(end);
    let kept = &service.settings().retention;
    let refused = |why: &str| {
        let what = "begin without it, and look at `GET /v1/violations` for what came between";
        Err(Problem::new(Code::INVALID_HEADER, format!("`Last-Event-ID` {why}; {what}")).at("Last-Event-ID"))
    };
    if bookmark.position > end.position {
        return refused("is behind the end of this feed: the store is another, or was restored from a backup");
    }
    if end.at.since(bookmark.at) > kept.events() {
        return refused(&format!("is older than events are kept, {} days", kept.events_days));
    }
    let place = service.sockets().feed(chain.0.map_or(Owner::NOBODY, Owner::from))?;
    let feed = Feed {
        news: service.news(),
        service,
        chain,
        headers,
        bookmark,
        begun: false,
        told_at: Instant::now(),
        rests_until: Instant::now(),
        looked_at: Instant::now(),
        _place: place,
    };
    let body = Body::from_stream(stream::unfold(feed, Feed::next));
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((headers, body).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Bookmark>, Problem> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let read = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|_| values.next().is_none());
    let wrong = "`Last-Event-ID` is the `id` of an event of this stream; begin without it";
    Ok(Some(read.ok_or_else(|| Problem::new(Code::INVALID_HEADER, wrong).at("Last-Event-ID"))?))
}

/// A stream, between two of its pieces. The next is made when the client has room for it.
struct Feed {
    service: Service,
    chain: Chain,
    news: watch::Receiver<u64>,
    /// Of the request, with its key.
    headers: HeaderMap,
    /// Of the last event that was given, or of when there was none behind it.
    bookmark: Bookmark,
    begun: bool,
    told_at: Instant,
    /// Until when the store is not asked.
    rests_until: Instant,
    /// When the key was last looked at.
    looked_at: Instant,
    _place: SocketPlace,
}

impl Feed {
    async fn next(mut self) -> Option<(Result<Bytes, std::convert::Infallible>, Self)> {
        if !std::mem::replace(&mut self.begun, true) {
            // An id without data is no event, and is where a client goes on all the same.
            let hello = format!("retry: {RETRY_MS}\nid: {}\n\n", self.bookmark);
            return Some((Ok(hello.into()), self));
        }
        loop {
            // However much there is to tell: another replica tells the rest.
            if self.service.sockets().is_draining() {
                return None;
            }
            if self.looked_at.elapsed() >= ASK {
                self.looked_at = Instant::now();
                may_still::<ViolationsRead>(&self.headers, self.chain, &self.service).await.ok()?;
            }
            sleep_until(self.rests_until).await;
            self.news.mark_unchanged();
            let asked_at = At::now();
            let events = match self.service.feed(self.chain, self.bookmark.position, EVENTS).await {
                Ok(events) => events,
                Err(error) => {
                    // The client comes again, perhaps to a replica that is better off.
                    tracing::warn!(%error, "the security feed ends");
                    return None;
                }
            };
            // However many do something at the same time: what they did is told together. What waits is told at once.
            if events.len() < EVENTS as usize {
                self.rests_until = Instant::now() + REST;
            }
            if let Some(last) = events.last() {
                self.bookmark = last.bookmark();
                self.told_at = Instant::now();
                return Some((Ok(written(&events).into()), self));
            }
            if self.told_at.elapsed() >= HEARTBEAT {
                self.told_at = Instant::now();
                // So that whoever comes again after a quiet time is known to have missed nothing.
                self.bookmark.at = asked_at;
                let nothing = format!(": nothing has happened\nid: {}\n\n", self.bookmark);
                return Some((Ok(nothing.into()), self));
            }
            let ask_at = Instant::now() + ASK;
            tokio::select! {
                () = self.service.sockets().draining() => return None,
                changed = self.news.changed() => changed.ok()?,
                () = sleep_until(ask_at) => {}
            }
        }
    }
}

/// As HTML's living standard says, section 9.2.5. JSON has no new lines.
fn written(events: &[SecurityEvent]) -> String {
    let mut text = String::new();
    for event in events {
        let (bookmark, SecurityEvent { topic, body, .. }) = (event.bookmark(), event);
        // Writing to a text does not fail.
        let _ = write!(text, "id: {bookmark}\nevent: {topic}\ndata: {body}\n\n");
    }
    text
}
