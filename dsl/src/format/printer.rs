//! Lines, comments and blank lines.

use crate::lexer::Lexed;
use crate::span::Span;
use crate::token::{Sign, Token, TokenKind, Word};

/// Columns that a line of code should not pass.
pub(super) const WIDTH: usize = 100;
/// Columns up to which what the author put on one line stays there.
pub(super) const ONE_LINE: usize = 120;

/// Writes lines, and puts the comments back where they stood.
pub(super) struct Printer<'s> {
    source: &'s str,
    tokens: &'s [Token],
    comments: &'s [Span],
    lines: Vec<String>,
    pub(super) indent: usize,
    /// Where the last thing that was written ends in the source.
    last: u32,
    /// Whether a blank line may come: not at the start of a block.
    blank_allowed: bool,
    /// Whether the last line ends with a comment, behind which nothing can stand.
    commented: bool,
}

impl<'s> Printer<'s> {
    pub(super) fn new(source: &'s str, lexed: &'s Lexed) -> Self {
        Self {
            source,
            tokens: &lexed.tokens,
            comments: &lexed.comments,
            lines: Vec::new(),
            indent: 0,
            last: 0,
            blank_allowed: false,
            commented: false,
        }
    }

    pub(super) fn text(&self, span: Span) -> &'s str {
        self.source.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The tokens of a span, without what stands between them.
    pub(super) fn words(&self, span: Span, separator: &str) -> String {
        let first = self.tokens.partition_point(|token| token.span.start < span.start);
        let inside = self.tokens.iter().skip(first).take_while(|token| token.span.end <= span.end);
        inside.map(|token| self.text(token.span)).collect::<Vec<_>>().join(separator)
    }

    fn newlines(&self, from: u32, to: u32) -> usize {
        self.source.get(from as usize..to as usize).map_or(0, |text| text.matches('\n').count())
    }

    /// Whether these places stand on one line of the source.
    pub(super) fn on_one_line(&self, from: u32, to: u32) -> bool {
        self.newlines(from, to) == 0
    }

    /// Whether a comment stands before this place and has not been written.
    pub(super) fn comment_before(&self, end: u32) -> bool {
        self.comments.first().is_some_and(|comment| comment.start < end)
    }

    /// Whether a comment stands between these places.
    pub(super) fn comment_between(&self, from: u32, to: u32) -> bool {
        self.comments.iter().any(|comment| comment.start >= from && comment.start < to)
    }

    /// Writes the comments that stand before `end`, and a blank line if there is one before `start`.
    pub(super) fn lead(&mut self, start: u32, end: u32) {
        while let Some((&comment, rest)) = self.comments.split_first() {
            if comment.start >= end {
                break;
            }
            self.comments = rest;
            let text = self.text(comment).trim_end();
            let behind = self.on_one_line(self.last, comment.start.max(self.last));
            match self.lines.last_mut() {
                Some(line) if behind && !self.commented => {
                    line.push_str("  ");
                    line.push_str(text);
                }
                _ => {
                    self.blank_before(comment.start);
                    self.lines.push(format!("{}{text}", " ".repeat(self.indent)));
                }
            }
            self.commented = true;
            self.blank_allowed = true;
            self.last = self.last.max(comment.end);
        }
        self.blank_before(start);
    }

    fn blank_before(&mut self, start: u32) {
        if self.blank_allowed && self.newlines(self.last, start) > 1 {
            self.lines.push(String::new());
            self.blank_allowed = false;
            self.commented = false;
        }
    }

    /// Writes a line, which ends at `end` in the source.
    pub(super) fn line(&mut self, text: &str, end: u32) {
        self.lines.push(format!("{}{text}", " ".repeat(self.indent)));
        self.last = end;
        self.blank_allowed = true;
        self.commented = false;
    }

    /// Adds to the last line.
    pub(super) fn append(&mut self, text: &str, end: u32) {
        match self.lines.last_mut() {
            Some(line) => line.push_str(text),
            None => self.lines.push(text.to_owned()),
        }
        self.last = self.last.max(end);
        self.blank_allowed = true;
    }

    /// Columns of the last line.
    pub(super) fn last_width(&self) -> usize {
        self.lines.last().and_then(|line| line.lines().last()).map_or(0, |line| line.chars().count())
    }

    /// Takes the space from the end of the last line.
    pub(super) fn trim_space(&mut self) {
        if let Some(line) = self.lines.last_mut() {
            line.truncate(line.trim_end().len());
        }
    }

    /// Where the token before this place starts.
    pub(super) fn word_before(&self, place: u32) -> u32 {
        let at = self.tokens.partition_point(|token| token.span.start < place);
        at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(place, |token| token.span.start)
    }

    /// Begins a block: its lines are indented, and no blank line comes first.
    pub(super) fn enter(&mut self) {
        self.indent += 2;
        self.blank_allowed = false;
    }

    /// Ends a block whose `}` stands at `close`.
    pub(super) fn leave(&mut self, close: Span) {
        self.blank_allowed = false;
        self.lead(close.start, close.start);
        self.indent = self.indent.saturating_sub(2);
        self.line("}", close.end);
    }

    /// The first token from `from` on that is this sign; the end of the source if there is none.
    pub(super) fn sign_after(&self, from: u32, sign: Sign) -> Span {
        self.token_after(from, |kind| *kind == TokenKind::Sign(sign))
    }

    /// The first token from `from` on that is this word.
    pub(super) fn word_after(&self, from: u32, word: Word) -> Span {
        self.token_after(from, |kind| *kind == TokenKind::Word(word))
    }

    fn token_after(&self, from: u32, wanted: impl Fn(&TokenKind) -> bool) -> Span {
        let first = self.tokens.partition_point(|token| token.span.start < from);
        let mut rest = self.tokens.iter().skip(first);
        let end = u32::try_from(self.source.len()).unwrap_or(u32::MAX);
        rest.find(|token| wanted(&token.kind)).map_or(Span::new(end, end), |token| token.span)
    }

    /// The text, with the comments behind everything.
    pub(super) fn finish(mut self) -> String {
        let end = u32::try_from(self.source.len()).unwrap_or(u32::MAX);
        self.lead(self.last, end);
        let mut text = self.lines.join("\n");
        text.push('\n');
        text
    }
}
