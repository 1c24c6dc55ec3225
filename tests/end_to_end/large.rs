//! A million bars: as JSON over HTTP, and as CSV on the command line.

use std::fmt::Write as _;
use std::io::BufRead;
use std::process::Command;
use std::time::Instant;

use rulebox_tests::{Server, binary, root};
use serde_json::{Value, json};

const ROWS: u32 = 1_000_000;

/// Equity and drawdown of a bar: a slow wave with a fast one on it.
fn account(row: u32) -> (f64, f64) {
    let t = f64::from(row);
    let equity = 100_000.0 + 9_000.0 * (t / 50_000.0).sin() + 500.0 * (t / 77.0).sin();
    (equity, ((109_500.0 - equity) / 109_500.0).clamp(0.0, 1.0))
}

#[test]
fn a_million_bars_of_json_pass_by_default() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let key = server.key.clone().unwrap();
    let source = std::fs::read_to_string(root().join("dsl/examples/check_custom_rule.rule")).unwrap();
    let rule = json!({"name": "check_custom_rule", "source": source});
    server.post(&key, "/v1/rules", &rule).unwrap().error_for_status().unwrap();
    let (mut equity, mut drawdown, mut time) = (String::new(), String::new(), String::new());
    for row in 0..ROWS {
        let (e, d) = account(row);
        let comma = if row == 0 { "" } else { "," };
        write!(equity, "{comma}{e}").unwrap();
        write!(drawdown, "{comma}{d}").unwrap();
        write!(time, "{comma}{}", 1_700_000_000_000_i64 + 60_000 * i64::from(row)).unwrap();
    }
    let body = format!("{{\"columns\":{{\"time\":[{time}],\"equity\":[{equity}],\"drawdown\":[{drawdown}]}}}}");
    let size = body.len();
    let began = Instant::now();
    let response = server
        .client()
        .post(format!("{}/v1/rules/check_custom_rule/evaluate", server.api))
        .bearer_auth(&key)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .unwrap();
    let answer: Value = response.error_for_status().unwrap().json().unwrap();
    let elapsed = began.elapsed();
    println!("{ROWS} bars, {size} bytes of JSON: {elapsed:?}, {:.0} bars/s", f64::from(ROWS) / elapsed.as_secs_f64());
    assert_eq!(answer["bars"], ROWS);
    let breaches = (0..ROWS).filter(|&row| account(row).1 >= 0.1 - 1e-12).count();
    assert_eq!(answer["counts"]["breach"], breaches);
    assert_eq!(answer["counts"]["fault"], 0);
}

#[test]
fn a_million_rows_of_csv_run_in_both_engines_alike() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("bars.csv");
    let mut text = String::from("time,equity,drawdown\n");
    for row in 0..ROWS {
        let (e, d) = account(row);
        writeln!(text, "{},{e},{d}", 1_700_000_000_000_i64 + 60_000 * i64::from(row)).unwrap();
    }
    std::fs::write(&data, text).unwrap();
    let run = |engine: &str| {
        let began = Instant::now();
        let output = Command::new(binary())
            .args(["run", "dsl/examples/check_custom_rule.rule", "--format", "csv", "--engine", engine, "--data"])
            .arg(&data)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stderr.is_empty(), "a pipe gets no progress: {}", String::from_utf8_lossy(&output.stderr));
        println!("{engine}: {:?}", began.elapsed());
        output.stdout
    };
    let wasm = run("wasm");
    assert!(wasm == run("interp"), "the engines differ");
    assert_eq!(wasm.lines().count(), ROWS as usize + 1);
    assert!(wasm.starts_with(b"bar,time,verdict,action,reasons\n0,1700000000000,"));
}
