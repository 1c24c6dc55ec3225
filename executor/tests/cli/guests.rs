//! Modules: `guest check`, and `run` over the bars of a CSV file.

use rulebox_sandbox::selftest::frame;
use serde_json::{Value, json};

use crate::harness::{Room, repository};

fn sdk(path: &str) -> String {
    repository(&format!("guest-sdk/{path}")).display().to_string()
}

fn module(name: &str) -> String {
    sdk(&format!("fixtures/{name}.wasm"))
}

fn account(name: &str) -> String {
    repository(&format!("executor/demo/{name}.csv")).display().to_string()
}

#[test]
fn a_module_says_what_its_text_says() {
    let room = Room::new();
    let manifest = sdk("examples/assemblyscript/drawdown_guard.json");
    for (rule, modules, param) in [
        ("drawdown_guard", &["rust", "c", "as"][..], "limit=2%"),
        ("trailing_stop", &["rust", "c"], "distance=0.5%"),
        ("session_limits", &["rust"], "loss=1%"),
    ] {
        for data in ["goog_daily", "eurusd_hourly"] {
            let data = account(data);
            let run = |rule: &str, more: &[&str]| {
                let arguments = [&["run", rule, "--data", &data, "--param", param, "--format", "csv"], more].concat();
                room.rulebox(&arguments).ok()
            };
            let text = run(&sdk(&format!("examples/dsl/{rule}.rule")), &[]);
            assert!(text.lines().count() > 2_000 && text.contains(",breach,"), "{rule}");
            for toolchain in modules {
                let more = if *toolchain == "as" { &["--manifest", &*manifest][..] } else { &[] };
                assert_eq!(run(&module(&format!("{toolchain}_{rule}")), more), text, "{toolchain} {rule} {data}");
            }
        }
    }
}

#[test]
fn the_other_formats_are_those_of_texts() {
    let room = Room::new();
    let (module, data) = (module("c_drawdown_guard"), account("goog_daily"));
    let table = room.rulebox(&["run", &module, "--data", &data]).ok();
    assert!(table.contains("liquidate") && table.contains("drawdown_guard"), "{table}");
    let json = room.rulebox(&["run", &module, "--data", &data, "--format", "json"]).ok();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["fuel"].as_u64() > Some(0) && json["digest"].as_str().unwrap().starts_with("sha256:"), "{json:#}");
}

#[test]
fn texts_of_its_own_are_shown() {
    let room = Room::new();
    room.write("b.csv", "equity\n100\n99\n98\n97\n96\n97\n");
    let out = room.rulebox(&["run", &module("c_losing_streak"), "--data", "b.csv", "--format", "csv"]).ok();
    let lines: Vec<_> = out.lines().skip(4).collect();
    let expected =
        ["3,,breach,block,three falling bars in a row", "4,,breach,block,four falling bars in a row", "5,,ok,,"];
    assert_eq!(lines, expected);
    let json = room.rulebox(&["guest", "check", &module("c_losing_streak"), "--format", "json"]).ok();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["own_texts"], true);
}

#[test]
fn what_does_not_go_together_is_told() {
    let room = Room::new();
    let (guard, data) = (module("c_drawdown_guard"), account("goog_daily"));
    let err = room.rulebox(&["run", &guard, "--data", &data, "--engine", "interp"]).refused(2);
    assert!(err.contains("interpreter"), "{err}");
    let err = room.rulebox(&["run", "r.rule", "--data", &data, "--manifest", "m.json"]).refused(2);
    assert!(err.contains("--manifest"), "{err}");
    let err = room.rulebox(&["run", &module("as_drawdown_guard"), "--data", &data]).refused(1);
    assert!(err.contains("rulebox.manifest"), "{err}");
    for command in ["check", "test", "explain"] {
        let err = room.rulebox(&[command, &guard]).refused(1);
        assert!(err.contains("`rulebox guest check "), "{command}: {err}");
    }
    let err = room.rulebox(&["guest", "check", &guard, &guard, "--manifest", "m.json"]).refused(2);
    assert!(err.contains("one module"), "{err}");
}

#[test]
fn check_says_what_a_module_is() {
    let room = Room::new();
    let out = room.rulebox(&["guest", "check", &module("rust_session_limits")]).ok();
    for part in [
        "a service would take it",
        "rule session_limits",
        "exposure",
        "leverage",
        "breach reduce",
        "breach block for day",
        "New_York",
        "sha256:",
        "sessions             yes",
        "those of its statements",
    ] {
        assert!(out.contains(part), "no `{part}` in\n{out}");
    }
    let manifest = sdk("examples/assemblyscript/drawdown_guard.json");
    let arguments = ["guest", "check", &module("as_drawdown_guard"), "--manifest", &manifest, "--format", "json"];
    let json: Value = serde_json::from_str(&room.rulebox(&arguments).ok()).unwrap();
    assert_eq!((&json["taken"], &json["sessions"], &json["own_texts"]), (&json!(true), &json!(true), &json!(false)));
    assert_eq!(json["manifest"]["state_bytes"], 16);
}

#[test]
fn check_names_what_a_module_is_refused_for() {
    let room = Room::new();
    let check = |name: &str, text: &str| {
        room.write(name, frame::assemble(text).unwrap());
        room.rulebox(&["guest", "check", name]).refused(1)
    };
    let hostile =
        |name: &str| std::fs::read_to_string(repository(&format!("executor/sandbox/hostile/{name}.wat"))).unwrap();
    for (name, parts) in [
        ("import_wasi", &["import_forbidden", "wasi_snapshot_preview1", "is WASI"][..]),
        ("bulk_memory", &["module_invalid", "bulk memory", "--target wasm32v1-none"]),
        ("simd", &["module_invalid", "SIMD"]),
        ("no_eval", &["module_invalid", "rulebox_eval"]),
        ("start_function", &["module_invalid", "start function"]),
        ("memory_of_4_gib", &["module_too_large", "pages"]),
    ] {
        let err = check("m.wasm", &hostile(name));
        assert!(parts.iter().all(|part| err.contains(part)), "{parts:?}: {err}");
    }
    let err = check("m.wasm", "");
    assert!(err.contains("rulebox.manifest") && err.contains("m.wasm is refused"), "{err}");

    // One that lies, and one that is stopped in its trial.
    room.write("m.json", r#"{"abi":1,"name":"m","inputs":[],"params":[],"outs":[],"statements":[],
        "uses_time":false,"clock":{"zone":"UTC","day_start":0},"lookback":0,"state_bytes":0,"memory_bytes":0,"spans":[]}"#);
    let with = |text: &str, format: &str| {
        room.write("m.wasm", frame::assemble(text).unwrap());
        room.rulebox(&["guest", "check", "m.wasm", "--manifest", "m.json", "--format", format])
    };
    let err = with("", "text").refused(1);
    assert!(err.contains("input column 0"), "{err}");
    let said = with(&hostile("endless_loop_in_init"), "json");
    let json: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (said.code, &json["taken"], &json["kind"]),
        (Some(1), &json!(false), &json!("fuel_exhausted")),
        "{json:#}"
    );
}

/// A manifest of modules of the frame.
const FRAME: &str = r#"{"abi":1,"name":"m","inputs":[{"name":"x","type":"num","optional":false}],
    "params":[{"name":"factor","type":"num","default":2}],"outs":[{"name":"sum","type":"num"}],
    "statements":[{"verdict":"breach","message":[{"text":"over"}]}],"uses_time":false,
    "clock":{"zone":"UTC","day_start":0},"lookback":0,"state_bytes":0,"memory_bytes":0,"spans":[]}"#;

/// A module of the frame, whose every call does this first.
fn eval(first: &str) -> String {
    let frame = frame::text("").into_owned();
    let at = frame.find("(block $done").unwrap();
    let (before, after) = frame.split_at(at);
    format!("{before}{first}\n{after}").replace("(local $row i32)", "(local $row i32) (local $i i32)")
}

/// So many turns of a loop that does nothing.
fn turns(count: u32) -> String {
    format!(
        "(local.set $i (i32.const {count}))
         (loop $turn (br_if $turn (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
    )
}

#[test]
fn check_says_what_a_trial_could_not_check() {
    let room = Room::new();
    room.write("m.json", FRAME);
    let check = |text: &str, format: &str| {
        room.write("m.wasm", frame::assemble(text).unwrap());
        room.rulebox(&["guest", "check", "m.wasm", "--manifest", "m.json", "--format", format])
    };
    // The sum of the bars 0, 1e9, -1e9 is 0 again on the third.
    let trap = eval("(if (f64.gt (f64.load (i32.const 16)) (f64.const 1e9)) (then unreachable))");
    let said = check(&trap, "text");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("a service would take it"), "{said:?}");
    assert!(said.err.contains("stopped on bar 2: trap") && said.err.contains("not checked"), "{said:?}");
    let said = check(&eval(&turns(400_000)), "text");
    assert!(said.out.contains("a service would take it") && said.out.contains("fuel of a bar"), "{said:?}");
    assert!(said.err.contains("units of fuel; a service gives 1000000 a bar"), "{said:?}");
    let json: Value = serde_json::from_str(&check(&eval(&turns(400_000)), "json").ok()).unwrap();
    let fuel = json["bar_fuel"].as_u64().unwrap();
    println!("{fuel} units a bar");
    assert!(fuel > 1_000_000 && json["warnings"].as_array().unwrap().len() == 1, "{json:#}");
    let json: Value = serde_json::from_str(&check(&eval(""), "json").ok()).unwrap();
    assert!(json["bar_fuel"].as_u64().unwrap() > 0 && json["warnings"] == json!([]), "{json:#}");
    // More than the trial gives to all of its bars.
    let said = check(&eval(&turns(40_000_000)), "text");
    assert!(said.err.contains("stopped on bar 0: fuel_exhausted"), "{said:?}");
}

#[test]
fn check_refuses_the_state_that_a_service_does_not_keep() {
    let room = Room::new();
    room.write("m.json", FRAME);
    let state = |bytes: u32| {
        let text = format!(
            r#"(memory (export "memory") 32)
               (func (export "rulebox_state") (result i64) (i64.const {}))"#,
            (16_u64 << 32) | u64::from(bytes)
        );
        room.write("m.wasm", frame::assemble(&text).unwrap());
        room.rulebox(&["guest", "check", "m.wasm", "--manifest", "m.json"])
    };
    state(1 << 20).ok();
    let err = state((1 << 20) + 8).refused(1);
    assert!(err.contains("memory_limit") && err.contains("has 1048584 bytes; the most"), "{err}");
}

#[test]
fn run_gives_a_module_what_a_service_gives() {
    let room = Room::new();
    room.write("m.json", FRAME);
    room.write("b.csv", "x\n1\n2\n3\n");
    let run = |text: &str, more: &[&str]| {
        room.write("m.wasm", frame::assemble(text).unwrap());
        let arguments = ["run", "m.wasm", "--manifest", "m.json", "--data", "b.csv", "--format", "csv"];
        room.rulebox(&[&arguments[..], more].concat())
    };
    let dear = eval(&turns(4_000_000));
    let err = run(&dear, &[]).refused(1);
    assert!(err.contains("fuel_exhausted") && err.contains("3000000 units") && err.contains("--fuel"), "{err}");
    assert_eq!(run(&dear, &["--fuel", "100000000"]).ok(), run(&eval(""), &[]).ok());
    let err = run(&eval("unreachable"), &[]).refused(1);
    assert!(err.contains("bars 0 to 2") && err.contains("Runner"), "{err}");
    let err = room.rulebox(&["run", "r.rule", "--data", "b.csv", "--fuel", "7"]).refused(2);
    assert!(err.contains("--fuel"), "{err}");
}

#[test]
fn check_names_what_is_no_module_and_lets_no_name_speak_to_the_terminal() {
    let room = Room::new();
    let err = room.rulebox(&["guest", "check", "r.rule"]).refused(1);
    assert!(err.contains("`rulebox check r.rule`"), "{err}");
    room.write("m\u{1b}[31m.wasm", [0x1f, 0x8b, 8, 0]);
    let err = room.rulebox(&["guest", "check", "m\u{1b}[31m.wasm"]).refused(1);
    assert!(err.contains("gzip") && err.contains("m\\u{1b}[31m.wasm") && !err.contains('\u{1b}'), "{err}");
    room.write("long.json", " ".repeat((256 << 10) + 100));
    let module = module("as_drawdown_guard");
    let err = room.rulebox(&["guest", "check", &module, "--manifest", "long.json"]).refused(1);
    assert!(err.contains("more than 262144 bytes"), "{err}");
    room.write("t.json", FRAME.replace(r#""uses_time":false"#, r#""uses_time":true"#));
    room.write("m.wasm", frame::assemble("").unwrap());
    let err = room.rulebox(&["guest", "check", "m.wasm", "--manifest", "t.json"]).refused(1);
    assert!(err.contains("any column of time"), "{err}");
}

#[test]
fn a_fault_has_its_reason_in_every_format() {
    let room = Room::new();
    room.write("b.csv", "equity\n100\n-1\n");
    let guard = module("rust_drawdown_guard");
    let csv = room.rulebox(&["run", &guard, "--data", "b.csv", "--format", "csv"]).ok();
    assert!(csv.contains("1,,fault,,the input `equity` is outside its range"), "{csv}");
}
