//! Messages: text with `{name}`, `{name:.2}` and `{name:.2%}`.

use super::Checker;
use super::expr::Place;
use crate::ast;
use crate::diagnostic::{Code, Diagnostic};
use crate::span::{Span, Spanned};
use crate::typed::{Base, MessagePart, ValueFormat};

/// The most decimals that a placeholder can ask for.
const MOST_DECIMALS: u8 = 12;

impl Checker<'_> {
    /// The parts of a message; `message.span` covers its quotes if it has them.
    pub(super) fn message(&mut self, message: &Spanned<String>) -> Option<Vec<MessagePart>> {
        let text = &message.value;
        if text.len() > self.limits.message_bytes {
            let most = self.limits.message_bytes;
            let wrong = format!("a message has at most {most} bytes, not {}", text.len());
            return self.error(Code::BAD_MESSAGE, wrong, message.span, "shorten it");
        }
        let quote = usize::from(self.text(message.span).starts_with('"'));
        let base = message.span.start as usize + quote;
        let at = |from: usize, to: usize| Span::new(super::index(base + from), super::index(base + to));
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut wrong = false;
        let mut rest = 0;
        while let Some(found) = text.get(rest..).and_then(|t| t.find(['{', '}'])) {
            let brace = rest + found;
            plain.push_str(text.get(rest..brace).unwrap_or_default());
            let tail = text.get(brace..).unwrap_or_default();
            if let Some((_, one)) = [("{{", '{'), ("}}", '}')].into_iter().find(|(two, _)| tail.starts_with(two)) {
                plain.push(one);
                rest = brace + 2;
                continue;
            }
            let end = tail.find('}').filter(|_| tail.starts_with('{'));
            let Some(end) = end else {
                wrong = true;
                let help = if tail.starts_with('{') {
                    "close it with `}`, or write `{{` for a brace"
                } else {
                    "write `}}` for a brace"
                };
                self.report(
                    Diagnostic::new(Code::BAD_MESSAGE, "a brace without its partner", at(brace, brace + 1), "")
                        .help(help),
                );
                rest = brace + 1;
                continue;
            };
            let inside = tail.get(1..end).unwrap_or_default();
            if !plain.is_empty() {
                parts.push(MessagePart::Text(std::mem::take(&mut plain)));
            }
            match self.placeholder(inside, at(brace + 1, brace + end)) {
                Some(part) => parts.push(part),
                None => wrong = true,
            }
            rest = brace + end + 1;
        }
        plain.push_str(text.get(rest..).unwrap_or_default());
        if !plain.is_empty() {
            parts.push(MessagePart::Text(plain));
        }
        (!wrong).then_some(parts)
    }

    fn placeholder(&mut self, inside: &str, span: Span) -> Option<MessagePart> {
        let (name, format) = match inside.split_once(':') {
            Some((name, format)) => (name, Some(format)),
            None => (inside, None),
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !is_name {
            self.report(
                Diagnostic::new(Code::BAD_MESSAGE, "a message shows names alone", span, "")
                    .help("give the value a name with `let`, and show that; `{{` and `}}` are braces"),
            );
            return None;
        }
        let name_span = Span::new(span.start, span.start + super::index(name.len()));
        let value =
            self.expr(&ast::Expr { kind: ast::ExprKind::Name(name.to_owned()), span: name_span }, Place::Free)?;
        let format = match format {
            None => ValueFormat::Plain,
            Some(format) => {
                let Some(parsed) = parse_format(format) else {
                    self.report(
                        Diagnostic::new(
                            Code::BAD_MESSAGE,
                            format!("`:{}` is no format", super::presence::shorten(format)),
                            span,
                            "",
                        )
                        .help(format!("write `:.2` for decimals or `:.2%` for percents, 0 to {MOST_DECIMALS}")),
                    );
                    return None;
                };
                if value.ty.base != Base::Num {
                    return self.error(
                        Code::MESSAGE_FORMAT,
                        format!("`{name}` is not a number"),
                        span,
                        "takes no format",
                    );
                }
                parsed
            }
        };
        let column = self.rule.message_values;
        if column as usize == self.limits.placeholders {
            let message = format!("messages show more than {} values", self.limits.placeholders);
            self.over_limit(Code::TOO_MANY_PLACEHOLDERS, message, span, "show fewer");
            return None;
        }
        self.rule.message_values += 1;
        Some(MessagePart::Value { column, name: name.to_owned(), value, format })
    }
}

/// `.2` or `.2%`.
fn parse_format(format: &str) -> Option<ValueFormat> {
    let digits = format.strip_prefix('.')?;
    let (digits, percent) = digits.strip_suffix('%').map_or((digits, false), |d| (d, true));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let decimals = digits.parse().ok().filter(|&d| d <= MOST_DECIMALS)?;
    Some(if percent { ValueFormat::Percent(decimals) } else { ValueFormat::Decimals(decimals) })
}
