//! Compiled code in a directory: a file for each module, within so many bytes.
//!
//! The directory is this user's alone. Files come whole, by a new name, and are never reached over a symbolic link.
//! Several processes may share one: what is in it is looked up each time, and remembered by nobody.

use std::fs::{DirBuilder, Metadata, OpenOptions, read_dir, remove_file, symlink_metadata};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::domain::compiled_code::{CodeStore, CodeStoreError};

/// Bytes of the longest file. Code of a module that may be compiled is rarely longer than 2 MiB.
const LONGEST: u64 = 16 << 20;
/// Files in the directory, however small: it is read whole when one is added.
const FILES: usize = 10_000;
/// What the names of files begin with that are being written.
const PART: &str = ".part-";
/// A file that has been being written for so long was left by a process that is gone.
const LEFT: Duration = Duration::from_hours(1);
/// Characters of a name, and of the digest that it begins with.
const NAME: usize = DIGEST + 1 + 32;
const DIGEST: usize = 64;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It can be neither found nor made.
    #[error(
        "cannot use RULEBOX_CODE_CACHE__DIRECTORY, {}: {source}; name a directory that this user may make or write to",
        path.display()
    )]
    System {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is something else.
    #[error(
        "RULEBOX_CODE_CACHE__DIRECTORY, {}, is a symbolic link or no directory: name the directory itself",
        path.display()
    )]
    NotOne {
        /// The path.
        path: PathBuf,
    },
    /// Others may change what is in it.
    #[error(
        "RULEBOX_CODE_CACHE__DIRECTORY, {}, belongs to somebody else or is open to others: it holds machine code that \
         this service runs; name another one, or `chown` it to this user and `chmod 700` it",
        path.display()
    )]
    Open {
        /// The directory.
        path: PathBuf,
    },
}

/// A directory of compiled code.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Of all files together.
    bytes: u64,
    /// One of this process makes room at a time.
    making_room: Mutex<()>,
}

/// A file that is there.
struct Found {
    path: PathBuf,
    used: SystemTime,
    bytes: u64,
}

impl Directory {
    /// A directory whose files have at most so many bytes together. Makes it, if it is not there.
    ///
    /// # Errors
    /// If it cannot be made, or others may write to it.
    pub fn open(path: &Path, bytes: u64) -> Result<Self, DirectoryError> {
        let failed = |source| DirectoryError::System { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        // Of the path itself, and not of what a link leads to.
        let there = symlink_metadata(path).map_err(failed)?;
        if !there.is_dir() {
            return Err(DirectoryError::NotOne { path: path.to_owned() });
        }
        if there.uid() != rustix::process::geteuid().as_raw() || there.mode() & 0o077 != 0 {
            return Err(DirectoryError::Open { path: path.to_owned() });
        }
        let directory = Self { path: path.to_owned(), bytes, making_room: Mutex::default() };
        // The bound may be less than it was.
        directory.make_room(0).map_err(failed)?;
        Ok(directory)
    }

    /// The path of an entry; none if this is no name of one.
    fn entry(&self, name: &str) -> Option<PathBuf> {
        is_name(name).then(|| self.path.join(name))
    }

    fn read(&self, name: &str) -> std::io::Result<Option<Vec<u8>>> {
        let Some(path) = self.entry(name) else { return Ok(None) };
        let mut options = OpenOptions::new();
        // Neither does a link lead elsewhere, nor does a pipe keep whoever opens it waiting.
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = match options.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            // A link: not of ours.
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Ok(None),
            Err(error) => return Err(error),
        };
        let there = file.metadata()?;
        if !there.is_file() || there.len() > LONGEST {
            return Ok(None);
        }
        let mut entry = Vec::with_capacity(usize::try_from(there.len()).unwrap_or(0));
        // It may have grown meanwhile.
        (&file).take(LONGEST + 1).read_to_end(&mut entry)?;
        // The time of the last use, which a file system need not keep by itself. If it fails, it goes a little sooner.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(entry))
    }

    fn write(&self, path: &Path, entry: &[u8]) -> std::io::Result<()> {
        // Readable by this user alone, under a name that nothing has; gone with it if this fails.
        let mut part = tempfile::Builder::new().prefix(PART).tempfile_in(&self.path)?;
        part.write_all(entry)?;
        // A name that survives the loss of power without its bytes would look like a forgery.
        part.as_file().sync_all()?;
        // Replaces a link, and does not follow it.
        part.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Deletes what was not used for the longest, until there is room for so many bytes more.
    fn make_room(&self, bytes: u64) -> std::io::Result<()> {
        let now = SystemTime::now();
        let mut found = Vec::new();
        for entry in read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            // Other files are somebody else's, and left alone.
            let Some(name) = name.to_str() else { continue };
            let is_part = name.starts_with(PART);
            if !is_part && !is_name(name) {
                continue;
            }
            // Of a link itself. Another process may have deleted it.
            let Ok(there) = entry.metadata() else { continue };
            let used = modified(&there);
            if is_part && now.duration_since(used).is_ok_and(|age| age > LEFT) {
                gone(remove_file(entry.path()))?;
                continue;
            }
            if !is_part && !there.is_dir() {
                found.push(Found { path: entry.path(), used, bytes: there.len() });
            }
        }
        found.sort_unstable_by_key(|file| file.used);
        let mut total = found.iter().fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
        let mut files = found.len();
        for file in found {
            if total.saturating_add(bytes) <= self.bytes && files < FILES {
                break;
            }
            gone(remove_file(&file.path))?;
            total = total.saturating_sub(file.bytes);
            files -= 1;
        }
        Ok(())
    }
}

/// Whether a file may have this name: hexadecimal digits and one `-`, as a sealer makes them.
fn is_name(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let fits = |(at, byte): (usize, u8)| if at == DIGEST { byte == b'-' } else { is_digit(byte) };
    name.len() == NAME && name.bytes().enumerate().all(fits)
}

/// One without a time is the oldest.
fn modified(there: &Metadata) -> SystemTime {
    there.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Deleting what somebody else has deleted is no failure.
fn gone(deleted: std::io::Result<()>) -> std::io::Result<()> {
    match deleted {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl CodeStore for Directory {
    fn tier(&self) -> &'static str {
        "disk"
    }

    fn longest(&self) -> usize {
        usize::try_from(LONGEST.min(self.bytes)).unwrap_or(usize::MAX)
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, CodeStoreError> {
        Ok(self.read(name)?)
    }

    fn put(&self, name: &str, entry: &[u8]) -> Result<(), CodeStoreError> {
        let Some(path) = self.entry(name) else { return Ok(()) };
        // Nobody takes the room before the file is there.
        let _one = self.making_room.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_room(entry.len() as u64)?;
        Ok(self.write(&path, entry)?)
    }

    fn remove(&self, name: &str) -> Result<(), CodeStoreError> {
        let Some(path) = self.entry(name) else { return Ok(()) };
        Ok(gone(remove_file(path))?)
    }
}

#[cfg(test)]
mod tests;
