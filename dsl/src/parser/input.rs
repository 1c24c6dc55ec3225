//! What the parsers read, and the small ones that all others are made of.

use std::cell::{Cell, RefCell};

use nom::IResult;
use nom::error::{ErrorKind, ParseError};

use crate::ast::Name;
use crate::diagnostic::{Code, Diagnostic};
use crate::limits::Limits;
use crate::span::{Span, Spanned};
use crate::token::{Sign, Token, TokenKind, Word};

/// Why a parser stopped.
#[derive(Debug)]
pub(super) struct Problem {
    /// Nothing where the parser was not meant, and where the lexer has said it already.
    pub(super) diagnostic: Option<Box<Diagnostic>>,
}

impl<'a> ParseError<Input<'a>> for Problem {
    fn from_error_kind(_: Input<'a>, _: ErrorKind) -> Self {
        Self { diagnostic: None }
    }

    fn append(_: Input<'a>, _: ErrorKind, other: Self) -> Self {
        other
    }
}

pub(super) type Parsed<'a, T> = IResult<Input<'a>, T, Problem>;

/// What all parsers of one source share.
pub(super) struct Context<'a> {
    source: &'a str,
    pub(super) limits: &'a Limits,
    depth: Cell<usize>,
    /// Where something was last found to be not closed: said once of a place, of the innermost.
    unclosed_at: Cell<Option<u32>>,
    /// Whether a bracket may be missing only because a string without an end has taken it.
    pub(super) string_unterminated: bool,
    diagnostics: RefCell<Vec<Diagnostic>>,
    /// Tokens passed, those that are passed twice counted twice: the work that was done.
    #[cfg(test)]
    pub(super) steps: Cell<usize>,
}

impl<'a> Context<'a> {
    pub(super) fn new(source: &'a str, limits: &'a Limits, diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            source,
            limits,
            depth: Cell::new(0),
            unclosed_at: Cell::new(None),
            string_unterminated: diagnostics.iter().any(|d| d.code == Code::UNTERMINATED_STRING),
            diagnostics: RefCell::new(diagnostics),
            #[cfg(test)]
            steps: Cell::new(0),
        }
    }

    /// What was found, in the order of the text. What was read twice is said once.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut diagnostics = self.diagnostics.into_inner();
        diagnostics.sort_by_key(|d| d.labels.first().map(|label| label.span));
        diagnostics.dedup();
        diagnostics
    }
}

/// The tokens that are left. Never empty: the last one is [`TokenKind::End`].
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    tokens: &'a [Token],
    /// The token before.
    last: Span,
    /// Whether the token before was none, so that what stands here may make no sense.
    after_wrong: bool,
    pub(super) context: &'a Context<'a>,
}

/// Stands in for a token past the end, which no parser takes.
const END: &Token = &Token { kind: TokenKind::End, span: Span::new(u32::MAX, u32::MAX) };

impl<'a> Input<'a> {
    pub(super) const fn new(tokens: &'a [Token], context: &'a Context<'a>) -> Self {
        Self { tokens, last: Span::new(0, 0), after_wrong: false, context }
    }

    pub(super) fn token(&self) -> &'a Token {
        self.tokens.first().unwrap_or(END)
    }

    pub(super) fn kind(&self) -> &'a TokenKind {
        &self.token().kind
    }

    /// The kind of the token after this one.
    pub(super) fn next_kind(&self) -> &'a TokenKind {
        &self.tokens.get(1).unwrap_or(END).kind
    }

    pub(super) fn span(&self) -> Span {
        self.token().span
    }

    /// The span from a start to the token before this one.
    pub(super) fn since(&self, start: Span) -> Span {
        start.to(self.last)
    }

    /// Past this token; stays at the end.
    #[must_use]
    pub(super) fn advance(self) -> Self {
        #[cfg(test)]
        self.context.steps.update(|steps| steps + 1);
        match self.tokens {
            [token, rest @ ..] if !rest.is_empty() => {
                Self { tokens: rest, last: token.span, after_wrong: token.kind == TokenKind::Wrong, ..self }
            }
            _ => self,
        }
    }

    pub(super) fn at_end(&self) -> bool {
        *self.kind() == TokenKind::End
    }

    pub(super) fn is(&self, sign: Sign) -> bool {
        *self.kind() == TokenKind::Sign(sign)
    }

    pub(super) fn is_word(&self, word: Word) -> bool {
        *self.kind() == TokenKind::Word(word)
    }

    pub(super) fn text(&self, span: Span) -> &'a str {
        self.context.source.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Whether this token is the first of its line.
    pub(super) fn begins_line(&self) -> bool {
        let between = self.context.source.get(self.last.end as usize..self.span().start as usize);
        between.is_some_and(|text| text.contains('\n'))
    }

    /// Reports an error. Past the limit nobody will be shown it.
    pub(super) fn report(&self, diagnostic: Diagnostic) {
        let mut diagnostics = self.context.diagnostics.borrow_mut();
        if diagnostics.len() <= self.context.limits.diagnostics.saturating_add(crate::lexer::MOST_MISTAKES) {
            diagnostics.push(diagnostic);
        }
    }

    /// Reports what made a parser fail.
    pub(super) fn report_problem(&self, problem: Option<nom::Err<Problem>>) {
        if let Some(nom::Err::Failure(Problem { diagnostic: Some(diagnostic) })) = problem {
            self.report(*diagnostic);
        }
    }

    /// This token in the words of a message.
    pub(super) fn found(&self) -> String {
        match self.kind() {
            TokenKind::End => "the end of the file".to_owned(),
            TokenKind::Text => "a string".to_owned(),
            _ => format!("`{}`", self.text(self.span()).chars().take(40).collect::<String>()),
        }
    }

    /// Fails here. What the lexer has reported is not reported again.
    pub(super) fn fail<T>(&self, diagnostic: Diagnostic) -> Parsed<'a, T> {
        let known = self.after_wrong || *self.kind() == TokenKind::Wrong;
        Err(nom::Err::Failure(Problem { diagnostic: (!known).then(|| Box::new(diagnostic)) }))
    }

    /// Fails here, saying what was expected.
    pub(super) fn expected<T>(&self, what: &str) -> Parsed<'a, T> {
        self.fail(self.unexpected(what, None))
    }

    /// What was expected here, and what to do.
    pub(super) fn unexpected(&self, what: &str, help: Option<&str>) -> Diagnostic {
        let message = format!("expected {what}, found {}", self.found());
        let diagnostic = Diagnostic::new(Code::UNEXPECTED, message, self.span(), format!("expected {what}"));
        if let Some(help) = help { diagnostic.help(help) } else { diagnostic }
    }

    /// Runs a parser one level deeper; fails past the limit, before it recurses.
    pub(super) fn nested<T>(self, parser: impl FnOnce(Self) -> Parsed<'a, T>) -> Parsed<'a, T> {
        let depth = self.context.depth.get();
        if depth == self.context.limits.nesting {
            let message = format!("more than {depth} expressions or blocks inside each other");
            let diagnostic = Diagnostic::new(Code::TOO_DEEP, message, self.span(), "too deep here");
            return self.fail(diagnostic.help("give inner parts a name with `let`"));
        }
        self.context.depth.set(depth + 1);
        let parsed = parser(self);
        self.context.depth.set(depth);
        parsed
    }
}

/// Not here: another alternative may try.
pub(super) const fn not_here<'a, T>() -> Parsed<'a, T> {
    Err(nom::Err::Error(Problem { diagnostic: None }))
}

/// A sign, if it is here.
pub(super) fn sign<'a>(sign: Sign) -> impl Fn(Input<'a>) -> Parsed<'a, Span> {
    move |i| if i.is(sign) { Ok((i.advance(), i.span())) } else { not_here() }
}

/// A word, if it is here.
pub(super) fn word<'a>(word: Word) -> impl Fn(Input<'a>) -> Parsed<'a, Span> {
    move |i| if i.is_word(word) { Ok((i.advance(), i.span())) } else { not_here() }
}

/// A sign that must be here.
pub(super) fn need<'a>(sign: Sign) -> impl Fn(Input<'a>) -> Parsed<'a, Span> {
    move |i| {
        if i.is(sign) {
            return Ok((i.advance(), i.span()));
        }
        i.expected(&format!("`{}`", sign.text()))
    }
}

/// A word that must be here.
pub(super) fn need_word<'a>(word: Word) -> impl Fn(Input<'a>) -> Parsed<'a, Span> {
    move |i| if i.is_word(word) { Ok((i.advance(), i.span())) } else { i.expected(&format!("`{}`", word.text())) }
}

/// The partner of an opened bracket.
pub(super) fn close<'a>(sign: Sign, opened: Span) -> impl Fn(Input<'a>) -> Parsed<'a, Span> {
    closing(sign, opened, "")
}

/// The `)` of a list, in which a comma could stand as well.
pub(super) fn close_list<'a>(opened: Span) -> impl Fn(Input<'a>) -> Parsed<'a, Span> {
    closing(Sign::Close, opened, "`,` or ")
}

fn closing<'a>(sign: Sign, opened: Span, or: &'static str) -> impl Fn(Input<'a>) -> Parsed<'a, Span> {
    move |i| {
        if i.is(sign) {
            return Ok((i.advance(), i.span()));
        }
        let known = i.context.unclosed_at.replace(Some(i.span().start)) == Some(i.span().start);
        if known || i.context.string_unterminated {
            return Err(nom::Err::Failure(Problem { diagnostic: None }));
        }
        let expected = format!("expected {or}`{}`", sign.text());
        let message = format!("{expected}, found {}", i.found());
        i.fail(Diagnostic::new(Code::UNCLOSED, message, i.span(), expected).related(opened, "opened here"))
    }
}

/// A name that must be here; `what` says of what.
pub(super) fn name<'a>(what: &str) -> impl Fn(Input<'a>) -> Parsed<'a, Name> {
    move |i| match i.kind() {
        TokenKind::Name => {
            // Capitals have been reported; the name that was meant has none.
            let mut text = i.text(i.span()).to_ascii_lowercase();
            let most = i.context.limits.name_bytes;
            if text.len() > most {
                let message = format!("a name has at most {most} bytes, not {}", text.len());
                i.report(Diagnostic::new(Code::NAME_TOO_LONG, message, i.span(), "too long"));
                text = text.char_indices().take_while(|(at, _)| *at < most).map(|(_, c)| c).collect();
            }
            Ok((i.advance(), Spanned::new(text, i.span())))
        }
        TokenKind::Word(word) => i.fail(reserved(*word, i.span(), what)),
        _ => i.expected(what),
    }
}

/// A word of the grammar where a name is meant; `what` says of what.
pub(super) fn reserved(word: Word, span: Span, what: &str) -> Diagnostic {
    let message = format!("`{}` is a reserved word and cannot be {what}", word.text());
    Diagnostic::new(Code::RESERVED_WORD, message, span, "reserved").help("choose another name")
}

/// A string that must be here, without its quotes; the span has them.
pub(super) fn text<'a>(what: &str) -> impl Fn(Input<'a>) -> Parsed<'a, Spanned<String>> {
    move |i| match i.kind() {
        TokenKind::Text => {
            let quoted = i.text(i.span());
            let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
            Ok((i.advance(), Spanned::new(inside.to_owned(), i.span())))
        }
        // One without an end, reported by the lexer: what it says is not known.
        TokenKind::Wrong => Ok((i.advance(), Spanned::new(String::new(), i.span()))),
        _ => i.expected(what),
    }
}

/// A whole number that must be here.
pub(super) fn whole<'a>(what: &str) -> impl Fn(Input<'a>) -> Parsed<'a, Spanned<u64>> {
    move |i| match i.kind() {
        TokenKind::Number { whole: Some(value), .. } => Ok((i.advance(), Spanned::new(*value, i.span()))),
        _ => i.expected(what),
    }
}
