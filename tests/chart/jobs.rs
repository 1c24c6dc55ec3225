//! Jobs, which end, and hooks, which find what they need.

use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{self, containers, found_in, list, of_kind, one, pods, selects, text};

pub(crate) fn end(objects: &[Value], found: &mut Found) {
    for (object, template) in pods(objects) {
        let job = match text(&object["kind"]) {
            "Job" => &object["spec"],
            "CronJob" => &object["spec"]["jobTemplate"]["spec"],
            "Pod" => {
                found.of(object, template["spec"]["activeDeadlineSeconds"].is_u64(), "it has no deadline");
                // Again, until its deadline: its policies may not be known yet.
                found.of(
                    object,
                    template["spec"]["restartPolicy"] == "OnFailure",
                    "a test is a race with its policies",
                );
                continue;
            }
            _ => continue,
        };
        let within = |name: &str, most: u64| job[name].as_u64().is_some_and(|number| (1..=most).contains(&number));
        found.of(object, within("backoffLimit", 10), "how often it is tried");
        found.of(object, within("activeDeadlineSeconds", 86_400), "it has no deadline");
        found.of(object, within("ttlSecondsAfterFinished", 604_800), "it stays for ever");
        found.of(object, template["spec"]["restartPolicy"] == "Never", "its log is lost with its container");
        if object["kind"] == "CronJob" {
            found.of(object, object["spec"]["concurrencyPolicy"] == "Forbid", "two at a time");
            let late = object["spec"]["startingDeadlineSeconds"].as_u64();
            found.of(object, late.is_some_and(|late| late >= 60), "after a hundred missed times it stops");
            found.of(object, text(&object["spec"]["timeZone"]).contains('/'), "its time zone is that of the cluster");
        }
    }
}

/// Hooks of an install or an upgrade run before the release's own objects are there, or are what they were.
pub(crate) fn find_all(objects: &[Value], found: &mut Found) {
    let hook = |object: &Value| text(&object["metadata"]["annotations"]["helm.sh/hook"]).to_owned();
    let weight = |object: &Value| text(&object["metadata"]["annotations"]["helm.sh/hook-weight"]).parse::<i64>().ok();
    for (object, template) in pods(objects).filter(|(object, _)| !hook(object).is_empty()) {
        let is_before =
            |other: &Value| hook(other) == hook(object) && weight(other) < weight(object) && weight(other).is_some();
        let account = of_kind(objects, "ServiceAccount")
            .find(|account| account["metadata"]["name"] == template["spec"]["serviceAccountName"]);
        found.of(object, account.is_some_and(is_before), "its account is not there yet");
        let policies = of_kind(objects, "NetworkPolicy").filter(|policy| {
            let types = list(&policy["spec"]["policyTypes"]);
            selects(&policy["spec"]["podSelector"]["matchLabels"], template) && types.len() == 2 && is_before(policy)
        });
        found.of(object, policies.count() == 1, "its policy, for both directions, is not there yet");
        for container in containers(template) {
            found.of(object, container["envFrom"].is_null(), "it reads a ConfigMap of another moment");
        }
        for volume in list(&template["spec"]["volumes"]) {
            let own = volume["secret"].is_object() || volume["projected"].is_object();
            found.of(object, own, "it mounts what is not there yet");
        }
        let deleted = text(&object["metadata"]["annotations"]["helm.sh/hook-delete-policy"]);
        found.of(object, deleted == "before-hook-creation", "its log is gone with it, or the next one finds it");
    }
}

/// How the migration runs: before all else where there is a database, beside it where the release makes one.
fn migrates(objects: &[Value], hook: bool) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let jobs: Vec<_> =
        of_kind(objects, "Job").filter(|job| text(&job["metadata"]["name"]).contains("migrate")).collect();
    let [job] = jobs.as_slice() else { return vec!["there is not one migration"] };
    let annotations = &job["metadata"]["annotations"];
    if (annotations["helm.sh/hook"] == "pre-install,pre-upgrade") != hook {
        faults.push("when it runs");
    }
    // A rollback to the first revision makes that Job again, and cannot change the hook's.
    if text(&job["metadata"]["name"]).ends_with("-install-1") == hook {
        faults.push("its name");
    }
    faults
}

#[test]
fn jobs_end() {
    holds_everywhere("Jobs", end, 80);
}

#[test]
fn jobs_that_do_not_are_found() {
    const DUMP: &str = "CronJob rulebox-backup";
    finds(
        end,
        &[
            broken("default", "Job rulebox-migrate", "/spec/backoffLimit", None, "how often"),
            broken("default", "Job rulebox-migrate", "/spec/activeDeadlineSeconds", None, "no deadline"),
            broken("default", "Job rulebox-migrate", "/spec/ttlSecondsAfterFinished", None, "stays for ever"),
            broken(
                "vault",
                "Job rulebox-first-tenant-1",
                "/spec/template/spec/restartPolicy",
                json!("OnFailure"),
                "log is lost",
            ),
            broken("staging", DUMP, "/spec/jobTemplate/spec/activeDeadlineSeconds", json!(0), "no deadline"),
            broken("staging", DUMP, "/spec/concurrencyPolicy", json!("Allow"), "two at a time"),
            broken("staging", DUMP, "/spec/startingDeadlineSeconds", None, "missed times"),
            broken("staging", DUMP, "/spec/timeZone", None, "time zone"),
            broken("default", "Pod rulebox-test-health", "/spec/activeDeadlineSeconds", None, "no deadline"),
            broken("default", "Pod rulebox-test-health", "/spec/restartPolicy", json!("Never"), "a race"),
        ],
    );
}

#[test]
fn hooks_find_what_they_need() {
    holds_everywhere("hooks", find_all, 40);
}

#[test]
fn hooks_that_do_not_are_found() {
    const WEIGHT: &str = "/metadata/annotations/helm.sh~1hook-weight";
    const JOB: &str = "/spec/template/spec";
    let env = json!([{"configMapRef": {"name": "rulebox-api"}}]);
    let volume = json!({"name": "x", "configMap": {"name": "rulebox-api"}});
    finds(
        find_all,
        &[
            broken("default", "ServiceAccount rulebox-migrate", "/metadata/annotations", None, "account is not there"),
            broken("upgrade", "ServiceAccount rulebox-migrate", WEIGHT, json!("0"), "account is not there"),
            broken("default", "NetworkPolicy rulebox-migrate", WEIGHT, json!("1"), "its policy"),
            broken("default", "NetworkPolicy rulebox-migrate", "/spec/policyTypes/0", None, "its policy"),
            broken("default", "Job rulebox-migrate", format!("{JOB}/containers/0/envFrom"), env, "another moment"),
            broken("default", "Job rulebox-migrate", format!("{JOB}/volumes/-"), volume, "not there yet"),
            broken(
                "default",
                "Pod rulebox-test-health",
                "/metadata/annotations/helm.sh~1hook-delete-policy",
                None,
                "its log",
            ),
        ],
    );
}

#[test]
fn migrations_run_when_there_is_a_database() {
    let hooks = [("default", true), ("production", false), ("staging", false), ("small", false), ("options", false)];
    for (name, hook) in hooks.into_iter().chain([("vault", false), ("upgrade", true)]) {
        let objects = &one(name).objects;
        assert_eq!(migrates(objects, hook), Vec::<&str>::new(), "{name}");
        assert_eq!(migrates(objects, !hook), ["when it runs", "its name"], "{name}");
        let none: Vec<_> = objects.iter().filter(|object| object["kind"] != "Job").cloned().collect();
        assert_eq!(migrates(&none, hook), ["there is not one migration"], "{name}");
    }
    println!("the migration of {} renderings", rendered::all().len());
}

/// A first install that failed is mended by the same command: what it left out is made.
#[test]
fn an_upgrade_mends_an_install_that_failed() {
    const HERE: &str = "ServiceAccount default";
    const SET: &str = "StatefulSet rulebox-postgresql";
    const CLUSTER: &str = "Cluster rulebox-postgresql";
    let ready = |name: &str| json!({"status": {name: 1}});
    let rows = [
        ("upgrade", json!({}), true),
        ("upgrade", json!({HERE: {"kind": "ServiceAccount"}}), false),
        ("upgrade", json!({HERE: {"kind": "ServiceAccount"}, SET: {"status": {"replicas": 1}}}), false),
        ("upgrade", json!({HERE: {"kind": "ServiceAccount"}, SET: ready("readyReplicas")}), true),
        ("production", json!({HERE: {"kind": "ServiceAccount"}, CLUSTER: {"status": {}}}), false),
        ("production", json!({HERE: {"kind": "ServiceAccount"}, CLUSTER: ready("readyInstances")}), true),
        ("default", json!({HERE: {"kind": "ServiceAccount"}}), true),
    ];
    for (set, cluster, hook) in &rows {
        let objects = found_in(set, cluster, &["--is-upgrade", "--set", "firstTenant.name=a"]);
        assert_eq!(migrates(&objects, *hook), Vec::<&str>::new(), "{set} with {cluster}");
        let tenant = of_kind(&objects, "Job").any(|job| job["metadata"]["name"] == "rulebox-first-tenant-1");
        assert!(tenant, "{set}: nothing makes the first tenant");
    }
    println!("{} upgrades over clusters", rows.len());
}
