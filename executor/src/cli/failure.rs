//! Why a command did not do what it was asked, and the exit code of it.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::process::ExitCode;

use rulebox_dsl::calendar::UnknownZone;
use rulebox_sandbox::worker::ServeError;
use rulebox_sandbox::{Refusal, RunError, SandboxError, Violation};

use super::csv::DataError;
use super::params::ParamError;
use crate::app::StartError;
use crate::config::ConfigError;
use crate::confinement::AnewError;
use crate::demo::DemoError;
use crate::store::StoreError;
use crate::telemetry::logs::LogError;
use crate::telemetry::traces::TraceError;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// A rule does not compile, a test fails, a limit does not hold: everything has been said.
    #[error("told before")]
    Told,
    /// Arguments that do not go together.
    #[error("{0}")]
    Usage(String),
    /// A file that cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// Its name.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file that cannot be written.
    #[error("cannot write {file}; it is as it was")]
    Save {
        /// Its name.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// Bars that cannot be read.
    #[error("{file}: {source}")]
    Data {
        /// Its name.
        file: String,
        /// What is wrong with it.
        source: DataError,
    },
    /// A `--param` that the rule does not take.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// Standard output.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// An executor that keeps what it was given.
    #[error(transparent)]
    Anew(#[from] AnewError),
    /// Settings that cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A log filter that cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Traces that cannot be sent.
    #[error(transparent)]
    Traces(#[from] TraceError),
    /// The service did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The store says no, or fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The demonstration ended early.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The system refused a thread, a signal or a socket.
    #[error("the service cannot run")]
    Runtime(#[source] io::Error),
    /// A zone that the program does not know: the compiler let none pass.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
    /// The engine did not start.
    #[error("the sandbox does not start")]
    Sandbox(#[from] SandboxError),
    /// A compile worker ended other than by its server's wish.
    #[error("the compile worker ends (it is started by `rulebox serve`, and not by hand)")]
    Worker(#[from] ServeError),
    /// The module of a rule was not loaded.
    #[error("the rule's module was refused")]
    Refused(#[from] Refusal),
    /// The run of a module was stopped.
    #[error("the run was stopped: {violation}{advice}")]
    ModuleStopped {
        /// For what.
        violation: Box<Violation>,
        /// What its author can do, if there is more to say.
        advice: &'static str,
    },
    /// A file that is longer than anything it could be.
    #[error("{file} has more than {most} bytes, and no rule has as many")]
    TooLong {
        /// Its name.
        file: String,
        /// The most.
        most: u64,
    },
    /// The run was stopped.
    #[error("the run was stopped")]
    Run(#[from] RunError),
}

impl Failure {
    /// Says what went wrong, on standard error.
    pub(super) fn report(&self) -> ExitCode {
        match self {
            Self::Told => return ExitCode::from(1),
            // Whoever reads has seen enough: `rulebox run ... | head`.
            Self::Output(error) | Self::Demo(DemoError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            other => eprintln!("error: {}", with_sources(other)),
        }
        ExitCode::from(match self {
            Self::Refused(_) | Self::Run(_) | Self::ModuleStopped { .. } | Self::TooLong { .. } => 1,
            _ => 2,
        })
    }
}

/// An error and everything that caused it, in one line; a cause that the text has quoted already is not said twice.
pub(super) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
