//! What Prometheus needs: alerts with pages, metrics that there are, Services that it finds.

use std::collections::BTreeSet;
use std::path::Path;

use rulebox_tests::tools::run;
use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{KUBERNETES, Set, chart, entries, list, of_kind, one, parse, read, text, with};

/// Metrics that are not Rulebox's own: of Prometheus, and of every process.
const OF_OTHERS: [&str; 3] = ["up", "process_resident_memory_bytes", "process_start_time_seconds"];

/// What names of metrics begin with.
const OURS: [&str; 3] = ["rulebox_", "http_server_", "process_"];

/// The same of exporters'.
const OF_STORES: [&str; 5] = ["postgresql_", "pgbouncer_", "redis_", "kubelet_volume_stats_", "kube_cronjob_"];

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
        if behind.starts_with(['{', '[']) || OURS.iter().chain(&OF_STORES).any(|prefix| word.starts_with(prefix)) {
            asked.insert(word.to_owned());
        }
        rest = behind;
    }
    asked
}

/// Names of what is asked of `PostgreSQL`. Those of other exporters are their programs': the boards' test asks these.
fn of_exporters(name: &str) -> bool {
    let queries = read(&rulebox_tests::root().join("deploy/monitoring/exporters/queries.yaml"));
    let asked = entries(&queries).any(|(group, query)| {
        let columns = list(&query["metrics"]).iter().flat_map(entries).map(|(column, _)| format!("{group}_{column}"));
        columns.into_iter().any(|column| column == name)
    });
    asked || name == "pg_up" || OF_STORES.iter().skip(1).any(|of| name.starts_with(of))
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
        let (recorded, alerts): (Vec<&Value>, Vec<_>) = rules.iter().partition(|rule| rule["record"].is_string());
        let recorded: BTreeSet<_> = recorded.iter().map(|rule| text(&rule["record"])).collect();
        for alert in alerts {
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
            let records = recorded.iter().any(|name| text(&alert["expr"]).contains(name));
            of(watchdog || !asked.is_empty() || records, "it asks for nothing");
            let known = |name: &str| is_there(&metrics, name) || recorded.contains(name) || of_exporters(name);
            let missing: Vec<_> = asked.iter().filter(|name| !known(name)).collect();
            of(missing.is_empty(), &format!("there is no metric {missing:?}"));
        }
    }
}

/// What alerts call the job: of the service, or of the exporter of a store.
fn job_of(monitor: &Value) -> String {
    let component = text(&monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]);
    component.strip_suffix("-exporter").map_or_else(|| "rulebox".to_owned(), |store| format!("rulebox-{store}"))
}

pub(crate) fn scraped(objects: &[Value], found: &mut Found) {
    for monitor in of_kind(objects, "ServiceMonitor") {
        let selector = &monitor["spec"]["selector"]["matchLabels"];
        let services: Vec<_> = of_kind(objects, "Service")
            .filter(|service| entries(selector).all(|(name, value)| service["metadata"]["labels"][name] == *value))
            .collect();
        // An exporter's has one Service, and a job of its own.
        let exporter = selector["app.kubernetes.io/component"].is_string();
        let ours = |it: &&Value| !it["spec"]["template"]["metadata"]["labels"]["rulebox.dev/track"].is_null();
        let ours = if exporter { 1 } else { of_kind(objects, "Deployment").filter(ours).count() };
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
                .any(|it| it["targetLabel"] == "job" && job_of(monitor) == text(&it["replacement"]));
            found.of(monitor, job, &format!("its job is not '{}'", job_of(monitor)));
            let label = |name: &str, from: &str| {
                list(&endpoint["relabelings"]).iter().any(|it| {
                    it["targetLabel"] == name && it["sourceLabels"][0] == format!("__meta_kubernetes_pod_label_{from}")
                })
            };
            if exporter {
                continue;
            }
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
            broken(
                "staging",
                OBJECT,
                format!("{RULE}/expr"),
                json!("postgresql_standby_lag > 1"),
                "no metric [\"postgresql_standby_lag\"]",
            ),
            broken("staging", OBJECT, "/spec/groups", json!([]), "has no rules"),
        ],
    );
}

/// The groups as they should be in a rendering: exporters are expected of the stores that it has `ServiceMonitors` for.
fn expected(groups: &[Value], objects: &[Value]) -> Value {
    let jobs: Vec<_> = of_kind(objects, "ServiceMonitor").map(job_of).collect();
    let mut groups = groups.to_vec();
    let rules = groups.iter_mut().flat_map(|group| group["rules"].as_array_mut().unwrap());
    let mut stores = 0;
    for rule in rules.filter(|rule| rule["record"] == "job:rulebox_exporter_expected:bool") {
        let is_there = jobs.iter().any(|job| rule["labels"]["job"] == job.as_str());
        rule["expr"] = json!(format!("vector({})", u8::from(is_there)));
        stores += 1;
    }
    assert_eq!(stores, 3);
    json!(groups)
}

#[test]
fn alerts_are_those_of_the_source() {
    let folder = rulebox_tests::root().join("deploy/monitoring");
    let files = ["alerts", "recording", "cost", "exporters"].map(|name| read(&folder.join(format!("{name}.yaml"))));
    let groups: Vec<_> = files.iter().flat_map(|file| list(&file["groups"])).cloned().collect();
    for name in ["production", "staging", "options", "canary", "vault", "upgrade"] {
        let objects = &one(name).objects;
        let of = |part: &str| {
            let own = move |object: &&Value| text(&object["metadata"]["name"]).ends_with(part);
            let rules: Vec<_> = of_kind(objects, "PrometheusRule").filter(own).collect();
            // Where it runs, and not elsewhere.
            assert_eq!(rules.len(), of_kind(objects, "CronJob").filter(own).count(), "{name}: {part}");
            rules
        };
        let (restores, copies) = (of("-restore-test"), of("-redis-backup"));
        let all: Vec<_> = of_kind(objects, "PrometheusRule").collect();
        let rest: Vec<_> = all.iter().filter(|rule| !restores.contains(rule) && !copies.contains(rule)).collect();
        assert_eq!(rest.len(), 1, "{name}");
        assert_eq!(rest[0]["spec"]["groups"], expected(&groups, &one(name).objects), "{name}");
        for rule in restores {
            assert_eq!(rule["spec"]["groups"], read(&folder.join("backup.yaml"))["groups"], "{name}");
        }
        for rule in copies {
            // Of this CronJob, and for as long as its values say.
            let job = format!("cronjob=\"{}\",namespace=\"rulebox\"", text(&rule["metadata"]["name"]));
            let hours = if name == "options" { "5 * 3600" } else { "3 * 3600" };
            let source = std::fs::read_to_string(folder.join("redis-backup.yaml")).unwrap();
            let expected = source.replace("cronjob=~\".+-redis-backup\"", &job).replace("3 * 3600", hours);
            let expected: Value = serde_saphyr::from_str(&expected).unwrap();
            assert_eq!(rule["spec"]["groups"], expected["groups"], "{name}");
        }
    }
    let base = "https://git.example.com/rulebox/blob/main/";
    let mut command = Set::named("staging").template(&chart(), KUBERNETES[0]);
    let elsewhere = parse(&run(command.args(["--set", &format!("monitoring.prometheusRule.runbookBaseUrl={base}")])));
    let all = of_kind(&elsewhere, "PrometheusRule").flat_map(|rule| list(&rule["spec"]["groups"]));
    let rules = all.flat_map(|group| list(&group["rules"]));
    for alert in rules.filter(|rule| rule["alert"].is_string()) {
        assert!(text(&alert["annotations"]["runbook_url"]).starts_with(base), "{alert}");
    }
    let rules = groups.iter().map(|group| list(&group["rules"]).len()).sum::<usize>();
    println!("{rules} rules in six renderings");

    // Volumes are those of the release's own namespace, and each store may be without an exporter.
    let elsewhere = |arguments: &[&str]| {
        let mut command = Set::named("production").template(&chart(), KUBERNETES[0]);
        let objects = parse(&run(command.args(arguments)));
        let rule = of_kind(&objects, "PrometheusRule").find(|rule| rule["metadata"]["name"] == "rulebox").unwrap();
        rule["spec"]["groups"].clone()
    };
    let of = |groups: &Value, name: &str| {
        let rules = list(groups).iter().flat_map(|group| list(&group["rules"]));
        let found: Vec<_> = rules.filter(|rule| rule["alert"] == name || rule["labels"]["job"] == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        text(&found[0]["expr"]).to_owned()
    };
    // Those on what watches are there if they are asked for, and else not.
    let watched = elsewhere(&["--set", "monitoring.prometheusRule.watchers=true"]);
    assert_eq!(list(&watched).last(), list(&read(&folder.join("watchers.yaml"))["groups"]).first());
    assert_eq!(list(&watched).len(), groups.len() + 1);
    let risk = of(&elsewhere(&["--namespace", "risk"]), "RuleboxVolumeFull");
    assert!(risk.matches("namespace=\"risk\"").count() == 2 && !risk.contains("rulebox"), "{risk}");
    for store in ["postgresql", "pgbouncer", "redis"] {
        let groups = elsewhere(&["--set", &format!("monitoring.exporters.{store}.enabled=false")]);
        for other in ["postgresql", "pgbouncer", "redis"] {
            let expression = of(&groups, &format!("rulebox-{other}"));
            assert_eq!(expression, format!("vector({})", u8::from(other != store)), "{store}, {other}");
        }
    }
}

#[test]
fn budgets_are_those_of_the_values() {
    let changed = ["monitoring.budget.fuelPerMonth=7000", "monitoring.budget.podHoursPerMonth=123"];
    let objects = with("staging", &changed);
    let all = of_kind(&objects, "PrometheusRule").flat_map(|rule| list(&rule["spec"]["groups"]));
    let rules: Vec<_> = all.flat_map(|group| list(&group["rules"])).collect();
    for (name, expected) in [("fuel_month", "vector(7000)"), ("pod_hours_month", "vector(123)")] {
        let record = format!("service:rulebox_{name}:budget");
        let budget = rules.iter().find(|rule| rule["record"] == record.as_str()).unwrap();
        assert_eq!(text(&budget["expr"]), expected, "{record}");
    }
}

/// Boards that Grafana's sidecar finds, each within what a `ConfigMap` may hold and each whole.
pub(crate) fn boards(objects: &[Value], found: &mut Found) {
    let is_board = |config: &&Value| text(&config["metadata"]["name"]).contains("-board-");
    let boards: Vec<_> = of_kind(objects, "ConfigMap").filter(is_board).collect();
    let mut uids = BTreeSet::new();
    for config in &boards {
        found.of(config, config["metadata"]["labels"]["grafana_dashboard"] == "1", "the sidecar does not find it");
        found.of(config, config["metadata"]["annotations"]["grafana_folder"] == "Rulebox", "it is in no folder");
        for (_, json) in entries(&config["data"]) {
            found.of(config, text(json).len() < 1 << 20, "it is larger than a ConfigMap may be");
            let board: Value = serde_json::from_str(text(json)).unwrap_or_default();
            found.of(config, uids.insert(text(&board["uid"]).to_owned()), "its uid is another's, or none");
        }
    }
    let whole = boards.is_empty() || (uids.len() == 7 && uids.iter().all(|uid| uid.starts_with("rulebox-")));
    found.hold(whole, || format!("boards {uids:?}"));
}

#[test]
fn grafana_finds_all_boards() {
    const SLO: &str = "ConfigMap rulebox-board-slo";
    holds_everywhere("boards", boards, 100);
    finds(
        boards,
        &[
            broken("staging", SLO, "/metadata/labels/grafana_dashboard", None, "does not find it"),
            broken("staging", SLO, "/metadata/annotations", None, "no folder"),
            broken("staging", SLO, "/data/slo.json", json!("{"), "boards"),
            broken("staging", SLO, "", None, "boards"),
        ],
    );
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
