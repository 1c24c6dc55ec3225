//! An upload to runnable: each a new rule with a text of its own, on `SQLite` with its default durability.

use serde_json::json;

use super::load::{Load, Post};
use super::service::Service;
use super::stage::Stage;
use crate::measure::Sample;
use crate::report::{Figure, Report, Target};
use crate::rules::R4;
use crate::{Bench, Error};

/// Uploads of a run, at most: the names of the next begin behind them.
const RUN: u64 = 1_000_000;

/// R4 by another name, and with another range of an input: a module that no other rule has.
pub fn text(n: &str) -> (String, String) {
    let name = format!("rule_{n}");
    let source = R4.source.replace("check_custom_rule", &name).replace("0..1e15", &format!("0..{n}"));
    (name, source)
}

/// The time of one, one after the other.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let stage = Stage::new(bench)?;
    let service = Service::start(&stage, &[])?;
    let (name, source) = text("@");
    let mut post = Post::json("/v1/rules", &service.key, &json!({ "name": name, "source": source }));
    let mut p50 = Vec::new();
    for round in 1..=stage.rounds() as u64 {
        post.counts_from = Some(round * RUN);
        p50.push(Load::new(&stage, &post)?.run(&service.url, 1)?.p50);
        // The first two went to wrk's look at the script, or to a request.
        let uploaded = format!("/v1/rules/rule_{}/evaluate", round * RUN + 2);
        super::one_bar::check(&service.post(&uploaded, &service.key, &super::one_bar::bar())?)?;
    }
    let figure = Figure::new("upload to runnable, p50", "ms", &Sample::new(p50));
    report.add(figure.target(Target::AtMost { must: 10.0, aim: Some(5.0) }));
    Ok(())
}
