//! Manifests that lie, or are none.

use rulebox_sandbox::selftest::frame;
use serde_json::{Value, json};

use super::{assert_well, fixture, manifest_beside, post_form, server};
use crate::harness::{Answer, Server};

fn frame() -> Vec<u8> {
    frame::assemble("").unwrap()
}

async fn upload(server: &Server, module: Vec<u8>, manifest: &Value) -> Answer {
    post_form(server, "/v1/rules", module, serde_json::to_vec(manifest).unwrap()).await
}

/// The manifest of `AssemblyScript`'s module, changed.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut manifest = serde_json::from_slice(&manifest_beside()).unwrap();
    change(&mut manifest);
    manifest
}

fn input(name: &str) -> Value {
    json!({"name": name, "type": "num", "optional": false})
}

#[tokio::test]
async fn a_manifest_that_lies_is_refused_and_says_what_the_module_has() {
    let server = server().await;
    let value = |column: u32| json!({"value": {"column": column, "name": "v", "type": "num"}});
    let lies: Vec<(Value, &str)> = vec![
        (changed(|m| m["inputs"] = json!([])), "an address for input column 0, which there should not be"),
        (changed(|m| m["inputs"] = json!([input("equity"), input("more")])), "no address for input column 1"),
        (changed(|m| m["outs"] = json!([])), "an address for out column 0, which there should not be"),
        (changed(|m| m["outs"] = json!([{"name": "a", "type": "num"}, {"name": "b", "type": "num"}])), "out column 1"),
        (changed(|m| m["params"] = json!([])), "`rulebox_init` refuses their defaults"),
        (changed(|m| m["params"][0]["default"] = json!(0.5)), ""),
        (changed(|m| m["statements"][0]["message"] = json!([])), "an address for message value 0"),
        (changed(|m| m["statements"][0]["message"] = json!([value(0)])), "an address for message value 1"),
        (changed(|m| m["statements"][0]["message"] = json!([value(0), value(1), value(2)])), "message value 2"),
        (changed(|m| m["statements"][0]["action"] = json!("reduce")), "fractions to keep"),
        (changed(|m| m["state_bytes"] = json!(8)), "`rulebox_state` gives 16, not 8"),
        (changed(|m| m["memory_bytes"] = json!(8)), "write that, or 0"),
        (changed(|m| m["statements"] = json!([])), "message value 0"),
        (changed(|m| m["spans"] = json!([])), "faulted with the word"),
        (changed(|m| m["uses_time"] = json!(true)), "no address for any column of time"),
        (
            changed(|m| m["params"] = json!([m["params"][0], {"name": "more", "type": "num", "default": 1}])),
            "declares as its params `limit`, `more`",
        ),
        (
            changed(|m| m["outs"] = json!([{"name": "a", "type": "num"}, {"name": "b", "type": "num"}])),
            "its outs `a`, `b`",
        ),
    ];
    for (lie, told) in lies {
        let answer = upload(&server, fixture("as_drawdown_guard"), &lie).await;
        if told.is_empty() {
            answer.ok();
            continue;
        }
        let code = answer.json["code"].as_str().unwrap_or_default().to_owned();
        assert!(matches!(&*code, "manifest_invalid" | "module_refused"), "{lie:#}\n{answer:#?}");
        let problem = answer.problem(422, &code);
        assert!(problem["detail"].as_str().unwrap().contains(told), "{told}: {problem:#}");
        assert!(problem["kind"].is_string() && problem["violation_id"].is_string(), "{problem:#}");
    }
    assert_well(&server).await;
}

#[tokio::test]
async fn a_lie_that_cannot_be_seen_is_harmless() {
    let server = server().await;
    // A number is called a truth value, a breach a warning: wrong answers of this rule, and nothing else.
    let lie = changed(|m| {
        m["inputs"][0] = json!({"name": "equity", "type": "bool", "optional": true});
        m["outs"][0]["type"] = json!("bool");
        m["statements"][0]["verdict"] = json!("warn");
        m["statements"][0]["message"][0]["value"] = json!({"column": 0, "name": "drawdown", "type": "clock"});
    });
    upload(&server, fixture("as_drawdown_guard"), &lie).await.ok();
    let columns = json!({"columns": {"equity": [1000, 800, null, 1e300]}});
    let answer = server.post("/v1/rules/drawdown_guard/evaluate?series=verdict,out", &columns).await.ok();
    assert_eq!(answer["counts"], json!({"ok": 1, "warn": 0, "breach": 1, "fault": 2}));
    let bar = json!({"inputs": {"equity": true}});
    server.post("/v1/rules/drawdown_guard/evaluate", &bar).await.ok();
    assert_well(&server).await;
}

#[tokio::test]
async fn another_manifest_for_the_same_module_is_another_digest() {
    let server = server().await;
    let first = upload(&server, fixture("as_drawdown_guard"), &changed(|_| {})).await.ok();
    let other = changed(|m| {
        m["name"] = json!("other");
        m["inputs"][0]["name"] = json!("balance");
    });
    let second = upload(&server, fixture("as_drawdown_guard"), &other).await.ok();
    assert_ne!(first["digest"], second["digest"]);
    // What is loaded for one is not used for the other.
    server.post("/v1/rules/drawdown_guard/evaluate", &json!({"inputs": {"equity": 5}})).await.ok();
    server.post("/v1/rules/other/evaluate", &json!({"inputs": {"balance": 5}})).await.ok();
    server.post("/v1/rules/other/evaluate", &json!({"inputs": {"equity": 5}})).await.problem(422, "unknown_column");
}

#[tokio::test]
async fn every_field_is_held_to_what_the_language_would_write() {
    let server = server().await;
    let good = super::hostile::manifest();
    let set = |path: &str, value: Value| {
        let mut manifest = good.clone();
        *manifest.pointer_mut(path).unwrap() = value;
        manifest
    };
    let long = "a".repeat(65);
    let cases: Vec<(Value, &str)> = vec![
        (json!([1, "array", [], [], []]), ""),
        (set("/inputs/0", json!(["x", "num", false])), "inputs[0]"),
        (set("/clock", json!(["UTC", 0])), "clock"),
        (set("/statements/0/message/0", json!({"value": [0, "v", "num"]})), "statements[0].message[0].value"),
        (json!({"abi": 1, "title": "x"}), "title"),
        (set("/abi", json!(2)), "abi"),
        (set("/name", json!("Upper")), "name"),
        (set("/name", json!("")), "name"),
        (set("/name", json!("a\u{202e}b")), "name"),
        (set("/name", json!(7)), "name"),
        (set("/inputs/0/name", json!("time")), "inputs[0].name"),
        (set("/inputs/0/name", json!("warn")), "inputs[0].name"),
        (set("/inputs/0/name", json!("1a")), "inputs[0].name"),
        (set("/inputs/0/name", json!("größe")), "inputs[0].name"),
        (set("/inputs/0/name", json!(long)), "inputs[0].name"),
        (set("/inputs/0/type", json!("int")), "inputs[0].type"),
        (set("/inputs/0/type", json!("float")), "inputs[0].type"),
        (set("/inputs", json!([input("x"), input("x")])), "inputs[1].name"),
        (set("/params/0/name", json!("x")), "params[0].name"),
        (set("/inputs/0", json!({"name": "x", "type": "num", "optional": false, "range": [2, 1]})), "inputs[0].range"),
        (set("/inputs/0", json!({"name": "x", "type": "bool", "optional": false, "range": [0, 1]})), "inputs[0].range"),
        (set("/inputs/0", json!({"name": "x", "type": "num"})), "inputs[0]"),
        (set("/inputs/0", json!({"name": "x", "type": "num", "optional": false, "unit": "USD"})), "inputs[0].unit"),
        (set("/params/0", json!({"name": "p", "type": "num", "default": 3, "range": [0, 1]})), "params[0].default"),
        (set("/params/0", json!({"name": "p", "type": "bool", "default": 2})), "params[0].default"),
        (set("/params/0", json!({"name": "p", "type": "int", "default": 1.5})), "params[0].default"),
        (set("/params/0", json!({"name": "p", "type": "clock", "default": 1})), "params[0].type"),
        (set("/outs/0/type", json!("clock")), "outs[0].type"),
        (set("/statements", json!(vec![good["statements"][0].clone(); 33])), "statements"),
        (set("/statements/0/message/0/text", json!("a\u{1b}[2J")), "statements[0].message[0]"),
        (set("/statements/0/message/0/text", json!("a".repeat(1_001))), "statements[0].message[0]"),
        (set("/statements/0/message", json!(vec![json!({"text": "a"}); 258])), "statements[0].message"),
        (set("/statements/0/message/0", json!({"value": {"column": 1, "name": "v", "type": "num"}})), "statements"),
        (
            set("/statements/0/message/0", json!({"value": {"column": u32::MAX, "name": "v", "type": "num"}})),
            "statements[0].message[0].column",
        ),
        (
            set("/statements/0/message/0", json!({"value": {"column": 0, "name": "v", "type": "int"}})),
            "statements[0].message[0].type",
        ),
        (
            set(
                "/statements/0/message/0",
                json!({"value": {"column": 0, "name": "v", "type": "num", "format": {"decimals": 200}}}),
            ),
            "statements[0].message[0].format",
        ),
        (set("/statements/0/verdict", json!("fault")), "statements[0].verdict"),
        (set("/statements/0", json!({"verdict": "warn", "message": [], "hold": "day"})), "statements[0].hold"),
        (set("/statements/0", json!({"verdict": "warn", "message": [], "hold": {"bars": 0}})), "statements[0].hold"),
        (set("/clock/zone", json!("Mars/Olympus")), "clock.zone"),
        (set("/clock/day_start", json!(1440)), "clock.day_start"),
        (set("/lookback", json!(u64::MAX)), "lookback"),
        (set("/spans", json!([{"start": 2, "end": 1, "line": 1, "column": 1, "message": "m"}])), "spans[0].end"),
        (
            set("/spans", json!(vec![json!({"start": 0, "end": 0, "line": 1, "column": 1, "message": "m"}); 2_001])),
            "spans",
        ),
    ];
    for (manifest, path) in cases {
        let problem = upload(&server, frame(), &manifest).await.problem(422, "manifest_invalid");
        let at = problem["path"].as_str().unwrap_or_default();
        assert!(at.starts_with(path), "{path}, not {at}: {problem:#}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(path) && !detail.contains(['\u{1b}', '\u{202e}']), "{problem:#}");
        assert!(!detail.contains("struct ") && !detail.contains("`?`"), "{problem:#}");
    }
    for field in ["cost", "edition", "tzdata"] {
        let mut manifest = good.clone();
        manifest[field] = match field {
            "cost" => json!({"bar": 1, "call": 1, "setup": 1, "lines": []}),
            "edition" => json!(1),
            _ => json!("2026a"),
        };
        let problem = upload(&server, frame(), &manifest).await.problem(422, "manifest_invalid");
        assert_eq!(problem["path"], field);
        assert!(problem["detail"].as_str().unwrap().contains("leave it out"), "{problem:#}");
    }
    upload(&server, frame(), &good).await.ok();
}

#[tokio::test]
async fn what_is_no_json_is_no_manifest() {
    let server = server().await;
    let good = serde_json::to_string(&super::hostile::manifest()).unwrap();
    let mut not_utf8 = good.clone().into_bytes();
    let at = good.find("hostile").unwrap();
    not_utf8[at] = 0xff;
    let cases: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"null".to_vec(),
        b"[]".to_vec(),
        "[".repeat(100_000).into_bytes(),
        r#"{"inputs":"#.repeat(10_000).into_bytes(),
        good.as_bytes()[..good.len() - 1].to_vec(),
        format!("{good} {good}").into_bytes(),
        good.replacen("\"abi\":1", "\"abi\":1,\"abi\":1", 1).into_bytes(),
        good.replacen("\"default\":2", "\"default\":1e999", 1).into_bytes(),
        good.replacen("\"default\":2", "\"default\":NaN", 1).into_bytes(),
        not_utf8,
    ];
    for manifest in cases {
        let shown = String::from_utf8_lossy(&manifest).chars().take(80).collect::<String>();
        let answer = post_form(&server, "/v1/rules", frame(), manifest).await;
        let problem = answer.problem(422, "manifest_invalid");
        assert!(problem["detail"].as_str().unwrap().len() < 700, "{shown}: {problem:#}");
    }
    assert_well(&server).await;
}

#[tokio::test]
async fn a_module_of_our_compiler_is_uploaded_as_its_text() {
    let server = server().await;
    server.upload(crate::harness::DRAWDOWN).await;
    let fetched = server.request(reqwest::Method::GET, "/v1/rules/drawdown/versions/1/module").send().await.unwrap();
    let module = fetched.bytes().await.unwrap();
    let problem = super::post_module(&server, "/v1/rules?name=copy", module).await.problem(422, "manifest_invalid");
    assert_eq!(problem["path"], "cost");
    assert!(problem["detail"].as_str().unwrap().contains("upload the text"), "{problem:#}");
}
