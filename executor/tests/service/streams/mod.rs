//! Streams of bars.

mod arrow;
mod flow;
mod hostile;
mod lines;
mod same_bits;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Field, Schema};
use reqwest::header::HeaderMap;
use reqwest::{Body, Method};
use serde_json::Value;

use crate::described::Sent;
use crate::harness::{Answer, Server};

pub const ARROW: &str = "application/vnd.apache.arrow.stream";
pub const LINES: &str = "application/x-ndjson";
pub const JSON: &str = "application/json";

/// The answer to a stream.
pub struct Streamed {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

/// Sends a stream, and holds its answer against the description of the API.
pub async fn stream(server: &Server, path: &str, kind: &str, accept: Option<&str>, body: impl Into<Body>) -> Streamed {
    let mut request = server.request(Method::POST, path).header("content-type", kind);
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    let (client, request) = request.body(body).build_split();
    let request = request.unwrap();
    let sent = Sent::of(&request);
    let response = client.execute(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap().to_vec();
    let text = String::from_utf8_lossy(&bytes);
    let json = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned()));
    sent.check(&Answer { status, headers: headers.clone(), json });
    Streamed { status, headers, bytes }
}

impl Streamed {
    #[track_caller]
    fn check(&self, kind: &str) {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.bytes));
        assert_eq!(self.headers["content-type"], kind);
    }

    /// The rows and the trailer of lines.
    #[track_caller]
    pub fn lines(&self) -> (Vec<Value>, Value) {
        self.check(LINES);
        let text = std::str::from_utf8(&self.bytes).unwrap();
        assert!(text.ends_with('\n'));
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut last = lines.pop().unwrap();
        (lines, last["trailer"].take())
    }

    /// The batches and the trailer of Arrow.
    #[track_caller]
    pub fn arrow(&self) -> (Vec<RecordBatch>, Value) {
        self.check(ARROW);
        let batches = StreamReader::try_new(&self.bytes[..], None).unwrap();
        let batches: Vec<_> = batches.map(Result::unwrap).collect();
        assert_eq!(batches.last().unwrap().num_rows(), 0);
        (batches, trailer(&self.bytes))
    }

    /// The JSON of a summary.
    #[track_caller]
    pub fn json(&self) -> Value {
        self.check(JSON);
        serde_json::from_slice(&self.bytes).unwrap()
    }

    /// Asserts a problem, sent instead of an answer.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let json = serde_json::from_slice(&self.bytes).unwrap_or(Value::Null);
        Answer { status: self.status, headers: self.headers, json }.problem(status, code)
    }
}

/// The custom metadata of the last message that has some, found as the format says: every message has a prefix, its
/// metadata, and a body of the length which that says.
fn trailer(stream: &[u8]) -> Value {
    let (mut rest, mut found) = (stream, None::<String>);
    loop {
        assert_eq!(rest[..4], [0xff; 4]);
        let length = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        if length == 0 {
            assert_eq!(rest.len(), 8, "nothing is behind the mark of the end");
            return serde_json::from_str(&found.expect("a trailer")).unwrap();
        }
        let message = arrow_ipc::root_as_message(&rest[8..8 + length]).unwrap();
        let metadata = message.custom_metadata().into_iter().flatten();
        let mut trailers = metadata.filter(|pair| pair.key() == Some("rulebox.trailer"));
        found = trailers.next().and_then(|pair| pair.value()).map(str::to_owned).or(found);
        let body = usize::try_from(message.bodyLength()).unwrap();
        rest = &rest[8 + length + body..];
    }
}

/// A stream of batches of these sizes, one after the other, until the columns end.
pub fn arrow_stream(columns: &[(&str, ArrayRef)], sizes: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let fields: Vec<_> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    let all = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    let mut start = 0;
    for size in sizes {
        let size = size.min(all.num_rows() - start);
        writer.write(&all.slice(start, size)).unwrap();
        start += size;
        if start == all.num_rows() {
            break;
        }
    }
    assert_eq!(start, all.num_rows(), "too few sizes");
    writer.into_inner().unwrap()
}

/// Numbers that look random and are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    /// 0 up to `sides`, without it.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    /// A body that is sent in pieces of 1 to `most` bytes.
    pub fn pieces(&mut self, bytes: &[u8], most: usize) -> Body {
        let (mut rest, mut pieces) = (bytes, Vec::new());
        while !rest.is_empty() {
            let (piece, others) = rest.split_at((1 + self.roll(most)).min(rest.len()));
            pieces.push(Ok::<_, std::io::Error>(piece.to_vec()));
            rest = others;
        }
        Body::wrap_stream(futures_util::stream::iter(pieces))
    }
}
