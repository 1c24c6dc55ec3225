//! What the service signs, the official library verifies, and nothing else.

use std::collections::BTreeMap;
use std::net::TcpStream;

use rulebox_tests::Server;
use rulebox_tests::receiver::{Answering, Received, Receiver};
use rulebox_tests::servers::clock::Clock;
use rulebox_tests::servers::standard_webhooks::StandardWebhooks;
use rulebox_tests::servers::{Guarded, free_port, wait_until};
use serde_json::json;

use super::{LOOPBACK, delivery, forge, hook, test_event};
use crate::replicas::body;

/// What the receiver was sent by this delivery.
fn sent(receiver: &Receiver, id: &str) -> Received {
    receiver.wait("the event", |sent| sent.header("webhook-id") == id)
}

#[test]
fn the_library_takes_what_was_sent_and_nothing_that_is_otherwise() {
    let library = StandardWebhooks::installed();
    let (directory, receiver, clock) =
        (tempfile::tempdir().unwrap(), Receiver::start(Answering::Status(204)), Clock::new());
    let settings = clock.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.push(LOOPBACK);
    let server = Server::try_start(directory.path(), &settings).unwrap();
    let key = server.key.clone().unwrap();
    let (id, secret) = hook(&server, &key, &receiver);
    let (_, other) = hook(&server, &key, &Receiver::start(Answering::Status(204)));
    forge(&server, &key);
    let told = receiver.wait("the violation", |sent| sent.path == "/hook");
    let event = library.verify(&secret, &told).unwrap();
    assert_eq!((&event["type"], &event["data"]["kind"]), (&json!("violation.opened"), &json!("state_forged")));
    assert_eq!(event, told.json());

    assert_eq!(library.verify(&other, &told).unwrap_err(), "No matching signature found");
    let middle = told.body.len() / 2;
    for at in [0, middle, told.body.len() - 1] {
        let mut changed = told.clone();
        let mut bytes = changed.body.into_bytes();
        bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
        changed.body = String::from_utf8(bytes).unwrap();
        assert_eq!(library.verify(&secret, &changed).unwrap_err(), "No matching signature found", "byte {at}");
    }
    let later = (told.header("webhook-timestamp").parse::<i64>().unwrap() + 1).to_string();
    let some = receiver_headers(&told, "webhook-id", "another");
    for changed in [some, receiver_headers(&told, "webhook-timestamp", &later)] {
        assert_eq!(library.verify(&secret, &changed).unwrap_err(), "No matching signature found");
    }
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut without = told.clone();
        without.headers.remove(name);
        assert_eq!(library.verify(&secret, &without).unwrap_err(), "Missing required headers", "{name}");
    }
    // Signed as it should be, ten minutes ago: somebody who kept it could send it again.
    clock.set(-600);
    let old = sent(&receiver, &test_event(&server, &key, &id));
    assert_eq!(library.verify(&secret, &old).unwrap_err(), "Message timestamp too old");
    clock.set(0);
    library.verify(&secret, &sent(&receiver, &test_event(&server, &key, &id))).unwrap();
}

fn receiver_headers(told: &Received, name: &str, value: &str) -> Received {
    let changed = BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let mut told = told.clone();
    told.headers.extend(changed);
    told
}

#[test]
fn both_secrets_verify_while_one_is_replaced_and_the_new_one_alone_after_that() {
    let library = StandardWebhooks::installed();
    let (directory, receiver, clock) =
        (tempfile::tempdir().unwrap(), Receiver::start(Answering::Status(204)), Clock::new());
    // Two hours ago.
    clock.set(-7_200);
    let settings = clock.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.extend([LOOPBACK, ("RULEBOX_WEBHOOKS__ROTATION_HOURS", "1")]);
    let server = Server::try_start(directory.path(), &settings).unwrap();
    let key = server.key.clone().unwrap();
    let (id, first) = hook(&server, &key, &receiver);
    let rotate = || {
        let made = body(server.post(&key, &format!("/v1/webhooks/{id}/rotate"), &json!({})), 200);
        made["secret"].as_str().unwrap().to_owned()
    };
    let second = rotate();
    clock.set(0);
    let after = sent(&receiver, &test_event(&server, &key, &id));
    library.verify(&second, &after).unwrap();
    assert_eq!(library.verify(&first, &after).unwrap_err(), "No matching signature found");
    // And now.
    let third = rotate();
    let during = sent(&receiver, &test_event(&server, &key, &id));
    for secret in [&second, &third] {
        library.verify(secret, &during).unwrap();
    }
    assert_eq!(library.verify(&first, &during).unwrap_err(), "No matching signature found");
}

#[test]
fn the_receiver_of_the_guide_takes_what_is_signed_and_nothing_else() {
    let library = StandardWebhooks::installed();
    let directory = tempfile::tempdir().unwrap();
    let server = Server::try_start(directory.path(), &[LOOPBACK, ("RULEBOX_WEBHOOKS__TRIES", "1")]).unwrap();
    let key = server.key.clone().unwrap();
    let start = |secret: &str, port: u16| {
        let mut example = library.example("deploy/webhooks/README.md");
        example.env("PORT", port.to_string()).env("WEBHOOK_SECRET", secret);
        let mut process = Guarded::spawn(&example);
        wait_until(&mut process, "the receiver of the guide", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        process
    };
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/");
    let made = body(server.post(&key, "/v1/webhooks", &json!({ "url": url })), 201);
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let receiver = start(secret, port);
    let taken = test_event(&server, &key, id);
    delivery(&server, &key, id, &taken, |one| one["state"] == "delivered");
    drop(receiver);
    let _other = start("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", port);
    let refused = test_event(&server, &key, id);
    let dead = delivery(&server, &key, id, &refused, |one| one["state"] == "dead");
    assert_eq!(dead["last_error"], "answered 401");
}
