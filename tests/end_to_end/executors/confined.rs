//! What an executor gives up, as the system says it.

use rulebox_tests::Executor;

use super::Near;

#[test]
fn an_executor_holds_nothing_and_says_so() {
    let near = Near::start(1);
    let executor = &near.executors[0];
    let client = near.api.client();
    let said = client.get(format!("{}/readyz?verbose", executor.health)).send().unwrap().text().unwrap();
    for layer in ["no_new_privs", "core", "landlock", "seccomp"] {
        assert!(said.contains(&format!("[+] {layer}: holds")), "{said}");
        assert!(executor.confined.contains(&format!("{layer} holds")), "{}", executor.confined);
    }
    // The same of every thread, by the kernel.
    let tasks = std::fs::read_dir(format!("/proc/{}/task", executor.process())).unwrap();
    let mut threads = 0;
    for task in tasks {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
        threads += 1;
    }
    assert!(threads > 1);
    let metrics = client.get(format!("{}/metrics", executor.health)).send().unwrap().text().unwrap();
    assert!(metrics.contains("rulebox_evaluation_queue_depth"), "{metrics}");
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
