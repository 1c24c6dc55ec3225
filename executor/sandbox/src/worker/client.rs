//! The server's side of a worker.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::protocol::{
    EXIT_DONE, EXIT_NO_MEMORY, EXIT_PANICKED, Ending, Kind, MOST_JSON, MOST_PART, Ready, SAYS_CODE, SAYS_REFUSAL,
};
use super::{CompileFailure, Killed, Setup, WorkerError, pipe};
use crate::engine::Sandbox;
use crate::module::{Digest, Module};
use crate::outcome::{Refusal, ViolationKind};
use crate::precompile::Artifact;

/// How long a worker has for what is no compiling: to start, to take a module, to say how it ended.
const GRACE: Duration = Duration::from_secs(15);
/// How long a worker has to end when its pipes are closed.
const END: Duration = Duration::from_secs(2);
/// All of a worker's environment. By default the program's allocator takes a GiB of address space before it needs it: a
/// job would have that much, whatever its limit.
const ENVIRONMENT: (&str, &str) = ("MIMALLOC_ARENA_RESERVE", "0");
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
    /// If the module is refused or met a limit; or if the worker is lost, which says nothing of the module. Then drop it.
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
        Ok(sandbox.adopt(Digest::of(module), &artifact).map_err(|error| WorkerError::Load(error.into()))?)
    }

    /// Sends a module; gives what the job said, and how it ended.
    fn ask(&mut self, module: &[u8]) -> Result<(Vec<u8>, Ending), WorkerError> {
        let most = self.setup.job.artifact_bytes.saturating_add(1);
        let deadline = Some(Instant::now() + self.setup.job.wall + GRACE);
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
            Ending::Signalled(signal) => of_signal(signal).ok_or_else(|| lost(ending))?,
            Ending::WallClock => Killed::WallClock,
            Ending::TooLong => Killed::Output,
            Ending::Exited(_) | Ending::NotStarted(_) => return Err(lost(ending).into()),
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
            let Refusal { kind, detail } = refusal.ok_or(WorkerError::Protocol("a job refuses in no known way"))?;
            if !kind.is_at_upload() {
                return Err(WorkerError::Protocol("a job refuses for no known reason").into());
            }
            Err(CompileFailure::Refused { refusal: Refusal { kind, detail: plain(&detail) }, killed: None })
        }
        _ => Err(WorkerError::Protocol("a job says nothing").into()),
    }
}

/// The limit that a signal stands for; `None` if it is somebody's doing.
fn of_signal(signal: i32) -> Option<Killed> {
    match signal {
        libc::SIGXCPU => Some(Killed::CpuTime),
        // Of a program in Rust: it was refused memory, or its stack ran into its end.
        libc::SIGABRT => Some(Killed::Memory),
        libc::SIGSYS => Some(Killed::SystemCall),
        libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP => Some(Killed::Crash),
        _ => None,
    }
}

fn lost(ending: &Ending) -> WorkerError {
    WorkerError::Job(match ending {
        Ending::Exited(code) => format!("it exited with {code}"),
        Ending::Signalled(signal) => format!("it died of signal {signal}"),
        Ending::NotStarted(reason) => format!("it did not begin: {}", plain(reason)),
        Ending::WallClock | Ending::TooLong => "it was killed".to_owned(),
    })
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
        assert_eq!(of_signal(libc::SIGXCPU), Some(Killed::CpuTime));
        assert_eq!(of_signal(libc::SIGABRT), Some(Killed::Memory));
        assert_eq!(of_signal(libc::SIGSYS), Some(Killed::SystemCall));
        assert_eq!(of_signal(libc::SIGSEGV), Some(Killed::Crash));
        assert_eq!(of_signal(libc::SIGKILL), None, "of somebody, and not of a limit");
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
            assert!(matches!(code(nonsense), Err(CompileFailure::Lost(WorkerError::Protocol(_)))));
        }
        assert!(matches!(code(vec![SAYS_CODE, 1, 2]), Ok(Artifact(code)) if code == [1, 2]));
    }
}
