//! `canary watch` on a real Prometheus, which scrapes two services as the two tracks.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rulebox_tests::servers::redis::Redis;
use rulebox_tests::servers::{Guarded, free_port, wait_until};
use rulebox_tests::{Server, SetAtEnd};
use serde_json::json;
use tempfile::TempDir;

use super::Place;

struct Prometheus {
    process: Guarded,
    url: String,
    _directory: TempDir,
}

/// One that scrapes these services, each as a track, every second, with an alert that fires by this expression.
fn prometheus(tracks: &[(&str, &Server)], alert: &str) -> Prometheus {
    let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
    let targets = tracks.iter().map(
        |(track, server)| json!({"targets": [server.health.trim_start_matches("http://")], "labels": {"track": track}}),
    );
    let rule = json!({"alert": "RuleboxTampering", "expr": alert});
    let rules = json!({"groups": [{"name": "rulebox", "rules": [rule]}]});
    let settings = json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "rulebox", "static_configs": targets.collect::<Vec<_>>()}],
    });
    for (name, text) in [("rules.yaml", rules), ("prometheus.yaml", settings)] {
        fs::write(directory.path().join(name), text.to_string()).unwrap();
    }
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", directory.path().join("prometheus.yaml").display()));
    command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let mut process = Guarded::spawn(&command);
    let url = format!("http://127.0.0.1:{port}");
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let ready = format!("{url}/-/ready");
    wait_until(&mut process, "prometheus", || client.get(&ready).send().is_ok_and(|it| it.status().is_success()));
    Prometheus { process, url, _directory: directory }
}

/// How fast a shared machine answers is not asked here: every bar may be late.
const WATCH: &str = "--interval 1 --window 8 --grace 20 --least 5 --slow 1";

fn started(place: &Place, url: &str, seconds: u32, more: &str) -> Child {
    let words = format!("canary watch --prometheus {url} --seconds {seconds} {WATCH}{more}");
    place.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> (i32, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A release with a canary.
fn release() -> Place {
    let place = Place::new();
    place.revisions(&[("deployed", "{\"canary\": {\"enabled\": true, \"weight\": 50}}")]);
    place
}

/// Asks both services, some times a second, until it is over: for a session, which is 503 without Redis.
fn ask(services: &[&Server], over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        for server in services {
            let key = server.key.as_ref().unwrap();
            let _ = server.post(key, "/v1/sessions", &json!({"rules": ["watched"]})).unwrap();
            let _ = server.post(key, "/v1/rules/watched/evaluate", &json!({"inputs": {"equity": 1}})).unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_canary_that_is_well_passes_and_one_that_fails_goes_back() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut redis = Redis::start();
    let stable = Server::start(directories[0].path());
    let url = redis.url();
    let canary = Server::try_start(directories[1].path(), &[("RULEBOX_REDIS__URL", url.as_str())]).unwrap();
    for server in [&stable, &canary] {
        let rule = json!({"name": "watched", "source": "rule watched(equity) = equity < 0"});
        assert!(server.post(server.key.as_ref().unwrap(), "/v1/rules", &rule).unwrap().status().is_success());
    }
    let prometheus = prometheus(&[("stable", &stable), ("canary", &canary)], "vector(0) > 1");
    let place = release();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = SetAtEnd(&over);
        scope.spawn(|| ask(&[&stable, &canary], &over));
        let (code, said) = ended(started(&place, &prometheus.url, 12, ""));
        assert!(code == 0 && said.contains("track canary was well"), "{code}: {said}");
        // Its Redis goes away while it is watched: half of its answers are 503, and it must not wait for the end.
        let began = Instant::now();
        let watch = started(&place, &prometheus.url, 300, "");
        std::thread::sleep(Duration::from_secs(2));
        redis.kill();
        let (code, said) = ended(watch);
        assert!(code == 1 && said.contains("go back: the ratio of answers 5xx of track canary"), "{code}: {said}");
        assert!(began.elapsed() < Duration::from_mins(4), "it waited for the end");
        // What was promoted is watched as what serves, and that is well.
        place.revisions(&[("deployed", "{\"canary\": {\"enabled\": false}}")]);
        let (code, said) = ended(started(&place, &prometheus.url, 10, ""));
        assert!(
            code == 0 && said.contains("the release has no canary") && said.contains("track stable was well"),
            "{said}"
        );
    });
}

#[test]
fn not_to_know_is_not_to_be_well() {
    let directory = tempfile::tempdir().unwrap();
    let stable = Server::start(directory.path());
    let place = release();
    // No canary in it, or one that nobody has asked anything.
    let alone = prometheus(&[("stable", &stable)], "vector(0) > 1");
    let (code, said) = ended(started(&place, &alone.url, 2, ""));
    assert!(code == 1 && said.contains("there is no figure of a request of track canary"), "{said}");
    let silent = prometheus(&[("canary", &stable)], "vector(0) > 1");
    let (code, said) = ended(started(&place, &silent.url, 2, ""));
    assert!(code == 1 && said.contains("nothing is known"), "{said}");
    // An alert that fires is enough.
    let alarmed = prometheus(&[("canary", &stable)], "vector(1)");
    let (code, said) = ended(started(&place, &alarmed.url, 60, ""));
    assert!(code == 1 && said.contains("fire: RuleboxTampering"), "{said}");
    // It goes away in the middle, or was never there.
    let mut gone = prometheus(&[("canary", &stable)], "vector(0) > 1");
    let watch = started(&place, &gone.url, 300, "");
    std::thread::sleep(Duration::from_secs(2));
    gone.process.kill();
    let (code, said) = ended(watch);
    assert!(code == 1 && said.contains("does not answer"), "{said}");
    let (code, said) = ended(started(&place, &gone.url, 5, ""));
    assert!(code == 1 && said.contains("does not answer"), "{said}");
}
