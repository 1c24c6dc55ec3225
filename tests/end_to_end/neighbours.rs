//! One tenant does all that it may; another hears little of it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rulebox_tests::{Executor, Server, SetAtEnd, output, rule};
use serde_json::json;
use tempfile::TempDir;

use super::hostile;
use super::replicas::body;

/// Connections of the tenant that does all that it may.
pub(super) const CONNECTIONS: usize = 32;
/// Kinds of what they ask: the endless loops alone, and all.
const LOOPS: usize = 4;
const ALL: usize = 8;
/// Single evaluations of the other: quiet, and then beside that.
const EVALUATIONS: usize = 2_000;

/// Modules go on however often they break their limits.
pub(super) const NEVER_STOPPED: (&str, &str) = ("RULEBOX_QUARANTINE__VIOLATIONS", "1000000000");

/// A service, and what runs its rules if that is another process.
pub(super) struct Home {
    pub(super) server: Server,
    _directory: TempDir,
    _executor: Option<Executor>,
}

impl Home {
    /// Starts it, with one tenant that may upload modules and one that may not, and gives a key of each.
    pub(super) fn start(elsewhere: bool, more: &[(&str, &str)]) -> (Self, [String; 2]) {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let keys =
            [("greedy", "modules=true"), ("other", "modules=false")].map(|(name, limit)| tenant(&data, name, limit));
        let place = format!("unix:{}/executor.sock", directory.path().display());
        let executor = elsewhere.then(|| Executor::start(&place, &[]));
        let mut settings = vec![("RULEBOX_TENANT__REQUESTS_PER_SECOND", "1000000")];
        settings.extend(more);
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
pub(super) fn evaluate(server: &Server, key: &str) -> Vec<Duration> {
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

/// What became of the requests of the tenant that does all that it may.
#[derive(Debug, Default)]
struct Outcomes {
    /// Modules that were stopped at a limit.
    stopped: AtomicU64,
    /// Requests that were answered, or refused for what is in them.
    done: AtomicU64,
    /// 429: it has taken what it may a second.
    limited: AtomicU64,
    /// 503: there is no room, or it has its part.
    turned_away: AtomicU64,
}

impl Outcomes {
    fn count(&self, answer: reqwest::blocking::Response) {
        let (status, text) = (answer.status().as_u16(), answer.text().unwrap_or_default());
        let counter = match status {
            422 if text.contains("deadline_exceeded") || text.contains("fuel_exhausted") => &self.stopped,
            200 | 201 => &self.done,
            429 => &self.limited,
            503 => &self.turned_away,
            _ => panic!("{status} {text}"),
        };
        counter.fetch_add(1, Ordering::SeqCst);
        if matches!(status, 429 | 503) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// One request of the kind of this connection, one of so many kinds, the `n`th of it.
fn load(server: &Server, key: &str, kinds: usize, connection: usize, n: usize) -> reqwest::blocking::Response {
    let endless = "/v1/rules/endless/evaluate";
    match connection % kinds {
        0 | 1 => server.post(key, endless, &json!({"inputs": {}})),
        2 | 3 => server.post(key, endless, &json!({"columns": {"time": vec![0; 1_000]}})),
        // A body of a megabyte.
        4 => {
            let columns = json!({"columns": {"equity": vec![1.25; 100_000], "drawdown": vec![0.125; 100_000]}});
            server.post(key, "/v1/rules/busy/evaluate", &columns)
        }
        // A module that nobody has loaded.
        5 => server.post(key, "/v1/rules/busy/versions", &json!({"source": busy(2 + n * CONNECTIONS + connection)})),
        // A stream.
        6 => {
            let request = server.client().post(format!("{}/v1/rules/busy/evaluate", server.api)).bearer_auth(key);
            let lines = "{\"equity\":1.25,\"drawdown\":0.125}\n".repeat(20_000);
            request.header("content-type", "application/x-ndjson").body(lines).send()
        }
        // Honest work of many seconds.
        _ => {
            let rows = if std::env::var_os("TESTS_FULL").is_some() { 1_000_000 } else { 50_000 };
            let columns = json!({"columns": {"equity": vec![1; rows], "drawdown": vec![0; rows]}});
            server.post(key, "/v1/rules/long/evaluate", &columns)
        }
    }
    .unwrap()
}

fn busy(n: usize) -> String {
    format!("rule busy(equity, drawdown) = drawdown > 20% or equity < {n}")
}

/// Costs about as much a bar as a rule may.
const LONG: &str = "rule long(equity, drawdown) {\n  out a = sma(equity, 1000) ?? 0\n  out b = highest(equity, 1000) ?? 0\n  out c = stdev(equity, 1000) ?? 0\n  if drawdown > 20% { warn \"w\" }\n}";

fn one_tenant_beside_another(elsewhere: bool) {
    let (home, [greedy, other]) = Home::start(elsewhere, &[NEVER_STOPPED]);
    let server = &home.server;
    body(server.post(&other, "/v1/rules", &json!({"source": rule(1)})), 201);
    hostile::upload(server, &greedy, "endless", hostile::ENDLESS);
    for source in [busy(1), LONG.to_owned()] {
        body(server.post(&greedy, "/v1/rules", &json!({ "source": source })), 201);
    }
    evaluate(server, &other);
    let quiet = evaluate(server, &other);
    let place = if elsewhere { "executor" } else { "one process" };
    println!("{place}: single evaluations, quiet: {}", shown(&quiet, &quiet));
    for (kinds, what) in
        [(LOOPS, "endless loops"), (ALL, "endless loops, large bodies, uploads, streams and long runs")]
    {
        let (loud, outcomes) = beside(server, &greedy, kinds, || evaluate(server, &other));
        println!(
            "{place}: beside {CONNECTIONS} connections of another tenant's {what}: {}; of its requests: {outcomes:?}",
            shown(&loud, &quiet)
        );
    }
}

/// Does something while a tenant asks as much as it can of the first `kinds`, from the first module that is stopped on.
fn beside<T>(server: &Server, greedy: &str, kinds: usize, other: impl FnOnce() -> T) -> (T, Outcomes) {
    let (over, outcomes) = (AtomicBool::new(false), Outcomes::default());
    let done = std::thread::scope(|scope| {
        let _end = SetAtEnd(&over);
        for connection in 0..CONNECTIONS {
            let (over, outcomes) = (&over, &outcomes);
            scope.spawn(move || {
                let mut n = 0;
                while !over.load(Ordering::SeqCst) {
                    outcomes.count(load(server, greedy, kinds, connection, n));
                    n += 1;
                }
            });
        }
        // Until the first has been stopped, all that can run run.
        let since = Instant::now();
        while outcomes.stopped.load(Ordering::SeqCst) == 0 {
            assert!(since.elapsed() < Duration::from_mins(2), "{outcomes:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        other()
    });
    (done, outcomes)
}

/// Two percentiles of times, with their ratios to those of the quiet ones.
pub(super) fn shown(times: &[Duration], quiet: &[Duration]) -> String {
    let one = |percent| {
        let (time, quiet) = (percentile(times, percent), percentile(quiet, percent));
        format!("p{percent} {time:?} ({:.2}x)", time.as_secs_f64() / quiet.as_secs_f64())
    };
    format!("{}, {}", one(50), one(99))
}

#[test]
fn a_tenant_of_endless_loops_is_heard_little_in_one_process() {
    one_tenant_beside_another(false);
}

#[test]
fn a_tenant_of_endless_loops_is_heard_little_with_an_executor() {
    one_tenant_beside_another(true);
}
