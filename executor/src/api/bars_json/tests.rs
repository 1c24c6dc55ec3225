use super::*;
use crate::domain::bars::ParamValue;

fn settings() -> config::Evaluation {
    let directory = std::path::Path::new("unused");
    let mut settings = config::Config::on_free_ports(directory).unwrap().evaluation;
    (settings.rows, settings.columns, settings.cells, settings.rules) = (5, 3, 15, 2);
    settings
}

fn one(json: &str) -> Result<Request, Problem> {
    read(json.as_bytes(), Form::OneRule, &settings())
}

fn several(json: &str) -> Result<Request, Problem> {
    read(json.as_bytes(), Form::SeveralRules, &settings())
}

/// Code and path of a refusal.
fn refusal(result: Result<Request, Problem>) -> (&'static str, String) {
    let problem = result.unwrap_err();
    (problem.code.info().code, problem.path.unwrap_or_default().into())
}

#[test]
fn columns_are_read_with_what_is_missing_and_what_is_true() {
    let request =
        one(r#"{"columns": {"time": ["2026-01-05T15:00Z", 5, null, "soon", 1.5], "a": [1, -2.5, null, 1e2, 18446744073709551615],
            "b": [0, 1, true, false, null]}, "params": {"x": 0.1, "y": true, "z": 3}}"#)
        .unwrap();
    let missing = rulebox_abi::TIME_MISSING;
    assert_eq!(request.bars.time.unwrap(), [1_767_625_200_000, 5, missing, missing, missing]);
    let [a, b] = &request.bars.columns[..] else { panic!("two columns") };
    assert_eq!((a.values[0], a.values[1], a.values[3], a.values[4]), (1.0, -2.5, 100.0, 2_f64.powi(64)));
    assert_eq!(a.values[2].to_bits(), rulebox_abi::MISSING_BITS);
    assert_eq!((a.first_bool, b.first_bool), (None, Some(2)));
    assert_eq!(&b.values[..4], [0.0, 1.0, 1.0, 0.0]);
    assert_eq!((request.bars.rows, request.bars.single), (5, false));
    let params = [("x", ParamValue::Num(0.1)), ("y", ParamValue::Bool(true)), ("z", ParamValue::Num(3.0))];
    assert_eq!(request.params, params.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn one_bar_is_read_with_its_time_beside_it() {
    let request = one(r#"{"inputs": {"a": 1, "b": null}, "time": 7}"#).unwrap();
    assert_eq!((request.bars.rows, request.bars.single, request.bars.time), (1, true, Some(vec![7])));
    assert_eq!(request.bars.columns.len(), 2);
}

#[test]
fn several_rules_have_params_by_rule() {
    let request =
        several(r#"{"rules": ["a", "b"], "versions": {"a": 3}, "params": {"b": {"x": 1}}, "inputs": {}}"#).unwrap();
    assert_eq!(request.rules, Some(Rules::Named(vec!["a".to_owned(), "b".to_owned()])));
    assert_eq!(request.versions, [("a".to_owned(), 3)]);
    assert_eq!(request.rule_params, [("b".to_owned(), vec![("x".to_owned(), ParamValue::Num(1.0))])]);
    assert_eq!(several(r#"{"rules": "*", "inputs": {}}"#).unwrap().rules, Some(Rules::All));
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for (json, path) in [
        ("", ""),
        ("{", ""),
        (r#"{"columns": {"a": [1, 2"#, "columns.a[2]"),
        (r#"{"columns": {"a": [1, NaN]}}"#, "columns.a[1]"),
        (r#"{"columns": {"a": [Infinity]}}"#, "columns.a[0]"),
        (r#"{"columns": {"a": [1, -Infinity]}}"#, "columns.a[1]"),
        (r#"{"columns": {"a": [1, 1, 1e999]}}"#, "columns.a[2]"),
        (r#"{"inputs": {"a": 1e999}}"#, "inputs.a"),
        (r#"{"columns": {"a": [1,]}}"#, "columns.a[1]"),
        (r#"{"inputs": {"a": 01}}"#, "inputs.a"),
        (r#"{"inputs": {}} x"#, ""),
    ] {
        assert_eq!(refusal(one(json)), ("malformed_json", path.to_owned()), "{json}");
    }
    let problem = one("{\"columns\":\n {\"a\": [1, NaN]}}").unwrap_err();
    assert_eq!(problem.position, Some((2, 12)));
}

#[test]
fn json_of_another_shape_is_refused_with_its_path() {
    for (json, code, path) in [
        ("[]", "invalid_request", ""),
        ("{}", "invalid_request", ""),
        (r#"{"columns": {}, "inputs": {}}"#, "invalid_request", ""),
        (r#"{"columns": {}, "time": 1}"#, "invalid_request", ""),
        (r#"{"colums": {}}"#, "invalid_request", "colums"),
        (r#"{"inputs": {}, "rules": "*"}"#, "invalid_request", "rules"),
        (r#"{"inputs": {}, "inputs": {}}"#, "invalid_request", "inputs"),
        (r#"{"inputs": {"a": 1, "a": 2}}"#, "invalid_request", "inputs.a"),
        (r#"{"columns": {"a": [1], "a": [2]}}"#, "invalid_request", "columns.a"),
        (r#"{"columns": {"time": [1], "time": [2]}}"#, "invalid_request", "columns.time"),
        (r#"{"inputs": {"time": 1}}"#, "invalid_request", "inputs.time"),
        (r#"{"inputs": []}"#, "invalid_request", "inputs"),
        (r#"{"columns": {"a": 1}}"#, "invalid_request", "columns.a"),
        (r#"{"columns": {"a": {"0": 1}}}"#, "invalid_request", "columns.a"),
        (r#"{"columns": {"a": [1, "2"]}}"#, "column_type", "columns.a[1]"),
        (r#"{"columns": {"a": [1, 2, "NaN"]}}"#, "column_type", "columns.a[2]"),
        (r#"{"columns": {"a": [[1]]}}"#, "column_type", "columns.a[0]"),
        (r#"{"columns": {"a": [1, {}]}}"#, "column_type", "columns.a[1]"),
        (r#"{"columns": {"time": [true]}}"#, "column_type", "columns.time[0]"),
        (r#"{"inputs": {"a": "x"}}"#, "column_type", "inputs.a"),
        (r#"{"inputs": {}, "time": {}}"#, "column_type", "time"),
        (r#"{"inputs": {}, "params": {"x": "1"}}"#, "param_type", "params.x"),
        (r#"{"inputs": {}, "params": {"x": null}}"#, "param_type", "params.x"),
        (r#"{"columns": {"a": [1, 2], "b": [1]}}"#, "column_lengths", "columns.b"),
        (r#"{"columns": {"time": [1], "b": []}}"#, "column_lengths", "columns.b"),
    ] {
        assert_eq!(refusal(one(json)), (code, path.to_owned()), "{json}");
    }
    for (json, code, path) in [
        (r#"{"inputs": {}}"#, "invalid_request", "rules"),
        (r#"{"rules": "all", "inputs": {}}"#, "invalid_request", "rules"),
        (r#"{"rules": [], "inputs": {}}"#, "invalid_request", "rules[0]"),
        (r#"{"rules": ["a", "a"], "inputs": {}}"#, "invalid_request", "rules[1]"),
        (r#"{"rules": ["a", 1], "inputs": {}}"#, "invalid_request", "rules[1]"),
        (r#"{"rules": ["a", "b", "c"], "inputs": {}}"#, "too_many_rules", "rules[2]"),
        (r#"{"rules": "*", "inputs": {}, "params": {"a": {"x": []}}}"#, "param_type", "params.a.x"),
        (r#"{"rules": "*", "inputs": {}, "versions": {"a": -1}}"#, "invalid_request", "versions.a"),
    ] {
        assert_eq!(refusal(several(json)), (code, path.to_owned()), "{json}");
    }
}

#[test]
fn limits_hold_while_reading() {
    let too_many = "too_many_values";
    let rows = |n: usize| format!(r#"{{"columns": {{"a": [{}]}}}}"#, vec!["1"; n].join(","));
    assert_eq!(one(&rows(5)).unwrap().bars.rows, 5);
    assert_eq!(refusal(one(&rows(6))), (too_many, "columns.a[5]".to_owned()));
    let columns = |n: usize| {
        let columns: Vec<_> = (0..n).map(|i| format!(r#""c{i}": [1,1,1,1,1]"#)).collect();
        format!(r#"{{"columns": {{{}}}}}"#, columns.join(","))
    };
    let tight = config::Evaluation { cells: 12, ..settings() };
    let tightly = |json: &str| read(json.as_bytes(), Form::OneRule, &tight);
    assert!(tightly(&columns(2)).is_ok());
    assert_eq!(refusal(tightly(&columns(3))), (too_many, "columns.c2[2]".to_owned()));
    assert_eq!(refusal(one(r#"{"inputs": {"a": 1, "b": 1, "c": 1, "d": 1}}"#)), (too_many, "inputs.d".to_owned()));
}

#[test]
fn depth_bombs_end_at_once() {
    for json in [
        "[".repeat(1_000_000),
        format!(r#"{{"columns": {{"a": {}"#, "[".repeat(1_000_000)),
        format!(r#"{{"inputs": {}"#, r#"{"a":"#.repeat(1_000_000)),
        format!(r#"{{"x": {}"#, "[".repeat(1_000_000)),
    ] {
        assert!(one(&json).is_err());
    }
}

#[test]
fn long_names_are_cut_in_messages() {
    let problem = one(&format!(r#"{{"{}": 1}}"#, "x".repeat(100_000))).unwrap_err();
    assert!(problem.detail.len() < 300 && problem.path.unwrap().len() < 100);
}
