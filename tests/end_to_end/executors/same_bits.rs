//! What a rule says does not depend on where it runs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rulebox_tests::{Server, root};
use serde_json::{Map, Value, json};

use super::{Near, body};

/// The columns of a real account.
fn account() -> BTreeMap<String, Vec<Value>> {
    let text = std::fs::read_to_string(root().join("executor/demo/eurusd_hourly.csv")).unwrap();
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap().split(',').collect();
    let mut columns = BTreeMap::<_, Vec<_>>::new();
    for line in lines {
        for (name, cell) in names.iter().zip(line.split(',')) {
            let value = if *name == "time" { json!(cell) } else { json!(cell.parse::<f64>().unwrap()) };
            columns.entry((*name).to_owned()).or_default().push(value);
        }
    }
    columns
}

/// The columns that a rule takes: of the account, or else a wave.
fn inputs(made: &Value, account: &BTreeMap<String, Vec<Value>>) -> Map<String, Value> {
    let rows = account["time"].len();
    let mut columns = Map::new();
    columns.insert("time".to_owned(), json!(account["time"]));
    for input in made["manifest"]["inputs"].as_array().unwrap() {
        let name = input["name"].as_str().unwrap();
        let wave = |row: usize| {
            let up = (row / 7).is_multiple_of(3);
            if input["type"] == "bool" { json!(up) } else { json!(if up { 1.0 } else { 0.25 }) }
        };
        let column = account.get(name).map_or_else(|| (0..rows).map(wave).collect(), |column| json!(column));
        columns.insert(name.to_owned(), column);
    }
    columns
}

/// An answer without what is of the request.
fn said(answer: Value) -> Value {
    match answer {
        Value::Object(fields) => {
            let of_request = ["id", "request_id", "trace_id", "violation_id"];
            fields
                .into_iter()
                .filter(|(name, _)| !of_request.contains(&name.as_str()))
                .map(|(n, v)| (n, said(v)))
                .collect()
        }
        Value::Array(items) => items.into_iter().map(said).collect(),
        other => other,
    }
}

/// One bar of columns.
fn bar(columns: &Map<String, Value>, row: usize) -> Value {
    let at = |name: &String| columns[name][row].clone();
    let inputs: Map<_, _> =
        columns.keys().filter(|name| *name != "time").map(|name| (name.clone(), at(name))).collect();
    json!({"inputs": inputs, "time": columns["time"][row]})
}

/// All ways of asking about every example, and what is answered.
fn answers(server: &Server, key: &str) -> Vec<(String, Value)> {
    let account = account();
    let mut all = Vec::new();
    let mut examples: Vec<_> =
        std::fs::read_dir(root().join("dsl/examples")).unwrap().map(|file| file.unwrap().path()).collect();
    examples.retain(|file| file.extension().is_some_and(|extension| extension == "rule"));
    examples.sort_unstable();
    for file in &examples {
        let source = std::fs::read_to_string(file).unwrap();
        let made = body(server.post(key, "/v1/rules", &json!({ "source": source })), 201);
        let rule = made["rule"].as_str().unwrap();
        let columns = inputs(&made, &account);
        let ask = |path: &str, request: &Value| {
            let answer = server.post(key, path, request).unwrap();
            said(json!([answer.status().as_u16(), answer.json::<Value>().unwrap()]))
        };
        all.push((format!("{rule}: tests"), ask(&format!("/v1/rules/{rule}/test"), &Value::Null)));
        let evaluate = format!("/v1/rules/{rule}/evaluate");
        all.push((format!("{rule}: a bar"), ask(&evaluate, &bar(&columns, 100))));
        let series = ask(&format!("{evaluate}?series=verdict,out"), &json!({ "columns": columns }));
        all.push((format!("{rule}: columns"), series));
        let session = body(server.post(key, "/v1/sessions", &json!({"rules": [rule]})), 201);
        let id = session["id"].as_str().unwrap();
        for (seq, rows) in [(0, 0..1), (1, 1..40), (40, 40..41)] {
            let some: Map<_, _> = columns
                .iter()
                .map(|(name, column)| (name.clone(), json!(column.as_array().unwrap()[rows.clone()])))
                .collect();
            let answer = ask(&format!("/v1/sessions/{id}/bars"), &json!({"seq": seq, "columns": some}));
            all.push((format!("{rule}: session from {seq}"), answer));
        }
        let line = |row: usize| {
            let mut line: Map<_, _> =
                columns.iter().map(|(name, column)| (name.clone(), column[row].clone())).collect();
            if made["manifest"]["uses_time"] != true {
                line.remove("time");
            }
            format!("{}\n", Value::Object(line))
        };
        let lines = (0..5_000).map(line).collect::<Vec<_>>().concat();
        let request = server.client().post(format!("{}{evaluate}", server.api)).bearer_auth(key);
        let answer = request.header("content-type", "application/x-ndjson").body(lines).send().unwrap();
        assert_eq!(answer.status(), 200, "{rule}");
        let text = answer.text().unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| said(serde_json::from_str(line).unwrap())).collect();
        // What it used depends on how its bars came.
        let trailer = lines.last_mut().and_then(Value::as_object_mut).unwrap();
        trailer.remove("fuel");
        trailer.values_mut().filter_map(Value::as_object_mut).for_each(|end| drop(end.remove("fuel")));
        assert!(
            lines.len() > 5_000 || lines.last().unwrap().to_string().contains("error"),
            "{rule}: {:?}",
            lines.last()
        );
        all.push((format!("{rule}: stream"), Value::Array(lines)));
    }
    assert!(examples.len() > 30, "{} examples", examples.len());
    all
}

/// Every call is interpreted as well, and every check has a place to wait.
const CHECKED: [(&str, &str); 2] = [("RULEBOX_DIFFERENTIAL__ONE_IN", "1"), ("RULEBOX_DIFFERENTIAL__QUEUE", "10000")];

/// Waits until as many checks are done, and sees that none found a difference or was left out. Of each rule: its upload, a
/// bar, columns, and the first call of a session.
fn assert_checked(server: &Server, rules: usize) {
    let began = Instant::now();
    loop {
        let metrics = server.client().get(format!("{}/metrics", server.health)).send().unwrap().text().unwrap();
        let count = |source: &str, result: &str| {
            let name = format!("rulebox_differential_checks_total{{result=\"{result}\",source=\"{source}\"}} ");
            metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse::<usize>().ok()).unwrap()
        };
        let of = |result: &str| (count("upload", result), count("sample", result));
        assert_eq!((of("different"), of("skipped")), ((0, 0), (0, 0)));
        if of("same") == (rules, 3 * rules) {
            println!("{} checks, the last {:?} after the last answer", 4 * rules, began.elapsed());
            return;
        }
        assert!(began.elapsed() < Duration::from_mins(2), "{:?} of {rules} rules", of("same"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn every_answer_is_the_same_as_in_one_process() {
    let near = Near::with(2, &CHECKED);
    let directory = tempfile::tempdir().unwrap();
    let alone = Server::try_start(directory.path(), &CHECKED).unwrap();
    let key = alone.key.clone().unwrap();
    let (there, here) = std::thread::scope(|scope| {
        let there = scope.spawn(|| answers(&near.api, &near.key));
        (answers(&alone, &key), there.join().unwrap())
    });
    assert_eq!(there.len(), here.len());
    let mut bars = 0;
    for ((what, there), (_, here)) in there.iter().zip(&here) {
        assert!(there == here, "{what}\nthere: {:.2000}\nhere:  {:.2000}", there.to_string(), here.to_string());
        bars += there[1]["bars"].as_u64().unwrap_or_default();
    }
    let rules = here.iter().filter(|(what, _)| what.ends_with(": tests")).count();
    for server in [&near.api, &alone] {
        assert_checked(server, rules);
    }
    println!("{} answers, of {bars} bars of columns alone, the same from executors as from one process", there.len());
}
