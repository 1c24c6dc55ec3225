//! Every hostile module over HTTP: uploaded, evaluated, and answered by name; after each the service is well.

use rulebox_sandbox::selftest::frame;
use serde_json::{Value, json};

use super::{assert_well, fixture, post_form, post_module};
use crate::harness::Server;

include!("../../../sandbox/hostile/outcomes.rs");

/// What differs from one run in the sandbox, since an upload asks for the state, cuts the run into calls, and resumes it.
const AT_UPLOAD: [(&str, &str); 8] = [
    ("nan_payload", "abi_breach"),
    ("buffer_grows", "abi_breach"),
    ("eval_grows", "abi_breach"),
    ("endless_loop_in_state", "fuel_exhausted"),
    ("state_empty", "abi_breach"),
    ("state_huge", "abi_breach"),
    ("state_moves", "abi_breach"),
    ("state_out_of_bounds", "abi_breach"),
];

/// The manifest of modules of the frame.
pub fn manifest() -> Value {
    json!({
        "abi": 1, "name": "hostile",
        "inputs": [{"name": "x", "type": "num", "optional": false}],
        "params": [{"name": "factor", "type": "num", "default": 2}],
        "outs": [{"name": "sum", "type": "num"}],
        "statements": [{"verdict": "breach", "message": [{"text": "over 100"}]}],
        "uses_time": false, "clock": {"zone": "UTC", "day_start": 0},
        "lookback": 0, "state_bytes": 0, "memory_bytes": 0, "spans": []
    })
}

/// The text of a hostile module.
pub fn wat(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("sandbox/hostile/{name}.wat"));
    std::fs::read_to_string(path).unwrap()
}

/// With limits that every hostile module meets within milliseconds.
pub async fn server() -> Server {
    Server::with(|config| {
        config.tenant.modules = true;
        config.evaluation.fuel = 500_000;
        config.evaluation.memory_bytes = 8 << 20;
        config.evaluation.deadline_ms = 60_000;
    })
    .await
}

/// How a module ends: `upload` or `run`, and its kind; or that there were results.
async fn outcome(server: &Server, name: &str, module: Vec<u8>) -> (&'static str, String) {
    let manifest = serde_json::to_vec(&manifest()).unwrap();
    let uploaded = post_form(server, &format!("/v1/rules?name={name}"), module, manifest).await;
    if uploaded.status != 201 {
        let code = uploaded.json["code"].as_str().unwrap().to_owned();
        let problem = uploaded.problem(422, &code);
        assert!(problem["violation_id"].is_string(), "{name}: {problem:#}");
        assert!(matches!(&*code, "module_refused" | "manifest_invalid"), "{name}: {problem:#}");
        let refused = code == "manifest_invalid" && problem["path"] == "params";
        return (
            "upload",
            if refused { "params_refused".to_owned() } else { problem["kind"].as_str().unwrap().to_owned() },
        );
    }
    let columns = json!({"columns": {"x": [10, 20, 40]}});
    let answer = server.post(&format!("/v1/rules/{name}/evaluate?series=verdict,out"), &columns).await;
    if answer.status == 200 {
        let right = json!({"verdict": ["ok", "ok", "breach"], "out": {"sum": [20.0, 60.0, 140.0]}});
        let results = if answer.json["series"] == right { "ok" } else { "other results" };
        return ("run", results.to_owned());
    }
    let problem = answer.problem(422, "sandbox_violation");
    ("run", problem["kind"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn every_hostile_module_is_answered_by_name() {
    let server = server().await;
    println!("| module | where | outcome |\n|---|---|---|");
    let mut seen = 0;
    for (name, expected) in OUTCOMES {
        let (stage, got) = match frame::assemble(&wat(name)) {
            Ok(module) => outcome(&server, name, module).await,
            Err(error) => panic!("{name}: {error}"),
        };
        println!("| {name} | {stage} | {got} |");
        let here = AT_UPLOAD.iter().find(|(other, _)| *other == name).map(|(_, kind)| ("upload", *kind));
        let kind = expected.split(':').next().unwrap();
        let kind = if name == "table_over_the_run" { "ok" } else { kind };
        match here {
            Some(here) => assert_eq!((stage, &*got), here, "{name}"),
            None => assert_eq!(got, kind, "{name}"),
        }
        assert_well(&server).await;
        seen += 1;
    }
    println!("{seen} modules");
    let high = |kind: &str| format!("rulebox_sandbox_violations_total{{kind=\"{kind}\",severity=\"high\"}}");
    for kind in ["import_forbidden", "module_invalid", "module_too_large", "abi_breach"] {
        assert!(server.metric(&high(kind)).await.unwrap() > 0.0, "{kind}");
    }
}

#[tokio::test]
async fn a_module_is_cut_at_every_100th_byte() {
    let server = server().await;
    let module = fixture("rust_session_limits");
    let mut cuts = 0;
    for length in (0..module.len()).step_by(100) {
        let cut = module.get(..length).unwrap().to_vec();
        let answer = post_module(&server, "/v1/rules?name=cut", cut).await;
        let code = answer.json["code"].as_str().unwrap().to_owned();
        assert!(matches!(&*code, "module_refused" | "manifest_invalid"), "{length}: {answer:#?}");
        let problem = answer.problem(422, &code);
        assert_eq!(problem["kind"], "module_invalid", "{length}: {problem:#}");
        cuts += 1;
    }
    println!("{cuts} cuts of {} bytes", module.len());
    server.get("/v1/rules/cut").await.problem(404, "rule_not_found");
    assert_well(&server).await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_its_size() {
    let server = server().await;
    let mut module = fixture("c_drawdown_guard");
    module.resize((1 << 20) + 1, 0);
    post_module(&server, "/v1/rules", module.clone()).await.problem(413, "body_too_large");
    let manifest = serde_json::to_vec(&manifest()).unwrap();
    let problem = post_form(&server, "/v1/rules", module, manifest).await.problem(422, "module_refused");
    assert_eq!(problem["kind"], "module_too_large");
    // A manifest of 10 MB, in a module and beside one.
    let ten = vec![b' '; 10 << 20];
    let inside = rulebox_sandbox::with_manifest(&frame::assemble("").unwrap(), &ten).unwrap();
    post_module(&server, "/v1/rules", inside).await.problem(413, "body_too_large");
    post_form(&server, "/v1/rules", frame::assemble("").unwrap(), ten).await.problem(413, "body_too_large");
    // One that fits into a body, and is still too large to be read.
    let large = vec![b' '; (256 << 10) + 1];
    let inside = rulebox_sandbox::with_manifest(&frame::assemble("").unwrap(), &large).unwrap();
    let problem = post_module(&server, "/v1/rules", inside).await.problem(422, "manifest_invalid");
    assert!(problem["detail"].as_str().unwrap().contains("262144"), "{problem:#}");
    assert_well(&server).await;
}

/// A module without an import section, with one of these bytes put in before its exports.
fn with_export(name: &[u8], twice: bool) -> Vec<u8> {
    // (module (memory 1) (export NAME (memory 0)))
    let mut exports = vec![if twice { 2 } else { 1 }];
    for _ in 0..exports[0] {
        exports.push(u8::try_from(name.len()).unwrap());
        exports.extend_from_slice(name);
        exports.extend_from_slice(&[2, 0]);
    }
    let mut module = b"\0asm\x01\0\0\0\x05\x03\x01\0\x01\x07".to_vec();
    module.push(u8::try_from(exports.len()).unwrap());
    module.extend_from_slice(&exports);
    module
}

#[tokio::test]
async fn names_that_are_none_and_exports_that_are_there_twice_make_no_module() {
    let server = server().await;
    let refused = async |module: Vec<u8>| {
        let problem = post_module(&server, "/v1/rules?name=m", module).await.problem(422, "module_refused");
        assert_eq!(problem["kind"], "module_invalid", "{problem:#}");
        problem["detail"].as_str().unwrap().to_owned()
    };
    let told = refused(with_export(b"memory", true)).await;
    assert!(told.contains("duplicate"), "{told}");
    let told = refused(with_export(b"mem\xffory", false)).await;
    assert!(told.contains("UTF-8"), "{told}");
    // The name of a custom section.
    let mut module = frame::assemble("").unwrap();
    module.extend_from_slice(b"\0\x03\x02\xff\xfe");
    let told = refused(module).await;
    assert!(told.contains("UTF-8"), "{told}");
    // Terminal controls in an import's name do not come out.
    let module = frame::assemble(r#"(import "\1b[2J" "\e2\80\ae" (func))"#).unwrap();
    let problem = post_module(&server, "/v1/rules?name=m", module).await.problem(422, "module_refused");
    let told = problem["detail"].as_str().unwrap();
    assert!(problem["kind"] == "import_forbidden" && !told.contains(['\u{1b}', '\u{202e}']), "{told}");
}

#[tokio::test]
async fn what_shows_on_some_bars_alone_is_told_then() {
    let server = server().await;
    let manifest = || serde_json::to_vec(&manifest()).unwrap();
    // Each does so at an input of 7 alone, which no trial tries.
    let at_seven = |then: &str| {
        format!(
            r#"(func (export "rulebox_eval") (param $rows i32) (result i32)
              (i32.store8 (i32.const 40960) (i32.const 0))
              (f64.store (i32.const 61440) (f64.const 0))
              (if (f64.eq (f64.load (i32.const 4096)) (f64.const 7)) (then {then}))
              (i32.const 0))"#
        )
    };
    let modules = [
        ("negative", at_seven("(return (i32.const -3))"), "abi_breach"),
        ("verdict", at_seven("(i32.store8 (i32.const 40960) (i32.const 200))"), "abi_breach"),
        ("trap", at_seven("(unreachable)"), "trap"),
        ("grow", at_seven("(drop (memory.grow (i32.const 1000)))"), "memory_limit"),
        ("endless", at_seven("(loop (br 0))"), "fuel_exhausted"),
    ];
    for (name, text, kind) in modules {
        let module = frame::assemble(&text).unwrap();
        post_form(&server, &format!("/v1/rules?name={name}"), module, manifest()).await.ok();
        let path = format!("/v1/rules/{name}/evaluate");
        assert_eq!(server.post(&path, &json!({"inputs": {"x": 6}})).await.ok()["verdict"], "ok");
        let problem = server.post(&path, &json!({"inputs": {"x": 7}})).await.problem(422, "sandbox_violation");
        assert_eq!((&problem["kind"], problem["violation_id"].is_string()), (&json!(kind), true), "{name}");
        let session = server.post("/v1/sessions", &json!({"rules": [name]})).await.ok();
        let bars = format!("/v1/sessions/{}/bars", session["id"].as_str().unwrap());
        server.post(&bars, &json!({"seq": 0, "inputs": {"x": 6}})).await.ok();
        let problem =
            server.post(&bars, &json!({"seq": 1, "inputs": {"x": 7}})).await.problem(422, "sandbox_violation");
        assert_eq!(problem["kind"], kind, "{name}");
        // The bar was not counted.
        server.post(&bars, &json!({"seq": 1, "inputs": {"x": 6}})).await.ok();
    }
    // All together: the others go on, and the verdict is at least a fault.
    let all =
        server.post("/v1/evaluate", &json!({"rules": ["trap", "endless", "verdict"], "inputs": {"x": 7}})).await.ok();
    assert_eq!(all["verdict"], "fault");
    let all = server.post("/v1/evaluate", &json!({"rules": ["trap", "endless"], "inputs": {"x": 6}})).await.ok();
    assert_eq!(all["verdict"], "ok");
    assert_well(&server).await;
}

#[tokio::test]
async fn a_state_that_lies_later_ends_no_session_and_counts_no_bar() {
    let server = server().await;
    // Of a sum of 14: a state of 4 GiB, one that is not there, one that has moved, and none.
    for (name, lie) in [
        ("huge", "0x00000010ffffffff"),
        ("outside", "0x0002000000000008"),
        ("moved", "0x0000002000000008"),
        ("none", "0"),
    ] {
        let text = format!(
            r#"(func (export "rulebox_state") (result i64)
              (if (result i64) (f64.eq (f64.load (i32.const 16)) (f64.const 14))
                (then (i64.const {lie})) (else (i64.const 0x0000001000000008))))"#
        );
        let manifest = serde_json::to_vec(&manifest()).unwrap();
        let path = format!("/v1/rules?name={name}");
        post_form(&server, &path, frame::assemble(&text).unwrap(), manifest).await.ok();
        let session = server.post("/v1/sessions", &json!({"rules": [name]})).await.ok();
        let path = format!("/v1/sessions/{}/bars", session["id"].as_str().unwrap());
        let bar = async |seq: u32, x: u32| server.post(&path, &json!({"seq": seq, "inputs": {"x": x}})).await;
        bar(0, 1).await.ok();
        let problem = bar(1, 6).await.problem(422, "sandbox_violation");
        assert_eq!(problem["kind"], "abi_breach", "{name}");
        let answer = bar(1, 5).await.ok();
        assert_eq!(answer["bars"][0]["rules"][0]["out"]["sum"], json!(12.0), "{name}");
    }
    assert_well(&server).await;
}

#[tokio::test]
async fn texts_of_a_module_are_cleaned_and_a_long_one_is_a_breach() {
    let server = server().await;
    let manifest = || serde_json::to_vec(&manifest()).unwrap();
    let upload = async |name: &str, text: &str| {
        let module = frame::assemble(text).unwrap();
        post_form(&server, &format!("/v1/rules?name={name}"), module, manifest()).await
    };
    upload("controls", &wat("message_of_controls")).await.ok();
    let bar = json!({"inputs": {"x": 100}});
    let answer = server.post("/v1/rules/controls/evaluate", &bar).await.ok();
    assert_eq!(answer["reasons"], json!(["\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd} evil"]));
    upload("huge", &wat("message_of_4_gib")).await.problem(422, "module_refused");
    // Only of the sum 14, which is flagged where a trial does not look.
    let late = r#"(func (export "rulebox_message") (param i32) (result i64)
          (if (result i64) (f64.eq (f64.load (i32.const 16)) (f64.const 114))
            (then (i64.const 0x00000010ffffffff)) (else (i64.const 0))))"#;
    upload("late", late).await.ok();
    let said = async |x: i32| server.post("/v1/rules/late/evaluate", &json!({"inputs": {"x": x}})).await;
    assert_eq!(said(56).await.ok()["reasons"], json!(["over 100"]));
    let problem = said(57).await.problem(422, "sandbox_violation");
    assert_eq!(problem["kind"], "abi_breach");
    assert!(problem["detail"].as_str().unwrap().contains("4294967295 bytes"), "{problem:#}");
    assert_well(&server).await;
}

#[tokio::test]
async fn a_module_without_state_runs_in_no_session() {
    let server = server().await;
    // Its export has another name, so there is none.
    let text = frame::text("").replace("rulebox_state", "other");
    let module = frame::assemble(&text).unwrap();
    let manifest = serde_json::to_vec(&manifest()).unwrap();
    post_form(&server, "/v1/rules?name=stateless", module, manifest.clone()).await.ok();
    let problem =
        server.post("/v1/sessions", &json!({"rules": ["stateless"]})).await.problem(422, "module_without_state");
    assert!(problem["detail"].as_str().unwrap().contains("rulebox_state"), "{problem:#}");
    server.post("/v1/rules/stateless/evaluate", &json!({"inputs": {"x": 1}})).await.ok();
    // A state of no bytes is one, if nothing has to be kept.
    let empty = r#"(func (export "rulebox_state") (result i64) (i64.const 0))
        (func (export "rulebox_eval") (param $rows i32) (result i32) (local $row i32)
          (loop $next
            (f64.store offset=61440 (i32.shl (local.get $row) (i32.const 3))
              (f64.load offset=4096 (i32.shl (local.get $row) (i32.const 3))))
            (local.set $row (i32.add (local.get $row) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $row) (local.get $rows))))
          (i32.const 0))"#;
    post_form(&server, "/v1/rules?name=empty", frame::assemble(empty).unwrap(), manifest).await.ok();
    let session = server.post("/v1/sessions", &json!({"rules": ["empty"]})).await.ok();
    let bars = format!("/v1/sessions/{}/bars", session["id"].as_str().unwrap());
    for seq in 0..3 {
        let answer = server.post(&bars, &json!({"seq": seq, "inputs": {"x": seq + 5}})).await.ok();
        assert_eq!(answer["bars"][0]["rules"][0]["out"]["sum"], json!(f64::from(seq + 5)), "{answer:#}");
    }
}
