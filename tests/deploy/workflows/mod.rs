//! Workflows and what they run: read by the programs that know what goes wrong in them, held to what a pipeline must
//! never do, and their jobs run here, step by step, as the YAML has them.

mod canary;
mod cluster;
mod expressions;
mod job;
mod linters;
mod order;
mod real;
mod release;
mod rescan;
mod scripts;

use std::fs;
use std::path::Path;

use rulebox_tests::root;
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::{read, yaml};

const WORKFLOWS: [&str; 5] = [
    ".github/workflows/ci.yml",
    ".github/workflows/deploy.yml",
    ".github/workflows/release.yml",
    ".github/workflows/rescan.yml",
    ".github/workflows/rollback.yml",
];
const DOCKERFILES: [&str; 2] = ["deploy/image/Dockerfile", "deploy/image/pgbouncer.Dockerfile"];

/// A workflow by its name, `ci`.
fn workflow(name: &str) -> Value {
    yaml(&read(&format!(".github/workflows/{name}.yml")))
}

/// The jobs of a workflow.
fn jobs(workflow: &Value) -> &Map<String, Value> {
    workflow["jobs"].as_object().unwrap()
}

/// The steps of a job; none if it calls another workflow.
fn steps(job: &Value) -> &[Value] {
    job["steps"].as_array().map_or(&[], Vec::as_slice)
}

/// A directory with these files of the repository, by their paths there, each as `edit` leaves it.
fn copy(files: &[&str], edit: impl Fn(&str, String) -> String) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in files {
        write(&directory.path().join(file), &edit(file, read(file)));
    }
    directory
}

/// Writes a file, with the directories that it is in.
fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The names of the files of a folder, in order.
fn names(folder: &str, is: fn(&str) -> bool) -> Vec<String> {
    let files = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = files.map(|name| name.into_string().unwrap()).filter(|name| is(name)).collect();
    names.sort();
    names.into_iter().map(|name| format!("{folder}/{name}")).collect()
}
