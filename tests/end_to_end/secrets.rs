//! What is secret is nowhere in what the service writes, however much it is told to write.

use std::path::Path;

use rulebox_tests::{Server, rule};
use serde_json::{Value, json};

const MASTER: &str = "a master secret of a test, of 32 bytes or more";
const PASSWORD: &str = "redis-password-of-a-test";

#[test]
fn secrets_are_in_no_log_and_no_file() {
    let directory = tempfile::tempdir().unwrap();
    // Nobody is there: what the client says of that is logged.
    let redis = format!("redis://user:{PASSWORD}@127.0.0.1:1/0");
    let settings = [
        ("RULEBOX_MASTER_SECRET", MASTER),
        ("RULEBOX_REDIS__URL", &redis),
        ("RULEBOX_LOG__FILTER", "trace"),
        ("RULEBOX_LOG__FORMAT", "json"),
    ];
    let mut server = Server::try_start(directory.path(), &settings).unwrap();
    let first = server.key.clone().unwrap();
    let made: Value = server.post(&first, "/v1/keys", &json!({"roles": ["engine"]})).unwrap().json().unwrap();
    let made = made["key"].as_str().unwrap().to_owned();
    let source = rule(7);
    assert!(server.post(&first, "/v1/rules", &json!({ "source": source })).unwrap().status().is_success());
    let bar = json!({"inputs": {"equity": 1, "drawdown": 0}});
    assert!(server.post(&made, "/v1/rules/probe/evaluate", &bar).unwrap().status().is_success());
    // Mistyped, unknown, and no key at all: none of them is written down.
    let mistyped = format!("{}x", &made[..made.len() - 1]);
    let token = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.c2lnbmF0dXJl";
    for wrong in [mistyped.as_str(), token, "a password that somebody pasted"] {
        assert_eq!(server.get(wrong, "/v1/rules").unwrap().status().as_u16(), 401);
    }
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    assert!(log.contains("\"level\":\"TRACE\"") && log.contains("answered"), "the log is not what was asked for");
    for secret in [MASTER, PASSWORD, &first, &made, &mistyped, token, "a password that somebody pasted", &source] {
        assert!(!log.contains(secret), "{secret:?} is in the log:\n{}", lines_with(&log, secret));
    }
    // The first key is in its own file until somebody deletes that; nothing else is anywhere.
    for file in files(directory.path()) {
        let bytes = std::fs::read(&file).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        let is_first_key = file.ends_with("first.key");
        assert!(!holds(MASTER) && !holds(PASSWORD) && !holds(&made), "{}", file.display());
        assert!(is_first_key || !holds(&first), "{}", file.display());
    }
}

fn lines_with(log: &str, text: &str) -> String {
    log.lines().filter(|line| line.contains(text)).take(5).collect::<Vec<_>>().join("\n")
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}
