//! Copies of a process that has one thread.

use std::io;

use rustix::process::Pid;

/// Proof that the process has one thread.
pub(super) struct OneThread(());

/// Which of the two a process is.
pub(super) enum Forked {
    /// The process that was, and the number of the other.
    Parent(Pid),
    /// The copy.
    Child,
}

impl OneThread {
    /// Counts the threads of the process. INVARIANT: who has this starts none.
    pub(super) fn of_process() -> io::Result<Self> {
        match std::fs::read_dir("/proc/self/task")?.count() {
            1 => Ok(Self(())),
            threads => Err(io::Error::other(format!("the process has {threads} threads where it must have one"))),
        }
    }
}

/// Closes all descriptors but the three that every process has: whoever started the one that started this may have left
/// some open, and they are not ours to have.
pub(super) fn close_inherited() -> io::Result<()> {
    let open = std::fs::read_dir("/proc/self/fd")?;
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok()).collect::<Vec<_>>();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: the process has just begun, and nothing in it owns a descriptor yet. (That of the directory is
        // closed already, which is an error without a consequence.)
        #[expect(unsafe_code, reason = "nobody owns what is closed")]
        unsafe {
            libc::close(number);
        }
    }
    Ok(())
}

/// Makes a copy of the process.
pub(super) fn fork(_proof: &OneThread) -> io::Result<Forked> {
    // SAFETY: there is no other thread, so no lock is held that nobody would ever release in the copy, and no memory
    // is in the middle of a change.
    #[expect(unsafe_code, reason = "no safe function makes a copy of a process")]
    let number = unsafe { libc::fork() };
    match number {
        0 => Ok(Forked::Child),
        1.. => Pid::from_raw(number).map(Forked::Parent).ok_or_else(|| io::ErrorKind::InvalidData.into()),
        _ => Err(io::Error::last_os_error()),
    }
}
