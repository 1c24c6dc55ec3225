//! Load: `wrk` as fast as answers come, `oha` at a fixed rate.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::process::{LOADING, pinned};
use super::stage::Stage;
use super::tools;
use crate::Error;

/// Connections, where nothing else is said.
pub const CONNECTIONS: usize = 64;

/// Requests that differ in their path and key alone.
#[derive(Clone, Debug)]
pub struct Post {
    /// Path and key of each, used in turn.
    pub targets: Vec<(String, String)>,
    /// Type of the body.
    pub kind: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// If each is to have another body: `@` in it is a number, from this one up.
    pub counts_from: Option<u64>,
}

impl Post {
    /// JSON to one path.
    pub fn json(path: &str, key: &str, body: &Value) -> Self {
        let targets = vec![(path.to_owned(), key.to_owned())];
        Self { targets, kind: "application/json", body: body.to_string().into_bytes(), counts_from: None }
    }
}

/// What a run saw; times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub per_second: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
}

/// A load that can be repeated.
#[derive(Debug)]
pub struct Load {
    arguments: Vec<String>,
    script: PathBuf,
    seconds: u64,
}

impl Load {
    /// Posts to each target in turn.
    pub fn new(stage: &Stage, post: &Post) -> Result<Self, Error> {
        Self::by_script(stage, post, include_str!("lua/post.lua"))
    }

    /// Posts bars to sessions, a target for each connection.
    pub fn of_sessions(stage: &Stage, post: &Post) -> Result<Self, Error> {
        Self::by_script(stage, post, include_str!("lua/sessions.lua"))
    }

    fn by_script(stage: &Stage, post: &Post, script: &str) -> Result<Self, Error> {
        let directory = tempfile::tempdir_in(stage.path())?.keep();
        let write = |name: &str, content: &[u8]| -> Result<PathBuf, Error> {
            let file = directory.join(name);
            std::fs::write(&file, content)?;
            Ok(file)
        };
        let targets: Vec<_> = post.targets.iter().map(|(path, key)| format!("{path} {key}\n")).collect();
        let (targets, body) = (write("targets", targets.concat().as_bytes())?, write("body", &post.body)?);
        let script = write("script.lua", [script, include_str!("lua/done.lua")].concat().as_bytes())?;
        let mut arguments = vec![targets.display().to_string(), body.display().to_string(), post.kind.to_owned()];
        arguments.extend(post.counts_from.map(|n| n.to_string()));
        Ok(Self { arguments, script, seconds: stage.seconds() })
    }

    /// With this many connections. Any answer that is no success fails it.
    pub fn run(&self, url: &str, connections: usize) -> Result<Seen, Error> {
        self.run_on(url, connections, 1)
    }

    /// The same with a thread for each connection, which a session needs.
    pub fn run_with_a_thread_each(&self, url: &str, connections: usize) -> Result<Seen, Error> {
        self.run_on(url, connections, connections)
    }

    fn run_on(&self, url: &str, connections: usize, threads: usize) -> Result<Seen, Error> {
        let mut wrk = pinned(LOADING, &tools::program("wrk", "wrk")?);
        wrk.args([format!("-t{threads}"), format!("-c{connections}"), format!("-d{}s", self.seconds)]);
        wrk.args(["--timeout", "30s", "-s"]).arg(&self.script).args([url, "--"]).args(&self.arguments);
        let said = output(&mut wrk)?;
        let numbers = said.lines().find_map(|line| line.strip_prefix("RESULT ")).unwrap_or_default();
        let numbers: Vec<f64> = numbers.split(' ').filter_map(|number| number.parse().ok()).collect();
        match numbers.as_slice() {
            &[requests, duration, p50, p95, p99, 0.0] if requests > 0.0 => {
                Ok(Seen { per_second: requests / duration * 1e6, p50: p50 / 1e3, p95: p95 / 1e3, p99: p99 / 1e3 })
            }
            _ => Err(format!("requests failed: {said}").into()),
        }
    }
}

/// Posts at a fixed rate on [`CONNECTIONS`], whether or not answers come in time: what a request waits for its turn counts.
pub fn at_rate(stage: &Stage, oha: &Path, url: &str, post: &Post, per_second: f64) -> Result<Seen, Error> {
    let (path, key) = post.targets.first().ok_or("a target")?;
    let body = stage.path().join("oha.body");
    std::fs::write(&body, &post.body)?;
    let mut command = pinned(LOADING, oha);
    command.args(["-q", &format!("{per_second:.0}"), "--latency-correction", "--no-tui", "--output-format", "json"]);
    command.args(["-c", &CONNECTIONS.to_string(), "-z", &format!("{}s", stage.seconds())]);
    command.args(["-m", "POST", "-T", post.kind, "-H", &format!("authorization: Bearer {key}"), "-D"]).arg(body);
    let said: Value = serde_json::from_str(&output(command.arg(format!("{url}{path}")))?)?;
    let number = |pointer: &str| said.pointer(pointer).and_then(Value::as_f64).ok_or_else(|| format!("no {pointer}"));
    let statuses = said.get("statusCodeDistribution").and_then(Value::as_object).ok_or("no statuses")?;
    if statuses.keys().any(|status| status != "200") {
        return Err(format!("requests failed: {statuses:?}").into());
    }
    let milliseconds = |of: &str| number(&format!("/latencyPercentiles/{of}")).map(|seconds| seconds * 1e3);
    Ok(Seen {
        per_second: number("/summary/requestsPerSec")?,
        p50: milliseconds("p50")?,
        p95: milliseconds("p95")?,
        p99: milliseconds("p99")?,
    })
}

fn output(command: &mut Command) -> Result<String, Error> {
    let output = command.output()?;
    let said = String::from_utf8(output.stdout)?;
    if output.status.success() {
        return Ok(said);
    }
    Err(format!("{command:?}: {} {said} {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}
