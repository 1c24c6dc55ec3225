//! Diagnostics as text for people: the sentence, the line with its places marked, what to do.

use annotate_snippets::{AnnotationKind, Group, Level as Title, Renderer, Snippet};

use super::{Diagnostic, Diagnostics, Level};
use crate::span::Span;

/// Columns that the renderer trims long lines to.
const WIDTH: usize = 120;

/// Renders diagnostics of one source, with a blank line between them. Control characters of the source are shown as
/// pictures, never sent to the terminal.
pub fn render(diagnostics: &Diagnostics, source: &str, file_name: &str, color: bool) -> String {
    render_all(&diagnostics.0, source, file_name, color)
}

/// As [`render`], of warnings too.
pub fn render_all(diagnostics: &[Diagnostic], source: &str, file_name: &str, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.term_width(WIDTH);
    let one = |diagnostic: &Diagnostic| renderer.render(&[group(diagnostic, source, file_name)]);
    diagnostics.iter().map(one).collect::<Vec<_>>().join("\n\n")
}

fn group<'a>(diagnostic: &'a Diagnostic, source: &'a str, file_name: &'a str) -> Group<'a> {
    let title = match diagnostic.level() {
        Level::Error => Title::ERROR,
        Level::Warning => Title::WARNING,
    };
    let mut snippet = Snippet::source(source).path(file_name);
    for (at, label) in diagnostic.labels.iter().enumerate() {
        let kind = if at == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
        let annotation = kind.span(inside(source, label.span));
        snippet = snippet.annotation(if label.text.is_empty() { annotation } else { annotation.label(&label.text) });
    }
    let group = title.primary_title(&diagnostic.message).id(diagnostic.code.as_str()).element(snippet);
    match &diagnostic.help {
        Some(help) => group.element(Title::HELP.message(help)),
        None => group,
    }
}

/// A span that lies inside the source and on boundaries of characters, whatever it was.
fn inside(source: &str, span: Span) -> std::ops::Range<usize> {
    let boundary = |at: u32| {
        let at = (at as usize).min(source.len());
        (0..=at).rev().find(|&i| source.is_char_boundary(i)).unwrap_or(0)
    };
    let start = boundary(span.start);
    start..boundary(span.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn rendered(source: &str) -> String {
        let diagnostics = crate::check_source(source, &Limits::DEFAULT).unwrap_err();
        render(&diagnostics, source, "daily.rule", false)
    }

    #[test]
    fn the_sentence_the_place_and_what_to_do() {
        let source = "edition 1\nrule daily(equity) {\n  if equity[1] < equity { warn \"up\" }\n  if equty > 1 { breach \"x\" }\n}\n";
        insta::assert_snapshot!(rendered(source), @r#"
        error[E0312]: `equity[1]` may be missing
         --> daily.rule:3:6
          |
        3 |   if equity[1] < equity { warn "up" }
          |      ^^^^^^^^^ num?: bar 0 has no previous bar
          |
          = help: write `(equity[1] ?? equity) < equity`

        error[E0301]: there is no `equty` here
         --> daily.rule:4:6
          |
        4 |   if equty > 1 { breach "x" }
          |      ^^^^^
          |
          = help: did you mean `equity`?
        "#);
    }

    #[test]
    fn hostile_text_stays_text() {
        for source in [
            "rule r(a) = \u{1b}[31m\u{7}a > 1",
            "rule r(a) = a > \"\u{202e}x\"",
            "\t\trule r(a) = b > 1",
            "rule r(日本) = a",
            "",
            &format!("rule r(a) = {} b", "a and ".repeat(5_000)),
        ] {
            let text = rendered(source);
            assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
            assert!(text.len() < 20_000, "{} bytes", text.len());
        }
        let far = Diagnostics(vec![Diagnostic::new(crate::diagnostic::Code::NOT_UTF8, "x", Span::new(90, 99), "")]);
        assert!(render(&far, "é", "f", true).contains("E0102"));
    }
}
