//! The wall clock of one process, set as a test wants it, by `libfaketime`. What measures how long things take goes on.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A clock for a process.
#[derive(Debug)]
pub struct Clock(TempDir);

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// One that is right.
    pub fn new() -> Self {
        let clock = Self(tempfile::tempdir().unwrap());
        clock.set(0);
        clock
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("offset")
    }

    /// Sets it so many seconds ahead of the right time, or back if it is negative.
    pub fn set(&self, seconds: i64) {
        // In one step: the process may be reading.
        let next = self.0.path().join("next");
        std::fs::write(&next, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(next, self.file()).unwrap();
    }

    /// The environment of a process that goes by it.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let settings = [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ];
        settings.to_vec()
    }
}

/// Where Debian has it, for this machine's architecture if there are several; and others.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders.chain(["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from)).collect();
    let is_ours = |path: &Path| path.to_string_lossy().contains(std::env::consts::ARCH);
    folders.sort_by_key(|path| !is_ours(path));
    let found = folders.iter().map(|path| path.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file());
    found.expect("libfaketime is missing: `./tests/run` installs it")
}
