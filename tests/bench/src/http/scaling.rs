//! What a bar costs with more rules in use, more tenants, and more bars a request.

use super::bulk;
use super::load::{CONNECTIONS, Load, Post};
use super::one_bar;
use super::service::Service;
use super::stage::{Stage, Turn};
use super::upload::text;
use crate::measure::Sample;
use crate::report::{Figure, Report};
use crate::rows::Rows;
use crate::rules::R1;
use crate::{Bench, Error};

/// Rules in use, of one tenant.
const RULES: [usize; 3] = [1, 100, 1_000];
/// Tenants, each with a rule in use.
const TENANTS: [usize; 2] = [1, 100];
/// Bars of a request.
const BARS: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
/// Of requests with bars: enough that the service does not wait for the load.
const OF_BARS: usize = 4;

/// All of them on one service.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let stage = Stage::new(bench)?;
    let service = Service::start(&stage, &[])?;
    rules(&stage, &service, RULES, report)?;
    tenants(&stage, &service, TENANTS, report)?;
    bars(&stage, &service, report)
}

fn rules(stage: &Stage, service: &Service, counts: [usize; 3], report: &mut Report) -> Result<(), Error> {
    let largest = counts.into_iter().max().unwrap_or_default();
    let targets: Result<Vec<_>, Error> = (0..largest)
        .map(|n| {
            let (name, source) = text(&(1_000_000 + n).to_string());
            Ok((service.upload_text(&service.key, &name, &source)?, service.key.clone()))
        })
        .collect();
    let samples = in_use(stage, service, counts, &targets?)?;
    add(report, counts, "rules in use", &samples);
    Ok(())
}

fn tenants(stage: &Stage, service: &Service, counts: [usize; 2], report: &mut Report) -> Result<(), Error> {
    let largest = counts.into_iter().max().unwrap_or_default();
    let targets: Result<Vec<_>, Error> = (0..largest)
        .map(|n| {
            let key = service.tenant(&format!("tenant-{n}"))?;
            let (name, source) = text(&(2_000_000 + n).to_string());
            Ok((service.upload_text(&key, &name, &source)?, key))
        })
        .collect();
    let samples = in_use(stage, service, counts, &targets?)?;
    add(report, counts, "tenants with a rule each", &samples);
    Ok(())
}

/// Requests/s of one bar, of the first so many targets in turn.
fn in_use<const N: usize>(
    stage: &Stage,
    service: &Service,
    counts: [usize; N],
    targets: &[(String, String)],
) -> Result<[Sample; N], Error> {
    for target in targets {
        one_bar::check(&service.first(&of_bar(vec![target.clone()]))?)?;
    }
    let loads: Result<Vec<_>, Error> =
        counts.iter().map(|count| Load::new(stage, &of_bar(targets.iter().take(*count).cloned().collect()))).collect();
    let turns = loads?
        .into_iter()
        .map(|load| -> Turn<'_> { Box::new(move || Ok(load.run(&service.url, CONNECTIONS)?.per_second)) });
    let turns: [Turn<'_>; N] = turns.collect::<Vec<_>>().try_into().map_err(|_| "a turn each")?;
    stage.in_turn(turns)
}

fn of_bar(targets: Vec<(String, String)>) -> Post {
    Post { targets, ..Post::json("", "", &one_bar::bar()) }
}

/// A line a count, beside the first.
fn add<const N: usize>(report: &mut Report, counts: [usize; N], what: &str, samples: &[Sample; N]) {
    let [first, ..] = samples.as_slice() else { return };
    for (count, sample) in counts.iter().zip(samples) {
        report.add(Figure::new(format!("{what}: {count}"), "requests/s", sample).over("one", sample, first));
    }
}

fn bars(stage: &Stage, service: &Service, report: &mut Report) -> Result<(), Error> {
    let path = service.upload(&R1)?;
    let loads: Result<Vec<_>, Error> = BARS
        .iter()
        .map(|bars| {
            let rows = Rows::new(*bars);
            let post = bulk::as_json(&path, &service.key, &rows);
            bulk::check(&service.first(&post)?, &rows)?;
            Load::new(stage, &post)
        })
        .collect();
    let turns = BARS.into_iter().zip(loads?).map(|(bars, load)| -> Turn<'_> {
        #[expect(clippy::cast_precision_loss, reason = "100,000 at most")]
        Box::new(move || Ok(1e9 / load.run(&service.url, OF_BARS)?.per_second / bars as f64))
    });
    let turns: [Turn<'_>; BARS.len()] = turns.collect::<Vec<_>>().try_into().map_err(|_| "a turn each")?;
    for (bars, sample) in BARS.into_iter().zip(stage.in_turn(turns)?) {
        report.add(Figure::new(format!("bars a request, JSON columns: {bars}"), "ns/bar", &sample));
    }
    Ok(())
}
