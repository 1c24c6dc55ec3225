//! Starts the real `rulebox` binary and speaks HTTP to it: private ports, temporary directories, stopped by process id.

#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a test harness fails by panicking")]

mod executor;
pub mod receiver;
pub mod servers;
pub mod tools;

pub use executor::Executor;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Response};
use serde_json::Value;

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The `rulebox` binary, built beside the tests: `target/release/rulebox` for `target/release/deps/end_to_end-…`.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("rulebox");
    assert!(binary.is_file(), "{} is missing: build it with `cargo build --release`", binary.display());
    binary
}

/// Tells the threads of a scope that it is over, also when the test fails before it says so: the scope waits for them.
#[derive(Debug)]
pub struct SetAtEnd<'a>(pub &'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A rule that is right, `n` in its text, so that each is another.
pub fn rule(n: usize) -> String {
    format!("rule probe(equity, drawdown) = drawdown > 20% or equity < {n}")
}

/// A running `rulebox serve`.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Base of the HTTP API, `http://127.0.0.1:…`.
    pub api: String,
    /// Base of health and metrics.
    pub health: String,
    /// The key that this start has made, if the store was new.
    pub key: Option<String>,
    client: Client,
    log: Option<JoinHandle<String>>,
}

/// What a process said that ended before it served.
#[derive(Debug)]
pub struct Refused {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard error.
    pub stderr: String,
}

impl Server {
    /// Starts the service over a directory, on free ports.
    pub fn start(directory: &Path) -> Self {
        Self::try_start(directory, &[]).unwrap_or_else(|refused| panic!("the service did not start: {refused:?}"))
    }

    /// Starts the service with more settings.
    ///
    /// # Errors
    /// If the process ends instead of serving.
    pub fn try_start(directory: &Path, settings: &[(&str, &str)]) -> Result<Self, Refused> {
        Self::try_start_with(directory, &[], settings)
    }

    /// Starts the service with more arguments and settings.
    ///
    /// # Errors
    /// If the process ends instead of serving.
    pub fn try_start_with(directory: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Result<Self, Refused> {
        let mut child = Command::new(binary())
            .arg("serve")
            .args(arguments)
            .env_clear()
            .env("RULEBOX_DATA_DIR", directory)
            .env("RULEBOX_API__LISTEN", "127.0.0.1:0")
            .env("RULEBOX_HEALTH__LISTEN", "127.0.0.1:0")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            // What is not UTF-8 ends the log; the test then shows what there was.
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let mut said = Said::default();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            said.line(&line.unwrap());
            if said.is_complete() {
                break;
            }
        }
        let Said { api: Some(api), health: Some(health), key, .. } = said else {
            let status = child.wait().unwrap();
            return Err(Refused { status, stderr: log.join().unwrap() });
        };
        // It fails if another server of this test has said so before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().timeout(Duration::from_mins(2)).build().unwrap();
        let server = Self { child, api, health, key, client, log: Some(log) };
        server.wait_until_ready();
        Ok(server)
    }

    /// Or lacks nothing but executors, which may not be there on purpose.
    fn wait_until_ready(&self) {
        let began = Instant::now();
        let ready = || {
            let answer = self.client.get(format!("{}/readyz?verbose", self.health)).send()?;
            let is_ready = answer.status().is_success();
            let lacks: Vec<_> =
                answer.text()?.lines().filter(|line| line.starts_with("[-]")).map(str::to_owned).collect();
            let executors = !lacks.is_empty() && lacks.iter().all(|line| line.starts_with("[-] executors: 0"));
            Ok::<_, reqwest::Error>(is_ready || executors)
        };
        while !ready().unwrap_or(false) {
            assert!(began.elapsed() < Duration::from_secs(30), "the service is not ready after 30 s");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Of the process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Posts JSON with a key.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn post(&self, key: &str, path: &str, body: &Value) -> reqwest::Result<Response> {
        self.client.post(format!("{}{path}", self.api)).bearer_auth(key).json(body).send()
    }

    /// Gets a path of the API with a key.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn get(&self, key: &str, path: &str) -> reqwest::Result<Response> {
        self.client.get(format!("{}{path}", self.api)).bearer_auth(key).send()
    }

    /// The HTTP client, for requests of another kind.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM` or `KILL`, to this process alone.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for the end; its status and its log.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.log.take().map(|log| log.join().unwrap()).unwrap_or_default())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that has ended already cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command of the `rulebox` binary to its end: how it ended, and what it wrote to both outputs.
pub fn output(arguments: &[&str], settings: &[(&str, String)]) -> (ExitStatus, String) {
    let mut command = Command::new(binary());
    command.args(arguments).env_clear().envs(settings.iter().map(|(name, value)| (name, value)));
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status, said.concat())
}

/// Bytes of memory that a process has now.
pub fn resident_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Sends a signal to a process.
pub fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), process.to_string()]).status().unwrap();
    assert!(status.success(), "kill -{name} {process}");
}

/// What `serve` prints before it serves.
#[derive(Debug, Default)]
struct Said {
    api: Option<String>,
    health: Option<String>,
    store: bool,
    key: Option<String>,
    ready: bool,
}

impl Said {
    fn line(&mut self, line: &str) {
        let word = |at: usize| line.split_whitespace().nth(at).unwrap_or_default().trim_end_matches(',').to_owned();
        match word(0).as_str() {
            "API" => self.api = Some(word(1)),
            "health" => self.health = Some(word(1).trim_end_matches("/readyz").to_owned()),
            "store" => self.store = true,
            "key" => self.key = Some(word(1)),
            "serving" => self.ready = true,
            _ => {}
        }
    }

    const fn is_complete(&self) -> bool {
        self.ready
    }
}
