//! Who waits for whom: slow readers, slow writers, clients that go away, and a service that stops.

use std::time::{Duration, Instant};

use axum::body::Bytes;
use futures_util::StreamExt;
use reqwest::{Body, Method, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{ARROW, JSON, LINES, stream};
use crate::harness::{DRAWDOWN, Server};

const PATH: &str = "/v1/rules/drawdown/evaluate";
const BAR: &str = "{\"equity\": 1, \"drawdown\": 0.01}\n";

/// A stream whose bars are sent when the test says so.
struct Feed {
    send: Option<mpsc::Sender<Result<Bytes, std::io::Error>>>,
    response: tokio::task::JoinHandle<reqwest::Result<Response>>,
}

impl Feed {
    fn start(server: &Server, accept: &str) -> Self {
        Self::start_by(server, &server.key, accept)
    }

    fn start_by(server: &Server, key: &str, accept: &str) -> Self {
        let (send, receive) = mpsc::channel(1);
        let request = server.request_by(key, Method::POST, PATH).header("content-type", LINES).header("accept", accept);
        let request = request.body(Body::wrap_stream(ReceiverStream::new(receive)));
        Self { send: Some(send), response: tokio::spawn(request.send()) }
    }

    async fn send(&self, text: impl Into<Bytes>) {
        self.send.as_ref().unwrap().send(Ok(text.into())).await.unwrap();
    }
}

async fn server_with(change: impl FnOnce(&mut rulebox::config::Config)) -> Server {
    let server = Server::with(change).await;
    server.upload(DRAWDOWN).await;
    server
}

async fn wait_for(server: &Server, metric: &str, least: f64) {
    let began = Instant::now();
    while server.metric(metric).await.unwrap_or_default() < least {
        assert!(began.elapsed() < Duration::from_mins(1), "{metric} has not reached {least}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn cancelled(server: &Server) -> bool {
    let (_, text) = server.health("/metrics").await;
    let start = "rulebox_evaluations_total{mode=\"stream\",outcome=\"cancelled\"";
    text.lines().any(|line| line.starts_with(start))
}

#[tokio::test]
async fn a_bar_is_answered_before_the_next_one_is_sent() {
    let server = server_with(|_| {}).await;
    let mut feed = Feed::start(&server, LINES);
    feed.send(BAR).await;
    let mut answer = (&mut feed.response).await.unwrap().unwrap().bytes_stream();
    for bar in 0..20 {
        let line = answer.next().await.unwrap().unwrap();
        let line: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!((&line["bar"], &line["verdict"]), (&json!(bar), &json!("ok")));
        feed.send(BAR).await;
    }
    feed.send = None;
    let mut rest = Vec::new();
    while let Some(piece) = answer.next().await {
        rest.extend_from_slice(&piece.unwrap());
    }
    let trailer: Value = serde_json::from_slice(rest.split(|byte| *byte == b'\n').nth(1).unwrap()).unwrap();
    assert_eq!(trailer["trailer"]["bars"], 21);
}

#[tokio::test]
async fn who_does_not_read_is_not_read_from() {
    let server = server_with(|_| {}).await;
    let feed = Feed::start(&server, LINES);
    let block = Bytes::from(BAR.repeat(10_000));
    let mut taken = 0;
    // Nobody reads the answer: at some point no more is taken.
    loop {
        let send = feed.send.as_ref().unwrap().send(Ok(block.clone()));
        if tokio::time::timeout(Duration::from_secs(2), send).await.is_err() {
            break;
        }
        taken += 10_000;
        assert!(taken < 3_000_000, "it takes everything");
    }
    println!("{taken} bars were taken before somebody read");
    let run = server.metric("rulebox_bars_evaluated_total{mode=\"stream\"}").await.unwrap();
    assert!(run < f64::from(taken), "{run} of {taken} were run");
    // Then it goes on as if nothing had been.
    let Feed { send, response } = feed;
    let mut answer = response.await.unwrap().unwrap().bytes_stream();
    drop(send);
    let (mut lines, mut last) = (0, Vec::new());
    while let Some(piece) = answer.next().await {
        let piece = piece.unwrap();
        lines += piece.split(|byte| *byte == b'\n').count() - 1;
        last = [&last[..], &piece].concat();
        last.drain(..last.len().saturating_sub(5_000));
    }
    let last = last.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap();
    let trailer: Value = serde_json::from_slice(last).unwrap();
    assert_eq!(trailer["trailer"]["bars"].as_u64().unwrap(), lines as u64 - 1);
    assert!(trailer["trailer"].get("error").is_none(), "{trailer:#}");
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_run() {
    let server = server_with(|config| config.evaluation.streams = 1).await;
    let mut feed = Feed::start(&server, LINES);
    feed.send(BAR).await;
    let answer = (&mut feed.response).await.unwrap().unwrap();
    // There is one turn, and it is taken.
    let refused = stream(&server, PATH, LINES, None, BAR).await;
    assert_eq!(refused.headers["retry-after"], "1");
    refused.problem(503, "overloaded");
    drop((answer, feed));
    let began = Instant::now();
    while !cancelled(&server).await {
        assert!(began.elapsed() < Duration::from_mins(1), "it goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stream(&server, PATH, LINES, None, BAR).await.lines();
    let refused = server.metric("rulebox_requests_refused_total{reason=\"streams\"}").await;
    assert_eq!(refused, Some(1.0));
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_told_so() {
    let server = server_with(|config| config.api.body_seconds = 1).await;
    let mut feed = Feed::start(&server, LINES);
    feed.send(BAR).await;
    let answer = (&mut feed.response).await.unwrap().unwrap();
    let text = answer.text().await.unwrap();
    let trailer: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&trailer["trailer"]["bars"], &trailer["trailer"]["error"]["code"]),
        (&json!(1), &json!("body_timeout"))
    );
    // Blank lines are no bars.
    let feed = Feed::start(&server, JSON);
    let blank = async {
        while feed.send.as_ref().unwrap().send(Ok("\n".into())).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), blank).await.unwrap();
    assert_eq!(feed.response.await.unwrap().unwrap().status(), 408);
}

#[tokio::test]
async fn streams_do_not_hold_threads_while_they_wait() {
    let server = server_with(|config| {
        (config.evaluation.threads, config.evaluation.queue) = (1, 0);
        config.evaluation.tenant_streams = 20;
    })
    .await;
    let mut live = Vec::new();
    for _ in 0..20 {
        let stream = Feed::start(&server, LINES);
        stream.send(BAR).await;
        wait_for(
            &server,
            "rulebox_bars_evaluated_total{mode=\"stream\"}",
            f64::from(u32::try_from(live.len() + 1).unwrap()),
        )
        .await;
        live.push(stream);
    }
    let columns = json!({"columns": {"equity": [1], "drawdown": [0]}});
    server.post(PATH, &columns).await.ok();
}

#[tokio::test]
async fn a_stop_ends_a_stream_with_a_word() {
    let server = server_with(|config| config.api.drain_seconds = 2).await;
    let mut feed = Feed::start(&server, LINES);
    feed.send(BAR).await;
    let answer = (&mut feed.response).await.unwrap().unwrap();
    let stopped = tokio::spawn(server.stop());
    let text = answer.text().await.unwrap();
    let trailer: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let trailer = &trailer["trailer"];
    assert_eq!((&trailer["bars"], &trailer["error"]["code"]), (&json!(1), &json!("overloaded")), "{trailer:#}");
    assert!(trailer["error"]["detail"].as_str().unwrap().contains("stopping"));
    drop(feed);
    stopped.await.unwrap();
}

#[tokio::test]
async fn a_stop_lets_a_stream_end_that_is_about_to() {
    let server = server_with(|_| {}).await;
    let feed = Feed::start(&server, ARROW);
    feed.send(BAR).await;
    wait_for(&server, "rulebox_bars_evaluated_total{mode=\"stream\"}", 1.0).await;
    let stopped = tokio::spawn(server.stop());
    tokio::time::sleep(Duration::from_millis(300)).await;
    feed.send(BAR).await;
    let Feed { send, response } = feed;
    drop(send);
    let answer = response.await.unwrap().unwrap();
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(super::trailer(&bytes)["bars"], 2);
    stopped.await.unwrap();
}

#[tokio::test]
async fn a_quarantine_ends_a_stream_at_its_next_bar() {
    let (server, _, security) = Server::with_platform_keys(|_| {}).await;
    server.upload(DRAWDOWN).await;
    let mut feed = Feed::start(&server, LINES);
    feed.send(BAR).await;
    let answer = (&mut feed.response).await.unwrap().unwrap();
    let stop = json!({"version": 1, "reason": "a test"});
    server.post_by(&security, "/v1/rules/drawdown/quarantine?tenant=default", &stop).await.ok();
    feed.send(BAR).await;
    let text = answer.text().await.unwrap();
    let trailer: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let trailer = &trailer["trailer"];
    assert_eq!((&trailer["bars"], &trailer["error"]["code"]), (&json!(1), &json!("rule_quarantined")), "{trailer:#}");
    stream(&server, PATH, LINES, None, BAR).await.problem(423, "rule_quarantined");
}

#[tokio::test]
async fn a_key_that_is_revoked_ends_a_stream_at_its_next_bar() {
    let server = server_with(|_| {}).await;
    let key = server.post("/v1/keys", &json!({"roles": ["engine"]})).await.ok();
    let text = key["key"].as_str().unwrap();
    let mut feed = Feed::start_by(&server, text, LINES);
    feed.send(BAR).await;
    let answer = (&mut feed.response).await.unwrap().unwrap();
    server.delete(&format!("/v1/keys/{}", key["id"].as_str().unwrap())).await;
    feed.send(BAR).await;
    let text = answer.text().await.unwrap();
    let trailer: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let trailer = &trailer["trailer"];
    assert_eq!((&trailer["bars"], &trailer["error"]["code"]), (&json!(1), &json!("unauthenticated")), "{trailer:#}");
}

#[tokio::test]
async fn a_tenant_has_its_share_of_streams_and_leaves_the_others_theirs() {
    let (server, admin, _) =
        Server::with_platform_keys(|config| (config.evaluation.streams, config.evaluation.tenant_streams) = (3, 2))
            .await;
    server.upload(DRAWDOWN).await;
    let neighbour = server.tenant(&admin, "neighbour", &["author", "engine"]).await;
    server.post_by(&neighbour, "/v1/rules", &json!({"source": DRAWDOWN})).await.ok();
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut feed = Feed::start(&server, LINES);
        feed.send(BAR).await;
        let answer = (&mut feed.response).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        held.push((feed, answer));
    }
    let refused = stream(&server, PATH, LINES, None, BAR).await;
    assert_eq!(refused.headers["retry-after"], "5");
    refused.problem(429, "too_many_open");
    let mut theirs = Feed::start_by(&server, &neighbour, LINES);
    theirs.send(BAR).await;
    assert_eq!((&mut theirs.response).await.unwrap().unwrap().status(), 200);
    drop(held);
    let began = Instant::now();
    while stream(&server, PATH, LINES, None, BAR).await.status != 200 {
        assert!(began.elapsed() < Duration::from_mins(1), "what is over takes no place");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_stream_waits_for_fuel_instead_of_failing() {
    let server = server_with(|config| {
        (config.evaluation.fuel, config.tenant.fuel_per_second) = (2_000_000, 2_000_000);
    })
    .await;
    let began = Instant::now();
    let summary = stream(&server, PATH, LINES, Some(JSON), BAR.repeat(100_000)).await.json();
    assert_eq!(summary["bars"], 100_000);
    let refused = server.metric("rulebox_ratelimit_decisions_total{decision=\"refused\",policy=\"fuel\"}").await;
    println!("{} units of fuel in {:?}, {refused:?} times too early", summary["fuel"], began.elapsed());
    assert!(summary["fuel"].as_u64() > Some(4_000_000) && refused > Some(0.0));
}
