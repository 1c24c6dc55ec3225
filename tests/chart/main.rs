//! The Helm chart, rendered by Helm with each set of values, held against schemas, programs and the properties that pods
//! must have.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[test]
fn the_chart_is_there() {
    let chart = rulebox_tests::root().join("deploy/chart/Chart.yaml");
    let _: serde_json::Value = serde_saphyr::from_str(&std::fs::read_to_string(chart).unwrap()).unwrap();
}
