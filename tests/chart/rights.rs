//! What the pipeline may do in a cluster (`deploy/ci/rights.yaml`): all that Helm wants of it, whatever the values say.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::run;
use serde_json::{Value, json};

use crate::rendered::{all, list, parse, text, with};

/// What Helm does with what it renders.
const VERBS: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];

/// Kinds of the chart that `ClusterRole` admin may write, as Kubernetes has it (`system:aggregate-to-edit`): quotas and limit
/// ranges it may only read.
const OF_ADMIN: [(&str, &str); 14] = [
    ("", "ConfigMap"),
    ("", "PersistentVolumeClaim"),
    ("", "Pod"),
    ("", "Secret"),
    ("", "Service"),
    ("", "ServiceAccount"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("batch", "CronJob"),
    ("batch", "Job"),
    ("networking.k8s.io", "Ingress"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("policy", "PodDisruptionBudget"),
];

/// Kinds that are in no namespace.
const OF_CLUSTER: [&str; 1] = ["PriorityClass"];

/// The manifests, as README.md has them applied.
fn rights() -> Vec<Value> {
    let readme = fs::read_to_string(root().join("deploy/ci/README.md")).unwrap();
    let command = readme.lines().find(|line| line.contains("deploy/ci/rights.yaml | kubectl apply")).unwrap();
    let fills = command.split_once(" | kubectl apply --filename -").unwrap().0;
    parse(&run(Command::new("bash").args(["-c", fills]).current_dir(root())))
}

/// Groups and kinds that some rendering has.
fn kinds() -> BTreeSet<(String, String)> {
    let more = [
        with("staging", &["redisBackup.enabled=true", "redisBackup.existingClaim=copies", "restoreTest.enabled=true"]),
        with(
            "default",
            &["ingress.enabled=true", "ingress.certManager.enabled=true", "ingress.certManager.issuer=letsencrypt"],
        ),
    ];
    let objects = all().iter().flat_map(|rendered| &rendered.objects).chain(more.iter().flatten());
    objects.map(|object| (group(object), text(&object["kind"]).to_owned())).collect()
}

/// The group of an object: `apps` of `apps/v1`, nothing of `v1`.
fn group(object: &Value) -> String {
    text(&object["apiVersion"]).rsplit_once('/').map_or("", |(group, _)| group).to_owned()
}

/// What Kubernetes calls a kind in its rules.
fn resource(kind: &str) -> String {
    let low = kind.to_lowercase();
    if low.ends_with("ss") {
        return format!("{low}es");
    }
    low.strip_suffix('y').map_or_else(|| format!("{low}s"), |stem| format!("{stem}ies"))
}

/// Whether a role has all verbs for a kind.
fn permits(role: &Value, group: &str, kind: &str) -> bool {
    list(&role["rules"]).iter().any(|rule| {
        let has = |field: &str, value: &str| list(&rule[field]).contains(&json!(value));
        has("apiGroups", group) && has("resources", &resource(kind)) && VERBS.iter().all(|verb| has("verbs", verb))
    })
}

/// What is wrong with the rights, for what the chart renders.
fn lacking(rights: &[Value], kinds: &BTreeSet<(String, String)>) -> Vec<String> {
    let of = |kind: &str| rights.iter().filter(|it| it["kind"] == kind).cloned().collect::<Vec<_>>();
    let mut lacking = Vec::new();
    // Roles that somebody has: bound to the one user, here or in the cluster.
    let user = json!("github:repo:acme/rulebox:environment:production");
    let bound = |binding: &str| {
        let bindings = of(binding).into_iter().filter(|it| it["subjects"][0]["name"] == user);
        bindings.map(|it| (text(&it["roleRef"]["kind"]).to_owned(), text(&it["roleRef"]["name"]).to_owned())).collect()
    };
    let here: BTreeSet<(String, String)> = bound("RoleBinding");
    let everywhere: BTreeSet<(String, String)> = bound("ClusterRoleBinding");
    let has = |bindings: &BTreeSet<(String, String)>, kind: &str, role: &Value| {
        bindings.contains(&(kind.to_owned(), text(&role["metadata"]["name"]).to_owned()))
    };
    let admin = here.contains(&("ClusterRole".to_owned(), "admin".to_owned()));
    for (group, kind) in kinds {
        let permitted = if OF_CLUSTER.contains(&kind.as_str()) {
            of("ClusterRole").iter().any(|role| has(&everywhere, "ClusterRole", role) && permits(role, group, kind))
        } else {
            let known = admin && OF_ADMIN.contains(&(group.as_str(), kind.as_str()));
            known || of("Role").iter().any(|role| has(&here, "Role", role) && permits(role, group, kind))
        };
        if !permitted {
            lacking.push(format!("{kind} of '{group}' cannot be written"));
        }
    }
    // And no more than that.
    for role in of("Role").iter().chain(&of("ClusterRole")) {
        for rule in list(&role["rules"]) {
            for (group, name) in list(&rule["apiGroups"])
                .iter()
                .flat_map(|group| list(&rule["resources"]).iter().map(move |name| (text(group), text(name))))
            {
                if !kinds.iter().any(|(of, kind)| of == group && resource(kind) == name) {
                    lacking.push(format!("{name} of '{group}' may be written, and the chart has none"));
                }
            }
        }
    }
    lacking
}

#[test]
fn the_pipeline_may_write_what_the_chart_renders_and_no_more() {
    let (rights, kinds) = (rights(), kinds());
    assert_eq!(lacking(&rights, &kinds), Vec::<String>::new());
    println!("{} kinds, {} of them of operators", kinds.len(), kinds.iter().filter(|(of, _)| of.contains('.')).count());
    assert!(kinds.len() > 20, "{kinds:?}");

    let place = |kind: &str| rights.iter().position(|it| it["kind"] == kind).unwrap();
    let role = place("Role");
    for (at, pointer, to, says) in [
        (role, "/rules/0/resources", json!(["limitranges"]), "ResourceQuota of '' cannot"),
        (role, "/rules/0/verbs", json!(["get", "list", "watch"]), "LimitRange of '' cannot"),
        (role, "/rules/5/apiGroups", json!(["monitoring"]), "ServiceMonitor of 'monitoring.coreos.com' cannot"),
        (role, "/rules/0/resources/0", json!("nodes"), "nodes of '' may be written"),
        (role, "/metadata/name", json!("other"), "HTTPRoute of"),
        (place("ClusterRole"), "/rules/0/resources", json!(["storageclasses"]), "PriorityClass of"),
        (place("ClusterRoleBinding"), "/subjects/0/name", json!("somebody"), "PriorityClass of"),
        (place("RoleBinding"), "/roleRef/name", json!("edit"), "Deployment of 'apps' cannot"),
    ] {
        let mut broken = rights.clone();
        *broken[at].pointer_mut(pointer).unwrap() = to;
        let found = lacking(&broken, &kinds);
        assert!(found.iter().any(|fault| fault.contains(says)), "{says}: {found:?}");
    }
}
