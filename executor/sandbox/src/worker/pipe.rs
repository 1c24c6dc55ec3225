//! Reading and writing pipes with a deadline: the other side may be slow, stopped or gone.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::protocol::{HEAD, Kind, head, read_head};

/// Waits until one of these may be read or written, or is closed.
pub(super) fn wait(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<()> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let left = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        match poll(fds, left.as_ref()) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes all of it. The descriptor does not block, if there is a deadline.
pub(super) fn write_all(to: impl AsFd, mut bytes: &[u8], deadline: Option<Instant>) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&to, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(&mut [PollFd::new(&to, PollFlags::OUT)], deadline)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads so many bytes. The descriptor does not block, if there is a deadline.
pub(super) fn read_exact(from: impl AsFd, mut into: &mut [u8], deadline: Option<Instant>) -> io::Result<()> {
    while !into.is_empty() {
        match rustix::io::read(&from, &mut *into) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => into = into.get_mut(read..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(&mut [PollFd::new(&from, PollFlags::IN)], deadline)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes a frame.
pub(super) fn write_frame(to: impl AsFd, kind: Kind, bytes: &[u8], deadline: Option<Instant>) -> io::Result<()> {
    let head = head(kind, bytes.len()).ok_or(io::ErrorKind::InvalidInput)?;
    write_all(&to, &head, deadline)?;
    write_all(&to, bytes, deadline)
}

/// Reads the head of a frame; `None` if the other side is gone, and had nothing more to say.
pub(super) fn read_frame_head(from: impl AsFd, deadline: Option<Instant>) -> io::Result<Option<(Kind, usize)>> {
    let mut head = [0; HEAD];
    let (first, rest) = head.split_at_mut(1);
    match read_exact(&from, first, deadline) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        done => done?,
    }
    read_exact(&from, rest, deadline)?;
    read_head(head).map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
