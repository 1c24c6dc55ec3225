//! Streams of a million bars, and of ten with `TESTS_FULL=1`: through one request, in memory that does not grow with
//! them.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use futures_util::StreamExt;
use reqwest::Body;
use rulebox_tests::{Server, root};
use serde_json::{Value, json};

const LINES: &str = "application/x-ndjson";
const ARROW: &str = "application/vnd.apache.arrow.stream";
/// Rows of a piece of a body.
const PIECE: u32 = 25_000;
/// What a stream may add to the memory of the idle service, whatever its length: some batches on their way, and what
/// the allocator keeps.
const MOST_MEMORY: u64 = 200 << 20;

/// Equity and drawdown of a bar: a slow wave with a fast one on it.
fn account(row: u32) -> (f64, f64) {
    let t = f64::from(row);
    let equity = 100_000.0 + 9_000.0 * (t / 50_000.0).sin() + 500.0 * (t / 77.0).sin();
    (equity, ((109_500.0 - equity) / 109_500.0).clamp(0.0, 1.0))
}

fn time(row: u32) -> i64 {
    1_500_000_000_000 + 60_000 * i64::from(row)
}

fn lines(rows: std::ops::Range<u32>) -> Vec<u8> {
    let line = |row| {
        let (equity, drawdown) = account(row);
        format!("{{\"time\":{},\"equity\":{equity},\"drawdown\":{drawdown}}}\n", time(row))
    };
    rows.map(line).collect::<String>().into_bytes()
}

/// Writes the pieces of a stream of batches.
fn batches(rows: u32) -> impl Iterator<Item = Vec<u8>> + Send + 'static {
    let field = |name: &str, ty| Field::new(name, ty, false);
    let schema = Arc::new(Schema::new(vec![
        field("time", DataType::Int64),
        field("equity", DataType::Float64),
        field("drawdown", DataType::Float64),
    ]));
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    pieces(rows).map(move |piece| {
        let last = piece.end == rows;
        let account: Vec<_> = piece.clone().map(account).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(piece.map(time))),
            Arc::new(Float64Array::from_iter_values(account.iter().map(|(equity, _)| *equity))),
            Arc::new(Float64Array::from_iter_values(account.iter().map(|(_, drawdown)| *drawdown))),
        ];
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()).unwrap();
        if last {
            writer.finish().unwrap();
        }
        std::mem::take(writer.get_mut())
    })
}

fn pieces(rows: u32) -> impl Iterator<Item = std::ops::Range<u32>> + Send {
    (0..rows.div_ceil(PIECE)).map(move |piece| piece * PIECE..((piece + 1) * PIECE).min(rows))
}

/// Reads an answer as it comes: how many rows it has, and its trailer.
enum Reader {
    Lines { rows: u64, open: Vec<u8> },
    Arrow { decoder: Box<StreamDecoder>, rows: u64, tail: Vec<u8> },
}

impl Reader {
    fn of(kind: &str) -> Self {
        if kind == LINES {
            return Self::Lines { rows: 0, open: Vec::new() };
        }
        Self::Arrow { decoder: Box::default(), rows: 0, tail: Vec::new() }
    }

    fn read(&mut self, bytes: &[u8]) {
        match self {
            Self::Lines { rows, open } => {
                *rows += bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
                open.extend_from_slice(bytes);
                // The last line is longer than none and shorter than this.
                open.drain(..open.len().saturating_sub(20_000));
            }
            Self::Arrow { decoder, rows, tail } => {
                let mut buffer = Buffer::from(bytes);
                while !buffer.is_empty() {
                    if let Some(batch) = decoder.decode(&mut buffer).unwrap() {
                        *rows += batch.num_rows() as u64;
                    }
                }
                tail.extend_from_slice(bytes);
                tail.drain(..tail.len().saturating_sub(20_000));
            }
        }
    }

    fn end(self) -> (u64, Value) {
        match self {
            Self::Lines { rows, open } => {
                let last = open.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap();
                let mut last: Value = serde_json::from_slice(last).unwrap();
                (rows - 1, last["trailer"].take())
            }
            Self::Arrow { mut decoder, rows, tail } => {
                decoder.finish().unwrap();
                let start = tail.windows(8).rposition(|bytes| bytes == b"{\"rule\":").expect("a trailer");
                let trailer = serde_json::Deserializer::from_slice(&tail[start..]).into_iter().next();
                (rows, trailer.unwrap().unwrap())
            }
        }
    }
}

/// The most memory that a process has had, in bytes.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

async fn run(server: &Server, key: &str, kind: &str, rows: u32) -> (u64, Value) {
    let body = if kind == LINES {
        Body::wrap_stream(futures_util::stream::iter(pieces(rows).map(lines).map(Ok::<_, std::io::Error>)))
    } else {
        Body::wrap_stream(futures_util::stream::iter(batches(rows).map(Ok::<_, std::io::Error>)))
    };
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(30)).build().unwrap();
    let request = client.post(format!("{}/v1/rules/check_custom_rule/evaluate", server.api)).bearer_auth(key);
    let response = request.header("content-type", kind).body(body).send().await.unwrap().error_for_status().unwrap();
    let mut reader = Reader::of(kind);
    let mut answer = response.bytes_stream();
    while let Some(bytes) = answer.next().await {
        reader.read(&bytes.unwrap());
    }
    reader.end()
}

/// Runs so many bars through one request to a fresh service; gives its idle and its peak memory.
fn measure(kind: &str, rows: u32) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let key = server.key.clone().unwrap();
    let source = std::fs::read_to_string(root().join("dsl/examples/check_custom_rule.rule")).unwrap();
    server.post(&key, "/v1/rules", &json!({ "source": source })).unwrap().error_for_status().unwrap();
    let idle = peak_memory(server.process());
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (answered, trailer) = runtime.block_on(run(&server, &key, kind, rows));
    let elapsed = began.elapsed();
    let peak = peak_memory(server.process());
    println!(
        "{rows} bars of {kind}: {elapsed:?}, {:.0} bars/s; idle {} KiB, peak {} KiB",
        f64::from(rows) / elapsed.as_secs_f64(),
        idle >> 10,
        peak >> 10
    );
    let breaches = (0..rows).filter(|&row| account(row).1 >= 0.1 - 1e-12).count();
    assert_eq!((answered, &trailer["bars"]), (u64::from(rows), &json!(rows)), "{trailer:#}");
    assert_eq!((&trailer["counts"]["breach"], &trailer["counts"]["fault"]), (&json!(breaches), &json!(0)));
    assert!(trailer.get("error").is_none(), "{trailer:#}");
    peak.saturating_sub(idle)
}

fn in_bounds(kind: &str) {
    let full = std::env::var_os("TESTS_FULL").is_some();
    for rows in [Some(1_000_000), full.then_some(10_000_000)].into_iter().flatten() {
        let grown = measure(kind, rows);
        assert!(grown < MOST_MEMORY, "{rows} bars took {} MiB", grown >> 20);
    }
}

#[test]
fn a_stream_of_lines_takes_no_more_memory_the_longer_it_is() {
    in_bounds(LINES);
}

#[test]
fn a_stream_of_arrow_takes_no_more_memory_the_longer_it_is() {
    in_bounds(ARROW);
}

/// A body of so many MiB of one byte, as gzip makes it.
fn bomb(byte: &str, mebibytes: u32) -> Vec<u8> {
    let bytes = u64::from(mebibytes) << 20;
    let command = format!("head -c {bytes} /dev/zero | tr '\\0' '{byte}' | gzip -1");
    let output = Command::new("bash").args(["-c", &command]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn bombs_take_no_more_memory_than_a_large_request() {
    let directory = tempfile::tempdir().unwrap();
    // A gibibyte takes its time on a machine that has other things to do: this is about memory.
    let server = Server::try_start(directory.path(), &[("RULEBOX_API__BODY_SECONDS", "600")]).unwrap();
    let key = server.key.clone().unwrap();
    let source = std::fs::read_to_string(root().join("dsl/examples/check_custom_rule.rule")).unwrap();
    server.post(&key, "/v1/rules", &json!({ "source": source })).unwrap().error_for_status().unwrap();
    let idle = peak_memory(server.process());
    let post = |kind: &str, body: Vec<u8>| {
        let url = format!("{}/v1/rules/check_custom_rule/evaluate", server.api);
        let request = server.client().post(url).bearer_auth(&key).header("content-type", kind);
        let (began, size) = (Instant::now(), body.len());
        let answer: Value = request.header("content-encoding", "gzip").body(body).send().unwrap().json().unwrap();
        println!("{size} bytes as {kind}: {} after {:?}", answer["code"], began.elapsed());
        answer["code"].as_str().unwrap().to_owned()
    };
    // A gibibyte of spaces, of one line, and of blank lines.
    let (spaces, blank) = (bomb(" ", 1 << 10), bomb("\\n", 1 << 10));
    assert!(spaces.len() < 8 << 20 && blank.len() < 8 << 20);
    assert_eq!(post("application/json", spaces.clone()), "body_too_large");
    assert_eq!(post(LINES, spaces.clone()), "body_too_large");
    assert_eq!(post(ARROW, spaces), "malformed_arrow");
    assert_eq!(post(LINES, blank), "no_rows");
    let grown = peak_memory(server.process()).saturating_sub(idle);
    println!("grown by {} KiB", grown >> 10);
    assert!(grown < MOST_MEMORY, "{} MiB", grown >> 20);
}
