//! Compressed requests: taken everywhere, bounded by what they become, refused where they are broken.

use async_compression::Level;
use async_compression::tokio::write::{GzipEncoder, ZstdEncoder};
use async_compression::zstd::CParameter;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::harness::{Answer, DRAWDOWN, Server, send};

const EVALUATE: &str = "/v1/rules/drawdown/evaluate";
const ENCODINGS: [&str; 2] = ["gzip", "zstd"];
const BAR: &str = r#"{"inputs": {"equity": 1, "drawdown": 0}}"#;

async fn compress(encoding: &str, text: &[u8]) -> Vec<u8> {
    if encoding == "gzip" {
        let mut encoder = GzipEncoder::new(Vec::new());
        encoder.write_all(text).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    } else {
        let mut encoder = ZstdEncoder::new(Vec::new());
        encoder.write_all(text).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    }
}

/// So many MiB of spaces, compressed as well as they can be: no JSON is shorter.
async fn bomb(encoding: &str, mebibytes: usize) -> Vec<u8> {
    let block = vec![b' '; 1 << 20];
    if encoding == "gzip" {
        let mut encoder = GzipEncoder::with_quality(Vec::new(), Level::Fastest);
        for _ in 0..mebibytes {
            encoder.write_all(&block).await.unwrap();
        }
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    } else {
        let mut encoder = ZstdEncoder::with_quality(Vec::new(), Level::Fastest);
        for _ in 0..mebibytes {
            encoder.write_all(&block).await.unwrap();
        }
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    }
}

async fn post(server: &Server, path: &str, encoding: &str, body: Vec<u8>) -> Answer {
    let request = server.request(Method::POST, path).header("content-type", "application/json");
    let request = if path.ends_with("/activate") { request.header("if-match", "*") } else { request };
    send(request.header("content-encoding", encoding).body(body)).await
}

#[tokio::test]
async fn every_operation_with_a_body_takes_gzip_and_zstd() {
    let server = Server::start().await;
    for encoding in ENCODINGS {
        for (path, body) in [
            ("/v1/rules/check", json!({"source": DRAWDOWN})),
            ("/v1/rules", json!({"source": DRAWDOWN, "name": encoding})),
            (&format!("/v1/rules/{encoding}/versions"), json!({"source": DRAWDOWN.replace("8%", "7%")})),
            (&format!("/v1/rules/{encoding}/activate"), json!({"version": 1})),
            (&format!("/v1/rules/{encoding}/evaluate"), serde_json::from_str(BAR).unwrap()),
            ("/v1/evaluate", json!({"rules": "*", "inputs": {"equity": 1, "drawdown": 0}})),
        ] {
            let plain = body.to_string();
            post(&server, path, encoding, compress(encoding, plain.as_bytes()).await).await.ok();
        }
        let text = compress(encoding, DRAWDOWN.as_bytes()).await;
        let request = server.request(Method::POST, "/v1/rules/check").header("content-type", "text/plain");
        send(request.header("content-encoding", encoding).body(text)).await.ok();
    }
}

#[tokio::test]
async fn a_compressed_series_gives_what_a_plain_one_gives() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let drawdown: Vec<_> = (0..50_000).map(|row| f64::from(row % 1_000) / 8_000.0).collect();
    let body = json!({"columns": {"equity": vec![1; drawdown.len()], "drawdown": drawdown}});
    let plain = server.post(EVALUATE, &body).await.ok();
    for encoding in ENCODINGS {
        let compressed = compress(encoding, body.to_string().as_bytes()).await;
        assert_eq!(post(&server, EVALUATE, encoding, compressed).await.ok(), plain);
        // Members and frames one behind the other are one body.
        let (first, second) = BAR.split_at(20);
        let two = [compress(encoding, first.as_bytes()).await, compress(encoding, second.as_bytes()).await].concat();
        post(&server, EVALUATE, encoding, two).await.ok();
    }
}

#[tokio::test]
async fn bombs_are_refused_by_what_they_become() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    for encoding in ENCODINGS {
        let gibibyte = bomb(encoding, 1 << 10).await;
        println!("1 GiB in {} bytes of {encoding}", gibibyte.len());
        assert!(gibibyte.len() < 8 << 20);
        for path in [EVALUATE, "/v1/rules/check"] {
            let problem = post(&server, path, encoding, gibibyte.clone()).await.problem(413, "body_too_large");
            assert!(problem["detail"].as_str().unwrap().contains("bytes"), "{problem:#}");
        }
        // Many small ones one behind the other are as large.
        let members = bomb(encoding, 1).await.repeat(100);
        post(&server, EVALUATE, encoding, members).await.problem(413, "body_too_large");
        // What is compressed twice is unpacked once.
        let twice = compress(encoding, &gibibyte).await;
        post(&server, EVALUATE, encoding, twice).await.problem(400, "malformed_json");
    }
}

#[tokio::test]
async fn nothing_compressed_is_taken_for_ever() {
    let server = Server::with(|config| config.api.small_body_bytes = 10_000).await;
    for (encoding, nothing) in [("gzip", compress("gzip", b"").await), ("zstd", compress("zstd", b"").await)] {
        let body = nothing.repeat(20_000 / nothing.len());
        post(&server, "/v1/rules/check", encoding, body).await.problem(413, "body_too_large");
    }
}

#[tokio::test]
async fn a_window_that_would_take_much_memory_is_refused() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    for (log, taken) in [(20, true), (23, true), (24, false), (27, false), (30, false)] {
        let window = [CParameter::window_log(log)];
        let mut encoder = ZstdEncoder::with_quality_and_params(Vec::new(), Level::Fastest, &window);
        // Longer than one write, so that the frame cannot say its size instead of its window.
        encoder.write_all(&vec![b' '; 5 << 20]).await.unwrap();
        encoder.flush().await.unwrap();
        encoder.write_all(BAR.as_bytes()).await.unwrap();
        encoder.shutdown().await.unwrap();
        let answer = post(&server, EVALUATE, "zstd", encoder.into_inner()).await;
        if taken {
            answer.ok();
        } else {
            let problem = answer.problem(400, "malformed_encoding");
            assert!(problem["detail"].as_str().unwrap().contains("window"), "2^{log}: {problem:#}");
        }
    }
}

#[tokio::test]
async fn what_is_broken_is_refused_wherever_it_breaks() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    for encoding in ENCODINGS {
        let whole = compress(encoding, BAR.as_bytes()).await;
        for end in 0..whole.len() {
            let answer = post(&server, EVALUATE, encoding, whole[..end].to_vec()).await;
            assert_eq!(answer.status, 400, "{encoding} cut at {end}: {answer:?}");
            // Cut before its first byte, there is no JSON.
            let code = answer.json["code"].as_str().unwrap().to_owned();
            assert!(code == "malformed_encoding" || end == 0, "{encoding} cut at {end}: {answer:?}");
        }
        let behind = [&whole[..], b"garbage"].concat();
        post(&server, EVALUATE, encoding, behind).await.problem(400, "malformed_encoding");
        post(&server, EVALUATE, encoding, BAR.into()).await.problem(400, "malformed_encoding");
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x55;
            // Some bytes mean nothing (the time of a gzip member), some become other text; none may do harm.
            let answer = post(&server, EVALUATE, encoding, flipped).await;
            assert!(matches!(answer.status, 200 | 400 | 422), "{encoding} flipped at {at}: {answer:?}");
        }
    }
    post(&server, EVALUATE, "gzip", compress("zstd", BAR.as_bytes()).await).await.problem(400, "malformed_encoding");
}

#[tokio::test]
async fn other_encodings_are_refused_with_those_that_are_taken() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    for encoding in ["br", "deflate", "compress", "gzip, gzip", "gzip, zstd", "zstd,identity"] {
        let problem = post(&server, EVALUATE, encoding, BAR.into()).await.problem(415, "unsupported_media_type");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("gzip") && detail.contains("zstd"), "{detail}");
    }
    let twice = server.request(Method::POST, EVALUATE).header("content-type", "application/json");
    let twice = twice.header("content-encoding", "gzip").header("content-encoding", "zstd");
    send(twice.body(BAR)).await.problem(415, "unsupported_media_type");
    post(&server, EVALUATE, "identity", BAR.into()).await.ok();
}

#[tokio::test]
async fn room_is_taken_for_what_a_body_becomes() {
    let server = Server::with(|config| {
        (config.api.body_bytes, config.api.small_body_bytes) = (4 << 20, 1 << 20);
        config.api.bodies_in_flight_bytes = 4 << 20;
    })
    .await;
    server.upload(DRAWDOWN).await;
    // The largest request has all the room there is, and it comes back.
    for _ in 0..2 {
        for encoding in ENCODINGS {
            let spaces = vec![b' '; (4 << 20) - BAR.len()];
            let body = compress(encoding, &[&spaces[..], BAR.as_bytes()].concat()).await;
            assert!(body.len() < 64 << 10);
            post(&server, EVALUATE, encoding, body).await.ok();
        }
    }
    let refused = server.metric("rulebox_requests_refused_total{reason=\"body_room\"}").await;
    assert_eq!(refused, Some(0.0));
    let _: Value = server.get("/v1/limits").await.ok();
}
