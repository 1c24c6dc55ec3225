//! Diagnostics as text for people: the sentence, the line with its places marked, what to do.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level as Title, Renderer, Snippet};

use super::{Diagnostic, Diagnostics, Level};
use crate::span::Span;

/// Columns that the renderer trims long lines to.
const WIDTH: usize = 120;
/// Bytes of a source that are looked at for one diagnostic.
const MOST_SHOWN: usize = 256 * 1024;
/// Bytes of a line past which the places of a diagnostic are shown apart: together they could not be trimmed.
const LONG_LINE: usize = 1_000;
/// Bytes of a place that are marked on a long line.
const MOST_MARKED: usize = 60;

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
        Level::Warning => Title::WARNING,
        Level::Error => Title::ERROR,
    };
    let path: String = file_name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let kinds = std::iter::once(AnnotationKind::Primary).chain(std::iter::repeat(AnnotationKind::Context));
    let places = diagnostic.labels.iter().zip(kinds);
    let mut places: Vec<_> =
        places.map(|(label, kind)| Place { kind, span: inside(source, label.span), text: &label.text }).collect();
    let lines = source.get(window(&places, source)).unwrap_or_default();
    let snippets = if lines.split('\n').all(|line| line.len() <= LONG_LINE) {
        vec![snippet(&places, source, &path)]
    } else {
        for place in &mut places {
            let most = u32::try_from(place.span.start + MOST_MARKED).unwrap_or(u32::MAX);
            place.span.end = place.span.end.min(inside(source, Span::new(most, most)).end);
        }
        places.chunks(1).map(|place| snippet(place, source, &path)).collect()
    };
    let title = title.primary_title(visible(&diagnostic.message)).id(diagnostic.code.as_str());
    let group = title.elements(snippets);
    match &diagnostic.help {
        Some(help) => group.element(Title::HELP.message(visible(help))),
        None => group,
    }
}

/// A label, at a place that is in the source.
struct Place<'a> {
    kind: AnnotationKind,
    span: Range<usize>,
    text: &'a str,
}

/// The lines of some places, marked.
fn snippet<'a>(places: &[Place<'a>], source: &'a str, path: &str) -> Snippet<'a, Annotation<'a>> {
    let window = window(places, source);
    let line = source.get(..window.start).map_or(1, |before| before.matches('\n').count() + 1);
    let shown = source.get(window.clone()).unwrap_or_default();
    let within = |at: usize| at.clamp(window.start, window.end) - window.start;
    let annotations = places.iter().map(|place| {
        let annotation = place.kind.span(within(place.span.start)..within(place.span.end));
        let text = visible(place.text);
        if text.is_empty() { annotation } else { annotation.label(text) }
    });
    Snippet::source(visible(shown)).path(path.to_owned()).line_start(line).annotations(annotations)
}

/// The lines of the source in which some places are, bounded: what is said of a huge source is said of its beginning.
fn window(places: &[Place<'_>], source: &str) -> Range<usize> {
    let first = places.iter().map(|place| place.span.start).min().unwrap_or(0);
    let last = places.iter().map(|place| place.span.end).max().unwrap_or(0);
    let start = source.get(..first).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let end = source.get(last..).and_then(|after| after.find('\n')).map_or(source.len(), |at| last + at);
    if end - start <= MOST_SHOWN {
        return start..end;
    }
    let most = u32::try_from(start + MOST_SHOWN).unwrap_or(u32::MAX);
    start..inside(source, Span::new(most, most)).end
}

/// Text without characters that a terminal would obey instead of showing: each becomes one of the same length in bytes,
/// so that places stay right. (The renderer itself pictures those below U+0020.)
fn visible(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| matches!(c, '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}');
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .map(|c| {
                if !obeyed(c) {
                    c
                } else if c.len_utf8() == 2 {
                    '¿'
                } else {
                    '\u{fffd}'
                }
            })
            .collect(),
    )
}

/// A span that lies inside the source and on boundaries of characters, whatever it was.
fn inside(source: &str, span: Span) -> Range<usize> {
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
            "rule r(a) = \u{9b}31m a > 1",
            "rule r(a) { breach \"\u{9b}31m\u{2028}\" }",
            "clock \"\u{9b}31m\" day 00:00\nrule r(a) = a > 1",
            "",
            &format!("rule r(a) = {} b", "a and ".repeat(5_000)),
        ] {
            let text = rendered(source);
            let obeyed = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{2028}'..='\u{202e}');
            assert!(!text.contains(obeyed), "{text:?}");
            assert!(text.len() < 20_000, "{} bytes", text.len());
        }
        let name = render(&crate::source::text(b"\xff", &Limits::DEFAULT).unwrap_err(), "", "\u{1b}[31m\u{9b}", false);
        assert!(!name.contains(['\u{1b}', '\u{9b}']), "{name:?}");
        let long = format!("rule r(a) {{ let x = max({} }}", "a, ".repeat(10_000));
        assert!(rendered(&long).len() < 2_000, "{}", rendered(&long));
        let far = Diagnostics(vec![Diagnostic::new(crate::diagnostic::Code::NOT_UTF8, "x", Span::new(90, 99), "")]);
        assert!(render(&far, "é", "f", true).contains("E0102"));
    }
}
