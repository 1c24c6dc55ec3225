//! Replicas that are stopped behind a real nginx while requests come in: none that was accepted is lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::blocking::Client;
use rulebox_tests::SetAtEnd;
use rulebox_tests::rule;
use rulebox_tests::servers::free_port;
use rulebox_tests::servers::nginx::Nginx;
use rulebox_tests::servers::postgres::Postgres;
use rulebox_tests::servers::redis::Redis;
use serde_json::{Value, json};

use super::{Replica, body, database};

/// Clients at once.
const CLIENTS: usize = 8;
/// Stops, of one replica and the other in turn.
const STOPS: usize = 6;

#[test]
fn no_request_is_lost_when_a_replica_is_stopped() {
    let postgres = Postgres::start();
    let database = database(&postgres);
    let redis = Redis::start();
    let url = redis.url();
    let ports = [free_port(), free_port()];
    let addresses = ports.map(|port| format!("127.0.0.1:{port}"));
    let start = |at: usize| {
        Replica::start_with(&database, &[("RULEBOX_REDIS__URL", &url), ("RULEBOX_API__LISTEN", &addresses[at])])
    };
    let mut replicas = [start(0), start(1)];
    let key = replicas[0].server.key.clone().unwrap();
    body(replicas[0].server.post(&key, "/v1/rules", &json!({"source": rule(1)})), 201);
    // As a gateway would: connections to the replicas are kept, a replica that refuses one is passed over.
    let nginx = Nginx::start(|port| {
        format!(
            "upstream rulebox {{ server {} max_fails=0; server {} max_fails=0; keepalive 16; }}
             server {{
               listen 127.0.0.1:{port};
               location / {{
                 proxy_pass http://rulebox;
                 proxy_http_version 1.1;
                 proxy_set_header Connection \"\";
                 proxy_next_upstream error timeout;
               }}
             }}",
            addresses[0], addresses[1]
        )
    });
    let (over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let columns = json!({"columns": {"equity": vec![1; 5_000], "drawdown": vec![0.1; 5_000]}});
    let bar = json!({"inputs": {"equity": 1, "drawdown": 0.1}});
    let mut took = Vec::new();
    std::thread::scope(|scope| {
        let _end = SetAtEnd(&over);
        for client in 0..CLIENTS {
            let (over, answered, key, base) = (&over, &answered, &key, nginx.url());
            let body = if client % 2 == 0 { &columns } else { &bar };
            scope.spawn(move || {
                let client = Client::builder().no_proxy().timeout(Duration::from_mins(1)).build().unwrap();
                while !over.load(Ordering::SeqCst) {
                    let request = client.post(format!("{base}/v1/rules/probe/evaluate")).bearer_auth(key).json(body);
                    let answer = request.send().unwrap();
                    let (status, text) = (answer.status().as_u16(), answer.text().unwrap());
                    assert_eq!(status, 200, "{text}");
                    let answer: Value = serde_json::from_str(&text).unwrap();
                    assert_eq!(answer["version"], 1);
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for stop in 0..STOPS {
            std::thread::sleep(Duration::from_secs(1));
            let at = stop % 2;
            let began = Instant::now();
            replicas[at].server.signal("TERM");
            let (status, log) = replicas[at].server.wait();
            took.push(began.elapsed());
            assert!(status.success(), "{log}");
            assert!(log.contains("stopped"), "{log}");
            replicas[at] = start(at);
        }
        over.store(true, Ordering::SeqCst);
    });
    let slowest = took.iter().max().unwrap();
    println!(
        "{} requests of {CLIENTS} clients through nginx, {STOPS} stops of a replica, none lost; slowest stop {slowest:?}",
        answered.load(Ordering::SeqCst)
    );
}
