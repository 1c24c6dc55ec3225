//! Redis is killed under two replicas, and comes back empty.

use std::time::{Duration, Instant};

use rulebox_tests::servers::postgres::Postgres;
use rulebox_tests::servers::redis::Redis;
use rulebox_tests::{Server, output, rule};
use serde_json::{Value, json};

use super::{Replica, body, database};

/// Evaluations that are timed.
const CALLS: usize = 300;
/// Requests a second of the tenant that is limited.
pub(super) const LIMIT: usize = 40;

fn evaluate(server: &Server, key: &str) -> u16 {
    let bar = json!({"inputs": {"equity": 1, "drawdown": 0}});
    server.post(key, "/v1/rules/probe/evaluate", &bar).unwrap().status().as_u16()
}

/// The median and the slowest of many evaluations, all of which succeed.
fn times(server: &Server, key: &str) -> (Duration, Duration) {
    let mut times: Vec<_> = (0..CALLS)
        .map(|call| {
            let began = Instant::now();
            assert_eq!(evaluate(server, key), 200, "call {call}");
            began.elapsed()
        })
        .collect();
    times.sort();
    (times[CALLS / 2], times[CALLS - 1])
}

fn readiness(server: &Server) -> String {
    let answer = server.client().get(format!("{}/readyz", server.health)).send().unwrap();
    assert!(answer.status().is_success(), "a replica without Redis is of use");
    answer.text().unwrap().trim().to_owned()
}

fn until_ready(server: &Server, word: &str) -> Duration {
    let began = Instant::now();
    while readiness(server) != word {
        assert!(began.elapsed() < Duration::from_secs(30), "not {word} after {:?}", began.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
    began.elapsed()
}

/// How many of a burst of requests one replica lets through: as many as may come at once, and what comes back while it
/// lasts.
pub(super) fn burst(server: &Server, key: &str, limit: usize) -> usize {
    // Nothing of an earlier burst is left.
    std::thread::sleep(Duration::from_millis(1_500));
    let began = Instant::now();
    let let_in = (0..3 * LIMIT).filter(|_| evaluate(server, key) == 200).count();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let most = limit as f64 * (1.0 + began.elapsed().as_secs_f64()) + 1.0;
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let fits = let_in >= limit && let_in as f64 <= most;
    assert!(fits, "{let_in} of a burst with a limit of {limit} in {:?}", began.elapsed());
    let_in
}

#[test]
fn rules_run_and_limits_hold_while_redis_is_away() {
    let postgres = Postgres::start();
    let database = database(&postgres);
    let mut redis = Redis::start();
    let url = redis.url();
    let start = || Replica::start_with(&database, &[("RULEBOX_REDIS__URL", &url)]);
    let (first, second) = (start(), start());
    let (here, there) = (&first.server, &second.server);
    let key = here.key.clone().unwrap();
    body(here.post(&key, "/v1/rules", &json!({"source": rule(1)})), 201);
    let limited = limited_tenant(here, &database.settings());
    // Both know of each other by now, and share.
    std::thread::sleep(Duration::from_secs(3));

    let (middle, slowest) = times(here, &key);
    println!("with Redis: {middle:?} (median), {slowest:?} (slowest of {CALLS})");
    assert_eq!((readiness(here).as_str(), readiness(there).as_str()), ("ok", "ok"));
    let whole = burst(here, &limited, LIMIT);

    redis.kill();
    let (middle, slowest) = times(here, &key);
    println!("without Redis: {middle:?} (median), {slowest:?} (slowest of {CALLS}, the first of which found out)");
    println!("degraded after {:?}", until_ready(here, "degraded").max(until_ready(there, "degraded")));
    let shares = [burst(here, &limited, LIMIT / 2), burst(there, &limited, LIMIT / 2)];
    println!("a burst with a limit of {LIMIT}: {whole} with Redis, {shares:?} by share");

    redis.start_again_empty();
    println!("ok again after {:?}", until_ready(here, "ok").max(until_ready(there, "ok")));
    let (middle, slowest) = times(here, &key);
    println!("with Redis again: {middle:?} (median), {slowest:?} (slowest of {CALLS})");
    burst(here, &limited, LIMIT);
}

/// A tenant with a limit, which has the same rule; its key.
pub(super) fn limited_tenant(server: &Server, settings: &[(&'static str, String)]) -> String {
    let key = limited_key(settings);
    let uploaded: Value = body(server.post(&key, "/v1/rules", &json!({"source": rule(1)})), 201);
    assert_eq!(uploaded["version"], 1);
    key
}

/// A key of a new tenant with a limit.
pub(super) fn limited_key(settings: &[(&'static str, String)]) -> String {
    let limit = format!("requests_per_second={LIMIT}");
    let (made, said) = output(&["tenant", "create", "limited", "--limit", &limit], settings);
    assert!(made.success(), "{said}");
    let asked = ["key", "create", "--tenant", "limited", "--role", "author", "--role", "engine"];
    let (made, said) = output(&asked, settings);
    assert!(made.success(), "{said}");
    said.lines().find(|line| line.starts_with("rbx_live_")).unwrap().to_owned()
}
