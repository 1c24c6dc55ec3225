//! What it costs to run rules elsewhere: printed, and nothing asserted of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Float64Array, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use rulebox_tests::Server;
use serde_json::json;

use super::{Far, Near, account, body, upload};

const ROWS: u32 = 100_000;
/// Of each kind, in turn with the others, so that all see the same machine.
const SINGLE: usize = 300;
const SERIES: usize = 15;
const RULE: &str = "rule probe(equity, drawdown) = drawdown > 20% or equity < 50000";

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn series() -> Vec<u8> {
    let (equity, drawdown) = account(ROWS);
    let field = |name: &str| Field::new(name, DataType::Float64, false);
    let schema = Arc::new(Schema::new(vec![field("equity"), field("drawdown")]));
    let columns: Vec<ArrayRef> = vec![Arc::new(Float64Array::from(equity)), Arc::new(Float64Array::from(drawdown))];
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    writer.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn what_it_costs_to_run_rules_elsewhere() {
    let (near, far) = (Near::start(1), Far::start(1));
    let directory = tempfile::tempdir().unwrap();
    let alone = Server::start(directory.path());
    let key = alone.key.clone().unwrap();
    let homes =
        [("one process", &alone, &key), ("Unix socket", &near.api, &near.key), ("mutual TLS", &far.api, &far.key)];
    let (bar, series) = (json!({"inputs": {"equity": 1, "drawdown": 0.1}}), series());
    let (mut single, mut columns) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
    for (_, server, key) in &homes {
        upload(server, key, RULE);
    }
    for _ in 0..SINGLE {
        for ((_, server, key), times) in homes.iter().zip(&mut single) {
            let began = Instant::now();
            body(server.post(key, "/v1/rules/probe/evaluate", &bar), 200);
            times.push(began.elapsed());
        }
    }
    for _ in 0..SERIES {
        for ((_, server, key), times) in homes.iter().zip(&mut columns) {
            let request = server.client().post(format!("{}/v1/rules/probe/evaluate", server.api)).bearer_auth(key);
            let request = request.header("content-type", "application/vnd.apache.arrow.stream").body(series.clone());
            let began = Instant::now();
            let answer = request.send().unwrap();
            assert_eq!(answer.status(), 200);
            answer.bytes().unwrap();
            times.push(began.elapsed());
        }
    }
    let (single, columns) = (single.map(median), columns.map(median));
    for (at, (home, ..)) in homes.iter().enumerate() {
        let ratio = |times: &[Duration; 3]| times[at].as_secs_f64() / times[0].as_secs_f64();
        println!(
            "{home}: one bar {:?} ({:.2}x), {ROWS} bars by Arrow {:?} ({:.2}x)",
            single[at],
            ratio(&single),
            columns[at],
            ratio(&columns)
        );
    }
}
