//! A module that breaks a limit again and again: what is left of that, and what it does to another tenant.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rulebox_tests::{Server, rule};
use serde_json::{Value, json};

use super::hostile;
use super::neighbours::{CONNECTIONS, Home, NEVER_STOPPED, evaluate, shown};
use super::replicas::body;

/// Violations of the loop.
const LOOP: usize = 10_000;
/// Until repeats are added to their record.
const PATIENCE: Duration = Duration::from_secs(30);

/// Evaluates the module so many times over many connections; how many answers there were of each code.
fn drive(server: &Server, key: &str, times: usize) -> BTreeMap<String, usize> {
    let left = AtomicUsize::new(times);
    let one_of_many = || {
        let mut codes = BTreeMap::<String, usize>::new();
        while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            // Turned away for want of room: that was no violation, and it asks again.
            let code = loop {
                let answer = server.post(key, "/v1/rules/trap/evaluate", &json!({"inputs": {}})).unwrap();
                let status = answer.status().as_u16();
                let said: Value = answer.json().unwrap();
                if status != 503 {
                    break said["code"].as_str().unwrap_or("none").to_owned();
                }
                std::thread::sleep(Duration::from_millis(5));
            };
            *codes.entry(code).or_default() += 1;
        }
        codes
    };
    std::thread::scope(|scope| {
        let connections: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(one_of_many)).collect();
        let mut all = BTreeMap::new();
        for (code, n) in connections.into_iter().flat_map(|connection| connection.join().unwrap()) {
            *all.entry(code).or_default() += n;
        }
        all
    })
}

/// The sum of the counter of traps, and of that of the tenant's violations.
fn counted(server: &Server, prefix: &str) -> u64 {
    let metrics = server.client().get(format!("{}/metrics", server.health)).send().unwrap().text().unwrap();
    let values = metrics.lines().filter(|line| line.starts_with(prefix)).filter_map(|line| line.rsplit(' ').next());
    values.map(|value| value.parse::<u64>().unwrap()).sum()
}

fn violations(server: &Server, key: &str) -> Vec<Value> {
    body(server.get(key, "/v1/violations?kind=trap"), 200)["violations"].as_array().unwrap().clone()
}

fn count(rows: &[Value]) -> u64 {
    rows.iter().map(|row| row["count"].as_u64().unwrap()).sum()
}

/// Drives the loop beside another tenant's evaluations, which are all answered. Gives what became of the loop.
fn beside_another(name: &str, settings: &[(&str, &str)]) -> (Home, String, BTreeMap<String, usize>, Duration) {
    let (home, [greedy, other]) = Home::start(false, settings);
    let server = &home.server;
    hostile::upload(server, &greedy, "trap", hostile::TRAP);
    body(server.post(&other, "/v1/rules", &json!({"source": rule(1)})), 201);
    evaluate(server, &other);
    let quiet = evaluate(server, &other);
    let (codes, took, loud) = std::thread::scope(|scope| {
        let looping = scope.spawn(|| {
            let began = Instant::now();
            (drive(server, &greedy, LOOP), began.elapsed())
        });
        let loud = evaluate(server, &other);
        let (codes, took) = looping.join().unwrap();
        (codes, took, loud)
    });
    println!(
        "{name}: {codes:?} in {took:?} over {CONNECTIONS} connections; single evaluations of another tenant, quiet: {}; \
         beside it: {}",
        shown(&quiet, &quiet),
        shown(&loud, &quiet)
    );
    (home, greedy, codes, took)
}

#[test]
fn ten_thousand_violations_are_one_row_with_exact_counts() {
    let (home, greedy, codes, took) = beside_another("nothing is stopped", &[NEVER_STOPPED]);
    let server = &home.server;
    assert_eq!(codes, BTreeMap::from([("sandbox_violation".to_owned(), LOOP)]));
    // Counters know all of it at once; no other tenant has any.
    assert_eq!(counted(server, "rulebox_sandbox_violations_total{"), LOOP as u64);
    assert_eq!(counted(server, "rulebox_tenant_violations_total{"), LOOP as u64);
    let began = Instant::now();
    let rows = loop {
        let rows = violations(server, &greedy);
        if count(&rows) == LOOP as u64 {
            break rows;
        }
        assert!(count(&rows) < LOOP as u64 && began.elapsed() < PATIENCE, "{rows:#?}");
        std::thread::sleep(Duration::from_millis(20));
    };
    // A row for each minute that it went on.
    assert!(rows.len() as u64 <= took.as_secs() / 60 + 1, "{} rows in {took:?}", rows.len());
    println!("{LOOP} violations: {} row, its count exact {:?} after the last", rows.len(), began.elapsed());
}

#[test]
fn a_loop_stops_itself_at_the_fifth() {
    let (home, greedy, codes, _) = beside_another("as it is set", &[]);
    let stopped = codes.get("sandbox_violation").copied().unwrap_or_default();
    assert_eq!(codes.get("rule_quarantined").copied().unwrap_or_default() + stopped, LOOP, "{codes:?}");
    // Those that ran while the fifth was being recorded ran to their end; it is stopped everywhere within a second.
    assert!((5..LOOP / 2).contains(&stopped), "{codes:?}");
    let began = Instant::now();
    while count(&violations(&home.server, &greedy)) < stopped as u64 {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(count(&violations(&home.server, &greedy)), stopped as u64);
}
