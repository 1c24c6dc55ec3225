//! What an executor gives up, as the system says it.

use std::process::Command;

use rulebox_tests::{Executor, binary, resident_bytes, root};

use super::Near;

#[test]
fn an_executor_holds_nothing_and_says_so() {
    let near = Near::start(1);
    let executor = &near.executors[0];
    let client = near.api.client();
    let said = client.get(format!("{}/readyz?verbose", executor.health)).send().unwrap().text().unwrap();
    for layer in ["no_new_privs", "no_capabilities", "core", "landlock", "seccomp"] {
        assert!(said.contains(&format!("[+] {layer}: holds")), "{said}");
        assert!(executor.confined.contains(&format!("{layer} holds")), "{}", executor.confined);
    }
    // The same of every thread, by the kernel.
    let tasks = std::fs::read_dir(format!("/proc/{}/task", executor.process())).unwrap();
    let mut threads = 0;
    for task in tasks {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(status.contains(&format!("{set}:\t0000000000000000\n")), "{status}");
        }
        threads += 1;
    }
    assert!(threads > 1);
    let metrics = client.get(format!("{}/metrics", executor.health)).send().unwrap().text().unwrap();
    assert!(metrics.contains("rulebox_evaluation_queue_depth"), "{metrics}");
    // It reads nothing of /proc any more, and says what it uses all the same.
    let metric = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
    };
    #[expect(clippy::cast_precision_loss, reason = "bytes and files of a process have room")]
    let near = |said: f64, counted: u64, factor: f64| (said / counted as f64 - 1.0).abs() < factor;
    let resident = resident_bytes(executor.process());
    let said = metric("process_resident_memory_bytes");
    assert!(near(said, resident, 0.5), "{said} and not {resident}");
    let files = std::fs::read_dir(format!("/proc/{}/fd", executor.process())).unwrap().count() as u64;
    let said = metric("process_open_fds");
    assert!(near(said, files, 0.3), "{said} and not {files}");
    assert!(metric("process_max_fds") > 1_024.0, "as many as it may have");
    let age = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
        - metric("process_start_time_seconds");
    assert!((-2.0..600.0).contains(&age), "{age} s");
    assert!(metric("process_cpu_seconds_total") > 0.0 && metric("process_threads") > 1.0);
    assert!(metric("rulebox_evaluations_in_flight") == 0.0);
}

#[test]
fn an_executor_has_nothing_of_what_its_starter_left() {
    let directory = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", directory.path().join("e.sock").display());
    let mut careless = Command::new("/bin/sh");
    careless.args(["-c", r#"exec 7<"$0"; exec "$@""#]).arg(root().join("Cargo.toml")).arg(binary());
    let token = [("SOME_CLOUD_TOKEN", "canary-of-the-environment")];
    let executor = Executor::try_start_by(careless, &listen, &token).unwrap();
    let process = format!("/proc/{}", executor.process());
    let environment = std::fs::read(format!("{process}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(!environment.contains("canary"), "{environment}");
    assert!(environment.contains("RULEBOX_"), "{environment}");
    for open in std::fs::read_dir(format!("{process}/fd")).unwrap() {
        let target = std::fs::read_link(open.unwrap().path()).unwrap_or_default();
        assert!(!target.ends_with("Cargo.toml"), "{}", target.display());
    }
}

#[test]
fn an_executor_with_credentials_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", directory.path().join("e.sock").display());
    for (name, value) in [
        ("RULEBOX_MASTER_SECRET", "0123456789abcdef0123456789abcdef"),
        ("DATABASE_URL", "postgresql://login:word@localhost/rulebox"),
        ("REDIS_URL", "redis://localhost"),
    ] {
        let refused = Executor::try_start(&listen, &[(name, value)]).unwrap_err();
        assert!(
            refused.stderr.contains("an executor runs tenants' code and holds no credentials"),
            "{}",
            refused.stderr
        );
        assert!(!refused.stderr.contains("word") && !refused.stderr.contains("0123456789"), "{}", refused.stderr);
    }
    for (name, value, told) in [
        ("RULEBOX_EXECUTORS__LISTEN", "127.0.0.1:0", "RULEBOX_EXECUTORS__CA_FILE"),
        ("RULEBOX_EXECUTORS__LISTEN", "localhost", "`address:port` or `unix:/path/of/a/socket`"),
        ("RULEBOX_EXECUTORS__CONFINEMENT", "none", "require"),
    ] {
        let refused = Executor::try_start(&listen, &[(name, value)]).unwrap_err();
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
}

#[test]
fn a_socket_that_is_listened_on_is_not_taken() {
    let directory = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", directory.path().join("e.sock").display());
    let mut first = Executor::start(&listen, &[]);
    let refused = Executor::try_start(&listen, &[]).unwrap_err();
    assert!(refused.stderr.contains("cannot listen on unix:"), "{}", refused.stderr);
    first.signal("KILL");
    first.wait();
    // What it left behind is.
    let mut second = Executor::start(&listen, &[]);
    second.signal("TERM");
    let (status, log) = second.wait();
    assert!(status.success() && log.contains("stopped"), "{log}");
}
