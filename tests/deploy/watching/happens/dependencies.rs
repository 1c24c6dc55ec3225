//! What the service needs goes away.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rulebox_tests::servers::free_port;
use rulebox_tests::servers::redis::Redis;
use rulebox_tests::{Server, rule};
use serde_json::json;

use super::{Watch, answer, meanwhile, serve};

/// Opens the WebSocket of a session, and goes away without a word.
fn open_and_vanish(server: &Server, key: &str, session: &str) {
    let address = server.api.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /v1/sessions/{session}/stream HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
         connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: rulebox.session.v1\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
}

#[test]
fn what_is_away_is_told_and_what_follows_from_it_is_not() {
    let health = format!("127.0.0.1:{}", free_port());
    let watch = Watch::start(std::slice::from_ref(&health));
    let (directory, mut redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let server = serve(directory.path(), &health, &watch, &[("REDIS_URL", &redis.url())]);
    let key = server.key.clone().unwrap();
    assert_eq!(answer(server.post(&key, "/v1/rules", &json!({"source": rule(7)}))).0, 201);
    let (status, session) = answer(server.post(&key, "/v1/sessions", &json!({"rules": ["probe"]})));
    assert_eq!(status, 201, "{session}");
    let session = session["id"].as_str().unwrap();
    watch.scraped(&health);

    let again = || {
        open_and_vanish(&server, &key, session);
        std::thread::sleep(Duration::from_millis(50));
    };
    meanwhile(again, |began| {
        watch.told("RuleboxDisconnectSpike", "", "clients vanish from WebSockets", began, "on-call-chat");
    });

    redis.kill();
    let bar = json!({"seq": 0, "inputs": {"equity": 100, "drawdown": 0}});
    let again = || {
        let _ = server.post(&key, &format!("/v1/sessions/{session}/bars"), &bar);
        std::thread::sleep(Duration::from_millis(20));
    };
    meanwhile(again, |began| {
        watch.told("RuleboxDependencyDown", "dependency: redis", "Redis is killed", began, "on-call");
        watch.held_back("RuleboxServerErrors", "sessions answer 503", "RuleboxDependencyDown", began);
        // Longer than its group waits.
        std::thread::sleep(Duration::from_secs(2));
    });
    let told = watch.team.told();
    assert!(told.iter().all(|(_, message)| !message.text.contains("RuleboxServerErrors:")), "{told:#?}");
}

#[test]
fn what_one_process_lacks_holds_nothing_back() {
    let [lame, well] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let watch = Watch::start(&[lame.clone(), well.clone()]);
    let directories = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (mut away, mut near) = (Redis::start(), Redis::start());
    let start = |n: usize, health: &str, redis: &Redis| {
        serve(directories[n].path(), health, &watch, &[("REDIS_URL", &redis.url())])
    };
    let (server, _other) = (start(0, &lame, &away), start(1, &well, &near));
    let key = server.key.clone().unwrap();
    assert_eq!(answer(server.post(&key, "/v1/rules", &json!({"source": rule(7)}))).0, 201);
    watch.scraped(&lame);
    watch.scraped(&well);

    away.kill();
    let again = || {
        let _ = server.post(&key, "/v1/sessions", &json!({"rules": ["probe"]}));
        std::thread::sleep(Duration::from_millis(20));
    };
    meanwhile(again, |began| {
        let alone = "one of two processes lacks Redis";
        watch.told("RuleboxDependencyUnreachable", &lame, alone, began, "on-call-chat");
        watch.told("RuleboxServerErrors", "", "sessions of one process answer 503", began, "on-call");
        let told = watch.team.told();
        assert!(told.iter().all(|(_, message)| !message.text.contains("RuleboxDependencyDown:")), "{told:#?}");
        near.kill();
        let began = Instant::now();
        watch.told("RuleboxDependencyDown", "dependency: redis", "the other lacks it too", began, "on-call");
    });
}
