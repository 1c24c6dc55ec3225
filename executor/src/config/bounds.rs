//! What each number may be. The lower bounds are what the service can work with; the upper ones are where a slip of the
//! keyboard begins, or what the system behind would refuse.

use std::ops::RangeInclusive;

use super::{Config, ConfigError, Evaluation, variable};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A setting: its path, its value, and what that may be.
pub(super) type Number = (&'static str, u64, RangeInclusive<u64>);

/// Every number among the settings.
#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn numbers(config: &Config) -> Vec<Number> {
    let Config { tenant, api, store, database, compile, evaluation, executors, code_cache, sessions, redis, usage, quarantine, differential, webhooks, alertmanager, retention, telemetry, .. } =
        config;
    vec![
        ("tenant.requests_per_second", tenant.requests_per_second, 1..=1_000_000_000),
        ("tenant.fuel_per_second", tenant.fuel_per_second, 1..=1_000_000_000_000_000),
        ("tenant.rules", tenant.rules, 0..=1_000_000_000),
        ("tenant.versions", tenant.versions, 0..=1_000_000_000),
        ("tenant.stored_bytes", tenant.stored_bytes, 0..=1024 * GIB),
        ("api.body_bytes", api.body_bytes as u64, KIB..=4 * GIB),
        ("api.small_body_bytes", api.small_body_bytes as u64, KIB..=64 * MIB),
        ("api.bodies_in_flight_bytes", api.bodies_in_flight_bytes as u64, KIB..=1024 * GIB),
        ("api.body_seconds", api.body_seconds, 1..=3_600),
        ("api.body_stall_seconds", api.body_stall_seconds, 1..=3_600),
        ("api.connections", api.connections as u64, 1..=1_000_000),
        ("api.header_seconds", api.header_seconds, 1..=3_600),
        // 0 cuts what is running.
        ("api.drain_seconds", api.drain_seconds, 0..=3_600),
        ("api.page_entries", api.page_entries.into(), 1..=10_000),
        ("api.bad_keys", api.bad_keys.into(), 1..=1_000_000),
        // A connection is a thread.
        ("store.connections", store.connections.into(), 1..=64),
        ("store.busy_ms", store.busy_ms, 1..=60_000),
        ("database.connections", database.connections.into(), 1..=1_000),
        ("database.platform_connections", database.platform_connections.into(), 1..=1_000),
        ("database.acquire_ms", database.acquire_ms, 1..=60_000),
        ("database.statement_ms", database.statement_ms, 1..=600_000),
        // Each thread has 4 GiB of address space for a module, of the 128 TiB that a process may have.
        ("compile.threads", compile.threads as u64, 1..=Config::MOST_THREADS as u64),
        ("compile.queue", compile.queue as u64, 0..=100_000),
        ("compile.source_bytes", compile.source_bytes as u64, 1..=16 * MIB),
        ("compile.bar_fuel", compile.bar_fuel, 1..=1_000_000_000_000),
        ("compile.workers", compile.workers as u64, 1..=Config::MOST_THREADS as u64),
        ("compile.tenant_workers", compile.tenant_workers.unwrap_or(1) as u64, 1..=Config::MOST_THREADS as u64),
        // Less has no room for a common module.
        ("compile.worker_memory_bytes", compile.worker_memory_bytes, 64 * MIB..=64 * GIB),
        ("compile.worker_cpu_seconds", compile.worker_cpu_seconds, 1..=600),
        ("compile.worker_seconds", compile.worker_seconds, 1..=600),
        ("evaluation.threads", evaluation.threads as u64, 1..=Config::MOST_THREADS as u64),
        ("evaluation.queue", evaluation.queue as u64, 0..=100_000),
        ("evaluation.rows", evaluation.rows as u64, 1..=100_000_000),
        ("evaluation.columns", evaluation.columns as u64, 1..=10_000),
        ("evaluation.cells", evaluation.cells as u64, 1..=10_000_000_000),
        ("evaluation.rules", evaluation.rules as u64, 1..=10_000),
        ("evaluation.fuel", evaluation.fuel, 1..=1_000_000_000_000_000),
        // The deadline is a backstop: fuel decides, and a busy machine must not.
        ("evaluation.deadline_ms", evaluation.deadline_ms, 250..=600_000),
        // Less has no room for the columns of one call.
        ("evaluation.memory_bytes", evaluation.memory_bytes as u64, MIB..=GIB),
        ("evaluation.chunk_rows", evaluation.chunk_rows as u64, 1..=rulebox_abi::MAX_ROWS.into()),
        ("evaluation.answers_in_flight_bytes", evaluation.answers_in_flight_bytes as u64, KIB..=1024 * GIB),
        ("evaluation.events", evaluation.events as u64, 0..=1_000_000),
        ("sessions.idle_seconds", sessions.idle_seconds, 1..=31_536_000),
        ("sessions.bars", sessions.bars as u64, 1..=100_000),
        ("sessions.state_bytes", sessions.state_bytes as u64, KIB..=64 * MIB),
        ("sessions.answers", sessions.answers as u64, 0..=10_000),
        ("sessions.answer_bytes", sessions.answer_bytes as u64, KIB..=64 * MIB),
        ("sessions.tenant_bytes", sessions.tenant_bytes as u64, MIB..=1024 * GIB),
        ("sessions.sockets", sessions.sockets as u64, 1..=1_000_000),
        ("sessions.tenant_sockets", sessions.tenant_sockets as u64, 1..=1_000_000),
        ("sessions.message_bytes", sessions.message_bytes as u64, KIB..=64 * MIB),
        ("sessions.ping_seconds", sessions.ping_seconds, 1..=3_600),
        ("sessions.socket_idle_seconds", sessions.socket_idle_seconds, 1..=86_400),
        ("sessions.slow_seconds", sessions.slow_seconds, 1..=3_600),
        ("sessions.in_process_bytes", sessions.in_process_bytes as u64, MIB..=1024 * GIB),
        ("redis.timeout_ms", redis.timeout_ms, 1..=60_000),
        ("redis.breaker_failures", redis.breaker_failures.into(), 1..=1_000),
        ("redis.breaker_rest_ms", redis.breaker_rest_ms, 1..=60_000),
        ("redis.replicas", redis.replicas, 1..=10_000),
        ("evaluation.loaded_modules", evaluation.loaded_modules as u64, 1..=1_000_000),
        // Less has no room for the largest module.
        ("evaluation.loaded_bytes", evaluation.loaded_bytes as u64, 16 * MIB..=1024 * GIB),
        ("executors.runs", executors.runs as u64, 1..=1_000),
        ("executors.threads", executors.threads as u64, 1..=1_000),
        ("executors.connect_ms", executors.connect_ms, 10..=60_000),
        ("executors.resolve_seconds", executors.resolve_seconds, 1..=3_600),
        ("executors.connections", executors.connections as u64, 1..=100_000),
        ("usage.flush_seconds", usage.flush_seconds, 1..=3_600),
        ("retention.every_minutes", retention.every_minutes, 1..=10_000),
        ("retention.violations_days", retention.violations_days, 1..=36_500),
        ("retention.audit_days", retention.audit_days, 0..=36_500),
        ("retention.requests_hours", retention.requests_hours, 1..=8_760),
        ("retention.keys_days", retention.keys_days, 1..=36_500),
        ("retention.usage_days", retention.usage_days, 1..=36_500),
        ("retention.events_days", retention.events_days, 1..=36_500),
        ("retention.outbox_days", retention.outbox_days, 1..=36_500),
        ("quarantine.violations", quarantine.violations, 1..=1_000_000_000),
        ("quarantine.deaths", quarantine.deaths, 1..=1_000_000_000),
        ("quarantine.minutes", quarantine.minutes, 1..=525_600),
        // 0 checks no live calls.
        ("differential.one_in", differential.one_in, 0..=1_000_000_000_000),
        ("differential.queue", differential.queue as u64, 1..=10_000),
        ("webhooks.per_tenant", webhooks.per_tenant, 0..=1_000),
        ("webhooks.timeout_ms", webhooks.timeout_ms, 10..=60_000),
        ("webhooks.tries", webhooks.tries.into(), 1..=1_000),
        ("webhooks.at_a_time", webhooks.at_a_time as u64, 1..=1_000),
        ("webhooks.rotation_hours", webhooks.rotation_hours, 0..=8_760),
        ("alertmanager.timeout_ms", alertmanager.timeout_ms, 10..=60_000),
        // Alertmanager takes an alert for over that is not sent again.
        ("alertmanager.resend_seconds", alertmanager.resend_seconds, 1..=3_600),
        ("telemetry.sample_per_thousand", telemetry.sample_per_thousand, 0..=1_000),
        ("telemetry.queue_spans", telemetry.queue_spans as u64, 1..=1_000_000),
        ("telemetry.export_ms", telemetry.export_ms, 10..=600_000),
        ("telemetry.timeout_ms", telemetry.timeout_ms, 10..=60_000),
        // Less has no room for common code.
        ("code_cache.bytes", code_cache.bytes, MIB..=1024 * GIB),
        ("code_cache.redis_bytes", code_cache.redis_bytes, 0..=64 * GIB),
        // Each has 4 GiB of address space for its module.
        ("evaluation.streams", evaluation.streams as u64, 1..=10_000),
        ("evaluation.tenant_streams", evaluation.tenant_streams as u64, 1..=10_000),
        ("evaluation.stream_rows", evaluation.stream_rows as u64, 1..=1_000_000_000_000),
        ("evaluation.stream_batch_bytes", evaluation.stream_batch_bytes as u64, KIB..=GIB),
    ]
}

/// Refuses the first setting that is not what it may be.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    for (name, value, allowed) in numbers(config) {
        if !allowed.contains(&value) {
            return Err(invalid(name, value, format!("it may be {} to {}", allowed.start(), allowed.end())));
        }
    }
    let api = &config.api;
    // The room for bodies is given out in whole KiB.
    let largest = api.body_bytes.max(api.small_body_bytes).next_multiple_of(1024);
    if api.bodies_in_flight_bytes < largest {
        let reason = format!("it must be at least {largest}, or the largest request could never be read");
        return Err(invalid("api.bodies_in_flight_bytes", api.bodies_in_flight_bytes as u64, reason));
    }
    let evaluation = &config.evaluation;
    let largest = evaluation.cells.saturating_mul(Evaluation::RESULT_BYTES);
    if evaluation.answers_in_flight_bytes < largest {
        let reason = format!("it must be at least {largest}, or the largest answer could never be made");
        let (name, value) = ("evaluation.answers_in_flight_bytes", evaluation.answers_in_flight_bytes as u64);
        return Err(invalid(name, value, reason));
    }
    if config.data_dir.as_os_str().is_empty() {
        let reason = "it must name a directory".to_owned();
        return Err(ConfigError::Invalid { variable: variable("data_dir"), value: "empty".to_owned(), reason });
    }
    config.webhooks.check()?;
    config.telemetry.check()
}

fn invalid(name: &str, value: u64, reason: String) -> ConfigError {
    ConfigError::Invalid { variable: variable(name), value: value.to_string(), reason }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_number_has_bounds_and_the_default_is_within() {
        let config = Config::on_free_ports(Path::new("d")).unwrap();
        let bounded: Vec<_> = numbers(&config).into_iter().map(|(name, ..)| name.to_owned()).collect();
        let sections = [
            ("tenant", serde_json::to_value(&config.tenant).unwrap()),
            ("api", serde_json::to_value(&config.api).unwrap()),
            ("health", serde_json::to_value(&config.health).unwrap()),
            ("store", serde_json::to_value(&config.store).unwrap()),
            ("database", serde_json::to_value(&config.database).unwrap()),
            ("compile", serde_json::to_value(&config.compile).unwrap()),
            ("evaluation", serde_json::to_value(&config.evaluation).unwrap()),
            ("executors", serde_json::to_value(&config.executors).unwrap()),
            ("code_cache", serde_json::to_value(&config.code_cache).unwrap()),
            ("sessions", serde_json::to_value(&config.sessions).unwrap()),
            ("redis", serde_json::to_value(&config.redis).unwrap()),
            ("usage", serde_json::to_value(&config.usage).unwrap()),
            ("quarantine", serde_json::to_value(&config.quarantine).unwrap()),
            ("differential", serde_json::to_value(&config.differential).unwrap()),
            ("webhooks", serde_json::to_value(&config.webhooks).unwrap()),
            ("alertmanager", serde_json::to_value(&config.alertmanager).unwrap()),
            ("retention", serde_json::to_value(&config.retention).unwrap()),
            ("telemetry", serde_json::to_value(&config.telemetry).unwrap()),
            ("log", serde_json::to_value(&config.log).unwrap()),
        ];
        let there: Vec<_> = sections
            .iter()
            .flat_map(|(section, settings)| {
                let numbers = settings.as_object().unwrap().iter().filter(|(_, value)| value.is_number());
                numbers.map(move |(name, _)| format!("{section}.{name}"))
            })
            .collect();
        for name in &there {
            assert!(bounded.contains(name), "{name} has no bounds");
        }
        // The one that goes by another, unless it is set.
        let goes_by_another = ["compile.tenant_workers"];
        assert_eq!(bounded.len(), there.len() + goes_by_another.len());
    }
}
