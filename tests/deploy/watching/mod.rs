//! From what happens to who is told of it: the routes of alerts, and alerts that are made to fire on real servers.

mod collector;
mod happens;
mod logs;
mod routes;
mod runbooks;
mod told;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rulebox_tests::receiver::{Answering, Received, Receiver};
use rulebox_tests::servers::prometheus::Alertmanager;
use rulebox_tests::{Server, root};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{read, yaml};

/// How many times faster than in earnest everything goes that waits.
const FACTOR: u64 = 60;

/// The files of rules in deploy/monitoring: YAML with groups.
fn rule_files() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("deploy/monitoring")).unwrap().map(|entry| entry.unwrap().path());
    let has_groups = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == "yaml")
            && yaml(&fs::read_to_string(path).unwrap())["groups"].is_array()
    };
    let mut files: Vec<_> = files.filter(has_groups).collect();
    files.sort();
    files
}

/// An alert as its rule has it.
#[derive(Clone, Debug)]
struct Alert {
    name: String,
    severity: String,
    summary: String,
    page: String,
}

/// All alerts of all files, Loki's too: Alertmanager does not know where they come from.
fn alerts() -> Vec<Alert> {
    let mut alerts = Vec::new();
    for path in rule_files().into_iter().chain([root().join("deploy/monitoring/logs/rules.yaml")]) {
        for group in yaml(&fs::read_to_string(&path).unwrap())["groups"].as_array().unwrap() {
            for rule in group["rules"].as_array().unwrap().iter().filter(|rule| rule["alert"].is_string()) {
                let text = |path: &str| rule.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
                alerts.push(Alert {
                    name: text("/alert"),
                    severity: text("/labels/severity"),
                    summary: text("/annotations/summary"),
                    page: text("/annotations/runbook_url"),
                });
            }
        }
    }
    alerts
}

/// The text with every length of time divided by [`FACTOR`]: `5m` in brackets, behind `for:`, behind `group_wait:`.
/// Numbers of seconds (`26 * 3600`) stay: they are held against clocks.
fn faster(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        let (before, from) = rest.split_at(at);
        let word = from.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(from, |end| &from[..end]);
        out.push_str(before);
        match milliseconds(word) {
            Some(long) => out.push_str(&format!("{}ms", long / FACTOR)),
            None => out.push_str(word),
        }
        rest = &from[word.len()..];
    }
    out + rest
}

/// How long `5m` is.
fn milliseconds(word: &str) -> Option<u64> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &word[digits.len()..] {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(digits.parse::<u64>().ok()? * unit)
}

/// Everybody whom the configuration in deploy/monitoring tells, as one server on loopback.
struct Team {
    receiver: Receiver,
    alertmanager: Alertmanager,
    _files: TempDir,
}

/// How a working day is written in the configuration.
const WORKING_HOURS: &str =
    "- weekdays: [\"monday:friday\"]\n        times: [{ start_time: \"08:00\", end_time: \"18:00\" }]";
/// It is always one, whenever the test runs.
const ALWAYS: &str = "- years: [\"2000:2199\"]";
/// It is none.
const NEVER: &str = "- years: [\"2000:2001\"]";

impl Team {
    /// Starts the real Alertmanager with the configuration of deploy/monitoring: nothing is changed but where the
    /// receivers are, where files are, how fast it goes, and when people work.
    fn start(working: &str, change: impl Fn(&str) -> String) -> Self {
        let (receiver, files) = (Receiver::start(Answering::Status(202)), tempfile::tempdir().unwrap());
        for secret in ["pagerduty-on-call", "pagerduty-security", "heartbeat"] {
            fs::write(files.path().join(secret), secret).unwrap();
        }
        for secret in ["slack-on-call", "slack-security"] {
            fs::write(files.path().join(secret), format!("{}/{secret}", receiver.url)).unwrap();
        }
        let template = root().join("deploy/monitoring/alertmanager.tmpl");
        let text = change(&read("deploy/monitoring/alertmanager.yaml"));
        let mut text = faster(&text);
        for (from, to) in [
            ("/etc/alertmanager/alertmanager.tmpl", template.display().to_string()),
            ("/etc/alertmanager/secrets", files.path().display().to_string()),
            ("https://heartbeat.example.com/rulebox", format!("{}/heartbeat", receiver.url)),
            ("global:\n", format!("global:\n  pagerduty_url: {}/pagerduty\n", receiver.url)),
            (WORKING_HOURS, working.to_owned()),
        ] {
            assert!(text.contains(from), "the configuration has no {from:?}");
            text = text.replace(from, &to);
        }
        Self { receiver, alertmanager: Alertmanager::start_with(&text), _files: files }
    }

    /// All that people were told until now, by receiver.
    fn told(&self) -> Vec<(&'static str, Message)> {
        self.receiver.received().iter().map(Message::read).collect()
    }

    /// Waits until this receiver is told of a firing alert of this name: the first message that says so.
    #[track_caller]
    fn wait(&self, to: &str, alert: &str) -> Message {
        let is_it = |sent: &Received| {
            let (receiver, message) = Message::read(sent);
            receiver == to && message.firing && message.text.contains(&format!("{alert}:"))
        };
        Message::read(&self.receiver.wait(&format!("{alert} to {to}"), is_it)).1
    }
}

/// What a receiver was told.
#[derive(Clone, Debug)]
struct Message {
    firing: bool,
    title: String,
    /// A line for each alert, and its labels below it.
    text: String,
    /// By which a pager knows that two messages are one incident.
    incident: String,
}

impl Message {
    /// A request as who is told reads it.
    fn read(sent: &Received) -> (&'static str, Self) {
        let body = sent.json();
        let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let chat = || Self {
            firing: text("/attachments/0/color") == "danger",
            title: text("/attachments/0/title"),
            text: text("/attachments/0/text"),
            incident: String::new(),
        };
        let page = || Self {
            firing: text("/event_action") == "trigger",
            title: text("/payload/summary"),
            text: text("/payload/custom_details/text"),
            incident: text("/dedup_key"),
        };
        match (sent.path.as_str(), text("/routing_key").as_str()) {
            ("/pagerduty", "pagerduty-on-call") => ("on-call", page()),
            ("/pagerduty", "pagerduty-security") => ("security", page()),
            ("/slack-on-call", _) => ("on-call-chat", chat()),
            ("/slack-security", _) => ("security-chat", chat()),
            ("/heartbeat", _) => {
                assert_eq!(sent.header("authorization"), "Bearer heartbeat");
                let name = format!("{}:", text("/alerts/0/labels/alertname"));
                let firing = text("/status") == "firing";
                ("heartbeat", Self { firing, title: String::new(), text: name, incident: String::new() })
            }
            other => panic!("nobody is at {other:?}: {body}"),
        }
    }
}

/// How often each receiver was told of something that fires.
fn counts(told: &[(&'static str, Message)]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for (receiver, _) in told.iter().filter(|(_, message)| message.firing) {
        *counts.entry(*receiver).or_default() += 1;
    }
    counts
}

/// What every module has, and no input.
const PARTS: &str = r#"
  (memory (export "memory") 1)
  (global (export "rulebox_abi_1") i32 (i32.const 1))
  (func (export "rulebox_init") (param i32) (result i32) (i32.const 0))
  (func (export "rulebox_buffer") (param $kind i32) (param i32 i32) (result i32)
    (if (i32.eq (local.get $kind) (i32.const 6)) (then (return (i32.const 64))))
    (if (i32.eq (local.get $kind) (i32.const 7)) (then (return (i32.const 8192))))
    (i32.const 0))
  (func (export "rulebox_reset"))"#;

/// Uploads a module whose `rulebox_eval` is this.
fn upload(server: &Server, key: &str, name: &str, eval: &str) {
    let manifest = json!({
        "abi": 1, "name": name, "inputs": [], "params": [], "outs": [], "statements": [], "spans": [],
        "uses_time": false, "clock": {"zone": "UTC", "day_start": 0}, "lookback": 0, "memory_bytes": 0,
        "state_bytes": 0,
    });
    let manifest = manifest.to_string().replace('"', "\\22");
    let text = format!(
        r#"(module {PARTS}
  (func (export "rulebox_eval") (param i32) (result i32) {eval})
  (@custom "rulebox.manifest" "{manifest}"))"#
    );
    let module = wat::parse_str(text).unwrap();
    let request = server.client().post(format!("{}/v1/rules?name={name}", server.api)).bearer_auth(key);
    let answer = request.header("content-type", "application/wasm").body(module).send().unwrap();
    assert_eq!(answer.status().as_u16(), 201, "{}", answer.text().unwrap());
}

/// A file of the configuration with whole paths, for tools that read it.
fn written(directory: &Path, text: &str) -> PathBuf {
    let template = root().join("deploy/monitoring/alertmanager.tmpl").display().to_string();
    let path = directory.join("alertmanager.yaml");
    fs::write(&path, text.replace("/etc/alertmanager/alertmanager.tmpl", &template)).unwrap();
    path
}

#[test]
fn lengths_of_time_are_divided_and_nothing_else() {
    let text = "rate(a_5m{le=\"0.05\"}[5m]) > 14.4 * 0.001 and b[1h30] for: 2m, 26 * 3600, 0s, 08:00, x2s";
    let fast = "rate(a_5m{le=\"0.05\"}[5000ms]) > 14.4 * 0.001 and b[1h30] for: 2000ms, 26 * 3600, 0ms, 08:00, x2s";
    assert_eq!(faster(text), fast);
}
