//! A session gives, bar by bar, what one evaluation of the whole series gives, bit for bit: over real bars, in random
//! pieces, and moved to another service in the middle.

use std::collections::BTreeMap;
use std::path::Path;

use rulebox_tests::servers::redis::Redis;
use serde_json::{Map, Value, json};

use crate::harness::{Server, config};

/// Bars of the account that the demonstration shows.
const ROWS: usize = 400;

/// A source of numbers that are the same at every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u32) -> u32 {
        // Knuth's MMIX.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % below
    }
}

/// The first columns of a real account, and a walk for what it does not have.
fn columns(manifests: &[Value]) -> Map<String, Value> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/eurusd_hourly.csv")).unwrap();
    let mut lines = text.lines();
    let head: Vec<_> = lines.next().unwrap().split(',').collect();
    let rows: Vec<Vec<_>> = lines.take(ROWS).map(|line| line.split(',').collect()).collect();
    let mut numbers = Numbers(7);
    let mut columns = Map::new();
    columns.insert("time".to_owned(), rows.iter().map(|row| json!(row[0])).collect());
    for input in manifests.iter().flat_map(|manifest| manifest["inputs"].as_array().unwrap()) {
        let name = input["name"].as_str().unwrap();
        let at = head.iter().position(|column| *column == name);
        let (low, high) = (input["range"][0].as_f64().unwrap_or(0.0), input["range"][1].as_f64().unwrap_or(1e6));
        let mut level = low + (high.min(1e6) - low) / 2.0;
        let values = rows.iter().map(|row| match at {
            Some(at) => json!(row[at].parse::<f64>().unwrap()),
            None if input["type"] == "bool" => json!(numbers.next(2) == 0),
            None if input["optional"] == true && numbers.next(5) == 0 => Value::Null,
            None => {
                level =
                    (level + (high.min(1e6) - low) * (f64::from(numbers.next(101)) - 50.0) / 2_000.0).clamp(low, high);
                json!(level.round().clamp(low, high))
            }
        });
        columns.insert(name.to_owned(), values.collect());
    }
    columns
}

/// Rows of the columns.
fn cut(columns: &Map<String, Value>, from: usize, to: usize) -> Value {
    let cut = |(name, values): (&String, &Value)| (name.clone(), json!(values.as_array().unwrap()[from..to]));
    columns.iter().map(cut).collect::<Map<_, _>>().into()
}

#[tokio::test]
async fn a_session_gives_what_one_evaluation_gives_bit_for_bit() {
    let redis = Redis::start();
    let over = |directory: &Path| {
        let mut settings = config(directory);
        settings.redis.url = Some(redis.url().into());
        settings.redis.timeout_ms = 5_000;
        settings
    };
    let directory = tempfile::tempdir().unwrap();
    let settings = over(directory.path());
    let mut server = Server::over(directory, settings, None).await;
    let mut manifests = Vec::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dsl/examples");
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rule") {
            manifests.push(server.upload(&std::fs::read_to_string(path).unwrap()).await["manifest"].clone());
        }
    }
    assert!(manifests.len() >= 25, "{}", manifests.len());
    let columns = columns(&manifests);
    let body = json!({"rules": "*", "columns": columns});
    let whole = server.post("/v1/evaluate?series=verdict,out", &body).await.ok();
    let outs: Vec<&Map<_, _>> =
        whole["rules"].as_array().unwrap().iter().map(|rule| rule["series"]["out"].as_object().unwrap()).collect();
    let mut events = BTreeMap::new();
    for (rule, said) in whole["rules"].as_array().unwrap().iter().enumerate() {
        for event in said["events"].as_array().unwrap() {
            events.insert((usize::try_from(event["bar"].as_u64().unwrap()).unwrap(), rule), event);
        }
    }
    assert!(events.len() > 50, "{} changes of verdict say little", events.len());

    let session = server.post("/v1/sessions", &json!({"rules": "*"})).await.ok();
    let path = format!("/v1/sessions/{}/bars", session["id"].as_str().unwrap());
    let (mut numbers, mut seq, mut calls, mut moved) = (Numbers(1), 0, 0, false);
    while seq < ROWS {
        if seq > ROWS / 2 && !moved {
            moved = true;
            let (directory, key) = server.stop().await;
            let settings = over(directory.path());
            server = Server::over(directory, settings, Some(key)).await;
        }
        let next = (seq + 1 + numbers.next(20) as usize).min(ROWS);
        let answer = server.post(&path, &json!({"seq": seq, "columns": cut(&columns, seq, next)})).await.ok();
        calls += 1;
        for (bar, said) in (seq..next).zip(answer["bars"].as_array().unwrap()) {
            assert_eq!((&said["seq"], &said["verdict"]), (&json!(bar), &whole["series"]["verdict"][bar]), "bar {bar}");
            for (rule, said) in said["rules"].as_array().unwrap().iter().enumerate() {
                let expected = &whole["rules"][rule];
                assert_eq!((&said["rule"], &said["verdict"]), (&expected["rule"], &expected["series"]["verdict"][bar]));
                for (name, column) in outs[rule] {
                    assert_eq!(said["out"][name], column[bar], "{} {name} of bar {bar}", said["rule"]);
                }
                if let Some(event) = events.get(&(bar, rule)) {
                    for field in ["action", "keep", "reasons", "out", "fault"] {
                        assert_eq!(said[field], event[field], "{} {field} of bar {bar}", said["rule"]);
                    }
                }
            }
        }
        seq = next;
    }
    println!("{} rules, {ROWS} bars in {calls} calls, {} changes of verdict compared", outs.len(), events.len());
    assert!(moved && calls > 30);
}
