//! Bars of sessions, whose state is in Redis, beside the same bars without a session.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::load::{CONNECTIONS, Load, Post};
use super::process::{LOADING, Server, pinned};
use super::service::Service;
use super::stage::Stage;
use super::tools;
use crate::report::{Figure, Report, Target};
use crate::rules::R2;
use crate::{Bench, Error};

/// Both have a connection a session, and a thread of the load for each.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let stage = Stage::new(bench)?;
    let (_redis, url) = redis(&stage)?;
    // What is measured is how long it takes, not whether that is in time beside what else the machine does.
    let settings = [("RULEBOX_REDIS__URL", url), ("RULEBOX_REDIS__TIMEOUT_MS", "10000".to_owned())];
    let service = Service::start(&stage, &settings)?;
    let bar = json!({ "inputs": { "equity": 92_000, "drawdown": 0.0812 } });
    let stateless = Post::json(&service.upload(&R2)?, &service.key, &bar);
    check_stateless(&service.first(&stateless)?)?;
    let path = begin(&service)?;
    for seq in 0..2 {
        let call = json!({ "seq": seq, "inputs": { "equity": 92_000, "drawdown": 0.0812 } });
        check_session(&service.post(&path, &service.key, &call)?, seq)?;
    }
    // The limits of a tenant are in Redis, too, if there is one: a service without shows what a stateless bar can be.
    let alone = Service::start(&stage, &[])?;
    let alone_post = Post::json(&alone.upload(&R2)?, &alone.key, &bar);
    check_stateless(&alone.first(&alone_post)?)?;
    let (load, alone_load) = (Load::new(&stage, &stateless)?, Load::new(&stage, &alone_post)?);
    let [session, stateless, alone] = stage.in_turn([
        Box::new(|| {
            // Each run begins with bar 0.
            let paths: Result<Vec<_>, _> = (0..CONNECTIONS).map(|_| begin(&service)).collect();
            let targets = paths?.into_iter().map(|path| (path, service.key.clone())).collect();
            let load = Load::of_sessions(&stage, &Post { targets, ..stateless.clone() })?;
            Ok(load.run_with_a_thread_each(&service.url, CONNECTIONS)?.per_second)
        }),
        Box::new(|| Ok(load.run_with_a_thread_each(&service.url, CONNECTIONS)?.per_second)),
        Box::new(|| Ok(alone_load.run_with_a_thread_each(&alone.url, CONNECTIONS)?.per_second)),
    ])?;
    let target = Target::AtLeast { must: 0.35, aim: Some(0.5) };
    for (beside, sample) in [("stateless bar, same service", &stateless), ("stateless bar, no Redis", &alone)] {
        let figure = Figure::new("session bar, state in Redis", "requests/s", &session);
        report.add(figure.over(beside, &session, sample).target(target));
    }
    Ok(())
}

/// Begins a session: where its bars go.
fn begin(service: &Service) -> Result<String, Error> {
    let session = service.post("/v1/sessions", &service.key, &json!({ "rules": ["r2"] }))?;
    let id = session.get("id").and_then(Value::as_str).ok_or("no id")?;
    Ok(format!("/v1/sessions/{id}/bars"))
}

fn check_stateless(answer: &Value) -> Result<(), Error> {
    said(answer.get("verdict") == Some(&json!("ok")), answer)
}

fn check_session(answer: &Value, seq: u64) -> Result<(), Error> {
    let verdict = answer.pointer("/bars/0/verdict") == Some(&json!("ok"));
    said(verdict && answer.get("next_seq") == Some(&json!(seq + 1)), answer)
}

fn said(right: bool, answer: &Value) -> Result<(), Error> {
    if right { Ok(()) } else { Err(format!("another answer was expected: {answer}").into()) }
}

/// A Redis that keeps nothing, on the core of the load.
fn redis(stage: &Stage) -> Result<(Server, String), Error> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = pinned(LOADING, &tools::program("redis-server", "redis-server")?);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
    let server =
        Server::start(command.arg("--dir").arg(stage.path()), &stage.path().join("redis.log"), "Ready to accept")?;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((server, format!("redis://127.0.0.1:{port}")))
}
