use std::fmt::Write as _;

use super::format;
use crate::generate::{Choices, generate};
use crate::lexer::lex;
use crate::limits::Limits;
use crate::parser::parse;

/// The tree of a source without places, which formatting moves.
fn tree(source: &str) -> String {
    let (file, diagnostics) = parse(source, &Limits::DEFAULT);
    assert!(diagnostics.is_empty(), "{diagnostics:?}\n{source}");
    let debug = format!("{:?}", file.unwrap());
    let mut parts = debug.split("Span { start: ");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        text.push_str(part.split_once('}').unwrap().1);
    }
    text
}

fn comments(source: &str) -> Vec<&str> {
    let lexed = lex(source);
    let texts = lexed.comments.iter().map(|c| source[c.start as usize..c.end as usize].trim_end());
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    texts
}

fn check(source: &str) -> String {
    let formatted = format(source, &Limits::DEFAULT).unwrap();
    assert_eq!(tree(source), tree(&formatted), "the tree of\n{source}\nis not that of\n{formatted}");
    assert_eq!(comments(source), comments(&formatted), "comments of\n{source}\nin\n{formatted}");
    let again = format(&formatted, &Limits::DEFAULT).unwrap();
    assert_eq!(formatted, again, "formatting is not idempotent for\n{source}");
    formatted
}

/// Puts comments and line breaks between the tokens of a source.
fn scatter(source: &str, choices: &mut Choices<'_>) -> String {
    let mut text = String::new();
    for (at, token) in lex(source).tokens.iter().enumerate() {
        match choices.below(12) {
            0 => writeln!(text, " # note {at}").unwrap(),
            1 => write!(text, "\n# own line {at}\n").unwrap(),
            2 => text.push_str("\n\n\n"),
            3 | 4 => text.push('\n'),
            _ => text.push(' '),
        }
        text.push_str(&source[token.span.start as usize..token.span.end as usize]);
    }
    text
}

#[test]
fn generated_rules_keep_their_tree_and_their_comments() {
    for seed in 0..1_500 {
        let mut choices = Choices::seeded(seed);
        let source = generate(&mut choices, 6, 1).source;
        check(&source);
        check(&scatter(&source, &mut choices));
    }
}

#[test]
fn examples_keep_their_layout() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "rule") {
            let source = std::fs::read_to_string(&path).unwrap();
            check(&source);
            check(&scatter(&source, &mut Choices::seeded(3)));
        }
    }
}

#[test]
fn a_rule_is_laid_out() {
    let source = "edition 1 clock \"UTC\" day 00:00\nrule   r( a:num ? in 0 .. 1,b )\n{ param n:int=3 in 1..5 # how many\n\n\n\
        let x=a??0   if x>1 and  not(b<-2 ){warn for 3   bars \"x\"} else if x==0 {\n breach reduce(0.5)\"y\" } else { out o = sma(b,n,min:1) } }\n\
        test \"t\" {set n=2 bar a=1 b= -2 -> breach reduce bar b=1 time=\"2026-01-05T15:00Z\"->ok}";
    insta::assert_snapshot!(check(source), @r#"
    edition 1
    clock "UTC" day 00:00
    rule r(a: num? in 0..1, b) {
      param n: int = 3 in 1..5  # how many

      let x = a ?? 0
      if x > 1 and not (b < -2) { warn for 3 bars "x" }
      else if x == 0 {
        breach reduce(0.5) "y"
      } else { out o = sma(b, n, min: 1) }
    }
    test "t" { set n = 2
      bar a=1 b=-2 -> breach reduce
      bar b=1 time="2026-01-05T15:00Z" -> ok
    }
    "#);
}
