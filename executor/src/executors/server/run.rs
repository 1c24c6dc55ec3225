//! One run: its messages in the order they come, and the module on a thread of the pool.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, Incoming};
use rulebox_sandbox::{Digest, RunError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Executor;
use super::sink::{Replies, Sending, send};
use crate::execution::engine::{Module, Run, Setup};
use crate::execution::fair::Owner;
use crate::execution::places::Placed;
use crate::execution::pool::Place;
use crate::executors::wire::{Batch, Begin, Done, Failure, FrameError, Frames, Reply, Request, frame};
use crate::telemetry::chain;

/// Replies that may wait to be sent. A reader that is slow slows the run.
const WAITING: usize = 16;
/// Between two words that a run goes on.
const GOES_ON: Duration = Duration::from_secs(2);
/// Batches that may wait to be run; the API sends no more than two ahead.
const AHEAD: usize = 4;
/// How long a run waits for its next bars, if it is not one that stays. The API says first whatever it has.
const NEXT: Duration = Duration::from_mins(5);

/// What became of a request.
pub(super) enum Begun {
    /// It runs, and says so here.
    Runs(mpsc::Receiver<Result<Frame<Bytes>, Infallible>>),
    /// The module is not here.
    NeedsModule,
    /// There is no room.
    Full,
    /// It is not one.
    Unread(FrameError),
}

/// A run, between its batches.
struct Held {
    run: Box<dyn Run>,
    _open: Option<Placed>,
}

/// What goes on in a run that all its parts need.
#[derive(Clone)]
struct Context {
    replies: Replies,
    stop: CancellationToken,
}

/// Reads the first message, and begins.
pub(super) async fn begin(executor: Executor, mut frames: Frames<Incoming>) -> Begun {
    let first = match frames.next().await {
        Ok(Some(first)) => first,
        Ok(None) => return Begun::Unread(FrameError::Unasked("nothing was said")),
        Err(FrameError::Late) => return Begun::Full,
        Err(error) => return Begun::Unread(error),
    };
    let (digest, owner, answers, stays) = match postcard::from_bytes(&first) {
        Ok(Request::Begin(begin)) => (begin.digest, Owner(Uuid::from_u128(begin.owner)), begin.answers, begin.stays),
        Ok(_) => return Begun::Unread(FrameError::Unasked("it does not begin at its beginning")),
        Err(error) => return Begun::Unread(error.into()),
    };
    let Some(module) = executor.loaded.get(owner, &digest) else { return Begun::NeedsModule };
    let open = if stays { executor.open.take(owner) } else { None };
    if stays && open.is_none() {
        return Begun::Full;
    }
    let Ok(place) = executor.runs.place(owner) else { return Begun::Full };
    let (replies, answer) = mpsc::channel(WAITING);
    let context = Context { replies, stop: executor.stopping.child_token() };
    tokio::spawn(async move {
        let failed = go(&executor, &context, owner, (module, first, open), answers, place, frames).await.err();
        if let Some(failed) = failed {
            tracing::debug!(digest = %Digest(digest), ?failed, "a run ended early");
            if let Ok(message) = frame(&Reply::Failed(failed), 256) {
                let _ = context.replies.send(Ok(Frame::data(message))).await;
            }
        }
    });
    Begun::Runs(answer)
}

/// Runs batch after batch, until there are no more.
async fn go(
    executor: &Executor,
    context: &Context,
    owner: Owner,
    (module, begin, open): (Arc<dyn Module>, Bytes, Option<Placed>),
    answers: bool,
    place: Place,
    frames: Frames<Incoming>,
) -> Result<(), Failure> {
    let (ahead, mut batches) = mpsc::channel(AHEAD);
    // Ends with the run, whether or not the API has said all.
    let reader = tokio::spawn(read(frames, ahead, context.stop.clone()));
    let _ends = AbortOnDrop(reader);
    let next = if open.is_some() { Duration::MAX } else { NEXT };
    let mut first = Some((begin, open, module));
    let mut held: Option<Held> = None;
    let mut place = Some(place);
    loop {
        // The set-up is work by itself if it is answered by itself; else it is done with the first bars.
        let is_set_up = answers && first.is_some();
        let batch = if is_set_up { None } else { tokio::time::timeout(next, batches.recv()).await.ok().flatten() };
        if batch.is_none() && !is_set_up {
            return Ok(());
        }
        let (running, opening, before) = (context.clone(), first.take(), held.take());
        let mine = place.take();
        let work = async {
            // Between batches others may have the place.
            let here = match mine {
                Some(place) => place,
                None => executor.runs.place_in_turn(owner).await.map_err(|_| Failure::Busy)?,
            };
            let worked = here.run(move || step(&running, opening, before, batch.as_ref())).await;
            worked.map_err(|error| Failure::Engine(chain(&error)))?
        };
        held = Some(context.telling(work).await?);
    }
}

impl Context {
    /// Does the work, and says now and then that it goes on. Gives it up where it waits when nobody wants it any more;
    /// where it runs, it hears of that by itself.
    async fn telling<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let mut work = std::pin::pin!(work);
        let mut now_and_then = tokio::time::interval(GOES_ON);
        loop {
            tokio::select! {
                worked = &mut work => return worked,
                () = self.replies.closed() => return Err(Failure::Busy),
                _ = now_and_then.tick() => {
                    if let Ok(message) = frame(&Reply::GoesOn, 1) {
                        // Where there is no room, there is something to read.
                        let _ = self.replies.try_send(Ok(Frame::data(message)));
                    }
                }
            }
        }
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Passes batches on, and hears at once when nobody wants the rest.
async fn read(mut frames: Frames<Incoming>, ahead: mpsc::Sender<Bytes>, stop: CancellationToken) {
    loop {
        match frames.next().await {
            Ok(Some(message)) => {
                if matches!(postcard::take_from_bytes(&message), Ok((Request::Cancel, _))) {
                    return stop.cancel();
                }
                if ahead.send(message).await.is_err() {
                    return;
                }
            }
            // All has been said.
            Ok(None) => return,
            Err(_) => return stop.cancel(),
        }
    }
}

type First = (Bytes, Option<Placed>, Arc<dyn Module>);

/// The set-up, some bars, or both; on a thread of the pool.
fn step(context: &Context, first: Option<First>, held: Option<Held>, batch: Option<&Bytes>) -> Result<Held, Failure> {
    let unread = |error: FrameError| Failure::Engine(chain(&error));
    let mut saves = false;
    let mut held = match (held, first) {
        (Some(held), _) => held,
        (None, Some((begin, open, module))) => {
            let message = postcard::from_bytes(&begin).map_err(|error| unread(error.into()))?;
            let Request::Begin(begin) = message else { return Err(unread(FrameError::Unasked("it has begun"))) };
            saves = begin.save;
            Held { run: set_up(&*module, &begin)?, _open: open }
        }
        (None, None) => return Err(unread(FrameError::Unasked("it has not begun"))),
    };
    if let Some(batch) = batch {
        let message = postcard::from_bytes(batch).map_err(|error| unread(error.into()))?;
        let Request::Batch(batch) = message else { return Err(unread(FrameError::Unasked("it has begun"))) };
        saves = batch.save;
        run(context, &mut *held.run, &batch)?;
    }
    let state = if saves { Some(held.run.state()?) } else { None };
    let done = Done { report: held.run.report(), state: state.as_deref().map(serde_bytes::Bytes::new) };
    let about = 64 + state.as_ref().map_or(0, Vec::len);
    let message = frame(&Reply::Done(done), about).map_err(unread)?;
    send(&context.replies, message);
    Ok(held)
}

fn set_up(module: &dyn Module, begin: &Begin<'_>) -> Result<Box<dyn Run>, RunError> {
    let setup = Setup { shape: &begin.shape, params: &begin.params, limits: &begin.limits };
    let mut run = module.begin(setup, begin.state.map(AsRef::as_ref), begin.save)?;
    run.ready()?;
    Ok(run)
}

fn run(context: &Context, run: &mut dyn Run, batch: &Batch<'_>) -> Result<(), Failure> {
    let unread = |error: FrameError| Failure::Engine(chain(&error));
    if let Some(fuel) = batch.refuel {
        run.refuel(fuel);
    }
    let columns = batch.input.numbers().map_err(unread)?;
    let mut sink = Sending {
        replies: &context.replies,
        stop: &context.stop,
        follows: batch.follows,
        broken: None,
        untaken: false,
    };
    let ran = columns.lend(batch.input.rows as usize, |input| run.batch(input, 0, &mut sink));
    match (sink.broken, ran) {
        (Some(error), _) => Err(unread(error)),
        (None, ran) => Ok(ran?),
    }
}
