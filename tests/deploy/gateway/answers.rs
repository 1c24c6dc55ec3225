//! What the gateway says of itself: its configuration, TLS, and the headers and problems of its answers.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use rulebox_tests::tools::{from_pypi, run, tried};
use serde_json::json;

use super::{Answer, Change, Files, Gateway, HOST, ORIGIN, bearer, service};

#[test]
fn nginx_finds_nothing_in_the_configuration() {
    let check = |changes: &[Change<'_>]| {
        let files = Files::new(&[("stable", vec!["127.0.0.1:8080".to_owned()])], changes);
        tried(&mut files.nginx(&["-t"]))
    };
    let (output, said) = check(&[]);
    assert!(output.status.success() && !said.contains("[warn]") && !said.contains("[emerg]"), "{said}");
    let (output, said) = check(&[("limits.conf", "zone=open:10m", "zone=opened:10m")]);
    assert!(!output.status.success() && said.contains("zero size shared memory zone \"open\""), "{said}");
    println!("nginx -t: {}", run(Command::new("nginx").arg("-v")).trim());
}

/// What gixy says that is not so here.
const NOT_SO: [(&str, &str); 2] = [
    ("proxy_buffering_off", "feeds and WebSockets are not held up, and have limits of their own"),
    ("stale_dns_cache", "the variable is the name of one of the groups in upstreams.conf: nothing is looked up"),
];

#[test]
fn gixy_finds_nothing_in_the_configuration() {
    let gixy = from_pypi("gixy", &["gixy-next==0.9.0"], false).join("bin/gixy-next");
    let check = |changes: &[Change<'_>], skipped: &[&str]| {
        let files = Files::new(&[("stable", vec!["127.0.0.1:8080".to_owned()])], changes);
        let (output, said) =
            tried(Command::new(&gixy).arg("--skips").arg(skipped.join(",")).arg(files.path("nginx.conf")));
        (output.status.code(), said)
    };
    let all: Vec<_> = NOT_SO.iter().map(|(name, _)| *name).collect();
    let (code, said) = check(&[], &all);
    assert_eq!(code, Some(0), "{said}");
    // None of them is skipped for nothing.
    for (name, why) in NOT_SO {
        let others: Vec<_> = all.iter().filter(|other| **other != name).copied().collect();
        let (code, said) = check(&[], &others);
        assert!(code == Some(1) && said.contains(name), "{name} ({why}) need not be skipped: {said}");
    }
    let hole = "set $route api;\n    add_header X-A b;";
    let (code, said) = check(&[("routes.conf", "set $route api;", hole)], &all);
    assert!(code == Some(1) && said.contains("add_header_redefinition"), "{said}");
    let (code, said) = check(&[("proxy.conf", "Host $host;", "Host $http_host;")], &all);
    assert!(code == Some(1) && said.contains("host_spoofing"), "{said}");
    println!("gixy: {} skips", NOT_SO.len());
}

/// Whether a handshake by `openssl s_client` succeeds.
fn shakes(gateway: &Gateway, arguments: &[&str]) -> bool {
    let mut openssl = Command::new("openssl");
    openssl.arg("s_client").arg("-connect").arg(format!("127.0.0.1:{}", gateway.files.https)).args(arguments);
    openssl.arg("-CAfile").arg(gateway.files.path("tls/tls.crt")).arg("-verify_return_error");
    openssl.stdin(Stdio::null()).output().unwrap().status.success()
}

#[test]
fn tls_is_of_today_and_for_one_name() {
    let old = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
    let named = |more: &[&'static str]| [&["-servername", HOST][..], more].concat();
    let weak = "AES128-GCM-SHA256:AES128-SHA:ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0";
    let judge = |gateway: &Gateway| {
        [
            ("1.3", named(&["-tls1_3"]), true),
            ("1.2", named(&["-tls1_2"]), true),
            ("1.1", named(&old), false),
            ("1.0", named(&["-tls1", "-cipher", "ALL:@SECLEVEL=0"]), false),
            ("ciphers without forward secrecy or authentication", named(&["-tls1_2", "-cipher", weak]), false),
            ("another name", vec!["-servername", "other.example.com"], false),
            ("no name", vec!["-noservername"], false),
        ]
        .into_iter()
        .filter(|(_, arguments, taken)| shakes(gateway, arguments) != *taken)
        .map(|(what, ..)| what)
        .collect::<Vec<_>>()
    };
    let directory = tempfile::tempdir().unwrap();
    let (server, _) = service(directory.path());
    let gateway = Gateway::before(&server, &[]);
    assert_eq!(judge(&gateway), Vec::<&str>::new());
    let alpn = Command::new("openssl")
        .args(["s_client", "-alpn", "h2,http/1.1", "-servername", HOST, "-connect"])
        .arg(format!("127.0.0.1:{}", gateway.files.https))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&alpn.stdout).contains("ALPN protocol: h2"));

    let gateway = Gateway::before(
        &server,
        &[
            ("tls.conf", "ssl_protocols TLSv1.2", "ssl_protocols TLSv1.1 TLSv1.2"),
            ("tls.conf", "ssl_ciphers ", "ssl_ciphers ALL:@SECLEVEL=0:"),
            ("nginx.conf", "ssl_reject_handshake on", "ssl_certificate tls/tls.crt;\nssl_certificate_key tls/tls.key"),
        ],
    );
    let found = judge(&gateway);
    assert!(["1.1", "another name", "no name"].iter().all(|fault| found.contains(fault)), "{found:?}");
    println!("TLS: 7 handshakes, 3 faults found");
}

#[test]
fn plain_http_leads_to_https_and_strange_names_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let gateway = Gateway::before(&server, &[]);
    let plain = |host: &str| {
        let address = SocketAddr::from(([127, 0, 0, 1], gateway.files.http));
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--include", "--noproxy", "*", "--data", "{}", "--header", &format!("host: {host}")]);
        curl.arg(format!("http://{address}/v1/rules/check?name=a"));
        Answer::read(&String::from_utf8_lossy(&curl.output().unwrap().stdout))
    };
    let answer = plain(HOST);
    assert_eq!(
        (answer.status, answer.header("location")),
        (308, Some("https://rulebox.example.com/v1/rules/check?name=a"))
    );
    // Closed without a word.
    assert_eq!(plain("other.example.com").status, 0);
    assert_eq!(plain(&format!("127.0.0.1:{}", gateway.files.http)).status, 0);
    // In a handshake for the right name, another host.
    for protocol in ["--http1.1", "--http2"] {
        let answer =
            gateway.curl("/v1/limits", &[protocol, "--header", "host: other.example.com", "--header", &bearer(&key)]);
        assert_eq!((answer.status, &answer.json()["code"]), (421, &json!("misdirected_request")));
    }
    // Health and metrics are on another port, which nothing leads to.
    for path in ["/metrics", "/readyz", "/livez", "/startupz", "/v1/../metrics", "/"] {
        let answer = gateway.curl(path, &["--header", &bearer(&key)]);
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
    }
    let asked = server.client().get(format!("{}/metrics", server.health)).send().unwrap().text().unwrap();
    assert!(asked.contains("rulebox_"), "{asked}");
}

/// Headers of every answer, whoever made it.
const ALWAYS: [(&str, &str); 6] = [
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("vary", "Origin"),
];

/// What is wrong with the headers of an answer.
fn bare(answer: &Answer) -> Vec<&'static str> {
    let mut missing: Vec<_> =
        ALWAYS.into_iter().filter(|(name, value)| answer.header(name) != Some(value)).map(|(name, _)| name).collect();
    for name in ["content-security-policy", "cache-control", "x-request-id"] {
        missing.extend(answer.header(name).is_none().then_some(name));
    }
    missing.extend((answer.header("server") != Some("nginx")).then_some("server"));
    missing
}

#[test]
fn every_answer_has_its_headers_once_and_refusals_are_problems() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let bearer = bearer(&key);
    let large = directory.path().join("large");
    std::fs::write(&large, vec![b' '; 3 << 20]).unwrap();
    let upload = format!("@{}", large.display());
    let long = format!("x-long: {}", "a".repeat(9000));
    let query = format!("/v1/rules?{}", "a".repeat(9000));
    let judge = |gateway: &Gateway| {
        let json = "content-type: application/json";
        let answers = [
            (200, "", gateway.curl("/v1/limits", &["--header", &bearer])),
            (200, "", gateway.curl("/docs/", &[])),
            (401, "unauthenticated", gateway.curl("/v1/limits", &[])),
            (404, "not_found", gateway.curl("/nowhere", &[])),
            (404, "rule_not_found", gateway.curl("/v1/rules/absent", &["--header", &bearer])),
            (400, "bad_request", gateway.curl("/v1//limits", &["--header", &bearer])),
            (405, "method_not_allowed", gateway.curl("/v1/limits", &["--request", "PUT"])),
            (
                413,
                "body_too_large",
                gateway.curl("/v1/rules", &["--header", &bearer, "--header", json, "--data-binary", &upload]),
            ),
            (414, "uri_too_long", gateway.curl(&query, &["--http1.1"])),
            (431, "headers_too_large", gateway.curl("/v1/limits", &["--http1.1", "--header", &long])),
            (415, "unsupported_media_type", gateway.curl("/v1/evaluate", &["--header", &bearer, "--data", "a"])),
            (
                422,
                "invalid_request",
                gateway.curl("/v1/rules/check_custom_rule/evaluate", &["--header", &bearer, "--json", "{}"]),
            ),
        ];
        let mut faults = Vec::new();
        for (status, code, answer) in &answers {
            faults.extend(bare(answer).into_iter().map(|name| format!("{status}: {name}")));
            let said = if code.is_empty() { json!(null) } else { answer.json()["code"].clone() };
            if answer.status != *status || said != **code && !code.is_empty() {
                faults.push(format!("{} and {said} for {status} {code}", answer.status));
            }
        }
        (answers.len(), faults)
    };
    let (count, faults) = judge(&Gateway::before(&server, &[]));
    assert_eq!(faults, Vec::<String>::new());
    let (_, faults) = judge(&Gateway::before(&server, &[("headers.conf", "nosniff always", "nosniff")]));
    assert!(faults.contains(&"413: x-content-type-options".to_owned()), "{faults:?}");
    let (_, faults) =
        judge(&Gateway::before(&server, &[("routes.conf", "set $route api;", "set $route api; add_header A b;")]));
    assert!(faults.contains(&"200: strict-transport-security".to_owned()), "{faults:?}");
    // Another server says no more than that it is nginx.
    println!("{count} kinds of answers, {} headers each", ALWAYS.len() + 4);
    drop(server);
    // Nobody is there.
    let gateway = Gateway::start(&[("stable", vec!["127.0.0.1:9".to_owned()])], &[]);
    let answer = gateway.curl("/v1/limits", &["--header", &bearer]);
    assert_eq!(
        (answer.status, &answer.json()["code"], answer.header("retry-after")),
        (502, &json!("bad_gateway"), Some("1"))
    );
    assert_eq!(bare(&answer), Vec::<&str>::new());
}

/// If the service begins to send one of them, README.md is to say so, and the gateway's may go.
#[test]
fn the_service_itself_sends_what_readme_says() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    for (path, page) in [
        ("/v1/limits", false),
        ("/nowhere", false),
        ("/docs/", true),
        ("/openapi.json", true),
        ("/problems/not_found", true),
    ] {
        let answer = server.client().get(format!("{}{path}", server.api)).bearer_auth(&key).send().unwrap();
        let sent: Vec<_> = answer.headers().keys().map(|name| name.as_str().to_owned()).collect();
        let has = |name: &str| sent.iter().any(|header| header == name);
        assert!(ALWAYS.iter().all(|(name, _)| !has(name)), "{path}: {sent:?}");
        assert!(has("x-request-id") && !has("cache-control"), "{path}: {sent:?}");
        assert_eq!(has("content-security-policy"), page, "{path}: {sent:?}");
    }
}

#[test]
fn pages_of_known_origins_may_call_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let (server, key) = service(directory.path());
    let bearer = bearer(&key);
    let judge = |gateway: &Gateway, origin: &str| {
        let from = format!("origin: {origin}");
        let before = ["--request", "OPTIONS", "--header", &from, "--header", "access-control-request-method: POST"];
        let (asked, called, refused) = (
            gateway.curl("/v1/rules", &before),
            gateway.curl("/v1/limits", &["--header", &from, "--header", &bearer]),
            gateway.curl("/v1/limits", &["--header", &from]),
        );
        let allowed =
            [&asked, &called, &refused].map(|answer| answer.header("access-control-allow-origin") == Some(origin));
        for answer in [&asked, &called, &refused] {
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            assert_ne!(answer.header("access-control-allow-origin"), Some("*"));
        }
        (allowed, asked, called)
    };
    let gateway = Gateway::before(&server, &[]);
    let (allowed, asked, called) = judge(&gateway, ORIGIN);
    assert_eq!((allowed, asked.status, called.status), ([true; 3], 204, 200));
    let may: Vec<_> = asked.header("access-control-allow-headers").unwrap().split(", ").collect();
    for name in ["authorization", "content-type", "idempotency-key", "if-match", "traceparent", "last-event-id"] {
        assert!(may.contains(&name), "{name}: {may:?}");
    }
    assert!(asked.header("access-control-allow-methods").unwrap().contains("PATCH"));
    assert_eq!((asked.header("access-control-max-age"), &*asked.body), (Some("600"), ""));
    let seen: Vec<_> = called.header("access-control-expose-headers").unwrap().split(", ").collect();
    for name in ["etag", "ratelimit", "ratelimit-policy", "retry-after", "location", "x-request-id"] {
        assert!(seen.contains(&name), "{name}: {seen:?}");
    }
    for origin in [
        "https://app.example.com.evil.test",
        "https://evil.test",
        "https://appXexample.com",
        "http://app.example.com",
        "https://app.example.com:444",
        "null",
    ] {
        let (allowed, asked, called) = judge(&gateway, origin);
        // The service answers, and the page does not see it.
        assert_eq!((allowed, asked.status, called.status), ([false; 3], 405, 200), "{origin}");
    }
    // A pattern that is not anchored.
    let loose = [("origins.conf", "\"https://app.example.com\"", "\"~app.example.com\"")];
    let (allowed, ..) = judge(&Gateway::before(&server, &loose), "https://app.example.com.evil.test");
    assert_eq!(allowed, [true; 3]);
}
