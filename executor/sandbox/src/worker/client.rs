//! The server's side of a worker.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::protocol::{
    EXIT_DONE, EXIT_NO_MEMORY, EXIT_PANICKED, Ending, Kind, MOST_JSON, MOST_PART, Ready, SAYS_CODE, SAYS_REFUSAL,
};
use super::{CompileFailure, Killed, Setup, WorkerError, pipe, signal_name};
use crate::engine::Sandbox;
use crate::module::{Digest, Module};
use crate::outcome::{Refusal, ViolationKind};
use crate::precompile::Artifact;

/// How long a worker has for what is no compiling: to start, to take a module, to say how it ended.
pub(super) const GRACE: Duration = Duration::from_secs(15);
/// How long a worker has to end when its pipes are closed.
const END: Duration = Duration::from_secs(2);
/// All of a worker's environment. By default the program's allocator takes a GiB of address space before it needs it: a
/// job would have that much, whatever its limit.
const ENVIRONMENT: (&str, &str) = ("MIMALLOC_ARENA_RESERVE", "0");
/// Bytes of what a job says before it aborts.
const LAST_WORDS: usize = 1 << 10;
/// Characters of a refusal's text.
const MOST_DETAIL: usize = 1_000;

/// A worker process. It ends with this.
pub struct Worker {
    child: Child,
    /// Gone when it is to end.
    pipes: Option<(ChildStdin, ChildStdout)>,
    setup: Setup,
    compatibility: u64,
    confinement: String,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("process", &self.child.id()).finish_non_exhaustive()
    }
}

impl Worker {
    /// Starts a worker: `command` is this program, with the arguments that make it call [`super::serve`]. It gets nothing
    /// of the environment, and no descriptors but its pipes.
    ///
    /// # Errors
    /// If it cannot be started, or cannot work.
    pub fn start(mut command: Command, setup: Setup) -> Result<Self, WorkerError> {
        let mut child = command
            .env_clear()
            .env(ENVIRONMENT.0, ENVIRONMENT.1)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A job that is no longer ours is not to write into our log.
            .stderr(Stdio::null())
            .spawn()
            .map_err(WorkerError::Start)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let mut worker = Self { child, pipes, setup, compatibility: 0, confinement: String::new() };
        worker.set_up()?;
        Ok(worker)
    }

    fn set_up(&mut self) -> Result<(), WorkerError> {
        let (input, output) = self.pipes()?;
        for end in [input.as_fd(), output.as_fd()] {
            rustix::io::ioctl_fionbio(end, true).map_err(|error| WorkerError::Start(error.into()))?;
        }
        let deadline = Some(Instant::now() + GRACE);
        let setup = serde_json::to_vec(&self.setup).map_err(|error| WorkerError::Start(error.into()))?;
        pipe::write_frame(input, Kind::Setup, &setup, deadline).map_err(WorkerError::Gone)?;
        let (kind, said) = frame(output, MOST_JSON, deadline)?;
        match kind {
            Kind::Ready => {
                let ready: Ready =
                    serde_json::from_slice(&said).map_err(|_| WorkerError::Protocol("it is ready in no known way"))?;
                self.compatibility = ready.compatibility;
                self.confinement = ready.confinement;
                Ok(())
            }
            Kind::Unable => Err(WorkerError::Refused(plain(&String::from_utf8_lossy(&said)))),
            _ => Err(WorkerError::Protocol("it does not say that it is ready")),
        }
    }

    /// What it has given up, in words.
    pub fn confinement(&self) -> &str {
        &self.confinement
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Whether its process is there.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Has a module checked and compiled, and loads it.
    ///
    /// Takes the time that the limits of the setup allow: not for async threads.
    ///
    /// # Errors
    /// If the module is refused or met a limit; or if the job or the worker is lost, which says nothing of the module. A
    /// worker that is lost is to be dropped.
    pub fn compile(&mut self, sandbox: &Sandbox, module: &[u8]) -> Result<Module, CompileFailure> {
        if self.compatibility != sandbox.compatibility() {
            return Err(WorkerError::Incompatible.into());
        }
        let most = self.setup.module.module_bytes;
        if module.len() > most {
            let detail = format!("the module has {} bytes, and may have {most}", module.len());
            let refusal = Refusal { kind: ViolationKind::ModuleTooLarge, detail };
            return Err(CompileFailure::Refused { refusal, killed: None });
        }
        let (said, ending) = self.ask(module)?;
        let artifact = self.judge(said, &ending)?;
        let adopted = sandbox.adopt(Digest::of(module), &artifact);
        adopted.map_err(|error| CompileFailure::JobLost(WorkerError::Load(error.into())))
    }

    /// Sends a module; gives what the job said, and how it ended.
    fn ask(&mut self, module: &[u8]) -> Result<(Vec<u8>, Ending), WorkerError> {
        let most = self.setup.job.artifact_bytes.saturating_add(1);
        let deadline = Some(Instant::now() + self.setup.job.longest());
        let (input, output) = self.pipes()?;
        pipe::write_frame(input, Kind::Module, module, deadline).map_err(WorkerError::Gone)?;
        let mut said = Vec::new();
        loop {
            match frame(output, MOST_PART.max(MOST_JSON), deadline)? {
                (Kind::Part, part) if part.len() <= most.saturating_sub(said.len()) => said.extend_from_slice(&part),
                (Kind::Part, _) => return Err(WorkerError::Protocol("it says more than it may")),
                (Kind::End, ending) => {
                    let ending = serde_json::from_slice(&ending);
                    return Ok((said, ending.map_err(|_| WorkerError::Protocol("a job ended in no known way"))?));
                }
                _ => return Err(WorkerError::Protocol("it answers with something else")),
            }
        }
    }

    fn judge(&self, said: Vec<u8>, ending: &Ending) -> Result<Artifact, CompileFailure> {
        let killed = match *ending {
            Ending::Exited(EXIT_DONE) => return code(said),
            Ending::Exited(EXIT_NO_MEMORY) => Killed::Memory,
            Ending::Exited(EXIT_PANICKED) => Killed::Crash,
            Ending::Signalled(signal) => of_signal(signal, &said),
            Ending::WallClock => Killed::WallClock,
            Ending::TooLong => Killed::Output,
            Ending::Exited(_) | Ending::NotStarted(_) => return Err(lost(ending)),
        };
        let refusal = Refusal { kind: ViolationKind::CompileKilled, detail: killed.explanation(&self.setup.job) };
        Err(CompileFailure::Refused { refusal, killed: Some(killed) })
    }

    fn pipes(&self) -> Result<(&ChildStdin, &ChildStdout), WorkerError> {
        let gone = || WorkerError::Gone(io::ErrorKind::NotConnected.into());
        self.pipes.as_ref().map(|(input, output)| (input, output)).ok_or_else(gone)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.pipes.take());
        // A confined process may not kill. A worker ends by itself when its pipes are closed.
        if self.child.kill().is_ok() {
            let _ = self.child.wait();
            return;
        }
        let deadline = Instant::now() + END;
        while self.is_alive() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Reads a frame of at most so many bytes.
fn frame(from: impl AsFd, most: usize, deadline: Option<Instant>) -> Result<(Kind, Vec<u8>), WorkerError> {
    let head = pipe::read_frame_head(&from, deadline).map_err(WorkerError::Gone)?;
    let (kind, length) = head.ok_or_else(|| WorkerError::Gone(io::ErrorKind::UnexpectedEof.into()))?;
    if length > most {
        return Err(WorkerError::Protocol("a frame is too long"));
    }
    let mut bytes = vec![0; length];
    pipe::read_exact(&from, &mut bytes, deadline).map_err(WorkerError::Gone)?;
    Ok((kind, bytes))
}

/// What a job said that ended well.
fn code(mut said: Vec<u8>) -> Result<Artifact, CompileFailure> {
    match said.first() {
        Some(&SAYS_CODE) => {
            said.remove(0);
            Ok(Artifact(said))
        }
        Some(&SAYS_REFUSAL) => {
            let refusal = said.get(1..).and_then(|json| serde_json::from_slice::<Refusal>(json).ok());
            let refusal = refusal.filter(|refusal| refusal.kind.is_at_upload());
            let Refusal { kind, detail } = refusal.ok_or_else(|| job_lost("it refuses in no known way"))?;
            Err(CompileFailure::Refused { refusal: Refusal { kind, detail: plain(&detail) }, killed: None })
        }
        _ => Err(job_lost("it says nothing")),
    }
}

/// What a signal stands for, of a job that has said this.
fn of_signal(signal: i32, said: &[u8]) -> Killed {
    match signal {
        libc::SIGXCPU => Killed::CpuTime,
        libc::SIGSYS => Killed::SystemCall,
        // Whatever else a program in Rust aborts for.
        libc::SIGABRT if lacked_memory(said) => Killed::Memory,
        _ => Killed::Signal(signal),
    }
}

/// Whether these are the last words of a program in Rust that was refused memory.
fn lacked_memory(said: &[u8]) -> bool {
    let words = said.get(said.len().saturating_sub(LAST_WORDS)..).unwrap_or_default();
    let words = String::from_utf8_lossy(words);
    words.split("memory allocation of ").skip(1).any(|rest| rest.contains("bytes failed"))
}

fn lost(ending: &Ending) -> CompileFailure {
    job_lost(match ending {
        Ending::Exited(code) => format!("it exited with {code}"),
        Ending::Signalled(signal) => format!("it died of {}", signal_name(*signal)),
        Ending::NotStarted(reason) => format!("it did not begin: {}", plain(reason)),
        Ending::WallClock | Ending::TooLong => "it was killed".to_owned(),
    })
}

fn job_lost(why: impl Into<String>) -> CompileFailure {
    CompileFailure::JobLost(WorkerError::Job(why.into()))
}

/// Text of a process that has seen a module, fit for messages and logs.
fn plain(text: &str) -> String {
    text.chars().filter(|c| *c == ' ' || c.is_ascii_graphic()).take(MOST_DETAIL).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_told_apart() {
        assert_eq!(of_signal(libc::SIGXCPU, b""), Killed::CpuTime);
        assert_eq!(of_signal(libc::SIGSYS, b""), Killed::SystemCall);
        let last = [&[b'x'; 5_000][..], b"\nmemory allocation of 81920 bytes failed\n"].concat();
        assert_eq!(of_signal(libc::SIGABRT, &last), Killed::Memory);
        assert_eq!(of_signal(libc::SIGSEGV, &last), Killed::Signal(libc::SIGSEGV));
        let stack = b"thread 'main' has overflowed its stack";
        assert_eq!(of_signal(libc::SIGABRT, stack), Killed::Signal(libc::SIGABRT));
        assert_eq!(of_signal(libc::SIGKILL, b""), Killed::Signal(libc::SIGKILL), "of somebody, and not of a limit");
    }

    #[test]
    fn only_limits_are_remembered() {
        let others = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGABRT, libc::SIGKILL].map(Killed::Signal);
        assert!(others.into_iter().chain([Killed::Crash, Killed::SystemCall]).all(|killed| !killed.is_lasting()));
        assert!([Killed::CpuTime, Killed::Memory, Killed::Output].into_iter().all(Killed::is_lasting));
        let said = Killed::Signal(libc::SIGABRT).explanation(&crate::worker::JobLimits::default());
        assert!(said.contains("SIGABRT") && !said.contains("memory"), "{said}");
    }

    #[test]
    fn what_a_job_says_is_believed_as_far_as_it_goes() {
        let refusal = |kind, detail: &str| {
            let refusal = Refusal { kind, detail: detail.to_owned() };
            [&[SAYS_REFUSAL], serde_json::to_vec(&refusal).unwrap().as_slice()].concat()
        };
        let said = refusal(ViolationKind::ModuleInvalid, "no\u{1b}[31m \u{202e}export");
        match code(said) {
            Err(CompileFailure::Refused { refusal, killed: None }) => assert_eq!(refusal.detail, "no[31m export"),
            _ => panic!("not a refusal"),
        }
        for nonsense in [Vec::new(), vec![7], vec![SAYS_REFUSAL, b'{'], refusal(ViolationKind::Trap, "of runs")] {
            assert!(matches!(code(nonsense), Err(CompileFailure::JobLost(WorkerError::Job(_)))));
        }
        assert!(matches!(code(vec![SAYS_CODE, 1, 2]), Ok(Artifact(code)) if code == [1, 2]));
    }
}
