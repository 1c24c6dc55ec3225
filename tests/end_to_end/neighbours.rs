//! One tenant does all that it may; another hears little of it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rulebox_tests::{Executor, Server, output, rule};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::replicas::body;

/// Connections of the tenant that does all that it may.
const CONNECTIONS: usize = 32;
/// Single evaluations of the other: quiet, and then beside that.
const EVALUATIONS: usize = 2_000;

/// Never ends; without the end of the module, which its manifest comes before.
const ENDLESS: &str = r#"(module
  (memory (export "memory") 1)
  (global (export "rulebox_abi_1") i32 (i32.const 1))
  (func (export "rulebox_init") (param i32) (result i32) (i32.const 0))
  (func (export "rulebox_buffer") (param $kind i32) (param i32 i32) (result i32)
    (if (i32.eq (local.get $kind) (i32.const 6)) (then (return (i32.const 64))))
    (if (i32.eq (local.get $kind) (i32.const 7)) (then (return (i32.const 8192))))
    (i32.const 0))
  (func (export "rulebox_reset"))
  (func (export "rulebox_eval") (param i32) (result i32) (loop $again (br $again)) (i32.const 0))"#;

const MANIFEST: &str = r#"{"abi": 1, "name": "endless", "inputs": [], "params": [], "outs": [], "statements": [], "spans": [],
  "uses_time": false, "clock": {"zone": "UTC", "day_start": 0}, "lookback": 0, "memory_bytes": 0, "state_bytes": 0}"#;

/// A service, and what runs its rules if that is another process.
struct Home {
    server: Server,
    _directory: TempDir,
    _executor: Option<Executor>,
}

impl Home {
    /// Starts it, with one tenant that may upload modules and one that may not, and gives a key of each.
    fn start(elsewhere: bool) -> (Self, [String; 2]) {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let keys =
            [("greedy", "modules=true"), ("other", "modules=false")].map(|(name, limit)| tenant(&data, name, limit));
        let place = format!("unix:{}/executor.sock", directory.path().display());
        let executor = elsewhere.then(|| Executor::start(&place, &[]));
        let mut settings = vec![("RULEBOX_TENANT__REQUESTS_PER_SECOND", "1000000")];
        if elsewhere {
            settings.extend([("RULEBOX_ROLE", "api"), ("RULEBOX_EXECUTORS__ADDRESSES", &place)]);
        }
        let server = Server::try_start(&data, &settings).unwrap();
        (Self { server, _directory: directory, _executor: executor }, keys)
    }
}

/// Makes a tenant before the service starts, and a key of it.
fn tenant(data: &Path, name: &str, limit: &str) -> String {
    let run = |arguments: &[&str]| {
        let (status, said) = output(arguments, &[("RULEBOX_DATA_DIR", data.to_str().unwrap().to_owned())]);
        assert!(status.success(), "{said}");
        said
    };
    run(&["tenant", "create", name, "--limit", limit]);
    let made = run(&["key", "create", "--tenant", name, "--role", "author", "--role", "engine"]);
    made.split_whitespace().find(|word| word.starts_with("rbx_live_") && word.len() > 40).unwrap().to_owned()
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// Evaluates one bar after another, and gives the times in ascending order.
fn evaluate(server: &Server, key: &str) -> Vec<Duration> {
    let bar = json!({"inputs": {"equity": 1, "drawdown": 0.1}});
    let one = |_| {
        let began = Instant::now();
        body(server.post(key, "/v1/rules/probe/evaluate", &bar), 200);
        began.elapsed()
    };
    let mut times: Vec<_> = (0..EVALUATIONS).map(one).collect();
    times.sort_unstable();
    times
}

fn upload_endless(server: &Server, key: &str) {
    let manifest = MANIFEST.replace('"', "\\\"").replace('\n', " ");
    let module = wat::parse_str(format!("{ENDLESS} (@custom \"rulebox.manifest\" \"{manifest}\"))")).unwrap();
    let request = server.client().post(format!("{}/v1/rules?name=endless", server.api)).bearer_auth(key);
    body(request.header("content-type", "application/wasm").body(module).send(), 201);
}

fn one_tenant_beside_another(elsewhere: bool) {
    let (home, [greedy, other]) = Home::start(elsewhere);
    let server = &home.server;
    body(server.post(&other, "/v1/rules", &json!({"source": rule(1)})), 201);
    upload_endless(server, &greedy);
    evaluate(server, &other);
    let quiet = evaluate(server, &other);

    let (over, stopped) = (AtomicBool::new(false), AtomicU64::new(0));
    let loud = std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let (over, stopped, greedy) = (&over, &stopped, &greedy);
            // Of both kinds: single bars, and series.
            let request =
                if connection % 2 == 0 { json!({"inputs": {}}) } else { json!({"columns": {"time": vec![0; 1_000]}}) };
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let answer = server.post(greedy, "/v1/rules/endless/evaluate", &request).unwrap();
                    let (status, answer) = (answer.status().as_u16(), answer.json::<Value>().unwrap());
                    match status {
                        422 => assert!(
                            matches!(answer["kind"].as_str(), Some("deadline_exceeded" | "fuel_exhausted")),
                            "{answer}"
                        ),
                        429 | 503 => std::thread::sleep(Duration::from_millis(20)),
                        _ => panic!("{status} {answer}"),
                    }
                    stopped.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        // Until the first has been stopped, all that can run run.
        while stopped.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let loud = evaluate(server, &other);
        over.store(true, Ordering::SeqCst);
        loud
    });
    let ratio = |percent| percentile(&loud, percent).as_secs_f64() / percentile(&quiet, percent).as_secs_f64();
    println!(
        "{}: single evaluations, p50 {:?} quiet, {:?} ({:.2}x) beside {CONNECTIONS} connections of another tenant's endless \
         loops; p99 {:?}, {:?} ({:.2}x); {} loops were stopped",
        if elsewhere { "executor" } else { "one process" },
        percentile(&quiet, 50),
        percentile(&loud, 50),
        ratio(50),
        percentile(&quiet, 99),
        percentile(&loud, 99),
        ratio(99),
        stopped.into_inner()
    );
}

#[test]
fn a_tenant_of_endless_loops_is_heard_little_in_one_process() {
    one_tenant_beside_another(false);
}

#[test]
fn a_tenant_of_endless_loops_is_heard_little_with_an_executor() {
    one_tenant_beside_another(true);
}
