//! `run`: what each bar says, in three formats and two engines.

use serde_json::{Value, json};

use crate::harness::{DRAWDOWN, Room, repository};

fn csv(rule: &str, bars: &str) -> Vec<String> {
    let out = Room::new().run(rule, bars, &[]).ok();
    let (head, lines) = out.split_once('\n').unwrap();
    assert_eq!(head, "bar,time,verdict,action,reasons");
    assert!(out.ends_with('\n'));
    lines.lines().map(str::to_owned).collect()
}

#[test]
fn csv_is_one_line_a_bar_with_the_time_as_it_was_read() {
    let bars =
        "drawdown,note,time,equity\n0.01,x,2026-01-05T15:00Z,1\n0.08,,soon,1\n0.1,\"a,b\",,1\n0,,\"a,\"\"b\",1\n";
    assert_eq!(
        csv(DRAWDOWN, bars),
        [
            "0,2026-01-05T15:00Z,ok,,",
            "1,soon,warn,,drawdown 8.00% near 10.00%",
            "2,,breach,liquidate,\"drawdown 10.00%, limit 10.00%\"",
            "3,\"a,\"\"b\",ok,,",
        ]
    );
}

#[test]
fn reasons_are_joined_and_actions_are_the_most_severe() {
    let rule = r#"rule many(x) {
  if x > 1 { warn "one; {x}" }
  if x > 2 { breach block "say ""two""" }
  if x > 3 { breach reduce(0.5) for 2 bars "three" }
}
"#;
    let rule = rule.replace(r#""say ""two""""#, r#""two""#);
    assert_eq!(
        csv(&rule, "x\n1\n2\n3\n4\n0\n0\n"),
        [
            "0,,ok,,",
            "1,,warn,,one; 2",
            "2,,breach,block,one; 3; two",
            "3,,breach,reduce,one; 4; two; three",
            "4,,breach,reduce,three",
            "5,,ok,,",
        ]
    );
}

#[test]
fn what_is_no_number_is_missing_or_a_fault_and_faults_stay() {
    let optional = "rule o(x: num?) = (x ?? 7) == 7\n";
    assert_eq!(csv(optional, "x\n\"\"\nNaN\n-nan\n1\n"), ["0,,breach,,o", "1,,breach,,o", "2,,breach,,o", "3,,ok,,"]);
    for bad in ["inf", "-Infinity"] {
        let why = "fault,,the input `x` is not a finite number or a bool";
        let expected = ["0,,ok,,".to_owned(), format!("1,,{why}"), format!("2,,{why}")];
        assert_eq!(csv(optional, &format!("x\n1\n{bad}\n1\n")), expected, "{bad}");
    }
    // An optional column may be absent; a required cell may not be empty.
    assert_eq!(csv(optional, "y\n1\n"), ["0,,breach,,o"]);
    let missing = "1,,fault,,the required input `x` is missing";
    assert_eq!(csv("rule q(x, y) = x > y\n", "x,y\n1,0\n,0\n"), ["0,,breach,,q", missing]);
    // Outside its range.
    assert_eq!(
        csv(DRAWDOWN, "equity,drawdown\n1,0\n1,1\n1,1.5\n")[2],
        "2,,fault,,the input `drawdown` is outside its range 0..1"
    );
}

#[test]
fn bools_are_four_texts() {
    let rule = "rule b(x: bool?) = x ?? false\n";
    let neither = "0,,fault,,the input `x` is not a finite number or a bool";
    for (cell, line) in [
        ("true", "0,,breach,,b"),
        ("1", "0,,breach,,b"),
        ("false", "0,,ok,,"),
        ("0", "0,,ok,,"),
        ("\"\"", "0,,ok,,"),
        ("NaN", "0,,ok,,"),
        ("True", neither),
        ("yes", neither),
        ("2", neither),
        ("1.0", neither),
        (" 1", neither),
    ] {
        assert_eq!(csv(rule, &format!("x\n{cell}\n")), [line], "{cell}");
    }
}

#[test]
fn times_are_rfc_3339_or_milliseconds_and_do_not_go_back() {
    let rule = "rule t(x) = time_of_day >= 10:00 and x > 0\n";
    let verdicts = |times: &[&str]| -> Vec<String> {
        let bars: String = times.iter().map(|time| format!("{time},1\n")).collect();
        let lines = csv(rule, &format!("ts,x\n{bars}"));
        lines.iter().map(|line| line.split(',').nth(2).unwrap().to_owned()).collect()
    };
    assert_eq!(verdicts(&["1970-01-01T09:59Z", "36000000", "1970-01-01T12:00:00.5+02:00"]), ["ok", "breach", "breach"]);
    assert_eq!(verdicts(&["5", "5", "4", "6"]), ["ok", "ok", "fault", "fault"]);
    for unreadable in ["", "soon", "1970-01-01", "1970-01-01T10:00", "5.5", "1970-13-01T10:00Z"] {
        assert_eq!(verdicts(&["5", unreadable]), ["ok", "fault"], "{unreadable}");
    }
    // `time` before `ts`.
    assert_eq!(csv(rule, "ts,x,time\nsoon,1,36000000\n"), ["0,36000000,breach,,t"]);
}

#[test]
fn tables_show_changes_and_counts() {
    let room = Room::new();
    let bars = "time,equity,drawdown\n1,9,0\n2,9,0.085\n3,9,0.09\n4,9,0.12\n5,9,0\n6,9,7\n7,9,0\n";
    room.write("d.csv", bars);
    insta::assert_snapshot!(room.rulebox(&["run", "r.rule", "--data", "d.csv"]).ok());
}

#[test]
fn json_is_one_object_as_the_api_answers() {
    let room = Room::new();
    room.write("d.csv", "time,equity,drawdown\n1,9,0\n2,9,0.085\n3,9,0.12\n4,9,7\n5,9,0\n");
    let of = |engine| -> Value {
        let arguments = ["run", "r.rule", "--data", "d.csv", "--format", "json", "--engine", engine];
        serde_json::from_str(&room.rulebox(&arguments).ok()).unwrap()
    };
    let (mut wasm, interp) = (of("wasm"), of("interp"));
    assert_eq!(wasm["bars"], 5);
    assert_eq!(wasm["counts"], json!({"ok": 1, "warn": 1, "breach": 1, "fault": 2}));
    assert_eq!(wasm["first"]["breach"]["reasons"], json!(["drawdown 12.00%, limit 10.00%"]));
    assert_eq!(wasm["first"]["breach"]["action"], "liquidate");
    assert_eq!(wasm["first"]["fault"]["fault"]["span"]["line"], 1);
    let changes: Vec<&Value> = wasm["events"].as_array().unwrap().iter().map(|event| &event["bar"]).collect();
    assert_eq!(changes, [1, 2, 3]);
    // The sandbox alone counts fuel and has a module.
    assert!(wasm["fuel"].as_u64().unwrap() > 0 && wasm["digest"].as_str().unwrap().starts_with("sha256:"));
    let fields = wasm.as_object_mut().unwrap();
    fields.remove("fuel");
    fields.remove("digest");
    assert_eq!(wasm, interp);
}

#[test]
fn dear_rules_are_not_late() {
    // Near the dearest bar that compiles: 4,096 of them in one call would be a second of work, and late on a busy
    // machine.
    let lets: String = (0..7).map(|i| format!("  let _a{i} = stdev(x, {}, min: 1)\n", 9_000 + i)).collect();
    let rule = format!("rule dear(x) {{\n{lets}  if _a0 < 0 {{ breach \"no\" }}\n}}\n");
    let room = Room::new();
    room.write("dear.rule", rule);
    let bars: String = (0..6_000).map(|row| format!("{row}\n")).collect();
    room.write("d.csv", format!("x\n{bars}"));
    let out = room.rulebox(&["run", "dear.rule", "--data", "d.csv"]).ok();
    assert_eq!(out, "dear: 6000 bars, 6000 ok, 0 warn, 0 breach, 0 fault\n");
}

#[test]
fn every_example_runs_alike_in_both_engines_over_the_real_account() {
    let room = Room::new();
    let mut ran = 0;
    for entry in std::fs::read_dir(repository("dsl/examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rule") {
            continue;
        }
        let rule = path.to_str().unwrap();
        for bars in ["executor/demo/goog_daily.csv", "executor/demo/eurusd_hourly.csv"].map(repository) {
            let bars = bars.to_str().unwrap();
            let of = |engine| room.rulebox(&["run", rule, "--data", bars, "--format", "csv", "--engine", engine]);
            let wasm = of("wasm");
            assert_eq!(wasm, of("interp"), "{rule}");
            // Other columns, or none at all, are the only reason not to run.
            match wasm.code {
                Some(0) => ran += 1,
                _ => assert!(wasm.err.contains("there is no column"), "{rule}: {}", wasm.err),
            }
        }
    }
    assert!(ran >= 8, "{ran}");
}
