//! The processes that compile tenants' modules for an executor: there before it is confined, and not to be replaced.

use std::path::Path;
use std::time::{Duration, Instant};

use rulebox_tests::{Executor, signal};

/// The processes that a process started.
fn children(process: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
    list.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// Waits until something is so; it may take a while on a busy machine.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_mins(1), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_executor_without_its_workers_says_that_it_is_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", directory.path().join("e.sock").display());
    let executor = Executor::start(&listen, &[("RULEBOX_COMPILE__WORKERS", "2")]);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let get = |path: &str| {
        let answer = client.get(format!("{}{path}", executor.health)).send().unwrap();
        (answer.status().as_u16(), answer.text().unwrap())
    };
    let (status, said) = get("/readyz?verbose");
    assert!(status == 200 && said.contains("[+] compile workers: 2 of 2"), "{said}");
    let workers = children(executor.process());
    assert_eq!(workers.len(), 2);
    signal(workers[0], "KILL");
    until("one is missed", || get("/readyz?verbose").1.contains("compile workers: 1 of 2"));
    assert_eq!((get("/readyz").0, get("/livez").0), (200, 200), "the other works");
    signal(workers[1], "KILL");
    until("both are missed", || get("/readyz").0 == 503);
    assert_eq!(get("/livez").0, 503, "only a new process helps");
    // It waited for both: they are no zombies.
    assert_eq!(children(executor.process()), Vec::<u32>::new());
}

#[test]
fn workers_end_with_their_executor() {
    let directory = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", directory.path().join("e.sock").display());
    let mut executor = Executor::start(&listen, &[("RULEBOX_COMPILE__WORKERS", "2")]);
    let workers = children(executor.process());
    assert_eq!(workers.len(), 2);
    executor.signal("KILL");
    executor.wait();
    for worker in workers {
        let status = format!("/proc/{worker}/status");
        // Where nobody waits for orphans, what is left of one is a zombie.
        let is_over = || {
            let text = std::fs::read_to_string(Path::new(&status));
            text.map_or(true, |text| text.contains("State:\tZ"))
        };
        until("a worker ends", is_over);
    }
}
