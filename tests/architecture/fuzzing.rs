//! What is fuzzed is replayed, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::root;

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

/// What is missing for a target, of the text of its README and of all tests.
fn missing(target: &str, readme: &str, tests: &str) -> Vec<String> {
    let mut missing = Vec::new();
    if !readme.contains(&format!("| `{target}` |")) {
        missing.push(format!("{target} is not in the table of fuzz/README.md"));
    }
    if !tests.contains(&format!("replay(\"{target}\", ")) {
        missing.push(format!("no test replays the seeds of {target}"));
    }
    missing
}

#[test]
fn every_fuzz_target_has_seeds_that_a_test_replays() {
    let fuzz = root().join("fuzz");
    let targets = names(&fuzz.join("fuzz_targets"));
    assert!(targets.len() >= 9, "{targets:?}");
    assert_eq!(targets, names(&fuzz.join("seeds")));
    let readme = fs::read_to_string(fuzz.join("README.md")).unwrap();
    let files = [
        "dsl/src/fuzzing.rs",
        "executor/src/fuzzing/mod.rs",
        "executor/sandbox/tests/rules/accepted.rs",
        "executor/sandbox/tests/generated/main.rs",
        "executor/sandbox/tests/hostile/untrusted.rs",
    ];
    let tests: String = files.iter().map(|file| fs::read_to_string(root().join(file)).unwrap()).collect();
    let all: Vec<_> = targets.iter().flat_map(|target| missing(target, &readme, &tests)).collect();
    assert_eq!(all, Vec::<String>::new());
}

#[test]
fn a_target_that_nobody_replays_is_found() {
    assert_eq!(missing("a", "| `a` | x |", "replay(\"a\", a)").len(), 0);
    assert_eq!(missing("b", "| `a` | x |", "replay(\"a\", a)").len(), 2);
}
