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
    for number in open_descriptors()? {
        // SAFETY: the process has just begun, and nothing in it owns a descriptor yet. (That of the directory is
        // closed already, which is an error without a consequence.)
        #[expect(unsafe_code, reason = "nobody owns what is closed")]
        unsafe {
            libc::close(number);
        }
    }
    Ok(())
}

/// Has all descriptors but the first three end with this program, whoever left them open: the next one that the process
/// runs does not have them.
///
/// # Errors
/// If the system does not say what is open, or does not let it be changed.
pub fn close_on_exec() -> io::Result<()> {
    for number in open_descriptors()? {
        // SAFETY: the flag changes nothing for who uses the descriptor in this program. (That of the directory is
        // closed already, which is an error without a consequence.)
        #[expect(unsafe_code, reason = "no safe function takes a number")]
        unsafe {
            libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
    Ok(())
}

/// The numbers of what is open beside the first three, and one more for the look itself.
fn open_descriptors() -> io::Result<Vec<i32>> {
    let open = std::fs::read_dir("/proc/self/fd")?;
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    Ok(numbers.filter(|number| *number > 2).collect())
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
