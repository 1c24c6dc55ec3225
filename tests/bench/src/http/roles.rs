//! What an executor of its own adds: `--role api` in front of `--role executor`, beside both in one process.
//!
//! All servers are on the same core, so that it is work that is compared. An executor on the core of the load, which rests
//! while it waits for a single answer, shows what a second core gives back.

use super::bulk::{self, BARS};
use super::load::{Load, Post};
use super::one_bar;
use super::process::{Cores, LOADING, SERVED, Server};
use super::service::{Service, executor};
use super::stage::Stage;
use crate::report::{Figure, Report, Target};
use crate::rows::Rows;
use crate::rules::{R1, R4};
use crate::{Bench, Error};

/// A service, and what it is asked.
struct Contestant {
    service: Service,
    bar: Load,
    bars: Load,
    _executor: Option<Server>,
}

impl Contestant {
    fn start(stage: &Stage, rows: &Rows, executor_on: Option<Cores>) -> Result<Self, Error> {
        let (service, executor) = match executor_on {
            None => (Service::start(stage, &[])?, None),
            Some(cores) => {
                let (executor, place) = executor(stage, cores)?;
                let service = Service::start_as(stage, "api", SERVED, &[("RULEBOX_EXECUTORS__ADDRESSES", place)])?;
                (service, Some(executor))
            }
        };
        let bar = Post::json(&service.upload(&R4)?, &service.key, &one_bar::bar());
        one_bar::check(&service.first(&bar)?)?;
        let bars = bulk::as_arrow(&service.upload(&R1)?, &service.key, rows)?;
        bulk::check(&service.first(&bars)?, rows)?;
        let (bar, bars) = (Load::new(stage, &bar)?, Load::new(stage, &bars)?);
        Ok(Self { service, bar, bars, _executor: executor })
    }

    /// Microseconds of a bar, one request after the other.
    fn bar(&self) -> Result<f64, Error> {
        Ok(1e6 / self.bar.run(&self.service.url, 1)?.per_second)
    }

    /// Microseconds of many.
    fn bars(&self) -> Result<f64, Error> {
        Ok(1e6 / self.bars.run(&self.service.url, 1)?.per_second)
    }
}

/// The time of a request.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let (stage, rows) = (Stage::new(bench)?, Rows::new(BARS));
    let all = Contestant::start(&stage, &rows, None)?;
    let apart = Contestant::start(&stage, &rows, Some(SERVED))?;
    let two_cores = Contestant::start(&stage, &rows, Some(LOADING))?;
    let [all_bar, apart_bar, two_bar, all_bars, apart_bars, two_bars] = stage.in_turn([
        Box::new(|| all.bar()),
        Box::new(|| apart.bar()),
        Box::new(|| two_cores.bar()),
        Box::new(|| all.bars()),
        Box::new(|| apart.bars()),
        Box::new(|| two_cores.bars()),
    ])?;
    let most = |must, aim| Target::AtMost { must, aim: Some(aim) };
    let figure = |what: &str, mine, all| Figure::new(what, "us", mine).over("role all", mine, all);
    report.add(figure("one bar by an executor", &apart_bar, &all_bar).target(most(2.5, 1.7)));
    report.add(figure("100,000 bars by an executor, Arrow", &apart_bars, &all_bars).target(most(1.3, 1.1)));
    report.add(figure("one bar, the executor on another core", &two_bar, &all_bar));
    report.add(figure("100,000 bars, the executor on another core", &two_bars, &all_bars));
    Ok(())
}
