//! Spans, as a collector gets them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use rulebox_tests::receiver::Received;
use rulebox_tests::{Server, rule};
use serde_json::{Value, json};

use super::super::hostile;
use super::collector::{Collector, attributes, decode, hex};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Posts as a part of the trace, kept by its caller or not.
fn post_within(server: &Server, path: &str, body: &Value, trace: &str, kept: bool) -> (u16, Value) {
    let flags = if kept { "01" } else { "00" };
    let request = server.client().post(format!("{}{path}", server.api)).bearer_auth(server.key.as_ref().unwrap());
    let answer = request.header("traceparent", format!("00-{trace}-{PARENT}-{flags}")).json(body).send().unwrap();
    (answer.status().as_u16(), answer.json().unwrap())
}

/// The span of this name that has this one above it.
fn below<'a>(spans: &'a [Span], name: &str, above: &Span) -> &'a Span {
    let found = spans.iter().find(|span| span.name == name && span.parent_span_id == above.span_id);
    found.unwrap_or_else(|| panic!("no span {name} below {}: {spans:#?}", above.name))
}

#[test]
fn a_trace_goes_on_through_request_compile_evaluation_and_violation() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let settings = [
        ("RULEBOX_TELEMETRY__OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("RULEBOX_TELEMETRY__OTLP_HEADERS", "x-collector-key: a key of the collector"),
        ("RULEBOX_TELEMETRY__RESOURCE", "deployment.environment.name=test"),
        // What is said at a stop is said at once.
        ("RULEBOX_TELEMETRY__EXPORT_MS", "600000"),
        ("RULEBOX_TENANT__MODULES", "true"),
        // What is logged does not decide what is traced.
        ("RULEBOX_LOG__FILTER", "warn"),
        ("RULEBOX_LOG__FORMAT", "json"),
    ];
    let mut server = Server::try_start(directory.path(), &settings).unwrap();
    let key = server.key.clone().unwrap();
    let (status, made) = post_within(&server, "/v1/rules", &json!({"source": rule(7)}), TRACE, true);
    assert_eq!(status, 201, "{made}");
    let bar = json!({"inputs": {"equity": 100, "drawdown": 0}});
    let (status, answer) = post_within(&server, "/v1/rules/probe/evaluate", &bar, TRACE, true);
    assert_eq!(status, 200, "{answer}");
    hostile::upload(&server, &key, "endless", hostile::ENDLESS);
    let (status, problem) = post_within(&server, "/v1/rules/endless/evaluate", &json!({"inputs": {}}), TRACE, true);
    assert!(status >= 400, "{problem}");
    assert_eq!(problem["trace_id"], TRACE);
    let violations: Value = server.get(&key, "/v1/violations").unwrap().json().unwrap();
    let text = violations.to_string();
    assert!(text.contains(&format!("\"trace_id\":\"{TRACE}\"")), "{text}");
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.find(|line| line["message"] == "violation").unwrap();
    assert_eq!(line["trace_id"], TRACE, "{line}");

    let sent = collector.sent();
    let of_us =
        |sent: &Received| sent.path == "/v1/traces" && sent.header("x-collector-key") == "a key of the collector";
    assert!(sent.iter().all(of_us), "{sent:#?}");
    assert!(!log.contains("a key of the collector"), "{log}");
    let resource = attributes(&decode(&sent[0]).resource_spans[0].resource.as_ref().unwrap().attributes);
    assert_eq!(resource["service.name"], "rulebox");
    assert_eq!(resource["deployment.environment.name"], "test");

    let all = collector.spans();
    let spans: Vec<_> = all.iter().filter(|span| hex(&span.trace_id) == TRACE).cloned().collect();
    let requests: Vec<_> = spans.iter().filter(|span| span.name == "request").collect();
    assert_eq!(requests.len(), 3, "{spans:#?}");
    assert!(requests.iter().all(|span| hex(&span.parent_span_id) == PARENT));
    let of = |route: &str, status: u16| {
        let wanted = |span: &&&Span| {
            let said = attributes(&span.attributes);
            said["http.route"] == route && said["http.response.status_code"] == status
        };
        *requests.iter().find(wanted).unwrap_or_else(|| panic!("{route} {status}: {requests:#?}"))
    };
    let compile = attributes(&below(&spans, "compile", of("/v1/rules", 201)).attributes);
    assert_eq!((&compile["stage"], &compile["result"]), (&json!("compile"), &json!("ok")));
    let route = "/v1/rules/{name}/evaluate";
    let ran = attributes(&below(&spans, "evaluation", of(route, 200)).attributes);
    assert_eq!((&ran["outcome"], &ran["bars"], &ran["rule"]), (&json!("ok"), &json!(1), &json!("probe")));
    assert!(ran["fuel"].as_i64().unwrap() > 0, "{ran:?}");
    let stopped = below(&spans, "evaluation", of(route, status_of(&problem)));
    assert_eq!(attributes(&stopped.attributes)["outcome"], "violation");
    let event = stopped.events.iter().find(|event| event.name == "violation").unwrap();
    let said = attributes(&event.attributes);
    assert_eq!((&said["severity"], &said["violation_id"]), (&json!("medium"), &problem["violation_id"]));
    assert!(["fuel_exhausted", "deadline_exceeded"].contains(&said["kind"].as_str().unwrap()), "{said:?}");
    // Requests without a trace begin one of their own.
    let others: BTreeSet<_> = all.iter().filter(|s| s.parent_span_id.is_empty()).map(|s| hex(&s.trace_id)).collect();
    assert!(others.len() >= 2 && !others.contains(TRACE), "{others:?}");
}

fn status_of(problem: &Value) -> u16 {
    problem["status"].as_u64().unwrap().try_into().unwrap()
}

#[test]
fn the_caller_decides_whether_its_trace_is_kept_and_the_setting_of_all_others() {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let settings = [
        ("RULEBOX_TELEMETRY__OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("RULEBOX_TELEMETRY__SAMPLE_PER_THOUSAND", "0"),
    ];
    let mut server = Server::try_start(directory.path(), &settings).unwrap();
    let key = server.key.clone().unwrap();
    let dropped = TRACE.replace('4', "5");
    for (trace, kept) in [(TRACE, true), (&dropped, false)] {
        let (status, problem) = post_within(&server, "/v1/rules/absent/evaluate", &json!({"inputs": {}}), trace, kept);
        // The id is the same, kept or not.
        assert_eq!((status, &problem["trace_id"]), (404, &json!(trace)));
    }
    let problem: Value = server.get(&key, "/v1/rules/absent").unwrap().json().unwrap();
    assert_eq!(problem["trace_id"].as_str().unwrap().len(), 32);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    let traces: BTreeSet<_> = collector.spans().iter().map(|span| hex(&span.trace_id)).collect();
    assert_eq!(traces, BTreeSet::from([TRACE.to_owned()]));
}

#[test]
fn a_collector_that_is_away_or_hangs_holds_up_nobody() {
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = format!("http://{}/v1/traces", hanging.local_addr().unwrap());
    for endpoint in ["http://127.0.0.1:1/v1/traces", hangs.as_str()] {
        let directory = tempfile::tempdir().unwrap();
        let settings = [
            ("RULEBOX_TELEMETRY__OTLP_ENDPOINT", endpoint),
            ("RULEBOX_TELEMETRY__TIMEOUT_MS", "500"),
            ("RULEBOX_TELEMETRY__EXPORT_MS", "50"),
            ("RULEBOX_TELEMETRY__QUEUE_SPANS", "8"),
        ];
        let mut server = Server::try_start(directory.path(), &settings).unwrap();
        let key = server.key.clone().unwrap();
        for _ in 0..100 {
            assert!(server.get(&key, "/v1/rules").unwrap().status().is_success());
        }
        let began = Instant::now();
        server.signal("TERM");
        let (status, log) = server.wait();
        assert!(status.success(), "{log}");
        println!("{endpoint}: stopped after {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
