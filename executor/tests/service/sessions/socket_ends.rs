//! How WebSockets end, and with which code.

use std::time::Instant;

use futures_util::SinkExt;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::socket::{Client, counter, counter_with, one};
use super::{COUNTER, bar, begin, counted};
use crate::harness::Server;

#[tokio::test]
async fn a_service_that_stops_closes_with_1012_and_loses_nothing() {
    let (server, id) = counter().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let id = begin(&server, json!("*")).await;
        let mut client = Client::connect(&server, &id).await;
        client.ask(&one(0, 1.0)).await;
        clients.push(client);
    }
    let mut client = Client::connect(&server, &id).await;
    assert_eq!(counted(&client.ask(&one(0, 1.0)).await), [(1.0, 1.0)]);
    let began = Instant::now();
    let closing = tokio::spawn(async move {
        for client in &mut clients {
            assert_eq!(client.close_code().await, 1012);
        }
        client.close_code().await
    });
    server.stop().await;
    println!("stopped with 21 WebSockets after {:?}", began.elapsed());
    assert_eq!(closing.await.unwrap(), 1012);
}

#[tokio::test]
async fn what_is_no_message_closes_with_the_code_for_it() {
    let (server, id) = counter_with(|config| config.api.small_body_bytes = 10_000).await;
    let raw = |code: Data, payload: Vec<u8>| Message::Frame(Frame::message(payload, OpCode::Data(code), true));
    for (message, code) in [
        (Message::binary(vec![1, 2, 3]), 1003),
        (Message::text("x".repeat(10_001)), 1009),
        (raw(Data::Text, vec![0xff, 0xfe]), 1007),
        (raw(Data::Continue, b"of nothing".to_vec()), 1002),
    ] {
        let mut client = Client::connect(&server, &id).await;
        // The server may close before it has taken all.
        let _ = client.0.send(message).await;
        assert_eq!(client.close_code().await, code);
    }
    let mut client = Client::connect(&server, &id).await;
    let MaybeTlsStream::Plain(stream) = client.0.get_mut() else { panic!() };
    // A frame that no mask hides.
    stream.write_all(&[0x81, 0x02, b'{', b'}']).await.unwrap();
    assert_eq!(client.close_code().await, 1002);
    let mut client = Client::connect(&server, &id).await;
    assert_eq!(counted(&client.ask(&one(0, 1.0)).await), [(1.0, 1.0)], "the session is as it was");
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_closed_with_4008() {
    let (server, id) = counter_with(|config| config.sessions.slow_seconds = 1).await;
    let mut client = Client::connect(&server, &id).await;
    let many = json!({"seq": 0, "columns": {"equity": vec![1; 1_000]}}).to_string();
    let began = Instant::now();
    // Nobody reads: answers fill what lies between, then the server waits for a second.
    while server.metric("rulebox_ws_disconnects_total{reason=\"slow\"}").await != Some(1.0) {
        assert!(began.elapsed().as_secs() < 60, "not closed");
        let say = client.0.send(Message::text(many.clone()));
        let _ = tokio::time::timeout(std::time::Duration::from_millis(50), say).await;
    }
    println!("closed after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_silent_client_is_closed_and_its_session_lives() {
    let (server, id) = counter_with(|config| {
        config.sessions.ping_seconds = 1;
        config.sessions.socket_idle_seconds = 1;
    })
    .await;
    let mut client = Client::connect(&server, &id).await;
    assert_eq!(client.close_code().await, 1001, "it answers pings, but has no bars");
    let mut client = Client::connect(&server, &id).await;
    assert_eq!(counted(&client.ask(&one(0, 1.0)).await), [(1.0, 1.0)]);
}

#[tokio::test]
async fn a_session_that_is_lost_ends_its_stream() {
    let (server, id) = counter().await;
    let mut client = Client::connect(&server, &id).await;
    assert_eq!(server.delete(&format!("/v1/sessions/{id}")).await.status, 204);
    assert_eq!(client.ask(&one(0, 1.0)).await["code"], "session_lost");
    assert_eq!(client.close_code().await, 4410);
}

#[tokio::test]
async fn a_key_that_is_revoked_ends_its_streams() {
    let (server, id) = counter().await;
    let key = server.post("/v1/keys", &json!({"roles": ["engine"]})).await.ok();
    let text = key["key"].as_str().unwrap();
    let mut client = Client::by(&server, text, &id, Some("rulebox.session.v1")).await.unwrap();
    client.ask(&one(0, 1.0)).await;
    let mut other = Client::connect(&server, &id).await;
    let began = Instant::now();
    assert!(server.delete(&format!("/v1/keys/{}", key["id"].as_str().unwrap())).await.status < 300);
    assert_eq!(client.close_code().await, 4401);
    println!("closed {:?} after its key was revoked", began.elapsed());
    assert_eq!(counted(&other.ask(&one(1, 1.0)).await), [(2.0, 2.0)], "other keys go on");
}

#[tokio::test]
async fn a_quarantine_stops_a_session_until_its_end() {
    let (server, _, security) = Server::with_platform_keys(|_| {}).await;
    server.upload(COUNTER).await;
    let id = begin(&server, json!("*")).await;
    let mut client = Client::connect(&server, &id).await;
    client.ask(&one(0, 1.0)).await;
    let stop = json!({"version": 1, "reason": "a test"});
    server.post_by(&security, "/v1/rules/counter/quarantine?tenant=default", &stop).await.ok();
    assert_eq!(client.ask(&one(1, 1.0)).await["code"], "rule_quarantined");
    assert_eq!(client.close_code().await, 4423);
    bar(&server, &id, 1, 1.0).await.problem(423, "rule_quarantined");
    server.post("/v1/sessions", &json!({"rules": "*"})).await.problem(423, "rule_quarantined");
    server.post(&format!("/v1/sessions/{id}/reset"), &json!({})).await.problem(423, "rule_quarantined");
    let release = json!({"version": 1});
    server.post_by(&security, "/v1/rules/counter/release?tenant=default", &release).await.ok();
    assert_eq!(counted(&bar(&server, &id, 1, 1.0).await.ok()), [(2.0, 2.0)], "no bar was lost by it");
}
