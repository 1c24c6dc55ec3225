//! Many bars in one request: as JSON columns, and as an Arrow stream.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use serde_json::{Value, json};

use super::load::{Load, Post};
use super::service::Service;
use super::stage::Stage;
use crate::report::{Figure, Report, Target};
use crate::rows::Rows;
use crate::rules::R1;
use crate::{Bench, Error};

/// Bars of a request.
pub const BARS: usize = 100_000;

/// Bars as JSON columns, every digit of them.
pub fn as_json(path: &str, key: &str, rows: &Rows) -> Post {
    Post::json(path, key, &json!({ "columns": { "equity": rows.equity, "drawdown": rows.drawdown } }))
}

/// The same as an Arrow stream of one batch.
pub fn as_arrow(path: &str, key: &str, rows: &Rows) -> Result<Post, Error> {
    let column = |values: &Vec<f64>| Arc::new(Float64Array::from(values.clone())) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("equity", column(&rows.equity)), ("drawdown", column(&rows.drawdown))])?;
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(&batch)?;
    let targets = vec![(path.to_owned(), key.to_owned())];
    let body = writer.into_inner()?;
    Ok(Post { targets, kind: "application/vnd.apache.arrow.stream", body, counts_from: None })
}

/// Whether R1 was answered as it reads.
pub fn check(answer: &Value, rows: &Rows) -> Result<(), Error> {
    let breaches = rows
        .equity
        .iter()
        .zip(&rows.drawdown)
        .filter(|(equity, drawdown)| **drawdown > 0.2 || **equity < 50_000.0)
        .count();
    let counts = json!({ "ok": rows.bars() - breaches, "warn": 0, "breach": breaches, "fault": 0 });
    if answer.get("counts") == Some(&counts) {
        return Ok(());
    }
    Err(format!("the counts are not {counts}: {:?}", answer.get("counts")).into())
}

/// Bars a second of R1, answered with a summary, one request after the other.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let stage = Stage::new(bench)?;
    let service = Service::start(&stage, &[])?;
    let (path, rows) = (service.upload(&R1)?, Rows::new(BARS));
    let (json, arrow) = (as_json(&path, &service.key, &rows), as_arrow(&path, &service.key, &rows)?);
    for post in [&json, &arrow] {
        check(&service.first(post)?, &rows)?;
    }
    let (json, arrow) = (Load::new(&stage, &json)?, Load::new(&stage, &arrow)?);
    #[expect(clippy::cast_precision_loss, reason = "100,000")]
    let bars = BARS as f64;
    let [json, arrow] = stage.in_turn([
        Box::new(|| Ok(json.run(&service.url, 1)?.per_second * bars)),
        Box::new(|| Ok(arrow.run(&service.url, 1)?.per_second * bars)),
    ])?;
    let least = |must, aim| Target::AtLeast { must, aim };
    report.add(Figure::new("100,000 bars as JSON columns", "bars/s", &json).target(least(4e6, Some(6e6))));
    report.add(Figure::new("100,000 bars by Arrow", "bars/s", &arrow).target(least(40e6, Some(80e6))));
    report.add(Figure::new("Arrow", "bars/s", &arrow).over("JSON", &arrow, &json).target(least(10.0, None)));
    Ok(())
}
