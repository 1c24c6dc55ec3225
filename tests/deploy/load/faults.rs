//! Services that are wrong, slow, or not there.

use std::time::Duration;

use rulebox_tests::servers::free_port;
use rulebox_tests::tools::tried;

use super::{Home, code};

/// What passes a request on.
const PASS: &str =
    "proxy_pass API; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_request_buffering off;";

/// Changes a text in what the service answers.
fn lie(from: &str, to: &str) -> String {
    format!(
        "location / {{ {PASS} proxy_set_header Accept-Encoding \"\"; sub_filter_types *; sub_filter_once off; \
         sub_filter '{from}' '{to}'; }}"
    )
}

#[test]
fn a_wrong_answer_is_found_in_every_scenario() {
    let home = Home::start(&[]);
    // Scenario, what is changed, and what is said of it.
    let lies = [
        ("single", r#""verdict":"breach""#, r#""verdict":"warn""#, "wrong: a bar"),
        ("single", "limit 1", "limit 2", "wrong: a bar"),
        ("columns", r#""breach","breach""#, r#""breach","warn""#, "wrong: verdicts of a series"),
        ("columns", ".0,0.0,", ".0,1.0,", "wrong: outs of a series"),
        ("columns", r#""action":"block""#, r#""action":"liquidate""#, "wrong: the first of a series"),
        ("lines", r#""verdict":"breach","action":"block""#, r#""verdict":"breach","action":null"#, "wrong: "),
        ("lines", r#""trailer":"#, r#""trail":"#, "wrong: the stream has no trailer"),
        ("arrow", r#""counts":{"ok":1"#, r#""counts":{"ok":2"#, "wrong: the trailer of the stream"),
        ("session", r#""out":{"down":0.0}"#, r#""out":{"down":1.0}"#, "wrong: a rule"),
        ("session", r#""next_seq":2"#, r#""next_seq":3"#, "wrong: the place in a session"),
        ("author", "E0201", "E0202", "none"),
        ("author", r#""code":"rule_invalid""#, r#""code":"rule_valid""#, "wrong: diagnostics"),
        ("mistakes", "missing_column", "missing_row", "wrong: the code of a problem"),
    ];
    let mut found = 0;
    for (scenario, from, to, kind) in lies {
        let liar = home.behind(&lie(from, to));
        let arguments = ["--users", "4", "--seconds", "3", "--think-ms", "20", "--max-failures", "999999"];
        let (output, said) = tried(&mut home.load(&liar.url(), &[scenario], &arguments));
        // The control: what the test does not look at is no fault, and the proxy makes none.
        if kind == "none" {
            assert_eq!(code(&output), 0, "{scenario}: {from}: {said}");
            continue;
        }
        assert!(code(&output) == 1 && said.contains(kind), "{scenario}: {from:?} as {to:?}: {said}");
        // However many failures may be.
        assert!(said.contains("answers were wrong"), "{said}");
        found += 1;
    }
    assert_eq!(home.rules(), Vec::<String>::new(), "not archived");
    println!("load: {found} lies of a service found, in {} s each", 3);
}

#[test]
fn answers_of_500_are_failures_by_their_kind() {
    let home = Home::start(&[]);
    // One in four requests, by their number on a connection.
    let some = format!(
        "location ~ /evaluate {{ if ($connection_requests ~ \"[048]$\") {{ return 500; }} {PASS} }} location / {{ {PASS} }}"
    );
    let sick = home.behind(&some);
    let arguments = ["--users", "4", "--seconds", "3", "--think-ms", "10"];
    let (output, said) = tried(&mut home.load(&sick.url(), &["single"], &arguments));
    assert!(code(&output) == 1 && said.contains("failed: single: 500, not 200: "), "{said}");
    let line = home.measured()["scenarios"]["single"].clone();
    let failed = line["failures"]["500, not 200"].as_u64().unwrap();
    assert!(failed > 0 && line["wrong"] == 0, "{line}");
    assert_eq!(line["requests"].as_u64().unwrap(), failed + line["answered"].as_u64().unwrap());
    // As many as may be.
    let (output, said) = tried(home.load(&sick.url(), &["single"], &arguments).args(["--max-failures", "60%"]));
    assert_eq!(code(&output), 0, "{said}");
    let (output, said) = tried(home.load(&sick.url(), &["single"], &arguments).args(["--max-failures", "2%"]));
    assert!(code(&output) == 1 && said.contains("at most 2.00% may"), "{said}");
    // Nothing but these is nothing measured, however many may fail.
    let dead = home.behind(&format!("location ~ /evaluate {{ return 500; }} location / {{ {PASS} }}"));
    let (output, said) = tried(home.load(&dead.url(), &["single"], &arguments).args(["--max-failures", "99%"]));
    assert!(code(&output) == 1 && said.contains("no request was answered as it should be"), "{said}");
}

#[test]
fn a_service_that_is_away_is_found() {
    let home = Home::start(&[]);
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let (output, said) = tried(&mut home.load(&nobody, &["single"], &["--seconds", "2"]));
    assert!(code(&output) == 1 && said.contains("nothing was measured"), "{said}");
    assert!(said.contains("no answer: ConnectionRefusedError"), "{said}");
    assert!(!home.written().exists(), "it wrote figures of nothing");

    // One that goes away while it is measured.
    let url = home.server.api.clone();
    let mut load = home.load(&url, &["single", "session", "socket", "lines"], &["--users", "8", "--seconds", "8"]);
    let load = home.begun(&mut load);
    std::thread::sleep(Duration::from_secs(3));
    home.server.signal("KILL");
    let output = load.wait_with_output().unwrap();
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat();
    assert!(code(&output) == 1 && said.contains("no answer: ConnectionRefusedError"), "{said}");
    // It says what it could not take away.
    assert!(said.contains("left behind: rule load_"), "{said}");
    assert!(home.measured()["scenarios"]["single"]["answered"].as_u64() > Some(0), "{said}");
}

#[test]
fn a_time_that_is_missed_is_said() {
    let home = Home::start(&[]);
    // 20,000 bars there and back take longer than a millisecond.
    let arguments = ["--users", "2", "--seconds", "3", "--p99-ms", "lines=1", "--p99-ms", "3600000"];
    let (output, said) = tried(&mut home.load(&home.server.api, &["lines"], &arguments));
    assert!(code(&output) == 1 && said.contains("MISSED: p99 of lines is "), "{said}");
    assert!(said.contains("at most 1 may be") && !said.contains("at most 3,600,000"), "{said}");
}
