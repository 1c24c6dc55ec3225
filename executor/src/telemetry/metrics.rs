//! Metrics. No label ever holds a rule, a user, a version or a message; what an alert watches starts at 0.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    Encoder, Gauge, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::process::Process;
use super::tenants::Tenants;
use crate::domain::violation;

/// All metrics of the process. Cheap to clone: each request does, more than once.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

impl Deref for Metrics {
    type Target = Families;

    fn deref(&self) -> &Families {
        &self.0
    }
}

/// Each of the metrics.
#[derive(Debug)]
pub struct Families {
    registry: Registry,
    /// Seconds of a request, by method, route and status.
    pub http_duration: HistogramVec,
    /// Requests being answered.
    pub http_active: IntGauge,
    /// Requests refused for want of room, by what there was none in: `body_room`, `evaluation_queue`, `bar_queue`, `streams`.
    pub refused: IntCounterVec,
    /// Seconds of compiling, by stage (`compile`: text to module, `load`: module to machine code, `worker`: the same of modules of tenants) and result.
    pub compile_duration: HistogramVec,
    /// Texts and modules that were not compiled, by reason: `queue_full`, or the kind of the refusal.
    pub compile_rejected: IntCounterVec,
    /// Seconds from a request that has been read to its results, by mode (`bar`, `columns`, `stream`).
    pub evaluation_duration: HistogramVec,
    /// What waits, and what is being done.
    pub load: Load,
    /// Runs of a rule, by mode, outcome and tenant.
    pub evaluations: IntCounterVec,
    /// Bars run, by mode.
    pub bars: IntCounterVec,
    /// Runs of a rule that ended in a fault, by tenant.
    pub faults: IntCounterVec,
    /// The tenants that labels name.
    pub tenants: Tenants,
    /// Units of fuel used, by tenant.
    pub fuel: IntCounterVec,
    /// The most bytes of linear memory that a run has had.
    pub guest_memory_peak: IntGauge,
    /// Sessions with a WebSocket of this process.
    pub sessions_active: IntGauge,
    /// WebSockets that ended, by reason.
    pub ws_disconnects: IntCounterVec,
    /// Violations, by kind and severity.
    pub violations: IntCounterVec,
    /// Violations, by tenant and severity.
    pub tenant_violations: IntCounterVec,
    /// Violations that nobody has looked at, by severity, in the whole service.
    pub violations_open: IntGaugeVec,
    /// Modules in quarantine, by tenant, in the whole service.
    rules_quarantined: IntGaugeVec,
    /// The tenants that it has been set for.
    quarantined: Mutex<BTreeMap<String, i64>>,
    /// Modules held against their texts, by source (`upload`, `sample`) and result.
    pub differential_checks: IntCounterVec,
    /// Tries to deliver to webhooks, by result: `delivered`, `failed`, `dead`.
    pub webhook_deliveries: IntCounterVec,
    /// Pushes of alerts to Alertmanager, by result: `taken`, `failed`.
    pub alert_pushes: IntCounterVec,
    /// Deliveries and alerts that wait, in the whole service.
    pub outbox_backlog: IntGauge,
    /// Looks into the caches of modules, by tier and result.
    pub module_cache: IntCounterVec,
    /// What tenants asked to take, by policy and decision.
    pub ratelimit_decisions: IntCounterVec,
    /// 1 if what the service needs is there.
    pub dependency_up: IntGaugeVec,
    /// Connections to the database, by state.
    pub db_connections: IntGaugeVec,
    /// What is looked at from time to time.
    pub upkeep: Upkeep,
    /// Seconds since 1970 of the start.
    pub started: Gauge,
}

/// What waits, and what is being done: read when somebody looks.
#[derive(Clone, Debug)]
pub struct Load {
    /// Texts waiting to be compiled.
    pub compile_queue: IntGauge,
    /// Requests waiting to be run.
    pub evaluation_queue: IntGauge,
    /// Evaluations that were taken in and have no results yet.
    pub evaluations_in_flight: IntGauge,
}

/// What is looked at from time to time, for alerts.
#[derive(Clone, Debug)]
pub struct Upkeep {
    /// Chains of the audit log that are not as they were written.
    pub audit_chains_broken: IntGauge,
    /// Seconds since 1970 of the last backup; 0: there was none.
    pub backup_last_success: IntGauge,
    /// Seconds since 1970 of the last backup that was restored on trial, and held; 0: there was none.
    pub restore_test_last_success: IntGauge,
    /// Seconds since 1970 of the last that did not; 0: there was none.
    pub restore_test_last_failure: IntGauge,
    /// Seconds since 1970 of the end of certificates, by what they are for.
    pub certificate_expiry: IntGaugeVec,
}

/// The metrics could not be made or written: a fault of this program's.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

const SECONDS: &[f64] =
    &[0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

struct Maker(Registry);

impl Maker {
    fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        let made = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn seconds(&self, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
        let made = HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let made = IntGauge::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        let made = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    /// What the process is and may have. Gives the gauge of its start, to be set.
    fn about_process(&self) -> Result<Gauge, prometheus::Error> {
        let started = Gauge::new("rulebox_start_time_seconds", "Start of the service, seconds since 1970.")?;
        self.0.register(Box::new(started.clone()))?;
        let build = self.gauges("rulebox_build_info", "1, labelled with what was built.", &["version", "tzdata"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), rulebox_dsl::calendar::tzdata_version()]).set(1);
        if let Some(limit) = memory_limit() {
            let most = self.gauge("rulebox_memory_limit_bytes", "What the process may have, by its control group.")?;
            most.set(limit);
        }
        if let Some(process) = Process::of_this()? {
            self.0.register(Box::new(process))?;
        }
        Ok(started)
    }
}

impl Load {
    fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            compile_queue: make.gauge("rulebox_compile_queue_depth", "Texts waiting to be compiled.")?,
            evaluation_queue: make.gauge("rulebox_evaluation_queue_depth", "Requests waiting to be run.")?,
            evaluations_in_flight: make.gauge(
                "rulebox_evaluations_in_flight",
                "Evaluations that were taken in and have no results yet; of a stream, the batch that is being run.",
            )?,
        })
    }
}

impl Upkeep {
    fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            audit_chains_broken: make.gauge(
                "rulebox_audit_chains_broken",
                "Chains of the audit log that are not as they were written, when they were last verified.",
            )?,
            backup_last_success: make.gauge(
                "rulebox_backup_last_success_timestamp_seconds",
                "When a backup last succeeded, as `rulebox backup record` wrote down; 0: never.",
            )?,
            restore_test_last_success: make.gauge(
                "rulebox_restore_test_last_success_timestamp_seconds",
                "When a backup was last restored on trial, and held, as `rulebox backup record --restored` wrote down; 0: never.",
            )?,
            restore_test_last_failure: make.gauge(
                "rulebox_restore_test_last_failure_timestamp_seconds",
                "When a backup last did not, as `rulebox backup record --restore-failed` wrote down; 0: never.",
            )?,
            certificate_expiry: make.gauges(
                "rulebox_certificate_expiry_timestamp_seconds",
                "When the first of these certificates is over.",
                &["certificate"],
            )?,
        })
    }
}

impl Metrics {
    /// Why WebSockets end.
    pub const WS_ENDS: [&str; 13] = [
        "closed",
        "gone",
        "idle",
        "drain",
        "slow",
        "protocol",
        "binary",
        "not_text",
        "too_large",
        "flood",
        "revoked",
        "lost",
        "locked",
    ];

    /// All metrics, at their start.
    ///
    /// # Errors
    /// If two have one name.
    pub fn new() -> Result<Self, MetricsError> {
        let make = Maker(Registry::new());
        let started = make.about_process()?;
        let metrics = Self(Arc::new(Families {
            http_duration: make.seconds(
                "http_server_request_duration_seconds",
                "Time to answer a request.",
                &["http_request_method", "http_route", "http_response_status_code"],
            )?,
            http_active: make.gauge("http_server_active_requests", "Requests being answered.")?,
            refused: make.counter(
                "rulebox_requests_refused_total",
                "Requests refused for want of room: for bodies, or in a queue.",
                &["reason"],
            )?,
            compile_duration: make.seconds(
                "rulebox_compile_duration_seconds",
                "Time to compile: `compile` is text to module, `load` is module to machine code, `worker` the same of modules of tenants.",
                &["stage", "result"],
            )?,
            compile_rejected: make.counter(
                "rulebox_compile_rejected_total",
                "Texts and modules that were not compiled.",
                &["reason"],
            )?,
            evaluation_duration: make.seconds(
                "rulebox_evaluation_duration_seconds",
                "Time from a read request to its results.",
                &["mode"],
            )?,
            load: Load::new(&make)?,
            evaluations: make.counter(
                "rulebox_evaluations_total",
                "Runs of a rule; `outcome` is its most severe verdict, or `violation`.",
                &["mode", "outcome", "tenant"],
            )?,
            bars: make.counter("rulebox_bars_evaluated_total", "Bars that rules were run over.", &["mode"])?,
            faults: make.counter("rulebox_rule_faults_total", "Runs of a rule that ended in a fault.", &["tenant"])?,
            fuel: make.counter("rulebox_fuel_consumed_total", "Units of fuel used by runs.", &["tenant"])?,
            guest_memory_peak: make
                .gauge("rulebox_guest_memory_peak_bytes", "The most linear memory that a run has had.")?,
            sessions_active: make.gauge("rulebox_sessions_active", "Sessions with a WebSocket of this process.")?,
            ws_disconnects: make.counter(
                "rulebox_ws_disconnects_total",
                "WebSockets that ended, by reason.",
                &["reason"],
            )?,
            violations: make.counter("rulebox_sandbox_violations_total", "Violations.", &["kind", "severity"])?,
            tenant_violations: make.counter(
                "rulebox_tenant_violations_total",
                "Violations by tenant.",
                &["tenant", "severity"],
            )?,
            violations_open: make.gauges(
                "rulebox_violations_open",
                "Violations that no reviewer has looked at, over all replicas.",
                &["severity"],
            )?,
            rules_quarantined: make.gauges(
                "rulebox_rules_quarantined",
                "Modules in quarantine, over all replicas.",
                &["tenant"],
            )?,
            quarantined: Mutex::default(),
            differential_checks: make.counter(
                "rulebox_differential_checks_total",
                "Modules held against the interpreter of their texts: at uploads, and for a sample of evaluations.",
                &["source", "result"],
            )?,
            webhook_deliveries: make.counter(
                "rulebox_webhook_deliveries_total",
                "Tries to deliver to webhooks; `dead` was given up.",
                &["result"],
            )?,
            alert_pushes: make.counter("rulebox_alert_pushes_total", "Pushes of alerts to Alertmanager.", &["result"])?,
            outbox_backlog: make
                .gauge("rulebox_outbox_backlog", "Deliveries that wait and alerts that last, over all replicas.")?,
            tenants: Tenants::default(),
            module_cache: make.counter(
                "rulebox_module_cache_requests_total",
                "Looks into the caches of modules: loaded ones (`memory`), and compiled code (`disk`, `redis`).",
                &["tier", "result"],
            )?,
            ratelimit_decisions: make.counter(
                "rulebox_ratelimit_decisions_total",
                "What tenants asked to take of their requests and fuel.",
                &["policy", "decision"],
            )?,
            dependency_up: make.gauges("rulebox_dependency_up", "1 if the dependency answers.", &["dependency"])?,
            db_connections: make.gauges(
                "rulebox_db_pool_connections",
                "Open connections to the database.",
                &["state"],
            )?,
            upkeep: Upkeep::new(&make)?,
            started,
            registry: make.0,
        }));
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// `increase()` misses the first event of a series that was not there before.
    fn begin_at_zero(&self) {
        for (kind, severity) in violation::kinds() {
            self.violations.with_label_values(&[kind, severity.name()]).reset();
        }
        for severity in violation::SEVERITIES {
            self.violations_open.with_label_values(&[severity.name()]).set(0);
        }
        for reason in ["queue_full", "compile_killed"] {
            self.compile_rejected.with_label_values(&[reason]).reset();
        }
        for reason in ["body_room", "evaluation_queue", "bar_queue", "streams"] {
            self.refused.with_label_values(&[reason]).reset();
        }
        for policy in ["requests", "fuel"] {
            for decision in ["allowed", "refused"] {
                self.ratelimit_decisions.with_label_values(&[policy, decision]).reset();
            }
        }
        for source in ["upload", "sample"] {
            for result in ["same", "different", "skipped"] {
                self.differential_checks.with_label_values(&[source, result]).reset();
            }
        }
        for result in ["delivered", "failed", "dead"] {
            self.webhook_deliveries.with_label_values(&[result]).reset();
        }
        for result in ["taken", "failed"] {
            self.alert_pushes.with_label_values(&[result]).reset();
        }
        for reason in Self::WS_ENDS {
            self.ws_disconnects.with_label_values(&[reason]).reset();
        }
        for result in ["hit", "miss"] {
            self.module_cache.with_label_values(&["memory", result]).reset();
        }
        for tier in ["disk", "redis"] {
            for result in ["hit", "miss", "tampered", "failed"] {
                self.module_cache.with_label_values(&[tier, result]).reset();
            }
        }
        for mode in ["bar", "columns", "session", "stream"] {
            self.bars.with_label_values(&[mode]).reset();
        }
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        self.started.set(since.unwrap_or(Duration::ZERO).as_secs_f64());
    }

    /// Sets how many modules each tenant has in quarantine. One that has none any more is shown with 0 once, so that who
    /// watches it sees it go.
    pub fn set_quarantined(&self, now: &BTreeMap<String, i64>) {
        let mut shown = self.quarantined.lock().unwrap_or_else(PoisonError::into_inner);
        shown.retain(|tenant, n| {
            if now.contains_key(tenant) {
                return true;
            }
            if *n == 0 {
                // It is there: nobody else removes it.
                let _ = self.rules_quarantined.remove_label_values(&[tenant]);
                return false;
            }
            *n = 0;
            self.rules_quarantined.with_label_values(&[tenant]).set(0);
            true
        });
        for (tenant, n) in now {
            self.rules_quarantined.with_label_values(&[tenant]).set(*n);
            shown.insert(tenant.clone(), *n);
        }
    }

    /// All metrics as Prometheus reads them.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn text(&self) -> Result<String, MetricsError> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Bytes that the control group of a container allows, if it has a limit.
fn memory_limit() -> Option<i64> {
    std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_violation_is_there_from_the_start() {
        let text = Metrics::new().unwrap().text().unwrap();
        for (kind, severity) in violation::kinds() {
            let line =
                format!("rulebox_sandbox_violations_total{{kind=\"{kind}\",severity=\"{}\"}} 0", severity.name());
            assert!(text.contains(&line), "{line}");
        }
        assert!(text.contains("rulebox_build_info{") && text.contains("process_resident_memory_bytes"));
    }
}
