//! Alertmanager is away, and the service is killed meanwhile: nothing is lost, and what waits does not grow by trying.

use std::collections::BTreeSet;

use rulebox_tests::receiver::{Answering, Receiver};
use rulebox_tests::servers::prometheus::Alertmanager;
use rulebox_tests::{Server, resident_bytes};
use serde_json::{Value, json};

use super::{breach, metric, platform_key, until};
use crate::replicas::body;

const MODULES: usize = 8;
/// Of each, of which the first opens a violation. One more would stop the module.
const RUNS: usize = 4;

/// Pushes that failed.
fn failures(server: &Server) -> usize {
    metric(server, "rulebox_alert_pushes_total{result=\"failed\"}")
}

#[test]
fn what_happens_while_alertmanager_is_away_is_told_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let security = platform_key(directory.path(), "security");
    let on_call = Receiver::start(Answering::Status(200));
    let mut alertmanager = Alertmanager::start(&format!("{}/on-call", on_call.url));
    alertmanager.kill();
    // One that never comes, beside the one that is away for a while.
    let urls = format!("http://127.0.0.1:9,http://{}", alertmanager.address());
    let settings = [
        ("RULEBOX_TENANT__MODULES", "true"),
        ("RULEBOX_ALERTMANAGER__URLS", urls.as_str()),
        ("RULEBOX_ALERTMANAGER__RESEND_SECONDS", "1"),
    ];
    let mut server = Server::try_start(directory.path(), &settings).unwrap();
    let key = server.key.clone().unwrap();
    let mut opened = BTreeSet::new();
    for n in 0..MODULES {
        let name = format!("breach_{n}");
        breach::upload(&server, &key, &name);
        for _ in 0..RUNS {
            let problem = breach::run(&server, &key, &name);
            opened.insert(problem["violation_id"].as_str().unwrap().to_owned());
        }
    }
    let waiting = |server: &Server| metric(server, "rulebox_outbox_backlog");
    until("all of them are counted", || waiting(&server) >= opened.len());
    // They are tried again and again.
    let before = resident_bytes(server.id());
    // Each of two addresses, at least: at once, after some 5 s, and after some 10 s more.
    let took = until("tries again", || failures(&server) >= 5 * opened.len());
    println!(
        "{} runs, {} violations, {} pushes that failed in {took:.1?}: {} rows wait; memory {} MB, then {} MB",
        MODULES * RUNS,
        opened.len(),
        failures(&server),
        waiting(&server),
        before >> 20,
        resident_bytes(server.id()) >> 20
    );
    assert_eq!(waiting(&server), opened.len(), "a try leaves nothing behind");

    // One is resolved, and then the service is killed.
    let resolved = opened.pop_first().unwrap();
    let note = json!({"note": "nobody has heard of it yet"});
    body(server.post(&security, &format!("/v1/violations/{resolved}/resolve"), &note), 200);
    server.signal("KILL");
    server.wait();
    let server = Server::try_start(directory.path(), &settings).unwrap();
    assert_eq!(on_call.count(), 0);
    alertmanager.start_again_empty();
    let firing = |status: &str| {
        let alerts = on_call.received().into_iter().flat_map(|sent| {
            let Value::Array(alerts) = sent.json()["alerts"].take() else { panic!("{sent:?}") };
            alerts
        });
        let of = |alert: Value| (alert["status"] == status).then(|| alert["labels"]["violation_id"].clone());
        alerts.filter_map(of).map(|id| id.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let took = until("all are told", || firing("firing").len() >= opened.len());
    println!("Alertmanager was told of {} violations {took:.1?} after it was back", opened.len());
    assert_eq!(firing("firing"), opened, "and of none that is resolved");

    // It forgets everything, and is told again of what lasts.
    alertmanager.start_again_empty();
    let took = until("all last", || alertmanager.alerts().len() == opened.len());
    println!("after Alertmanager forgot all of them: {took:.1?}");
    until("the end of what was resolved is told once", || waiting(&server) == opened.len());
}
