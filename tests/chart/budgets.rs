//! What a drain of a node may take away.

use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{of_kind, selects, text, workloads};

/// A budget for each workload, which lets one pod go at a time and always one.
fn protects(objects: &[Value], found: &mut Found) {
    for (object, template) in workloads(objects) {
        let budgets: Vec<_> = of_kind(objects, "PodDisruptionBudget")
            .filter(|budget| selects(&budget["spec"]["selector"]["matchLabels"], template))
            .collect();
        found.of(object, budgets.len() == 1, &format!("{} budgets", budgets.len()));
        for budget in budgets {
            let spec = &budget["spec"];
            // With as many as `minAvailable`, no node could be drained; a percentage rounds to none or to all.
            found.of(budget, spec["minAvailable"].is_null(), "it has minAvailable");
            let away = spec["maxUnavailable"].as_u64();
            found.of(budget, away.is_some_and(|away| away >= 1), "it blocks every drain");
            let pods = least(objects, object);
            found.of(budget, away.is_some_and(|away| pods == 1 || away < pods), "it lets all pods go at once");
            // Else a pod that never becomes ready holds its node for ever.
            found.of(budget, spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow", "a broken pod holds its node");
        }
    }
}

/// Pods of a workload, at the least.
fn least(objects: &[Value], object: &Value) -> u64 {
    let scaler = of_kind(objects, "HorizontalPodAutoscaler")
        .find(|scaler| scaler["spec"]["scaleTargetRef"]["name"] == object["metadata"]["name"]);
    let pods = scaler.map_or(&object["spec"]["replicas"], |scaler| &scaler["spec"]["minReplicas"]);
    pods.as_u64().unwrap_or(1)
}

/// A budget that is for no pod is a slip in its selector.
fn is_for_somebody(objects: &[Value], found: &mut Found) {
    for budget in of_kind(objects, "PodDisruptionBudget") {
        let selector = &budget["spec"]["selector"]["matchLabels"];
        let whom: Vec<_> = workloads(objects).filter(|(_, template)| selects(selector, template)).collect();
        found.of(budget, whom.len() == 1, &format!("it is for {} workloads", whom.len()));
        let same =
            whom.iter().all(|(object, _)| text(&object["metadata"]["name"]) == text(&budget["metadata"]["name"]));
        found.of(budget, same, "it is for another workload");
    }
}

pub(crate) fn budgets(objects: &[Value], found: &mut Found) {
    protects(objects, found);
    is_for_somebody(objects, found);
}

#[test]
fn budgets_protect_and_let_nodes_be_drained() {
    holds_everywhere("budgets of disruption", budgets, 150);
}

#[test]
fn budgets_that_do_not_are_found() {
    const API: &str = "PodDisruptionBudget rulebox-api";
    finds(
        budgets,
        &[
            broken("default", API, "", None, "Deployment rulebox-api: 0 budgets"),
            broken("default", API, "/spec/maxUnavailable", json!(0), "blocks every drain"),
            broken("default", API, "/spec/maxUnavailable", json!("0%"), "blocks every drain"),
            broken("default", API, "/spec/maxUnavailable", json!(3), "lets all pods go"),
            broken("small", API, "/spec/maxUnavailable", json!(2), "lets all pods go"),
            broken("default", API, "/spec/minAvailable", json!(3), "has minAvailable"),
            broken("default", API, "/spec/unhealthyPodEvictionPolicy", None, "holds its node"),
            broken(
                "default",
                API,
                "/spec/selector/matchLabels/app.kubernetes.io~1component",
                json!("x"),
                "for 0 workloads",
            ),
            broken("default", API, "/spec/selector/matchLabels/app.kubernetes.io~1component", None, "workloads"),
        ],
    );
}
