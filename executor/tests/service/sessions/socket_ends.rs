//! How WebSockets end, and with which code.

use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
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
    let (server, id) = counter_with(|config| config.sessions.message_bytes = 10_000).await;
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
async fn pings_are_answered_as_they_are_taken_and_a_flood_of_them_ends_the_stream() {
    let (server, id) = counter().await;
    let mut client = Client::connect(&server, &id).await;
    for n in 0..50_u8 {
        client.0.send(Message::Ping(vec![n].into())).await.unwrap();
    }
    let mut pongs = 0;
    while pongs < 50 {
        if let Message::Pong(said) = client.0.next().await.unwrap().unwrap() {
            assert_eq!(said[..], [pongs]);
            pongs += 1;
        }
    }
    client.ask(&one(0, 1.0)).await;
    let flood = async { while client.0.send(Message::Ping(Vec::new().into())).await.is_ok() {} };
    tokio::time::timeout(std::time::Duration::from_mins(1), flood).await.unwrap();
    assert_eq!(server.metric("rulebox_ws_disconnects_total{reason=\"flood\"}").await, Some(1.0));

    // Who takes no answers sends no more pings either: they wait in the connection, and not in the service.
    let (server, id) = counter_with(|config| config.sessions.slow_seconds = 1).await;
    let mut client = Client::connect(&server, &id).await;
    let MaybeTlsStream::Plain(stream) = client.0.get_mut() else { panic!() };
    // Masked with zeros, 125 bytes each.
    let ping = [&[0x89, 0xfd, 0, 0, 0, 0][..], &[7; 125]].concat().repeat(1_000);
    let mut sent = 0;
    while tokio::time::timeout(std::time::Duration::from_secs(30), stream.write_all(&ping))
        .await
        .is_ok_and(|r| r.is_ok())
    {
        sent += ping.len();
        assert!(sent < 1 << 30, "a flood is taken");
    }
    println!("{sent} bytes of pings were taken");
    let ends = ["slow", "flood", "gone"].map(|reason| format!("rulebox_ws_disconnects_total{{reason=\"{reason}\"}}"));
    let began = Instant::now();
    loop {
        let mut ended = 0.0;
        for end in &ends {
            ended += server.metric(end).await.unwrap_or_default();
        }
        if ended >= 1.0 {
            break;
        }
        assert!(began.elapsed().as_secs() < 60, "not closed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_tenant_has_its_share_of_streams_and_leaves_the_others_theirs() {
    let (server, admin, _) =
        Server::with_platform_keys(|config| (config.sessions.sockets, config.sessions.tenant_sockets) = (3, 2)).await;
    let neighbour = server.tenant(&admin, "neighbour", &["author", "engine"]).await;
    server.upload(COUNTER).await;
    server.post_by(&neighbour, "/v1/rules", &json!({"source": COUNTER})).await.ok();
    let id = begin(&server, json!("*")).await;
    let held = [Client::connect(&server, &id).await, Client::connect(&server, &id).await];
    let refused = Client::offering(&server, &id, Some("rulebox.session.v1")).await.err().unwrap();
    let tokio_tungstenite::tungstenite::Error::Http(refused) = refused else { panic!("{refused}") };
    assert_eq!(refused.status(), 429);
    assert!(String::from_utf8_lossy(refused.body().as_deref().unwrap_or_default()).contains("too_many_open"));
    let theirs = server.post_by(&neighbour, "/v1/sessions", &json!({"rules": "*"})).await.ok();
    let theirs = Client::by(&server, &neighbour, theirs["id"].as_str().unwrap(), Some("rulebox.session.v1")).await;
    assert!(theirs.is_ok());
    drop(held);
    let began = Instant::now();
    while Client::offering(&server, &id, Some("rulebox.session.v1")).await.is_err() {
        assert!(began.elapsed().as_secs() < 60, "what is over takes no place");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
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
