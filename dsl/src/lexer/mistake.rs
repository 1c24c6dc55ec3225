//! What is no token: what to say of it, and what was meant.

use nom::Parser;
use nom::character::complete::char;
use nom::combinator::{opt, recognize};

use super::{Found, exponent, fraction, value};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::token::{Sign, TokenKind, Word};

/// Text that looks like a token and is none.
pub(super) enum Mistake {
    Unterminated,
    NotFinite,
    ExponentBeforePercent,
    NoDigitBeforePoint,
    NoDigitAfterPoint,
    NoTime,
    JoinedToWord,
    UpperCase,
    NotAscii,
    /// The spelling of another language, and what to do.
    Foreign(&'static str),
    Stray,
}

impl Mistake {
    pub(super) fn diagnostic(&self, span: Span, text: &str) -> Diagnostic {
        let shown = shown(text);
        let (code, message, help) = match self {
            Self::Unterminated => {
                return Diagnostic::new(Code::UNTERMINATED_STRING, "the string has no end", span, "opened here")
                    .help("close it with `\"` on the same line");
            }
            Self::NotFinite => (
                Code::NUMBER_TOO_LARGE,
                format!("`{shown}` is too large for a num"),
                "the largest num is about 1.8e308".to_owned(),
            ),
            Self::ExponentBeforePercent => (
                Code::BAD_NUMBER,
                "a number before `%` takes no exponent".to_owned(),
                "write the fraction itself, without `%`".to_owned(),
            ),
            Self::NoDigitBeforePoint | Self::NoDigitAfterPoint => {
                let digits = shown.trim_end_matches('.');
                let help = match self {
                    Self::NoDigitBeforePoint => format!("write `0{digits}`"),
                    _ => format!("write `{digits}.0` or `{digits}`"),
                };
                (Code::BAD_NUMBER, "a point has digits on both sides".to_owned(), help)
            }
            Self::NoTime => (
                Code::BAD_TIME,
                format!("`{shown}` is no time of day"),
                "write hours 00 to 23 and minutes 00 to 59, two digits each: `09:30`".to_owned(),
            ),
            Self::JoinedToWord => (
                Code::BAD_NUMBER,
                format!("`{shown}` is no number"),
                "numbers are written `12`, `0.5`, `1e6`, `10%`; durations `15m`, `2h`, `3d`; names do not begin with a digit"
                    .to_owned(),
            ),
            Self::UpperCase => (
                Code::STRAY_CHARACTER,
                format!("`{shown}` has capital letters"),
                format!("names and words are lower case: write `{}`", shown.to_ascii_lowercase()),
            ),
            Self::NotAscii => (
                Code::STRAY_CHARACTER,
                format!("`{shown}` is no name"),
                "names are made of `a` to `z`, `0` to `9` and `_`; messages may use any letter".to_owned(),
            ),
            Self::Foreign(help) => {
                (Code::STRAY_CHARACTER, format!("`{shown}` means nothing here"), (*help).to_owned())
            }
            Self::Stray => {
                return Diagnostic::new(Code::STRAY_CHARACTER, format!("`{shown}` means nothing here"), span, "");
            }
        };
        Diagnostic::new(code, message, span, "").help(help)
    }
}

/// The beginning of a text for a message; what cannot be seen is named.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == 40 {
            return shown + "…";
        }
        if is_hidden(c) || (c.is_whitespace() && c != ' ') {
            shown.push_str(&format!("U+{:04X}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A character that a screen does not show, or that reorders what it shows.
fn is_hidden(c: char) -> bool {
    let reorders = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    reorders || c == '\u{feff}' || (c.is_control() && !matches!(c, '\t' | '\r'))
}

/// The first hidden character of a comment or a string that starts at `start`: text that is not what it seems.
pub(super) fn hidden(text: &str, start: u32) -> Option<Diagnostic> {
    let (at, c) = text.char_indices().find(|&(_, c)| is_hidden(c))?;
    let at = start.saturating_add(u32::try_from(at).unwrap_or(u32::MAX));
    let span = Span::new(at, at.saturating_add(u32::try_from(c.len_utf8()).unwrap_or(1)));
    let message = format!("U+{:04X} cannot be seen, and changes what is", u32::from(c));
    Some(Diagnostic::new(Code::HIDDEN_CHARACTER, message, span, "a hidden character").help("remove it"))
}

/// Where a string without an end was likely meant to end, on its line: before braces that are not its own.
pub(super) fn likely_end(line: &str) -> usize {
    let mut text = line.trim_end();
    let count = |text: &str, brace| text.matches(brace).count();
    let mut surplus = count(text, '}').saturating_sub(count(text, '{'));
    loop {
        let before = if text.ends_with('{') {
            text.strip_suffix('{')
        } else if surplus > 0 {
            surplus -= 1;
            text.strip_suffix('}')
        } else {
            None
        };
        match before {
            Some(before) => text = before.trim_end(),
            // At least the quote itself.
            None => return text.len().max(1),
        }
    }
}

/// What other languages and keyboards write.
const FOREIGN: &[(&str, &str, Option<TokenKind>)] = &[
    ("&&", "write `and`", Some(TokenKind::Word(Word::And))),
    ("||", "write `or`", Some(TokenKind::Word(Word::Or))),
    ("&", "write `and`", Some(TokenKind::Word(Word::And))),
    ("|", "write `or`", Some(TokenKind::Word(Word::Or))),
    ("!", "write `not`", Some(TokenKind::Word(Word::Not))),
    ("≤", "write `<=`", Some(TokenKind::Sign(Sign::Le))),
    ("≥", "write `>=`", Some(TokenKind::Sign(Sign::Ge))),
    ("≠", "write `!=`", Some(TokenKind::Sign(Sign::Ne))),
    ("×", "write `*`", Some(TokenKind::Sign(Sign::Star))),
    ("÷", "write `/`", Some(TokenKind::Sign(Sign::Slash))),
    ("−", "write `-`", Some(TokenKind::Sign(Sign::Minus))),
    ("–", "write `-`", Some(TokenKind::Sign(Sign::Minus))),
    ("→", "write `->`", Some(TokenKind::Sign(Sign::Arrow))),
    (";", "statements need no sign between them", None),
    ("%", "`%` stands right behind a number, `10%`; there is no remainder", Some(TokenKind::Wrong)),
    ("^", "there are no powers: multiply", Some(TokenKind::Wrong)),
    ("“", "strings stand in `\"`", Some(TokenKind::Wrong)),
    ("”", "strings stand in `\"`", Some(TokenKind::Wrong)),
    (".", "there are no fields and no methods", Some(TokenKind::Wrong)),
];

/// What begins no token: the spelling of another language, or a run of anything. Takes one character at least.
pub(super) fn foreign(text: &str) -> (&str, Found) {
    let number = recognize((fraction, opt(exponent), opt(char('%')))).parse(text);
    if let Some((rest, value)) = number.ok().and_then(|(rest, digits)| Some((rest, value(&format!("0{digits}"))?))) {
        return (rest, Found::Wrong(Mistake::NoDigitBeforePoint, TokenKind::Number { value, whole: None }));
    }
    if text.starts_with("//") {
        let line = text.split(['\n', '\r']).next().unwrap_or(text);
        let rest = text.get(line.len()..).unwrap_or_default();
        return (rest, Found::Nothing(Mistake::Foreign("comments begin with `#`")));
    }
    // Looks no further than the string: a line may be long, and have many.
    let inside = text.strip_prefix('\'').and_then(|rest| rest.split_inclusive(['\'', '\n', '\r']).next());
    if let Some(string) = inside.filter(|string| string.ends_with('\'')) {
        let rest = text.get(1 + string.len()..).unwrap_or_default();
        return (rest, Found::Wrong(Mistake::Foreign("strings stand in `\"`"), TokenKind::Text));
    }
    if let Some((sign, help, meant)) = FOREIGN.iter().find(|(sign, ..)| text.starts_with(sign)) {
        let rest = text.get(sign.len()..).unwrap_or_default();
        let mistake = Mistake::Foreign(help);
        let found = match meant {
            Some(kind) => Found::Wrong(mistake, kind.clone()),
            None => Found::Nothing(mistake),
        };
        return (rest, found);
    }
    let first = text.chars().next().map_or(1, char::len_utf8);
    let run = |c: char| !c.is_alphabetic() && (!c.is_ascii() || c.is_ascii_control()) && !c.is_ascii_whitespace();
    let len: usize = text.chars().take_while(|&c| run(c)).map(char::len_utf8).sum();
    (text.get(len.max(first)..).unwrap_or_default(), Found::Wrong(Mistake::Stray, TokenKind::Wrong))
}
