//! How many files a process may have open: a connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than any setting asks for by default. Where no limit is set, the system's own is in the thousands of millions.
const ENOUGH: u64 = 1 << 20;

/// Takes as many as the process may take: a shell and most systems start programs with 1,024, for the sake of those
/// that use `select`, and leave it to the others to ask for more.
pub(super) fn take_more() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        tracing::warn!(%error, wanted, "the process may not have more files open");
    }
}
