//! What is older than it shall be kept goes, by the job of the running service; what is younger stays.

use rulebox_tests::receiver::{Answering, Receiver};
use rulebox_tests::servers::clock::Clock;
use rulebox_tests::{Server, output, rule};
use serde_json::{Value, json};

use crate::delivery;
use crate::replicas::body;

const DAY: i64 = 86_400;

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {value:#}"))
}

/// Uploads a rule by a request that may be sent again: its status.
fn upload_once(server: &Server, key: &str, source: &str) -> u16 {
    let request = server.client().post(format!("{}/v1/rules", server.api)).bearer_auth(key);
    let request = request.header("idempotency-key", "the same").json(&json!({"name": "kept", "source": source}));
    request.send().unwrap().status().as_u16()
}

#[test]
fn what_is_too_old_is_removed_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    // A year and more ago, by the clock of the machine: this store has no other.
    let clock = Clock::new();
    clock.set(-400 * DAY);
    let settings = clock.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.extend([("RULEBOX_COMPILE__BAR_FUEL", "400"), ("RULEBOX_WEBHOOKS__ALLOW_LOOPBACK", "true")]);
    let mut server = Server::try_start(directory.path(), &settings).unwrap();
    let key = server.key.clone().unwrap();
    assert_eq!(upload_once(&server, &key, &rule(1)), 201);
    let dear = format!("rule dear(equity) = {} > 0", ["sqrt(equity)"; 200].join(" + "));
    body(server.post(&key, "/v1/rules", &json!({"source": dear})), 422);
    let revoked = body(server.post(&key, "/v1/keys", &json!({"name": "revoked", "roles": ["engine"]})), 201);
    let request = server.client().delete(format!("{}/v1/keys/{}", server.api, text(&revoked, "id")));
    assert!(request.bearer_auth(&key).send().unwrap().status().is_success());
    body(server.post(&key, "/v1/rules/kept/evaluate", &json!({"inputs": {"equity": 1, "drawdown": 0}})), 200);
    // One that is delivered, one that is given up, and none of what happens today.
    let receiver = Receiver::start(Answering::Status(204));
    let (hook, _) = delivery::hook(&server, &key, &receiver);
    for (answering, state) in [(Answering::Status(204), "delivered"), (Answering::Status(410), "dead")] {
        receiver.answer(answering);
        let event = delivery::test_event(&server, &key, &hook);
        delivery::delivery(&server, &key, &hook, &event, |one| one["state"] == state);
    }
    let old = body(server.get(&key, "/v1/audit"), 200);
    let entries = old["entries"].as_array().unwrap().len();
    assert!(entries >= 4, "{old:#}");
    server.signal("TERM");
    assert!(server.wait().0.success());

    // Today.
    let mut server = Server::try_start(directory.path(), &[("RULEBOX_RETENTION__AUDIT_DAYS", "365")]).unwrap();
    let began = std::time::Instant::now();
    let left = loop {
        let left = body(server.get(&key, "/v1/audit"), 200);
        if left["entries"].as_array().unwrap().len() <= 1 {
            break left;
        }
        assert!(began.elapsed().as_secs() < 60, "the job does not come: {left:#}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    println!("{} entries of the audit log were removed after {:?}", entries - 1, began.elapsed());
    assert_eq!(left["entries"][0]["seq"], entries, "the last one stays: the log goes on from there");
    let young = body(server.post(&key, "/v1/keys", &json!({"name": "young", "roles": ["engine"]})), 201);
    let keys = body(server.get(&key, "/v1/keys"), 200);
    let names: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|key| text(key, "name")).collect();
    assert!(names.contains(&"young") && !names.contains(&"revoked") && names.len() == 2, "{names:?}");
    body(server.get(text(&young, "key"), "/v1/rules/kept/versions/1"), 200);
    assert_eq!(upload_once(&server, &key, &rule(2)), 409, "the request is forgotten, and the name is still taken");
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    let removed = log.lines().find(|line| line.contains("removed what was older than it is kept")).unwrap();
    for (count, n) in [("violations", 1), ("requests", 1), ("keys", 1), ("usage", 1), ("outbox", 2)] {
        let one = [format!("{count}={n}"), format!("\"{count}\":{n}")];
        assert!(one.iter().any(|one| removed.contains(one.as_str())), "{count}: {removed}");
    }
    let directory = directory.path().display().to_string();
    let (status, verified) = output(&["audit", "verify"], &[("RULEBOX_DATA_DIR", directory)]);
    assert!(status.success() && verified.contains("whole  2 entries"), "{verified}");
}
