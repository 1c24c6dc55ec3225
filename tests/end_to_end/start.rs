//! Starts that cannot work say why, and stops let requests end.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rulebox_tests::{Server, binary, rule};
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
fn every_start_tries_the_limits_of_modules_and_says_so_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path());
    server.signal("TERM");
    let (_, log) = server.wait();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let tried: Vec<_> = lines
        .iter()
        .filter(|line| line["message"].as_str().is_some_and(|said| said.starts_with("self-test")))
        .collect();
    let [line] = tried.as_slice() else { panic!("{log}") };
    assert!(line["tried"].as_u64().unwrap() > 10 && line["milliseconds"].is_f64(), "{line}");
    println!("{line}");
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

    // A store that says "read only" to everybody: the write version of its header,
    // https://sqlite.org/fileformat.html, offset 18.
    let directory = tempfile::tempdir().unwrap();
    stop(Server::start(directory.path()));
    let store = directory.path().join("rulebox.db");
    let mut bytes = std::fs::read(&store).unwrap();
    bytes[18] = 3;
    std::fs::write(&store, &bytes).unwrap();
    let said = refusal(directory.path(), &[]);
    assert!(said.contains("rulebox.db") && said.contains("read-only") && said.contains("writable"), "{said}");
    assert_eq!(std::fs::read(&store).unwrap(), bytes);
}

/// Ends a server as an operator would, so that its store is one file.
fn stop(mut server: Server) {
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// A directory that can be made read-only, for root too if it may mount.
struct Lockable {
    directory: tempfile::TempDir,
    mounted: bool,
}

impl Lockable {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(directory.path()).output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        Self { directory, mounted }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Makes it read-only. Root in a container that may not mount writes to everything: for it, another process
    /// has the directory, which is the other reason why a store cannot be written.
    fn lock(&self) -> Option<std::fs::File> {
        if self.mounted {
            let status = Command::new("mount").args(["-o", "remount,ro"]).arg(self.path()).status().unwrap();
            assert!(status.success());
            return None;
        }
        std::fs::set_permissions(self.path(), Permissions::from_mode(0o555)).unwrap();
        for entry in std::fs::read_dir(self.path()).unwrap() {
            std::fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o400)).unwrap();
        }
        let lock = std::fs::File::options().write(true).open(self.path().join("rulebox.lock")).ok()?;
        lock.try_lock().unwrap();
        Some(lock)
    }
}

impl Drop for Lockable {
    fn drop(&mut self) {
        if self.mounted {
            // What stays mounted goes with the container.
            let _ = Command::new("umount").arg(self.directory.path()).status();
        } else {
            let _ = std::fs::set_permissions(self.directory.path(), Permissions::from_mode(0o755));
        }
    }
}

#[test]
fn a_store_on_a_read_only_file_system_is_refused_and_left_as_it_is() {
    let lockable = Lockable::new();
    stop(Server::start(lockable.path()));
    let before = std::fs::read(lockable.path().join("rulebox.db")).unwrap();
    let held = lockable.lock();
    let said = refusal(lockable.path(), &[]);
    assert!(said.contains(&lockable.path().display().to_string()), "{said}");
    assert!(said.contains("RULEBOX_DATA_DIR"), "{said}");
    let reason = if held.is_some() { "another rulebox uses" } else { "cannot use the data directory" };
    assert!(said.contains(reason), "{said}");
    assert_eq!(std::fs::read(lockable.path().join("rulebox.db")).unwrap(), before);
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
        ("RULEBOX_API__LISTEN", "everywhere", "RULEBOX_API__LISTEN"),
        (
            "RULEBOX_EVALUATION__THREADS",
            "18446744073709551615",
            "RULEBOX_EVALUATION__THREADS is 18446744073709551615: ",
        ),
        ("RULEBOX_EVALUATION__THREADS", "18446744073709551616", "RULEBOX_EVALUATION__THREADS"),
        ("RULEBOX_EVALUATION__THREADS", "-1", "RULEBOX_EVALUATION__THREADS is -1: it must be a whole number\n"),
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
fn a_first_key_that_could_not_be_shown_is_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut serve = Command::new(binary());
    serve.arg("serve").env_clear().env("RULEBOX_DATA_DIR", directory.path());
    serve.env("RULEBOX_API__LISTEN", "127.0.0.1:0").env("RULEBOX_HEALTH__LISTEN", "127.0.0.1:0");
    let ended = serve.stdout(full).stderr(Stdio::null()).status().unwrap();
    assert_eq!(ended.code(), Some(2));
    let server = Server::start(directory.path());
    assert!(server.key.is_none(), "it was made by the start before");
    let key = std::fs::read_to_string(directory.path().join("first.key")).unwrap();
    assert_eq!(server.get(key.trim(), "/v1/rules").unwrap().status(), 200);
}

/// A value of the health port's `/metrics`.
fn metric(server: &Server, name: &str) -> Option<f64> {
    let text = server.client().get(format!("{}/metrics", server.health)).send().unwrap().text().unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// Asks again until it is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}: not after 20 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A request that the service has begun to read, and the second half of its body.
fn half_a_request(server: &Server, rows: usize) -> (TcpStream, String) {
    let key = server.key.clone().unwrap();
    server.post(&key, "/v1/rules", &json!({"name": "a", "source": rule(1)})).unwrap().error_for_status().unwrap();
    let body = json!({"columns": {"equity": vec![1000.0; rows], "drawdown": vec![0.1; rows]}}).to_string();
    let (half, rest) = body.split_at(body.len() / 2);
    let mut connection = TcpStream::connect(server.api.trim_start_matches("http://")).unwrap();
    connection.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let head = format!(
        "POST /v1/rules/a/evaluate HTTP/1.1\r\nhost: rulebox\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(half.as_bytes()).unwrap();
    wait_until("the request is being answered", || metric(server, "http_server_active_requests ") == Some(1.0));
    (connection, rest.to_owned())
}

#[test]
fn term_lets_requests_in_flight_end_and_exits_0() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path());
    let rows = 20_000;
    let (mut connection, rest) = half_a_request(&server, rows);
    server.signal("TERM");
    wait_until("the service drains", || {
        let ready = server.client().get(format!("{}/readyz", server.health)).send().unwrap();
        ready.status() == 503
    });
    connection.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, json) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let json: Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["bars"], rows);
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn a_request_that_outlasts_the_drain_is_cut_and_said_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::try_start(directory.path(), &[("RULEBOX_API__DRAIN_SECONDS", "1")]).unwrap();
    let (mut connection, _) = half_a_request(&server, 1_000);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("requests were still running"), "{log}");
    let mut answer = Vec::new();
    // Closed or reset: there is no answer either way.
    let _ = connection.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
}
