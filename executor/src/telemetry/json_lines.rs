//! Log lines as JSON objects, written straight into the line.
//!
//! The subscriber's own format reads the fields of a span again, as JSON, for every line and for every field that is
//! recorded later. There is a line for each request, so here they are written once, as the text that lines then quote.

use std::fmt::{self, Debug, Display, Write};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes events, with the span that they are in.
#[derive(Clone, Copy, Debug)]
pub(super) struct JsonLines;

/// Writes the fields of spans: `,"name":value` each. A field is recorded once.
#[derive(Clone, Copy, Debug)]
pub(super) struct JsonFields;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        line.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut line)?;
        write!(line, r#"","level":"{}""#, event.metadata().level())?;
        let mut fields = Fields::new(&mut line);
        event.record(&mut fields);
        let of_log = fields.done()?;
        line.write_str(r#","target":"#)?;
        string(&mut line, of_log.as_deref().unwrap_or(event.metadata().target()))?;
        if let Some(span) = context.lookup_current() {
            line.write_str(r#","span":{"name":"#)?;
            string(&mut line, span.name())?;
            if let Some(fields) = span.extensions().get::<FormattedFields<JsonFields>>() {
                line.write_str(&fields.fields)?;
            }
            line.write_char('}')?;
        }
        line.write_str("}\n")
    }
}

impl<'w> FormatFields<'w> for JsonFields {
    fn format_fields<R: RecordFields>(&self, mut to: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Fields::new(&mut to);
        fields.record(&mut visitor);
        visitor.done().map(drop)
    }

    fn add_fields(&self, before: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        self.format_fields(before.as_writer(), fields)
    }
}

/// Writes fields one after the other, each with a comma before it.
struct Fields<'a, 'w> {
    to: &'a mut Writer<'w>,
    written: fmt::Result,
    /// What logged a line of the `log` crate.
    target: Option<String>,
}

impl<'a, 'w> Fields<'a, 'w> {
    const fn new(to: &'a mut Writer<'w>) -> Self {
        Self { to, written: Ok(()), target: None }
    }

    fn done(self) -> Result<Option<String>, fmt::Error> {
        self.written.map(|()| self.target)
    }

    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'w>) -> fmt::Result) {
        // Lines of the `log` crate have these beside their message.
        if self.written.is_err() || field.name().starts_with("log.") {
            return;
        }
        self.written = (|| {
            self.to.write_char(',')?;
            string(self.to, field.name())?;
            self.to.write_char(':')?;
            value(self.to)
        })();
    }

    fn plain(&mut self, field: &Field, value: impl Display) {
        self.write(field, |to| write!(to, "{value}"));
    }
}

impl Visit for Fields<'_, '_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no other numbers.
        if value.is_finite() { self.plain(field, value) } else { self.write(field, |to| to.write_str("null")) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.target = Some(value.to_owned());
        }
        self.write(field, |to| string(to, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, |to| {
            to.write_char('"')?;
            write!(Escaped(to), "{value:?}")?;
            to.write_char('"')
        });
    }
}

/// A string of JSON.
fn string(to: &mut Writer<'_>, text: &str) -> fmt::Result {
    to.write_char('"')?;
    Escaped(to).write_str(text)?;
    to.write_char('"')
}

/// What is written becomes the inside of a string of JSON.
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while let Some(at) = text.find(|c| matches!(c, '"' | '\\' | '\0'..='\x1f')) {
            let (clean, rest) = text.split_at(at);
            self.0.write_str(clean)?;
            let mut rest = rest.chars();
            match rest.next() {
                Some('\n') => self.0.write_str("\\n")?,
                Some('\t') => self.0.write_str("\\t")?,
                Some('\r') => self.0.write_str("\\r")?,
                Some(c @ ('"' | '\\')) => write!(self.0, "\\{c}")?,
                Some(c) => write!(self.0, "\\u{:04x}", u32::from(c))?,
                None => {}
            }
            text = rest.as_str();
        }
        self.0.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// The lines that `work` logs, without their times.
    fn logged(work: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let layer = tracing_subscriber::fmt::layer().fmt_fields(JsonFields).event_format(JsonLines);
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(lines.clone()));
        tracing::subscriber::with_default(subscriber, work);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                let at = line.as_object_mut().unwrap().remove("timestamp").unwrap();
                let read =
                    time::OffsetDateTime::parse(at.as_str().unwrap(), &time::format_description::well_known::Rfc3339);
                assert!(read.is_ok(), "{at}");
                line
            })
            .collect()
    }

    #[test]
    fn a_line_is_an_object_with_its_span() {
        let lines = logged(|| {
            let span = tracing::info_span!("request", id = "r\"1\"", n = 7, later = tracing::field::Empty);
            span.record("later", tracing::field::display("a\\b\n\u{1}"));
            span.in_scope(|| tracing::warn!(status = 200_u16, ms = 0.25, odd = f64::NAN, ok = true, "was\tsaid"));
            tracing::info!(what = ?Some("x"), "alone");
        });
        let target = module_path!();
        assert_eq!(
            lines,
            [
                json!({
                    "level": "WARN", "message": "was\tsaid", "status": 200, "ms": 0.25, "odd": null, "ok": true,
                    "target": target,
                    "span": { "name": "request", "id": "r\"1\"", "n": 7, "later": "a\\b\n\u{1}" },
                }),
                json!({ "level": "INFO", "message": "alone", "what": "Some(\"x\")", "target": target }),
            ]
        );
    }
}
