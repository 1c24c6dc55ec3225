//! One request to one executor: frames to it, and what comes back.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use rulebox_abi::columns::OutputSink;
use rulebox_sandbox::{RunError, RunReport};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::believed::{Expected, cleaned};
use super::module::RemoteModule;
use super::patience::Patience;
use super::peer::{Held, RequestBody};
use crate::execution::fair::Owner;
use crate::executors::wire::{self, Done, FrameError, Frames, Reply, frame};

/// Frames that may wait to be sent.
const WAITING: usize = 4;
/// Bytes of a refusal.
const REFUSAL: usize = 64 << 10;
/// Between two questions whether anybody still wants the results.
pub(super) const ASK: Duration = Duration::from_millis(50);
/// Of one batch, so often it may say that it goes on, and so often a second: it says so every other second.
const GOES_ON: u64 = 100;
const GOES_ON_A_SECOND: u64 = 10;

/// Why an executor did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The connection was gone before anything was sent.
    #[error("the connection was gone")]
    NotSent(#[source] hyper::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broke(String),
    /// The connection had broken before, and was not known to be gone.
    #[error("the connection had broken")]
    HadBroken,
    /// It does not have the module.
    #[error("it does not have the module")]
    NeedsModule,
    /// It does not have the module that it has just been given.
    #[error("it does not have the module that it has just been given")]
    Forgot,
    /// It has no room.
    #[error("it has no room")]
    Full,
    /// It answered something else.
    #[error("it answered {0}")]
    Status(StatusCode),
    /// It answered what cannot be.
    #[error("it answered what cannot be")]
    Nonsense(#[source] FrameError),
    /// It said nothing.
    #[error("it said nothing for too long")]
    Silent,
    /// It took longer than the run may.
    #[error("it took longer than the run may")]
    Slow,
    /// Its engine failed. In its words, cleaned.
    #[error("its engine failed: {0}")]
    Engine(String),
    /// It did not get to the run while another one might have.
    #[error("it did not get to it for a while")]
    Waits,
    /// Another one said something else of the same.
    #[error("another executor says otherwise")]
    Contradicted,
    /// Nobody waits for the run any more.
    #[error("nobody waits for it")]
    Unwanted,
    /// It gave the run back.
    #[error("it is about to stop")]
    Stopping,
}

impl Lost {
    /// Whether the executor may have died of it: a run is tried once more, and not again and again.
    pub(super) const fn counts(&self) -> bool {
        !matches!(
            self,
            Self::NotSent(_)
                | Self::HadBroken
                | Self::NeedsModule
                | Self::Full
                | Self::Waits
                | Self::Unwanted
                | Self::Stopping
        )
    }

    /// Whether its connection broke in the middle of a run, as it does when the process dies.
    pub(super) const fn is_death(&self) -> bool {
        matches!(self, Self::Broke(_) | Self::Nonsense(FrameError::Broken(_)))
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

impl From<FrameError> for Lost {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Broken(error) => Self::Broke(cleaned(&*error)),
            error => Self::Nonsense(error),
        }
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
    pub(super) patience: Patience,
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
    pub(super) async fn open(
        mut held: Held,
        begin: &impl Serialize,
        about: usize,
        patience: Patience,
    ) -> Result<Self, Failed> {
        let begin = frame(begin, about)?;
        let (request, out) = request(Method::POST, wire::RUN_PATH);
        if let Err(lost) = ready(&mut held, patience.silence).await {
            held.lost(&lost);
            return Err(lost.into());
        }
        let response = held.http.send_request(request);
        // There is room for the first.
        let _ = out.try_send(Ok(Frame::data(begin)));
        Ok(Self { held, out, answer: Answer::Waiting(Box::pin(response)), patience })
    }

    /// To say more.
    pub(super) fn words(&self) -> Words {
        Words(self.out.clone())
    }

    /// Reads until a batch of so many bars is done, and hands its results on. When nobody wants them any more, the
    /// executor is told so, and what it has used is waited for. For all of it the executor has as long as the limits
    /// allow the run, however much it says meanwhile.
    pub(super) async fn results(
        &mut self,
        expected: &Expected<'_>,
        rows: usize,
        results: &mut Results<'_>,
    ) -> Result<Answered, Failed> {
        let Patience { silence, .. } = self.patience;
        let (mut got, mut wanted, mut cancelled, mut goes_on) = (0, true, false, 0);
        let began = Instant::now();
        let mut over_at = began + self.patience.of_batch(expected.limits, expected.fuel, rows);
        let mut silent_at = began + silence;
        loop {
            if wanted && !results.sink.wants_more() {
                wanted = false;
                over_at = over_at.min(Instant::now() + self.patience.of_end(expected.limits));
            }
            if !wanted && !cancelled {
                // If there is no room for the word now, there is at the next look.
                cancelled = self.words().cancel();
            }
            let bytes =
                tokio::time::timeout(ASK, next(&mut self.answer, &self.held, expected.frame_bytes(rows - got))).await;
            let now = Instant::now();
            if now >= over_at {
                return Err(Lost::Slow.into());
            }
            let Ok(bytes) = bytes else {
                if now >= silent_at {
                    return Err(Lost::Silent.into());
                }
                continue;
            };
            silent_at = now + silence;
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
                Reply::GoesOn => {
                    goes_on += 1;
                    if goes_on > GOES_ON + GOES_ON_A_SECOND * began.elapsed().as_secs() {
                        return Err(FrameError::Unasked("again and again that it goes on").into());
                    }
                }
                Reply::Failed(failure) => return Err(expected.failure(failure, results.given > 0, cancelled)),
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
    if error.is_canceled() { Lost::NotSent(error) } else { Lost::Broke(cleaned(&error)) }
}

/// Until a request can be sent: an executor says how many it takes at a time.
async fn ready(held: &mut Held, silence: Duration) -> Result<(), Lost> {
    match tokio::time::timeout(silence, held.http.ready()).await {
        Ok(ready) => ready.map_err(Lost::NotSent),
        Err(_) => Err(Lost::Silent),
    }
}

async fn next(answer: &mut Answer, held: &Held, most: usize) -> Result<Bytes, Lost> {
    if let Answer::Waiting(head) = answer {
        let response = head.await.map_err(broke)?;
        *answer = Answer::Reading(Frames::within(accepted(response)?, held.peer.frames.clone()));
    }
    match answer {
        Answer::Reading(frames) => match frames.next_of(most).await? {
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

/// Hands a module over within this time; the body of the answer, if the executor does not take it.
pub(super) async fn put_module(
    held: &mut Held,
    module: &RemoteModule,
    owner: Owner,
    within: Duration,
) -> Result<Result<(), Bytes>, Lost> {
    let (mut request, out) = request(Method::PUT, wire::MODULE_PATH);
    let by = if module.compiled { "compiler" } else { "tenant" };
    request.headers_mut().insert(wire::MADE_BY, HeaderValue::from_static(by));
    if let Ok(owner) = HeaderValue::try_from(owner.0.to_string()) {
        request.headers_mut().insert(wire::OWNER, owner);
    }
    ready(held, module.shared.options.patience.silence).await?;
    let response = held.http.send_request(request);
    let _ = out.try_send(Ok(Frame::data(module.bytes.clone())));
    drop(out);
    // The whole answer, with all that is read of it.
    let answered = tokio::time::timeout(within, async {
        let response = response.await.map_err(broke)?;
        match response.status() {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(Ok(())),
            StatusCode::SERVICE_UNAVAILABLE => Err(Lost::Full),
            StatusCode::UNPROCESSABLE_ENTITY => {
                let body = Limited::new(response.into_body(), REFUSAL).collect().await;
                let body = body.map_err(|_| FrameError::Unasked("a refusal that is too long, or was cut off"))?;
                Ok(Err(body.to_bytes()))
            }
            status => Err(Lost::Status(status)),
        }
    });
    answered.await.map_err(|_| Lost::Slow)?
}
