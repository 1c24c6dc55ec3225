//! Modules that tenants made, in the service's own process and in executors: the same answers, the same refusals.

use std::path::Path;

use reqwest::blocking::{Client, RequestBuilder};
use rulebox_tests::{Executor, Server, root};
use serde_json::{Value, json};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(root().join(format!("guest-sdk/fixtures/{name}.wasm"))).unwrap()
}

/// Columns of a real account.
fn account(names: &[&str]) -> Value {
    let text = std::fs::read_to_string(root().join("executor/demo/goog_daily.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let rows: Vec<_> = lines.collect();
    let column = |name: &&str| {
        let at = head.iter().position(|cell| cell == name).unwrap();
        let cell = |row: &Vec<&str>| match row[at].parse::<f64>() {
            Ok(number) if *name != "time" => json!(number),
            _ => json!(row[at]),
        };
        ((*name).to_owned(), rows.iter().map(cell).collect::<Value>())
    };
    names.iter().map(column).collect::<serde_json::Map<_, _>>().into()
}

/// Status and body of an answer, without what is of the request.
fn said(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().unwrap();
    let status = answer.status().as_u16();
    let mut body: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
    for own in ["request_id", "trace_id", "violation_id", "created_at", "id"] {
        body.as_object_mut().unwrap().remove(own);
    }
    (status, body)
}

/// Everything that is asked of a service, and what it answers.
fn answers(server: &Server) -> Vec<(String, u16, Value)> {
    let client = Client::builder().no_proxy().build().unwrap();
    let key = server.key.clone().unwrap();
    let request = |path: &str| client.post(format!("{}{path}", server.api)).bearer_auth(&key);
    let mut all = Vec::new();
    let mut ask = |name: &str, request: RequestBuilder| {
        let (status, body) = said(request);
        all.push((name.to_owned(), status, body.clone()));
        body
    };
    let wasm = |path: &str, module: Vec<u8>| request(path).header("content-type", "application/wasm").body(module);
    let inputs = ["time", "equity", "exposure", "stop_exits", "close", "position"];
    let rules: [(&str, &[&str]); 4] = [
        ("rust_session_limits", &inputs[..4]),
        ("rust_trailing_stop", &inputs[4..]),
        ("c_drawdown_guard", &inputs[1..2]),
        ("c_losing_streak", &inputs[1..2]),
    ];
    for (name, columns) in rules {
        ask(name, wasm(&format!("/v1/rules?name={name}"), fixture(name)));
        let columns = account(columns);
        let body = json!({ "columns": columns });
        ask(name, request(&format!("/v1/rules/{name}/evaluate?series=verdict,out")).json(&body));
        let session = request("/v1/sessions").json(&json!({"rules": [name]})).send().unwrap();
        let session: Value = serde_json::from_str(&session.text().unwrap()).unwrap();
        let path = format!("/v1/sessions/{}/bars", session["id"].as_str().unwrap_or_else(|| panic!("{session}")));
        for seq in 0..5 {
            let cut =
                |(name, values): (&String, &Value)| (name.clone(), json!(values.as_array().unwrap()[seq * 40..][..40]));
            let part: serde_json::Map<_, _> = columns.as_object().unwrap().iter().map(cut).collect();
            ask(name, request(&path).json(&json!({"seq": seq * 40, "columns": part})));
        }
    }
    // What is refused, and why: by the gate, and in the trial.
    ask("cut", wasm("/v1/rules?name=cut", fixture("rust_trailing_stop")[..2_000].to_vec()));
    ask("none", wasm("/v1/rules?name=none", fixture("as_drawdown_guard")));
    // A manifest of as many bytes that says another name, type, or number of params.
    let module = fixture("c_drawdown_guard");
    for (name, from, to) in [
        ("name", "\"equity\"", "\"Equity\""),
        ("type", "\"type\": \"num\"", "\"type\": \"int\""),
        ("default", "\"default\": 0.1", "\"default\":   9"),
        ("bytes", "\"state_bytes\": 16", "\"state_bytes\": 24"),
    ] {
        let mut module = module.clone();
        let at = module.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        module[at..at + to.len()].copy_from_slice(to.as_bytes());
        ask(name, wasm("/v1/rules?name=lie", module));
    }
    // Without a state to be asked for, a module is started all the same.
    for init in ["(loop $again (br $again)) (i32.const 0)", "unreachable", "(i32.const -5)"] {
        ask(init, wasm("/v1/rules?name=start", starting_with(init)));
    }
    all
}

/// A module whose `rulebox_init` does this.
fn starting_with(init: &str) -> Vec<u8> {
    let manifest = json!({
        "abi": 1, "name": "m", "inputs": [{"name": "equity", "type": "num", "optional": false}], "params": [], "outs": [],
        "statements": [], "uses_time": false, "clock": {"zone": "UTC", "day_start": 0}, "spans": [], "lookback": 0,
        "state_bytes": 0, "memory_bytes": 0,
    });
    let manifest = manifest.to_string().replace('"', "\\22");
    let text = format!(
        r#"(module (memory (export "memory") 2) (global (export "rulebox_abi_1") i32 (i32.const 1))
        (func (export "rulebox_init") (param i32) (result i32) {init})
        (func (export "rulebox_buffer") (param $kind i32) (param $index i32) (param $bytes i32) (result i32)
            (if (local.get $index) (then (return (i32.const 0))))
            (if (i32.eq (local.get $kind) (i32.const 1)) (then (return (i32.const 4096))))
            (if (i32.eq (local.get $kind) (i32.const 6)) (then (return (i32.const 40960))))
            (if (i32.eq (local.get $kind) (i32.const 7)) (then (return (i32.const 45056))))
            (i32.const 0))
        (func (export "rulebox_reset")) (func (export "rulebox_eval") (param i32) (result i32) (i32.const 0))
        (@custom "rulebox.manifest" "{manifest}"))"#
    );
    wat::parse_str(text).unwrap()
}

fn start(directory: &Path, more: &[(&str, &str)]) -> Server {
    let settings = [&[("RULEBOX_TENANT__MODULES", "true")], more].concat();
    Server::try_start(directory, &settings).unwrap()
}

#[test]
fn modules_answer_the_same_in_executors() {
    let directory = tempfile::tempdir().unwrap();
    let alone = start(&directory.path().join("all"), &[]);
    let place = format!("unix:{}/executor.sock", directory.path().display());
    let _executor = Executor::start(&place, &[]);
    let api =
        start(&directory.path().join("api"), &[("RULEBOX_ROLE", "api"), ("RULEBOX_EXECUTORS__ADDRESSES", &place)]);
    let (here, there) = (answers(&alone), answers(&api));
    assert!(here.len() > 25);
    for (here, there) in here.iter().zip(&there) {
        assert_eq!(here, there);
    }
    let refused = here.iter().filter(|(_, status, _)| *status == 422).count();
    let texts = here.iter().filter(|(_, _, body)| body.to_string().contains("falling bars in a row")).count();
    assert!(refused == 9 && texts >= 2, "{refused} refusals, {texts} answers with texts");
}
