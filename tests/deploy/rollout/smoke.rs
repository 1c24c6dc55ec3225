//! `smoke` against a running service: that it passes, and that it finds what is broken.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use rulebox_tests::tools::tried;
use rulebox_tests::{Server, root};
use serde_json::Value;

fn smoke(url: &str, key: &Path, more: &[&str]) -> (i32, String) {
    let mut command = Command::new(root().join("deploy/scripts/smoke"));
    let (output, said) = tried(command.args(["--url", url, "--key-file"]).arg(key).args(more));
    (output.status.code().unwrap(), said)
}

/// What a gateway does to an answer.
type Change = fn(String) -> String;

/// Rules that are not archived.
fn left(server: &Server) -> usize {
    let answer: Value = server.get(server.key.as_ref().unwrap(), "/v1/rules").unwrap().json().unwrap();
    answer["rules"].as_array().unwrap().len()
}

/// A gateway that hands on what it is asked, and changes each answer; it keeps the heads of requests.
fn gateway(to: &str, change: Change) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (heads, seen) = std::sync::mpsc::channel();
    let to = to.trim_start_matches("http://").to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Some(head) = hand_on(client.unwrap(), &to, change) else { continue };
            if heads.send(head).is_err() {
                return;
            }
        }
    });
    (address, seen)
}

/// One request; none if the client has said nothing.
fn hand_on(mut client: TcpStream, to: &str, change: Change) -> Option<String> {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let at = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if let Some((name, value)) = head[at..].split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut service = TcpStream::connect(to).unwrap();
    let once = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    service.write_all(&[once.as_bytes(), &body].concat()).unwrap();
    let mut answer = Vec::new();
    service.read_to_end(&mut answer).unwrap();
    let answer = change(String::from_utf8(answer).unwrap());
    client.write_all(answer.as_bytes()).unwrap();
    Some(head)
}

#[test]
fn smoke_passes_over_a_service_that_is_well_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let key = directory.path().join("first.key");
    let (code, said) = smoke(&server.api, &key, &[]);
    assert!(code == 0 && said.contains("answers as it must"), "{said}");
    assert_eq!(left(&server), 0);
    // By the canary: each call says so.
    let (gateway, seen) = gateway(&server.api, |answer| answer);
    let (code, said) = smoke(&gateway, &key, &["--track", "canary"]);
    assert!(code == 0 && said.contains("track canary"), "{said}");
    let heads: Vec<_> = seen.try_iter().collect();
    assert!(heads.len() >= 20 && heads.iter().all(|head| head.contains("x-rulebox-track: canary")), "{heads:?}");
    println!("smoke: {} calls", heads.len());
}

#[test]
fn smoke_finds_what_is_broken() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let key = directory.path().join("first.key");
    let wrong = directory.path().join("wrong.key");
    let text = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&wrong, text.replace("rbx_live_", "rbx_live_x")).unwrap();
    let (code, said) = smoke(&server.api, &wrong, &[]);
    assert!(code == 1 && said.contains("the key is known: GET /v1/limits answers 401"), "{said}");
    // As a gateway may break it: verdicts, the order of versions, numbers, streams that end early, answers said twice.
    let broken: [(Change, &str); 6] = [
        (|answer| answer.replace("\"verdict\":\"breach\"", "\"verdict\":\"skipt!\""), "one bar: .verdict is skipt!"),
        (|answer| answer.replace("\"bars\":5", "\"bars\":4"), "columns: [.bars"),
        (|answer| answer.replace("{\"trailer\":", "{\"trawler\":"), "a stream: .[-1]"),
        (
            |answer| answer.replace("409 Conflict", "200 Okay.it").replace("HTTP/1.1 409", "HTTP/1.1 200"),
            "answers 200, not 409",
        ),
        (|answer| answer.replace("\"expected_seq\":3", "\"expected_seq\":4"), "expected_seq is 4"),
        (|answer| answer.replace("HTTP/1.1 422", "HTTP/1.1 200"), "answers 200, not 422"),
    ];
    for (change, says) in &broken {
        let (gateway, _seen) = gateway(&server.api, *change);
        let (code, said) = smoke(&gateway, &key, &[]);
        assert!(code == 1 && said.contains(says), "not by '{says}': {said}");
        assert_eq!(left(&server), 0, "{says}");
    }
    println!("smoke: {} faults found", broken.len() + 2);
    let url = server.api.clone();
    drop(server);
    let (code, said) = smoke(&url, &key, &[]);
    assert!(code == 1 && said.contains("the API is there: no answer"), "{said}");
}
