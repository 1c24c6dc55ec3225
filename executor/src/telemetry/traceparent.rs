//! The W3C header `traceparent`: which trace a request belongs to.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

/// A caller's span, of which a request is a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

impl TraceParent {
    /// Reads the header, version 00 or later; `None` of what is not well formed, which is as if it were not there.
    pub fn parse(header: &str) -> Option<Self> {
        let mut fields = header.split('-');
        let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let hex =
            |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
        let well_formed = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
        if !well_formed || (version == "00" && fields.next().is_some()) {
            return None;
        }
        let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        // Of the flags, only the first is known to every version.
        let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
        (trace != TraceId::INVALID && span != SpanId::INVALID).then_some(Self { trace, span, flags })
    }

    /// Of the trace: 32 digits.
    pub fn trace_id(&self) -> String {
        self.trace.to_string()
    }

    /// Whether the caller traces it.
    pub(super) fn is_sampled(&self) -> bool {
        self.flags.is_sampled()
    }

    /// As the parent of a span.
    pub(super) fn context(&self) -> Context {
        let parent = SpanContext::new(self.trace, self.span, self.flags, true, TraceState::default());
        Context::new().with_remote_span_context(parent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_continued_if_it_is_well_formed() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let good = format!("00-{trace}-00f067aa0ba902b7-01");
        let parsed = TraceParent::parse(&good).unwrap();
        assert_eq!((parsed.trace_id().as_str(), parsed.flags), (trace, TraceFlags::SAMPLED));
        assert_eq!(TraceParent::parse(&format!("01-{trace}-00f067aa0ba902b7-ff-more")), Some(parsed));
        let dropped = TraceParent::parse(&format!("00-{trace}-00f067aa0ba902b7-00")).unwrap();
        assert_eq!(dropped.flags, TraceFlags::default());
        for bad in [
            "",
            &good[1..],
            &format!("{good}-more"),
            &good.to_uppercase(),
            &good.replace(trace, &"0".repeat(32)),
            &good.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &good.replacen("00", "ff", 1),
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }
}
