//! Bodies of evaluations, for the `OpenAPI` document; [`crate::api::bars_json`] reads them.

#![expect(dead_code, reason = "describes what is read elsewhere")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// Bars: one (`inputs`) or many (`columns`).
#[derive(Debug, ToSchema)]
pub struct BarsRequest {
    /// One bar: numbers, true, false or null (missing) by input name.
    #[schema(example = json!({"equity": 92000, "drawdown": 0.08}))]
    pub inputs: Option<BTreeMap<String, serde_json::Value>>,
    /// Time of the one bar: RFC 3339, seconds optional, or whole milliseconds since 1970.
    #[schema(value_type = Option<Object>, example = "2026-01-05T15:00Z")]
    pub time: Option<serde_json::Value>,
    /// A series: arrays of equal length by input name, and `time`.
    #[schema(value_type = Option<Object>)]
    pub columns: Option<BTreeMap<String, Vec<serde_json::Value>>>,
    /// Numbers, true or false by param name; the others take their defaults.
    #[schema(example = json!({"limit": 0.1}))]
    pub params: Option<BTreeMap<String, serde_json::Value>>,
}

/// Bars, and the rules to run over them.
#[derive(Debug, ToSchema)]
pub struct JointRequest {
    /// Names of rules, or `"*"` for all that are active.
    #[schema(value_type = Object, example = json!(["daily_loss", "drawdown"]))]
    pub rules: serde_json::Value,
    /// Versions by rule, for those that shall not run their active one.
    pub versions: Option<BTreeMap<String, u32>>,
    /// As for one rule.
    pub inputs: Option<BTreeMap<String, serde_json::Value>>,
    /// As for one rule.
    #[schema(value_type = Option<Object>)]
    pub time: Option<serde_json::Value>,
    /// As for one rule.
    #[schema(value_type = Option<Object>)]
    pub columns: Option<BTreeMap<String, Vec<serde_json::Value>>>,
    /// Params by rule.
    pub params: Option<BTreeMap<String, BTreeMap<String, serde_json::Value>>>,
}
