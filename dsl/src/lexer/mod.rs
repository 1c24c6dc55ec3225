//! Text to tokens and comments. What is no token is reported, and where its meaning is plain (`&&`, `EQUITY`, `.5`)
//! the parser gets the token that was meant, so that one mistake is one error.

mod mistake;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, digit1, one_of, satisfy};
use nom::combinator::{not, opt, recognize};
use nom::sequence::pair;
use nom::{IResult, Parser};

use crate::ast::DurationUnit;
use crate::diagnostic::Diagnostic;
use crate::span::Span;
use crate::token::{Sign, Token, TokenKind, Word};
use mistake::{Mistake, foreign, hidden};

/// Mistakes after which a source is read no further: far more than anybody is shown.
pub(crate) const MOST_MISTAKES: usize = 1_000;

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

/// What stands at one place.
enum Found {
    Comment,
    Token(TokenKind),
    /// Something wrong, and the token that stands for it.
    Wrong(Mistake, TokenKind),
    /// Something wrong that the parser need not know of.
    Nothing(Mistake),
}

/// Splits a source into tokens, in linear time.
pub fn lex(source: &str) -> Lexed {
    let mut lexed = Lexed::default();
    let offset = |rest: &str| u32::try_from(source.len() - rest.len()).unwrap_or(u32::MAX);
    // Some editors begin a file with a byte order mark.
    let mut rest = source.strip_prefix('\u{feff}').unwrap_or(source);
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let start = offset(rest);
        if rest.is_empty() || lexed.diagnostics.len() >= MOST_MISTAKES {
            lexed.tokens.push(Token { kind: TokenKind::End, span: Span::new(start, start) });
            return lexed;
        }
        let (after, found) = token(rest).unwrap_or_else(|_| foreign(rest));
        let text = rest.get(..rest.len() - after.len()).unwrap_or_default();
        let span = Span::new(start, offset(after));
        if matches!(found, Found::Comment | Found::Token(TokenKind::Text)) {
            lexed.diagnostics.extend(hidden(text, start));
        }
        let (mistake, kind) = match found {
            Found::Comment => {
                lexed.comments.push(span);
                (None, None)
            }
            Found::Token(kind) => (None, Some(kind)),
            Found::Wrong(mistake, kind) => (Some(mistake), Some(kind)),
            Found::Nothing(mistake) => (Some(mistake), None),
        };
        lexed.diagnostics.extend(mistake.map(|mistake| mistake.diagnostic(span, text)));
        lexed.tokens.extend(kind.map(|kind| Token { kind, span }));
        rest = after;
    }
}

fn token(text: &str) -> IResult<&str, Found> {
    alt((comment, word, clock, number, string, sign)).parse(text)
}

fn comment(text: &str) -> IResult<&str, Found> {
    pair(char('#'), take_while(|c| c != '\n')).map(|_| Found::Comment).parse(text)
}

/// A letter of any script, so that a word which is no name is one mistake.
fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(text: &str) -> IResult<&str, Found> {
    let (rest, written) = recognize(pair(satisfy(is_word_start), take_while(is_word_part))).parse(text)?;
    let kind = |name: &str| Word::find(name).map_or(TokenKind::Name, TokenKind::Word);
    let found = if !written.is_ascii() {
        Found::Wrong(Mistake::NotAscii, TokenKind::Name)
    } else if written.bytes().any(|b| b.is_ascii_uppercase()) {
        Found::Wrong(Mistake::UpperCase, kind(&written.to_ascii_lowercase()))
    } else {
        Found::Token(kind(written))
    };
    Ok((rest, found))
}

/// `HH:MM`. One digit less or more is a wrong time rather than a number, a colon and a number.
fn clock(text: &str) -> IResult<&str, Found> {
    let (rest, (hours, _, minutes)) = (digit1, char(':'), digit1).parse(text)?;
    let two = |digits: &str, most: u16| digits.parse().ok().filter(|n: &u16| digits.len() == 2 && *n <= most);
    let found = match (two(hours, 23), two(minutes, 59)) {
        (Some(h), Some(m)) => Found::Token(TokenKind::Clock(h * 60 + m)),
        _ => Found::Wrong(Mistake::NoTime, TokenKind::Wrong),
    };
    Ok((rest, found))
}

/// `.25`, with its point.
fn fraction(text: &str) -> IResult<&str, &str> {
    recognize(pair(char('.'), digit1)).parse(text)
}

/// `e-6`.
fn exponent(text: &str) -> IResult<&str, &str> {
    recognize((one_of("eE"), opt(one_of("+-")), digit1)).parse(text)
}

/// The double nearest to the decimal value: `7.1%` is read as 7.1e-2, not divided by 100. None if it is not finite.
fn value(digits: &str) -> Option<f64> {
    let value = match digits.strip_suffix('%') {
        Some(digits) => format!("{digits}e-2").parse(),
        None => digits.parse::<f64>(),
    };
    value.ok().filter(|value| value.is_finite())
}

fn number(text: &str) -> IResult<&str, Found> {
    let wrong = |rest, mistake| Ok((rest, Found::Wrong(mistake, TokenKind::Wrong)));
    let (rest, whole) = digit1(text)?;
    let (rest, (fraction, power, percent)) = (opt(fraction), opt(exponent), opt(char('%'))).parse(rest)?;
    let plain = fraction.is_none() && power.is_none() && percent.is_none();
    if plain {
        // `5.` is wrong, but `0..1` is a range.
        let point = pair(char::<&str, nom::error::Error<&str>>('.'), not(one_of(".0123456789"))).parse(rest);
        if let Some((after, value)) = point.ok().zip(value(whole)).map(|((after, _), value)| (after, value)) {
            return Ok((after, Found::Wrong(Mistake::NoDigitAfterPoint, TokenKind::Number { value, whole: None })));
        }
        if let Ok((after, duration)) = duration(whole, rest) {
            return Ok((after, Found::Token(duration)));
        }
    }
    if let Ok((after, _)) = take_while1::<_, _, nom::error::Error<&str>>(is_word_part).parse(rest) {
        return wrong(after, Mistake::JoinedToWord);
    }
    if power.is_some() && percent.is_some() {
        return wrong(rest, Mistake::ExponentBeforePercent);
    }
    let Some(value) = value(text.get(..text.len() - rest.len()).unwrap_or_default()) else {
        return wrong(rest, Mistake::NotFinite);
    };
    let whole = plain.then(|| whole.parse().unwrap_or(u64::MAX));
    Ok((rest, Found::Token(TokenKind::Number { value, whole })))
}

/// The unit of a duration, if no name goes on behind it.
fn duration<'a>(whole: &str, rest: &'a str) -> IResult<&'a str, TokenKind> {
    let (rest, (unit, ())) = (one_of("mhd"), not(satisfy(is_word_part))).parse(rest)?;
    let unit = match unit {
        'm' => DurationUnit::Minutes,
        'h' => DurationUnit::Hours,
        _ => DurationUnit::Days,
    };
    Ok((rest, TokenKind::Duration(whole.parse().unwrap_or(u64::MAX), unit)))
}

fn string(text: &str) -> IResult<&str, Found> {
    let (rest, _) = pair(char('"'), take_while(|c| c != '"' && c != '\n' && c != '\r')).parse(text)?;
    if let Some(rest) = rest.strip_prefix('"') {
        return Ok((rest, Found::Token(TokenKind::Text)));
    }
    let line = text.get(..text.len() - rest.len()).unwrap_or(text);
    let rest = text.get(mistake::likely_end(line)..).unwrap_or(rest);
    Ok((rest, Found::Wrong(Mistake::Unterminated, TokenKind::Wrong)))
}

fn sign(text: &str) -> IResult<&str, Found> {
    // Two slashes are never two divisions.
    let (text, ()) = not(tag("//")).parse(text)?;
    for &sign in Sign::ALL {
        if let Ok((rest, _)) = tag::<_, _, nom::error::Error<&str>>(sign.text()).parse(text) {
            return Ok((rest, Found::Token(TokenKind::Sign(sign))));
        }
    }
    Err(nom::Err::Error(nom::error::Error::new(text, nom::error::ErrorKind::Tag)))
}

#[cfg(test)]
mod tests;
