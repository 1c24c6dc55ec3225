//! A running Rulebox, with everything on: keys, limits, metrics, traces sampled and sent, logs as JSON.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::blocking::Client;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};

use super::load::Post;
use super::process::{Cores, SERVED, Server, pinned};
use super::stage::Stage;
use crate::Error;
use crate::rules::Rule;

/// Beyond what a run asks for, so that no limit of a tenant is what is measured. Each is still looked at.
const SETTINGS: [(&str, &str); 11] = [
    ("RULEBOX_TENANT__REQUESTS_PER_SECOND", "1000000"),
    ("RULEBOX_TENANT__FUEL_PER_SECOND", "1000000000000"),
    ("RULEBOX_TENANT__RULES", "1000000"),
    ("RULEBOX_TENANT__VERSIONS", "1000000"),
    ("RULEBOX_TENANT__STORED_BYTES", "1000000000000"),
    ("RULEBOX_EVALUATION__THREADS", "1"),
    ("RULEBOX_COMPILE__THREADS", "1"),
    ("RULEBOX_LOG__FORMAT", "json"),
    // As the chart's values for production have it.
    ("RULEBOX_TELEMETRY__SAMPLE_PER_THOUSAND", "10"),
    ("RULEBOX_API__LISTEN", "127.0.0.1:0"),
    ("RULEBOX_HEALTH__LISTEN", "127.0.0.1:0"),
];

/// A setting that is other than [`SETTINGS`] or the default.
pub type Setting = (&'static str, String);

/// A running service.
#[derive(Debug)]
pub struct Service {
    /// Its process.
    pub server: Server,
    /// Where its API is.
    pub url: String,
    directory: PathBuf,
    /// The key of its first tenant.
    pub key: String,
    /// Whoever may make tenants.
    operator: String,
    client: Client,
}

impl Service {
    /// Starts it on the core of what is measured, with a store of its own.
    pub fn start(stage: &Stage, settings: &[Setting]) -> Result<Self, Error> {
        Self::start_as(stage, "all", SERVED, settings)
    }

    /// The same in another role than `all`, or on other cores.
    pub fn start_as(stage: &Stage, role: &str, cores: Cores, settings: &[Setting]) -> Result<Self, Error> {
        let directory = tempfile::tempdir_in(stage.path())?.keep();
        let made = Command::new(&stage.rulebox)
            .args(["key", "create", "--platform", "--role", "admin"])
            .env("RULEBOX_DATA_DIR", directory.join("data"))
            .output()?;
        if !made.status.success() {
            return Err(format!("key create: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        let server = serve(stage, role, cores, settings, &directory)?;
        let key = std::fs::read_to_string(directory.join("data/first.key"))?.trim().to_owned();
        let operator = String::from_utf8(made.stdout)?.trim().to_owned();
        let client = Client::builder().no_proxy().timeout(Duration::from_mins(2)).build()?;
        let service = Self { url: server.word("API")?, server, directory, key, operator, client };
        service.wait_until_ready()?;
        Ok(service)
    }

    /// Ends it, and starts it on the core of what is measured, over the same store.
    pub fn start_again(self, stage: &Stage, settings: &[Setting]) -> Result<Self, Error> {
        let Self { server, directory, .. } = self;
        drop(server);
        let server = serve(stage, "all", SERVED, settings, &directory)?;
        let service = Self { url: server.word("API")?, server, directory, ..self };
        service.wait_until_ready()?;
        Ok(service)
    }

    fn wait_until_ready(&self) -> Result<(), Error> {
        let (ready, began) = (self.server.word("health")?, Instant::now());
        while !self.client.get(&ready).send().is_ok_and(|answer| answer.status().is_success()) {
            if began.elapsed() > Duration::from_secs(30) {
                return Err("the service is not ready after 30 s".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The answer to JSON that must succeed.
    pub fn post(&self, path: &str, key: &str, body: &Value) -> Result<Value, Error> {
        self.first(&Post::json(path, key, body))
    }

    /// The answer to the first of these requests, as JSON.
    pub fn first(&self, post: &Post) -> Result<Value, Error> {
        Ok(serde_json::from_slice(&ask(&self.client, &self.url, post)?)?)
    }

    /// The same, byte for byte.
    pub fn first_bytes(&self, post: &Post) -> Result<Vec<u8>, Error> {
        ask(&self.client, &self.url, post)
    }

    /// Uploads a rule to the first tenant: where it is evaluated.
    pub fn upload(&self, rule: &Rule) -> Result<String, Error> {
        self.upload_text(&self.key, &rule.name.to_lowercase(), rule.source)
    }

    /// Uploads a text to the tenant of a key: where it is evaluated.
    pub fn upload_text(&self, key: &str, name: &str, source: &str) -> Result<String, Error> {
        self.post("/v1/rules", key, &json!({ "name": name, "source": source }))?;
        Ok(format!("/v1/rules/{name}/evaluate"))
    }

    /// Makes a tenant: the key of one who writes and runs its rules.
    pub fn tenant(&self, name: &str) -> Result<String, Error> {
        self.post("/v1/tenants", &self.operator, &json!({ "name": name }))?;
        let path = format!("/v1/tenants/{name}/keys");
        let made = self.post(&path, &self.operator, &json!({ "roles": ["author", "engine"] }))?;
        Ok(made.get("key").and_then(Value::as_str).ok_or("no key")?.to_owned())
    }
}

/// Starts an executor on these cores, and says where an API finds it.
pub fn executor(stage: &Stage, cores: Cores) -> Result<(Server, String), Error> {
    let directory = tempfile::tempdir_in(stage.path())?.keep();
    let place = format!("unix:{}", directory.join("socket").display());
    let settings = [
        ("RULEBOX_EXECUTORS__LISTEN", place.clone()),
        // What a container forbids it to give up, it keeps: it is said at its start, and takes no time afterwards.
        ("RULEBOX_EXECUTORS__CONFINEMENT", "best-effort".to_owned()),
    ];
    Ok((serve(stage, "executor", cores, &settings, &directory)?, place))
}

fn serve(stage: &Stage, role: &str, cores: Cores, settings: &[Setting], directory: &Path) -> Result<Server, Error> {
    let mut command = pinned(cores, &stage.rulebox);
    command.args(["serve", "--role", role]).env_clear().envs(SETTINGS);
    // An executor reaches nobody, not even a collector.
    if role != "executor" {
        command.env("RULEBOX_TELEMETRY__OTLP_ENDPOINT", &stage.traces);
    }
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.env("RULEBOX_DATA_DIR", directory.join("data")).envs(settings.iter().map(|(name, value)| (name, value)));
    Server::start(&mut command, &directory.join("log"), "serving")
}

/// The answer of a server to the first of these requests.
pub fn ask(client: &Client, url: &str, post: &Post) -> Result<Vec<u8>, Error> {
    let (path, key) = post.targets.first().ok_or("a target")?;
    let request = client.post(format!("{url}{path}")).bearer_auth(key).header(CONTENT_TYPE, post.kind);
    let answer = request.header(ACCEPT, "application/json").body(post.body.clone()).send()?;
    let status = answer.status();
    let body = answer.bytes()?.to_vec();
    if status.is_success() {
        return Ok(body);
    }
    Err(format!("{path}: {status}: {}", String::from_utf8_lossy(&body)).into())
}
