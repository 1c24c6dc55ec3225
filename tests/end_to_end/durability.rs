//! What was acknowledged is there after a kill.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rulebox_tests::{Server, rule};
use serde_json::{Value, json};

/// Rounds of uploads, each ended by `kill -9`.
fn rounds() -> usize {
    if std::env::var_os("TESTS_FULL").is_some() { 25 } else { 4 }
}

#[test]
fn every_acknowledged_version_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut key = None;
    let mut acknowledged: Vec<(String, u64, String)> = Vec::new();
    for round in 0..rounds() {
        let mut server = Server::start(directory.path());
        let key = key.get_or_insert_with(|| server.key.clone().unwrap()).clone();
        assert_eq!(server.key.is_some(), round == 0, "the key is shown at the first start alone");
        check_all(&server, &key, &acknowledged);
        let killed = AtomicBool::new(false);
        let stored = std::thread::scope(|scope| {
            let uploads: Vec<_> = (0..3)
                .map(|thread| {
                    let (server, key, killed) = (&server, &key, &killed);
                    scope.spawn(move || upload_until_killed(server, key, &format!("r{round}_{thread}"), killed))
                })
                .collect();
            // Long enough for some uploads; when exactly, is what the test wants to be by chance.
            std::thread::sleep(Duration::from_millis(150 + 37 * round as u64));
            server.signal("KILL");
            killed.store(true, Ordering::SeqCst);
            uploads.into_iter().flat_map(|upload| upload.join().unwrap()).collect::<Vec<_>>()
        });
        server.wait();
        assert!(!stored.is_empty(), "nothing was acknowledged before the kill: the test tries nothing");
        acknowledged.extend(stored);
    }
    let server = Server::start(directory.path());
    check_all(&server, &key.unwrap(), &acknowledged);
    println!("{} acknowledged versions over {} kills, all there", acknowledged.len(), rounds());
}

/// Uploads version after version of one rule; those that were acknowledged: rule, number, digest.
fn upload_until_killed(server: &Server, key: &str, name: &str, killed: &AtomicBool) -> Vec<(String, u64, String)> {
    let mut acknowledged = Vec::new();
    for n in 1.. {
        let (path, body) = if n == 1 {
            ("/v1/rules".to_owned(), json!({"name": name, "source": rule(n)}))
        } else {
            (format!("/v1/rules/{name}/versions"), json!({"source": rule(n)}))
        };
        let answer = server.post(key, &path, &body);
        match answer.and_then(|response| {
            let status = response.status().as_u16();
            Ok((status, response.json::<Value>()?))
        }) {
            Ok((201, version)) => {
                let number = version["version"].as_u64().unwrap();
                acknowledged.push((name.to_owned(), number, version["digest"].as_str().unwrap().to_owned()));
            }
            Ok((status, body)) => panic!("{status}: {body}"),
            // An answer that was lost is no acknowledgement; but only a killed server may lose one.
            Err(error) => {
                std::thread::sleep(Duration::from_millis(50));
                assert!(killed.load(Ordering::SeqCst), "{error}");
                return acknowledged;
            }
        }
    }
    acknowledged
}

fn check_all(server: &Server, key: &str, acknowledged: &[(String, u64, String)]) {
    for (name, number, digest) in acknowledged {
        let path = format!("/v1/rules/{name}/versions/{number}");
        let version: Value = server.get(key, &path).unwrap().error_for_status().unwrap().json().unwrap();
        assert_eq!(version["digest"].as_str(), Some(digest.as_str()), "{path}");
        let module = server.get(key, &format!("{path}/module")).unwrap().error_for_status().unwrap();
        assert!(module.bytes().unwrap().starts_with(b"\0asm"), "{path}");
    }
    // One of them runs, as it did before.
    if let Some((name, number, _)) = acknowledged.last() {
        let body = json!({"inputs": {"equity": 1e6, "drawdown": 0.25}});
        let path = format!("/v1/rules/{name}/evaluate?version={number}");
        let answer: Value = server.post(key, &path, &body).unwrap().error_for_status().unwrap().json().unwrap();
        assert_eq!(answer["verdict"], "breach");
    }
}
