//! Every example rule checks without a word, and passes its tests in the interpreter.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use rulebox_dsl::interp::Interpreter;
use rulebox_dsl::span::LineIndex;
use rulebox_dsl::{Limits, check_source, manifest, testing};

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut rules: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "rule")).collect();
    rules.sort();
    assert!(rules.len() >= 8, "only {} examples", rules.len());
    rules
}

#[test]
fn examples_pass_their_tests_in_the_interpreter() {
    for path in examples() {
        let source = std::fs::read_to_string(&path).unwrap();
        let name = path.display();
        let checked = check_source(&source, &Limits::DEFAULT).unwrap_or_else(|d| panic!("{name}: {d}"));
        assert!(checked.warnings.is_empty(), "{name}: {:?}", checked.warnings);
        assert!(!checked.rule.tests.is_empty(), "{name} has no test");
        let manifest = manifest::describe(&checked.rule, &source);
        let results = testing::run(&checked.rule, &manifest, |params, bars, sink| {
            Interpreter::new(&checked.rule, params).run(bars, 0, sink);
            Ok::<(), Infallible>(())
        });
        for result in results {
            assert!(result.passed(), "{name}: {:?}", result.describe(&LineIndex::new(&source)));
        }
    }
}
