//! A rule that executors die of is stopped at the second.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Near, body, upload};

const RULE: &str = "rule deadly(equity, drawdown) {\n  out low = lowest(equity, 50, min: 1)\n  if drawdown > 99% { breach \"{drawdown:.2%}\" }\n}";

/// Ends the clients.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_rule_that_two_executors_die_of_is_quarantined() {
    let mut near = Near::start(2);
    let rule = upload(&near.api, &near.key, RULE);
    let bar = json!({"inputs": {"equity": 1_000, "drawdown": 0.01}});
    let path = format!("/v1/rules/{rule}/evaluate");
    let get = |path: &str| {
        let request = near.api.client().get(format!("{}{path}", near.api.api)).bearer_auth(&near.key);
        body(request.send(), 200)
    };
    let deaths = || -> u64 {
        let found = get("/v1/violations?kind=executor_died");
        let found = found["violations"].as_array().unwrap();
        // Where it ran is for reviewers.
        assert!(found.iter().all(|v| v["rule"] == rule && v["version"] == 1 && v["detail"] == json!({})));
        found.iter().map(|violation| violation["count"].as_u64().unwrap()).sum()
    };
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_mins(1), "{what}: not within a minute");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let (over, api) = (AtomicBool::new(false), &near.api);
    std::thread::scope(|scope| {
        // Also if something is not as it should be.
        let _ends = Ends(&over);
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let answer = api.post(&near.key, &path, &bar).unwrap();
                    assert!(matches!(answer.status().as_u16(), 200 | 423 | 503), "{:?}", answer.text());
                }
            });
        }
        assert_eq!(deaths(), 0);
        // One that hangs has runs that are under way, soon; and then it dies with them.
        let die = |executor: usize| {
            near.executors[executor].signal("STOP");
            std::thread::sleep(Duration::from_millis(500));
            near.executors[executor].signal("KILL");
        };
        die(0);
        until("the first death is recorded", &|| deaths() == 1);
        die(1);
        until("the second death is recorded", &|| deaths() == 2);
        let stopped = || api.post(&near.key, &path, &bar).unwrap().status() == 423;
        until("the rule is stopped", &stopped);
    });
    let entries: Value = get("/v1/audit");
    assert!(entries.to_string().contains("2 executors died"), "{entries:#}");
    near.executors.iter_mut().for_each(|executor| drop(executor.wait()));
}
