//! Starts that cannot work say why, and stops let requests end.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rulebox_tests::{Server, rule};
use serde_json::{Value, json};

/// The standard error of a start that must fail.
fn refusal(directory: &Path, settings: &[(&str, &str)]) -> String {
    match Server::try_start(directory, settings) {
        Ok(_) => panic!("it started"),
        Err(refused) => {
            assert_eq!(refused.status.code(), Some(2), "{refused:?}");
            assert!(!refused.stderr.contains("panicked"), "{}", refused.stderr);
            refused.stderr
        }
    }
}

#[test]
fn a_taken_port_is_named_with_the_setting_that_changes_it() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refusal(directory.path(), &[("RULEBOX_API__LISTEN", &address)]);
    assert!(said.contains(&address) && said.contains("RULEBOX_API__LISTEN"), "{said}");
}

#[test]
fn a_second_service_over_the_same_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = Server::start(directory.path());
    let said = refusal(directory.path(), &[]);
    assert!(said.contains(&directory.path().display().to_string()), "{said}");
    // The first goes on.
    let key = first.key.clone().unwrap();
    let answer = first.post(&key, "/v1/rules", &json!({"name": "a", "source": rule(1)})).unwrap();
    assert_eq!(answer.status(), 201);
}

#[test]
fn a_store_that_cannot_be_written_is_refused() {
    // A file where the directory should be: refused for everybody, root too.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    let said = refusal(&file, &[]);
    assert!(said.contains(&file.display().to_string()), "{said}");

    // A file system that is read-only for everybody.
    let said = refusal(Path::new("/proc/rulebox"), &[]);
    assert!(said.contains("/proc/rulebox"), "{said}");
}

#[test]
fn a_file_that_is_no_store_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    drop(Server::start(directory.path()));
    let store = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "db" || e == "sqlite" || e == "sqlite3"))
        .expect("a store file");
    let text = "this is no database, and long enough to be looked at as if it were one".repeat(20);
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path != store && path.to_string_lossy().starts_with(&*store.to_string_lossy()) {
            std::fs::remove_file(path).unwrap();
        }
    }
    std::fs::write(&store, &text).unwrap();
    refusal(directory.path(), &[]);
    assert_eq!(std::fs::read_to_string(&store).unwrap(), text);
}

#[test]
fn settings_that_cannot_be_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    for (name, value, said) in [
        (
            "RULEBOX_API__LISTNE",
            "127.0.0.1:1",
            "there is no setting RULEBOX_API__LISTNE; there are RULEBOX_API__LISTEN",
        ),
        ("RULEBOX_API__LISTEN", "everywhere", "RULEBOX_API__LISTEN: "),
        (
            "RULEBOX_EVALUATION__THREADS",
            "18446744073709551615",
            "RULEBOX_EVALUATION__THREADS is 18446744073709551615: ",
        ),
        ("RULEBOX_EVALUATION__THREADS", "18446744073709551616", "RULEBOX_EVALUATION__THREADS: "),
        ("RULEBOX_EVALUATION__THREADS", "-1", "RULEBOX_EVALUATION__THREADS: "),
        ("RULEBOX_STORE__BUSY_MS", "3000000000", "RULEBOX_STORE__BUSY_MS is 3000000000: "),
        ("RULEBOX_DATA_DIR", "", "RULEBOX_DATA_DIR is empty: "),
    ] {
        let refused = refusal(directory.path(), &[(name, value)]);
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn settings_that_are_text_are_taken_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    for secret in ["[not, a, list, but 32 bytes of secret]", "12345678901234567890123456789012345"] {
        let store = directory.path().join(&secret[..4]);
        Server::try_start(&store, &[("RULEBOX_MASTER_SECRET", secret)]).unwrap();
    }
}

#[test]
fn the_secrets_of_a_store_are_for_its_owner() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    }
    drop(server);
}

#[test]
fn term_lets_requests_end_and_exits_0() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path());
    let key = server.key.clone().unwrap();
    server.post(&key, "/v1/rules", &json!({"name": "a", "source": rule(1)})).unwrap().error_for_status().unwrap();
    let rows = 200_000;
    let body = json!({"columns": {"equity": vec![1000.0; rows], "drawdown": vec![0.1; rows]}});
    let answer = std::thread::scope(|scope| {
        let (running, key, body) = (&server, &key, &body);
        let request = scope.spawn(move || running.post(key, "/v1/rules/a/evaluate", body));
        std::thread::sleep(std::time::Duration::from_millis(30));
        running.signal("TERM");
        request.join().unwrap()
    });
    // The request was sent before the signal: it is answered, or was not accepted at all; never half.
    if let Ok(response) = answer {
        let json: Value = response.error_for_status().unwrap().json().unwrap();
        assert_eq!(json["bars"], rows);
    }
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}
