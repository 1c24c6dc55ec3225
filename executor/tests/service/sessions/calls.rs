//! Sessions by calls: every bar is counted once, whatever is sent again.

use reqwest::Method;
use serde_json::{Value, json};

use super::{COUNTER, bar, bars, begin, counted};
use crate::harness::{DRAWDOWN, Server, send};

async fn counter() -> (Server, String) {
    let server = Server::start().await;
    server.upload(COUNTER).await;
    let id = begin(&server, json!(["counter"])).await;
    (server, id)
}

/// The text of an answer.
async fn text(server: &Server, id: &str, body: &Value) -> String {
    let request = server.request(Method::POST, &format!("/v1/sessions/{id}/bars")).json(body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

#[tokio::test]
async fn bars_go_on_from_call_to_call_and_a_repeated_call_is_answered_byte_for_byte() {
    let (server, id) = counter().await;
    let answer = bar(&server, &id, 0, 10.0).await.ok();
    assert_eq!((&answer["seq"], &answer["next_seq"]), (&json!(0), &json!(1)));
    let said = &answer["bars"][0];
    assert_eq!((&said["seq"], &said["verdict"], &said["action"]), (&json!(0), &json!("ok"), &json!(null)));
    assert_eq!((&said["rules"][0]["rule"], &said["rules"][0]["out"]["sum"]), (&json!("counter"), &json!(10.0)));

    let two = json!({"seq": 1, "columns": {"equity": [20, 30], "time": ["2026-01-05T15:00Z", null]}});
    // The rule takes no time; it is there all the same.
    let first = text(&server, &id, &two).await;
    assert_eq!(text(&server, &id, &two).await, first);
    let parsed: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(counted(&parsed), [(2.0, 30.0), (3.0, 60.0)]);
    assert_eq!(parsed["bars"][1]["rules"][0]["reasons"], json!(["bar 3"]));
    assert_eq!(
        (&parsed["bars"][0]["time"], &parsed["bars"][1]["time"]),
        (&json!("2026-01-05T15:00:00Z"), &json!(null))
    );

    let three = json!({"seq": 3, "inputs": {"equity": 40}});
    let once = text(&server, &id, &three).await;
    assert_eq!(text(&server, &id, &three).await, once);
    assert_eq!(text(&server, &id, &two).await, first, "also when the session has gone on");
    let session = server.get(&format!("/v1/sessions/{id}")).await.ok();
    assert_eq!((&session["next_seq"], &session["oldest_seq"]), (&json!(4), &json!(0)));
    assert_eq!((&session["rules"][0]["rule"], &session["rules"][0]["version"]), (&json!("counter"), &json!(1)));
    assert_eq!(server.metric("rulebox_bars_evaluated_total{mode=\"session\"}").await, Some(4.0), "each ran once");
}

#[tokio::test]
async fn a_call_that_overlaps_answers_the_known_part_and_goes_on() {
    let (server, id) = counter().await;
    let first = bars(&server, &id, 0, &[1.0, 2.0, 3.0]).await.ok();
    let second = bars(&server, &id, 1, &[2.0, 3.0, 4.0, 5.0]).await.ok();
    assert_eq!(second["bars"][0], first["bars"][1]);
    assert_eq!(counted(&second), [(2.0, 3.0), (3.0, 6.0), (4.0, 10.0), (5.0, 15.0)]);
    assert_eq!(bars(&server, &id, 1, &[2.0, 3.0, 4.0, 5.0]).await.ok(), second, "and again");
    assert_eq!(second["next_seq"], 5);
}

#[tokio::test]
async fn bars_that_do_not_continue_the_session_change_nothing() {
    let server = Server::with(|config| config.sessions.answers = 2).await;
    server.upload(COUNTER).await;
    let id = begin(&server, json!("*")).await;
    let gap = bar(&server, &id, 3, 1.0).await.problem(409, "seq_gap");
    assert_eq!((&gap["expected_seq"], &gap["path"]), (&json!(0), &json!("seq")));
    for seq in 0..4 {
        bar(&server, &id, seq, 1.0).await.ok();
    }
    let conflict = bar(&server, &id, 3, 2.0).await.problem(409, "seq_conflict");
    assert_eq!(conflict["expected_seq"], 4);
    let conflict = bars(&server, &id, 2, &[1.0, 2.0, 3.0]).await.problem(409, "seq_conflict");
    assert!(conflict["detail"].as_str().unwrap().starts_with("bar 3 "), "{conflict}");
    let old = bar(&server, &id, 1, 1.0).await.problem(409, "seq_too_old");
    assert!(old["detail"].as_str().unwrap().contains("from bar 2 on"), "{old}");
    for (body, code) in [
        (json!({"seq": 4, "inputs": {}}), "missing_column"),
        (json!({"seq": 4, "inputs": {"equity": 1, "nothing": 1}}), "unknown_column"),
        (json!({"seq": 4, "columns": {"equity": []}}), "no_rows"),
        (json!({"seq": 4, "columns": {"equity": vec![1; 1_001]}}), "too_many_values"),
        (json!({"seq": 4, "inputs": {"equity": true}}), "column_type"),
    ] {
        server.post(&format!("/v1/sessions/{id}/bars"), &body).await.problem(422, code);
    }
    assert_eq!(counted(&bar(&server, &id, 4, 1.0).await.ok()), [(5.0, 5.0)]);
    let many = vec![1.0; 1_000];
    let answer = bars(&server, &id, 5, &many).await.ok();
    assert_eq!(bars(&server, &id, 5, &many).await.ok(), answer, "all of the last call can be had again");
}

#[tokio::test]
async fn an_answer_that_is_too_long_to_be_kept_is_refused_and_nothing_counted() {
    let server = Server::with(|config| config.sessions.answer_bytes = 2_048).await;
    server.upload(COUNTER).await;
    let id = begin(&server, json!("*")).await;
    bars(&server, &id, 0, &[1.0; 100]).await.problem(422, "too_many_values");
    assert_eq!(counted(&bar(&server, &id, 0, 1.0).await.ok()), [(1.0, 1.0)]);
}

#[tokio::test]
async fn of_callers_with_the_same_bars_all_get_one_answer_and_of_others_one_wins() {
    let (server, id) = counter().await;
    let call = |seq: u64, equity: f64| {
        let body = json!({"seq": seq, "inputs": {"equity": equity}});
        send(server.request(Method::POST, &format!("/v1/sessions/{id}/bars")).json(&body))
    };
    for seq in 0..10 {
        let (a, b, c) = tokio::join!(call(seq, 1.0), call(seq, 1.0), call(seq, 1.0));
        let a = a.ok();
        assert_eq!((&a, &a), (&b.ok(), &c.ok()));
    }
    let (a, b) = tokio::join!(call(10, 1.0), call(10, 2.0));
    let won = [&a, &b].iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1, "{a:#?} {b:#?}");
    let lost = if a.status == 200 { b } else { a };
    lost.problem(409, "seq_conflict");
    assert_eq!(bar(&server, &id, 11, 0.0).await.ok()["bars"][0]["rules"][0]["out"]["count"], 12.0);
}

#[tokio::test]
async fn versions_and_params_are_pinned_until_the_end() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let body = json!({"rules": "*", "params": {"drawdown": {"limit": 0.2, "warn_at": 0.15}}});
    let id = server.post("/v1/sessions", &body).await.ok()["id"].as_str().unwrap().to_owned();
    let always = "rule drawdown(equity, drawdown) = equity > 0";
    server.post("/v1/rules/drawdown/versions", &json!({"source": always})).await.ok();
    server.post("/v1/rules/drawdown/activate", &json!({"version": 2})).await.ok();
    let path = format!("/v1/sessions/{id}/bars");
    let send = async |seq: u64, drawdown: f64| {
        let body = json!({"seq": seq, "inputs": {"equity": 1, "drawdown": drawdown}});
        server.post(&path, &body).await.ok()["bars"][0]["verdict"].clone()
    };
    assert_eq!(
        (send(0, 0.1).await, send(1, 0.16).await, send(2, 0.2).await),
        (json!("ok"), json!("warn"), json!("breach"))
    );
    server.delete("/v1/rules/drawdown").await.ok();
    assert_eq!(send(3, 0.1).await, "ok", "an archived rule runs where it is pinned");
    let reset = server.post(&format!("/v1/sessions/{id}/reset"), &json!({})).await.ok();
    assert_eq!((&reset["next_seq"], &reset["rules"][0]["version"]), (&json!(0), &json!(1)));
    assert_eq!(send(0, 0.16).await, "warn");
}

#[tokio::test]
async fn a_reset_begins_at_bar_0_and_forgets_what_was_answered() {
    let (server, id) = counter().await;
    bars(&server, &id, 0, &[5.0, 6.0]).await.ok();
    server.post(&format!("/v1/sessions/{id}/reset"), &json!({})).await.ok();
    assert_eq!(counted(&bar(&server, &id, 0, 7.0).await.ok()), [(1.0, 7.0)]);
}

#[tokio::test]
async fn what_is_no_session_of_this_tenant_is_told_from_one_that_has_ended() {
    let (server, id) = counter().await;
    let mut other = id.clone().into_bytes();
    other[8] = if other[8] == b'A' { b'B' } else { b'A' };
    let other = String::from_utf8(other).unwrap();
    for unknown in [other.as_str(), "x", "ses_", "ses_%00"] {
        bar(&server, unknown, 0, 1.0).await.problem(404, "session_not_found");
        server.get(&format!("/v1/sessions/{unknown}")).await.problem(404, "session_not_found");
    }
    assert_eq!(server.delete(&format!("/v1/sessions/{id}")).await.status, 204);
    bar(&server, &id, 0, 1.0).await.problem(410, "session_lost");
    server.get(&format!("/v1/sessions/{id}")).await.problem(410, "session_lost");
    server.delete(&format!("/v1/sessions/{id}")).await.problem(410, "session_lost");
    server.post(&format!("/v1/sessions/{id}/reset"), &json!({})).await.problem(410, "session_lost");
}

#[tokio::test]
async fn an_idle_session_ends() {
    let server = Server::with(|config| config.sessions.idle_seconds = 1).await;
    server.upload(COUNTER).await;
    let id = begin(&server, json!("*")).await;
    let began = std::time::Instant::now();
    while server.get(&format!("/v1/sessions/{id}")).await.status == 200 {
        assert!(began.elapsed().as_secs() < 30);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    bar(&server, &id, 0, 1.0).await.problem(410, "session_lost");
}

#[tokio::test]
async fn what_cannot_begin_is_refused_with_its_reason() {
    let server = Server::with(|config| config.sessions.state_bytes = 1_024).await;
    let begin = async |body: Value| server.post("/v1/sessions", &body).await;
    begin(json!({"rules": "*"})).await.problem(409, "rule_not_active");
    server.upload(COUNTER).await;
    server.upload("rule wide(equity) = (sma(equity, 500) ?? 0) > 1").await;
    begin(json!({"rules": ["absent"]})).await.problem(404, "rule_not_found");
    begin(json!({"rules": ["counter"], "versions": {"counter": 9}})).await.problem(404, "version_not_found");
    begin(json!({"rules": ["counter"], "params": {"counter": {"x": 1}}})).await.problem(422, "unknown_param");
    begin(json!({"rules": ["counter"], "params": {"wide": {}}})).await.problem(422, "invalid_request");
    begin(json!({"rules": ["counter", "wide"]})).await.problem(422, "state_too_large");
    begin(json!({"rules": ["counter"]})).await.ok();
}
