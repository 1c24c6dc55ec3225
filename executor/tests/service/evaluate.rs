//! One rule over one bar and over a series.

use serde_json::json;

use crate::harness::{DRAWDOWN, Server};

#[tokio::test]
async fn one_bar_is_answered_with_verdict_action_reasons_and_outs() {
    let server = Server::start().await;
    let uploaded = server.upload(DRAWDOWN).await;
    let bar = |drawdown: f64, params: serde_json::Value| json!({"inputs": {"equity": 92000, "drawdown": drawdown}, "params": params});
    let path = "/v1/rules/drawdown/evaluate";
    let warn = server.post(path, &bar(0.08, json!({}))).await.ok();
    assert_eq!(
        warn,
        json!({
            "verdict": "warn", "action": null, "reasons": ["drawdown 8.00% near 10.00%"],
            "out": {"room": warn["out"]["room"]}, "rule": "drawdown", "version": 1,
            "digest": uploaded["digest"], "fuel": warn["fuel"],
        })
    );
    assert!((warn["out"]["room"].as_f64().unwrap() - 0.02).abs() < 1e-12);
    let fuel = warn["fuel"].as_u64().unwrap();
    let bound =
        uploaded["manifest"]["cost"]["bar"].as_u64().unwrap() + uploaded["manifest"]["cost"]["call"].as_u64().unwrap();
    assert!(fuel > 0 && fuel <= bound, "{fuel} of {bound}");
    let breach = server.post(path, &bar(0.08, json!({"limit": 0.05}))).await.ok();
    assert_eq!((&breach["verdict"], &breach["action"]), (&json!("breach"), &json!("liquidate")));
    let ok = server.post(path, &bar(0.01, json!({}))).await.ok();
    assert_eq!((&ok["verdict"], &ok["reasons"]), (&json!("ok"), &json!([])));
    let fault = server.post(path, &bar(12.5, json!({}))).await.ok();
    assert_eq!((&fault["verdict"], &fault["fault"]["bar"]), (&json!("fault"), &json!(0)));
    assert!(fault["fault"]["span"]["line"].as_u64() == Some(2) && fault["fault"]["message"].is_string());
    assert_eq!(fault["out"]["room"], json!(null));
}

#[tokio::test]
async fn a_series_is_answered_with_counts_firsts_and_every_change() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let columns = json!({"columns": {
        "time": ["2026-01-05T15:00Z", 1_767_625_260_000_i64, "2026-01-05T15:02:00.5Z", null, "2026-01-05T15:04Z"],
        "equity": [1, 2, 3, 4, 5],
        "drawdown": [0.01, 0.08, 0.085, 0.1, 0.02],
    }});
    let answer = server.post("/v1/rules/drawdown/evaluate?series=verdict,out", &columns).await.ok();
    assert_eq!(answer["bars"], 5);
    assert_eq!(answer["counts"], json!({"ok": 2, "warn": 2, "breach": 1, "fault": 0}));
    let events: Vec<_> =
        answer["events"].as_array().unwrap().iter().map(|e| (e["bar"].clone(), e["verdict"].clone())).collect();
    assert_eq!(events, [(json!(1), json!("warn")), (json!(3), json!("breach")), (json!(4), json!("ok"))]);
    assert_eq!(answer["first"]["warn"]["time"], "2026-01-05T15:01:00Z");
    assert_eq!(answer["first"]["breach"]["time"], json!(null));
    assert_eq!(answer["first"]["breach"]["action"], "liquidate");
    assert_eq!(answer["first"]["breach"]["reasons"], json!(["drawdown 10.00%, limit 10.00%"]));
    assert!(answer["first"].get("fault").is_none() && answer.get("fault").is_none());
    assert_eq!(answer["series"]["verdict"], json!(["ok", "warn", "warn", "breach", "ok"]));
    assert_eq!(answer["series"]["out"]["room"].as_array().unwrap().len(), 5);
    assert_eq!(answer["events_truncated"], false);
    assert!(answer.get("tzdata").is_none(), "the rule does not use time");
    let plain = server.post("/v1/rules/drawdown/evaluate", &columns).await.ok();
    assert!(plain.get("series").is_none());
    assert_eq!((&plain["events"], &plain["fuel"]), (&answer["events"], &answer["fuel"]));
}

#[tokio::test]
async fn a_fault_says_where_and_latches() {
    let server = Server::start().await;
    server.upload("rule ratio(a, b) = a / b > 2").await;
    let columns = json!({"columns": {"a": [1, 6, 1, 1], "b": [1, 2, 0, 1]}});
    let answer = server.post("/v1/rules/ratio/evaluate", &columns).await.ok();
    assert_eq!(answer["counts"], json!({"ok": 1, "warn": 0, "breach": 1, "fault": 2}));
    assert_eq!(answer["fault"]["bar"], 2);
    assert_eq!(answer["fault"], answer["first"]["fault"]["fault"]);
    assert_eq!(answer["fault"]["span"]["line"], 1);
}

#[tokio::test]
async fn time_going_backwards_or_unreadable_is_a_fault_where_time_is_used() {
    let server = Server::start().await;
    server.upload("clock \"America/Chicago\" day 17:00\nrule late(x) = time_of_day >= 15:25 and x > 0").await;
    let path = "/v1/rules/late/evaluate";
    let run = async |time: serde_json::Value| {
        let rows = time.as_array().unwrap().len();
        server.post(path, &json!({"columns": {"time": time, "x": vec![1; rows]}})).await.ok()
    };
    let good = run(json!(["2026-01-05T21:24Z", "2026-01-05T21:25Z", "2026-01-05T21:25Z"])).await;
    assert_eq!(good["counts"], json!({"ok": 1, "warn": 0, "breach": 2, "fault": 0}));
    assert!(good["tzdata"].is_string());
    for bad in
        [json!(["2026-01-05T21:25Z", "2026-01-05T21:24Z"]), json!([0, null]), json!([0, "2026-01-05"]), json!([0, 1.5])]
    {
        assert_eq!(run(bad.clone()).await["fault"]["bar"], 1, "{bad}");
    }
    server.post(path, &json!({"columns": {"x": [1]}})).await.problem(422, "missing_column");
    let bar = server.post(path, &json!({"inputs": {"x": 1}, "time": "2026-01-05T21:30Z"})).await.ok();
    assert_eq!(bar["verdict"], "breach");
}

#[tokio::test]
async fn optional_inputs_and_truth_values() {
    let server = Server::start().await;
    server.upload("rule open(halted: bool, size: num?) {\n  out known_size = known(size)\n  if halted and known(size) { breach block \"open while halted\" }\n}").await;
    let path = "/v1/rules/open/evaluate";
    let answer = server
        .post(
            &format!("{path}?series=verdict,out"),
            &json!({"columns": {"halted": [true, false, 1, true], "size": [1, 2, 3, null]}}),
        )
        .await
        .ok();
    assert_eq!(answer["series"]["verdict"], json!(["breach", "ok", "breach", "ok"]));
    assert_eq!(answer["series"]["out"]["known_size"], json!([true, true, true, false]));
    let answer = server.post(path, &json!({"columns": {"halted": [true, 0]}})).await.ok();
    assert_eq!(answer["counts"]["ok"], 2);
    let answer = server.post(path, &json!({"columns": {"halted": [true, 0.5]}})).await.ok();
    assert_eq!(answer["fault"]["bar"], 1);
    let answer = server.post(path, &json!({"inputs": {"halted": null}})).await.ok();
    assert_eq!(answer["verdict"], "fault");
}

#[tokio::test]
async fn events_are_bounded_and_firsts_are_kept() {
    let server = Server::with(|config| config.evaluation.events = 3).await;
    server.upload(DRAWDOWN).await;
    let drawdown: Vec<f64> = (0..20).map(|i| if i % 2 == 0 { 0.0 } else { 0.08 }).chain([0.2]).collect();
    let columns = json!({"columns": {"equity": vec![1; 21], "drawdown": drawdown}});
    let answer = server.post("/v1/rules/drawdown/evaluate", &columns).await.ok();
    assert_eq!((answer["events"].as_array().unwrap().len(), &answer["events_truncated"]), (3, &json!(true)));
    assert_eq!(answer["first"]["breach"]["bar"], 20);
}

#[tokio::test]
async fn chunks_do_not_show() {
    let source = "rule mean(x) {\n  out m = sma(x, 50) ?? 0\n  if (ema(x, 20) ?? 0) > 0.5 { breach \"high {x}\" }\n}";
    let x: Vec<f64> = (0..10_000_i32).map(|i| f64::from(i * 7919 % 1000) / 1000.0).collect();
    let mut answers = Vec::new();
    for rows in [1, 100, 4096] {
        let server = Server::with(|config| config.evaluation.chunk_rows = rows).await;
        server.upload(source).await;
        let body = json!({"columns": {"x": x}});
        let mut answer = server.post("/v1/rules/mean/evaluate?series=verdict,out", &body).await.ok();
        answer["fuel"] = json!(null);
        answers.push(answer);
    }
    assert!(answers[0] == answers[1] && answers[1] == answers[2]);
}

#[tokio::test]
async fn a_million_rows_pass_by_default() {
    let server = Server::start().await;
    server.upload(DRAWDOWN).await;
    let mut body = String::with_capacity(60 << 20);
    let column = |body: &mut String, name: &str, value: &dyn Fn(u32) -> String| {
        body.push_str(&format!("\"{name}\":["));
        for i in 0..1_000_000 {
            if i > 0 {
                body.push(',');
            }
            body.push_str(&value(i));
        }
        body.push(']');
    };
    body.push_str("{\"columns\":{");
    column(&mut body, "time", &|i| {
        format!("\"2026-01-{:02}T{:02}:{:02}:00Z\"", i / 36_000 + 1, i / 1_500 % 24, i / 25 % 60)
    });
    body.push(',');
    column(&mut body, "equity", &|i| format!("{}.{:09}", 100_000 + i % 5_000, i));
    body.push(',');
    column(&mut body, "drawdown", &|i| format!("0.0{:011}", u64::from(i) * 9));
    body.push_str("}}");
    assert!(body.len() > 50_000_000, "{}", body.len());
    let answer = server.post_text("/v1/rules/drawdown/evaluate", body).await.ok();
    assert_eq!(answer["bars"], 1_000_000);
    assert_eq!(server.metric("rulebox_bars_evaluated_total{mode=\"columns\"}").await, Some(1e6));
}
