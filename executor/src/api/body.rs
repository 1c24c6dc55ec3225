//! Reading request bodies: type, size and time are checked before a byte is parsed.

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde::de::DeserializeOwned;

use super::body_room::BodyRoom;
use super::encoding::{BodyBytes, BodyError, Encoding};
use super::json_words;
use super::problem::{Code, Problem};
use super::state::ApiState;
use crate::domain::rule::RuleName;
use crate::execution::fair::Owner;

/// A body in memory, and its share of the room for bodies.
#[derive(Debug)]
pub struct Held {
    /// As sent.
    pub bytes: Vec<u8>,
    /// Also for what is made of them.
    pub room: BodyRoom,
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Text,
    Other,
}

/// The type of a body, without its parameters.
pub(super) fn essence(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn kind(headers: &HeaderMap) -> Kind {
    match essence(headers).as_str() {
        "application/json" => Kind::Json,
        "text/plain" => Kind::Text,
        _ => Kind::Other,
    }
}

pub(super) fn wrong_type(headers: &HeaderMap, taken: &str) -> Problem {
    let came: String = essence(headers).chars().take(64).collect();
    let came = if came.is_empty() { "without a type".to_owned() } else { format!("as `{came}`") };
    Problem::new(Code::UNSUPPORTED_MEDIA_TYPE, format!("the body came {came}: send `Content-Type: {taken}`"))
}

/// Refuses what is not of a taken type.
fn check_type(headers: &HeaderMap, taken: &[Kind], names: &str) -> Result<Kind, Problem> {
    let kind = kind(headers);
    if taken.contains(&kind) { Ok(kind) } else { Err(wrong_type(headers, names)) }
}

/// Reads a body of at most `limit` bytes, decompressed. Room is taken as they arrive: who declares a body and sends none
/// holds none.
pub(super) async fn read(request: Request, state: &ApiState, limit: usize) -> Result<Held, Problem> {
    let too_large = || Problem::new(Code::BODY_TOO_LARGE, format!("the body may have {limit} bytes"));
    let encoding = Encoding::of(request.headers())?;
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let most = if encoding == Encoding::Identity { limit } else { compressed_limit(limit) };
    if length.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let owner = owner(&request);
    let expected = length.filter(|_| encoding == Encoding::Identity).unwrap_or(limit);
    let mut body = BodyBytes::new(request.into_body(), encoding, most);
    let mut held = Held { bytes: Vec::new(), room: state.body_room.none(owner) };
    let stall = state.service.settings().api.body_stall_time();
    let arrive = async {
        loop {
            let data = match tokio::time::timeout(stall, body.next()).await {
                Ok(Ok(Some(data))) => data,
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(BodyError::TooLong)) => return Err(too_large()),
                Ok(Err(error)) => return Err(error.problem()),
                Err(_) => {
                    let detail = format!("nothing of the body came for {} seconds", stall.as_secs());
                    return Err(Problem::new(Code::BODY_TIMEOUT, detail));
                }
            };
            let needed = held.bytes.len().saturating_add(data.len());
            if needed > limit {
                return Err(too_large());
            }
            if needed > held.bytes.capacity() {
                let twice = held.bytes.capacity().saturating_mul(2).min(expected);
                let capacity = needed.max(twice);
                held.room.resize(capacity.saturating_add(encoding.memory()))?;
                held.bytes.reserve_exact(capacity - held.bytes.len());
            }
            held.bytes.extend_from_slice(&data);
            if encoding != Encoding::Identity {
                // What a few compressed bytes become is there at once, and others wait for this thread.
                tokio::task::yield_now().await;
            }
        }
    };
    let time = state.service.settings().api.body_time();
    let late = || Problem::new(Code::BODY_TIMEOUT, format!("the body took longer than {} seconds", time.as_secs()));
    tokio::time::timeout(time, arrive).await.map_err(|_| late())??;
    held.room.resize(held.bytes.capacity())?;
    Ok(held)
}

/// Whose room a request takes: its caller's, as the argument before the body has told.
pub(super) fn owner(request: &Request) -> Owner {
    request.extensions().get().copied().unwrap_or(Owner::NOBODY)
}

/// What does not compress grows a little: gzip adds 5 bytes to 16 KiB, and each has a head and an end.
const fn compressed_limit(limit: usize) -> usize {
    limit.saturating_add(limit / 1024).saturating_add(1024)
}

/// Reads a body that carries bars.
pub(super) async fn read_bars(request: Request, state: &ApiState) -> Result<Held, Problem> {
    read(request, state, state.service.settings().api.body_bytes).await
}

/// A JSON body that carries bars, not yet parsed.
#[derive(Debug)]
pub struct BarsBody(pub Held);

impl FromRequest<ApiState> for BarsBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        check_type(request.headers(), &[Kind::Json], "application/json")?;
        Ok(Self(read_bars(request, state).await?))
    }
}

/// A small JSON body, not yet parsed.
#[derive(Debug)]
pub struct SmallBody(pub Held);

impl FromRequest<ApiState> for SmallBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        check_type(request.headers(), &[Kind::Json], "application/json")?;
        Ok(Self(read(request, state, state.service.settings().api.small_body_bytes).await?))
    }
}

/// A small JSON body.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<ApiState> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        check_type(request.headers(), &[Kind::Json], "application/json")?;
        let body = read(request, state, state.service.settings().api.small_body_bytes).await?;
        Ok(Self(parse(&body.bytes)?))
    }
}

/// Parses a small JSON body, and says where it is wrong.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // A struct would be read from an array as well, field by field.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::new(Code::INVALID_REQUEST, "the body is an array; send an object").on(1, 1));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let missing = json_words::missing_field(&error.inner().to_string()).map(str::to_owned);
        let path = if path == "." { missing.unwrap_or_default() } else { path };
        json_problem(error.inner(), bytes).at(path)
    })?;
    json.end().map_err(|error| json_problem(&error, bytes))?;
    Ok(value)
}

/// A problem of an error of `serde_json`'s in this text.
pub(super) fn json_problem(error: &serde_json::Error, text: &[u8]) -> Problem {
    let code = match error.classify() {
        serde_json::error::Category::Data => Code::INVALID_REQUEST,
        _ => Code::MALFORMED_JSON,
    };
    Problem::new(code, json_words::plain(error, text)).on(error.line(), error.column())
}

/// The text of a rule: `{"source": ...}`, or the text itself as `text/plain`.
#[derive(Debug)]
pub struct RuleText {
    /// The name, in the JSON or as `?name=`.
    pub name: Option<RuleName>,
    /// The text; may be anything.
    pub source: Vec<u8>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTextJson {
    name: Option<String>,
    source: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NameQuery {
    name: Option<String>,
}

impl FromRequest<ApiState> for RuleText {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let taken = [Kind::Json, Kind::Text];
        let kind = check_type(request.headers(), &taken, "application/json` or `text/plain")?;
        let query = axum::extract::Query::<NameQuery>::try_from_uri(request.uri());
        let query = query.map_err(|error| Problem::new(Code::INVALID_QUERY, error.body_text()))?;
        let body = read(request, state, state.service.settings().api.small_body_bytes).await?;
        let (name, source) = match kind {
            Kind::Text => (query.0.name, body.bytes),
            Kind::Json | Kind::Other => {
                let json: RuleTextJson = parse(&body.bytes)?;
                (json.name.or(query.0.name), json.source.into_bytes())
            }
        };
        let name = name.map(|name| RuleName::new(&name)).transpose();
        let name = name.map_err(|error| Problem::new(Code::INVALID_NAME, error.to_string()).at("name"))?;
        Ok(Self { name, source })
    }
}
