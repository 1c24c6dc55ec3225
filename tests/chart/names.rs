//! Names, labels, selectors, and what Services lead to.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{containers, entries, list, of_kind, pods, selects, text, title, workloads};

/// What selectors go by: nothing that ever changes.
pub(crate) const SELECTED: [&str; 3] =
    ["app.kubernetes.io/component", "app.kubernetes.io/instance", "app.kubernetes.io/name"];

/// What tells one version from another: not on pods, which would start anew for it.
const OF_OBJECTS: [&str; 3] = ["app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"];

/// Kinds that are in no namespace.
const OF_CLUSTER: [&str; 1] = ["PriorityClass"];

pub(crate) fn labelled(objects: &[Value], found: &mut Found) {
    let mut seen = BTreeSet::new();
    for object in objects {
        found.of(object, seen.insert(title(object)), "there are two of them");
        let name = text(&object["metadata"]["name"]);
        found.of(object, (1..=63).contains(&name.len()), "its name is too long");
        let namespace = object["metadata"]["namespace"] == "rulebox";
        found.of(object, namespace != OF_CLUSTER.contains(&text(&object["kind"])), "its namespace");
        let labels = &object["metadata"]["labels"];
        for label in SELECTED.iter().chain(&["app.kubernetes.io/part-of"]).chain(&OF_OBJECTS) {
            let value = text(&labels[label]);
            found.of(object, (1..=63).contains(&value.len()), &format!("it has no label {label}"));
        }
    }
    for (object, template) in pods(objects) {
        if object["kind"] == "Pod" {
            continue;
        }
        let labels = &template["metadata"]["labels"];
        for label in SELECTED.iter().chain(&["app.kubernetes.io/part-of"]) {
            let same = labels[label] == object["metadata"]["labels"][label] && labels[label].is_string();
            found.of(object, same, &format!("its pods' label {label}"));
        }
        for label in OF_OBJECTS {
            found.of(object, labels[label].is_null(), &format!("its pods start anew with {label}"));
        }
    }
}

pub(crate) fn selected(objects: &[Value], found: &mut Found) {
    for (object, template) in workloads(objects) {
        let selector = &object["spec"]["selector"];
        let names: Vec<_> = entries(&selector["matchLabels"]).map(|(name, _)| name).collect();
        found.of(object, names == SELECTED, &format!("its selector goes by {names:?}"));
        found.of(object, selector["matchExpressions"].is_null(), "its selector has expressions");
        found.of(object, selects(&selector["matchLabels"], template), "it does not select its own pods");
        let all = pods(objects).filter(|(_, other)| selects(&selector["matchLabels"], other)).count();
        found.of(object, all == 1, &format!("it selects the pods of {all} objects"));
    }
}

pub(crate) fn served(objects: &[Value], found: &mut Found) {
    for service in of_kind(objects, "Service") {
        let spec = &service["spec"];
        found.of(service, spec["type"] == "ClusterIP", "it is open to the outside");
        // Kubernetes' own label of a set's pods, which is in no template: the pod is one of the set's.
        let mut selector = spec["selector"].clone();
        let one = selector.as_object_mut().and_then(|labels| labels.remove("statefulset.kubernetes.io/pod-name"));
        let behind: Vec<_> = pods(objects).filter(|(_, template)| selects(&selector, template)).collect();
        if let Some(pod) = one {
            let of = behind.iter().any(|(object, _)| {
                let mut numbers = 0..object["spec"]["replicas"].as_u64().unwrap_or_default();
                numbers.any(|number| pod == format!("{}-{number}", text(&object["metadata"]["name"])))
            });
            found.of(service, of, &format!("there is no pod {pod}"));
        }
        found.of(service, behind.len() == 1, &format!("it leads to {} objects", behind.len()));
        let lasting = behind.iter().all(|(object, _)| ["Deployment", "StatefulSet"].contains(&text(&object["kind"])));
        found.of(service, lasting, "it leads to pods that end");
        found.of(service, !list(&spec["ports"]).is_empty(), "it has no ports");
        for port in list(&spec["ports"]) {
            let target = &port["targetPort"];
            let open = behind.iter().flat_map(|(_, template)| containers(template));
            let open = open.flat_map(|container| list(&container["ports"])).any(|open| open["name"] == *target);
            found.of(service, open, &format!("nobody listens at {target}"));
        }
    }
    // A StatefulSet's Service, an Ingress' and a route's are there.
    let there = |name: &Value| of_kind(objects, "Service").any(|service| service["metadata"]["name"] == *name);
    for set in of_kind(objects, "StatefulSet") {
        found.of(set, there(&set["spec"]["serviceName"]), "its Service is missing");
    }
    for ingress in of_kind(objects, "Ingress") {
        for rule in list(&ingress["spec"]["rules"]) {
            let paths = list(&rule["http"]["paths"]);
            let led = paths.iter().all(|path| there(&path["backend"]["service"]["name"]));
            found.of(ingress, led && !paths.is_empty(), "it leads nowhere");
            let hosts = list(&ingress["spec"]["tls"]).iter().flat_map(|tls| list(&tls["hosts"]));
            found.of(ingress, hosts.into_iter().any(|host| *host == rule["host"]), "a host has no certificate");
        }
    }
    for route in of_kind(objects, "HTTPRoute") {
        for rule in list(&route["spec"]["rules"]) {
            let backends = list(&rule["backendRefs"]);
            let redirects = list(&rule["filters"]).iter().any(|filter| filter["type"] == "RequestRedirect");
            let leads = backends.iter().all(|backend| there(&backend["name"])) && (redirects || !backends.is_empty());
            found.of(route, leads, "it leads nowhere");
        }
    }
}

/// What is named is there: settings, claims and priority classes of the release.
fn referred(objects: &[Value], found: &mut Found) {
    let there = |kind: &str, name: &Value| of_kind(objects, kind).any(|object| object["metadata"]["name"] == *name);
    for (object, template) in pods(objects) {
        for container in containers(template) {
            for from in list(&container["envFrom"]) {
                found.of(object, there("ConfigMap", &from["configMapRef"]["name"]), "its ConfigMap is missing");
            }
        }
        for volume in list(&template["spec"]["volumes"]) {
            for (kind, name) in [
                ("ConfigMap", &volume["configMap"]["name"]),
                ("PersistentVolumeClaim", &volume["persistentVolumeClaim"]["claimName"]),
            ] {
                found.of(object, name.is_null() || there(kind, name), &format!("its {kind} {name} is missing"));
            }
        }
    }
    for config in of_kind(objects, "ConfigMap") {
        let name = &config["metadata"]["name"];
        let used = pods(objects).any(|(_, template)| {
            let from = containers(template).flat_map(|container| list(&container["envFrom"]));
            from.into_iter().any(|from| from["configMapRef"]["name"] == *name)
                || list(&template["spec"]["volumes"]).iter().any(|volume| volume["configMap"]["name"] == *name)
        });
        // Grafana's sidecar looks for its label.
        let board = config["metadata"]["labels"]["grafana_dashboard"] == "1";
        found.of(config, used || board, "nobody reads it");
    }
}

#[test]
fn objects_have_the_standard_labels() {
    holds_everywhere("names and labels", labelled, 1500);
}

#[test]
fn missing_labels_are_found() {
    const LABELS: &str = "/metadata/labels";
    const PODS: &str = "/spec/template/metadata/labels";
    let twice = json!({"kind": "Service", "metadata": {"name": "rulebox-api", "namespace": "rulebox"}});
    finds(
        labelled,
        &[
            broken("default", "Service rulebox-api", "", twice, "there are two"),
            broken("default", "Service rulebox-api", "/metadata/name", json!("x".repeat(64)), "too long"),
            broken("default", "Service rulebox-api", "/metadata/namespace", None, "its namespace"),
            broken(
                "production",
                "PriorityClass rulebox-rulebox-api",
                "/metadata/namespace",
                json!("rulebox"),
                "its namespace",
            ),
            broken(
                "default",
                "ResourceQuota rulebox",
                format!("{LABELS}/helm.sh~1chart"),
                None,
                "no label helm.sh/chart",
            ),
            broken(
                "default",
                "Job rulebox-migrate",
                format!("{PODS}/app.kubernetes.io~1component"),
                None,
                "pods' label",
            ),
            broken(
                "default",
                "Job rulebox-migrate",
                format!("{PODS}/helm.sh~1chart"),
                json!("rulebox-1"),
                "start anew",
            ),
        ],
    );
}

#[test]
fn selectors_select_their_own_pods() {
    holds_everywhere("selectors", selected, 80);
}

#[test]
fn selectors_of_others_are_found() {
    const SELECTOR: &str = "/spec/selector/matchLabels";
    const COMPONENT: &str = "app.kubernetes.io~1component";
    finds(
        selected,
        &[
            broken("default", "Deployment rulebox-api", format!("{SELECTOR}/version"), json!("1"), "goes by"),
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{SELECTOR}/{COMPONENT}"),
                json!("executor"),
                "its own pods",
            ),
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{SELECTOR}/{COMPONENT}"),
                None,
                "the pods of 5 objects",
            ),
        ],
    );
}

#[test]
fn services_lead_to_those_who_listen() {
    holds_everywhere("Services", served, 150);
}

#[test]
fn services_that_lead_nowhere_are_found() {
    const COMPONENT: &str = "/spec/selector/app.kubernetes.io~1component";
    finds(
        served,
        &[
            broken("default", "Service rulebox-api", COMPONENT, json!("apis"), "it leads to 0"),
            broken("default", "Service rulebox-api", COMPONENT, json!("migrate"), "pods that end"),
            broken("default", "Service rulebox-api", COMPONENT, None, "objects"),
            broken("default", "Service rulebox-api", "/spec/type", json!("NodePort"), "open to the outside"),
            broken("default", "Service rulebox-api", "/spec/ports/0/targetPort", json!("https"), "nobody listens"),
            broken("staging", "Service rulebox-redis", "", None, "its Service is missing"),
            broken("staging", "Service rulebox-api", "", None, "Ingress rulebox-api: it leads nowhere"),
            broken("options", "Service rb-api", "", None, "HTTPRoute rb-api: it leads nowhere"),
            broken("staging", "Ingress rulebox-api", "/spec/tls/0/hosts/0", json!("x"), "no certificate"),
        ],
    );
}

#[test]
fn what_is_named_is_there() {
    holds_everywhere("references", referred, 150);
}

#[test]
fn what_is_named_and_missing_is_found() {
    finds(
        referred,
        &[
            broken("default", "ConfigMap rulebox-api", "", None, "its ConfigMap is missing"),
            broken("staging", "ConfigMap rulebox-redis", "", None, "its ConfigMap \"rulebox-redis\" is missing"),
            broken("staging", "PersistentVolumeClaim rulebox-backup", "", None, "\"rulebox-backup\" is missing"),
            broken("staging", "StatefulSet rulebox-redis", "", None, "ConfigMap rulebox-redis: nobody reads it"),
        ],
    );
}
