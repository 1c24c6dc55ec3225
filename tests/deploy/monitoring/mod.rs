//! What is watched: boards of Grafana, rules of Prometheus, exporters. Every question of every board is asked of a real
//! Prometheus, which scrapes the real service and its stores after a load that touches everything.

mod boards;
mod load;
mod logins;
mod questions;
mod site;

/// Files of rules in `deploy/monitoring`.
const RULES: [&str; 4] = ["alerts", "cost", "exporters", "recording"];

/// Boards in `deploy/monitoring/dashboards`.
const BOARDS: [&str; 7] = ["dependencies", "engine", "platform", "security", "slo", "streams", "tenants"];
