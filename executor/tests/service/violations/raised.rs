//! Violations that no module causes: forged cursors, bad keys, refused uploads.

use std::time::{Duration, Instant};

use reqwest::Method;
use rulebox_sandbox::selftest::frame;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::{id, list};
use crate::harness::{DRAWDOWN, Server, send};
use crate::modules::hostile::{manifest, wat};
use crate::modules::post_form;

const FORGED: &str = "rulebox_sandbox_violations_total{kind=\"state_forged\",severity=\"critical\"}";

#[tokio::test]
async fn a_cursor_that_is_forged_or_anothers_is_recorded_and_a_slip_is_not() {
    let (server, admin, security) = Server::with_platform_keys(|_| {}).await;
    for name in ["one", "two", "three"] {
        server.post("/v1/rules", &json!({"name": name, "source": DRAWDOWN})).await.ok();
    }
    let page = server.get("/v1/rules?limit=1").await.ok();
    let cursor = page["next"].as_str().unwrap().to_owned();
    server.get(&format!("/v1/rules?limit=1&cursor={cursor}")).await.ok();
    // Texts that cannot be cursors, and one of another list of ours.
    for slip in ["", "x", "%20", "AAAA", &"A".repeat(600)] {
        server.get(&format!("/v1/rules?cursor={slip}")).await.problem(400, "invalid_query");
    }
    server.get(&format!("/v1/rules?archived=true&cursor={cursor}")).await.problem(400, "invalid_query");
    server.get(&format!("/v1/keys?cursor={cursor}")).await.problem(400, "invalid_query");
    assert_eq!(server.metric(FORGED).await, Some(0.0));
    assert_eq!(list(&server, &security, "").await.len(), 0);

    let changed = if cursor.ends_with('A') { 'B' } else { 'A' };
    let middle = cursor.len() / 2;
    let mut forged = cursor.clone();
    forged.replace_range(middle..=middle, if &cursor[middle..=middle] == "A" { "B" } else { "A" });
    let problem = server.get(&format!("/v1/rules?cursor={forged}")).await.problem(400, "invalid_query");
    server.get(&format!("/v1/rules?cursor={cursor}{changed}AAA")).await.problem(400, "invalid_query");
    assert_eq!(server.metric(FORGED).await, Some(2.0));
    let found = list(&server, &security, "?kind=state_forged").await;
    assert_eq!((found.len(), &found[0]["severity"], &found[0]["tenant"]), (1, &json!("critical"), &json!("default")));
    assert_eq!(found[0]["detail"], json!({"of": "cursor"}));
    assert_eq!((&found[0]["request_id"], &found[0]["trace_id"]), (&problem["request_id"], &problem["trace_id"]));
    assert!(found[0]["key_id"].is_string());
    // Another tenant's.
    let stranger = server.tenant(&admin, "stranger", &["author"]).await;
    server.get_by(&stranger, &format!("/v1/rules?cursor={cursor}")).await.problem(400, "invalid_query");
    let of_stranger = list(&server, &stranger, "").await;
    assert_eq!((of_stranger.len(), &of_stranger[0]["kind"]), (1, &json!("state_forged")));
    assert_eq!(list(&server, &security, "").await.len(), 2);
}

#[tokio::test]
async fn bad_keys_again_and_again_from_one_address_are_a_violation() {
    let (server, _, security) = Server::with_platform_keys(|config| {
        config.api.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
    })
    .await;
    let bad = async |address: &str, times: u32| {
        for n in 0..times {
            let key = format!("rbx_live_{n:036}");
            let request = server.request_by(&key, Method::GET, "/v1/rules").header("x-forwarded-for", address);
            send(request).await.problem(401, "unauthenticated");
        }
    };
    let metric = "rulebox_sandbox_violations_total{kind=\"auth_abuse\",severity=\"medium\"}";
    bad("192.0.2.1", 9).await;
    bad("192.0.2.2", 9).await;
    // No key at all is no try.
    for _ in 0..20 {
        let request = server.anonymous(Method::GET, "/v1/rules").header("x-forwarded-for", "192.0.2.1");
        send(request).await.problem(401, "unauthenticated");
    }
    assert_eq!(server.metric(metric).await, Some(0.0));
    bad("192.0.2.1", 1).await;
    assert_eq!(server.metric(metric).await, Some(1.0));
    let found = list(&server, &security, "?kind=auth_abuse").await;
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0]["tenant"], &found[0]["severity"]), (&json!(null), &json!("medium")));
    assert_eq!(found[0]["detail"], json!({"address": "192.0.2.1", "tries": 10}));
    // Of no tenant, and so no tenant's to see.
    assert_eq!(list(&server, &server.key, "").await.len(), 0);
    let path = format!("/v1/violations/{}", id(&found[0]));
    server.get(&path).await.problem(404, "violation_not_found");
    bad("2001:db8::1", 5).await;
    bad("2001:db8::2", 5).await;
    assert_eq!(server.metric(metric).await, Some(2.0), "one network of IPv6");
}

#[tokio::test]
async fn who_does_not_wait_for_his_answer_is_recorded_all_the_same() {
    let (server, _, security) = Server::with_platform_keys(|_| {}).await;
    let (address, key) = (server.base.strip_prefix("http://").unwrap().to_owned(), server.key.clone());
    let forged = format!(
        "GET /v1/rules?cursor={} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\r\n",
        "A".repeat(80)
    );
    for n in 0..100 {
        let mut connection = tokio::net::TcpStream::connect(&address).await.unwrap();
        connection.write_all(forged.as_bytes()).await.unwrap();
        // It is being read, checked or recorded when he goes.
        tokio::time::sleep(Duration::from_micros(n * 20)).await;
    }
    let began = Instant::now();
    loop {
        let counted = server.metric(FORGED).await.unwrap();
        let rows = list(&server, &security, "?kind=state_forged").await;
        let recorded: f64 = rows.iter().map(|row| row["count"].as_f64().unwrap()).sum();
        if counted > 0.0 && (counted - recorded).abs() < 0.5 {
            println!("{counted} of 100 who had gone were recorded");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{counted} counted, {recorded} recorded");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_upload_that_nobody_waits_for_is_tried_and_recorded_all_the_same() {
    let server = Server::with(|config| config.tenant.modules = true).await;
    let manifest = serde_json::to_vec(&manifest()).unwrap();
    // Its trial takes as long as much fuel does.
    let endless = frame::assemble(&wat("endless_loop_in_init")).unwrap();
    let refused = async || {
        let name =
            |severity| format!("rulebox_sandbox_violations_total{{kind=\"fuel_exhausted\",severity=\"{severity}\"}}");
        server.metric(&name("medium")).await.unwrap() + server.metric(&name("low")).await.unwrap()
    };
    let mut wait = Duration::from_millis(20);
    for _ in 0..20 {
        let before = refused().await;
        let upload = post_form(&server, "/v1/rules?name=endless", endless.clone(), manifest.clone());
        let answer = tokio::time::timeout(wait, upload).await;
        if answer.is_ok() || refused().await > before {
            // It had ended before its client went.
            wait = wait.mul_f64(0.7);
            continue;
        }
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            if refused().await > before {
                println!("recorded {:?} after its client had gone, who had waited {wait:?}", began.elapsed());
                server.get("/v1/rules/endless").await.problem(404, "rule_not_found");
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // He had gone before it began.
        wait = wait.mul_f64(1.5);
    }
    panic!("no upload was recorded after its client had gone");
}

#[tokio::test]
async fn the_first_refused_upload_of_a_kind_is_high_and_the_others_are_low() {
    let (server, _, security) = Server::with_platform_keys(|config| config.tenant.modules = true).await;
    for n in 0..3_u8 {
        let body = vec![0, b'a', b's', b'm', n];
        let request = server.request(Method::POST, &format!("/v1/rules?name=m{n}"));
        send(request.header("content-type", "application/wasm").body(body)).await.problem(422, "module_refused");
    }
    // Another name and other bytes are the same refusal again.
    let found = list(&server, &security, "?kind=module_invalid").await;
    assert_eq!((found.len(), &found[0]["severity"]), (1, &json!("high")), "{found:#?}");
    let metric =
        |severity: &str| format!("rulebox_sandbox_violations_total{{kind=\"module_invalid\",severity=\"{severity}\"}}");
    assert_eq!(server.metric(&metric("high")).await, Some(1.0));
    assert_eq!(server.metric(&metric("low")).await, Some(2.0));
}
