//! How soon a replica learns what another has done: revocations, activations, quarantines; with Redis and without.

use std::time::{Duration, Instant};

use reqwest::Method;
use rulebox_tests::servers::postgres::Postgres;
use rulebox_tests::servers::redis::Redis;
use rulebox_tests::{Server, output, rule};
use serde_json::{Value, json};

use super::{Replica, body, database};

/// Changes of each kind.
const ROUNDS: usize = 100;
/// Far more than a replica may take: what it took is printed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Waits until the other replica says so, and how long it took from the answer to the change.
pub(super) fn until(what: &str, mut there: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < PATIENCE, "{what} has not reached the other replica after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    began.elapsed()
}

fn told(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let (middle, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{what} reached a second replica after {middle:?} (median), {worst:?} (worst of {})", took.len());
}

fn change(server: &Server, key: &str, method: Method, path: &str, with: &Value) -> Value {
    let request = server.client().request(method, format!("{}{path}", server.api)).bearer_auth(key);
    body(request.header("if-match", "*").json(with).send(), 200)
}

fn status(server: &Server, key: &str) -> (u16, Value) {
    let answer = server.post(key, "/v1/rules/probe/evaluate", &json!({"inputs": {"equity": 1, "drawdown": 0}}));
    let answer = answer.unwrap();
    (answer.status().as_u16(), answer.json().unwrap())
}

/// Everything that must reach the other replica, so often.
pub(super) fn all_reaches([here, there]: [&Server; 2], keys: [&str; 2], rounds: usize, how: &str) {
    let [key, security] = keys;
    let mut revoked = Vec::new();
    for _ in 0..rounds {
        let made = body(here.post(key, "/v1/keys", &json!({"roles": ["engine"]})), 201);
        let (text, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
        assert_eq!(status(there, text).0, 200);
        change(here, key, Method::DELETE, &format!("/v1/keys/{id}"), &Value::Null);
        revoked.push(until("a revocation", || status(there, text).0 == 401));
    }
    told(&format!("a revocation {how}"), revoked);
    let mut activated = Vec::new();
    for round in 0..rounds {
        let version = 1 + (round + 1) % 2;
        change(here, key, Method::POST, "/v1/rules/probe/activate", &json!({ "version": version }));
        activated.push(until("an activation", || status(there, key).1["version"] == version));
    }
    told(&format!("an activation {how}"), activated);
    let (mut stopped, mut released) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let version = status(here, key).1["version"].clone();
        let with = json!({"version": version, "reason": "a test"});
        change(here, security, Method::POST, "/v1/rules/probe/quarantine?tenant=default", &with);
        stopped.push(until("a quarantine", || status(there, key).0 == 423));
        change(here, security, Method::POST, "/v1/rules/probe/release?tenant=default", &json!({ "version": version }));
        released.push(until("a release", || status(there, key).0 == 200));
        until("a release, here", || status(here, key).0 == 200);
    }
    told(&format!("a quarantine {how}"), stopped);
    told(&format!("a release {how}"), released);
}

#[test]
fn what_one_replica_does_the_other_knows_within_a_second() {
    let postgres = Postgres::start();
    let database = database(&postgres);
    let mut redis = Redis::start();
    let url = redis.url();
    let first = Replica::start_with(&database, &[("RULEBOX_REDIS__URL", &url)]);
    let second = Replica::start_with(&database, &[("RULEBOX_REDIS__URL", &url)]);
    let key = first.server.key.clone().unwrap();
    let (made, said) = output(&["key", "create", "--platform", "--role", "security"], &database.settings());
    assert!(made.success(), "{said}");
    let security = said.lines().find(|line| line.starts_with("rbx_live_")).unwrap().to_owned();
    let (here, there) = (&first.server, &second.server);
    body(here.post(&key, "/v1/rules", &json!({"source": rule(1)})), 201);
    body(here.post(&key, "/v1/rules/probe/versions", &json!({"source": rule(2)})), 201);
    all_reaches([here, there], [&key, &security], ROUNDS, "through Redis");

    // A lost word costs what the poll of the store takes. And a revoked key is refused, a stopped module stopped.
    redis.kill();
    all_reaches([here, there], [&key, &security], ROUNDS / 10, "without Redis");
    redis.start_again_empty();
    let ready = || here.client().get(format!("{}/readyz", here.health)).send().unwrap().text().unwrap() == "ok\n";
    until("Redis", ready);
    all_reaches([here, there], [&key, &security], ROUNDS / 10, "through Redis, which was away");
}
