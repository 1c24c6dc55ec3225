//! One bar of R4 with everything on, beside servers that do nothing and one that runs the rule in Python.

use serde_json::{Value, json};

use super::load::{CONNECTIONS, Load, Post, at_rate};
use super::peer::{self, Peer};
use super::process::{SERVED, Server, pinned};
use super::service::{Service, ask};
use super::stage::Stage;
use super::tools;
use crate::measure::Sample;
use crate::report::{Figure, Report, Target};
use crate::rules::R4;
use crate::{Bench, Error, python};

/// A bar of which R4 warns: it has a reason to write.
pub fn bar() -> Value {
    json!({ "inputs": { "equity": 92_000, "drawdown": 0.0812 } })
}

/// What every answer to [`bar`] must say, whatever stands beside it.
pub fn check(answer: &Value) -> Result<(), Error> {
    let expected = [
        ("verdict", json!("warn")),
        ("action", Value::Null),
        ("reasons", json!(["drawdown 8.12% near 10.00%"])),
        ("out", json!({})),
    ];
    match expected.iter().find(|(name, value)| answer.get(name) != Some(value)) {
        Some((name, value)) => Err(format!("{name} is not {value}: {answer}").into()),
        None => Ok(()),
    }
}

/// Requests/s beside the peers, then its latency at half of them.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let stage = Stage::new(bench)?;
    let oha = tools::oha()?;
    let service = Service::start(&stage, &[])?;
    let post = Post::json(&service.upload(&R4)?, &service.key, &bar());
    let answer = service.first_bytes(&post)?;
    check(&serde_json::from_slice(&answer)?)?;

    // What of it is traces and logs: the same service with all of them, and without.
    let traced = Service::start(&stage, &[("RULEBOX_TELEMETRY__SAMPLE_PER_THOUSAND", "1000".to_owned())])?;
    let silent = Service::start(
        &stage,
        &[("RULEBOX_TELEMETRY__SAMPLE_PER_THOUSAND", "0".to_owned()), ("RULEBOX_LOG__FILTER", "off".to_owned())],
    )?;
    let [traced_post, silent_post] = [&traced, &silent].map(|other| -> Result<Post, Error> {
        let post = Post::json(&other.upload(&R4)?, &other.key, &bar());
        check(&other.first(&post)?)?;
        Ok(post)
    });
    let (traced_post, silent_post) = (traced_post?, silent_post?);

    let fixed = peer::start(SERVED, Peer::Static, &answer, stage.path())?;
    let echo = peer::start(SERVED, Peer::Echo, &answer, stage.path())?;
    let fastapi = fastapi(&stage)?;
    let client = reqwest::blocking::Client::builder().no_proxy().build()?;
    for server in [&fixed, &echo, &fastapi] {
        check(&serde_json::from_slice(&ask(&client, &server.word("API")?, &post)?)?)?;
    }

    let load = Load::new(&stage, &post)?;
    let (traced_load, silent_load) = (Load::new(&stage, &traced_post)?, Load::new(&stage, &silent_post)?);
    let urls = [fixed.word("API")?, echo.word("API")?, fastapi.word("API")?];
    let load = &load;
    let [to_fixed, to_echo, to_fastapi] = urls.each_ref().map(|url| move || Ok(load.run(url, CONNECTIONS)?.per_second));
    let [ours, fixed, echo, fastapi, traced, silent] = stage.in_turn([
        Box::new(|| Ok(load.run(&service.url, CONNECTIONS)?.per_second)),
        Box::new(to_fixed),
        Box::new(to_echo),
        Box::new(to_fastapi),
        Box::new(|| Ok(traced_load.run(&traced.url, CONNECTIONS)?.per_second)),
        Box::new(|| Ok(silent_load.run(&silent.url, CONNECTIONS)?.per_second)),
    ])?;
    let figure = |what: &str| Figure::new(what, "requests/s", &ours);
    let least = |must, aim| Target::AtLeast { must, aim };
    report.add(figure("one bar").over("bare axum, static JSON", &ours, &fixed).target(least(0.40, Some(0.55))));
    report.add(figure("one bar").over("bare axum, JSON read and written", &ours, &echo));
    report.add(figure("one bar").over("FastAPI", &ours, &fastapi).target(least(8.0, Some(12.0))));
    report.add(Figure::new("every trace", "requests/s", &traced).over("one trace in 100", &traced, &ours));
    report.add(Figure::new("no traces, no logs", "requests/s", &silent).over("one trace in 100", &silent, &ours));
    report.add(figure("one bar, an instance").target(least(1_000.0, None)));
    let a_minute = ours.map(|per_second| per_second * 60.0);
    report.add(Figure::new("evaluations", "a minute", &a_minute).target(least(10_000.0, None)));

    let (mut p95, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..stage.rounds() {
        let seen = at_rate(&stage, &oha, &service.url, &post, ours.median() / 2.0)?;
        p95.push(seen.p95);
        p99.push(seen.p99);
    }
    let most = |must, aim| Target::AtMost { must, aim };
    report.add(Figure::new("p99 at half of that", "ms", &Sample::new(p99)).target(most(2.0, Some(1.0))));
    report.add(Figure::new("p95 at half of that", "ms", &Sample::new(p95)).target(most(100.0, None)));
    Ok(())
}

/// R4 as a function of Python behind `FastAPI`, with the workers and parsers that are the quickest.
fn fastapi(stage: &Stage) -> Result<Server, Error> {
    let file = stage.path().join("fastapi_rule.py");
    std::fs::write(&file, include_str!("../../python/fastapi_rule.py"))?;
    Server::start(pinned(SERVED, &python::interpreter()?).arg(file), &stage.path().join("fastapi.log"), "serving")
}
