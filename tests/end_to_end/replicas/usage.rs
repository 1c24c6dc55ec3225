//! What a tenant used is the sum of what its replicas have counted, whatever becomes of them.

use std::time::{Duration, Instant};

use rulebox_tests::servers::postgres::{Postgres, Sync};
use rulebox_tests::{Server, output, rule};
use serde_json::{Value, json};

use super::{Replica, body, database};

/// Bars of a call.
const BARS: u64 = 10;

/// What calls have come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Used {
    evaluations: u64,
    bars: u64,
    fuel: u64,
}

impl Used {
    fn of(counts: &Value) -> Self {
        let [evaluations, bars, fuel] = ["evaluations", "bars", "fuel"].map(|name| counts[name].as_u64().unwrap());
        Self { evaluations, bars, fuel }
    }

    /// Calls a replica; an answer that is a success is counted.
    fn call(&mut self, server: &Server, key: &str) -> u16 {
        let columns = json!({"columns": {"equity": vec![1; 10], "drawdown": vec![0.1; 10]}});
        let answer = server.post(key, "/v1/rules/probe/evaluate", &columns).unwrap();
        let status = answer.status().as_u16();
        let answer: Value = answer.json().unwrap();
        if status == 200 {
            self.evaluations += 1;
            self.bars += BARS;
            self.fuel += answer["fuel"].as_u64().unwrap();
        } else {
            assert_eq!(status, 503, "{answer}");
        }
        status
    }

    fn calls(&mut self, server: &Server, key: &str, calls: usize) {
        for call in 0..calls {
            assert_eq!(self.call(server, key), 200, "call {call}");
        }
    }
}

/// Replicas that write what they have counted so often.
fn replicas(postgres: &Postgres, seconds: u64) -> (super::Database, [Replica; 2], String) {
    let database = database(postgres);
    let seconds = seconds.to_string();
    let start = || Replica::start_with(&database, &[("RULEBOX_USAGE__FLUSH_SECONDS", &seconds)]);
    let first = start();
    let key = first.server.key.clone().unwrap();
    let replicas = [first, start()];
    body(replicas[0].server.post(&key, "/v1/rules", &json!({"source": rule(1)})), 201);
    (database, replicas, key)
}

fn shown(server: &Server, key: &str) -> Used {
    Used::of(&body(server.get(key, "/v1/usage"), 200)["total"])
}

/// Asks until it is so; says how long it took.
fn until(server: &Server, key: &str, expected: Used) -> Duration {
    let began = Instant::now();
    loop {
        let shown = shown(server, key);
        if shown == expected {
            return began.elapsed();
        }
        assert!(
            shown.evaluations <= expected.evaluations && shown.fuel <= expected.fuel,
            "more than was used: {shown:?}, not {expected:?}"
        );
        assert!(began.elapsed() < Duration::from_mins(1), "{shown:?}, not {expected:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn replicas_add_up_and_one_that_is_killed_keeps_what_it_had_written() {
    let postgres = Postgres::start();
    let (database, [a, mut b], key) = replicas(&postgres, 1);
    let mut used = Used::default();
    used.calls(&a.server, &key, 30);
    assert_eq!(shown(&a.server, &key), used, "the one that answers knows what it has counted itself");
    used.calls(&b.server, &key, 50);
    let took = until(&a.server, &key, used);
    println!("the other replica's use was seen after {took:?}");
    // The counters of a process that is gone stay what they were.
    b.server.signal("KILL");
    b.server.wait();
    used.calls(&a.server, &key, 5);
    assert_eq!(shown(&a.server, &key), used);

    // The command line sees what has been written.
    let (began, words) = (Instant::now(), [used.evaluations, used.bars, used.fuel].map(|count| count.to_string()));
    loop {
        let (status, table) = output(&["tenant", "usage", "default", "--by", "day"], &database.settings());
        assert!(status.success(), "{table}");
        let total: Vec<_> = table.lines().last().unwrap().split_whitespace().collect();
        assert_eq!((total[0], total.len()), ("total", 6), "{table}");
        if total[3..] == words {
            break;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{total:?}, not {words:?}");
    }
}

#[test]
fn a_replica_that_is_stopped_writes_what_it_has_counted() {
    let postgres = Postgres::start();
    // Within this test, none writes by itself.
    let (_, [a, mut b], key) = replicas(&postgres, 3_600);
    let mut used = Used::default();
    used.calls(&a.server, &key, 20);
    let own = used;
    used.calls(&b.server, &key, 40);
    assert_eq!(shown(&a.server, &key), own, "the other has not written anything");
    // What is being answered while it drains is counted as well.
    let mut last = Used::default();
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| {
            let columns = json!({"columns": {"equity": vec![1; 200_000], "drawdown": vec![0.1; 200_000]}});
            let answer = body(b.server.post(&key, "/v1/rules/probe/evaluate", &columns), 200);
            Used { evaluations: 1, bars: 200_000, fuel: answer["fuel"].as_u64().unwrap() }
        });
        let began = Instant::now();
        while !in_flight(&b.server) && !calling.is_finished() {
            assert!(began.elapsed() < Duration::from_mins(1));
        }
        b.server.signal("TERM");
        last = calling.join().unwrap();
    });
    let (status, log) = b.server.wait();
    assert!(status.success(), "{log}");
    used.evaluations += last.evaluations;
    used.bars += last.bars;
    used.fuel += last.fuel;
    assert_eq!(shown(&a.server, &key), used);
}

/// Whether it answers a request now.
fn in_flight(server: &Server) -> bool {
    let text = server.client().get(format!("{}/metrics", server.health)).send().unwrap().text().unwrap();
    text.lines().any(|line| line == "http_server_active_requests 1")
}

#[test]
fn what_is_used_while_the_database_is_away_is_written_when_it_is_back() {
    let mut postgres = Postgres::start_with(Sync::Disk);
    let (_, [a, b], key) = replicas(&postgres, 1);
    let mut used = Used::default();
    used.calls(&b.server, &key, 10);
    postgres.crash();
    // A replica goes on for as long as it trusts what it remembers.
    let (began, before) = (Instant::now(), used.evaluations);
    while began.elapsed() < Duration::from_secs(5) {
        if used.call(&b.server, &key) != 200 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let during = used.evaluations - before;
    postgres.start_again();
    let began = Instant::now();
    while used.call(&b.server, &key) != 200 {
        assert!(began.elapsed() < Duration::from_mins(1), "it has not recovered by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    let began = Instant::now();
    while a.server.get(&key, "/v1/usage").unwrap().status() != 200 {
        assert!(began.elapsed() < Duration::from_mins(1), "it has not recovered by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = until(&a.server, &key, used);
    println!("{during} calls were answered while the database was away; their use was seen {took:?} after it was back");
    assert!(during > 0, "nothing was tried");
}
