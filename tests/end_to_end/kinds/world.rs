//! A service, its executors, and all who are told of what it finds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::blocking::{RequestBuilder, Response};
use rulebox_tests::receiver::{Answering, Receiver};
use rulebox_tests::{Server, output};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::feed::Feed;
use crate::telemetry::collector::Collector;

/// Of all secrets that are made of one.
pub const MASTER: &str = "canary of the master secret, of 32 bytes or more";
/// Who is told is told within seconds. On a busy machine, it may be more of them.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// All who are told.
#[derive(Debug)]
pub struct Told {
    pub collector: Collector,
    pub hooks: Receiver,
    pub alerts: Receiver,
}

impl Told {
    pub fn start() -> Self {
        let [hooks, alerts] = [(); 2].map(|()| Receiver::start(Answering::Status(200)));
        Self { collector: Collector::start(), hooks, alerts }
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let setting = |name, value: &str| (name, value.to_owned());
        vec![
            setting("RULEBOX_MASTER_SECRET", MASTER),
            setting("RULEBOX_TELEMETRY__OTLP_ENDPOINT", &self.collector.endpoint),
            setting("RULEBOX_TELEMETRY__EXPORT_MS", "100"),
            setting("RULEBOX_ALERTMANAGER__URLS", &self.alerts.url),
            setting("RULEBOX_WEBHOOKS__ALLOW_LOOPBACK", "true"),
            setting("RULEBOX_LOG__FILTER", "trace"),
            setting("RULEBOX_LOG__FORMAT", "json"),
        ]
    }
}

/// What was answered to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub request_id: String,
    /// Which the request was a part of.
    pub trace_id: String,
    pub body: Value,
}

/// A service and whoever watches it. It may be killed, and started again over what it has left.
#[derive(Debug)]
pub struct Site {
    pub directory: TempDir,
    settings: Vec<(&'static str, String)>,
    server: Server,
    /// Of the tenant.
    pub key: String,
    /// Of a reviewer, who sees all tenants' and the platform's.
    pub security: String,
    pub feed: Feed,
    /// Lines of those that have ended.
    pub log: String,
    /// The secret that its webhook's deliveries are signed with.
    pub hook_secret: String,
    requests: AtomicU64,
}

impl Site {
    /// Starts a service over a directory with these settings, and a webhook of its tenant for everything.
    pub fn start(told: &Told, directory: TempDir, settings: &[(&'static str, String)]) -> Self {
        let settings = [told.settings(), settings.to_vec()].concat();
        let own = [("RULEBOX_DATA_DIR", directory.path().to_str().unwrap().to_owned())];
        let secret = settings.iter().filter(|(name, _)| *name == "RULEBOX_MASTER_SECRET").cloned();
        let of_command: Vec<_> = own.into_iter().chain(secret).collect();
        let (made, said) = output(&["key", "create", "--platform", "--role", "security"], &of_command);
        assert!(made.success(), "{said}");
        let security = said.lines().find(|line| line.starts_with("rbx_live_")).unwrap().to_owned();
        let server = started(directory.path(), &settings);
        let key = server.key.clone().unwrap();
        let mut site = Self {
            directory,
            settings,
            server,
            key,
            security,
            feed: Feed::default(),
            log: String::new(),
            hook_secret: String::new(),
            requests: AtomicU64::new(1),
        };
        site.feed.listen(&site.server.api, &site.security);
        let made = site.post("/v1/webhooks", &json!({"url": format!("{}/hook", told.hooks.url)}));
        assert_eq!(made.status, 201, "{}", made.body);
        made.body["secret"].as_str().unwrap().clone_into(&mut site.hook_secret);
        site
    }

    /// Kills it, has something done while it is away, and starts it again, with these settings more.
    pub fn killed(&mut self, meanwhile: impl FnOnce(&Path), more: &[(&'static str, String)]) {
        self.server.signal("KILL");
        self.log += &self.server.wait().1;
        meanwhile(self.directory.path());
        self.settings.extend_from_slice(more);
        self.server = started(self.directory.path(), &self.settings);
        self.feed.listen(&self.server.api, &self.security);
    }

    /// Stops it, and keeps what it has logged.
    pub fn stop(&mut self) {
        self.server.signal("TERM");
        let (status, log) = self.server.wait();
        self.log += &log;
        assert!(status.success(), "{log}");
    }

    fn send(&self, request: RequestBuilder) -> Answer {
        let trace_id = format!("{:032x}", self.requests.fetch_add(1, Ordering::SeqCst) + (1 << 40));
        let answer = request.header("traceparent", format!("00-{trace_id}-00f067aa0ba902b7-01")).send().unwrap();
        let header = |answer: &Response| answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let (status, request_id) = (answer.status().as_u16(), header(&answer));
        let text = answer.text().unwrap();
        Answer { status, request_id, trace_id, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// Gets a path with a key.
    pub fn get_by(&self, key: &str, path: &str) -> Answer {
        self.send(self.server.client().get(format!("{}{path}", self.server.api)).bearer_auth(key))
    }

    /// Gets a path with the tenant's key.
    pub fn get(&self, path: &str) -> Answer {
        self.get_by(&self.key, path)
    }

    /// Posts JSON with the tenant's key.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.server.client().post(format!("{}{path}", self.server.api)).bearer_auth(&self.key).json(body))
    }

    /// Uploads a module under this name.
    pub fn post_module(&self, name: &str, module: Vec<u8>) -> Answer {
        let request = self.server.client().post(format!("{}/v1/rules?name={name}", self.server.api));
        self.send(request.bearer_auth(&self.key).header("content-type", "application/wasm").body(module))
    }

    /// Runs a rule over a bar of these inputs.
    pub fn evaluate(&self, rule: &str, inputs: &Value) -> Answer {
        self.post(&format!("/v1/rules/{rule}/evaluate"), &json!({ "inputs": inputs }))
    }

    /// Every violation that there is, for a reviewer.
    pub fn violations(&self) -> Vec<Value> {
        let answer = self.get_by(&self.security, "/v1/violations?limit=100");
        assert!(answer.status == 200 && answer.body["next"].is_null(), "{}", answer.body);
        answer.body["violations"].as_array().unwrap().clone()
    }

    /// The series of a metric, by their labels.
    pub fn metric(&self, name: &str) -> BTreeMap<String, u64> {
        let text = self.server.client().get(format!("{}/metrics", self.server.health)).send().unwrap().text().unwrap();
        let series = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
        series.map(|(labels, value)| (labels.to_owned(), value.parse().unwrap())).collect()
    }
}

fn started(directory: &Path, settings: &[(&'static str, String)]) -> Server {
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Server::try_start(directory, &settings).unwrap_or_else(|refused| panic!("it did not start: {refused:?}"))
}
