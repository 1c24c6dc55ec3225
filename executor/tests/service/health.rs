//! The health port, and the marks of requests.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::{DRAWDOWN, Server, config, send};

#[tokio::test]
async fn health_says_what_it_is_about() {
    let server = Server::start().await;
    assert_eq!(server.health("/livez").await, (200, "ok\n".to_owned()));
    assert_eq!(server.health("/startupz").await, (200, "ok\n".to_owned()));
    assert_eq!(server.health("/readyz").await, (200, "ok\n".to_owned()));
    assert_eq!(server.health("/readyz?verbose").await, (200, "[+] store: ok\n[+] serving: ok\nok\n".to_owned()));
    send(server.anonymous(Method::GET, "/metrics")).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_damaged_store_is_said_to_be_and_makes_the_service_unready() {
    let server = Server::start().await;
    let long = format!("{DRAWDOWN}# {}\n", "x".repeat(50_000));
    server.upload(&long).await;
    for _ in 0..20 {
        server.post("/v1/rules/drawdown/versions", &json!({"source": long})).await.ok();
    }
    let (directory, key) = server.stop().await;
    // The second half of the file: versions, and not what a start reads.
    let path = directory.path().join("rulebox.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();

    let settings = config(directory.path());
    let server = Server::over(directory, settings, Some(key)).await;
    assert_eq!(server.health("/readyz").await.0, 200, "nobody has met it yet");
    let answer = server.get("/v1/rules/drawdown/versions/20/source").await;
    assert!(!answer.headers.contains_key("retry-after"), "waiting does not mend it");
    let problem = answer.problem(503, "unavailable");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("restore") && !detail.contains("stored"), "{detail}");
    // Also if nobody asks whether it is ready.
    let (up, began) = ("rulebox_dependency_up{dependency=\"store\"}", Instant::now());
    while server.metric(up).await != Some(0.0) {
        assert!(began.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (status, text) = server.health("/readyz?verbose").await;
    assert!(status == 503 && text.contains("[-] store: the store is damaged"), "{status} {text}");
    assert_eq!(server.health("/livez").await.0, 200);
}

#[tokio::test]
async fn metrics_count_what_happens() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    server.post("/v1/rules/drawdown/evaluate", &json!({"inputs": {"equity": 1, "drawdown": 9}})).await.ok();
    server.get("/v1/rules/absent").await.problem(404, "rule_not_found");
    server.get("/nowhere/to/be/found").await.problem(404, "not_found");
    let (_, text) = server.health("/metrics").await;
    for line in [
        "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_response_status_code=\"404\",http_route=\"/v1/rules/{name}\"} 1",
        "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_response_status_code=\"404\",http_route=\"other\"} 1",
        "rulebox_bars_evaluated_total{mode=\"bar\"} 1",
        "rulebox_dependency_up{dependency=\"store\"} 1",
        "http_server_active_requests 0",
        "rulebox_compile_queue_depth 0",
        "rulebox_requests_refused_total{reason=\"body_room\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.contains("outcome=\"fault\"") && text.contains("rulebox_rule_faults_total{"));
    assert!(!text.contains("drawdown"), "no label holds a rule");
}

#[tokio::test]
async fn requests_are_marked_by_the_server_and_traces_go_on() {
    let server = Server::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = server
        .request(Method::GET, "/v1/rules/absent")
        .header("x-request-id", "mine")
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    let problem = send(request).await.problem(404, "rule_not_found");
    assert_ne!(problem["request_id"], "mine");
    assert_eq!((&problem["trace_id"], &problem["instance"]), (&json!(trace), &json!("/v1/rules/absent")));
    assert!(server.get("/v1/limits").await.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn a_request_in_flight_ends_before_the_service_does() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let (base, key) = (server.base.clone(), server.key.clone());
    let (send_rest, rest) = tokio::sync::oneshot::channel::<()>();
    // A body whose second half is sent after the signal to stop.
    let body = futures_util::stream::unfold((0, Some(rest)), |(part, rest)| async move {
        match (part, rest) {
            (0, rest) => Some((Ok::<_, std::io::Error>("{\"inputs\": {\"equity\": 1,"), (1, rest))),
            (1, Some(rest)) => {
                rest.await.unwrap();
                Some((Ok(" \"drawdown\": 0}}"), (2, None)))
            }
            _ => None,
        }
    });
    let request = reqwest::Client::new()
        .post(format!("{base}/v1/rules/drawdown/evaluate"))
        .bearer_auth(key)
        .header("content-type", "application/json")
        .body(reqwest::Body::wrap_stream(body));
    let answer = tokio::spawn(request.send());
    while server.metric("http_server_active_requests").await != Some(1.0) {
        tokio::task::yield_now().await;
    }
    let health = server.health.clone();
    let stopped = tokio::spawn(server.stop());
    // Unready as soon as the signal is there, and still answering.
    loop {
        let ready = reqwest::get(format!("{health}/readyz?verbose")).await.unwrap();
        if ready.status() == 503 {
            assert!(ready.text().await.unwrap().contains("[-] serving: draining"));
            break;
        }
    }
    assert!(!stopped.is_finished());
    send_rest.send(()).unwrap();
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    stopped.await.unwrap();
    assert!(reqwest::get(format!("{base}/v1/limits")).await.is_err());
}
