//! What is deployed beside the chart: scripts, settings, images, workflows, configurations of data stores, backups. Each
//! is judged by the program that reads it, or really started; and each judge is shown to find what is wrong in a copy.
//!
//! What takes minutes or asks for more of the machine is tried with `TESTS_FULL=1` alone, and the others say so.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod compose;
mod crates;
mod drills;
mod gateway;
mod images;
mod load;
mod migrations;
mod monitoring;
mod poolers;
mod postgres;
mod recovery;
mod redis;
mod rollout;
mod scripts;
mod settings;
mod watchers;
mod watching;
mod workflows;

use std::fs;
use std::path::{Path, PathBuf};

use rulebox_tests::root;
use serde_json::Value;

/// Whether what is long is tried too. If not, it says what is left out.
fn full(what: &str) -> bool {
    let full = std::env::var_os("TESTS_FULL").is_some();
    if !full {
        println!("not tried: {what}; `./tests/run --full` does");
    }
    full
}

/// A file of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a text of YAML says.
fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// The text with one thing changed, which must be there.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "there is no {from:?} to change");
    text.replacen(from, to, 1)
}

/// The files of the repository under a folder, without what is built or made on this machine.
fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let made = ["target", ".git", "node_modules", "secrets"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && !path.is_symlink() && !made {
            files.extend(files_under(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A path as the repository has it.
fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
