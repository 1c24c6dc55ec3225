//! Modules that are not what their texts say: found by the check of an upload and by that of live calls, recorded once,
//! and stopped at once.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rulebox::execution::engine::{Engine, Module, Run, Setup, Unloaded};
use rulebox::execution::modules::LoadError;
use rulebox_sandbox::{Digest, RunError};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

use super::list;
use crate::harness::{DRAWDOWN, Server, config};

const MISMATCH: &str = "rulebox_sandbox_violations_total{kind=\"differential_mismatch\",severity=\"critical\"}";

fn checks(source: &str, result: &str) -> String {
    format!("rulebox_differential_checks_total{{result=\"{result}\",source=\"{source}\"}}")
}

/// Waits until so many checks have come to this.
async fn wait_for(server: &Server, source: &str, result: &str, times: f64) {
    let began = Instant::now();
    while server.metric(&checks(source, result)).await.unwrap() < times {
        let (_, metrics) = server.health("/metrics").await;
        let lines: Vec<_> = metrics.lines().filter(|line| line.contains("differential_checks_total{")).collect();
        assert!(began.elapsed() < Duration::from_mins(1), "no {source} was {result} {times} times: {lines:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{source} {result} {times} after {:?}", began.elapsed());
}

/// The rule with another limit: the module of it says other things than the text of the rule.
fn changed() -> String {
    DRAWDOWN.replace("drawdown >= limit", "drawdown > limit")
}

fn module_of(source: &str) -> Vec<u8> {
    rulebox_dsl::compile(source, &rulebox_dsl::Limits::DEFAULT).unwrap().module
}

/// Loads the module of the changed rule in the place of that of the rule.
#[derive(Debug)]
struct Exchanging(Arc<dyn Engine>);

impl Engine for Exchanging {
    fn load(&self, module: Unloaded<'_>) -> Result<Arc<dyn Module>, LoadError> {
        let other = module_of(&changed());
        let bytes = if module.bytes == module_of(DRAWDOWN) { &other } else { module.bytes };
        self.0.load(Unloaded { digest: Digest::of(bytes), bytes, ..module })
    }
}

/// Everything that a reviewer is told of a mismatch of the rule.
async fn the_mismatch(server: &Server, security: &str) -> Value {
    let found = list(server, security, "").await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(server.metric(MISMATCH).await, Some(1.0));
    let found = found[0].clone();
    for (field, value) in [
        ("kind", json!("differential_mismatch")),
        ("severity", json!("critical")),
        ("tenant", json!("default")),
        ("rule", json!("drawdown")),
        ("version", json!(1)),
        ("count", json!(1)),
    ] {
        assert_eq!(found[field], value, "{field}");
    }
    assert_eq!(found["digest"], server.get("/v1/rules/drawdown/versions/1").await.ok()["digest"]);
    for text in ["limit", "equity", "near"] {
        assert!(!found["detail"].to_string().contains(text), "{found:#}");
    }
    found
}

async fn assert_stopped(server: &Server) {
    let body = json!({"inputs": {"equity": 1, "drawdown": 0}});
    server.post("/v1/rules/drawdown/evaluate", &body).await.problem(423, "rule_quarantined");
}

#[tokio::test]
async fn a_module_that_differs_from_its_text_is_found_at_its_upload() {
    let (server, _, security) = Server::around(|_| {}, |engine| Arc::new(Exchanging(engine))).await;
    let made = server.post("/v1/rules", &json!({ "source": DRAWDOWN })).await;
    let request = made.headers["x-request-id"].to_str().unwrap().to_owned();
    made.ok();
    wait_for(&server, "upload", "different", 1.0).await;
    let found = the_mismatch(&server, &security).await;
    assert_eq!(found["request_id"], request);
    assert!(found["key_id"].is_string());
    let detail = &found["detail"];
    assert_eq!((&detail["source"], &detail["field"]), (&json!("upload"), &json!("verdict")), "{detail}");
    assert!(detail["bar"].is_u64() && detail["module"] != detail["interpreter"], "{detail}");
    assert_stopped(&server).await;
}

#[tokio::test]
async fn a_module_that_was_exchanged_in_the_store_is_found_by_a_live_call() {
    let one_in_one = |config: &mut rulebox::config::Config| config.differential.one_in = 1;
    let (server, _, security) = Server::with_platform_keys(one_in_one).await;
    server.upload(DRAWDOWN).await;
    wait_for(&server, "upload", "same", 1.0).await;
    let (directory, key) = server.stop().await;
    let options = SqliteConnectOptions::new().filename(directory.path().join("rulebox.db"));
    let mut store = options.connect().await.unwrap();
    store.execute("drop trigger versions_are_immutable").await.unwrap();
    let module = module_of(&changed());
    let digest = Digest::of(&module).0.to_vec();
    let update = sqlx::query("update versions set module = $1, digest = $2").bind(module).bind(digest);
    assert_eq!(store.execute(update).await.unwrap().rows_affected(), 1);
    drop(store);
    let mut settings = config(directory.path());
    one_in_one(&mut settings);
    let server = Server::over(directory, settings, Some(key)).await;

    let bar = |drawdown: f64| json!({"inputs": {"equity": 90_000, "drawdown": drawdown}});
    let evaluate = async |drawdown| server.post("/v1/rules/drawdown/evaluate", &bar(drawdown)).await;
    // The same in both, and then what only the text calls a breach: the answer is the module's.
    assert_eq!(evaluate(0.09).await.ok()["verdict"], "warn");
    wait_for(&server, "sample", "same", 1.0).await;
    let answer = evaluate(0.1).await;
    let request = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(answer.ok()["verdict"], "warn");
    wait_for(&server, "sample", "different", 1.0).await;
    let found = the_mismatch(&server, &security).await;
    assert_eq!(found["request_id"], request);
    let expected = json!({"source": "sample", "field": "verdict", "bar": 0, "module": "warn", "interpreter": "breach"});
    assert_eq!(found["detail"], expected);
    assert_stopped(&server).await;
}

#[tokio::test]
async fn what_agrees_is_silent_whatever_was_asked() {
    let (server, _, security) = Server::with_platform_keys(|config| config.differential.one_in = 1).await;
    for result in ["same", "different", "skipped"] {
        for source in ["upload", "sample"] {
            assert_eq!(server.metric(&checks(source, result)).await, Some(0.0), "from the start");
        }
    }
    server.upload(DRAWDOWN).await;
    let timed = "clock \"America/New_York\" day 17:00
        rule timed(x: num?) { let m = sma(x ?? 0, 3) ?? 0 out o = m if new_day or time_of_day > 15:25 { warn for 2h \"{m:.3} {x}\" } }";
    server.upload(timed).await;
    wait_for(&server, "upload", "same", 2.0).await;
    let bar = json!({"inputs": {"equity": 90_000, "drawdown": 0.1}});
    server.post("/v1/rules/drawdown/evaluate", &bar).await.ok();
    let fault = json!({"inputs": {"equity": 90_000, "drawdown": 10}});
    server.post("/v1/rules/drawdown/evaluate", &fault).await.ok();
    let instants: Vec<_> = (0..3_000).map(|n| 1_772_798_400_000_i64 + n * 1_900_000).collect();
    let values = |of: f64| (0..3_000).map(|n| f64::from(n) / of).collect::<Vec<_>>();
    let columns = json!({
        "columns": {"x": values(7.0), "time": instants, "equity": values(1.0), "drawdown": values(30_000.0)},
    });
    let only = |names: &[&str]| {
        let mut body = columns.clone();
        body["columns"].as_object_mut().unwrap().retain(|name, _| names.contains(&name.as_str()));
        body
    };
    server.post("/v1/rules/timed/evaluate?series=verdict,out", &only(&["x", "time"])).await.ok();
    server.post("/v1/rules/timed/evaluate", &only(&["time"])).await.ok();
    let mut joint = columns.clone();
    joint["rules"] = json!("*");
    server.post("/v1/evaluate", &joint).await.ok();
    wait_for(&server, "sample", "same", 6.0).await;
    let session = server.post("/v1/sessions", &json!({"rules": ["drawdown", "timed"]})).await.ok();
    let path = format!("/v1/sessions/{}/bars", session["id"].as_str().unwrap());
    for seq in 0..2_i64 {
        let time = 1_772_798_400_000_i64 + seq * 1_000;
        let inputs = json!({"x": 1, "equity": 1, "drawdown": 0.09});
        server.post(&path, &json!({"seq": seq, "time": time, "inputs": inputs})).await.ok();
    }
    // The first call of it, of both rules.
    wait_for(&server, "sample", "same", 8.0).await;
    for result in ["different", "skipped"] {
        for source in ["upload", "sample"] {
            assert_eq!(server.metric(&checks(source, result)).await, Some(0.0), "{source} {result}");
        }
    }
    assert_eq!(list(&server, &security, "").await, Vec::<Value>::new());
}

/// Shut from the start.
#[derive(Debug, Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        drop(self.opened.wait_while(self.is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
    }
}

/// Begins nothing while the gate is shut.
#[derive(Debug)]
struct Gated<T: ?Sized>(Arc<Gate>, Arc<T>);

impl Engine for Gated<dyn Engine> {
    fn load(&self, module: Unloaded<'_>) -> Result<Arc<dyn Module>, LoadError> {
        Ok(Arc::new(Gated(Arc::clone(&self.0), self.1.load(module)?)))
    }
}

impl Module for Gated<dyn Module> {
    fn begin(&self, setup: Setup<'_>, state: Option<&[u8]>, keeps: bool) -> Result<Box<dyn Run>, RunError> {
        self.0.pass();
        self.1.begin(setup, state, keeps)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_wait_for_no_check_and_what_finds_no_place_is_counted() {
    let gate = Arc::new(Gate::default());
    let through = Arc::clone(&gate);
    let (server, _, security) =
        Server::around(|config| config.differential.queue = 1, |engine| Arc::new(Gated(through, engine))).await;
    let upload = async |n: u32| {
        server.post("/v1/rules", &json!({"name": format!("r{n}"), "source": DRAWDOWN})).await.ok();
    };
    for n in 0..6 {
        upload(n).await;
    }
    // One at work, one that waits.
    assert_eq!(server.metric(&checks("upload", "skipped")).await, Some(4.0));
    assert_eq!(server.metric(&checks("upload", "same")).await, Some(0.0));
    gate.open();
    wait_for(&server, "upload", "same", 2.0).await;
    upload(6).await;
    wait_for(&server, "upload", "same", 3.0).await;
    assert_eq!(server.metric(&checks("upload", "skipped")).await, Some(4.0));
    assert_eq!(list(&server, &security, "").await.len(), 0);
}
