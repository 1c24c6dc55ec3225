//! What stays: probes, how they end, how they roll, where they are, how they scale.

use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{containers, list, of_kind, text, title, workloads};

fn ends_well(objects: &[Value], found: &mut Found) {
    for (object, template) in workloads(objects) {
        let all = list(&template["spec"]["containers"]);
        // What watches another container has no probes: exporters.rs holds it.
        for container in all.iter().filter(|it| it["name"] != "exporter" || all.len() == 1) {
            let name = text(&container["name"]);
            let mut of = |holds: bool, fault: &str| found.of(object, holds, &format!("{name}: {fault}"));
            let probes = ["startupProbe", "readinessProbe", "livenessProbe"].map(|probe| &container[probe]);
            of(probes.iter().all(|probe| probe.is_object()), "a probe is missing");
            let [startup, readiness, liveness] = probes;
            of(startup != readiness && readiness != liveness && startup != liveness, "two probes are the same");
            // A start may be slow; a process that hangs is not for ever.
            let seconds = |probe: &Value| Some(probe["periodSeconds"].as_u64()? * probe["failureThreshold"].as_u64()?);
            of(seconds(startup).is_some_and(|all| (30..=600).contains(&all)), "how long its start may take");
            of(seconds(liveness).is_some_and(|all| (30..=300).contains(&all)), "how long it may hang");
            if ["api", "executor"].contains(&name) {
                let paths = probes.map(|probe| text(&probe["httpGet"]["path"]));
                // `/livez` asks neither PostgreSQL nor Redis.
                of(paths == ["/startupz", "/readyz", "/livez"], "its probes ask for something else");
                of(probes.iter().all(|probe| probe["httpGet"]["port"] == "health"), "its probes ask at another port");
            } else {
                of(liveness["tcpSocket"].is_object(), "its liveness hangs on more than itself");
            }
            let pause = pause(&container["lifecycle"]["preStop"]);
            of(pause > 0, "it does not pause before it ends");
            // An API looks the name of executors up every 5 s, and name servers remember for up to 30.
            of(name != "executor" || pause > 35, "APIs do not know yet that it goes");
            let grace = template["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
            let drain = drain(objects, object);
            of(
                grace > pause + drain,
                &format!("it is killed after {grace} s, with {pause} s of pause and {drain} of drain"),
            );
        }
    }
}

/// Seconds before SIGTERM: `sleep`, or all those of a command.
fn pause(hook: &Value) -> u64 {
    if let Some(seconds) = hook["sleep"]["seconds"].as_u64() {
        return seconds;
    }
    let command: Vec<_> = list(&hook["exec"]["command"]).iter().map(text).collect();
    let command = command.join(" ");
    command.split("sleep ").skip(1).filter_map(|rest| rest.split([';', ' ']).next()?.parse::<u64>().ok()).sum()
}

/// Seconds that it takes to drain, as its settings say.
fn drain(objects: &[Value], object: &Value) -> u64 {
    let settings = of_kind(objects, "ConfigMap").find(|it| it["metadata"]["name"] == object["metadata"]["name"]);
    let seconds = settings.map(|settings| text(&settings["data"]["RULEBOX_API__DRAIN_SECONDS"]));
    seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or_default()
}

fn rolls_well(objects: &[Value], found: &mut Found) {
    for (object, template) in workloads(objects) {
        let scaler = of_kind(objects, "HorizontalPodAutoscaler").find(|scaler| {
            let target = &scaler["spec"]["scaleTargetRef"];
            target["name"] == object["metadata"]["name"] && target["kind"] == object["kind"]
        });
        let spec = &object["spec"];
        found.of(object, scaler.is_some() != spec["replicas"].is_u64(), "replicas, beside or without a scaler");
        if object["kind"] == "Deployment" {
            let rolling = &spec["strategy"]["rollingUpdate"];
            found.of(object, spec["strategy"]["type"] == "RollingUpdate", "it is replaced all at once");
            found.of(object, rolling["maxUnavailable"] == 0, "an update may take pods away");
            found.of(object, is_some(&rolling["maxSurge"]), "an update may add none");
            found.of(object, spec["minReadySeconds"].as_u64() > Some(0), "a new pod counts at once");
            let ready = containers(template).filter_map(|it| it["startupProbe"]["failureThreshold"].as_u64()).max();
            found.of(
                object,
                spec["progressDeadlineSeconds"].as_u64() > ready,
                "an update is given up before pods can be ready",
            );
        } else {
            found.of(object, spec["updateStrategy"]["type"] == "RollingUpdate", "its update waits for somebody");
            found.of(object, text(&spec["serviceName"]) == text(&object["metadata"]["name"]), "its Service");
        }
    }
}

/// Whether a number or a percentage is not 0.
fn is_some(value: &Value) -> bool {
    value.as_u64().is_some_and(|number| number > 0)
        || text(value).trim_end_matches('%').parse::<u64>().is_ok_and(|n| n > 0)
}

fn is_spread(objects: &[Value], found: &mut Found) {
    for (object, template) in workloads(objects) {
        let spread = list(&template["spec"]["topologySpreadConstraints"]);
        for key in ["topology.kubernetes.io/zone", "kubernetes.io/hostname"] {
            let one = spread.iter().find(|one| one["topologyKey"] == key);
            found.of(object, one.is_some(), &format!("it is not spread over {key}"));
            let own = one.is_some_and(|one| one["labelSelector"] == object["spec"]["selector"] && one["maxSkew"] == 1);
            found.of(object, own, &format!("other pods count, over {key}"));
            if object["kind"] == "Deployment" {
                let each = one.is_some_and(|one| one["matchLabelKeys"] == json!(["pod-template-hash"]));
                found.of(object, each, "an update counts the pods before it");
            }
        }
        let terms = &template["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
        let apart = list(terms).iter().map(|term| &term["podAffinityTerm"]).any(|term| {
            term["topologyKey"] == "kubernetes.io/hostname" && term["labelSelector"] == object["spec"]["selector"]
        });
        found.of(object, apart, "nothing keeps its pods apart");
    }
}

fn scales(objects: &[Value], found: &mut Found) {
    const METRICS: [(&str, &str); 2] =
        [("rulebox-api", "rulebox_evaluations_in_flight"), ("rulebox-executor", "rulebox_evaluation_queue_depth")];
    for scaler in of_kind(objects, "HorizontalPodAutoscaler") {
        let spec = &scaler["spec"];
        let target = workloads(objects).find(|(object, _)| {
            let target = &spec["scaleTargetRef"];
            object["kind"] == target["kind"] && object["metadata"]["name"] == target["name"]
        });
        found.of(
            scaler,
            target.is_some_and(|(it, _)| it["apiVersion"] == spec["scaleTargetRef"]["apiVersion"]),
            "its target",
        );
        let (least, most) = (spec["minReplicas"].as_u64(), spec["maxReplicas"].as_u64());
        found.of(scaler, least >= Some(3), "fewer than three pods");
        found.of(scaler, most >= least && most.is_some(), "it cannot scale");
        let metrics = list(&spec["metrics"]);
        for name in ["cpu", "memory"] {
            let metric = metrics.iter().find(|metric| metric["resource"]["name"] == name);
            let utilization = metric.and_then(|metric| metric["resource"]["target"]["averageUtilization"].as_u64());
            found.of(
                scaler,
                utilization.is_some_and(|of| (30..=95).contains(&of)),
                &format!("it does not go by {name}"),
            );
        }
        let pods = metrics
            .iter()
            .find(|metric| metric["type"] == "Pods")
            .map(|metric| text(&metric["pods"]["metric"]["name"]));
        let part = title(scaler);
        let part = part.trim_end_matches("-canary");
        let known = METRICS.iter().any(|(of, metric)| Some(*metric) == pods && part.ends_with(&of[7..]));
        found.of(scaler, known, &format!("its metric of pods is {pods:?}"));
        for direction in ["scaleUp", "scaleDown"] {
            let behavior = &spec["behavior"][direction];
            let policies = list(&behavior["policies"]);
            let paced = policies.iter().all(|policy| is_some(&policy["value"]) && is_some(&policy["periodSeconds"]));
            found.of(scaler, paced && !policies.is_empty(), &format!("{direction} has no pace"));
            let window = behavior["stabilizationWindowSeconds"].as_u64();
            found.of(
                scaler,
                window.is_some_and(|w| w > 0 || direction == "scaleUp"),
                &format!("{direction}: {window:?}"),
            );
        }
    }
}

/// All of these.
pub(crate) fn all(objects: &[Value], found: &mut Found) {
    for property in [ends_well, rolls_well, is_spread, scales] {
        property(objects, found);
    }
}

#[test]
fn workloads_start_and_end_well() {
    holds_everywhere("probes and ends", ends_well, 200);
}

#[test]
fn bad_probes_and_ends_are_found() {
    const C: &str = "/spec/template/spec/containers/0";
    const GRACE: &str = "/spec/template/spec/terminationGracePeriodSeconds";
    let ready = json!({"httpGet": {"path": "/readyz", "port": "health"}, "periodSeconds": 10, "failureThreshold": 6});
    let short = json!({"exec": {"command": ["/bin/sh", "-c", "sleep 10; kill -INT 1; sleep 90"]}});
    finds(
        ends_well,
        &[
            broken("default", "Deployment rulebox-api", format!("{C}/startupProbe"), None, "a probe is missing"),
            broken("default", "Deployment rulebox-api", format!("{C}/livenessProbe"), ready, "ask for something else"),
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{C}/livenessProbe/periodSeconds"),
                json!(1),
                "may hang",
            ),
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{C}/startupProbe/failureThreshold"),
                json!(1),
                "its start",
            ),
            broken(
                "default",
                "Deployment rulebox-executor",
                format!("{C}/readinessProbe/httpGet/port"),
                json!("runs"),
                "port",
            ),
            broken(
                "small",
                "StatefulSet rulebox-postgresql",
                format!("{C}/livenessProbe/tcpSocket"),
                None,
                "hangs on more",
            ),
            broken("default", "Deployment rulebox-executor", format!("{C}/lifecycle"), None, "does not pause"),
            broken(
                "default",
                "Deployment rulebox-executor",
                format!("{C}/lifecycle/preStop/sleep/seconds"),
                json!(15),
                "do not know yet",
            ),
            broken(
                "default",
                "Deployment rulebox-pgbouncer",
                format!("{C}/lifecycle/preStop"),
                short,
                "is killed after",
            ),
            broken("default", "Deployment rulebox-api", GRACE, json!(45), "is killed after 45 s"),
            broken("staging", "StatefulSet rulebox-redis", GRACE, json!(5), "is killed after 5 s"),
        ],
    );
    finds(
        ends_well,
        &[broken("default", "ConfigMap rulebox-api", "/data/RULEBOX_API__DRAIN_SECONDS", json!("90"), "90 of drain")],
    );
}

#[test]
fn workloads_roll_without_a_gap() {
    holds_everywhere("rolling updates", rolls_well, 100);
}

#[test]
fn updates_with_a_gap_are_found() {
    const ROLLING: &str = "/spec/strategy/rollingUpdate";
    finds(
        rolls_well,
        &[
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{ROLLING}/maxUnavailable"),
                json!("25%"),
                "take pods away",
            ),
            broken("default", "Deployment rulebox-api", format!("{ROLLING}/maxSurge"), json!("0%"), "may add none"),
            broken("default", "Deployment rulebox-api", "/spec/strategy/type", json!("Recreate"), "all at once"),
            broken("default", "Deployment rulebox-api", "/spec/minReadySeconds", None, "counts at once"),
            broken("default", "Deployment rulebox-api", "/spec/progressDeadlineSeconds", json!(30), "given up"),
            broken("default", "Deployment rulebox-api", "/spec/replicas", json!(3), "replicas, beside"),
            broken("small", "Deployment rulebox-api", "/spec/replicas", None, "or without a scaler"),
            broken("default", "HorizontalPodAutoscaler rulebox-executor", "", None, "or without a scaler"),
            broken(
                "small",
                "StatefulSet rulebox-redis",
                "/spec/updateStrategy/type",
                json!("OnDelete"),
                "waits for somebody",
            ),
            broken("small", "StatefulSet rulebox-redis", "/spec/serviceName", json!("redis"), "its Service"),
        ],
    );
}

#[test]
fn workloads_are_spread() {
    holds_everywhere("spread over zones and nodes", is_spread, 150);
}

#[test]
fn workloads_in_one_place_are_found() {
    const SPREAD: &str = "/spec/template/spec/topologySpreadConstraints";
    const APART: &str =
        "/spec/template/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/0";
    finds(
        is_spread,
        &[
            broken("default", "Deployment rulebox-api", SPREAD, None, "not spread over topology.kubernetes.io/zone"),
            broken("default", "Deployment rulebox-api", format!("{SPREAD}/0"), None, "is not spread over"),
            broken("default", "Deployment rulebox-api", format!("{SPREAD}/1/labelSelector"), None, "other pods count"),
            broken("default", "Deployment rulebox-api", format!("{SPREAD}/0/matchLabelKeys"), None, "pods before it"),
            broken("staging", "StatefulSet rulebox-redis", APART, None, "nothing keeps"),
            broken(
                "staging",
                "StatefulSet rulebox-redis",
                format!("{APART}/podAffinityTerm/topologyKey"),
                json!("x"),
                "nothing keeps",
            ),
        ],
    );
}

#[test]
fn workloads_scale() {
    holds_everywhere("scaling", scales, 100);
}

#[test]
fn scalers_that_do_not_are_found() {
    const API: &str = "HorizontalPodAutoscaler rulebox-api";
    finds(
        scales,
        &[
            broken("default", API, "/spec/scaleTargetRef/name", json!("rulebox"), "its target"),
            broken("default", API, "/spec/minReplicas", json!(1), "fewer than three"),
            broken("default", API, "/spec/maxReplicas", json!(2), "cannot scale"),
            broken("default", API, "/spec/metrics/0", None, "does not go by cpu"),
            broken("default", API, "/spec/metrics/1/resource/target/averageUtilization", json!(100), "go by memory"),
            broken(
                "default",
                API,
                "/spec/metrics/2/pods/metric/name",
                json!("rulebox_evaluation_queue_depth"),
                "metric of pods",
            ),
            broken("default", API, "/spec/behavior", None, "scaleUp has no pace"),
            broken(
                "default",
                API,
                "/spec/behavior/scaleDown/stabilizationWindowSeconds",
                json!(0),
                "scaleDown: Some(0)",
            ),
        ],
    );
}
