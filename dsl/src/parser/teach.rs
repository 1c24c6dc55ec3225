//! What to say to authors who write what another language has, or something in the wrong place.

use super::input::{Input, reserved};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::token::{Sign, TokenKind, Word};

fn at(i: Input<'_>, message: &str, help: &str) -> Diagnostic {
    Diagnostic::new(Code::UNEXPECTED, message, i.span(), "").help(help)
}

/// What can never stand behind a whole expression.
pub(super) fn behind_value(i: Input<'_>) -> Option<Diagnostic> {
    match i.kind() {
        TokenKind::Sign(Sign::Is) => {
            let help = match i.next_kind() {
                TokenKind::Sign(Sign::Lt) => "write `<=`",
                TokenKind::Sign(Sign::Gt) => "write `>=`",
                _ => "write `==`; an argument with a name is written `min: 1`",
            };
            Some(Diagnostic::new(Code::SINGLE_EQUALS, "`=` does not compare", i.span(), "").help(help))
        }
        TokenKind::Sign(Sign::Question) => Some(at(
            i,
            "there is no `? :` operator",
            "write `if a then b else c`, or `a ?? b` where `a` may be missing",
        )),
        TokenKind::Sign(Sign::OpenBracket) => Some(at(
            i,
            "only a name has a history",
            "give the value a name at the top level, `let x = …`, then write `x[1]`",
        )),
        _ => None,
    }
}

/// What stands where a value is needed.
pub(super) fn no_value(i: Input<'_>) -> Diagnostic {
    match i.kind() {
        TokenKind::Word(Word::If) => {
            at(i, "an if expression inside another expression needs parentheses", "write `(if a then b else c)`")
        }
        TokenKind::Word(Word::Not) => {
            at(i, "`not` binds looser than what stands before it", "put it in parentheses: `(not a)`")
        }
        TokenKind::Duration(..) => at(i, "a duration is no value", "durations stand in a hold: `breach for 15m \"…\"`"),
        TokenKind::Text => at(i, "a string is no value", "strings are messages, behind `warn` and `breach`"),
        TokenKind::Sign(Sign::Gt) => i.unexpected("a value", Some("`!=` is written for not equal")),
        TokenKind::Sign(Sign::Is) => i.unexpected("a value", Some("`==` compares")),
        TokenKind::Sign(Sign::Plus) => i.unexpected("a value", Some("numbers have no sign `+`")),
        TokenKind::Sign(Sign::OpenBracket) => i.unexpected("a value", Some("there are no lists")),
        TokenKind::Word(word) if names_a_thing(*word) => reserved(*word, i.span(), "a value"),
        _ => i.unexpected("a value", None),
    }
}

/// A comma with nothing behind it that it could part from what stands before.
pub(super) fn last_comma(comma: Span, of: &str) -> Diagnostic {
    let message = format!("a comma stands between {of}s, not behind the last");
    Diagnostic::new(Code::UNEXPECTED, message, comma, "").help("remove the comma")
}

/// Reserved words that authors like as names. The others begin or join what the grammar knows.
const fn names_a_thing(word: Word) -> bool {
    !matches!(
        word,
        Word::Let
            | Word::Var
            | Word::Out
            | Word::Param
            | Word::Warn
            | Word::Breach
            | Word::Then
            | Word::Else
            | Word::And
            | Word::Or
            | Word::Test
            | Word::Rule
    )
}

/// What stands where a statement should begin.
pub(super) fn no_statement(i: Input<'_>) -> Diagnostic {
    let gives = matches!(i.next_kind(), TokenKind::Sign(Sign::Assign | Sign::Is));
    let help = match i.kind() {
        TokenKind::Word(word) if gives => return reserved(*word, i.span(), "a name"),
        TokenKind::Word(Word::For) => "there are no loops: windows such as `sum(x, 20)` look back over bars",
        TokenKind::Word(Word::Block | Word::Reduce | Word::Liquidate) => {
            "an action stands right behind its verdict: `breach liquidate \"…\"`"
        }
        TokenKind::Word(Word::Forever) => "a hold stands before the message: `breach forever \"…\"`",
        TokenKind::Word(Word::Edition | Word::Clock) => "this line stands before the rule",
        TokenKind::Word(Word::Set | Word::Bar) => "this belongs in a test, behind the rule: `test \"…\" { … }`",
        TokenKind::Word(Word::Test) => "tests stand behind the rule, not in it",
        TokenKind::Text => "a message stands behind `warn` or `breach`",
        TokenKind::Sign(Sign::OpenBrace) => "a block stands behind an `if` or an `else`",
        TokenKind::Name => match i.text(i.span()) {
            "elif" | "elsif" | "elseif" => "write `else if`",
            "while" | "loop" | "foreach" => "there are no loops: windows such as `sum(x, 20)` look back over bars",
            "const" | "static" | "val" => "write `let`",
            "return" | "fail" | "error" | "alert" | "reject" | "assert" => {
                "a verdict is given by `warn \"…\"` or `breach \"…\"`"
            }
            "fn" | "func" | "function" | "def" | "import" => "a file is one rule: there are no functions of its own",
            "input" | "inputs" => "inputs stand in the parentheses behind the rule's name",
            _ => "statements begin with let, var, out, if, warn or breach, or change a var: `name := …`",
        },
        _ => "statements begin with let, var, out, if, warn or breach, or change a var: `name := …`",
    };
    i.unexpected("a statement", Some(help))
}

/// What stands where the message of a verdict is needed.
pub(super) fn no_message(i: Input<'_>, has_hold: bool) -> Diagnostic {
    let help = match i.kind() {
        TokenKind::Word(Word::Block | Word::Reduce | Word::Liquidate) if has_hold => {
            "the action stands before the hold: `breach block for day \"…\"`"
        }
        _ => "every verdict says why: `breach \"equity {equity:.2}\"`",
    };
    i.unexpected(if has_hold { "a message" } else { "a message (or an action, or a hold)" }, Some(help))
}

/// What to write for a type of another language.
pub(super) fn meant_type(word: &str) -> Option<Word> {
    match word {
        "float" | "double" | "number" | "decimal" | "real" | "f64" | "f32" => Some(Word::Num),
        "boolean" => Some(Word::Bool),
        "integer" | "i64" | "i32" | "u64" | "u32" | "long" => Some(Word::Int),
        _ => None,
    }
}
