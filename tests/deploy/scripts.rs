//! Scripts and files of YAML, each found by what it is.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::{from_pypi, run, tried};

use crate::{changed, files_under, read, short};

/// Whether a shell runs this text.
fn is_of_a_shell(text: &[u8]) -> bool {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    let Some(interpreter) = first.strip_prefix("#!") else { return false };
    interpreter.split([' ', '/']).any(|word| ["sh", "bash", "dash"].contains(&word))
}

#[test]
fn shellcheck_finds_nothing_in_any_script() {
    let scripts: Vec<PathBuf> =
        files_under(&root()).into_iter().filter(|path| is_of_a_shell(&fs::read(path).unwrap())).collect();
    let names: Vec<_> = scripts.iter().map(|path| short(path)).collect();
    for one in ["tests/run", "deploy/backup/restore", "deploy/backup/wal-archive", ".ci/run"] {
        assert!(names.iter().any(|name| name == one), "{one} was not found: {names:?}");
    }
    run(Command::new("shellcheck").args(&scripts));
    println!("shellcheck: {} scripts", scripts.len());

    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("wal-archive");
    fs::write(&broken, changed(&read("deploy/backup/wal-archive"), "sync \"$part\"", "sync $part")).unwrap();
    let (output, said) = tried(Command::new("shellcheck").arg(&broken));
    assert!(!output.status.success() && said.contains("SC2086"), "{said}");
}

/// What the files satisfy beside the rules that yamllint has by itself.
const YAMLLINT: &str = "{extends: default, rules: {line-length: {max: 190}, document-start: disable, \
     truthy: {check-keys: false}, braces: {max-spaces-inside: 1}, comments: {min-spaces-from-content: 1}}}";

#[test]
fn yamllint_finds_nothing_in_any_file() {
    let yamllint = from_pypi("yamllint", &["yamllint==1.38.0"], false).join("bin/yamllint");
    let lint = |files: &[PathBuf]| {
        let mut command = Command::new(&yamllint);
        command.args(["--strict", "--format", "parsable", "--config-data", YAMLLINT]).args(files);
        command
    };
    // Templates of the chart are YAML when they are rendered.
    let templates = root().join("deploy/chart/templates");
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let files: Vec<_> =
        files_under(&root()).into_iter().filter(|path| is_yaml(path) && !path.starts_with(&templates)).collect();
    assert!(files.len() > 20, "{files:?}");
    run(&mut lint(&files));
    println!("yamllint: {} files", files.len());

    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("prometheus.yaml");
    let twice = changed(&read("deploy/compose/prometheus.yaml"), "global:\n", "global: {}\nglobal:\n");
    fs::write(&broken, twice).unwrap();
    let (output, said) = tried(&mut lint(&[broken]));
    assert!(!output.status.success() && said.contains("duplication of key \"global\""), "{said}");
}
