//! Violations of several replicas: one row, exact counts, and a feed that misses nothing across them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rulebox_tests::servers::postgres::Postgres;
use serde_json::{Value, json};

use super::{Replica, body, database};
use crate::hostile;

const THREADS: usize = 8;
/// Modules of each thread, each of which makes a violation of its own.
const EACH: usize = 25;
/// Events that the reader takes before its line is cut.
const PIECE: usize = 7;
const PATIENCE: Duration = Duration::from_mins(2);

/// Reads some events from a replica, from behind the last on: their topics and data.
fn read(replica: &Replica, key: &str, last_id: &mut String, pieces: usize) -> Vec<(String, Value)> {
    let server = &replica.server;
    let request = server.client().get(format!("{}/v1/violations/stream", server.api)).bearer_auth(key);
    let request = if last_id.is_empty() { request } else { request.header("last-event-id", last_id.as_str()) };
    let answer = request.send().unwrap();
    assert_eq!(answer.status(), 200);
    let (mut events, mut id, mut topic) = (Vec::new(), String::new(), String::new());
    for line in BufReader::new(answer).lines() {
        // A client gives up a connection on which nothing comes.
        let Ok(line) = line else { break };
        match line.split_once(": ") {
            Some(("id", of)) => of.clone_into(&mut id),
            Some(("event", of)) => of.clone_into(&mut topic),
            Some(("data", data)) => events.push((topic.clone(), serde_json::from_str(data).unwrap())),
            _ if line.is_empty() => {
                last_id.clone_from(&id);
                if events.len() == pieces {
                    break;
                }
            }
            _ => {}
        }
    }
    events
}

#[test]
fn a_reviewer_who_goes_from_replica_to_replica_misses_no_violation() {
    let server = Postgres::start();
    let database = database(&server);
    let modules = [("RULEBOX_TENANT__MODULES", "true")];
    let first = Replica::start_with(&database, &modules);
    let key = first.server.key.clone().unwrap();
    let replicas = [first, Replica::start_with(&database, &modules)];
    let mut last_id = String::new();
    // Where it is before anything happens.
    read(&replicas[0], &key, &mut last_id, 0);
    assert!(!last_id.is_empty());
    let (over, written) = (AtomicBool::new(false), Mutex::new(BTreeSet::new()));
    let (mut told, mut cuts, began) = (Vec::new(), 0, Instant::now());
    std::thread::scope(|scope| {
        let writing: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (server, key, written) = (&replicas[thread % 2].server, &key, &written);
                scope.spawn(move || {
                    for n in 0..EACH {
                        let name = format!("trap_{thread}_{n}");
                        hostile::upload(server, key, &name, hostile::TRAP);
                        let evaluate = format!("/v1/rules/{name}/evaluate");
                        let stopped = body(server.post(key, &evaluate, &json!({"inputs": {}})), 422);
                        let id = stopped["violation_id"].as_str().unwrap().to_owned();
                        assert!(written.lock().unwrap().insert(id), "each is its own");
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            for thread in writing {
                thread.join().unwrap();
            }
            over.store(true, Ordering::SeqCst);
        });
        while told.len() < THREADS * EACH && began.elapsed() < PATIENCE {
            let rest = THREADS * EACH - told.len();
            told.extend(read(&replicas[cuts % 2], &key, &mut last_id, rest.min(PIECE)));
            cuts += 1;
        }
    });
    assert!(over.load(Ordering::SeqCst));
    assert!(told.iter().all(|(topic, _)| topic == "violation.opened"));
    let ids: BTreeSet<_> = told.iter().map(|(_, data)| data["data"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((told.len(), &ids), (THREADS * EACH, &*written.lock().unwrap()));
    println!(
        "{} violations of two replicas in {:?}: a reviewer who was cut off {cuts} times, and came back to the other \
         replica, was told each once",
        told.len(),
        began.elapsed()
    );
}

#[test]
fn what_two_replicas_count_is_one_violation_with_an_exact_count() {
    const LOOP: usize = 500;
    let server = Postgres::start();
    let database = database(&server);
    let (replicas, key) = super::replicas(&database);
    let forged = format!("/v1/rules?cursor={}", "A".repeat(80));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for replica in &replicas {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..LOOP / 2 {
                        body(replica.server.get(&key, &forged), 400);
                    }
                });
            }
        }
    });
    let took = began.elapsed();
    let rows = || {
        let found = body(replicas[0].server.get(&key, "/v1/violations?kind=state_forged"), 200);
        let found = found["violations"].as_array().unwrap();
        (found.len(), found.iter().map(|row| row["count"].as_u64().unwrap()).sum::<u64>())
    };
    let began = Instant::now();
    while rows().1 < 2 * LOOP as u64 {
        assert!(began.elapsed() < PATIENCE, "{:?}", rows());
        std::thread::sleep(Duration::from_millis(20));
    }
    let (found, count) = rows();
    assert_eq!(count, 2 * LOOP as u64);
    assert!(found as u64 <= took.as_secs() / 60 + 1, "{found} rows in {took:?}");
    let counted = |replica: &Replica| {
        let metrics = replica.server.client().get(format!("{}/metrics", replica.server.health)).send().unwrap();
        let name = "rulebox_sandbox_violations_total{kind=\"state_forged\",severity=\"critical\"} ";
        let text = metrics.text().unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse::<usize>().unwrap()
    };
    assert_eq!(replicas.iter().map(counted).collect::<Vec<_>>(), [LOOP, LOOP]);
    println!("{count} violations of two replicas in {took:?}: {found} row, exact {:?} after the last", began.elapsed());
}
