//! What traces are sent to: takes OTLP over HTTP, and keeps what came.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rulebox_tests::receiver::{Answering, Received, Receiver};
use serde_json::{Map, Value, json};

/// Takes spans until the test ends.
#[derive(Debug)]
pub struct Collector {
    /// Where.
    pub endpoint: String,
    receiver: Receiver,
}

impl Collector {
    pub fn start() -> Self {
        // The answer to spans is a message without fields.
        let receiver = Receiver::start(Answering::Status(200));
        Self { endpoint: format!("{}/v1/traces", receiver.url), receiver }
    }

    /// All that came.
    pub fn sent(&self) -> Vec<Received> {
        self.receiver.received()
    }

    /// All spans that came.
    pub fn spans(&self) -> Vec<Span> {
        let of = |sent: &Received| decode(sent).resource_spans;
        self.sent().iter().flat_map(of).flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
    }
}

/// What a request sent.
pub fn decode(sent: &Received) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(sent.bytes.as_slice()).unwrap()
}

/// Attributes as JSON.
pub fn attributes(all: &[KeyValue]) -> Map<String, Value> {
    let value = |value: Option<&AnyValue>| match value.and_then(|any| any.value.as_ref()) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::IntValue(n)) => json!(n),
        Some(Any::DoubleValue(n)) => json!(n),
        Some(Any::BoolValue(b)) => json!(b),
        other => panic!("an attribute {other:?}"),
    };
    all.iter().map(|pair| (pair.key.clone(), value(pair.value.as_ref()))).collect()
}

/// In small hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
