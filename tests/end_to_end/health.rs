//! `rulebox healthcheck`, beside a service of either role.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rulebox_tests::servers::free_port;
use rulebox_tests::{Executor, Server, binary};

/// How a check ended, and what it wrote to standard error.
fn check(arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    let done = command.arg("healthcheck").args(arguments).env_clear().envs(settings.iter().copied()).output().unwrap();
    assert!(done.stdout.is_empty(), "{done:?}");
    (done.status.code(), String::from_utf8(done.stderr).unwrap())
}

fn address(health: &str) -> &str {
    health.trim_start_matches("http://")
}

#[test]
fn a_service_is_asked_by_the_settings_that_it_has() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let listen = ("RULEBOX_HEALTH__LISTEN", address(&server.health));
    let well = (Some(0), String::new());
    assert_eq!(check(&[], &[listen]), well);
    assert_eq!(check(&["--ready"], &[listen]), well);
    // Settings that it has no use for may be wrong, and secrets unreadable.
    let wrong = [
        listen,
        ("RULEBOX_MASTER_SECRET_FILE", "/nowhere"),
        ("RULEBOX_EVALUATION__FUEL", "many"),
        ("RULEBOX_DATABASE__URL", "postgresql://nobody@127.0.0.1:1/none"),
    ];
    assert_eq!(check(&["--ready"], &wrong), well);
    let file = directory.path().join("settings.toml");
    let text = format!("role = \"none\"\n[health]\nlisten = \"{}\"\n", address(&server.health));
    std::fs::write(&file, text).unwrap();
    assert_eq!(check(&["--config", file.to_str().unwrap()], &[]), well);
    assert_eq!(check(&[], &[("RULEBOX_CONFIG", file.to_str().unwrap())]), well);
    assert_eq!(check(&[&format!("{}/readyz", server.health)], &[]), well);
    assert_eq!(check(&[&format!("{}/metrics", server.health)], &[]), well);
    // Who listens everywhere is asked on this machine.
    let port = server.health.rsplit_once(':').unwrap().1;
    assert_eq!(check(&[], &[("RULEBOX_HEALTH__LISTEN", &format!("0.0.0.0:{port}"))]), well);
}

#[test]
fn an_executor_is_asked_and_an_api_without_one_is_alive_and_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", directory.path().join("e.sock").display());
    let settings = [("RULEBOX_ROLE", "api"), ("RULEBOX_EXECUTORS__ADDRESSES", listen.as_str())];
    let api = Server::try_start(directory.path(), &settings).unwrap();
    let of_api = [("RULEBOX_HEALTH__LISTEN", address(&api.health))];
    assert_eq!(check(&[], &of_api).0, Some(0));
    let (code, said) = check(&["--ready"], &of_api);
    assert_eq!(code, Some(1));
    assert_eq!(said, format!("{}/readyz: 503 Service Unavailable: not ready\n", api.health));

    let executor = Executor::start(&listen, &[]);
    let of_executor = [("RULEBOX_HEALTH__LISTEN", address(&executor.health)), ("RULEBOX_ROLE", "executor")];
    assert_eq!(check(&["--ready"], &of_executor), (Some(0), String::new()));
    let began = Instant::now();
    while check(&["--ready"], &of_api).0 != Some(0) {
        assert!(began.elapsed() < Duration::from_secs(30), "an executor is there");
    }
    println!("the API is ready {:?} after its first executor", began.elapsed());
    // It has met one: when that is away, rules can be written still.
    drop(executor);
    let ready = || api.client().get(format!("{}/readyz", api.health)).send().unwrap();
    let began = Instant::now();
    loop {
        let answer = ready();
        assert_eq!(answer.status(), 200);
        if answer.text().unwrap() == "degraded\n" {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "the executor is away");
    }
}

#[test]
fn what_is_not_well_is_said_in_one_line() {
    let nobody = format!("127.0.0.1:{}", free_port());
    let (code, said) = check(&[], &[("RULEBOX_HEALTH__LISTEN", &nobody)]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with(&format!("http://{nobody}/livez: ")) && said.lines().count() == 1, "{said}");
    assert!(said.contains("refused"), "{said}");

    // Somebody who never answers, and somebody who answers with what is no line.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let began = Instant::now();
    let (code, said) = check(&["--timeout-ms", "200", &url], &[]);
    assert_eq!((code, said), (Some(1), format!("{url}: no answer within 200ms\n")));
    assert!(began.elapsed() < Duration::from_secs(10));
    let odd = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", odd.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut connection, _) = odd.accept().unwrap();
        let _ = connection.read(&mut [0; 4_096]).unwrap();
        let text = format!("\x1b[31m{}", "x".repeat(5_000));
        let head = format!("HTTP/1.1 500 Odd\r\ncontent-length: {}\r\n\r\n", text.len());
        connection.write_all((head + &text).as_bytes()).unwrap();
    });
    let (code, said) = check(&[&url], &[]);
    answering.join().unwrap();
    assert!(code == Some(1) && said.len() < 300 && !said.contains('\x1b') && said.lines().count() == 1, "{said:?}");

    for (arguments, settings) in [
        (&["https://127.0.0.1/"][..], &[][..]),
        (&["no address"], &[]),
        (&["--ready", "http://127.0.0.1:1/"], &[]),
        (&["--timeout-ms", "0"], &[]),
        (&[], &[("RULEBOX_HEALTH__LISTEN", "everywhere")]),
        (&["--config", Path::new("/nowhere.toml").to_str().unwrap()], &[]),
    ] {
        let (code, said) = check(arguments, settings);
        assert!(code == Some(2) && !said.is_empty(), "{arguments:?} {settings:?}: {code:?} {said}");
    }
}
