//! What the load test takes and refuses on its command line, and what it says of itself.

use std::fs;
use std::process::Command;
use std::time::Duration;

use rulebox_tests::root;
use rulebox_tests::servers::free_port;
use rulebox_tests::signal;
use rulebox_tests::tools::{run, tried};

use super::{Home, cache, code, script};
use crate::read;

#[test]
fn a_dry_run_asks_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let (key, cache) = (directory.path().join("key"), directory.path().join("cache"));
    fs::write(&key, "rbx_live_none\n").unwrap();
    let url = format!("http://127.0.0.1:{}", free_port());
    let mut dry = script();
    dry.env("XDG_CACHE_HOME", &cache).args(["--url", &url, "--dry-run", "--users", "7", "--key-file"]).arg(&key);
    let said = run(&mut dry);
    for words in ["with 7 users for 60 s, of 1 tenants", "single      50% of users", "archive them at the end"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!cache.exists(), "it installed something");
    let said = run(script().args(["--url", "https://rules.example.com", "--dry-run", "--key-file"]).arg(&key));
    assert!(said.contains("would refuse without --yes"), "{said}");
}

#[test]
fn bad_usage_is_refused_before_anything_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (key, empty, two) = (file("key", "rbx_live_none"), file("empty", ""), file("two", "one\ntwo"));
    let here = "http://127.0.0.1:1";
    let refused = [
        (vec!["--key-file", &key], "--url"),
        (vec!["--url", here], "--key-file"),
        (vec!["--url", here, "--key-file", &empty], "has no key in it"),
        (vec!["--url", here, "--key-file", &two], "has no key in it"),
        (vec!["--url", here, "--key-file", "/nowhere/key"], "/nowhere/key"),
        (vec!["--url", "127.0.0.1:1", "--key-file", &key], "is not http://HOST"),
        (vec!["--url", "http://a:b@127.0.0.1", "--key-file", &key], "is not http://HOST"),
        (vec!["--url", here, "--key-file", &key, "--users", "0"], "from 1 to 100,000"),
        (vec!["--url", here, "--key-file", &key, "--seconds", "1.5"], "is not a whole number"),
        (vec!["--url", here, "--key-file", &key, "--scenario", "double"], "there is no scenario 'double'"),
        (vec!["--url", here, "--key-file", &key, "--scenario", "single=0"], "from 1 to 1,000"),
        (vec!["--url", here, "--key-file", &key, "--scenario", "single", "--scenario", "single=2"], "named twice"),
        (vec!["--url", here, "--key-file", &key, "--scenario", "single", "--p99-ms", "lines=5"], "is not run"),
        (vec!["--url", here, "--key-file", &key, "--max-failures", "100%"], "--max-failures"),
        (vec!["--url", here, "--key-file", &key, "--more"], "--more"),
        // What may be production: no word of its name says otherwise, or one says that it is.
        (vec!["--url", "https://rules.example.com", "--key-file", &key], "may be production"),
        (vec!["--url", "https://staging.prod.example.com", "--key-file", &key], "may be production"),
        (vec!["--url", "https://latest.example.com", "--key-file", &key], "may be production"),
        (vec!["--url", "https://192.0.2.1", "--key-file", &key], "may be production"),
    ];
    for (arguments, why) in &refused {
        let (output, said) = tried(script().args(arguments));
        assert!(code(&output) == 2 && said.contains(why), "{arguments:?}: {said}");
    }
    let taken =
        ["https://staging.example.com", "https://rules-test.example.com", "http://localhost:8080", "http://[::1]:1"];
    for url in taken {
        let said = run(script().args(["--url", url, "--dry-run", "--key-file", &key]));
        assert!(!said.contains("would refuse"), "{url}: {said}");
    }
    println!("load: {} wrong uses refused", refused.len());
}

/// Packages are of the versions that were asked for, and each file of them has its sum.
#[test]
fn what_is_installed_is_known_by_its_sums() {
    let (asked, locked) = (read("deploy/load/requirements.in"), read("deploy/load/requirements.txt"));
    for line in asked.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.contains("==") && locked.contains(&format!("\n{line} \\\n")), "{line} is not locked");
    }
    let packages: Vec<_> = locked.lines().filter(|line| !line.starts_with([' ', '#'])).collect();
    for package in &packages {
        let rest = locked.split(&format!("\n{package}\n")).nth(1).unwrap();
        assert!(package.contains("==") && rest.starts_with("    --hash=sha256:"), "{package} has no sum");
    }
    println!("load: {} packages with their sums", packages.len());
}

#[test]
fn it_says_when_it_measured_itself() {
    let home = Home::start(&[]);
    let mut load = home.load(&home.server.api, &["single"], &["--users", "2", "--seconds", "6", "--think-ms", "50"]);
    let load = home.begun(&mut load);
    // It is kept from its work for a part of each second, as on a machine that has too much to do.
    for _ in 0..7 {
        signal(load.id(), "STOP");
        std::thread::sleep(Duration::from_millis(300));
        signal(load.id(), "CONT");
        std::thread::sleep(Duration::from_millis(400));
    }
    let output = load.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("IT WAS THE BOTTLENECK"), "{said}");
    assert_eq!(home.measured()["client"]["bottleneck"], true);

    // The judgement itself, at its limits: one second of ten may be bad, and no more.
    let judge = "from rulebox_load.measured import Watch
for cpu, late, bad in [
    ([.5] * 10, [.01] * 10, False), ([.95] + [.5] * 9, [.01] * 10, False), ([.95] * 2 + [.5] * 8, [.01] * 10, True),
    ([.5] * 10, [.2] + [.01] * 9, False), ([.5] * 10, [.2] * 2 + [.01] * 8, True),
]:
    watch = Watch()
    watch.cpu, watch.late = cpu, late
    assert watch.is_bottleneck() == bad, (cpu, late)
";
    let installed = fs::read_dir(cache().join("rulebox-load")).unwrap().map(|entry| entry.unwrap().path());
    let python = installed.map(|path| path.join("bin/python")).find(|path| path.exists()).unwrap();
    run(Command::new(python)
        .args(["-c", judge])
        .env("PYTHONPATH", root().join("deploy/load"))
        .env("PYTHONDONTWRITEBYTECODE", "1"));
}
