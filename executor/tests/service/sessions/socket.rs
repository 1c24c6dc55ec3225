//! The WebSocket of a session.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{COUNTER, bar, begin, counted};
use crate::harness::Server;

/// A client's end.
pub struct Client(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// Connects with the key of the server and this subprotocol.
    pub async fn offering(server: &Server, id: &str, protocol: Option<&str>) -> Result<Self, Error> {
        Self::by(server, &server.key, id, protocol).await
    }

    /// Connects with a key.
    pub async fn by(server: &Server, key: &str, id: &str, protocol: Option<&str>) -> Result<Self, Error> {
        let url = format!("{}/v1/sessions/{id}/stream", server.base.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        let (stream, response) = connect_async(request).await?;
        assert_eq!(response.headers()["sec-websocket-protocol"], "rulebox.session.v1");
        Ok(Self(stream))
    }

    pub async fn connect(server: &Server, id: &str) -> Self {
        Self::offering(server, id, Some("rulebox.session.v1")).await.unwrap()
    }

    pub async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message that is not a ping.
    pub async fn hear(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(30), self.0.next()).await.unwrap();
            match next.unwrap().unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Value {
        serde_json::from_str(self.hear().await.to_text().unwrap()).unwrap()
    }

    pub async fn ask(&mut self, message: &Value) -> Value {
        self.say(message).await;
        self.answer().await
    }

    /// Waits for the server's close, through whatever comes before.
    pub async fn close_code(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.hear().await {
                let CloseFrame { code, reason } = frame.unwrap();
                println!("closed with {code}: {reason}");
                return code.into();
            }
        }
    }
}

pub async fn counter() -> (Server, String) {
    counter_with(|_| {}).await
}

pub async fn counter_with(change: impl FnOnce(&mut rulebox::config::Config)) -> (Server, String) {
    let server = Server::with(change).await;
    server.upload(COUNTER).await;
    let id = begin(&server, json!("*")).await;
    (server, id)
}

pub fn one(seq: u64, equity: f64) -> Value {
    json!({"seq": seq, "inputs": {"equity": equity}})
}

#[tokio::test]
async fn messages_are_those_of_calls_and_both_can_be_used_in_turn() {
    let (server, id) = counter().await;
    let mut client = Client::connect(&server, &id).await;
    assert_eq!(server.metric("rulebox_sessions_active").await, Some(1.0));
    let first = client.ask(&one(0, 1.0)).await;
    assert_eq!(counted(&first), [(1.0, 1.0)]);
    assert_eq!(bar(&server, &id, 0, 1.0).await.ok(), first, "a call gets what the stream got");
    assert_eq!(counted(&bar(&server, &id, 1, 2.0).await.ok()), [(2.0, 3.0)]);
    assert_eq!(counted(&bar(&server, &id, 2, 3.0).await.ok()), [(3.0, 6.0)]);
    assert_eq!(counted(&client.ask(&one(3, 4.0)).await), [(4.0, 10.0)], "the stream hears that others went on");
    let several = json!({"seq": 3, "columns": {"equity": [4, 5, 6]}});
    assert_eq!(counted(&client.ask(&several).await), [(4.0, 10.0), (5.0, 15.0), (6.0, 21.0)]);
    // Sent ahead, answered in order.
    for seq in 6..26 {
        client.say(&one(seq, 0.0)).await;
    }
    for seq in 6..26 {
        assert_eq!(client.answer().await["seq"], seq);
    }
    client.0.close(None).await.unwrap();
    let began = std::time::Instant::now();
    while server.metric("rulebox_ws_disconnects_total{reason=\"closed\"}").await != Some(1.0) {
        assert!(began.elapsed().as_secs() < 30);
    }
    assert_eq!(server.metric("rulebox_sessions_active").await, Some(0.0));
    let mut again = Client::connect(&server, &id).await;
    assert_eq!(counted(&again.ask(&one(26, 0.0)).await), [(27.0, 21.0)]);
}

#[tokio::test]
async fn a_problem_is_an_answer_and_the_stream_goes_on() {
    let (server, id) = counter().await;
    let mut client = Client::connect(&server, &id).await;
    for (message, code) in [
        (json!("text"), "invalid_request"),
        (json!({"seq": 0}), "invalid_request"),
        (json!({"seq": 0, "inputs": {"equity": 1}, "bogus": 1}), "invalid_request"),
        (json!({"seq": 0, "inputs": {"nothing": 1}}), "unknown_column"),
        (one(7, 1.0), "seq_gap"),
    ] {
        let problem = client.ask(&message).await;
        assert_eq!(problem["code"], code, "{message}");
        assert_eq!(problem["instance"], format!("/v1/sessions/{id}/stream"));
    }
    client.0.send(Message::text("{\"seq\": ")).await.unwrap();
    assert_eq!(client.answer().await["code"], "malformed_json");
    assert_eq!(counted(&client.ask(&one(0, 1.0)).await), [(1.0, 1.0)]);
    assert_eq!(client.ask(&one(0, 2.0)).await["code"], "seq_conflict");
    server.post(&format!("/v1/sessions/{id}/reset"), &json!({})).await.ok();
    let gap = client.ask(&one(1, 1.0)).await;
    assert_eq!((&gap["code"], &gap["expected_seq"]), (&json!("seq_gap"), &json!(0)), "a reset is heard of");
}

#[tokio::test]
async fn what_is_no_websocket_of_this_kind_is_refused_before_it_is_one() {
    let (server, id) = counter().await;
    server.get(&format!("/v1/sessions/{id}/stream")).await.problem(426, "websocket_required");
    for (id, protocol, status) in [
        (id.as_str(), None, 426),
        (id.as_str(), Some("rulebox.session.v2"), 426),
        ("ses_nothing", Some("rulebox.session.v1"), 404),
    ] {
        match Client::offering(&server, id, protocol).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), status),
            other => panic!("{:?}", other.map(|_| ())),
        }
    }
    let session = begin(&server, json!("*")).await;
    server.delete(&format!("/v1/sessions/{session}")).await;
    let lost = Client::offering(&server, &session, Some("rulebox.session.v1")).await;
    assert!(matches!(lost, Err(Error::Http(response)) if response.status() == 410));
}

#[tokio::test]
async fn there_is_an_end_to_the_number_of_websockets() {
    let (server, id) = counter_with(|config| config.sessions.sockets = 1).await;
    let first = Client::connect(&server, &id).await;
    let second = Client::offering(&server, &id, Some("rulebox.session.v1")).await;
    assert!(matches!(second, Err(Error::Http(response)) if response.status() == 503));
    drop(first);
    let began = std::time::Instant::now();
    while Client::offering(&server, &id, Some("rulebox.session.v1")).await.is_err() {
        assert!(began.elapsed().as_secs() < 30);
    }
}
