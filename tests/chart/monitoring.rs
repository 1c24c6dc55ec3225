//! What Prometheus needs: alerts with pages, metrics that there are, Services that it finds.

use std::collections::BTreeSet;
use std::path::Path;

use rulebox_tests::tools::run;
use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{KUBERNETES, Set, chart, entries, list, of_kind, one, parse, read, text};

/// Metrics that are not Rulebox's own: of Prometheus, and of every process.
const OF_OTHERS: [&str; 3] = ["up", "process_resident_memory_bytes", "process_start_time_seconds"];

/// What names of metrics begin with.
const OURS: [&str; 3] = ["rulebox_", "http_server_", "process_"];

/// Names of metrics in the sources of the service.
fn metrics() -> BTreeSet<String> {
    fn read(folder: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, names);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let quoted = text.split('"').filter(|word| OURS.iter().any(|prefix| word.starts_with(prefix)));
                names.extend(quoted.map(str::to_owned));
            }
        }
    }
    let mut names = BTreeSet::new();
    read(&rulebox_tests::root().join("executor/src/telemetry"), &mut names);
    names
}

/// Names of metrics in a query: words before `{` or `[`, and those that begin as all of ours do.
fn asked(query: &str) -> BTreeSet<String> {
    let mut asked = BTreeSet::new();
    // Texts of labels are none: each second part between quotes.
    let parts: Vec<_> = query.split('"').step_by(2).collect();
    let plain = parts.join("\"");
    let mut rest = plain.as_str();
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let from = &rest[at..];
        let end = from.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(from.len());
        let (word, behind) = from.split_at(end);
        if behind.starts_with(['{', '[']) || OURS.iter().any(|prefix| word.starts_with(prefix)) {
            asked.insert(word.to_owned());
        }
        rest = behind;
    }
    asked
}

/// Whether the service has a metric: a histogram has three names.
fn is_there(metrics: &BTreeSet<String>, name: &str) -> bool {
    let ends = ["_bucket", "_sum", "_count"];
    let base = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    OF_OTHERS.contains(&name) || metrics.contains(name) || metrics.contains(base)
}

pub(crate) fn alerts(objects: &[Value], found: &mut Found) {
    let metrics = metrics();
    for rule in of_kind(objects, "PrometheusRule") {
        let rules: Vec<_> = list(&rule["spec"]["groups"]).iter().flat_map(|group| list(&group["rules"])).collect();
        found.of(rule, !rules.is_empty(), "it has no rules");
        for alert in rules {
            let name = text(&alert["alert"]);
            let mut of = |holds: bool, fault: &str| found.of(rule, holds, &format!("{name}: {fault}"));
            of(!name.is_empty(), "it has no name");
            // It has no severity and asks for nothing: it fires always.
            let watchdog = name == "RuleboxWatchdog" && text(&alert["labels"]["severity"]) == "none";
            let severity = text(&alert["labels"]["severity"]);
            of(watchdog || ["critical", "warning"].contains(&severity), "its severity");
            of(!text(&alert["annotations"]["summary"]).is_empty(), "it does not say what is the matter");
            let url = text(&alert["annotations"]["runbook_url"]);
            let page = url.find("deploy/").and_then(|at| url.get(at..)).map(|path| rulebox_tests::root().join(path));
            of(page.is_some_and(|page| page.is_file()), &format!("its page '{url}' is not there"));
            let asked = asked(text(&alert["expr"]));
            of(watchdog || !asked.is_empty(), "it asks for nothing");
            let missing: Vec<_> = asked.iter().filter(|name| !is_there(&metrics, name)).collect();
            of(missing.is_empty(), &format!("there is no metric {missing:?}"));
        }
    }
}

pub(crate) fn scraped(objects: &[Value], found: &mut Found) {
    for monitor in of_kind(objects, "ServiceMonitor") {
        let selector = &monitor["spec"]["selector"]["matchLabels"];
        let services: Vec<_> = of_kind(objects, "Service")
            .filter(|service| entries(selector).all(|(name, value)| service["metadata"]["labels"][name] == *value))
            .collect();
        let ours = |it: &&Value| !it["spec"]["template"]["metadata"]["labels"]["rulebox.dev/track"].is_null();
        let ours = of_kind(objects, "Deployment").filter(ours).count();
        found.of(monitor, services.len() == ours && ours > 0, &format!("it finds {} Services", services.len()));
        let endpoints = list(&monitor["spec"]["endpoints"]);
        found.of(monitor, !endpoints.is_empty(), "it asks for nothing");
        for endpoint in endpoints {
            for service in &services {
                let open = list(&service["spec"]["ports"]).iter().any(|port| port["name"] == endpoint["port"]);
                found.of(service, open, &format!("it has no port {}", endpoint["port"]));
            }
            // The alerts go by it.
            let job = list(&endpoint["relabelings"])
                .iter()
                .any(|it| it["targetLabel"] == "job" && it["replacement"] == "rulebox");
            found.of(monitor, job, "its job is not 'rulebox'");
            let label = |name: &str, from: &str| {
                list(&endpoint["relabelings"]).iter().any(|it| {
                    it["targetLabel"] == name && it["sourceLabels"][0] == format!("__meta_kubernetes_pod_label_{from}")
                })
            };
            found.of(monitor, label("component", "app_kubernetes_io_component"), "components are not told apart");
            found.of(monitor, label("track", "rulebox_dev_track"), "tracks are not told apart");
        }
    }
}

#[test]
fn alerts_have_pages_and_metrics() {
    const RULE: &str = "/spec/groups/0/rules/0";
    const OBJECT: &str = "PrometheusRule rulebox";
    holds_everywhere("alerts", alerts, 300);
    finds(
        alerts,
        &[
            broken(
                "staging",
                OBJECT,
                format!("{RULE}/annotations/runbook_url"),
                json!("deploy/monitoring/x.md"),
                "is not there",
            ),
            broken("staging", OBJECT, format!("{RULE}/annotations/runbook_url"), None, "is not there"),
            broken("staging", OBJECT, format!("{RULE}/annotations/summary"), None, "the matter"),
            broken("staging", OBJECT, format!("{RULE}/labels/severity"), json!("page"), "its severity"),
            broken(
                "staging",
                OBJECT,
                format!("{RULE}/expr"),
                json!("rate(rulebox_gone_total[5m]) > 0"),
                "rulebox_gone_total",
            ),
            broken(
                "staging",
                OBJECT,
                format!("{RULE}/expr"),
                json!("rulebox_gone_bucket{le=\"rulebox_x\"}"),
                "rulebox_gone_bucket",
            ),
            broken("staging", OBJECT, format!("{RULE}/expr"), json!("1"), "asks for nothing"),
            broken("staging", OBJECT, "/spec/groups", json!([]), "has no rules"),
        ],
    );
}

#[test]
fn alerts_are_those_of_the_source() {
    let source = read(&rulebox_tests::root().join("deploy/monitoring/alerts.yaml"));
    for name in ["production", "staging", "options", "canary", "vault", "upgrade"] {
        let rule = of_kind(&one(name).objects, "PrometheusRule").next().unwrap();
        assert_eq!(rule["spec"]["groups"], source["groups"], "{name}");
    }
    let base = "https://git.example.com/rulebox/blob/main/";
    let mut command = Set::named("staging").template(&chart(), KUBERNETES[0]);
    let elsewhere = parse(&run(command.args(["--set", &format!("monitoring.prometheusRule.runbookBaseUrl={base}")])));
    let rule = of_kind(&elsewhere, "PrometheusRule").next().unwrap();
    for alert in list(&rule["spec"]["groups"]).iter().flat_map(|group| list(&group["rules"])) {
        assert!(text(&alert["annotations"]["runbook_url"]).starts_with(base), "{alert}");
    }
    let alerts = list(&source["groups"]).iter().map(|group| list(&group["rules"]).len()).sum::<usize>();
    println!("{alerts} alerts in six renderings");
}

#[test]
fn prometheus_finds_all_services_with_metrics() {
    const API: &str = "Service rulebox-api-health";
    const MONITOR: &str = "ServiceMonitor rulebox";
    holds_everywhere("ServiceMonitors", scraped, 25);
    finds(
        scraped,
        &[
            broken("staging", API, "/metadata/labels/rulebox.dev~1metrics", None, "it finds 1 Services"),
            broken("staging", API, "/spec/ports/0/name", json!("http"), "it has no port \"health\""),
            broken("staging", MONITOR, "/spec/endpoints", json!([]), "asks for nothing"),
            broken("staging", MONITOR, "/spec/endpoints/0/relabelings/0", None, "its job"),
            broken("canary", MONITOR, "/spec/endpoints/0/relabelings/2", None, "tracks are not"),
            broken("canary", "Service rulebox-executor-canary", "", None, "it finds 3 Services"),
        ],
    );
}

#[test]
fn the_adapter_makes_the_metrics_that_scaling_asks_for() {
    let metrics = metrics();
    let values = read(&chart().join("prometheus-adapter-values.yaml"));
    let mut made = BTreeSet::new();
    for rule in list(&values["rules"]["custom"]) {
        let name = text(&rule["name"]["matches"]).trim_matches(['^', '$']);
        assert!(is_there(&metrics, name), "there is no metric {name}");
        assert!(text(&rule["seriesQuery"]).contains(&format!("__name__=\"{name}\"")), "{rule}");
        made.insert(text(&rule["name"]["as"]));
    }
    let scalers = of_kind(&one("default").objects, "HorizontalPodAutoscaler");
    let asked = scalers.flat_map(|scaler| list(&scaler["spec"]["metrics"]));
    let asked: BTreeSet<_> =
        asked.filter(|metric| metric["type"] == "Pods").map(|metric| text(&metric["pods"]["metric"]["name"])).collect();
    assert_eq!(made, asked);
    println!("{} metrics of pods", made.len());
}
