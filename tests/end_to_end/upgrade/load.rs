//! Forward and back under load.

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rulebox_tests::servers::postgres::Postgres;
use rulebox_tests::{SetAtEnd, rule};
use serde_json::json;

use super::*;
use crate::replicas::{Replica, body, database};

const CLIENTS: usize = 4;
/// Restarts of each replica.
const ROUNDS: usize = 3;

/// Two replicas behind one another's back, as behind a Service: who is asked is one that is there.
struct Behind<'a> {
    replicas: [RwLock<Replica>; 2],
    database: &'a Database,
    asked: AtomicUsize,
}

impl Behind<'_> {
    /// Asks one of them that is not being replaced.
    fn ask<T>(&self, question: impl FnOnce(&Replica) -> T) -> T {
        let mut question = Some(question);
        loop {
            let next = self.asked.fetch_add(1, Ordering::SeqCst) % 2;
            if let Ok(replica) = self.replicas[next].try_read() {
                return question.take().unwrap()(&replica);
            }
        }
    }

    /// Takes one away when nothing is under way to it, ends it, and puts a new one in its place.
    fn replace(&self, which: usize) {
        let mut replica = self.replicas[which].write().unwrap();
        replica.server.signal("TERM");
        assert!(replica.server.wait().0.success());
        *replica = Replica::start(self.database);
    }
}

#[test]
fn nothing_fails_while_a_later_version_comes_and_goes() {
    let server = Postgres::start();
    let database = database(&server);
    let first = Replica::start(&database);
    let key = first.server.key.clone().unwrap();
    let replicas = [RwLock::new(first), RwLock::new(Replica::start(&database))];
    let behind = Behind { replicas, database: &database, asked: AtomicUsize::new(0) };
    let (over, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _end = SetAtEnd(&over);
        for client in 0..CLIENTS {
            let (behind, key, over, answers) = (&behind, &key, &over, &answers);
            scope.spawn(move || {
                let name = format!("rule_{client}");
                let new = json!({"name": name, "source": rule(1)});
                behind.ask(|replica| body(replica.server.post(key, "/v1/rules", &new), 201));
                for n in 2.. {
                    let version = json!({"source": rule(n)});
                    let path = format!("/v1/rules/{name}/versions");
                    let made = behind.ask(|replica| body(replica.server.post(key, &path, &version), 201));
                    assert_eq!(made["version"], n, "each is there, and none twice");
                    let (path, bar) =
                        (format!("/v1/rules/{name}/evaluate"), json!({"inputs": {"equity": n, "drawdown": 0}}));
                    behind.ask(|replica| body(replica.server.post(key, &path, &bar), 200));
                    behind.ask(|replica| {
                        let ready = replica.server.client().get(format!("{}/readyz", replica.server.health)).send();
                        assert_eq!(ready.unwrap().status(), 200);
                    });
                    answers.fetch_add(3, Ordering::SeqCst);
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
        }
        // The later version takes a step, one replica is replaced by a pod of it (here: it writes what only it would),
        // and then it goes back, while the other goes on.
        let mut steps = EXPAND.iter();
        for round in 0..ROUNDS {
            if let Some(step) = steps.next() {
                take(&database, latest() + 1 + round, step);
            }
            let later = format!("update rules set later_color = 'round {round}' where name <= 'rule_1'");
            server.psql(&database.name, &later);
            for which in 0..2 {
                behind.replace(which);
                // With all of both under load again.
                let until = answers.load(Ordering::SeqCst) + 30;
                while answers.load(Ordering::SeqCst) < until && !over.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            let (code, said) = migrate(&database.settings(), &[]);
            assert!(code == Some(0) && said.contains("nothing to do"), "{said}");
        }
        over.store(true, Ordering::SeqCst);
    });
    let kept = "select count(*) filter (where later_color = 'round 2'), count(*) from rules";
    assert_eq!(server.psql(&database.name, kept), format!("2|{CLIENTS}"));
    let whole = "select count(*) from versions v where later_weight = 7 and number =
                 (select count(*) from versions o where (o.tenant_id, o.rule_id) = (v.tenant_id, v.rule_id))";
    assert_eq!(server.psql(&database.name, whole), CLIENTS.to_string(), "no number is missing");
    println!("{} answers over {} restarts and {} steps, none failed", answers.into_inner(), 2 * ROUNDS, EXPAND.len());
}
