//! Holding modules against their texts, behind the answers: at every upload of a text, and of a share of live calls.
//!
//! One thread does it, which has less of the processor than those that answer, and so many may wait: what finds no place is not checked,
//! which is counted and logged. A difference is recorded as `differential_mismatch`, which stops the module at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rulebox_sandbox::Digest;
use tracing::{Instrument, Span};

use super::{Caller, Service, ServiceError};
use crate::config;
use crate::domain::audit::Chain;
use crate::domain::rule::{Runnable, Version};
use crate::domain::violation::{Kind, NewViolation};
use crate::execution::differential::sample::{Sample, Sampling};
use crate::execution::differential::{Difference, Verdict, boundary};
use crate::execution::modules::Form;
use crate::execution::pool::{Place, Pool};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::spans;

/// What is checked, as metrics and the evidence name it.
const UPLOAD: &str = "upload";
const SAMPLE: &str = "sample";

/// The one thread of these checks, and those who wait for it.
#[derive(Debug)]
pub(super) struct Checks {
    pool: Pool,
    sampling: Sampling,
    /// Since the last one that found a place: it is said once.
    is_full: AtomicBool,
    metrics: Metrics,
}

/// What a check is of.
struct Subject {
    caller: Caller,
    runnable: Runnable,
    source: &'static str,
}

impl Checks {
    pub(super) fn new(settings: &config::Differential, metrics: Metrics) -> Self {
        Self {
            pool: Pool::new("differential", 1, settings.queue).strict().slow(),
            sampling: Sampling::one_in(settings.one_in),
            is_full: AtomicBool::new(false),
            metrics,
        }
    }

    /// Which calls are to be sampled.
    pub(super) const fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// A place among those who wait; `None` if there is none.
    fn place(&self, subject: &Subject) -> Option<Place> {
        let tenant = subject.caller.tenant;
        let place = self.pool.place(tenant).ok();
        let was_full = self.is_full.swap(place.is_none(), Ordering::Relaxed);
        if place.is_none() {
            self.count(subject.source, "skipped");
            if !was_full {
                let (rule, source) = (&subject.runnable.rule, subject.source);
                tracing::warn!(%tenant, %rule, source, "too many checks of modules against their texts wait: some are left out");
            }
        }
        place
    }

    fn count(&self, source: &str, result: &str) {
        self.metrics.differential_checks.with_label_values(&[source, result]).inc();
    }
}

impl Service {
    /// Has the module of a version that was made of a text held against it, some time after the answer.
    pub(super) fn check_upload(&self, caller: &Caller, version: &Version) {
        if version.manifest.cost.is_none() {
            return;
        }
        let runnable = Runnable { rule: version.rule.clone(), version: version.number, digest: version.digest };
        let subject = Subject { caller: caller.clone(), runnable, source: UPLOAD };
        self.check_behind(subject, |service, subject, place| async move {
            let Some(text) = service.text_of(&subject).await? else { return Ok(Verdict::Skipped("it has no text")) };
            let (text, mut verdict) = (Arc::new(text), Verdict::Skipped("it is gone"));
            for form in [Form::Columns, service.form(1)] {
                let found = vec![subject.runnable.clone()];
                let prepared = service.prepare(&subject.caller, found, form, &place).await?;
                let Some((_, prepared)) = prepared.into_iter().next() else { break };
                let (stop, compiler) = (service.stopping.child_token(), *service.compiler.limits());
                let text = Arc::clone(&text);
                verdict = place.run(move || boundary::check(&text, &compiler, &prepared, &stop)).await?;
                if !matches!(verdict, Verdict::Same(_)) {
                    break;
                }
            }
            Ok(verdict)
        });
    }

    /// Has some answers held against the texts of their rules, some time after they were given.
    pub(super) fn check_samples(&self, caller: &Caller, samples: Vec<Sample>) {
        for sample in samples {
            let subject = Subject { caller: caller.clone(), runnable: sample.runnable.clone(), source: SAMPLE };
            self.check_behind(subject, |service, subject, place| async move {
                let Some(text) = service.text_of(&subject).await? else {
                    return Ok(Verdict::Skipped("it has no text"));
                };
                let (stop, compiler) = (service.stopping.child_token(), *service.compiler.limits());
                let limits = service.limits;
                Ok(place.run(move || sample.check(&text, &compiler, &limits, &stop)).await?)
            });
        }
    }

    async fn text_of(&self, subject: &Subject) -> Result<Option<String>, ServiceError> {
        let Runnable { rule, version, .. } = &subject.runnable;
        Ok(self.store.source(subject.caller.tenant, rule, *version).await?)
    }

    fn check_behind<F>(&self, subject: Subject, work: impl FnOnce(Self, Arc<Subject>, Place) -> F)
    where
        F: Future<Output = Result<Verdict, ServiceError>> + Send + 'static,
    {
        let Some(place) = self.checks.place(&subject) else { return };
        let (service, subject) = (self.clone(), Arc::new(subject));
        let span = spans::check(&Span::current(), subject.source, &subject.runnable);
        let work = work(self.clone(), Arc::clone(&subject), place);
        let conclude = async move {
            let verdict = tokio::select! {
                // Nothing begins any more: what waits would keep the service from its end.
                () = service.stopping.cancelled() => return,
                verdict = work => verdict,
            };
            service.conclude(&subject, verdict).await;
        };
        self.tasks.spawn(conclude.instrument(span));
    }

    async fn conclude(&self, subject: &Subject, verdict: Result<Verdict, ServiceError>) {
        let Subject { caller, runnable: Runnable { rule, version, digest }, source } = subject;
        let (tenant, source) = (caller.tenant, *source);
        match verdict {
            Ok(Verdict::Same(bars)) => {
                self.checks.count(source, "same");
                tracing::debug!(%tenant, %rule, version, source, bars, "the module says what its text says");
            }
            Ok(Verdict::Different(difference)) => {
                self.record_difference(caller, subject, *digest, difference).await;
                self.checks.count(source, "different");
            }
            Ok(Verdict::Skipped(why)) => {
                self.checks.count(source, "skipped");
                tracing::info!(%tenant, %rule, version, source, why, "the module was not held against its text");
            }
            Err(error) => {
                self.checks.count(source, "skipped");
                tracing::warn!(%tenant, %rule, version, source, %error, "the module was not held against its text");
            }
        }
    }

    async fn record_difference(&self, caller: &Caller, subject: &Subject, digest: Digest, difference: Difference) {
        let violation = NewViolation {
            rule: Some(subject.runnable.rule.clone()),
            version: Some(subject.runnable.version),
            digest: Some(digest),
            detail: difference.detail(subject.source),
            ..NewViolation::new(Kind::DifferentialMismatch, true, caller.marks.clone(), Some(caller.actor.id))
        };
        if let Err(error) = self.record(Chain(Some(caller.tenant)), violation).await {
            tracing::error!(%error, "a module that differs from its text was not recorded");
        }
    }
}
