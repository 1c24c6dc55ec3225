//! A module gives what the same rule gives as a text, bit for bit: over real accounts, whole and in pieces, and moved to
//! another service in the middle.

use rulebox_tests::servers::redis::Redis;
use serde_json::{Map, Value, json};

use super::{account, fixture, manifest_beside, post_form, post_module, sdk, text};
use crate::harness::{Server, config};
use crate::streams::{LINES, stream};

/// The rules, each with its inputs, params that make it speak, and the modules that say the same.
const RULES: [(&str, &[&str], &str, &[&str]); 3] = [
    ("drawdown_guard", &["equity"], r#"{"limit": 0.02}"#, &["rust", "c", "as"]),
    ("trailing_stop", &["close", "position"], r#"{"n": 40, "distance": 0.005}"#, &["rust", "c"]),
    ("session_limits", &["equity", "exposure", "stop_exits"], r#"{"loss": 0.01, "leverage": 0.55}"#, &["rust"]),
];

/// Uploads each rule as a text and as its modules; gives their names, the text's first.
async fn upload(server: &Server) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for (rule, _, _, toolchains) in RULES {
        let as_text = format!("{rule}_text");
        server.post("/v1/rules", &json!({"name": as_text, "source": text(rule)})).await.ok();
        let mut names = vec![as_text];
        for toolchain in toolchains {
            let name = format!("{rule}_{toolchain}");
            let (path, module) = (format!("/v1/rules?name={name}"), fixture(&format!("{toolchain}_{rule}")));
            if *toolchain == "as" {
                post_form(server, &path, module, manifest_beside()).await.ok();
            } else {
                post_module(server, &path, module).await.ok();
            }
            names.push(name);
        }
        all.push(names);
    }
    all
}

/// Without what tells a module from a text: its name, digest and fuel, and where in a text a fault is.
fn said(mut answer: Value) -> Value {
    for own in ["rule", "version", "digest", "fuel"] {
        if let Some(answer) = answer.as_object_mut() {
            answer.remove(own);
        }
    }
    let places = |value: &mut Value| {
        if value["fault"].is_object() {
            value["fault"] = json!({"bar": value["fault"]["bar"]});
        }
    };
    answer["events"].as_array_mut().into_iter().flatten().for_each(places);
    answer["first"].as_object_mut().into_iter().flatten().for_each(|(_, event)| places(event));
    answer
}

fn rows(columns: &Value) -> usize {
    columns.as_object().unwrap().values().next().unwrap().as_array().unwrap().len()
}

/// Rows of columns.
fn cut(columns: &Value, from: usize, to: usize) -> Value {
    let cut = |(name, values): (&String, &Value)| (name.clone(), json!(values.as_array().unwrap()[from..to]));
    columns.as_object().unwrap().iter().map(cut).collect::<Map<_, _>>().into()
}

#[tokio::test]
async fn modules_say_what_texts_say_however_their_bars_are_cut() {
    let mut compared = 0;
    for chunk_rows in [1, 7, 4096] {
        let server = Server::with(|config| {
            config.tenant.modules = true;
            config.evaluation.chunk_rows = chunk_rows;
        })
        .await;
        let all = upload(&server).await;
        for data in ["goog_daily", "eurusd_hourly"] {
            for ((_, inputs, params, _), names) in RULES.iter().zip(&all) {
                let columns = account(data, &[&["time"], *inputs].concat());
                let params: Value = serde_json::from_str(params).unwrap();
                let body = json!({"columns": columns, "params": params});
                let mut answers = Vec::new();
                for name in names {
                    let path = format!("/v1/rules/{name}/evaluate?series=verdict,out");
                    answers.push(said(server.post(&path, &body).await.ok()));
                }
                assert!(
                    answers[0]["counts"]["breach"].as_u64() > Some(5),
                    "{data} {names:?}: {}",
                    answers[0]["counts"]
                );
                for (name, answer) in names.iter().zip(&answers) {
                    assert_eq!(*answer, answers[0], "{name} over {data}, {chunk_rows} bars a call");
                    compared += rows(&columns);
                }
            }
        }
    }
    println!("{compared} bars compared");
}

#[tokio::test]
async fn a_stream_of_a_module_has_the_lines_of_its_text() {
    let server = super::server().await;
    let all = upload(&server).await;
    for ((_, inputs, params, _), names) in RULES.iter().zip(&all) {
        let columns = account("eurusd_hourly", &[&["time"], *inputs].concat());
        let mut body = String::new();
        for row in 0..rows(&columns) {
            let bar: Map<_, _> =
                columns.as_object().unwrap().iter().map(|(name, values)| (name.clone(), values[row].clone())).collect();
            body.push_str(&Value::Object(bar).to_string());
            body.push('\n');
        }
        let query = params.replace('"', "%22").replace(' ', "");
        let query = query.replace('{', "%7B").replace('}', "%7D");
        let mut answers = Vec::new();
        for name in names {
            let path = format!("/v1/rules/{name}/evaluate?params={query}");
            let (lines, mut trailer) = stream(&server, &path, LINES, None, body.clone()).await.lines();
            assert!(trailer["error"].is_null(), "{trailer:#}");
            trailer.as_object_mut().unwrap().retain(|name, _| name == "counts" || name == "bars");
            answers.push((lines, trailer));
        }
        for (name, answer) in names.iter().zip(&answers) {
            assert_eq!(answer.0.len(), rows(&columns));
            assert!(*answer == answers[0], "{name}");
        }
    }
}

#[tokio::test]
async fn sessions_of_modules_go_on_in_another_service() {
    const ROWS: usize = 300;
    let redis = Redis::start();
    let over = |directory: &std::path::Path| {
        let mut settings = config(directory);
        settings.tenant.modules = true;
        settings.redis.url = Some(redis.url().into());
        settings.redis.timeout_ms = 5_000;
        settings
    };
    let directory = tempfile::tempdir().unwrap();
    let settings = over(directory.path());
    let mut server = Server::over(directory, settings, None).await;
    let all = upload(&server).await;
    let columns = account("goog_daily", &["time", "equity", "exposure", "stop_exits", "close", "position"]);
    let columns = cut(&columns, 250, 250 + ROWS);
    let mut params = Map::new();
    for ((_, _, given, _), names) in RULES.iter().zip(&all) {
        for name in names {
            params.insert(name.clone(), serde_json::from_str(given).unwrap());
        }
    }
    let body = json!({"rules": "*", "columns": columns, "params": params});
    let whole = server.post("/v1/evaluate?series=verdict,out", &body).await.ok();
    let session = server.post("/v1/sessions", &json!({"rules": "*", "params": params})).await.ok();
    let path = format!("/v1/sessions/{}/bars", session["id"].as_str().unwrap());
    let (mut seq, mut moved, mut breaches) = (0, false, 0);
    while seq < ROWS {
        if seq > ROWS / 2 && !moved {
            moved = true;
            let (directory, key) = server.stop().await;
            let settings = over(directory.path());
            server = Server::over(directory, settings, Some(key)).await;
        }
        // One bar a call, then several.
        let next = (seq + if seq < 100 { 1 } else { 23 }).min(ROWS);
        let answer = server.post(&path, &json!({"seq": seq, "columns": cut(&columns, seq, next)})).await.ok();
        for (bar, said) in (seq..next).zip(answer["bars"].as_array().unwrap()) {
            let rules = said["rules"].as_array().unwrap();
            let of = |name: &String| rules.iter().find(|rule| rule["rule"] == *name).unwrap();
            for (rule, expected) in rules.iter().zip(whole["rules"].as_array().unwrap()) {
                assert_eq!((&rule["rule"], &rule["verdict"]), (&expected["rule"], &expected["series"]["verdict"][bar]));
                for (name, column) in expected["series"]["out"].as_object().unwrap() {
                    assert_eq!(rule["out"][name], column[bar], "{} {name} of bar {bar}", rule["rule"]);
                }
                breaches += usize::from(rule["verdict"] == "breach");
            }
            for names in &all {
                for name in &names[1..] {
                    for field in ["verdict", "action", "keep", "reasons", "out"] {
                        assert_eq!(of(name)[field], of(&names[0])[field], "{name}: {field} of bar {bar}");
                    }
                }
            }
        }
        seq = next;
    }
    println!("{ROWS} bars, {breaches} breaches");
    assert!(moved && breaches > 50);
}

#[tokio::test]
async fn modules_say_what_was_written_down_of_them() {
    let server = super::server().await;
    let all = upload(&server).await;
    for ((rule, inputs, _, _), names) in RULES.iter().zip(&all) {
        let expected = std::fs::read_to_string(sdk(&format!("fixtures/expected/{rule}.json"))).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let mut columns: Map<_, _> = inputs
            .iter()
            .zip(expected["inputs"].as_array().unwrap())
            .map(|(n, c)| ((*n).to_owned(), c.clone()))
            .collect();
        if expected["time"].is_array() {
            columns.insert("time".to_owned(), expected["time"][0].clone());
        }
        let verdicts: Vec<_> = expected["verdicts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|verdict| ["ok", "warn", "breach", "fault"][usize::try_from(verdict.as_u64().unwrap()).unwrap()])
            .collect();
        for name in names {
            let version = server.get(&format!("/v1/rules/{name}/versions/1")).await.ok();
            let manifest = &version["manifest"];
            let mut params = Map::new();
            for (param, value) in
                manifest["params"].as_array().unwrap().iter().zip(expected["params"].as_array().unwrap())
            {
                let value = if param["type"] == "bool" { json!(value.as_f64() == Some(1.0)) } else { value.clone() };
                params.insert(param["name"].as_str().unwrap().to_owned(), value);
            }
            let body = json!({"columns": columns, "params": params});
            let answer = server.post(&format!("/v1/rules/{name}/evaluate?series=verdict,out"), &body).await.ok();
            assert_eq!(answer["series"]["verdict"], json!(verdicts), "{name}");
            for (out, column) in manifest["outs"].as_array().unwrap().iter().zip(expected["outs"].as_array().unwrap()) {
                let got = &answer["series"]["out"][out["name"].as_str().unwrap()];
                if out["type"] == "num" {
                    assert_eq!(got, column, "{name}");
                }
            }
        }
    }
}
