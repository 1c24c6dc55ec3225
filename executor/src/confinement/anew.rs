//! What a process was given by who started it: variables with other programs' secrets in them, files that were left open.
//! Removing them from a process that has begun leaves copies in its memory; so it begins anew without them.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{env, fs, io};

use rulebox_sandbox::worker::close_on_exec;

/// This program, as the kernel knows it: also when its file has been replaced.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// Set when the process has begun anew: once is enough.
const BEGUN_ANEW: &str = "_RULEBOX_BEGUN_ANEW";
/// Variables without a secret that other parts of the program may look at.
const KEPT: [&str; 7] = [BEGUN_ANEW, "RUST_BACKTRACE", "RUST_LOG", "TZ", "TERM", "NO_COLOR", "LANG"];
/// Settings, which have been checked for secrets.
const SETTINGS: &str = "RULEBOX_";

/// The process could not begin anew.
#[derive(Debug, thiserror::Error)]
pub enum AnewError {
    /// As the system says.
    #[error("the process cannot begin anew without what it was given (is /proc mounted?)")]
    System(#[from] io::Error),
    /// It has, and it did not help.
    #[error(
        "the process still has open files or variables that are not its own after it has begun anew: {0}; start it \
         without them, and without {BEGUN_ANEW}"
    )]
    Stays(String),
}

/// Begins the process anew, with the same number and arguments, if it was given more than its settings and the first
/// three descriptors. To be called before anything is opened.
///
/// # Errors
/// If the system does not let it. Else it returns in a process that has nothing else.
pub fn begin_anew() -> Result<(), AnewError> {
    let (kept, foreign): (Vec<_>, Vec<_>) = env::vars_os().partition(|(name, _)| is_kept(name));
    let left = left_open()?;
    if foreign.is_empty() && left.is_empty() {
        return Ok(());
    }
    if env::var_os(BEGUN_ANEW).is_some() {
        let names = foreign.iter().map(|(name, _)| name.to_string_lossy().into_owned());
        return Err(AnewError::Stays(names.chain(left).collect::<Vec<_>>().join(", ")));
    }
    close_on_exec()?;
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_else(|| OsString::from("rulebox"));
    let mut program = Command::new(THIS_PROGRAM);
    program.arg0(name).args(arguments).env_clear().envs(kept).env(BEGUN_ANEW, "1");
    Err(program.exec().into())
}

fn is_kept(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(SETTINGS) || KEPT.contains(&name))
}

/// What is open beside the first three, as the system shows it.
fn left_open() -> io::Result<Vec<String>> {
    let shown = fs::read_dir("/proc/self/fd")?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let is_beyond = |path: &std::path::PathBuf| {
        path.file_name()
            .and_then(OsStr::to_str)
            .and_then(|name| name.parse().ok())
            .is_some_and(|number: i32| number > 2)
    };
    // The look itself is over, and what it had open with it.
    Ok(shown
        .iter()
        .filter(|path| is_beyond(path))
        .filter_map(|path| fs::read_link(path).ok())
        .map(|target| target.display().to_string())
        .collect())
}
