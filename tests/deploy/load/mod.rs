//! The load test: run for real against the real service, and against ones that are wrong, which it must find.

mod faults;
mod pages;
mod usage;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rulebox_tests::servers::nginx::Nginx;
use rulebox_tests::tools::{run, tried};
use rulebox_tests::{Server, binary, root};
use serde_json::Value;
use tempfile::TempDir;

use crate::full;

const SCENARIOS: [&str; 8] = ["single", "columns", "lines", "arrow", "session", "socket", "author", "mistakes"];

/// A service, and a file with the key of its tenant.
struct Home {
    server: Server,
    key: String,
    directory: TempDir,
}

impl Home {
    fn start(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::try_start(&directory.path().join("data"), settings).unwrap();
        let key = server.key.clone().unwrap();
        std::fs::write(directory.path().join("key"), &key).unwrap();
        Self { server, key, directory }
    }

    /// The load test against an address, with each of these scenarios as often as the others.
    fn load(&self, url: &str, scenarios: &[&str], arguments: &[&str]) -> Command {
        let mut command = script();
        command.args(["--url", url, "--key-file"]).arg(self.directory.path().join("key"));
        command.args(scenarios.iter().flat_map(|name| ["--scenario".to_owned(), format!("{name}=1")]));
        command.arg("--json").arg(self.written()).args(arguments);
        command
    }

    fn written(&self) -> std::path::PathBuf {
        self.directory.path().join("load.json")
    }

    /// What it wrote.
    fn measured(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.written()).unwrap()).unwrap()
    }

    /// Names of rules that are not archived.
    fn rules(&self) -> Vec<String> {
        let said: Value = self.server.get(&self.key, "/v1/rules").unwrap().json().unwrap();
        let names = said["rules"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap().to_owned());
        names.collect()
    }

    /// Starts it; it has uploaded its rules when this returns.
    fn begun(&self, load: &mut Command) -> Child {
        let mut load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while self.rules().len() < 2 {
            assert!(load.try_wait().unwrap().is_none(), "{:?}", load.wait_with_output());
            std::thread::sleep(Duration::from_millis(50));
        }
        load
    }

    /// Something in front of the service, that `server` of nginx says of.
    fn behind(&self, server: &str) -> Nginx {
        Nginx::start(|port| {
            format!("server {{ listen 127.0.0.1:{port}; client_max_body_size 64m; {server} }}")
                .replace("API", &self.server.api)
        })
    }
}

/// The script, by the Python of the tests; what it installs is beside what is built.
fn script() -> Command {
    let python = std::env::var("TESTS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(python);
    command.arg(root().join("deploy/load/run")).env("XDG_CACHE_HOME", cache());
    command
}

fn cache() -> std::path::PathBuf {
    binary().parent().and_then(Path::parent).unwrap().join("tools/load")
}

/// How it ended.
fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn users_of_all_kinds_are_answered_as_they_should_be() {
    let home = Home::start(&[]);
    let seconds = if full("the load test for a minute") { "60" } else { "10" };
    let csv = home.directory.path().join("load.csv");
    let mut load = home.load(&home.server.api, &SCENARIOS, &["--users", "16", "--seconds", seconds]);
    let said = run(load.arg("--csv").arg(&csv));
    println!("{said}");
    let measured = home.measured();
    let lines = measured["scenarios"].as_object().unwrap();
    for name in SCENARIOS {
        // Lines have the scenario's name, or what of it they are.
        let of_it = |line: &str| match name {
            "author" => line.starts_with("check") || line.starts_with("upload") || line == "a bar of the upload",
            "mistakes" => line.starts_with('4'),
            _ => line.starts_with(name),
        };
        let answered: u64 = lines
            .iter()
            .filter(|(line, _)| of_it(line))
            .map(|(_, measured)| measured["answered"].as_u64().unwrap())
            .sum();
        assert!(answered > 0, "{name} was not run: {said}");
    }
    for (name, line) in lines {
        assert_eq!(line["failures"], serde_json::json!({}), "{name}: {said}");
        assert_eq!(line["requests"], line["answered"], "{name}: {said}");
    }
    assert!(lines["single"]["milliseconds"]["p99"].as_f64() >= lines["single"]["milliseconds"]["p50"].as_f64());
    assert!(lines["arrow"]["bars"].as_u64() >= Some(20_000), "{said}");
    assert_eq!(measured["missed"], serde_json::json!([]));
    assert!(!measured["client"]["cpu"].as_array().unwrap().is_empty());
    // A line each, and their heads.
    assert_eq!(std::fs::read_to_string(csv).unwrap().lines().count(), lines.len() + 1);
    assert_eq!(home.rules(), Vec::<String>::new(), "not archived");
    assert!(!said.contains("left behind"), "{said}");

    // What the service counted is what the test says that it sent: nothing was sent again in silence.
    let metrics = home.server.client().get(format!("{}/metrics", home.server.health)).send().unwrap().text().unwrap();
    let one_bar =
        metrics.lines().find(|line| line.starts_with("rulebox_evaluation_duration_seconds_count{mode=\"bar\"}"));
    let counted: u64 = one_bar.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    let asked = lines["single"]["requests"].as_u64().unwrap()
        + lines.get("a bar of the upload").map_or(0, |line| line["requests"].as_u64().unwrap());
    // Requests under way at the end are cut off and not counted: one of each user at most.
    assert!((asked..=asked + 16).contains(&counted), "the service counted {counted}, the test {asked}");
}

#[test]
fn limits_are_counted_apart_and_obeyed() {
    let home = Home::start(&[("RULEBOX_TENANT__REQUESTS_PER_SECOND", "20")]);
    let arguments = ["--users", "8", "--seconds", "5", "--think-ms", "0"];
    let (output, said) = tried(&mut home.load(&home.server.api, &["single"], &arguments));
    assert_eq!(code(&output), 0, "429 was taken for a failure: {said}");
    let line = &home.measured()["scenarios"]["single"];
    let (limited, requests) = (line["limited"].as_u64().unwrap(), line["requests"].as_u64().unwrap());
    assert!(limited > 0 && line["failures"] == serde_json::json!({}), "{said}");
    // Each of eight waits a second, as it is told, and is then let in or told again.
    assert!(limited <= 8 * 7, "of {requests} requests {limited} were limited: it does not wait: {said}");
    println!("load: {requests} requests, {limited} of them limited, none counted as failed");
}
