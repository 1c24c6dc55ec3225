//! Threads for work that keeps them busy. One whose work turned out to be long gets less of the processor from then on,
//! and does only work that gets no more: what was taken from a thread cannot be given back to it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::fair::{Owner, Turn};

/// How long work may take before it counts as long.
pub const SHORT: Duration = Duration::from_millis(10);
/// How nice long work is to all other: about a tenth of its part where the processor is scarce, all of it where not.
const NICE: i32 = 10;
/// A thread without work for as long ends.
const IDLE: Duration = Duration::from_secs(10);
/// Threads with less of the processor that may wait for work; one more ends at once. Prompt work that turns out to be
/// long, again and again, would leave a thread behind each time, and each keeps some memory.
const MOST_SLOWED: usize = 4;
/// The compiler recurses as deep as its limits let a rule be, and needs a quarter of this at most.
const STACK_BYTES: usize = 4 << 20;

/// Work, which gives what tells of its result.
type Job = Box<dyn FnOnce() -> Tell + Send>;
type Tell = Box<dyn FnOnce() + Send>;

/// Threads, as many as there is work at a time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Threads {
    name: &'static str,
    /// Whether all of them get less of the processor.
    are_slow: bool,
    idle: Arc<Mutex<Waiting>>,
}

/// Those that wait for work.
#[derive(Debug, Default)]
struct Waiting {
    prompt: Vec<Idle>,
    /// With less of the processor.
    slowed: Vec<Idle>,
}

impl Waiting {
    const fn of(&mut self, is_prompt: bool) -> &mut Vec<Idle> {
        if is_prompt { &mut self.prompt } else { &mut self.slowed }
    }
}

/// A thread that waits for work.
#[derive(Debug)]
struct Idle {
    id: u64,
    jobs: SyncSender<Job>,
}

/// What a thread does at the moment.
struct Current {
    turn: Arc<Turn>,
    since: Instant,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

/// The turn of work that somebody waits for. When he does not any more, it is nobody's turn.
struct Watched(Weak<Turn>);

impl Watched {
    fn leave(&self) {
        if let Some(turn) = self.0.upgrade() {
            turn.leave();
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Why there is no result.
#[derive(Debug)]
pub enum Undone {
    /// It panicked, with these words.
    Panicked(String),
    /// The system has no thread for it.
    NoThread(std::io::Error),
}

impl Threads {
    /// With this name.
    pub fn new(name: &'static str) -> Self {
        Self { name, are_slow: false, idle: Arc::default() }
    }

    /// With less of the processor from the start, whatever they do.
    #[must_use]
    pub fn slow(self) -> Self {
        Self { are_slow: true, ..self }
    }

    /// Does the work on a thread, in this turn. It runs to its end, whether or not somebody waits for it.
    ///
    /// # Errors
    /// If it panics, or the system has no thread for it.
    pub async fn run<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let (done, mut result) = tokio::sync::oneshot::channel();
        let turn = Arc::new(turn);
        let (watched, is_prompt) = (Watched(Arc::downgrade(&turn)), turn.is_prompt() && !self.are_slow);
        let runtime = Handle::current();
        let job = move || {
            let _runtime = runtime.enter();
            CURRENT.set(Some(Current { turn, since: Instant::now() }));
            let worked = catch_unwind(AssertUnwindSafe(work));
            // The turn is over before anybody hears of the result, or his next work would wait for this.
            drop(CURRENT.take());
            let result = worked.map_err(|panic| Undone::Panicked(words(&*panic)));
            // Nobody waits for it: then it was done for its own sake.
            Box::new(move || drop(done.send(result))) as Tell
        };
        self.start(is_prompt, Box::new(job)).map_err(Undone::NoThread)?;
        // Whatever it is that takes long: the turn goes to the next.
        let in_time = tokio::time::timeout(SHORT, &mut result).await;
        let result = if let Ok(result) = in_time {
            result
        } else {
            watched.leave();
            result.await
        };
        match result {
            Ok(worked) => worked,
            Err(_) => Err(Undone::Panicked("the thread ended".to_owned())),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Waiting> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the job to a thread that waits, the one that waited least, or else to a new one.
    fn start(&self, is_prompt: bool, mut job: Job) -> std::io::Result<()> {
        {
            // Under the lock, so that a thread which is not among the idle any more has been given its job.
            let mut waiting = self.idle();
            while let Some(idle) = waiting.of(is_prompt).pop() {
                match idle.jobs.send(job) {
                    Ok(()) => return Ok(()),
                    Err(returned) => job = returned.0,
                }
            }
        }
        let threads = self.clone();
        std::thread::Builder::new().name(self.name.to_owned()).stack_size(STACK_BYTES).spawn(move || {
            if !is_prompt {
                slow_thread();
            }
            threads.work(job);
        })?;
        Ok(())
    }

    /// The life of a thread.
    fn work(&self, first: Job) {
        let id = rand::random();
        let mut next = Some(first);
        while let Some(job) = next.take() {
            let tell = job();
            let (is_prompt, (jobs, mine)) = (!is_slowed(), sync_channel(1));
            {
                let mut waiting = self.idle();
                let idle = waiting.of(is_prompt);
                if !is_prompt && idle.len() >= MOST_SLOWED {
                    drop(waiting);
                    return tell();
                }
                // Before anybody hears of the result: his next work finds this thread.
                idle.push(Idle { id, jobs });
            }
            tell();
            next = match mine.recv_timeout(IDLE) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Disconnected) => None,
                Err(RecvTimeoutError::Timeout) => {
                    self.idle().of(is_prompt).retain(|idle| idle.id != id);
                    // It may have been given one just before.
                    mine.try_recv().ok()
                }
            };
        }
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".to_owned())
}

thread_local! {
    static SLOWED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

fn is_slowed() -> bool {
    SLOWED.get()
}

/// On whose behalf the work of this thread is done; nobody's, if it is none of [`Threads`].
pub fn owner_of_work() -> Owner {
    CURRENT.with_borrow(|current| current.as_ref().map_or(Owner::NOBODY, |current| current.turn.owner()))
}

/// To be called on a thread of [`Threads`] whose work turns out to be long: leaves its turn to the next, and gives the
/// thread less of the processor. On any other thread it does nothing.
pub fn slow_down() {
    let is_work = CURRENT.with_borrow(|current| current.as_ref().inspect(|current| current.turn.leave()).is_some());
    if is_work {
        slow_thread();
    }
}

/// Gives this thread less of the processor, for good.
fn slow_thread() {
    if !SLOWED.replace(true) {
        // If the system refuses, its work is as quick as other: the turns still go round.
        let _ = rustix::process::setpriority_process(None, NICE);
    }
}

/// The same, if the work has been going on for as long as to be long. Cheap: to be called between steps.
pub fn slow_down_if_long() {
    let is_long = CURRENT.with_borrow(|current| current.as_ref().is_some_and(|c| c.since.elapsed() >= SHORT));
    if is_long {
        slow_down();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::fair::{Bounds, Fair};
    use super::*;

    const OWNER: Owner = Owner(Uuid::nil());
    const OTHER: Owner = Owner(Uuid::max());

    fn fair(turns: usize) -> Fair {
        Fair::new(Bounds { turns, of_owner: 10, of_all: 10 })
    }

    fn nice() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[tokio::test]
    async fn long_work_is_nice_and_its_thread_serves_only_such_from_then_on() {
        let (threads, fair) = (Threads::new("test"), fair(1));
        let id = || std::thread::current().id();
        let first = threads.run(fair.turn(OWNER).await, id).await.unwrap();
        assert_eq!(threads.run(fair.turn(OWNER).await, id).await.unwrap(), first, "a thread is used again");
        let (go_on, gate) = std::sync::mpsc::channel::<()>();
        let long = tokio::spawn({
            let (threads, turn) = (threads.clone(), fair.turn(OWNER).await);
            async move {
                let work = move || {
                    let before = nice();
                    slow_down();
                    let _ = gate.recv();
                    (id(), before, nice())
                };
                threads.run(turn, work).await.unwrap()
            }
        });
        // There is one turn, and the long one has left it.
        let (other, niceness) = threads.run(fair.turn(OTHER).await, move || (id(), nice())).await.unwrap();
        go_on.send(()).unwrap();
        let (long, before, after) = long.await.unwrap();
        assert_eq!((before, after, niceness), (0, NICE, 0));
        assert_ne!(long, other);
        assert_ne!(threads.run(fair.turn(OWNER).await, id).await.unwrap(), long, "it is slow");
        // And so is what an owner has beside other work of his own, from the start.
        let first = fair.turn(OWNER).await;
        first.leave();
        let beside = threads.run(fair.turn(OWNER).await, move || (id(), nice())).await.unwrap();
        assert_eq!(beside, (long, NICE));
    }

    #[tokio::test]
    async fn slow_threads_are_slow_from_the_start_and_used_again() {
        let (threads, fair) = (Threads::new("test").slow(), fair(1));
        let work = || (std::thread::current().id(), nice());
        let first = threads.run(fair.turn(OWNER).await, work).await.unwrap();
        let second = threads.run(fair.turn(OTHER).await, work).await.unwrap();
        assert_eq!((first, first.1), (second, NICE));
    }

    #[tokio::test]
    async fn work_that_turns_out_to_be_long_leaves_few_threads_behind() {
        let (threads, fair) = (Threads::new("test"), fair(1));
        for _ in 0..50 {
            threads.run(fair.turn(OWNER).await, slow_down).await.unwrap();
        }
        let waiting = threads.idle();
        assert_eq!((waiting.prompt.len(), waiting.slowed.len()), (0, MOST_SLOWED));
    }

    #[tokio::test]
    async fn work_is_long_after_a_while_and_not_before() {
        let (threads, fair) = (Threads::new("test"), fair(1));
        let work = || {
            slow_down_if_long();
            let before = nice();
            std::thread::sleep(SHORT);
            slow_down_if_long();
            (before, nice())
        };
        assert_eq!(threads.run(fair.turn(OWNER).await, work).await.unwrap(), (0, NICE));
        // Here it is nobody's work.
        slow_down();
        assert_eq!(nice(), 0);
    }

    #[tokio::test]
    async fn long_work_leaves_its_turn_whatever_it_does() {
        let (threads, fair) = (Threads::new("test"), fair(1));
        let (go_on, gate) = std::sync::mpsc::channel::<()>();
        let long = tokio::spawn({
            let (threads, turn) = (threads.clone(), fair.turn(OWNER).await);
            async move { threads.run(turn, move || gate.recv()).await.unwrap() }
        });
        threads.run(fair.turn(OWNER).await, || ()).await.unwrap();
        go_on.send(()).unwrap();
        long.await.unwrap().unwrap();
        // And so does what nobody waits for.
        let (go_on, gate) = std::sync::mpsc::channel::<()>();
        let turn = fair.turn(OWNER).await;
        drop(tokio::time::timeout(Duration::ZERO, threads.run(turn, move || gate.recv())).await);
        threads.run(fair.turn(OWNER).await, || ()).await.unwrap();
        go_on.send(()).unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_told_and_the_turn_comes_back() {
        let (threads, fair) = (Threads::new("test"), fair(1));
        let panicked = threads.run(fair.turn(OWNER).await, || -> u8 { panic!("on {}", "purpose") }).await;
        assert!(matches!(panicked, Err(Undone::Panicked(words)) if words == "on purpose"));
        assert_eq!(threads.run(fair.turn(OWNER).await, || 1).await.unwrap(), 1);
    }
}
