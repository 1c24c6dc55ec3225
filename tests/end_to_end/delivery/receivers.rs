//! Receivers that misbehave: what they cost, what becomes of what they were to be told, and who waits for them.

use std::time::{Duration, Instant};

use rulebox_tests::receiver::{Answering, Receiver};
use rulebox_tests::{Server, output, resident_bytes};
use serde_json::{Value, json};

use super::{LOOPBACK, any_delivery, delivery, hook, metric, test_event, until};
use crate::replicas::body;

/// Of each sort.
const EVENTS: usize = 12;
const LARGE: usize = 10 << 20;

#[test]
fn receivers_that_misbehave_cost_bounded_time_and_memory() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [LOOPBACK, ("RULEBOX_WEBHOOKS__TIMEOUT_MS", "1000")];
    let server = Server::try_start(directory.path(), &settings).unwrap();
    let key = server.key.clone().unwrap();
    let warm = Receiver::start(Answering::Status(200));
    let (id, _) = hook(&server, &key, &warm);
    let first = test_event(&server, &key, &id);
    delivery(&server, &key, &id, &first, |one| one["state"] == "delivered");
    println!("| a receiver that | a delivery is then | memory of the service | in |\n|---|---|---|---|");
    for (name, answering, state, error) in [
        ("answers with 10 MB", Answering::Bytes(LARGE), "delivered", Value::Null),
        ("never answers", Answering::Never, "pending", json!("no answer in time")),
        ("drips a byte a second", Answering::Drip, "pending", json!("no answer in time")),
        ("closes in the middle", Answering::Cut, "pending", json!("no answer that could be read")),
        ("closes at once", Answering::Close, "pending", json!("no answer that could be read")),
        ("sends elsewhere", Answering::Redirect, "pending", json!("answered 302: redirects are not followed")),
        ("answers 500", Answering::Status(500), "pending", json!("answered 500")),
        ("is gone for ever", Answering::Status(410), "dead", json!("answered 410")),
    ] {
        let receiver = Receiver::start(answering);
        let (id, _) = hook(&server, &key, &receiver);
        let (before, began) = (resident_bytes(server.id()), Instant::now());
        let events: Vec<_> = (0..EVENTS).map(|_| test_event(&server, &key, &id)).collect();
        let tried = |one: &Value| one["tries"] != 0 || one["state"] != "pending";
        // Any of them: a receiver rests after three failures, which may come before the turn of the first.
        let ended = any_delivery(&server, &key, &id, tried);
        assert_eq!((&ended["state"], &ended["last_error"]), (&json!(state), &error), "{name}");
        let mut most = resident_bytes(server.id());
        if answering == Answering::Bytes(LARGE) {
            for event in &events {
                delivery(&server, &key, &id, event, |one| one["state"] == "delivered");
                most = most.max(resident_bytes(server.id()));
            }
            println!("{EVENTS} answers of {LARGE} bytes: {} bytes were taken from the receiver", receiver.taken());
        }
        let grown = most.saturating_sub(before);
        println!("| {name} | {state}, {error} | + {} KB | {:.1?} |", grown >> 10, began.elapsed());
        assert!(grown < 64 << 20, "{name}: {grown} bytes");
        assert!(receiver.received().iter().all(|sent| sent.path == "/hook"), "{name}");
        let disabled = || body(server.get(&key, &format!("/v1/webhooks/{id}")), 200)["disabled_at"].is_string();
        if state == "dead" {
            until("nothing is sent there any more", disabled);
        } else {
            assert!(!disabled(), "{name}");
        }
        assert_eq!(
            server
                .client()
                .delete(format!("{}/v1/webhooks/{id}", server.api))
                .bearer_auth(&key)
                .send()
                .unwrap()
                .status(),
            204
        );
    }
}

#[test]
fn what_is_never_taken_is_tried_less_and_less_often_then_is_dead_and_can_be_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::try_start(directory.path(), &[LOOPBACK, ("RULEBOX_WEBHOOKS__TRIES", "3")]).unwrap();
    let key = server.key.clone().unwrap();
    let receiver = Receiver::start(Answering::Status(500));
    let (hook, _) = hook(&server, &key, &receiver);
    let id = test_event(&server, &key, &hook);
    let dead = delivery(&server, &key, &hook, &id, |one| one["state"] == "dead");
    assert_eq!(
        (&dead["tries"], &dead["last_error"], &dead["due_at"]),
        (&json!(3), &json!("answered 500"), &Value::Null)
    );
    let came: Vec<_> = receiver.received().iter().map(|sent| sent.at).collect();
    let pauses: Vec<_> = came.windows(2).map(|pair| pair[1] - pair[0]).collect();
    println!("tried {} times, with {pauses:.1?} between", came.len());
    // 5 s and 10 s, each a quarter more or less.
    assert!(pauses.len() == 2 && pauses[0] >= Duration::from_millis(3_700) && pauses[1] > pauses[0], "{pauses:?}");
    assert_eq!(metric(&server, "rulebox_webhook_deliveries_total{result=\"dead\"}"), 1);
    assert_eq!(metric(&server, "rulebox_webhook_deliveries_total{result=\"failed\"}"), 2);

    receiver.answer(Answering::Status(200));
    let replayed = body(server.post(&key, &format!("/v1/webhooks/{hook}/deliveries/{id}/replay"), &json!({})), 202);
    assert_eq!((&replayed["state"], &replayed["tries"]), (&json!("pending"), &json!(0)));
    delivery(&server, &key, &hook, &id, |one| one["state"] == "delivered");
    let all = receiver.received();
    assert!(all.iter().all(|sent| sent.header("webhook-id") == id && sent.body == all[0].body));
    assert_eq!(all.len(), 4);
}

/// Makes a tenant with a key that may manage webhooks, beside a service that does not run.
fn tenant(directory: &std::path::Path, name: &str) -> String {
    let settings = [("RULEBOX_DATA_DIR", directory.display().to_string())];
    let (made, said) = output(&["tenant", "create", name], &settings);
    assert!(made.success(), "{said}");
    let (made, said) = output(&["key", "create", "--tenant", name, "--role", "tenant-admin"], &settings);
    assert!(made.success(), "{said}");
    said.lines().find(|line| line.starts_with("rbx_")).unwrap().to_owned()
}

#[test]
fn a_tenant_whose_receivers_hang_holds_up_no_other() {
    const HOOKS: usize = 20;
    const EACH: usize = 25;
    let directory = tempfile::tempdir().unwrap();
    let (hostile, other) = (tenant(directory.path(), "hostile"), tenant(directory.path(), "other"));
    // One wait for a try of the hostile tenant's to end would be seen.
    let patient = ("RULEBOX_WEBHOOKS__TIMEOUT_MS", "60000");
    let server = Server::try_start(directory.path(), &[LOOPBACK, patient]).unwrap();
    let hanging = Receiver::start(Answering::Never);
    let hooks: Vec<_> = (0..HOOKS).map(|_| hook(&server, &hostile, &hanging).0).collect();
    for _ in 0..EACH {
        for hook in &hooks {
            test_event(&server, &hostile, hook);
        }
    }
    until("some hang", || hanging.count() >= 4);
    let well = Receiver::start(Answering::Status(200));
    let (hook, _) = hook(&server, &other, &well);
    let mut took = Vec::new();
    for _ in 0..10 {
        let began = Instant::now();
        let id = test_event(&server, &other, &hook);
        let sent = well.wait("another tenant's event", |sent| sent.header("webhook-id") == id);
        took.push(sent.at.saturating_duration_since(began));
    }
    // It is looked at from time to time.
    let backlog = || metric(&server, "rulebox_outbox_backlog");
    until("none of them was taken", || backlog() >= HOOKS * EACH);
    let waiting = backlog();
    println!("beside {waiting} deliveries to {HOOKS} receivers that hang, another tenant's took {took:.2?}");
    assert!(took.iter().all(|took| *took < Duration::from_secs(30)), "it waited for the other: {took:.2?}");
}
