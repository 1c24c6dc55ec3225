//! Record batches: which columns are taken, and what is said of those that are not.

use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array,
    NullArray, RecordBatch, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use serde_json::json;

use super::{ARROW, JSON, LINES, arrow_stream, stream};
use crate::harness::{DRAWDOWN, Server};

const PATH: &str = "/v1/rules/drawdown/evaluate";

async fn server() -> Server {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    server
}

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

#[tokio::test]
async fn columns_of_any_number_and_time_are_taken() {
    let server = server().await;
    let drawdown = floats(&[0.0, 0.5]);
    let equities: [ArrayRef; 4] = [
        Arc::new(Float32Array::from(vec![1.5, 2.0])),
        Arc::new(Int32Array::from(vec![1, 2])),
        Arc::new(Int64Array::from(vec![1, 1 << 40])),
        floats(&[1.5, 2.0]),
    ];
    let times: [ArrayRef; 5] = [
        Arc::new(TimestampSecondArray::from(vec![1_767_625_200, 1_767_625_260])),
        Arc::new(TimestampMicrosecondArray::from(vec![1_767_625_200_000_999, 1_767_625_260_000_000])),
        Arc::new(
            TimestampNanosecondArray::from(vec![1_767_625_200_000_000_999, 1_767_625_260_000_000_000])
                .with_timezone("Asia/Tokyo"),
        ),
        Arc::new(Int64Array::from(vec![1_767_625_200_000, 1_767_625_260_000])),
        Arc::new(StringArray::from(vec!["2026-01-05T15:00Z", "2026-01-05T17:01:00+02:00"])),
    ];
    for equity in &equities {
        for time in &times {
            let columns =
                [("time", Arc::clone(time)), ("equity", Arc::clone(equity)), ("drawdown", Arc::clone(&drawdown))];
            let bytes = arrow_stream(&columns, [2]);
            let (lines, trailer) = stream(&server, PATH, ARROW, Some(LINES), bytes).await.lines();
            assert_eq!(trailer["counts"], json!({"ok": 1, "warn": 0, "breach": 1, "fault": 0}));
            let said: Vec<_> = lines.iter().map(|line| line["time"].as_str().unwrap()).collect();
            assert_eq!(said, ["2026-01-05T15:00:00Z", "2026-01-05T15:01:00Z"], "{time:?}");
        }
    }
    // Nulls are missing: a required input faults on them, as it does with JSON.
    let missing: [ArrayRef; 3] = [
        Arc::new(NullArray::new(1)),
        Arc::new(Float64Array::from(vec![None])),
        Arc::new(Float64Array::from(vec![f64::from_bits(0x7ff8_0000_0000_beef)])),
    ];
    for equity in missing {
        let bytes = arrow_stream(&[("equity", equity), ("drawdown", floats(&[0.0]))], [1]);
        assert_eq!(stream(&server, PATH, ARROW, Some(JSON), bytes).await.json()["counts"]["fault"], 1);
    }
}

#[tokio::test]
async fn columns_that_do_not_fit_are_refused_before_a_bar_is_run() {
    let server = server().await;
    let (equity, drawdown) = (floats(&[1.0]), floats(&[0.0]));
    let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    let decimals: ArrayRef = Arc::new(Decimal128Array::from(vec![100]).with_precision_and_scale(10, 2).unwrap());
    for (columns, code, path) in [
        (vec![("equity", equity.clone())], "missing_column", "columns.drawdown"),
        (vec![("cash", equity.clone()), ("drawdown", drawdown.clone())], "unknown_column", "columns.cash"),
        (vec![("equity", texts), ("drawdown", drawdown.clone())], "column_type", "columns.equity"),
        (vec![("equity", decimals), ("drawdown", drawdown.clone())], "column_type", "columns.equity"),
        (vec![("equity", truths.clone()), ("drawdown", drawdown.clone())], "column_type", "columns.equity[0]"),
        (
            vec![("equity", equity.clone()), ("drawdown", drawdown.clone()), ("time", truths)],
            "column_type",
            "columns.time",
        ),
        (
            vec![("equity", equity.clone()), ("equity", equity.clone()), ("drawdown", drawdown.clone())],
            "invalid_request",
            "columns.equity",
        ),
    ] {
        for accept in [None, Some(JSON)] {
            let bytes = arrow_stream(&columns, [1]);
            let problem = stream(&server, PATH, ARROW, accept, bytes).await.problem(422, code);
            assert_eq!(problem["path"], path, "{problem:#}");
        }
    }
    // The schema alone is enough to know.
    let schema = Schema::new(vec![Field::new("cash", DataType::Float64, true)]);
    let empty = StreamWriter::try_new(Vec::new(), &schema).unwrap().into_inner().unwrap();
    stream(&server, PATH, ARROW, None, empty).await.problem(422, "unknown_column");
    let schema = Schema::new(["equity", "drawdown"].map(|name| Field::new(name, DataType::Float64, true)).to_vec());
    let empty = StreamWriter::try_new(Vec::new(), &schema).unwrap().into_inner().unwrap();
    stream(&server, PATH, ARROW, None, empty).await.problem(422, "no_rows");
}

#[tokio::test]
async fn an_integer_that_is_no_double_ends_the_stream_at_its_row() {
    let server = server().await;
    let equity: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, (1 << 53) + 1, 5]));
    let bytes = arrow_stream(&[("equity", equity), ("drawdown", floats(&[0.0; 5]))], [2, 2, 1]);
    let (batches, trailer) = stream(&server, PATH, ARROW, None, bytes.clone()).await.arrow();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
    let error = &trailer["error"];
    assert_eq!((&error["code"], &error["path"]), (&json!("column_type"), &json!("columns.equity[3]")));
    assert!(error["detail"].as_str().unwrap().contains("9007199254740993"), "{error:#}");
    stream(&server, PATH, ARROW, Some(JSON), bytes).await.problem(422, "column_type");
}

#[tokio::test]
async fn dictionaries_are_refused_by_name() {
    let server = server().await;
    let words: DictionaryArray<Int8Type> = vec!["a", "b"].into_iter().collect();
    let bytes = arrow_stream(&[("equity", Arc::new(words)), ("drawdown", floats(&[0.0; 2]))], [2]);
    let problem = stream(&server, PATH, ARROW, None, bytes).await.problem(422, "column_type");
    assert!(problem["detail"].as_str().unwrap().contains("Dictionary"), "{problem:#}");
}

#[tokio::test]
async fn batches_and_rows_are_bounded() {
    let server = Server::with(|config| {
        (config.evaluation.stream_batch_bytes, config.evaluation.stream_rows) = (10_000, 1_000);
    })
    .await;
    server.upload("rule low(equity) = equity < 1").await;
    let path = "/v1/rules/low/evaluate";
    let equity = [("equity", floats(&[0.0; 1_300]))];
    let problem =
        stream(&server, path, ARROW, None, arrow_stream(&equity, [1_300])).await.problem(413, "body_too_large");
    assert!(problem["detail"].as_str().unwrap().contains("10000 bytes"), "{problem:#}");
    let (batches, trailer) = stream(&server, path, ARROW, None, arrow_stream(&equity, [600, 700])).await.arrow();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 1_000);
    assert_eq!((&trailer["error"]["code"], &trailer["bars"]), (&json!("too_many_values"), &json!(1_000)));
    // A column of nulls takes no bytes, however long it is.
    server.upload("rule maybe(equity: num?) = (equity ?? 1) < 1").await;
    let nulls = [("equity", Arc::new(NullArray::new(1 << 40)) as ArrayRef)];
    let bytes = arrow_stream(&nulls, [1 << 40]);
    let (_, trailer) = stream(&server, "/v1/rules/maybe/evaluate", ARROW, None, bytes).await.arrow();
    assert_eq!((&trailer["error"]["code"], &trailer["bars"]), (&json!("too_many_values"), &json!(1_000)));
}

#[tokio::test]
async fn compressed_bodies_are_unpacked_on_the_way() {
    use async_compression::tokio::write::{GzipEncoder, ZstdEncoder};
    use tokio::io::AsyncWriteExt;

    let server = server().await;
    let bytes =
        arrow_stream(&[("equity", floats(&vec![1.0; 50_000])), ("drawdown", floats(&vec![0.0; 50_000]))], [9_000; 6]);
    let mut gzip = GzipEncoder::new(Vec::new());
    gzip.write_all(&bytes).await.unwrap();
    gzip.shutdown().await.unwrap();
    let mut zstd = ZstdEncoder::new(Vec::new());
    zstd.write_all(&bytes).await.unwrap();
    zstd.shutdown().await.unwrap();
    for (encoding, body) in [("gzip", gzip.into_inner()), ("zstd", zstd.into_inner())] {
        let post = |body: Vec<u8>| {
            let request = server.request(reqwest::Method::POST, PATH).header("content-type", ARROW);
            crate::harness::send(request.header("accept", JSON).header("content-encoding", encoding).body(body))
        };
        assert_eq!(post(body.clone()).await.ok()["bars"], 50_000);
        post(body[..body.len() / 2].to_vec()).await.problem(400, "malformed_encoding");
        post([&body[..], b"x"].concat()).await.problem(400, "malformed_encoding");
    }
}
