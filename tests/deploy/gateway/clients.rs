//! What one client may take, what a client may say of itself, and what hostile ones try.

use std::fs;
use std::io::{Read, Write};
use std::time::Duration;

use rulebox_tests::{Server, output};
use serde_json::{Value, json};

use super::{Answer, Change, Gateway, HOST, bearer, service, wait_for};

/// Another client.
const OTHER: [&str; 2] = ["--interface", "127.0.0.3"];
/// More than any limit of these tests lets in at once, however slow the machine.
const MANY: usize = 200;

/// Asks again and again by one connection until it is refused; that answer.
fn refused(gateway: &Gateway, arguments: &[&str]) -> Option<Answer> {
    let url = format!("https://{HOST}:{}/v1/limits", gateway.files.https);
    let more: Vec<&str> = std::iter::repeat_n(&*url, MANY - 1).collect();
    let output = gateway.command("/v1/limits", &[arguments, &more].concat()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut answers = text.split("HTTP/2 ").skip(1).map(|answer| Answer::read(&format!("HTTP/2 {answer}")));
    answers.find(|answer| answer.status == 429)
}

/// Nothing is given back while a test asks.
const SLOW: [Change<'static>; 2] = [
    ("limits.conf", "zone=without_key:10m rate=20r/s", "zone=without_key:10m rate=1r/m"),
    ("limits.conf", "zone=key:20m rate=1000r/s", "zone=key:20m rate=1r/m"),
];

#[test]
fn who_asks_too_much_waits_and_others_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let (key, strange) = (bearer(&key), bearer("rbx_live_strange"));
    let burst = ("routes.conf", "zone=key burst=2000", "zone=key burst=20");
    let gateway = Gateway::before(&server, &[SLOW[0], SLOW[1], burst]);
    let ask = |more: &[&str]| gateway.curl("/v1/limits", more);

    let answer = refused(&gateway, &[]).expect("nobody without a key is refused");
    assert_eq!(
        (answer.header("content-type"), answer.header("retry-after")),
        (Some("application/problem+json"), Some("1"))
    );
    let problem = answer.json();
    assert_eq!(
        (&problem["code"], &problem["status"], &problem["instance"]),
        (&json!("rate_limited"), &json!(429), &json!("/v1/limits"))
    );
    assert_eq!(ask(&OTHER).status, 401, "another client");
    assert_eq!(ask(&["--header", &key]).status, 200, "the same client, with a key");
    assert_eq!(ask(&[]).status, 429);

    let answer = refused(&gateway, &["--header", &key]).expect("no key is refused");
    assert_eq!(answer.json()["code"], "rate_limited");
    assert_eq!(ask(&[&OTHER[..], &["--header", &key]].concat()).status, 429, "the same key from elsewhere");
    assert_eq!(ask(&["--header", &strange]).status, 401, "another key from here");
    let line = gateway.logged(|line| line["status"] == 429);
    assert_eq!((&line["limited"], &line["upstream"], &line["route"]), (&json!("REJECTED"), &json!(""), &json!("api")));

    let wide = [SLOW[0], SLOW[1], ("routes.conf", "zone=without_key burst=40", "zone=without_key burst=4000")];
    assert!(refused(&Gateway::before(&server, &wide), &[]).is_none());
    // What it costs is given back, in time.
    let quicker = ("limits.conf", "zone=without_key:10m rate=20r/s", "zone=without_key:10m rate=1r/s");
    let gateway = Gateway::before(&server, &[quicker]);
    assert!(refused(&gateway, &[]).is_some());
    wait_for("the client is heard again", || gateway.curl("/v1/limits", &[]).status == 401);
}

#[test]
fn a_network_of_ipv6_is_one_client() {
    let directory = tempfile::tempdir().unwrap();
    let (server, _) = service(directory.path());
    // As behind a load balancer: its word is how a test has such addresses.
    let balancer = ("balancers.conf", "real_ip_header", "set_real_ip_from 127.0.0.1;\nreal_ip_header");
    let other_of_it = |more: &[Change<'_>]| {
        let gateway = Gateway::before(&server, &[&[SLOW[0], balancer], more].concat());
        let from = |address: &str| format!("x-forwarded-for: {address}");
        assert!(refused(&gateway, &["--header", &from("2001:db8::1")]).is_some());
        let ask = |address: &str| gateway.curl("/v1/limits", &["--header", &from(address)]).status;
        assert_eq!((ask("2001:db8:0:1::1"), ask("198.51.100.7")), (401, 401), "other networks");
        ask("2001:db8::ffff:2")
    };
    assert_eq!(other_of_it(&[]), 429);
    assert_eq!(
        other_of_it(&[("limits.conf", "[\\s\\S]{8}$\" $client_network", "[\\s\\S]{9}$\" $client_network")]),
        401
    );
}

#[test]
fn one_client_has_so_many_requests_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let key = bearer(&key);
    let judge = |most: &str| {
        let gateway = Gateway::before(&server, &[("routes.conf", "limit_conn requests 256", most)]);
        // Two that have not sent all.
        let halves: Vec<_> = (0..2)
            .map(|_| {
                let mut stream = gateway.tls();
                let head = format!("POST /v1/rules HTTP/1.1\r\nhost: {HOST}\r\n{key}\r\ncontent-length: 100\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
                stream
            })
            .collect();
        let mut answer = None;
        let ask = || gateway.curl("/v1/limits", &["--header", &key]);
        for _ in 0..100 {
            answer = Some(ask()).filter(|answer| answer.status == 429);
            if answer.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(gateway.curl("/v1/limits", &[&OTHER[..], &["--header", &key]].concat()).status, 200);
        drop(halves);
        wait_for("there is room again", || ask().status == 200);
        answer
    };
    let answer = judge("limit_conn requests 2").expect("a third is let in");
    assert_eq!((&answer.json()["code"], answer.header("retry-after")), (&json!("too_many_open"), Some("1")));
    assert!(judge("limit_conn requests 3").is_none());
}

/// Addresses of which the service says that bad keys came from them.
fn accused(server: &Server, security: &str) -> Vec<String> {
    let list: Value = server.get(security, "/v1/violations?limit=100").unwrap().json().unwrap();
    let all = list["violations"].as_array().unwrap().iter().filter(|one| one["kind"] == "auth_abuse");
    all.map(|one| one["detail"]["address"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn nobody_speaks_for_another_address() {
    let believed = |change: &[Change<'_>]| {
        let directory = tempfile::tempdir().unwrap();
        let own = ("RULEBOX_DATA_DIR", directory.path().display().to_string());
        let (made, said) = output(&["key", "create", "--platform", "--role", "security"], &[own]);
        assert!(made.success(), "{said}");
        let security = said.lines().find(|line| line.starts_with("rbx_live_")).unwrap().to_owned();
        let (server, _) = service(directory.path());
        let gateway = Gateway::before(&server, change);
        let bad = bearer("rbx_live_canary_of_a_bad_key");
        for _ in 0..10 {
            let more = [
                "--header",
                "x-forwarded-for: 198.51.100.1",
                "--header",
                "x-forwarded-for: 198.51.100.2",
                "--header",
                "forwarded: for=198.51.100.3",
                "--header",
                "x-real-ip: 198.51.100.4",
                "--header",
                "x_forwarded_for: 198.51.100.5",
                "--header",
                "connection: x-forwarded-for",
            ];
            let answer = gateway.curl("/v1/limits", &[&OTHER[..], &["--http1.1", "--header", &bad], &more].concat());
            assert_eq!(answer.status, 401);
        }
        wait_for("the violation", || !accused(&server, &security).is_empty());
        accused(&server, &security)
    };
    assert_eq!(believed(&[]), ["127.0.0.3"]);
    let spoofed = [(
        "proxy.conf",
        "proxy_set_header X-Forwarded-For $remote_addr",
        "proxy_set_header X-Forwarded-For $http_x_forwarded_for",
    )];
    assert_ne!(believed(&spoofed), ["127.0.0.3"]);
}

/// Addresses in which two readers may see two things, each with what it is after.
const ODD: [&str; 17] = [
    "//v1/limits",
    "/v1//limits",
    "/v1/./limits",
    "/v1/../v1/limits",
    "/v1/..",
    "/v1/%6cimits",
    "/v1/%2e%2e/limits",
    "/v1/rules%2Fa",
    "/v1/rules/..%2f..%2fmetrics",
    "/v1/rules/a%00b",
    "/v1/rules/a%0d%0ax-a:b",
    "/v1/rules/a;b=c",
    "/v1\\limits",
    "/v1/%252e%252e/limits",
    "/v1/rules/\u{e9}",
    "/v1/limits%3fa=b",
    // The limits of streams for something else.
    "/v1/tenants/..%2Frules%2Fa%2Fevaluate",
];

#[test]
fn odd_addresses_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let key = bearer(&key);
    let judge = |gateway: &Gateway| {
        let mut taken = Vec::new();
        for path in ODD {
            for protocol in ["--http1.1", "--http2"] {
                let answer = gateway.curl(path, &[protocol, "--header", &key]);
                let line = gateway.logged(|line| line["request_id"] == answer.header("x-request-id").unwrap());
                if answer.status != 400 || line["upstream"] != "" {
                    taken.push((path, line["route"].as_str().unwrap().to_owned()));
                }
            }
        }
        taken
    };
    assert_eq!(judge(&Gateway::before(&server, &[])), []);
    // An escape in a query is none of an address.
    let gateway = Gateway::before(&server, &[]);
    assert_eq!(gateway.curl("/v1/rules?name=%2e%2e//a", &["--header", &key]).json()["code"], "invalid_query");
    println!("{} odd addresses refused by both versions of HTTP", ODD.len());

    let lax = [("words.conf", "    default 1;\n    \"~^[^?]*(//|/\\.\\.?(/|\\?|$))\" 1;", "    default 0;")];
    let taken = judge(&Gateway::before(&server, &lax));
    assert!(taken.contains(&(ODD[16], "evaluate".to_owned())), "{taken:?}");
}

/// What is sent as it stands, and the status of the first answer; 0 is none.
fn hostile(key: &str) -> Vec<(&'static str, String, &'static [u16])> {
    let get = |more: &str| format!("GET /v1/limits HTTP/1.1\r\nhost: {HOST}\r\n{key}\r\n{more}\r\n");
    let post =
        |more: &str, body: &str| format!("POST /v1/rules/check HTTP/1.1\r\nhost: {HOST}\r\n{key}\r\n{more}\r\n{body}");
    let second = format!("GET /v1/usage HTTP/1.1\r\nhost: {HOST}\r\n{key}\r\n\r\n");
    let chunks = format!("0\r\n\r\n{second}");
    let both = format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", chunks.len());
    vec![
        ("both lengths", post(&both, &chunks), &[400]),
        ("two lengths", post("content-length: 0\r\ncontent-length: 100\r\n", &second), &[400]),
        ("lengths in one", post("content-length: 0, 100\r\n", &second), &[400]),
        ("a length with a sign", post("content-length: +0\r\n", &second), &[400]),
        (
            "an encoding twice",
            post("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", &chunks),
            &[400, 501],
        ),
        ("an encoding that is none", post("transfer-encoding: xchunked\r\n", &chunks), &[400, 501]),
        (
            "an encoding in capitals behind a tab",
            post("transfer-encoding:\tCHUNKED, identity\r\n", &chunks),
            &[400, 501],
        ),
        ("a chunk without a length", post("transfer-encoding: chunked\r\n", &format!("x\r\n{second}")), &[400]),
        (
            "a chunk that is too long",
            post("transfer-encoding: chunked\r\n", &format!("ffffffffffffffff1\r\n{second}")),
            &[400, 413],
        ),
        ("space before a colon", get("x-a : b\r\n"), &[400]),
        ("a folded header", get("x-a: b\r\n authorization: c\r\n"), &[400]),
        ("a zero byte", get("x-a: b\0c\r\n"), &[400]),
        ("two hosts", get("host: other.example.com\r\n"), &[400]),
        ("no host", format!("GET /v1/limits HTTP/1.1\r\n{key}\r\n\r\n"), &[400]),
        ("a host with a path", format!("GET /v1/limits HTTP/1.1\r\nhost: {HOST}/v1/usage\r\n{key}\r\n\r\n"), &[400]),
        (
            "another host in the address",
            format!("GET https://other.example.com/v1/limits HTTP/1.1\r\nhost: {HOST}\r\n{key}\r\n\r\n"),
            &[421],
        ),
        ("a proxy's request", format!("CONNECT 127.0.0.1:9090 HTTP/1.1\r\nhost: {HOST}\r\n\r\n"), &[400, 405]),
        ("TRACE", format!("TRACE /v1/limits HTTP/1.1\r\nhost: {HOST}\r\n{key}\r\n\r\n"), &[405]),
        ("a method of bytes", format!("G\u{1}T /v1/limits HTTP/1.1\r\nhost: {HOST}\r\n\r\n"), &[400]),
        ("spaces in the address", format!("GET /v1/limits /v1/usage HTTP/1.1\r\nhost: {HOST}\r\n\r\n"), &[400]),
        // It has no status, and no host: the answer is the words of 421.
        ("an old HTTP", "GET /v1/limits\r\n\r\n".to_owned(), &[0]),
        ("HTTP/2 by its words", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), &[400, 505]),
        (
            "a change to HTTP/2",
            get("connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"),
            &[200],
        ),
        ("a header of 40,000 bytes", get(&format!("x-a: {}\r\n", "a".repeat(40_000))), &[431]),
        ("10,000 headers", get(&"x-a: b\r\n".repeat(10_000)), &[431]),
    ]
}

/// What comes back of bytes that are sent as they stand.
fn raw(gateway: &Gateway, bytes: &str) -> String {
    let mut stream = gateway.tls();
    stream.sock.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let _ = stream.write_all(bytes.as_bytes());
    let _ = stream.flush();
    let (mut text, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        text.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn malformed_requests_are_refused_and_nothing_is_smuggled() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let key = bearer(&key);
    let gateway = Gateway::before(&server, &[]);
    // The way of asking works: two requests in one piece are two.
    let two = format!("GET /v1/limits HTTP/1.1\r\nhost: {HOST}\r\n{key}\r\n\r\n").repeat(2);
    assert_eq!(raw(&gateway, &two).matches("HTTP/1.1 200").count(), 2);
    let mut faults = Vec::new();
    let hostile = hostile(&key);
    for (what, bytes, statuses) in &hostile {
        let said = raw(&gateway, bytes);
        let status = said.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let answers = said.matches("HTTP/1.1 ").count();
        if !statuses.contains(&status) || answers > 1 {
            faults.push(format!("{what}: {answers} answers, {status} and not {statuses:?}: {said:.300}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let smuggled = |log: Vec<Value>| log.into_iter().filter(|line| line["path"] == "/v1/usage").count();
    assert_eq!(smuggled(gateway.log()), 0);
    // The service heard of none but those that are requests.
    let reached: Vec<_> =
        gateway.log().into_iter().filter(|line| line["upstream"] != "").map(|line| line["path"].clone()).collect();
    assert_eq!(reached, ["/v1/limits"; 3]);
    println!("{} malformed requests", hostile.len());

    let second = format!(
        "POST /v1/rules/check HTTP/1.1\r\nhost: {HOST}\r\n{key}\r\ncontent-length: 0\r\n\r\nGET /v1/usage HTTP/1.1\r\nhost: {HOST}\r\n\r\n"
    );
    raw(&gateway, &second);
    wait_for("what is no smuggling", || smuggled(gateway.log()) == 1);
}

#[test]
fn the_log_is_json_and_has_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let judge = |gateway: &Gateway| {
        let secret = "rbx_live_secret_of_a_query";
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01");
        let agent = "user-agent: a\"b\\c\u{1}\u{e9}";
        gateway.curl("/v1/limits", &["--header", &bearer(&key), "--header", &parent, "--header", agent]);
        gateway.curl(
            &format!("/v1/limits?key={secret}"),
            &["--header", &bearer(&key), "--header", &format!("cookie: {secret}")],
        );
        gateway
            .curl(&format!("/v1//limits?key={secret}"), &["--header", &format!("referer: https://a.test/?{secret}")]);
        wait_for("three lines", || gateway.log().len() == 3);
        let lines = gateway.log();
        assert_eq!(
            (&lines[0]["trace_id"], &lines[0]["route"], &lines[0]["tls"]),
            (&json!(trace), &json!("api"), &json!("TLSv1.3 TLS_AES_256_GCM_SHA384"))
        );
        let text = fs::read_to_string(gateway.files.path("log/access.log")).unwrap();
        text.contains(secret) || text.contains(&key)
    };
    assert!(!judge(&Gateway::before(&server, &[])));
    assert!(judge(&Gateway::before(
        &server,
        &[("log.conf", "\"path\":\"$logged_path\"", "\"path\":\"$request_uri\"")]
    )));
    let gateway = Gateway::before(&server, &[]);
    let answer = gateway.curl("/v1/limits", &["--header", &bearer(&key)]);
    // By one name here, in the answer and in the service's log.
    assert!(
        gateway.logged(|line| line["request_id"] == answer.header("x-request-id").unwrap())["upstream_status"] == "200"
    );
}
