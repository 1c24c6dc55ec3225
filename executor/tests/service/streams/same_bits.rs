//! A stream gives what the same bars give as JSON columns, bit for bit, however it is cut into batches.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int8Type, TimestampMillisecondType, UInt64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray};
use serde_json::{Map, Value, json};

use super::{ARROW, Dice, JSON, LINES, arrow_stream, stream};
use crate::harness::Server;

/// The columns of a file of the demo: texts, by name.
fn demo(name: &str) -> Vec<(String, Vec<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let mut columns: Vec<_> = lines.next().unwrap().split(',').map(|name| (name.to_owned(), Vec::new())).collect();
    for line in lines {
        for ((_, column), cell) in columns.iter_mut().zip(line.split(',')) {
            column.push(cell.to_owned());
        }
    }
    columns
}

/// A column for an input of a rule: the demo's, or one that is made up within the input's range. Some of an optional
/// input's values are missing.
fn column(input: &Value, demo: &[(String, Vec<String>)], dice: &mut Dice) -> Vec<Value> {
    let (name, rows) = (input["name"].as_str().unwrap(), demo[0].1.len());
    let bound = |at: usize, otherwise: f64| input["range"][at].as_f64().unwrap_or(otherwise);
    let (low, high) = (bound(0, -1e6), bound(1, 1e6));
    let mut made = 100.0_f64;
    (0..rows)
        .map(|row| {
            if input["optional"] == true && dice.roll(5) == 0 {
                return Value::Null;
            }
            if input["type"] == "bool" {
                return json!(dice.roll(2) == 1);
            }
            if let Some((_, column)) = demo.iter().find(|(other, _)| other == name) {
                return json!(column[row].parse::<f64>().unwrap());
            }
            made += f64::from(u32::try_from(dice.roll(1_000)).unwrap()) / 100.0 - 5.0;
            json!(made.clamp(low, high))
        })
        .collect()
}

fn arrow_column(values: &[Value]) -> ArrayRef {
    if values.iter().any(Value::is_boolean) {
        Arc::new(values.iter().map(Value::as_bool).collect::<BooleanArray>())
    } else {
        Arc::new(values.iter().map(Value::as_f64).collect::<Float64Array>())
    }
}

/// The rows of a stream of batches as the lines have them.
fn rows(batches: &[RecordBatch]) -> Vec<Value> {
    let mut rows = Vec::new();
    for batch in batches {
        let column = |name: &str| Arc::clone(batch.column_by_name(name).unwrap());
        let word = |name: &str, row: usize| {
            let column = column(name);
            let words = column.as_dictionary::<Int8Type>();
            let key = words.keys().is_valid(row).then(|| usize::try_from(words.keys().value(row)).unwrap());
            key.map(|key| words.values().as_string::<i32>().value(key).to_owned())
        };
        for row in 0..batch.num_rows() {
            let mut out = Map::new();
            for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
                let Some(name) = field.name().strip_prefix("out.") else { continue };
                let value = match array.as_primitive_opt::<Float64Type>() {
                    _ if array.is_null(row) => Value::Null,
                    Some(numbers) => json!(numbers.value(row)),
                    None => json!(array.as_boolean().value(row)),
                };
                out.insert(name.to_owned(), value);
            }
            let (times, keep, fault) = (column("time"), column("keep"), column("fault"));
            let times = times.as_primitive::<TimestampMillisecondType>();
            let reasons = column("reasons").as_list::<i32>().value(row);
            let reasons: Vec<_> = reasons.as_string::<i32>().iter().map(Option::unwrap).collect();
            rows.push(json!({
                "bar": column("bar").as_primitive::<UInt64Type>().value(row),
                "time": times.is_valid(row).then(|| times.value(row)),
                "verdict": word("verdict", row).unwrap(),
                "action": word("action", row),
                "keep": keep.is_valid(row).then(|| keep.as_primitive::<Float64Type>().value(row)),
                "reasons": reasons,
                "out": out,
                "fault": fault.is_valid(row).then(|| fault.as_string::<i32>().value(row)),
            }));
        }
    }
    rows
}

/// A line in the same form. Its time is a text, to which Arrow's milliseconds are compared elsewhere.
fn as_row(line: &Value, time: &Value) -> Value {
    json!({
        "bar": line["bar"], "time": time, "verdict": line["verdict"], "action": line["action"],
        "keep": line["keep"], "reasons": line["reasons"], "out": line["out"], "fault": line["fault"]["message"],
    })
}

fn without_series(mut answer: Value) -> Value {
    answer.as_object_mut().unwrap().remove("series");
    answer
}

async fn compare(server: &Server, rule: &str, inputs: &Value, demo: &[(String, Vec<String>)], dice: &mut Dice) {
    let times: Vec<Value> = demo[0].1.iter().map(|time| json!(time)).collect();
    let mut columns = vec![("time".to_owned(), times)];
    for input in inputs.as_array().unwrap() {
        columns.push((input["name"].as_str().unwrap().to_owned(), column(input, demo, dice)));
    }
    let path = format!("/v1/rules/{rule}/evaluate");
    let body: Map<_, _> = columns.iter().map(|(name, values)| (name.clone(), json!(values))).collect();
    let whole = server.post(&format!("{path}?series=verdict,out"), &json!({ "columns": body })).await.ok();

    let mut text = String::new();
    for row in 0..columns[0].1.len() {
        let bar: Map<_, _> = columns.iter().map(|(name, values)| (name.clone(), values[row].clone())).collect();
        text += &Value::Object(bar).to_string();
        text += if dice.roll(50) == 0 { "\r\n\n" } else { "\n" };
    }
    let most = 1 + dice.roll(40_000);
    let (lines, trailer) = stream(server, &path, LINES, None, dice.pieces(text.as_bytes(), most)).await.lines();
    assert_eq!(trailer["counts"], whole["counts"], "{rule}");
    assert_eq!(trailer["first"], whole["first"], "{rule}");
    assert_eq!((&trailer["bars"], trailer.get("error")), (&whole["bars"], None), "{rule}");
    assert_eq!(trailer["fuel"], whole["fuel"], "however its bars came: {rule}");
    for event in whole["events"].as_array().unwrap() {
        assert_eq!(&lines[usize::try_from(event["bar"].as_u64().unwrap()).unwrap()], event, "{rule}");
    }
    let (verdicts, outs) = (&whole["series"]["verdict"], &whole["series"]["out"]);
    for (row, line) in lines.iter().enumerate() {
        assert_eq!(line["verdict"], verdicts[row], "{rule}, bar {row}");
        for (name, values) in outs.as_object().unwrap() {
            assert_eq!(line["out"][name], values[row], "{rule}, bar {row}: {name}");
        }
    }

    let mut arrays: Vec<(&str, ArrayRef)> =
        columns[1..].iter().map(|(name, values)| (name.as_str(), arrow_column(values))).collect();
    arrays.insert(dice.roll(arrays.len() + 1), ("time", Arc::new(StringArray::from_iter_values(&demo[0].1))));
    let sizes = std::iter::from_fn(|| Some(if dice.roll(10) == 0 { 0 } else { 1 + dice.roll(1_500) }));
    let bytes = arrow_stream(&arrays, sizes.collect_while_needed(columns[0].1.len()));
    let most = 1 + dice.roll(100_000);
    let (batches, arrow_trailer) = stream(server, &path, ARROW, None, dice.pieces(&bytes, most)).await.arrow();
    assert_eq!(arrow_trailer, trailer, "{rule}");
    let rows = rows(&batches);
    assert_eq!(rows.len(), lines.len(), "{rule}");
    for (row, line) in rows.iter().zip(&lines) {
        assert_eq!(*row, as_row(line, &row["time"]), "{rule}");
    }

    let summary = stream(server, &path, ARROW, Some(JSON), bytes).await.json();
    assert_eq!(summary, without_series(whole), "{rule}");
}

/// Takes sizes until they sum up to enough.
trait Sizes: Iterator<Item = usize> + Sized {
    fn collect_while_needed(self, rows: usize) -> Vec<usize> {
        let mut sum = 0;
        let mut sizes = Vec::new();
        for size in self {
            sum += size;
            sizes.push(size);
            if sum >= rows {
                break;
            }
        }
        sizes
    }
}

impl<T: Iterator<Item = usize>> Sizes for T {}

#[tokio::test]
async fn every_example_over_the_demo_gives_the_same_bits_in_every_form() {
    let server = Server::start().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dsl/examples");
    let (daily, hourly) = (demo("goog_daily.csv"), demo("eurusd_hourly.csv"));
    let (mut dice, mut rules) = (Dice(7), 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rule") {
            continue;
        }
        let uploaded = server.upload(&std::fs::read_to_string(&path).unwrap()).await;
        let name = path.file_stem().unwrap().to_str().unwrap();
        for bars in [&daily, &hourly] {
            compare(&server, name, &uploaded["manifest"]["inputs"], bars, &mut dice).await;
        }
        rules += 1;
    }
    println!("{rules} rules, {} and {} bars", daily[0].1.len(), hourly[0].1.len());
    assert!(rules >= 24);
}
