//! Many stored rules, half of them used in turn by their tenants: does memory stay, does anything fail?

use std::thread;
use std::time::{Duration, Instant};

use reqwest::blocking::Client;
use serde_json::json;

use super::load::Post;
use super::one_bar;
use super::process::{BOTH, LOADING};
use super::service::{Service, ask};
use super::stage::Stage;
use super::upload::text;
use crate::measure::Sample;
use crate::report::{Figure, Report, Target};
use crate::{Bench, Error};

/// Callers at a time.
const CALLERS: usize = 8;
/// Rules of a tenant; of these the first half is used.
const RULES: usize = 100;
/// Passes over all that are used.
const PASSES: usize = 3;
/// Mappings that a process may have, by the kernel's default.
const MAPPINGS: f64 = 65_530.0;

/// Memory, mappings and requests/s after each pass.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let stage = Stage::new(bench)?;
    let tenants = if stage.quick { 10 } else { 1_000 };
    let codes = tempfile::tempdir_in(stage.path())?;
    let settings = [
        // The rules are made beforehand: whether each survives a loss of power is not what is measured.
        ("RULEBOX_STORE__DURABILITY", "process".to_owned()),
        ("RULEBOX_CODE_CACHE__DIRECTORY", codes.path().join("code").display().to_string()),
        ("RULEBOX_CODE_CACHE__BYTES", (4_u64 << 30).to_string()),
        // The default: far fewer than are used. A quick run has fewer rules, and must evict them, too.
        ("RULEBOX_EVALUATION__LOADED_MODULES", tenants.to_string()),
        // A line for each of 250,000 requests would take the disk that the rules want.
        ("RULEBOX_LOG__FILTER", "warn".to_owned()),
    ];
    let service = Service::start_as(&stage, "all", BOTH, &settings)?;
    let keys: Result<Vec<_>, Error> = (0..tenants).map(|n| service.tenant(&format!("tenant-{n}"))).collect();
    let keys = keys?;

    eprintln!("  uploading {} rules", tenants * RULES);
    let began = Instant::now();
    of_each(&keys, RULES, |client, key, rule| {
        let (name, source) = text(&rule.to_string());
        let body = json!({ "name": name, "source": source });
        ask(client, &service.url, &Post::json("/v1/rules", key, &body)).map(drop)
    })?;
    report.add(per_second("uploads, for the set-up", tenants * RULES, began.elapsed()));

    // Memory is that of a process that has made none of them.
    let service = service.start_again(&stage, &settings)?;
    let mut resident = Vec::new();
    for pass in 1..=PASSES {
        let began = Instant::now();
        of_each(&keys, RULES / 2, |client, key, rule| {
            let path = format!("/v1/rules/rule_{rule}/evaluate");
            let answer = ask(client, &service.url, &Post::json(&path, key, &one_bar::bar()))?;
            one_bar::check(&serde_json::from_slice(&answer)?)
        })?;
        report.add(per_second(&format!("pass {pass}: none failed"), tenants * RULES / 2, began.elapsed()));
        resident.push(service.server.resident_bytes()? / 1e6);
    }
    for (pass, megabytes) in (1..).zip(&resident) {
        report.add(Figure::new(format!("resident after pass {pass}"), "MB", &Sample::new(vec![*megabytes])));
    }
    if let [.., before, last] = resident.as_slice() {
        let (last, before) = (Sample::new(vec![*last]), Sample::new(vec![*before]));
        let figure = Figure::new("resident after the last pass", "MB", &last).over("the pass before", &last, &before);
        report.add(figure.target(Target::AtMost { must: 1.02, aim: None }));
    }
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let mappings = Sample::new(vec![service.server.mappings()? as f64]);
    report.add(Figure::new("memory mappings", "", &mappings).target(Target::AtMost { must: MAPPINGS, aim: None }));
    Ok(())
}

fn per_second(what: &str, count: usize, time: Duration) -> Figure {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = count as f64 / time.as_secs_f64();
    Figure::new(what, "requests/s", &Sample::new(vec![rate]))
}

/// Does this for so many rules of each tenant, first the first of all, by several callers on the core of the load. The
/// numbers of rules are such that no two texts are alike.
fn of_each(
    keys: &[String],
    rules: usize,
    work: impl Fn(&Client, &str, usize) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let (work, per_caller) = (&work, keys.len().div_ceil(CALLERS));
    thread::scope(|scope| {
        let callers: Vec<_> = (0..)
            .zip(keys.chunks(per_caller))
            .map(|(caller, keys)| {
                scope.spawn(move || -> Result<(), Error> {
                    LOADING.pin_this_thread()?;
                    let client = Client::builder().no_proxy().timeout(Duration::from_mins(2)).build()?;
                    for rule in 0..rules {
                        for (tenant, key) in keys.iter().enumerate() {
                            work(&client, key, 1_000_000 + (caller * per_caller + tenant) * RULES + rule)?;
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        callers.into_iter().try_for_each(|caller| caller.join().map_err(|_| "a caller panicked")?)
    })
}
