//! What takes long: modules that do not end, and uploads that wait for one another.

use std::fs;
use std::time::Instant;

use rulebox_tests::servers::free_port;
use rulebox_tests::signal;
use serde_json::json;

use super::super::upload;
use super::{Watch, answer, meanwhile, serve};

#[test]
fn modules_that_do_not_end_are_told_as_violations_and_as_slowness() {
    let health = format!("127.0.0.1:{}", free_port());
    let watch = Watch::start(std::slice::from_ref(&health));
    let directory = tempfile::tempdir().unwrap();
    // Each of its runs takes these 250 ms, whatever the machine, and is a violation that stops no module. With the fuel of
    // one bar it would be over at once, and stopped after five of them.
    let settings = [
        ("RULEBOX_EVALUATION__DEADLINE_MS", "250"),
        ("RULEBOX_COMPILE__BAR_FUEL", "20000000000"),
        ("RULEBOX_TENANT__FUEL_PER_SECOND", "1000000000000000"),
    ];
    let server = serve(directory.path(), &health, &watch, &settings);
    let key = server.key.clone().unwrap();
    upload(&server, &key, "endless", "(loop $again (br $again)) (i32.const 0)");
    watch.scraped(&health);

    let again = || {
        let (status, said) = answer(server.post(&key, "/v1/rules/endless/evaluate", &json!({"inputs": {}})));
        assert_eq!(status, 422, "{said}");
    };
    meanwhile(again, |began| {
        watch.told("RuleboxViolationSpike", "", "a module runs into its deadline", began, "security-chat");
        watch.told("RuleboxLatencyBurnFast", "", "evaluations take 250 ms", began, "on-call");
        watch.held_back("RuleboxLatencyBurnSlow", "evaluations take 250 ms", "RuleboxLatencyBurnFast", began);
    });
    // No evaluation is slow any more: over the short time that the fast burn looks at, and not over that of the slow one.
    let began = Instant::now();
    watch.told("RuleboxLatencyBurnSlow", "", "the same, when the fast burn is over", began, "on-call-chat");
}

/// The processes that a process has started.
fn children(of: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_of = |process: &u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // Behind the name, which may hold anything: state, and whose child it is.
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok()) == Some(of)
    };
    processes.filter(is_of).collect()
}

/// A process that stands still until this is dropped, also when the test fails before: others wait for it.
struct Stopped(u32);

impl Stopped {
    fn new(process: u32) -> Self {
        signal(process, "STOP");
        Self(process)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal(self.0, "CONT");
    }
}

#[test]
fn uploads_that_wait_for_a_slow_compiler_are_told() {
    let health = format!("127.0.0.1:{}", free_port());
    let watch = Watch::start(std::slice::from_ref(&health));
    let directory = tempfile::tempdir().unwrap();
    let settings = [("RULEBOX_COMPILE__WORKERS", "1"), ("RULEBOX_COMPILE__WORKER_SECONDS", "300")];
    let server = serve(directory.path(), &health, &watch, &settings);
    let key = server.key.clone().unwrap();
    // The worker is there from the first on.
    upload(&server, &key, "first", "(i32.const 0)");
    watch.scraped(&health);
    let workers = children(server.id());
    assert_eq!(workers.len(), 1, "{workers:?}");

    // As slow as can be. Each upload is taken in the end: it says so itself.
    let (stopped, began) = (Stopped::new(workers[0]), Instant::now());
    std::thread::scope(|scope| {
        for n in 0..12 {
            let (server, key) = (&server, &key);
            scope.spawn(move || upload(server, key, &format!("module{n}"), "(i32.const 0)"));
        }
        watch.told("RuleboxCompileQueue", &health, "uploads wait for a compile worker", began, "on-call-chat");
        drop(stopped);
    });
}
