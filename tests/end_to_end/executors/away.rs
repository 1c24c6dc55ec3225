//! No executor is there, and then one is.

use std::time::{Duration, Instant};

use rulebox_tests::{Executor, Server};
use serde_json::json;

use super::{body, example, upload};

#[test]
fn without_executors_runs_wait_and_all_else_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let place = format!("unix:{}", directory.path().join("executor.sock").display());
    let settings = [("RULEBOX_ROLE", "api"), ("RULEBOX_EXECUTORS__ADDRESSES", place.as_str())];
    let api = Server::try_start(&directory.path().join("data"), &settings).unwrap();
    let key = api.key.clone().unwrap();
    let ready =
        |api: &Server| api.client().get(format!("{}/readyz?verbose", api.health)).send().unwrap().text().unwrap();
    let said = ready(&api);
    assert!(
        said.contains("[-] executors: 0 of 1 connected; not ready until the first is") && said.ends_with("not ready\n"),
        "{said}"
    );
    let source = json!({"source": example("equity_drawdown")});
    body(api.post(&key, "/v1/rules/check", &source), 200);
    let refused = api.post(&key, "/v1/rules", &source).unwrap();
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(body(Ok(refused), 503)["code"], "executors_unavailable");

    let mut executor = Executor::start(&place, &[]);
    let began = Instant::now();
    let rule = loop {
        let answer = api.post(&key, "/v1/rules", &source).unwrap();
        if answer.status() == 201 {
            break "equity_drawdown";
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{:?}", answer.text());
    };
    println!("the first run {:?} after an executor was there", began.elapsed());
    assert!(ready(&api).ends_with("serving: ok\nok\n"), "{}", ready(&api));
    let bar = json!({"inputs": {"balance": 1_000, "trades": 1}});
    let evaluate = format!("/v1/rules/{rule}/evaluate");
    body(api.post(&key, &evaluate, &bar), 200);

    // A new one does not know the module: it is given it again.
    executor.signal("KILL");
    executor.wait();
    assert_eq!(body(api.post(&key, &evaluate, &bar), 503)["code"], "executors_unavailable");
    let said = ready(&api);
    let lost = said.contains("[-] executors: 0 of 1 connected; runs answer 503") && said.ends_with("degraded\n");
    assert!(lost, "one that has met some is as ready as all others: {said}");
    let _executor = Executor::start(&place, &[]);
    let began = Instant::now();
    while api.post(&key, &evaluate, &bar).unwrap().status() != 200 {
        assert!(began.elapsed() < Duration::from_mins(1));
    }
    println!("the next run {:?} after the next one was there", began.elapsed());
    let metrics = api.client().get(format!("{}/metrics", api.health)).send().unwrap().text().unwrap();
    assert!(metrics.contains("dependency_up{dependency=\"executors\"} 1"), "{metrics}");
}

/// An executor that says nothing for so long while it has a run is given up; one that hangs before that is found out
/// sooner.
const SILENCE: Duration = Duration::from_secs(15);

#[test]
fn an_executor_that_hangs_is_passed_over() {
    let near = super::Near::start(2);
    let rule = upload(&near.api, &near.key, &example("equity_drawdown"));
    let bar = json!({"inputs": {"balance": 1_000, "trades": 1}});
    let evaluate = format!("/v1/rules/{rule}/evaluate");
    for _ in 0..10 {
        body(near.api.post(&near.key, &evaluate, &bar), 200);
    }
    near.executors[0].signal("STOP");
    let (mut slowest, began) = (Duration::ZERO, Instant::now());
    while began.elapsed() < Duration::from_secs(8) {
        let asked = Instant::now();
        body(near.api.post(&near.key, &evaluate, &bar), 200);
        slowest = slowest.max(asked.elapsed());
    }
    println!("with one of two executors hanging, every run was done; the slowest took {slowest:?}");
    assert!(slowest < SILENCE, "{slowest:?}");
    near.executors[0].signal("CONT");
    let began = Instant::now();
    loop {
        let said = near.api.client().get(format!("{}/readyz?verbose", near.api.health)).send().unwrap().text().unwrap();
        if said.contains("executors: 2 of 2 connected") {
            break;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
