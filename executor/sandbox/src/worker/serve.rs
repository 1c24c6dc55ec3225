//! The worker: one thread that hands modules to jobs, one after the other, and never looks at them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, waitpid};

use super::fork::{Forked, OneThread, close_inherited, fork};
use super::job::Job;
use super::protocol::{Ending, Kind, MOST_JSON, MOST_PART, Ready};
use super::{Setup, pipe};
use crate::precompile::Compiler;

/// Which process confines itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The worker: it will fork, and wait for what it forked. It has one thread.
    Worker,
    /// A job, just forked. It has one thread.
    Job,
}

/// Confines the process, or says why it may not go on; says in words what holds.
pub type Confine = dyn Fn(Stage) -> Result<String, Box<dyn std::error::Error + Send + Sync>>;

/// Why a worker ended other than by its server's wish.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What it was told makes no sense. (A worker is started by `rulebox serve`, not by hand.)
    #[error("not what a server says to its worker")]
    Protocol,
    /// It could not begin, and has said so.
    #[error("the worker cannot work")]
    Unable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The pipes failed.
    #[error("the pipes of the worker failed")]
    Pipe(#[from] io::Error),
}

/// How long a job has to end after its last word.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Serves one server, on standard input and output, until that closes them. The process is this one's alone: it has
/// one thread, and all other descriptors are closed.
///
/// # Errors
/// If the server does not keep to the protocol, or the process cannot be what a worker must be.
pub fn serve(confine: &Confine) -> Result<(), ServeError> {
    close_inherited()?;
    let (input, output) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    let Some((Kind::Setup, length @ ..=MOST_JSON)) = pipe::read_frame_head(input, None)? else {
        return Err(ServeError::Protocol);
    };
    let mut setup = vec![0; length];
    pipe::read_exact(input, &mut setup, None)?;
    let setup: Setup = serde_json::from_slice(&setup).map_err(|_| ServeError::Protocol)?;
    let mut worker = match Worker::new(setup, confine) {
        Ok((worker, ready)) => {
            let ready = serde_json::to_vec(&ready).map_err(io::Error::other)?;
            pipe::write_frame(output, Kind::Ready, &ready, None)?;
            worker
        }
        Err(error) => {
            let mut words = error.to_string();
            let mut source = error.source();
            while let Some(error) = source {
                words = format!("{words}: {error}");
                source = error.source();
            }
            pipe::write_frame(output, Kind::Unable, words.as_bytes(), None)?;
            return Err(ServeError::Unable(error));
        }
    };
    while let Some(head) = pipe::read_frame_head(input, None)? {
        let (Kind::Module, length) = head else { return Err(ServeError::Protocol) };
        let ending = worker.module(length, input, output)?;
        let ending = serde_json::to_vec(&ending).map_err(io::Error::other)?;
        pipe::write_frame(output, Kind::End, &ending, None)?;
    }
    Ok(())
}

struct Worker<'a> {
    setup: Setup,
    compiler: Compiler,
    confine: &'a Confine,
    one_thread: OneThread,
    base: u64,
    /// A module, and then part of what the job said. Wiped after each: the next job is a copy of this process.
    buffer: Vec<u8>,
}

impl<'a> Worker<'a> {
    fn new(setup: Setup, confine: &'a Confine) -> Result<(Self, Ready), Box<dyn std::error::Error + Send + Sync>> {
        let one_thread = OneThread::of_process()?;
        let compiler = Compiler::new(setup.sandbox.clone())?;
        warm(&compiler, &setup);
        let buffer = vec![0; setup.module.module_bytes.max(MOST_PART)];
        let base = address_space()?;
        let confinement = confine(Stage::Worker)?;
        let ready = Ready { compatibility: compiler.compatibility(), confinement };
        Ok((Self { setup, compiler, confine, one_thread, base, buffer }, ready))
    }

    /// Has one module compiled, and hands on what the job says.
    fn module(&mut self, length: usize, input: impl AsFd, output: impl AsFd) -> Result<Ending, ServeError> {
        let module = self.buffer.get_mut(..length).ok_or(ServeError::Protocol)?;
        pipe::read_exact(&input, module, None)?;
        let deadline = Instant::now() + self.setup.job.wall;
        let (job, says) = match self.start(length) {
            Ok(started) => started,
            Err(error) => {
                self.buffer.fill(0);
                return Ok(Ending::NotStarted(error.to_string()));
            }
        };
        self.buffer.fill(0);
        let heard = self.hear(&says, &input, &output, deadline);
        self.buffer.fill(0);
        let ending = match heard {
            Ok(None) => wait_for(job, deadline.min(Instant::now() + LAST_WORD))?,
            Ok(Some(ending)) => {
                kill(job)?;
                ending
            }
            Err(error) => {
                kill(job)?;
                return Err(error);
            }
        };
        Ok(ending)
    }

    /// Forks a job for the module in the buffer.
    fn start(&self, length: usize) -> io::Result<(Pid, OwnedFd)> {
        let (says, pipe) = pipe_with(PipeFlags::CLOEXEC)?;
        let job = Job {
            setup: &self.setup,
            compiler: &self.compiler,
            confine: self.confine,
            base: self.base,
            worker: getpid(),
        };
        match fork(&self.one_thread)? {
            Forked::Parent(number) => Ok((number, says)),
            Forked::Child => {
                drop(says);
                job.run(self.buffer.get(..length).unwrap_or_default(), pipe)
            }
        }
    }

    /// Hands on what a job says; `None` if it has nothing more to say, or why it is to be killed.
    fn hear(
        &mut self,
        says: &OwnedFd,
        input: impl AsFd,
        output: impl AsFd,
        deadline: Instant,
    ) -> Result<Option<Ending>, ServeError> {
        // Its first byte says what the others are.
        let mut left = self.setup.job.artifact_bytes.saturating_add(1);
        loop {
            // The server says nothing meanwhile. If it closes its pipe, nobody wants the module any more.
            let mut fds = [PollFd::new(says, PollFlags::IN), PollFd::new(&input, PollFlags::empty())];
            match pipe::wait(&mut fds, Some(deadline)) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(Some(Ending::WallClock)),
                done => done?,
            }
            let [job, server] = fds;
            if !server.revents().is_empty() {
                return Err(ServeError::Pipe(io::ErrorKind::BrokenPipe.into()));
            }
            if job.revents().is_empty() {
                continue;
            }
            let part = self.buffer.get_mut(..MOST_PART).unwrap_or_default();
            let read = match rustix::io::read(says, &mut *part) {
                Ok(0) => return Ok(None),
                Ok(read) => read,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(io::Error::from(error).into()),
            };
            let Some(less) = left.checked_sub(read) else { return Ok(Some(Ending::TooLong)) };
            left = less;
            pipe::write_frame(&output, Kind::Part, part.get(..read).unwrap_or_default(), None)?;
        }
    }
}

/// Compiles a module of nothing, so that what is made once is made before the first job, and not in every one.
fn warm(compiler: &Compiler, setup: &Setup) {
    if let Ok(module) = crate::selftest::frame::assemble("") {
        // Whether it is refused, by limits that are very tight, is no matter.
        let _ = compiler.compile(&module, &setup.module);
    }
}

/// Bytes of address space of this process.
fn address_space() -> io::Result<u64> {
    let sizes = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = sizes.split(' ').next().and_then(|pages| pages.parse().ok()).unwrap_or_default();
    Ok(pages.saturating_mul(rustix::param::page_size() as u64))
}

fn ended(status: WaitStatus) -> Ending {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, Some(signal)) => Ending::Signalled(signal),
        (None, None) => Ending::NotStarted("it neither exited nor died of a signal".to_owned()),
    }
}

/// Waits for a job that has closed its pipe, which is at its end.
fn wait_for(job: Pid, deadline: Instant) -> io::Result<Ending> {
    loop {
        if let Some((_, status)) = waitpid(Some(job), WaitOptions::NOHANG)? {
            return Ok(ended(status));
        }
        if Instant::now() >= deadline {
            kill(job)?;
            return Ok(Ending::WallClock);
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Kills a job and waits for its end. Its number is its own until then.
fn kill(job: Pid) -> io::Result<()> {
    kill_process(job, Signal::KILL)?;
    waitpid(Some(job), WaitOptions::empty())?;
    Ok(())
}
