//! The feed: events as they happen, resumed after a break without a gap.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{id, list, run, tight};
use crate::harness::{Server, send};

/// An event as a client reads it.
#[derive(Debug)]
struct Event {
    id: String,
    topic: String,
    data: Value,
}

/// A client of the feed.
struct Client {
    response: Response,
    buffer: String,
    /// As a browser keeps it.
    last_id: String,
}

impl Client {
    async fn connect(server: &Server, key: &str, last_id: Option<&str>) -> Self {
        let request = server.request_by(key, Method::GET, "/v1/violations/stream");
        let request = match last_id {
            Some(last_id) => request.header("last-event-id", last_id),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut client = Self { response, buffer: String::new(), last_id: String::new() };
        // Its first words say where it is.
        while client.last_id.is_empty() {
            assert!(client.read().await);
            assert!(client.take().is_none());
        }
        client
    }

    /// Reads more; whether there was more.
    async fn read(&mut self) -> bool {
        let chunk = tokio::time::timeout(Duration::from_secs(30), self.response.chunk()).await;
        match chunk.expect("something within 30 seconds").unwrap() {
            Some(chunk) => {
                self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
                true
            }
            None => false,
        }
    }

    /// The next event that has come.
    fn take(&mut self) -> Option<Event> {
        while let Some((message, rest)) = self.buffer.split_once("\n\n") {
            let mut event = Event { id: String::new(), topic: String::new(), data: Value::Null };
            for line in message.lines().filter(|line| !line.starts_with(':')) {
                let (field, value) = line.split_once(": ").unwrap();
                match field {
                    "id" => value.clone_into(&mut event.id),
                    "event" => value.clone_into(&mut event.topic),
                    "data" => event.data = serde_json::from_str(value).unwrap(),
                    other => assert_eq!(other, "retry"),
                }
            }
            self.buffer = rest.to_owned();
            if !event.id.is_empty() {
                self.last_id.clone_from(&event.id);
            }
            if !event.data.is_null() {
                return Some(event);
            }
        }
        None
    }

    /// The next event.
    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.take() {
                return event;
            }
            assert!(self.read().await, "the stream ended");
        }
    }
}

#[tokio::test]
async fn what_happens_is_told_to_whom_it_concerns() {
    let (server, admin, security) = tight(1_000_000_000).await;
    run(&server).await.problem(422, "sandbox_violation");
    let mut reviewer = Client::connect(&server, &security, None).await;
    let mut own = Client::connect(&server, &server.key, None).await;
    let stranger = server.tenant(&admin, "stranger", &["author"]).await;
    let mut other = Client::connect(&server, &stranger, None).await;
    let before = reviewer.last_id.clone();
    let found = list(&server, &security, "").await;
    let path = format!("/v1/violations/{}", id(&found[0]));
    let acknowledge = server.request_by(&security, Method::POST, &format!("{path}/acknowledge"));
    send(acknowledge).await.ok();
    server.post_by(&security, &format!("{path}/resolve"), &json!({"note": "secret words"})).await.ok();
    let stop = json!({"version": 1, "reason": "by hand"});
    server.post_by(&security, "/v1/rules/drawdown/quarantine?tenant=default", &stop).await.ok();
    let release = json!({"version": 1});
    server.post_by(&security, "/v1/rules/drawdown/release?tenant=default", &release).await.ok();
    let expected = ["violation.acknowledged", "violation.resolved", "rule.quarantined", "rule.released"];
    for client in [&mut reviewer, &mut own] {
        for topic in expected {
            let event = client.next().await;
            assert_eq!((event.topic.as_str(), &event.data["type"]), (topic, &json!(topic)));
            assert_eq!(event.data["data"]["tenant"], "default");
            assert!(event.data["timestamp"].is_string() && !event.data.to_string().contains("secret"));
        }
    }
    // The stranger's first event is its own.
    let forged = format!("/v1/rules?cursor={}", "A".repeat(80));
    server.get_by(&stranger, &forged).await.problem(400, "invalid_query");
    let event = other.next().await;
    assert_eq!((event.topic.as_str(), &event.data["data"]["tenant"]), ("violation.opened", &json!("stranger")));
    assert_eq!(reviewer.next().await.data, event.data);
    // Who was cut off before all that hears it again.
    let mut again = Client::connect(&server, &security, Some(&before)).await;
    for topic in expected {
        assert_eq!(again.next().await.topic, topic);
    }
    assert_eq!(again.next().await.id, event.id);
}

#[tokio::test]
async fn nonsense_for_the_last_event_is_refused() {
    let (server, _, security) = Server::with_platform_keys(|_| {}).await;
    for bad in [
        "",
        "x",
        "1-1",
        "1-1-",
        "-1-1",
        "1-1-1-1",
        "01-1-1",
        "99999999999999999999-1-1",
        "1-1-1; drop table violations",
        "ä",
    ] {
        let request = server.request_by(&security, Method::GET, "/v1/violations/stream");
        let value = reqwest::header::HeaderValue::from_bytes(bad.as_bytes()).unwrap();
        let problem = send(request.header("last-event-id", value)).await.problem(400, "invalid_header");
        assert_eq!(problem["path"], "Last-Event-ID", "{bad}");
    }
    // Of a store that was restored from a backup since, or of another: events would be missed in silence.
    let beyond = server.request_by(&security, Method::GET, "/v1/violations/stream");
    let problem = send(beyond.header("last-event-id", "0-99999999-1")).await.problem(400, "invalid_header");
    assert!(problem["detail"].as_str().unwrap().contains("GET /v1/violations"), "{problem}");
    // What came since may have been removed as too old.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let days = |n: u128| format!("0-0-{}", now - n * 86_400_000);
    let old = server.request_by(&security, Method::GET, "/v1/violations/stream");
    let problem = send(old.header("last-event-id", days(31))).await.problem(400, "invalid_header");
    assert!(problem["detail"].as_str().unwrap().contains("30 days"), "{problem}");
    Client::connect(&server, &security, Some(&days(29))).await;
    let twice = server.request_by(&security, Method::GET, "/v1/violations/stream");
    send(twice.header("last-event-id", days(0)).header("last-event-id", days(1))).await.problem(400, "invalid_header");
    let query = server.request_by(&security, Method::GET, "/v1/violations/stream?from=0");
    send(query).await.problem(400, "invalid_query");
}

#[tokio::test]
async fn a_tenant_has_a_few_feeds_and_others_have_theirs() {
    let (server, _, security) = Server::with_platform_keys(|_| {}).await;
    let mut feeds = Vec::new();
    for _ in 0..16 {
        feeds.push(Client::connect(&server, &server.key, None).await);
    }
    send(server.request(Method::GET, "/v1/violations/stream")).await.problem(429, "too_many_open");
    Client::connect(&server, &security, None).await;
    server.get("/v1/rules").await.ok();
    feeds.pop();
    let began = std::time::Instant::now();
    while server.request(Method::GET, "/v1/violations/stream").send().await.unwrap().status() != 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "the place of one that has gone is not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Violations that are opened while the reviewer comes and goes.
const MANY: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reviewer_who_is_cut_off_under_load_misses_none() {
    let (server, admin, security) = Server::with_platform_keys(|_| {}).await;
    let mut keys = Vec::new();
    for n in 0..10 {
        keys.push(server.tenant(&admin, &format!("t{n}"), &["author"]).await);
    }
    let first = Client::connect(&server, &security, None).await;
    let begin = first.last_id.clone();
    drop(first);
    let writing = async {
        let each = keys.iter().map(|key| async {
            let mut opened = Vec::new();
            for _ in 0..MANY / keys.len() {
                // The one before is resolved: this is another.
                let forged = format!("/v1/rules?cursor={}", "A".repeat(80));
                server.get_by(key, &forged).await.problem(400, "invalid_query");
                let found = list(&server, key, "?status=open&limit=1").await;
                let path = format!("/v1/violations/{}/resolve", id(&found[0]));
                server.post_by(&security, &path, &json!({"note": "next"})).await.ok();
                opened.push(id(&found[0]).to_owned());
            }
            opened
        });
        futures_util::future::join_all(each).await.concat()
    };
    let reading = async {
        let (mut last_id, mut opened, mut resolved, mut cuts) = (begin, Vec::new(), Vec::new(), 0);
        while resolved.len() < MANY {
            let mut client = Client::connect(&server, &security, Some(&last_id)).await;
            // A few, and then the line is cut.
            for _ in 0..7 {
                let event = client.next().await;
                last_id.clone_from(&event.id);
                let id = event.data["data"]["id"].as_str().unwrap().to_owned();
                match event.topic.as_str() {
                    "violation.opened" => opened.push(id),
                    "violation.resolved" => resolved.push(id),
                    other => panic!("{other}"),
                }
                if resolved.len() == MANY {
                    break;
                }
            }
            cuts += 1;
        }
        (opened, resolved, cuts)
    };
    let (written, (opened, resolved, cuts)) = tokio::join!(writing, reading);
    let expected: BTreeSet<_> = written.iter().collect();
    assert_eq!(expected.len(), MANY);
    for told in [&opened, &resolved] {
        assert_eq!(told.len(), MANY, "none twice");
        assert_eq!(told.iter().collect::<BTreeSet<_>>(), expected);
    }
    println!(
        "{MANY} violations opened and resolved by 10 tenants: told once each to a reviewer who was cut off {cuts} times"
    );
}

#[tokio::test]
async fn the_feed_ends_when_the_service_stops_and_when_the_key_is_revoked() {
    let (server, _, security) = Server::with_platform_keys(|_| {}).await;
    let made = server.post("/v1/keys", &json!({"roles": ["author"]})).await.ok();
    let mut revoked = Client::connect(&server, made["key"].as_str().unwrap(), None).await;
    server.delete(&format!("/v1/keys/{}", made["id"].as_str().unwrap())).await.ok();
    while revoked.read().await {}
    let mut reviewer = Client::connect(&server, &security, None).await;
    let ends = tokio::spawn(async move { while reviewer.read().await {} });
    server.stop().await;
    ends.await.unwrap();
}
