//! What violations need beside requests: repeats are written, deaths of executors and alarms of
//! caches are recorded, gauges are set.

use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::execution::code_cache::Alarm;
use crate::executors::client::Death;
use crate::service::Service;

/// Between two times that repeats are written.
const FLUSH: Duration = Duration::from_secs(1);
/// Between two looks at how much there is to review.
const MEASURE: Duration = Duration::from_secs(5);
/// How long a stop waits for a store that fails.
const LAST: Duration = Duration::from_secs(5);
/// Between two tries of it.
const PAUSE: Duration = Duration::from_millis(200);

/// The job. Every replica writes what it has counted itself.
#[derive(Debug)]
pub struct Violations {
    service: Service,
    deaths: Receiver<Death>,
    alarms: Receiver<Alarm>,
}

impl Violations {
    /// A job that hears there of deaths, and of compiled code that was changed.
    pub const fn new(service: Service, deaths: Receiver<Death>, alarms: Receiver<Alarm>) -> Self {
        Self { service, deaths, alarms }
    }

    /// Goes on until `stop`, and writes what is left then: by then, nothing may be counted any longer. What is being
    /// written at that moment is written to its end: it has been taken from where it waited.
    pub async fn run(self, stop: CancellationToken) {
        let Self { service, mut deaths, mut alarms } = self;
        let recording = async {
            while let Some(Some(death)) = stop.run_until_cancelled(deaths.recv()).await {
                service.executor_died(&death).await;
            }
        };
        let hearing = async {
            while let Some(Some(alarm)) = stop.run_until_cancelled(alarms.recv()).await {
                // Whoever raised it waits until it is dropped.
                service.code_tampered(&alarm).await;
            }
        };
        tokio::join!(write(&service, &stop), measure(&service, &stop), recording, hearing);
        stop.cancelled().await;
        while let Ok(death) = deaths.try_recv() {
            service.executor_died(&death).await;
        }
        while let Ok(alarm) = alarms.try_recv() {
            service.code_tampered(&alarm).await;
        }
        last(&service).await;
    }
}

async fn write(service: &Service, stop: &CancellationToken) {
    let mut failing = false;
    let mut ticks = interval(FLUSH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let done = service.flush_repeats().await;
        match &done {
            Ok(()) if failing => tracing::info!("repeats of violations are written again; none was lost"),
            Ok(()) => {}
            Err(error) if failing => tracing::debug!(%error, "repeats of violations are not written"),
            Err(error) => tracing::warn!(%error, "repeats of violations are not written; they are kept in memory"),
        }
        failing = done.is_err();
    }
}

async fn measure(service: &Service, stop: &CancellationToken) {
    let mut ticks = interval(MEASURE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        // Alerts go by the store's gauge, also where nobody asks whether the service is ready.
        if let Err(error) = service.check_store().await {
            tracing::debug!(%error, "the store is away");
        }
        if let Err(error) = service.measure_review().await {
            tracing::debug!(%error, "what there is to review cannot be counted");
        }
    }
}

async fn last(service: &Service) {
    let deadline = Instant::now() + LAST;
    loop {
        match timeout_at(deadline, service.flush_repeats()).await {
            Ok(Ok(())) if service.repeats_waiting() == 0 => return,
            Ok(_) if Instant::now() + PAUSE < deadline => sleep(PAUSE).await,
            _ => {
                let repeats = service.repeats_waiting();
                return tracing::error!(repeats, "the store fails: repeats of violations are lost");
            }
        }
    }
}
