//! Bytes that are meant to do harm: each gives a problem or a trailer that names one, and the service goes on.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Field, Schema};
use serde_json::Value;

use super::{ARROW, Dice, LINES, Streamed, arrow_stream, stream};
use crate::harness::{DRAWDOWN, Server};

const PATH: &str = "/v1/rules/drawdown/evaluate";

fn small() -> Vec<u8> {
    let column = |values: [f64; 4]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
    let times = Arc::new(StringArray::from(vec![Some("2026-01-05T15:00Z"), None, Some("x"), Some("")])) as ArrayRef;
    let columns = [("time", times), ("equity", column([1.0; 4])), ("drawdown", column([0.0, 0.09, 0.1, 0.0]))];
    arrow_stream(&columns, [1, 3])
}

/// The code of the problem, or of the error in the trailer; none if the stream was taken.
#[track_caller]
fn code(answer: &Streamed) -> Option<String> {
    if answer.status == 200 {
        return answer.lines().1["error"]["code"].as_str().map(str::to_owned);
    }
    assert!((400..500).contains(&answer.status), "{}: {}", answer.status, String::from_utf8_lossy(&answer.bytes));
    let problem: Value = serde_json::from_slice(&answer.bytes).unwrap();
    Some(problem["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_is_refused() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let whole = small();
    let mut taken = 0;
    for end in 0..whole.len() {
        let answer = stream(&server, PATH, ARROW, Some(LINES), whole[..end].to_vec()).await;
        match code(&answer).as_deref() {
            Some("malformed_arrow") => {}
            // At the end of a message it may be whole; behind the schema alone it has no bars.
            Some("no_rows") | None => taken += 1,
            other => panic!("cut at {end}: {other:?}"),
        }
    }
    assert!(taken <= 3, "{taken}");
    assert_eq!(code(&stream(&server, PATH, ARROW, Some(LINES), whole.clone()).await), None);
    let behind = [&whole[..], b"more"].concat();
    assert_eq!(code(&stream(&server, PATH, ARROW, Some(LINES), behind).await).as_deref(), Some("malformed_arrow"));
}

#[tokio::test]
async fn flipped_bytes_do_no_harm() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let whole = small();
    let mut dice = Dice(11);
    let mut codes = std::collections::BTreeMap::<String, usize>::new();
    let flip = |bytes: &mut [u8], dice: &mut Dice| {
        let at = dice.roll(bytes.len());
        bytes[at] =
            [0, 0xff, 0x7f, 0x80, bytes[at] ^ 1, bytes[at].wrapping_add(1), u8::try_from(dice.roll(256)).unwrap()]
                [dice.roll(7)];
    };
    for round in 0..3_000 {
        let mut bytes = whole.clone();
        if round < bytes.len() {
            bytes[round] ^= 0xff;
        } else {
            (0..=dice.roll(4)).for_each(|_| flip(&mut bytes, &mut dice));
        }
        let answer = stream(&server, PATH, ARROW, Some(LINES), bytes).await;
        *codes.entry(code(&answer).unwrap_or_default()).or_default() += 1;
    }
    println!("{codes:?}");
    assert!(codes["malformed_arrow"] > 500, "{codes:?}");
    assert_eq!(code(&stream(&server, PATH, ARROW, Some(LINES), whole).await), None);
}

#[tokio::test]
async fn a_length_that_promises_much_takes_no_memory() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    for length in [0x7fff_ffff_u32, 0x8000_0000, 0xffff_fffe, 1 << 20, 7] {
        for prefix in [&[0xff_u8; 4][..], &[]] {
            let bytes = [prefix, &length.to_le_bytes(), b"few bytes"].concat();
            let answer = stream(&server, PATH, ARROW, None, bytes).await;
            answer.problem(400, "malformed_arrow");
        }
    }
    for nonsense in [&b"{}"[..], b"ARROW1\0\0", b"PAR1", &[0; 100], &[0xff; 100], b""] {
        stream(&server, PATH, ARROW, None, nonsense.to_vec()).await.problem(400, "malformed_arrow");
    }
}

#[tokio::test]
async fn a_second_schema_and_a_batch_without_one_are_refused() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let schema = Arc::new(Schema::new(vec![Field::new("equity", arrow_schema::DataType::Float64, true)]));
    let head = |rows: usize| {
        let column: ArrayRef = Arc::new(Float64Array::from(vec![1.0; rows]));
        let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
        if rows > 0 {
            writer.write(&RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap()).unwrap();
        }
        std::mem::take(writer.get_mut())
    };
    server.upload("rule low(equity) = equity < 1").await;
    let path = "/v1/rules/low/evaluate";
    let (schema_bytes, batch) = (head(0), head(1)[head(0).len()..].to_vec());
    let twice = [&schema_bytes[..], &schema_bytes].concat();
    stream(&server, path, ARROW, None, twice).await.problem(400, "malformed_arrow");
    stream(&server, path, ARROW, None, batch.clone()).await.problem(400, "malformed_arrow");
    let (batches, trailer) =
        stream(&server, path, ARROW, None, [&schema_bytes[..], &batch, &batch].concat()).await.arrow();
    assert_eq!((batches.len(), trailer.get("error")), (3, None), "the mark of the end may be missing");
}

#[tokio::test]
async fn lines_of_anything_do_no_harm() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let line = r#"{"time": "2026-01-05T15:00Z", "equity": 1e2, "drawdown": 0.01}"#;
    let mut dice = Dice(5);
    let spoilers = b"\n\"{}[]:,.0eE-+ntf\\\xff\x00 ";
    for _ in 0..1_000 {
        let mut bytes = format!("{line}\n{line}\n").into_bytes();
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(bytes.len());
            bytes[at] = spoilers[dice.roll(spoilers.len())];
        }
        code(&stream(&server, PATH, LINES, None, bytes).await);
    }
}
