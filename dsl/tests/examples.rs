//! Every example rule checks without a word, passes its tests in the interpreter, is laid out as the formatter lays
//! rules out, and stands in the table of the examples' README.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use rulebox_dsl::format::format;
use rulebox_dsl::interp::Interpreter;
use rulebox_dsl::span::LineIndex;
use rulebox_dsl::{Limits, check_source, manifest, testing};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn is_rule(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rule")
}

/// The names and the texts of the examples.
fn examples() -> Vec<(String, String)> {
    let paths = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let rules = paths.filter(|path| is_rule(path));
    let mut examples: Vec<_> = rules
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    examples.sort();
    assert!(examples.len() >= 24, "only {} examples", examples.len());
    examples
}

/// What is wrong with one example.
fn problems(source: &str) -> Vec<String> {
    let checked = match check_source(source, &Limits::DEFAULT) {
        Ok(checked) => checked,
        Err(diagnostics) => return vec![diagnostics.to_string()],
    };
    let mut problems: Vec<String> = checked.warnings.iter().map(|warning| format!("{warning:?}")).collect();
    if checked.rule.tests.is_empty() {
        problems.push("no test".to_owned());
    }
    let manifest = manifest::describe(&checked.rule, source);
    let results = testing::run(&checked.rule, &manifest, |params, bars, sink| {
        Interpreter::new(&checked.rule, params).run(bars, 0, sink);
        Ok::<(), Infallible>(())
    });
    let failed = results.iter().filter(|result| !result.passed());
    problems.extend(failed.map(|result| format!("{:?}", result.describe(&LineIndex::new(source)))));
    problems
}

#[test]
fn examples_pass_their_tests_in_the_interpreter() {
    let mut all = Vec::new();
    for (name, source) in examples() {
        all.extend(problems(&source).iter().map(|problem| format!("{name}: {problem}")));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn examples_are_laid_out() {
    for (name, source) in examples() {
        assert_eq!(format(&source, &Limits::DEFAULT).unwrap(), source, "{name}");
    }
}

#[test]
fn each_example_is_named_for_its_rule() {
    for (name, source) in examples() {
        let rule = name.trim_end_matches(".rule");
        assert!(source.contains(&format!("\nrule {rule}(")), "{name}");
    }
}

/// The README's table names every example and no other file, and has a row for each of the 49 rules.
#[test]
fn the_table_names_every_example() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| ")).collect();
    let quoted = rows.iter().flat_map(|row| row.split('`'));
    let named: BTreeSet<String> = quoted.filter(|part| is_rule(Path::new(part))).map(str::to_owned).collect();
    let files: BTreeSet<String> = examples().into_iter().map(|(name, _)| name).collect();
    assert_eq!(named, files);
    let numbers: Vec<usize> =
        rows.iter().filter_map(|row| row.split('|').nth(1)).filter_map(|cell| cell.trim().parse().ok()).collect();
    assert_eq!(numbers, (1..=49).collect::<Vec<_>>());
}
