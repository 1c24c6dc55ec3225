//! One request to one executor: frames to it, and what comes back.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use rulebox_abi::columns::OutputSink;
use rulebox_sandbox::{RunError, RunReport};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::believed::Expected;
use super::peer::{Held, RequestBody};
use crate::execution::fair::Owner;
use crate::executors::wire::{self, Done, FrameError, Frames, Reply, frame};

/// Frames that may wait to be sent.
const WAITING: usize = 4;
/// How long an executor may say nothing of a run: it says now and then that it goes on.
const SILENCE: Duration = Duration::from_secs(15);
/// How long an executor may take for a module: it may wait for others', and then be compiled.
const LOAD: Duration = Duration::from_mins(2);
/// Between two questions whether anybody still wants the results.
const ASK: Duration = Duration::from_millis(50);

/// Why an executor did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The connection was gone before anything was sent.
    #[error("the connection was gone")]
    NotSent(#[source] hyper::Error),
    /// The connection broke.
    #[error("the connection broke")]
    Broke(#[source] hyper::Error),
    /// It does not have the module.
    #[error("it does not have the module")]
    NeedsModule,
    /// It has no room.
    #[error("it has no room")]
    Full,
    /// It answered something else.
    #[error("it answered {0}")]
    Status(StatusCode),
    /// It answered what cannot be.
    #[error("it answered what cannot be")]
    Nonsense(#[from] FrameError),
    /// It said nothing.
    #[error("it said nothing for {SILENCE:?}")]
    Silent,
    /// It gave the run back.
    #[error("it is about to stop")]
    Stopping,
}

impl Lost {
    /// Whether the executor may have died of it: a run is tried once more, and not again and again.
    pub(super) const fn counts(&self) -> bool {
        !matches!(self, Self::NotSent(_) | Self::NeedsModule | Self::Full | Self::Stopping)
    }
}

/// Why there are no results.
pub(super) enum Failed {
    /// As the sandbox says.
    Run(RunError),
    /// Nothing is said of the run.
    Lost(Lost),
}

impl From<Lost> for Failed {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl From<FrameError> for Failed {
    fn from(error: FrameError) -> Self {
        Self::Lost(error.into())
    }
}

type Head = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send + Sync>>;

/// What comes back.
enum Answer {
    /// The head has not come.
    Waiting(Head),
    /// It has.
    Reading(Frames<Incoming>),
}

/// What is written into a request.
pub(super) type Out = mpsc::Sender<Result<Frame<Bytes>, Infallible>>;

/// A run on an executor.
pub(super) struct Line {
    pub(super) held: Held,
    out: Out,
    answer: Answer,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("peer", &self.held.peer.place).finish_non_exhaustive()
    }
}

/// Hands results on, but for those that another executor has given before it was lost.
pub(super) struct Results<'a> {
    pub(super) sink: &'a mut dyn OutputSink,
    pub(super) first_row: usize,
    /// Of these bars, so many have been handed on.
    pub(super) given: usize,
}

/// What an executor has said of a batch, or of a set-up.
pub(super) struct Answered {
    pub(super) report: RunReport,
    pub(super) state: Option<Vec<u8>>,
}

/// Makes a request whose body is written later.
pub(super) fn request(method: Method, path: &str) -> (Request<RequestBody>, Out) {
    let (out, body) = mpsc::channel(WAITING);
    let mut request = Request::new(StreamBody::new(Box::pin(ReceiverStream::new(body))));
    *request.method_mut() = method;
    // A path of ours.
    *request.uri_mut() = format!("http://executor{path}").parse().unwrap_or_default();
    (request, out)
}

impl Line {
    /// Begins a run: `begin` is the first message.
    pub(super) async fn open(mut held: Held, begin: &impl Serialize, about: usize) -> Result<Self, Failed> {
        let begin = frame(begin, about)?;
        let (request, out) = request(Method::POST, wire::RUN_PATH);
        held.http.ready().await.map_err(Lost::NotSent)?;
        let response = held.http.send_request(request);
        // There is room for the first.
        let _ = out.try_send(Ok(Frame::data(begin)));
        Ok(Self { held, out, answer: Answer::Waiting(Box::pin(response)) })
    }

    /// To say more.
    pub(super) fn words(&self) -> Words {
        Words(self.out.clone())
    }

    /// Reads until a batch of so many bars is done, and hands its results on. When nobody wants them any more, the
    /// executor is told so, and what it has used is waited for.
    pub(super) async fn results(
        &mut self,
        expected: &Expected<'_>,
        rows: usize,
        results: &mut Results<'_>,
    ) -> Result<Answered, Failed> {
        let (mut got, mut wanted) = (0, true);
        let mut silent_at = Instant::now() + SILENCE;
        loop {
            if wanted && !results.sink.wants_more() {
                // If there is no room for the word now, there is at the next look.
                wanted = !self.words().cancel();
            }
            let Ok(bytes) = tokio::time::timeout(ASK, next(&mut self.answer)).await else {
                if Instant::now() >= silent_at {
                    return Err(Lost::Silent.into());
                }
                continue;
            };
            silent_at = Instant::now() + SILENCE;
            match postcard::from_bytes(&bytes?).map_err(FrameError::from)? {
                Reply::Rows(part) => {
                    let before = got;
                    let calls = (rows - before, expected.limits.chunk_rows as usize);
                    got += part.lend(expected.shape, calls, expected.limits.message_bytes, |part| {
                        if before >= results.given {
                            results.sink.rows(results.first_row + before, part);
                        }
                    })?;
                    results.given = results.given.max(got);
                }
                Reply::Done(Done { report, state }) => {
                    let most = expected.limits.state_bytes;
                    if got != rows || state.is_some_and(|state| state.len() > most) {
                        return Err(FrameError::Unasked("fewer results than bars, or a state that is too large").into());
                    }
                    let report = expected.report(&report);
                    return Ok(Answered { report, state: state.map(|state| state.to_vec()) });
                }
                Reply::GoesOn => {}
                Reply::Failed(failure) => return Err(expected.failure(failure, results.given > 0, !wanted)),
            }
        }
    }
}

/// What is said to an executor beside the reading of its answers.
pub(super) struct Words(Out);

impl Words {
    /// Sends a message, when there is room. An executor that is gone is noticed by who reads.
    pub(super) async fn say(&self, message: Bytes) {
        let _ = self.0.send(Ok(Frame::data(message))).await;
    }

    /// Whether there was room to say that nobody wants the rest.
    fn cancel(&self) -> bool {
        frame(&wire::Request::Cancel, 1).is_ok_and(|message| self.0.try_send(Ok(Frame::data(message))).is_ok())
    }
}

/// What was never sent was not run.
fn broke(error: hyper::Error) -> Lost {
    if error.is_canceled() { Lost::NotSent(error) } else { Lost::Broke(error) }
}

async fn next(answer: &mut Answer) -> Result<Bytes, Lost> {
    if let Answer::Waiting(head) = answer {
        let response = head.await.map_err(broke)?;
        *answer = Answer::Reading(Frames::new(accepted(response)?));
    }
    match answer {
        Answer::Reading(frames) => match frames.next().await? {
            Some(bytes) => Ok(bytes),
            None => Err(FrameError::Unasked("the answer ended before its time").into()),
        },
        Answer::Waiting(_) => Err(Lost::Silent),
    }
}

/// The body of an answer that says yes.
fn accepted(response: Response<Incoming>) -> Result<Incoming, Lost> {
    match response.status() {
        StatusCode::OK => Ok(response.into_body()),
        StatusCode::NOT_FOUND => Err(Lost::NeedsModule),
        StatusCode::SERVICE_UNAVAILABLE => Err(Lost::Full),
        status => Err(Lost::Status(status)),
    }
}

/// Hands a module over; the body of the answer, if the executor does not take it.
pub(super) async fn put_module(
    held: &mut Held,
    bytes: &Bytes,
    compiled: bool,
    owner: Owner,
) -> Result<Result<(), Bytes>, Lost> {
    use http_body_util::{BodyExt, Limited};
    let (mut request, out) = request(Method::PUT, wire::MODULE_PATH);
    let by = if compiled { "compiler" } else { "tenant" };
    request.headers_mut().insert(wire::MADE_BY, hyper::header::HeaderValue::from_static(by));
    if let Ok(owner) = hyper::header::HeaderValue::try_from(owner.0.to_string()) {
        request.headers_mut().insert(wire::OWNER, owner);
    }
    held.http.ready().await.map_err(Lost::NotSent)?;
    let response = held.http.send_request(request);
    let _ = out.try_send(Ok(Frame::data(bytes.clone())));
    drop(out);
    let response = tokio::time::timeout(LOAD, response).await.map_err(|_| Lost::Silent)?.map_err(broke)?;
    match response.status() {
        StatusCode::OK | StatusCode::NO_CONTENT => Ok(Ok(())),
        StatusCode::SERVICE_UNAVAILABLE => Err(Lost::Full),
        StatusCode::UNPROCESSABLE_ENTITY => {
            let body = Limited::new(response.into_body(), wire::FRAME_BYTES).collect();
            let body = body.await.map_err(|_| FrameError::Unasked("a refusal that is too long"))?;
            Ok(Err(body.to_bytes()))
        }
        status => Err(Lost::Status(status)),
    }
}
