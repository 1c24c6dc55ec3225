//! Streams: bars that are read, run and answered batch by batch, whatever their number.
//!
//! What is wrong before the first bar has been answered is a problem like any other; behind that the 200 has gone out,
//! and the last words of the answer, its trailer, say what happened.

pub mod arrow;
pub mod channel;
pub mod input;
pub mod lines;
pub mod media;
pub mod output;
pub mod work;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::body::{Held, owner, read_bars};
use super::body_room::BodyRoom;
use super::encoding::{BodyBytes, Encoding};
use super::problem::{Code, Problem};
use super::state::ApiState;
use crate::service::stream::StreamRequest;
use crate::service::{Caller, Service};
use arrow::ArrowInput;
use channel::channel;
use input::Input;
use lines::Lines;
use media::Media;
use output::Output;
use work::{StreamWork, reader_patience};

/// A body of bars for one rule: all at once, or as a stream.
pub enum SeriesBody {
    /// JSON, in memory.
    Whole(Held),
    /// Not read yet.
    Stream(Box<StreamBody>),
}

/// A stream that has not been read.
pub struct StreamBody {
    sent: Media,
    wanted: Media,
    encoding: Encoding,
    body: Body,
    room: BodyRoom,
}

impl FromRequest<ApiState> for SeriesBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let headers = request.headers();
        let sent = Media::of(headers)?;
        if sent == Media::Json {
            if Media::only_streams_wanted(headers) {
                let detail = "a JSON body is answered with JSON; send the bars as a stream to be answered with one";
                return Err(Problem::new(Code::NOT_ACCEPTABLE, detail));
            }
            return Ok(Self::Whole(read_bars(request, state).await?));
        }
        let (wanted, encoding) = (Media::wanted(headers, sent)?, Encoding::of(headers)?);
        let room = state.body_room.none(owner(&request));
        let body = request.into_body();
        Ok(Self::Stream(Box::new(StreamBody { sent, wanted, encoding, body, room })))
    }
}

/// Runs a rule over a stream, for as long as the key of `headers` is valid. Ready when the first of the answer is there;
/// the rest follows as it is made.
///
/// # Errors
/// Whatever is wrong before the first bar has been answered.
pub async fn answer(
    service: &Service,
    caller: &Caller,
    headers: HeaderMap,
    request: StreamRequest,
    body: StreamBody,
) -> Result<Response, Problem> {
    let StreamBody { sent, wanted, encoding, body, room } = body;
    let settings = service.shared_settings();
    let events = if wanted == Media::Json { settings.evaluation.events } else { 0 };
    let numbers_alone = (sent, wanted) == (Media::Arrow, Media::Json);
    let stream = service.open_stream(caller, StreamRequest { events, numbers_alone, ..request }).await?;
    let (answering, begun, pieces) = channel(reader_patience(&settings));
    let output = Output::new(wanted, stream.manifest())?;
    let work = StreamWork {
        // Whatever its length, it is bounded at a time.
        body: BodyBytes::new(body, encoding, usize::MAX),
        decoder_bytes: encoding.memory(),
        room,
        input: match sent {
            Media::Arrow => Input::Arrow(ArrowInput::new(settings.evaluation.stream_batch_bytes)),
            Media::Lines | Media::Json => Input::Lines(Lines::new(settings.api.small_body_bytes)),
        },
        output: Some(output),
        answering,
        ended: None,
        rows_left: settings.evaluation.stream_rows,
        settings,
        stream,
        service: service.clone(),
        headers,
    };
    service.spawn_stream(work.run());
    match begun.await {
        Ok(Ok(())) => Ok(([(CONTENT_TYPE, wanted.name())], Body::from_stream(pieces)).into_response()),
        Ok(Err(problem)) => Err(problem),
        Err(_) => Err(Problem::new(Code::INTERNAL, "the service failed; the request may be tried again")),
    }
}
