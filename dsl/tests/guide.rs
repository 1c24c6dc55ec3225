//! The guide, `README.md`: every rule in it compiles without a word, passes its tests in the interpreter, and is laid
//! out as the formatter lays rules out; every wrong one gives the code that it names; its table names every built-in.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::convert::Infallible;

use rulebox_dsl::builtins;
use rulebox_dsl::diagnostic::Code;
use rulebox_dsl::format::format;
use rulebox_dsl::interp::Interpreter;
use rulebox_dsl::span::LineIndex;
use rulebox_dsl::{Compiled, Limits, compile, testing};

const GUIDE: &str = include_str!("../README.md");

/// A fenced block.
struct Block {
    /// Line of its first line, from 1.
    line: usize,
    /// What stands behind the fence.
    info: &'static str,
    text: String,
}

/// All fenced blocks, in order.
fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in GUIDE.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some(Block { line: at + 2, info, text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

fn blocks_of(info: &str) -> Vec<Block> {
    blocks().into_iter().filter(|block| block.info == info).collect()
}

/// What is wrong with a rule that should be right.
fn problems(source: &str) -> Vec<String> {
    let Compiled { rule, manifest, warnings, .. } = match compile(source, &Limits::DEFAULT) {
        Ok(compiled) => compiled,
        Err(diagnostics) => return vec![diagnostics.to_string()],
    };
    let mut problems: Vec<String> = warnings.iter().map(|warning| format!("{warning:?}")).collect();
    let results = testing::run(&rule, &manifest, |params, bars, sink| {
        Interpreter::new(&rule, params).run(bars, 0, sink);
        Ok::<(), Infallible>(())
    });
    problems.extend(results.iter().filter_map(|result| result.describe(&LineIndex::new(source))));
    if format(source, &Limits::DEFAULT).unwrap() != source {
        problems.push("the formatter lays it out anew".to_owned());
    }
    problems
}

#[test]
fn no_block_is_of_an_unknown_kind() {
    let kinds: BTreeSet<&str> = blocks().iter().map(|block| block.info).collect();
    assert_eq!(kinds, BTreeSet::from(["console", "rule", "rule,wrong"]));
}

#[test]
fn rules_compile_pass_their_tests_and_are_laid_out() {
    let rules = blocks_of("rule");
    assert!(rules.len() >= 12, "only {} rules", rules.len());
    let mut all = Vec::new();
    for Block { line, text, .. } in rules {
        all.extend(problems(&text).iter().map(|problem| format!("line {line}: {problem}")));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// The first line is a comment with the code, and nothing else is wrong.
#[test]
fn wrong_rules_give_the_codes_that_they_name() {
    let wrong = blocks_of("rule,wrong");
    assert!(!wrong.is_empty());
    for Block { line, text, .. } in wrong {
        let named = text.lines().next().unwrap().strip_prefix("# ").unwrap();
        let given = compile(&text, &Limits::DEFAULT).unwrap_err();
        let codes: Vec<&str> = given.0.iter().map(|diagnostic| diagnostic.code.as_str()).collect();
        assert_eq!(codes, [named], "line {line}");
    }
}

/// The first two cells of every row of a table, without the marks of code.
fn rows() -> Vec<(String, String)> {
    let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| "));
    let plain = |cell: &str| cell.replace('`', "");
    rows.filter_map(|row| {
        let mut cells = row.split(" | ").map(plain);
        Some((cells.next()?, cells.next()?))
    })
    .collect()
}

/// In the order of [`builtins::ALL`], each with the names of its arguments; brackets mark what may be left out.
#[test]
fn the_table_names_every_builtin() {
    let calls = rows().into_iter().filter(|(name, call)| call.starts_with(&format!("{name}(")));
    let table: Vec<(String, String)> = calls.map(|(name, call)| (name, call.replace(['[', ']'], ""))).collect();
    let all = builtins::ALL.iter().map(|builtin| (builtin.name.to_owned(), builtin.signature.to_owned()));
    assert_eq!(table, all.collect::<Vec<_>>());
}

#[test]
fn the_codes_of_the_table_exist() {
    let is_code = |cell: &str| cell.len() == 5 && cell.starts_with('E');
    let codes: Vec<String> = rows().into_iter().map(|(code, _)| code).filter(|code| is_code(code)).collect();
    assert!(codes.len() >= 10, "{codes:?}");
    for code in codes {
        assert!(Code::find(&code).is_some(), "{code}");
    }
}
