//! Text to tokens and comments. What is no token is reported and skipped, so that the parser sees the rest.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, digit1, one_of, satisfy};
use nom::combinator::{opt, peek, recognize};
use nom::sequence::{pair, preceded};
use nom::{IResult, Parser};

use crate::ast::DurationUnit;
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::token::{Sign, Token, TokenKind, Word};

/// The tokens of a source, ending with [`TokenKind::End`], and its comments.
#[derive(Debug, Default)]
pub struct Lexed {
    /// The tokens.
    pub tokens: Vec<Token>,
    /// The comments, from `#` to the end of the line.
    pub comments: Vec<Span>,
    /// What was no token.
    pub diagnostics: Vec<Diagnostic>,
}

/// Splits a source into tokens, in linear time.
pub fn lex(source: &str) -> Lexed {
    let mut lexed = Lexed::default();
    let mut rest = source;
    let offset = |rest: &str| u32::try_from(source.len() - rest.len()).unwrap_or(u32::MAX);
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let start = offset(rest);
        if rest.is_empty() {
            lexed.tokens.push(Token { kind: TokenKind::End, span: Span::new(start, start) });
            return lexed;
        }
        if let Ok((after, _)) = comment(rest) {
            lexed.comments.push(Span::new(start, offset(after)));
            rest = after;
            continue;
        }
        let (after, kind) = if let Ok((after, found)) = token(rest) {
            let span = Span::new(start, offset(after));
            let kind = match found {
                Found::Token(kind) => kind,
                Found::Wrong(wrong) => {
                    lexed.diagnostics.push(wrong.diagnostic(span, rest.get(..rest.len() - after.len()).unwrap_or("")));
                    TokenKind::Wrong
                }
            };
            (after, kind)
        } else {
            let (after, diagnostic) = stray(rest, start);
            lexed.diagnostics.push(diagnostic);
            (after, TokenKind::Wrong)
        };
        lexed.tokens.push(Token { kind, span: Span::new(start, offset(after)) });
        rest = after;
    }
}

/// What a lexer function has found.
enum Found {
    Token(TokenKind),
    Wrong(Wrong),
}

/// Text that looks like a token and is none.
enum Wrong {
    Unterminated,
    NotFinite,
    ExponentBeforePercent,
    NoDigitAfterPoint,
    NoTime,
    JoinedToWord,
}

impl Wrong {
    fn diagnostic(&self, span: Span, text: &str) -> Diagnostic {
        let shown: String = text.chars().take(40).collect();
        match self {
            Self::Unterminated => Diagnostic::new(Code::UNTERMINATED_STRING, "the string has no end", span, "opened here")
                .help("close it with `\"` on the same line"),
            Self::NotFinite => {
                Diagnostic::new(Code::NUMBER_TOO_LARGE, format!("`{shown}` is too large for a num"), span, "")
                    .help("the largest num is about 1.8e308")
            }
            Self::ExponentBeforePercent => {
                Diagnostic::new(Code::BAD_NUMBER, "a number before `%` takes no exponent", span, "")
                    .help("write the fraction itself, without `%`")
            }
            Self::NoDigitAfterPoint => {
                Diagnostic::new(Code::BAD_NUMBER, "a point has digits on both sides", span, "").help("write `5.0` or `5`")
            }
            Self::NoTime => Diagnostic::new(Code::BAD_TIME, format!("`{shown}` is no time of day"), span, "")
                .help("write hours 00 to 23 and minutes 00 to 59, two digits each: `09:30`"),
            Self::JoinedToWord => Diagnostic::new(Code::BAD_NUMBER, format!("`{shown}` is no number"), span, "")
                .help("numbers are written `12`, `0.5`, `1e6`, `10%`; durations `15m`, `2h`, `3d`; names do not begin with a digit"),
        }
    }
}

fn comment(text: &str) -> IResult<&str, &str> {
    recognize(pair(char('#'), take_while(|c| c != '\n'))).parse(text)
}

fn token(text: &str) -> IResult<&str, Found> {
    alt((word, clock, number, string, sign)).parse(text)
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_lowercase() || c == '_'
}

fn is_name_part(c: char) -> bool {
    is_name_start(c) || c.is_ascii_digit()
}

fn word(text: &str) -> IResult<&str, Found> {
    let (rest, name) = recognize(pair(satisfy(is_name_start), take_while(is_name_part))).parse(text)?;
    Ok((rest, Found::Token(Word::find(name).map_or(TokenKind::Name, TokenKind::Word))))
}

/// `HH:MM`. One digit less or more is a wrong time rather than a number, a colon and a number.
fn clock(text: &str) -> IResult<&str, Found> {
    let (rest, (hours, _, minutes)) = (digit1, char(':'), digit1).parse(text)?;
    let two = |digits: &str, most: u16| digits.parse().ok().filter(|n: &u16| digits.len() == 2 && *n <= most);
    Ok((
        rest,
        match (two(hours, 23), two(minutes, 59)) {
            (Some(h), Some(m)) => Found::Token(TokenKind::Clock(h * 60 + m)),
            _ => Found::Wrong(Wrong::NoTime),
        },
    ))
}

fn number(text: &str) -> IResult<&str, Found> {
    let exponent = |i| recognize((one_of("eE"), opt(one_of("+-")), digit1)).parse(i);
    let (rest, whole) = digit1(text)?;
    let (rest, fraction) = opt(recognize(preceded(char('.'), digit1))).parse(rest)?;
    let (rest, power) = opt(exponent).parse(rest)?;
    let (rest, percent) = opt(char('%')).parse(rest)?;
    // `5.` is wrong, but `0..1` is a range.
    if fraction.is_none() && power.is_none() && percent.is_none() {
        if let Ok((after, _)) = (char::<&str, nom::error::Error<&str>>('.'), peek(satisfy(|c| c != '.'))).parse(rest) {
            return Ok((after, Found::Wrong(Wrong::NoDigitAfterPoint)));
        }
        if let Ok((after, duration)) = duration(whole, rest) {
            return Ok((after, Found::Token(duration)));
        }
    }
    if let Ok((after, _)) =
        take_while1::<_, _, nom::error::Error<&str>>(|c: char| is_name_part(c) || c.is_alphanumeric())(rest)
    {
        return Ok((after, Found::Wrong(Wrong::JoinedToWord)));
    }
    if power.is_some() && percent.is_some() {
        return Ok((rest, Found::Wrong(Wrong::ExponentBeforePercent)));
    }
    let digits = text.get(..text.len() - rest.len()).unwrap_or_default();
    // The nearest double to the decimal value: `7.1%` is read as 7.1e-2, not divided by 100.
    let value = match digits.strip_suffix('%') {
        Some(digits) => format!("{digits}e-2").parse(),
        None => digits.parse::<f64>(),
    };
    let plain = fraction.is_none() && power.is_none() && percent.is_none();
    Ok((
        rest,
        match value {
            Ok(value) if value.is_finite() => {
                let whole = plain.then(|| whole.parse().unwrap_or(u64::MAX));
                Found::Token(TokenKind::Number { value, whole })
            }
            _ => Found::Wrong(Wrong::NotFinite),
        },
    ))
}

/// The unit of a duration, if no name goes on behind it.
fn duration<'a>(whole: &str, rest: &'a str) -> IResult<&'a str, TokenKind> {
    let (rest, unit) = one_of("mhd").parse(rest)?;
    if rest.starts_with(is_name_part) {
        return Err(nom::Err::Error(nom::error::Error::new(rest, nom::error::ErrorKind::Verify)));
    }
    let unit = match unit {
        'm' => DurationUnit::Minutes,
        'h' => DurationUnit::Hours,
        _ => DurationUnit::Days,
    };
    Ok((rest, TokenKind::Duration(whole.parse().unwrap_or(u64::MAX), unit)))
}

fn string(text: &str) -> IResult<&str, Found> {
    let (rest, _) = pair(char('"'), take_while(|c| c != '"' && c != '\n' && c != '\r')).parse(text)?;
    Ok(match rest.strip_prefix('"') {
        Some(rest) => (rest, Found::Token(TokenKind::Text)),
        None => (rest, Found::Wrong(Wrong::Unterminated)),
    })
}

fn sign(text: &str) -> IResult<&str, Found> {
    for &sign in Sign::ALL {
        if let Ok((rest, _)) = tag::<_, _, nom::error::Error<&str>>(sign.text()).parse(text) {
            return Ok((rest, Found::Token(TokenKind::Sign(sign))));
        }
    }
    Err(nom::Err::Error(nom::error::Error::new(text, nom::error::ErrorKind::Tag)))
}

/// Characters that begin no token: what other languages write, then anything, a run of it at once.
fn stray(text: &str, start: u32) -> (&str, Diagnostic) {
    let other_languages = [
        ("&&", "write `and`"),
        ("||", "write `or`"),
        ("//", "comments begin with `#`"),
        ("!", "write `not`"),
        (".", "numbers begin with a digit: `0.5`"),
        ("%", "`%` stands behind a number: `10%`; there is no remainder"),
        (";", "statements need no sign between them"),
        ("'", "strings stand in `\"`"),
        ("^", "there are no powers: multiply"),
    ];
    let known = other_languages.iter().find(|(sign, _)| text.starts_with(sign));
    let len = known.map_or_else(
        || {
            let run = |c: char| !c.is_ascii() || c.is_ascii_uppercase() || c.is_ascii_control();
            let len: usize = text.chars().take_while(|&c| run(c) && !c.is_ascii_whitespace()).map(char::len_utf8).sum();
            len.max(text.chars().next().map_or(1, char::len_utf8))
        },
        |(sign, _)| sign.len(),
    );
    let (found, rest) = text.split_at(len);
    let shown: String = found.chars().take(20).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let span = Span::new(start, start + u32::try_from(len).unwrap_or(u32::MAX));
    let diagnostic = Diagnostic::new(Code::STRAY_CHARACTER, format!("`{shown}` means nothing here"), span, "");
    let help = known.map_or_else(
        || found.chars().all(|c| c.is_ascii_uppercase()).then_some("names and words are lower case"),
        |(_, help)| Some(*help),
    );
    (rest, if let Some(help) = help { diagnostic.help(help) } else { diagnostic })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<TokenKind> {
        let lexed = lex(source);
        assert!(lexed.diagnostics.is_empty(), "{source}: {:?}", lexed.diagnostics);
        lexed.tokens.into_iter().map(|t| t.kind).filter(|k| *k != TokenKind::End).collect()
    }

    fn number_of(source: &str) -> f64 {
        match kinds(source)[..] {
            [TokenKind::Number { value, .. }] => value,
            ref other => panic!("{source}: {other:?}"),
        }
    }

    fn codes(source: &str) -> Vec<&'static str> {
        lex(source).diagnostics.iter().map(|d| d.code.as_str()).collect()
    }

    #[test]
    fn numbers_are_the_nearest_doubles() {
        for (text, value) in [
            ("7.1%", 0.071),
            ("10%", 0.1),
            ("0.1%", 0.001),
            ("12", 12.0),
            ("1e6", 1e6),
            ("1E-3", 1e-3),
            ("0.5", 0.5),
            ("1.7976931348623157e308", f64::MAX),
            ("4.9e-324", 5e-324),
            ("33.3%", 0.333),
            ("007", 7.0),
        ] {
            assert_eq!(number_of(text).to_bits(), value.to_bits(), "{text}");
        }
        // Dividing would be one unit in the last place away.
        assert_ne!((0.7_f64 / 100.0).to_bits(), number_of("0.7%").to_bits());
    }

    #[test]
    fn ranges_times_and_durations_are_told_apart() {
        let number = |value, whole| TokenKind::Number { value, whole };
        let range = TokenKind::Sign(Sign::Range);
        assert_eq!(kinds("0..1e15"), [number(0.0, Some(0)), range.clone(), number(1e15, None)]);
        assert_eq!(kinds("1%..50%"), [number(0.01, None), range, number(0.5, None)]);
        assert_eq!(kinds("15:25"), [TokenKind::Clock(925)]);
        assert_eq!(
            kinds("15m 2h 3d"),
            [
                TokenKind::Duration(15, DurationUnit::Minutes),
                TokenKind::Duration(2, DurationUnit::Hours),
                TokenKind::Duration(3, DurationUnit::Days),
            ]
        );
        assert_eq!(kinds("3 bars"), [number(3.0, Some(3)), TokenKind::Word(Word::Bars)]);
        assert_eq!(kinds("min: 3").len(), 3);
        assert_eq!(kinds("a->b").len(), 3);
        assert_eq!(kinds("a--1").len(), 4);
    }

    #[test]
    fn what_is_no_token_is_reported_and_skipped() {
        assert_eq!(codes("a && b"), ["E0103"]);
        assert_eq!(codes("\"open"), ["E0104"]);
        assert_eq!(codes("\"open\nrule"), ["E0104"]);
        assert_eq!(codes("1e999"), ["E0105"]);
        assert_eq!(codes("5. 1e2% 3x 12mm"), ["E0106"; 4]);
        assert_eq!(codes(".5"), ["E0103"]);
        assert_eq!(codes("9:30 24:00 12:60 123:00"), ["E0107"; 4]);
        assert_eq!(codes("\u{1b}[31m \0 日本 EQUITY"), ["E0103"; 4]);
        assert_eq!(lex("a # b \"c\n# d").comments.len(), 2);
        let words = lex("x 日本 y").tokens;
        assert_eq!(words.len(), 4);
    }
}
