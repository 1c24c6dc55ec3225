//! Connections as clients with other habits use them: silent ones, slow ones, and ones that write before they read.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{DRAWDOWN, Server};

const EVALUATE: &str = "/v1/rules/drawdown/evaluate";

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.base.strip_prefix("http://").unwrap()).await.unwrap()
}

/// The head of a request with a body.
fn head(key: &str, kind: &str, body: &str) -> String {
    format!(
        "POST {EVALUATE} HTTP/1.1\r\nhost: rulebox\r\nauthorization: Bearer {key}\r\ncontent-type: {kind}\r\n\
         connection: close\r\n{body}\r\n\r\n"
    )
}

/// Reads to the end of the connection.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_client_that_writes_before_it_reads_sees_why_it_is_refused() {
    let server = Server::with(|config| config.api.body_bytes = 20 << 20).await;
    server.upload(DRAWDOWN).await;
    let size = 30 << 20;
    let length = format!("content-length: {size}");
    for (head, status, code) in [
        (head(&server.key, "application/json", &length), 413, "body_too_large"),
        (head("rbx_live_nobody", "application/json", &length), 401, "unauthenticated"),
        (head(&server.key, "text/csv", &length), 415, "unsupported_media_type"),
    ] {
        let mut stream = connect(&server).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..size / (1 << 20) {
            stream.write_all(&vec![b' '; 1 << 20]).await.unwrap();
        }
        let text = answer(&mut stream).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")) && text.contains(code), "{text}");
    }
}

#[tokio::test]
async fn a_refused_body_is_not_taken_for_ever() {
    let server = Server::with(|config| (config.api.body_bytes, config.api.small_body_bytes) = (1 << 20, 1 << 20)).await;
    let mut stream = connect(&server).await;
    stream
        .write_all(head("rbx_live_nobody", "application/json", "content-length: 1000000000").as_bytes())
        .await
        .unwrap();
    let block = vec![b' '; 1 << 20];
    let mut sent = 0;
    while stream.write_all(&block).await.is_ok() {
        sent += 1;
    }
    assert!((1..900).contains(&sent), "{sent} MiB were taken");
}

#[tokio::test]
async fn bodies_that_never_come_hold_no_room() {
    let server = Server::with(|config| config.api.bodies_in_flight_bytes = config.api.body_bytes).await;
    server.upload(DRAWDOWN).await;
    let mut silent = Vec::new();
    for body in ["content-length: 67108864", "transfer-encoding: chunked"].repeat(4) {
        let mut stream = connect(&server).await;
        stream.write_all(head(&server.key, "application/json", body).as_bytes()).await.unwrap();
        silent.push(stream);
    }
    while server.metric("http_server_active_requests").await != Some(8.0) {
        tokio::task::yield_now().await;
    }
    let columns = json!({"columns": {"equity": vec![1; 100_000], "drawdown": vec![0; 100_000]}});
    server.post(EVALUATE, &columns).await.ok();
    server.post(EVALUATE, &json!({"inputs": {"equity": 1, "drawdown": 0}})).await.ok();
    assert_eq!(server.metric("rulebox_requests_refused_total{reason=\"body_room\"}").await, Some(0.0));
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let server = Server::with(|config| config.api.header_seconds = 1).await;
    for start in ["", "P", "PRI * HTTP/2.0\r\n", "GET /v1/limits HTTP/1.1\r\nhost: rulebox\r\nx-slow: "] {
        let mut stream = connect(&server).await;
        stream.write_all(start.as_bytes()).await.unwrap();
        let closed = timeout(Duration::from_secs(10), stream.read(&mut [0; 100])).await;
        assert!(!matches!(closed.unwrap(), Ok(1..)), "{start:?} was answered");
    }
    // Nor does one live on between requests.
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /v1/limits HTTP/1.1\r\nhost: rulebox\r\n\r\n").await.unwrap();
    let text = timeout(Duration::from_secs(10), answer(&mut stream)).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 401 "), "{text}");
}

#[tokio::test]
async fn an_answer_that_is_not_taken_holds_no_connection() {
    let server = Server::with(|config| (config.api.header_seconds, config.api.body_seconds) = (1, 1)).await;
    // An HTTP/2 client that has room for no byte of an answer, and asks for one without a key.
    let settings = [&[0, 0, 6, 4, 0, 0, 0, 0, 0][..], &[0, 4, 0, 0, 0, 0]].concat();
    let path = b"/openapi.json";
    let block = [&[0x82, 0x86, 0x04, 13][..], path, &[0x01, 1, b'x']].concat();
    let head = [&[0, 0, u8::try_from(block.len()).unwrap(), 1, 5, 0, 0, 0, 1][..], &block].concat();
    let mut http2 = connect(&server).await;
    http2.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings, &head].concat()).await.unwrap();
    // And one of HTTP/1 that asks again and again, and reads nothing.
    let mut http1 = connect(&server).await;
    let request = b"GET /openapi.json HTTP/1.1\r\nhost: rulebox\r\n\r\n";
    http1.write_all(&request.repeat(200)).await.unwrap();
    let began = Instant::now();
    let closed = timeout(Duration::from_secs(30), async {
        let mut said = Vec::new();
        // The head of an answer comes, and then no byte of its body.
        let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], &[7; 8]].concat();
        let (mut reader, mut writer) = http2.split();
        // That it is alive, as it says again and again, is no reason.
        let pings = async {
            while writer.write_all(&ping).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let answer = async { while matches!(reader.read_buf(&mut said).await, Ok(1..)) {} };
        tokio::select! {
            () = answer => {}
            () = pings => {}
        }
        assert!(said.len() < 4_096, "{} bytes", said.len());
    });
    closed.await.unwrap();
    println!("the connection of HTTP/2 is closed after {:?}", began.elapsed());
    // What lies between is still read; then it ends, long before the last answer.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let whole = server.anonymous(Method::GET, "/openapi.json").send().await.unwrap().bytes().await.unwrap().len();
    let mut rest = Vec::new();
    let _ = timeout(Duration::from_secs(30), http1.read_to_end(&mut rest)).await.unwrap();
    let answers = rest.len() / whole;
    println!("{answers} of 200 answers lay between");
    assert!(answers < 190);
}

#[tokio::test]
async fn a_body_may_take_longer_than_a_head() {
    let server = Server::with(|config| config.api.header_seconds = 1).await;
    server.upload(DRAWDOWN).await;
    let body = r#"{"inputs": {"equity": 1, "drawdown": 0}}"#;
    let mut stream = connect(&server).await;
    let length = format!("content-length: {}", body.len());
    stream.write_all(head(&server.key, "application/json", &length).as_bytes()).await.unwrap();
    let early = timeout(Duration::from_secs(3), stream.read(&mut [0; 1])).await;
    assert!(early.is_err(), "the connection was closed, or the answer came before the body");
    stream.write_all(body.as_bytes()).await.unwrap();
    let text = answer(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let server = Server::with(|config| config.api.body_stall_seconds = 1).await;
    server.upload(DRAWDOWN).await;
    let mut stream = connect(&server).await;
    stream.write_all(head(&server.key, "application/json", "content-length: 100").as_bytes()).await.unwrap();
    stream.write_all(b"{").await.unwrap();
    let text = timeout(Duration::from_secs(30), answer(&mut stream)).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("nothing of the body came for 1 seconds"), "{text}");
}

/// Bodies of a few KiB that become 4 MiB each, and whose ends do not come.
#[tokio::test]
async fn bodies_of_one_tenant_that_do_not_end_leave_room_for_those_of_another() {
    let (server, admin, _) = Server::with_platform_keys(|config| {
        config.api.body_bytes = 4 << 20;
        config.api.small_body_bytes = 1 << 20;
        // Two of these bodies fill it.
        config.api.bodies_in_flight_bytes = (8 << 20) + (512 << 10);
    })
    .await;
    server.upload(DRAWDOWN).await;
    let other = server.tenant(&admin, "other", &["author", "engine"]).await;
    server.post_by(&other, "/v1/rules", &json!({ "source": DRAWDOWN })).await.ok();
    let mut encoder = async_compression::tokio::write::GzipEncoder::new(Vec::new());
    encoder.write_all(&vec![b' '; 4 << 20]).await.unwrap();
    encoder.shutdown().await.unwrap();
    let whole = encoder.into_inner();
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = connect(&server).await;
        let body = format!("content-encoding: gzip\r\ncontent-length: {}", whole.len());
        stream.write_all(head(&server.key, "application/json", &body).as_bytes()).await.unwrap();
        stream.write_all(&whole[..whole.len() - 8]).await.unwrap();
        held.push(stream);
    }
    let refused = "rulebox_requests_refused_total{reason=\"body_room\"}";
    timeout(Duration::from_secs(30), async {
        // No more of them find room.
        while server.metric(refused).await < Some(6.0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    let rows = 100_000;
    let columns = json!({"columns": {"equity": vec![1; rows], "drawdown": vec![0; rows]}});
    server.post_by(&other, EVALUATE, &columns).await.ok();
    drop(held);
}

#[tokio::test]
async fn connections_are_bounded_and_the_next_one_waits() {
    let server = Server::with(|config| config.api.connections = 1).await;
    // It has asked, and lives on.
    let mut first = connect(&server).await;
    first.write_all(b"GET /v1/limits HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(first.read(&mut [0; 1]).await.unwrap() > 0);
    let mut second = connect(&server).await;
    second.write_all(head("nobody", "application/json", "content-length: 0").as_bytes()).await.unwrap();
    let early = timeout(Duration::from_millis(500), second.read(&mut [0; 1])).await;
    assert!(early.is_err(), "the second was answered beside the first");
    drop(first);
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 401 "));
}

#[tokio::test]
async fn connections_without_a_request_keep_nobody_waiting() {
    let server = Server::with(|config| config.api.connections = 32).await;
    let mut silent = Vec::new();
    for n in 0..200 {
        let mut stream = connect(&server).await;
        if n % 2 == 0 {
            stream.write_all(b"GET /v1/limits HTTP/1.1\r\nhost: ").await.unwrap();
        }
        silent.push(stream);
    }
    let began = Instant::now();
    // Each a connection of its own, and all in less time than a silent one has.
    let ask = async {
        for _ in 0..20 {
            let mut stream = connect(&server).await;
            stream.write_all(b"GET /v1/limits HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
            assert!(answer(&mut stream).await.starts_with("HTTP/1.1 401 "));
        }
    };
    timeout(Duration::from_secs(8), ask).await.unwrap();
    println!("20 requests beside 200 connections without one took {:?}", began.elapsed());
    // The oldest had to go, the youngest may still ask.
    let mut oldest = silent.remove(0);
    assert!(!matches!(timeout(Duration::from_secs(5), oldest.read(&mut [0; 1])).await.unwrap(), Ok(1..)));
    let mut last = silent.pop().unwrap();
    last.write_all(b"GET /v1/limits HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(answer(&mut last).await.starts_with("HTTP/1.1 401 "));
}

#[tokio::test]
async fn who_has_sent_half_a_head_does_not_hold_the_service_back() {
    let server = Server::start().await;
    let mut half = connect(&server).await;
    half.write_all(b"GET /v1/limits HTTP/1.1\r\nhost: ").await.unwrap();
    // Accepted in order: when this one is answered, the other is being served.
    server.get("/v1/limits").await.ok();
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "it waited for {:?}", began.elapsed());
}
