//! The work of a stream: what arrives is gathered to batches, run, and answered, until either side ends.
//!
//! No thread is held while something is waited for, and no more is read while an answer waits for its reader.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderMap;
use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};

use super::arrow::Undecoded;
use super::channel::{Answering, Gone};
use super::input::{Batch, For, Input, Work};
use super::output::Output;
use crate::api::body_room::BodyRoom;
use crate::api::context::raise_within;
use crate::api::encoding::{BodyBytes, BodyError};
use crate::api::problem::{Code, Problem};
use crate::api::tenant::may_still;
use crate::auth::permission::Evaluate;
use crate::config::Config;
use crate::domain::audit::Chain;
use crate::domain::evaluation::Event;
use crate::service::stream::{Stream, StreamEnd};
use crate::service::{Service, ServiceError};

/// Everything that a stream needs until its end.
pub struct StreamWork {
    pub(super) settings: Arc<Config>,
    pub(super) stream: Stream,
    pub(super) service: Service,
    /// Of the request, with its key.
    pub(super) headers: HeaderMap,
    pub(super) body: BodyBytes,
    /// Memory that decompressing takes.
    pub(super) decoder_bytes: usize,
    pub(super) room: BodyRoom,
    pub(super) input: Input,
    /// Gone while a batch is being run.
    pub(super) output: Option<Output>,
    pub(super) answering: Answering,
    /// Once nothing more arrives: whether that is how it should be.
    pub(super) ended: Option<Result<(), Problem>>,
    /// Bars that may still come.
    pub(super) rows_left: usize,
}

/// Why the work is over before its end.
enum Over {
    /// The caller is told.
    Refused(Problem, StreamEnd),
    /// There is no caller.
    Gone,
}

impl From<Gone> for Over {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Problem> for Over {
    fn from(problem: Problem) -> Self {
        // Who cuts the body short is gone, whichever of it is seen first.
        let cut = problem.code == Code::BODY_INCOMPLETE;
        Self::Refused(problem, if cut { StreamEnd::Cancelled } else { StreamEnd::Failed })
    }
}

impl From<ServiceError> for Over {
    fn from(error: ServiceError) -> Self {
        let end = match error {
            ServiceError::Violation { .. } => StreamEnd::Violation,
            ServiceError::Cancelled => StreamEnd::Cancelled,
            _ => StreamEnd::Failed,
        };
        Self::Refused(error.into(), end)
    }
}

/// What a batch gave.
struct Answered {
    output: Output,
    bytes: Result<Bytes, Problem>,
    rows: usize,
    problem: Option<Problem>,
}

impl StreamWork {
    /// Does all of it.
    pub async fn run(mut self) {
        let over = self.batches().await;
        let Self { stream, output, answering, service, .. } = self;
        let (problem, end) = match over {
            Ok(()) => (None, StreamEnd::Whole),
            Err(Over::Refused(problem, end)) => (Some(problem), end),
            Err(Over::Gone) => {
                stream.finish(StreamEnd::Cancelled);
                return;
            }
        };
        if let Some(problem) = problem.as_ref().filter(|_| answering.has_begun()) {
            raise_within(&service, problem, stream.caller()).await;
        }
        let marks = stream.caller().marks.clone();
        let path = format!("/v1/rules/{}/evaluate", stream.rule());
        let run = stream.finish(end);
        let (problem, output) = match (problem, output) {
            (Some(problem), _) if !answering.has_begun() => return answering.refuse(problem),
            (problem, Some(output)) => (problem, output),
            // The work panicked, and took the answer with it: the connection is cut.
            (_, None) => return,
        };
        match output.end(run, problem.map(|problem| problem.body(&marks, &path))) {
            Ok(last) => answering.end(last).await,
            Err(error) => drop(Problem::from(error)),
        }
    }

    async fn batches(&mut self) -> Result<(), Over> {
        let mut patience = self.patience();
        let mut bars = 0;
        loop {
            if !self.input.is_ready() {
                match self.ended.take() {
                    None => self.arrive(patience).await?,
                    Some(Err(problem)) => return Err(problem.into()),
                    Some(Ok(())) if bars == 0 => {
                        let detail = "there are no rows: a run needs at least one bar";
                        return Err(Problem::new(Code::NO_ROWS, detail).into());
                    }
                    Some(Ok(())) => return Ok(()),
                }
                continue;
            }
            self.gather();
            let rows = match self.input.take(self.stream.rows_a_batch()) {
                Some(Work::Decode(message)) => {
                    self.decode(message).await?;
                    0
                }
                Some(Work::Run(batch)) => self.batch(batch).await?,
                None => 0,
            };
            self.look_on();
            if rows > 0 {
                (bars, patience) = (bars + rows, self.patience());
            }
        }
    }

    /// Until when the next batch has to be there.
    fn patience(&self) -> Instant {
        Instant::now() + self.settings.api.body_time()
    }

    /// Waits for something to arrive.
    async fn arrive(&mut self, patience: Instant) -> Result<(), Over> {
        // Asked in this order: what keeps arriving and has no bars in it does not go on for ever.
        let arrived = tokio::select! {
            biased;
            () = self.answering.gone() => return Err(Over::Gone),
            () = self.stream.stop().cancelled() => return Err(ServiceError::Cancelled.into()),
            () = sleep_until(patience) => {
                let detail = format!("no bar arrived for {} seconds", self.settings.api.body_seconds);
                return Err(Problem::new(Code::BODY_TIMEOUT, detail).into());
            }
            arrived = self.body.next() => arrived,
        };
        self.take_in(arrived);
        Ok(())
    }

    /// Takes what is there already, up to a whole batch.
    fn gather(&mut self) {
        while self.ended.is_none() && !self.input.is_full(self.stream.rows_a_batch()) {
            let Some(arrived) = self.body.next().now_or_never() else { return };
            self.take_in(arrived);
        }
    }

    /// Puts what has arrived to the rest. What is wrong with it is said when all before it has been run, so that the
    /// answer does not depend on how the bytes arrived.
    fn take_in(&mut self, arrived: Result<Option<Bytes>, BodyError>) {
        let manifest = Arc::clone(self.stream.manifest());
        let what = For { rule: self.stream.rule().as_str(), manifest: &manifest, limits: &self.settings.evaluation };
        let taken = match arrived {
            Ok(Some(bytes)) => {
                let held = self.input.held_bytes() + bytes.len() + self.decoder_bytes;
                self.room.resize(held).and_then(|()| self.input.push(bytes, &what))
            }
            Ok(None) => {
                self.ended = Some(Ok(()));
                self.input.end()
            }
            Err(error) => Err(error.problem()),
        };
        if let Err(problem) = taken {
            self.ended = Some(Err(problem));
        }
    }

    /// Looks at what came with the batch that has been taken.
    fn look_on(&mut self) {
        if self.input.is_ready() || matches!(self.ended, Some(Err(_))) {
            return;
        }
        let manifest = Arc::clone(self.stream.manifest());
        let what = For { rule: self.stream.rule().as_str(), manifest: &manifest, limits: &self.settings.evaluation };
        let looked =
            self.input.advance(&what).and_then(|()| self.room.resize(self.input.held_bytes() + self.decoder_bytes));
        if let Err(problem) = looked {
            self.ended = Some(Err(problem));
        }
    }

    async fn decode(&mut self, message: Undecoded) -> Result<(), Over> {
        let decoded = self.stream.work(move || message.decode()).await.map_err(Problem::from)?;
        let Input::Arrow(input) = &mut self.input else { return Ok(()) };
        match decoded {
            Ok(batch) => input.decoded(batch),
            Err(problem) => self.ended = Some(Err(problem)),
        }
        Ok(())
    }

    /// Runs a batch and sends its answer; says how many bars it had.
    async fn batch(&mut self, batch: Batch) -> Result<usize, Over> {
        let admitted = async {
            // What a caller may not do any more, he may not go on with.
            may_still::<Evaluate>(&self.headers, Chain(Some(self.stream.caller().tenant)), &self.service).await?;
            Ok::<_, Over>(self.stream.admit(batch.most_rows()).await?)
        };
        let admitted = tokio::select! {
            admitted = admitted => admitted?,
            () = self.answering.gone() => return Err(Over::Gone),
        };
        let Some(mut output) = self.output.take() else { return Err(Over::Gone) };
        let (manifest, rule) = (Arc::clone(self.stream.manifest()), self.stream.rule().clone());
        let (settings, most) = (Arc::clone(&self.settings), self.rows_left);
        let stop = self.stream.stop().clone();
        let work = self.stream.batch(admitted, move |run| {
            let what = For { rule: rule.as_str(), manifest: &manifest, limits: &settings.evaluation };
            let (bars, columns, problem) = batch.read(&what, most);
            let before = run.bars();
            let result = if bars.rows == 0 {
                Ok(())
            } else if output.has_rows() {
                let mut each = |event: Event| output.row(event, &manifest);
                run.batch(&bars, &columns, Some(&mut each))
            } else {
                run.batch(&bars, &columns, None)
            };
            let bytes = if run.bars() > before { output.take().map_err(Problem::from) } else { Ok(Bytes::new()) };
            (Answered { output, bytes, rows: run.bars() - before, problem }, result)
        });
        let mut work = std::pin::pin!(work);
        let (answered, result) = tokio::select! {
            done = &mut work => done,
            () = self.answering.gone() => {
                // A run is not left alone: what it does against its limits is recorded, whoever waits.
                stop.cancel();
                work.await
            }
        };
        let Some(Answered { output, bytes, rows, problem }) = answered else {
            return Err(result.err().unwrap_or(ServiceError::Cancelled).into());
        };
        self.output = Some(output);
        self.rows_left -= rows;
        self.answering.send(bytes?).await?;
        result?;
        match problem {
            Some(problem) => Err(problem.into()),
            None => Ok(rows),
        }
    }
}

/// How long a piece of an answer may wait for its reader.
pub(super) const fn reader_patience(settings: &Config) -> Duration {
    settings.api.body_time()
}
