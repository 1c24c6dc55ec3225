//! Violations: a row first, then everything else, so that whatever is told of one can be looked up.
//!
//! The first of its minute is recorded before its request is answered. Its repeats are counted at once, and added to
//! the row each second ([`repeats`]). The store decides when a module has done too much, and stops it.

mod abuse;
mod repeats;
mod review;

use std::time::Duration;

use rulebox_sandbox::{Digest, Severity};
use tokio::sync::watch;
use tracing::Instrument;
use uuid::Uuid;

pub use abuse::BadKeys;
pub use repeats::Repeats;
use repeats::{Again, Noted};
pub use review::check_note;

use super::{Caller, Service};
use crate::domain::audit::Chain;
use crate::domain::caller::{Actor, RequestMarks, TenantId};
use crate::domain::rule::RuleName;
use crate::domain::violation::{Kind, NewViolation, Stage};
use crate::execution::code_cache::Alarm;
use crate::executors::client::Death;
use crate::store::{Occurrences, Recorded, StoreError, Unavailable};
use crate::telemetry::{spans, tenants};

/// How often the rule of a module is looked up in a store that fails, and how long between.
const NAME_TRIES: u32 = 60;
const NAME_PAUSE: Duration = Duration::from_millis(500);

/// Who waits to hear that there is something new in the feed.
#[derive(Clone, Debug)]
pub struct News(watch::Sender<u64>);

impl Default for News {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl News {
    /// There is.
    pub(super) fn come(&self) {
        self.0.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// To wait for it. What other replicas write is heard of when the store is asked.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

impl Service {
    /// Records a violation of a tenant's, counts it and logs it.
    pub(super) async fn record_violation(&self, caller: &Caller, violation: &NewViolation) -> Result<Uuid, StoreError> {
        self.record(Chain(Some(caller.tenant)), violation.clone()).await
    }

    /// Records a violation of a tenant's, or of the platform.
    ///
    /// It goes to its end also if nobody waits for it any more: whoever closes his connection is recorded all the same.
    ///
    /// # Errors
    /// If the store fails; it has been counted and logged all the same.
    pub async fn record(&self, owner: Chain, violation: NewViolation) -> Result<Uuid, StoreError> {
        let service = self.clone();
        let work = async move { service.record_now(owner, violation).await };
        match self.tasks.spawn(work.in_current_span()).await {
            Ok(recorded) => recorded,
            Err(error) => Err(Unavailable::Panicked(error.to_string()).into()),
        }
    }

    async fn record_now(&self, owner: Chain, violation: NewViolation) -> Result<Uuid, StoreError> {
        // Retention goes by the store's clock, and so must what it finds.
        let violation = NewViolation { at: self.now(), ..violation };
        let occurrences = match self.repeats.note(owner, &violation, &self.settings.quarantine.thresholds()) {
            Noted::Counted { id, severity } => {
                let severity = again(&violation, severity);
                self.count_violation(owner, violation.kind, severity);
                spans::violation(Some(id), &violation, severity.name());
                tracing::debug!(violation_id = %id, kind = violation.kind.name(), "violation repeated");
                return Ok(id);
            }
            Noted::Record(occurrences) => occurrences,
        };
        let recorded = self.write_violation(owner, &violation, occurrences).await;
        let severity = match &recorded {
            Ok(recorded) if recorded.opened => recorded.severity,
            Ok(recorded) => again(&violation, recorded.severity),
            Err(_) => violation.severity,
        };
        self.count_violation(owner, violation.kind, severity);
        spans::violation(recorded.as_ref().ok().map(|recorded| recorded.id), &violation, severity.name());
        log(owner, &violation, severity, recorded.as_ref().ok());
        recorded.map(|recorded| recorded.id)
    }

    async fn write_violation(
        &self,
        owner: Chain,
        violation: &NewViolation,
        occurrences: Occurrences,
    ) -> Result<Recorded, StoreError> {
        let marks = &violation.marks;
        let change = self.change_by(&Actor::service(), marks, None);
        let thresholds = self.settings.quarantine.thresholds();
        let written = self.store.record_violation(owner, violation, occurrences, &thresholds, &change).await;
        match &written {
            Ok(recorded) => {
                self.repeats.recorded(owner, violation, recorded);
                self.news.come();
                if recorded.quarantined {
                    self.changed(owner);
                    tracing::warn!(
                        tenant = %owner,
                        rule = violation.rule.as_ref().map(tracing::field::display),
                        version = violation.version,
                        digest = violation.digest.as_ref().map(tracing::field::display),
                        violations = recorded.counted,
                        "a module was put in quarantine by what it did"
                    );
                }
            }
            Err(_) => self.repeats.give_back(owner, violation, occurrences),
        }
        written
    }

    /// Adds what was repeated to the records of it.
    ///
    /// # Errors
    /// If the store fails; what was not added is added the next time.
    pub async fn flush_repeats(&self) -> Result<(), StoreError> {
        // What has been taken is written also if nobody waits for it any more.
        let service = self.clone();
        match self.tasks.spawn(async move { service.flush_now().await }).await {
            Ok(flushed) => flushed,
            Err(error) => Err(Unavailable::Panicked(error.to_string()).into()),
        }
    }

    async fn flush_now(&self) -> Result<(), StoreError> {
        let mut failed = None;
        for Again { owner, violation, occurrences } in self.repeats.take(self.now()) {
            // Each by itself: one that cannot be written must not keep the others.
            match self.write_violation(owner, &violation, occurrences).await {
                Ok(recorded) => {
                    let said = if recorded.opened { "violation recorded late" } else { "violation repeated" };
                    let (kind, times) = (violation.kind.name(), occurrences.times);
                    tracing::info!(violation_id = %recorded.id, tenant = %owner, kind, times, "{said}");
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// How many repeats wait to be added to their records.
    pub fn repeats_waiting(&self) -> u64 {
        self.repeats.waiting()
    }

    /// To hear of what is new in the feed.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// An executor died while it ran a module.
    pub async fn executor_died(&self, death: &Death) {
        let owner = Chain::from_store(death.owner.0);
        let named = match owner.0 {
            Some(tenant) => self.version_of(tenant, death.digest).await,
            None => None,
        };
        let (span, trace_id) = spans::background("the death of an executor", &self.settings.telemetry);
        let marks = RequestMarks { request_id: String::new(), trace_id };
        let violation = NewViolation {
            rule: named.as_ref().map(|(rule, _)| rule.clone()),
            version: named.map(|(_, version)| version),
            digest: Some(death.digest),
            detail: serde_json::json!({ "executor": death.place }),
            ..NewViolation::new(Kind::ExecutorDied, false, marks, None)
        };
        if let Err(error) = self.record(owner, violation).instrument(span).await {
            tracing::error!(%error, "the death of an executor was not recorded");
        }
    }

    /// A version of a module. A store that fails is asked again for a while: without a name, a violation does not count
    /// towards a quarantine.
    async fn version_of(&self, tenant: TenantId, module: Digest) -> Option<(RuleName, u32)> {
        for _ in 0..NAME_TRIES {
            match self.store.version_of(tenant, module).await {
                Ok(named) => return named,
                Err(error) => tracing::warn!(%error, digest = %module, "the rule of a module cannot be looked up"),
            }
            self.stopping.run_until_cancelled(tokio::time::sleep(NAME_PAUSE)).await?;
        }
        None
    }

    /// Compiled code failed its MAC. The module may be of several tenants', and what was changed is the service's: the
    /// record belongs to no tenant.
    pub async fn code_tampered(&self, alarm: &Alarm) {
        let (span, trace_id) = spans::background("an alarm of a cache", &self.settings.telemetry);
        let marks = RequestMarks { request_id: String::new(), trace_id };
        let violation = NewViolation {
            digest: Some(alarm.digest),
            subject: alarm.tier.to_owned(),
            detail: serde_json::json!({ "tier": alarm.tier }),
            ..NewViolation::new(Kind::CacheTampered, false, marks, None)
        };
        if let Err(error) = self.record(Chain(None), violation).instrument(span).await {
            tracing::error!(%error, digest = %alarm.digest, "compiled code that was changed was not recorded");
        }
    }

    /// Sets the gauges of what there is to review.
    ///
    /// # Errors
    /// If the store fails; the gauges stay as they were.
    pub async fn measure_review(&self) -> Result<(), StoreError> {
        let totals = self.store.review_totals().await?;
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for severity in crate::domain::violation::SEVERITIES {
            let open = totals.open.iter().find(|(name, _)| name == severity.name()).map_or(0, |(_, n)| *n);
            self.metrics.violations_open.with_label_values(&[severity.name()]).set(number(open));
        }
        let (named, others) = totals.quarantined.split_at(totals.quarantined.len().min(tenants::NAMED));
        let mut shown: Vec<_> = named.iter().map(|(tenant, n)| (tenant.to_string(), *n)).collect();
        if !others.is_empty() {
            shown.push((tenants::OTHER.to_owned(), others.iter().map(|(_, n)| n).sum()));
        }
        self.metrics.set_quarantined(&shown.into_iter().map(|(tenant, n)| (tenant, number(n))).collect());
        Ok(())
    }

    fn count_violation(&self, owner: Chain, kind: Kind, severity: Severity) {
        self.metrics.violations.with_label_values(&[kind.name(), severity.name()]).inc();
        if let Some(tenant) = owner.0 {
            // The worst is never summed up with that of others.
            let critical = severity == Severity::Critical;
            let tenant = if critical { tenant.to_string() } else { self.metrics.tenants.label(tenant) };
            self.metrics.tenant_violations.with_label_values(&[&tenant, severity.name()]).inc();
        }
    }
}

/// How bad a repeat is: a refused upload is as bad as it can be the first time only.
fn again(violation: &NewViolation, severity: Severity) -> Severity {
    let of_upload = violation.refused || violation.kind.info().stage == Stage::Upload;
    if of_upload { Severity::Low } else { severity }
}

fn log(owner: Chain, violation: &NewViolation, severity: Severity, recorded: Option<&Recorded>) {
    tracing::warn!(
        violation_id = recorded.map(|recorded| tracing::field::display(recorded.id)),
        tenant = %owner,
        rule = violation.rule.as_ref().map(tracing::field::display),
        version = violation.version,
        digest = violation.digest.as_ref().map(tracing::field::display),
        kind = violation.kind.name(),
        severity = severity.name(),
        trap = violation.trap,
        fuel_used = violation.fuel_used,
        fuel_limit = violation.fuel_limit,
        memory_peak = violation.memory_peak,
        elapsed_us = violation.elapsed_us,
        request_id = violation.marks.request_id,
        trace_id = violation.marks.trace_id,
        detail = %violation.detail,
        "violation"
    );
}
