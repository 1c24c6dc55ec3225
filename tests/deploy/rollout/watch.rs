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

/// One that scrapes these services, each as a track, every second, with an alert of errors that fires by this expression.
fn prometheus(tracks: &[(&str, &Server)], alert: &str) -> Prometheus {
    let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
    let targets = tracks.iter().map(
        |(track, server)| json!({"targets": [server.health.trim_start_matches("http://")], "labels": {"track": track}}),
    );
    // The second one fires from the start, and is nobody's reason: it is over both tracks.
    let rules = [("RuleboxServerErrors", alert), ("RuleboxDependencyUnreachable", "vector(1)")];
    let rules = rules.map(|(alert, expression)| json!({"alert": alert, "expr": expression}));
    let rules = json!({"groups": [{"name": "rulebox", "rules": rules}]});
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
const WATCH: &str = "--interval 1 --window 6 --grace 20 --least 3 --slow 1";

impl Prometheus {
    /// Waits until an expression has a value.
    fn has(&self, expression: &str) {
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let began = Instant::now();
        loop {
            let url = format!("{}/api/v1/query", self.url);
            let url = reqwest::Url::parse_with_params(&url, [("query", expression)]).unwrap();
            let answer: serde_json::Value = client.get(url).send().unwrap().json().unwrap();
            if answer["data"]["result"].as_array().is_some_and(|found| !found.is_empty()) {
                return;
            }
            assert!(began.elapsed() < Duration::from_mins(1), "{expression} has no value: {answer}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

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
    // One that fired before does not block what may mend it.
    let prometheus = prometheus(&[("stable", &stable), ("canary", &canary)], "vector(1)");
    prometheus.has("ALERTS{alertstate=\"firing\",alertname=\"RuleboxServerErrors\"}");
    let place = release();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = SetAtEnd(&over);
        scope.spawn(|| ask(&[&stable, &canary], &over));
        let (code, said) = ended(started(&place, &prometheus.url, 6, " --match job=\"rulebox\""));
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
        let (code, said) = ended(started(&place, &prometheus.url, 5, ""));
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
    let (code, said) = ended(started(&place, &alone.url, 1, ""));
    assert!(code == 1 && said.contains("there is no figure of a request of track canary"), "{said}");
    let silent = prometheus(&[("canary", &stable)], "vector(0) > 1");
    let (code, said) = ended(started(&place, &silent.url, 1, ""));
    assert!(code == 1 && said.contains("nothing is known"), "{said}");
    // An alert that begins to fire is enough, also with a matcher whose label it has not; unless it is said not to count.
    // It fires behind the time that it is watched since, however long Prometheus takes to start.
    let since = now();
    let alarmed = prometheus(&[("canary", &stable)], &format!("vector(time()) > {}", since + 3));
    alarmed.has("up == 1");
    let matched = format!(" --match job=\"rulebox\" --since {since}");
    let (code, said) = ended(started(&place, &alarmed.url, 60, &matched));
    assert!(code == 1 && said.contains("go back: RuleboxServerErrors fires"), "{said}");
    let (code, said) = ended(started(&place, &alarmed.url, 1, &format!("{matched} --without RuleboxServerErrors")));
    assert!(code == 1 && said.contains("there is no figure"), "{said}");
    // Since a time at which it fired already.
    let (code, said) = ended(started(&place, &alarmed.url, 1, ""));
    assert!(code == 1 && said.contains("there is no figure"), "{said}");
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

/// Violations that must never happen stop a canary if they are its own, and not if a tenant makes them on both tracks.
#[test]
fn violations_of_the_canary_alone_stop_it() {
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [stable, canary] = directories.each_ref().map(|directory| Server::start(directory.path()));
    for server in [&stable, &canary] {
        let rule = json!({"name": "watched", "source": "rule watched(equity) = equity < 0"});
        assert!(server.post(server.key.as_ref().unwrap(), "/v1/rules", &rule).unwrap().status().is_success());
    }
    let forge = |server: &Server| {
        let answer = server.get(server.key.as_ref().unwrap(), &format!("/v1/rules?cursor={}", "A".repeat(80)));
        assert_eq!(answer.unwrap().status().as_u16(), 400);
    };
    // So that also what fires from the start of Prometheus has begun since.
    let since = format!(" --errors 1 --since {}", now());
    let prometheus = prometheus(&[("stable", &stable), ("canary", &canary)], "vector(0) > 1");
    let forged = |track: &str, times: u32| {
        prometheus
            .has(&format!("rulebox_sandbox_violations_total{{kind=\"state_forged\",track=\"{track}\"}} >= {times}"));
    };
    let place = release();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = SetAtEnd(&over);
        scope.spawn(|| ask(&[&stable, &canary], &over));
        forge(&stable);
        forge(&canary);
        forged("stable", 1);
        forged("canary", 1);
        let (code, said) = ended(started(&place, &prometheus.url, 5, &since));
        assert!(code == 0 && said.contains("track canary was well"), "{code}: {said}");
        for _ in 0..4 {
            forge(&canary);
        }
        forged("canary", 5);
        let (code, said) = ended(started(&place, &prometheus.url, 60, &since));
        assert!(
            code == 1 && said.contains("go back: track canary has ") && said.contains("critical violations"),
            "{said}"
        );
        // The operator knows whose they are.
        let (code, said) = ended(started(&place, &prometheus.url, 3, &format!("{since} --without violations")));
        assert!(code == 0, "{code}: {said}");
    });
}
