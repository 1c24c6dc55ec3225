//! Two versions behind one address, replicas that are lost, and a configuration that changes under what is open.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rulebox_tests::Server;
use serde_json::json;

use super::flows::{bar, socket};
use super::{Change, Gateway, address, bearer, service, wait_for};
use crate::changed;

/// Requests that a weight is judged by.
const ASKED: usize = 200;

fn weigh(gateway: &Gateway, arguments: &[&str]) -> Output {
    Command::new(gateway.files.path("weight"))
        .args(arguments)
        .env("GATEWAY", gateway.files.directory.path())
        .output()
        .unwrap()
}

/// Who answered so many requests, by address.
fn answered(gateway: &Gateway, more: &[&str]) -> BTreeMap<String, usize> {
    let before = gateway.log().len();
    let port = gateway.files.https;
    let urls = vec![format!("https://{}:{port}/problems/not_found", super::HOST); ASKED - 1];
    // With a key, so that they are not too many of nobody.
    let strange = bearer("rbx_live_strange");
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    gateway.command("/problems/not_found", &[&["--header", &strange][..], more, &urls].concat()).output().unwrap();
    wait_for("all lines of the log", || gateway.log().len() == before + ASKED);
    let mut found = BTreeMap::new();
    for line in &gateway.log()[before..] {
        assert_eq!(line["status"], 200, "{line}");
        *found.entry(line["upstream"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    found
}

#[test]
fn the_canary_has_its_weight_and_whoever_asks_for_it() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (stable, canary) = (service(one.path()).0, service(two.path()).0);
    // One client asks more than one may.
    let room: [Change<'_>; 2] = [
        ("routes.conf", "zone=address burst=1000", "zone=address burst=100000"),
        ("routes.conf", "zone=key burst=2000", "zone=key burst=100000"),
    ];
    let gateway = Gateway::start(&[("stable", vec![address(&stable)]), ("canary", vec![address(&canary)])], &room);
    let share = |gateway: &Gateway, more: &[&str]| answered(gateway, more).get(&address(&canary)).copied().unwrap_or(0);
    let track = ["--header", "x-rulebox-track: canary"];
    assert_eq!((share(&gateway, &[]), share(&gateway, &track)), (0, ASKED));
    // A worker of before answers until its connections end, so each weight has requests by new ones.
    let reloaded = |percent: &str| {
        let said = weigh(&gateway, &[percent]);
        assert!(said.status.success(), "{said:?}");
        let all = percent == "100";
        wait_for("the new weight", || match percent {
            "0" => share(&gateway, &[]) == 0,
            _ => share(&gateway, &[]) == ASKED || !all,
        });
    };
    reloaded("100");
    // A worker of before may take one more connection, until it has heard that it is to end.
    wait_for("the canary whatever the header says", || {
        share(&gateway, &["--header", "x-rulebox-track: stable"]) == ASKED
    });
    reloaded("50");
    wait_for("both", || (1..ASKED).contains(&share(&gateway, &[])));
    let half = share(&gateway, &[]);
    println!("of {ASKED} requests at 50 % the canary had {half}");
    // Six standard deviations.
    assert!((58..=142).contains(&half), "{half}");
    reloaded("0");
    wait_for("the canary by its header", || share(&gateway, &track) == ASKED);

    // What is no weight changes nothing, and neither does a configuration that nginx refuses.
    for bad in [&["101"][..], &["-1"], &["5%"], &[], &["10", "--now"]] {
        assert_eq!(weigh(&gateway, bad).status.code(), Some(2), "{bad:?}");
    }
    let dry = weigh(&gateway, &["30", "--dry-run"]);
    assert!(String::from_utf8_lossy(&dry.stdout).contains("\n    30% canary;\n"), "{dry:?}");
    std::fs::write(gateway.files.path("origins.conf"), "map").unwrap();
    assert_eq!(weigh(&gateway, &["30"]).status.code(), Some(1));
    let file = std::fs::read_to_string(gateway.files.path("weight.conf")).unwrap();
    assert!(file.contains("# 10% canary;") && !file.contains("30%"), "{file}");
}

#[test]
fn a_weight_that_nobody_has_taken_is_not_said() {
    let directory = tempfile::tempdir().unwrap();
    let (server, _) = service(directory.path());
    let gateway = Gateway::before(&server, &[]);
    let weight = || {
        let said = weigh(&gateway, &["30"]);
        let file = std::fs::read_to_string(gateway.files.path("weight.conf")).unwrap();
        let [out, fault] = [said.stdout, said.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (said.status.code(), file.contains("    30% canary;"), out, fault)
    };
    let refused = |says: &str| {
        let (code, written, out, fault) = weight();
        assert_eq!((code, written, &*out), (Some(1), false, ""), "{fault}");
        assert!(fault.contains(says), "{fault}");
    };
    // Another master has the number: of another configuration, or none at all.
    let number = std::fs::read_to_string(gateway.files.path("nginx.pid")).unwrap();
    let other = Gateway::before(&server, &[]);
    std::fs::copy(other.files.path("nginx.pid"), gateway.files.path("nginx.pid")).unwrap();
    refused(other.files.path("nginx.conf").to_str().unwrap());
    std::fs::write(gateway.files.path("nginx.pid"), std::process::id().to_string()).unwrap();
    refused("no nginx runs with");
    std::fs::remove_file(gateway.files.path("nginx.pid")).unwrap();
    refused("no nginx runs with");
    std::fs::write(gateway.files.path("nginx.pid"), number).unwrap();
    // What `nginx -t` finds right and one that runs does not: it has the zone already, under another key.
    let limits = gateway.files.path("limits.conf");
    let text = std::fs::read_to_string(&limits).unwrap();
    let zone = ("limit_req_zone $client zone=address", "limit_req_zone $binary_remote_addr zone=address");
    std::fs::write(&limits, changed(&text, zone.0, zone.1)).unwrap();
    refused("nginx has not taken it");
    std::fs::write(&limits, text).unwrap();
    let (code, written, out, fault) = weight();
    assert_eq!((code, written, &*out), (Some(0), true, "weight: the canary has 30%\n"), "{fault}");
}

/// A replica that is lost whenever it has read a request; how many of each method it read.
struct Dying {
    address: String,
    read: Arc<Mutex<Vec<String>>>,
}

impl Dying {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let read = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&read);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, mut bytes) = (stream.unwrap(), [0; 4096]);
                let size = stream.read(&mut bytes).unwrap_or(0);
                let text = String::from_utf8_lossy(&bytes[..size]).into_owned();
                seen.lock().unwrap().push(text.split(' ').next().unwrap_or_default().to_owned());
            }
        });
        Self { address, read }
    }

    fn reads(&self, method: &str) -> usize {
        self.read.lock().unwrap().iter().filter(|one| *one == method).count()
    }
}

#[test]
fn what_is_safe_is_asked_again_and_nothing_is_done_twice() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let key = bearer(&key);
    let judge = |changes: &[Change<'_>]| {
        let dying = Dying::start();
        // Never left out, so that both are asked in turn.
        let both = vec![format!("{} max_fails=0", dying.address), address(&server)];
        let changes = [
            &[
                ("upstreams.conf", "max_fails=3 fail_timeout=5s", ""),
                ("upstreams.conf", "max_fails=3 fail_timeout=5s", ""),
            ],
            changes,
        ]
        .concat();
        let gateway = Gateway::start(&[("stable", both)], &changes);
        let got: Vec<_> = (0..10).map(|_| gateway.curl("/v1/limits", &["--header", &key]).status).collect();
        assert_eq!(got, [200; 10], "a GET is lost");
        assert!(dying.reads("GET") > 0, "the replica that dies was not asked");
        // Of each ten, those that the dying one has read are lost, and known to be.
        let rule = |n: usize| format!("{{\"source\": \"rule probe(equity) = equity < {n}\"}}");
        let posted: Vec<_> =
            (0..10).map(|n| gateway.curl("/v1/rules/check", &["--header", &key, "--json", &rule(n)]).status).collect();
        let lost = posted.iter().filter(|status| **status == 502).count();
        assert!(posted.iter().all(|status| [200, 502].contains(status)), "{posted:?}");
        (lost, dying.reads("POST"))
    };
    let (lost, read) = judge(&[]);
    assert!(lost == read && read > 0, "{read} were read by one that died, and {lost} answered so");
    let (lost, read) = judge(&[(
        "proxy.conf",
        "proxy_next_upstream error timeout",
        "proxy_next_upstream error timeout non_idempotent",
    )]);
    assert!(lost == 0 && read > 0, "{read} are done twice, and {lost} are not");

    // Where nobody listens, nothing was sent: another is asked, whatever the method.
    let gateway = Gateway::start(&[("stable", vec!["127.0.0.1:9".to_owned(), address(&server)])], &[]);
    let rule = r#"{"source": "rule probe(equity) = equity < 1"}"#;
    for _ in 0..4 {
        assert_eq!(gateway.curl("/v1/rules/check", &["--header", &key, "--json", rule]).status, 200);
        assert_eq!(
            gateway
                .curl(
                    "/v1/rules/check_custom_rule/evaluate",
                    &["--header", &key, "--json", r#"{"inputs": {"equity": 1, "drawdown": 0}}"#]
                )
                .status,
            200
        );
    }
}

#[test]
fn a_replica_is_killed_and_no_get_is_lost() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (staying, going) = (service(one.path()).0, service(two.path()).0);
    let gateway = Gateway::start(&[("stable", vec![address(&going), address(&staying)])], &[]);
    let (asked, statuses) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..60 {
                    let answer = gateway.curl("/problems/not_found", &["--header", "authorization: Bearer x"]);
                    statuses.lock().unwrap().push(answer.status);
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        wait_for("some requests", || asked.load(Ordering::SeqCst) > 20);
        going.signal("KILL");
    });
    let statuses = statuses.into_inner().unwrap();
    assert_eq!(statuses, vec![200; 120]);
    let tried_twice = gateway.log().iter().filter(|line| line["upstream"].as_str().unwrap().contains(", ")).count();
    println!("{} GETs over the death of a replica, {tried_twice} asked again, none lost", statuses.len());
}

#[test]
fn a_reload_leaves_websockets_open() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let judge = |server: &Server, changes: &[Change<'_>]| {
        let gateway = Gateway::before(server, changes);
        let mut open = socket(&gateway, &key).unwrap();
        bar(&mut open, 0).unwrap();
        let gone = std::fs::read_to_string(gateway.files.path("headers.conf")).unwrap().replace("nosniff", "changed");
        std::fs::write(gateway.files.path("headers.conf"), gone).unwrap();
        assert!(gateway.files.nginx(&["-s", "reload"]).status().unwrap().success());
        wait_for("the new configuration", || {
            gateway.curl("/v1/limits", &["--header", &bearer(&key)]).header("x-content-type-options") == Some("changed")
        });
        // Longer than the workers of before have in the second case.
        std::thread::sleep(std::time::Duration::from_secs(3));
        (1..20).all(|seq| bar(&mut open, seq).is_ok_and(|answer| answer["bars"][0]["seq"] == json!(seq)))
    };
    assert!(judge(&server, &[]));
    assert!(!judge(&server, &[("nginx.conf", "worker_shutdown_timeout 1h", "worker_shutdown_timeout 1s")]));
}
