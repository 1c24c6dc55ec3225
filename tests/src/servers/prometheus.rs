//! Private Prometheus and Alertmanager, of Debian's packages.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::blocking::Client;
use serde_json::Value;
use tempfile::TempDir;

use super::{Guarded, free_port, wait_until};
use crate::root;

fn get(client: &Client, url: &str) -> Option<Value> {
    client.get(url).send().ok()?.error_for_status().ok()?.json().ok()
}

fn client() -> Client {
    // It fails if a server of this test has said so before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap()
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    client: Client,
    _process: Guarded,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes `target` each second, tries the rules of `deploy/monitoring` as they are, and tells
    /// `alertmanager`; both are `host:port`.
    pub fn start(target: &str, alertmanager: &str) -> Self {
        let rules = root().join("deploy/monitoring/alerts.yaml");
        Self::start_with(&format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
             rule_files: [\"{}\"]\n\
             scrape_configs: [{{job_name: rulebox, static_configs: [{{targets: [\"{target}\"]}}]}}]\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: [\"{alertmanager}\"]}}]}}]}}\n",
            rules.display()
        ))
    }

    /// Starts one with these settings, whose rules are named by whole paths.
    pub fn start_with(settings: &str) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let file = settings_file(&directory, "prometheus.yaml", settings);
        let mut command = Command::new("prometheus");
        command.arg(flag("config.file", &file)).arg(flag("storage.tsdb.path", &directory.path().join("data")));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        // What it says before it has found Alertmanager is lost, and otherwise said again after a minute.
        command.arg("--rules.alert.resend-delay=5s");
        let mut process = Guarded::spawn(&command);
        let client = client();
        let ready = format!("http://127.0.0.1:{port}/-/ready");
        wait_until(&mut process, "prometheus", || client.get(&ready).send().is_ok_and(|r| r.status().is_success()));
        Self { port, client, _process: process, _directory: directory }
    }

    /// The numbers that an expression has now, without those that are none (0 divided by 0).
    ///
    /// # Errors
    /// What Prometheus says of an expression that it does not understand.
    pub fn numbers(&self, expression: &str) -> Result<Vec<f64>, String> {
        let answer = self.ask("query", &[("query", expression)])?;
        let result = answer.get("result").cloned().unwrap_or_default();
        // A scalar is a time and a value, a vector a list of objects.
        let values = result.as_array().cloned().unwrap_or_default();
        let value = |one: &Value| one.pointer("/value/1").or(Some(one))?.as_str()?.parse().ok();
        Ok(values.iter().filter_map(value).filter(|value: &f64| !value.is_nan()).collect())
    }

    /// What its API has of this kind (`query`, `series`, `label/job/values`), with these parameters.
    ///
    /// # Errors
    /// What it says of what it does not understand.
    pub fn ask(&self, what: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let mut url = reqwest::Url::parse(&format!("http://127.0.0.1:{}/api/v1/{what}", self.port)).unwrap();
        url.query_pairs_mut().extend_pairs(parameters);
        let mut answer: Value = self.client.get(url).send().unwrap().json().unwrap();
        match answer.get("error") {
            Some(error) => Err(error.as_str().unwrap_or_default().to_owned()),
            None => Ok(answer.get_mut("data").map(Value::take).unwrap_or_default()),
        }
    }

    /// The values of an expression now, if it has any.
    pub fn query(&self, expression: &str) -> Vec<f64> {
        let mut url = reqwest::Url::parse(&format!("http://127.0.0.1:{}/api/v1/query", self.port)).unwrap();
        url.query_pairs_mut().append_pair("query", expression);
        let answer = get(&self.client, url.as_str()).unwrap_or_default();
        let found = answer.pointer("/data/result").and_then(Value::as_array).cloned().unwrap_or_default();
        let value = |one: &Value| one.pointer("/value/1")?.as_str()?.parse().ok();
        found.iter().filter_map(value).collect()
    }
}

/// A running Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    port: u16,
    client: Client,
    process: Guarded,
    directory: TempDir,
}

impl Alertmanager {
    /// Starts one that posts to this address at once, alert by alert, and that it is over.
    pub fn start(receiver: &str) -> Self {
        let settings = format!(
            "route: {{receiver: hook, group_by: [\"...\"], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}\n\
             receivers: [{{name: hook, webhook_configs: [{{url: \"{receiver}\", send_resolved: true}}]}}]\n"
        );
        Self::start_with(&settings)
    }

    /// Starts one with these settings, which name files by whole paths.
    pub fn start_with(settings: &str) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        settings_file(&directory, "alertmanager.yaml", settings);
        let client = client();
        let process = start_alertmanager(&client, port, &directory);
        Self { port, client, process, directory }
    }

    /// `127.0.0.1:…`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it: connections are refused from then on.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port, without what it knew.
    pub fn start_again_empty(&mut self) {
        self.process.kill();
        let data = self.directory.path().join("data");
        std::fs::remove_dir_all(data).unwrap();
        self.process = start_alertmanager(&self.client, self.port, &self.directory);
    }

    /// The alerts that last.
    pub fn alerts(&self) -> Vec<Value> {
        let url = format!("http://127.0.0.1:{}/api/v2/alerts", self.port);
        get(&self.client, &url).unwrap_or_default().as_array().cloned().unwrap_or_default()
    }
}

fn start_alertmanager(client: &Client, port: u16, directory: &TempDir) -> Guarded {
    let mut command = Command::new("prometheus-alertmanager");
    command.arg(flag("config.file", &directory.path().join("alertmanager.yaml")));
    command.arg(flag("storage.path", &directory.path().join("data")));
    // Without the second it looks for others of its kind.
    command.args([format!("--web.listen-address=127.0.0.1:{port}"), "--cluster.listen-address=".to_owned()]);
    let mut process = Guarded::spawn(&command);
    let ready = format!("http://127.0.0.1:{port}/-/ready");
    wait_until(&mut process, "alertmanager", || client.get(&ready).send().is_ok_and(|r| r.status().is_success()));
    process
}

fn settings_file(directory: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}
