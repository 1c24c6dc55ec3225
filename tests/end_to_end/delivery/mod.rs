//! What the service tells others: webhooks of tenants and alerts, received by real programs and by receivers that
//! misbehave.

mod alerting;
mod breach;
mod outage;
mod proxied;
mod receivers;
mod replicas;
mod signatures;

use std::path::Path;
use std::time::{Duration, Instant};

use rulebox_tests::receiver::Receiver;
use rulebox_tests::{Server, output};
use serde_json::{Value, json};

use crate::replicas::body;

const LOOPBACK: (&str, &str) = ("RULEBOX_WEBHOOKS__ALLOW_LOOPBACK", "true");
const PATIENCE: Duration = Duration::from_mins(3);

/// Makes a key of the platform over a store that nobody uses now.
fn platform_key(directory: &Path, role: &str) -> String {
    let settings = [("RULEBOX_DATA_DIR", directory.display().to_string())];
    let (made, said) = output(&["key", "create", "--platform", "--role", role], &settings);
    assert!(made.success(), "{said}");
    said.lines().find(|line| line.starts_with("rbx_")).unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// Makes a webhook of the tenant's: its id, and its secret.
pub fn hook(server: &Server, key: &str, receiver: &Receiver) -> (String, String) {
    let made = body(server.post(key, "/v1/webhooks", &json!({"url": format!("{}/hook", receiver.url)})), 201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

/// Has a webhook sent an event: the id of the delivery.
pub fn test_event(server: &Server, key: &str, hook: &str) -> String {
    let sent = body(server.post(key, &format!("/v1/webhooks/{hook}/test"), &json!({})), 202);
    sent["id"].as_str().unwrap().to_owned()
}

/// The delivery, as soon as it is as wanted.
#[track_caller]
pub fn delivery(server: &Server, key: &str, hook: &str, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    any_delivery(server, key, hook, |one| one["id"] == id && wanted(one))
}

/// The first delivery of a webhook that is as wanted.
#[track_caller]
fn any_delivery(server: &Server, key: &str, hook: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let list = body(server.get(key, &format!("/v1/webhooks/{hook}/deliveries")), 200);
        if let Some(found) = list["deliveries"].as_array().unwrap().iter().find(|one| wanted(one)) {
            return found.clone();
        }
        assert!(began.elapsed() < PATIENCE, "{list:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A critical violation: a cursor that nobody was given.
fn forge(server: &Server, key: &str) -> Value {
    body(server.get(key, &format!("/v1/rules?cursor={}", "A".repeat(80))), 400)
}

/// The value of a metric that is a whole number, by its name with labels.
fn metric(server: &Server, name: &str) -> usize {
    let text = server.client().get(format!("{}/metrics", server.health)).send().unwrap().text().unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

/// Waits until it is so: how long that took.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    began.elapsed()
}
