//! What changes with what: an update starts those pods anew that it is about, and no others.

use std::path::Path;
use std::process::Command;

use rulebox_tests::tools::run;
use serde_json::{Value, json};

use crate::rendered::{
    KUBERNETES, Rendered, SETS, Set, all, chart, containers, entries, found_in, helm, list, of_kind, one, parse, pods,
    render, selects, text, title, with, workloads,
};

/// Workloads whose pods start anew between two renderings.
fn rolled(before: &[Value], after: &[Value]) -> Vec<String> {
    let same = |object: &Value| after.iter().find(|other| title(other) == title(object)).cloned().unwrap_or_default();
    let rolled = workloads(before).filter(|(object, template)| same(object)["spec"]["template"] != **template);
    rolled.map(|(object, _)| title(object)).collect()
}

/// What Kubernetes refuses to change between two renderings.
fn refused(before: &[Value], after: &[Value]) -> Vec<String> {
    let mut refused = Vec::new();
    for (object, _) in workloads(before) {
        let Some(other) = after.iter().find(|other| title(other) == title(object)) else { continue };
        for field in ["selector", "serviceName", "volumeClaimTemplates"] {
            if object["spec"][field] != other["spec"][field] {
                refused.push(format!("{}: {field}", title(object)));
            }
        }
    }
    refused
}

/// The chart as a later version of itself, of a later version of Rulebox.
fn later(directory: &Path) {
    run(Command::new("cp").arg("-r").arg(chart()).arg(directory));
    let file = directory.join("Chart.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let lines = text.lines().map(|line| match line.split_once(':') {
        Some((name @ ("version" | "appVersion"), _)) => format!("{name}: 9.8.7\n"),
        _ => format!("{line}\n"),
    });
    std::fs::write(&file, lines.collect::<String>()).unwrap();
}

#[test]
fn a_new_version_starts_pods_of_rulebox_anew_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let later_chart = directory.path().join("chart");
    later(&later_chart);
    let mut rolled_in_all = 0;
    for name in ["default", "staging", "small", "production"] {
        let before = one(name);
        let after = render(Set::named(name), &later_chart, KUBERNETES[0]);
        assert_ne!(before.text, after.text);
        assert_eq!(refused(&before.objects, &after.objects), Vec::<String>::new(), "{name}");
        let rolled = rolled(&before.objects, &after.objects);
        // With a digest, the image is the same until that is another.
        let own = ["Deployment rulebox-api", "Deployment rulebox-executor"];
        let others: Vec<_> = rolled.iter().filter(|title| !own.contains(&title.as_str())).collect();
        assert_eq!(
            others,
            Vec::<&String>::new(),
            "{name}: data stores and poolers start anew with the chart's version"
        );
        assert!(rolled.contains(&"Deployment rulebox-api".to_owned()), "{name}: {rolled:?}");
        rolled_in_all += rolled.len();
    }
    println!("a later version: {rolled_in_all} workloads of Rulebox start anew, and no other");
}

#[test]
fn changes_start_those_anew_that_they_are_about() {
    let api = "Deployment rulebox-api";
    let executor = "Deployment rulebox-executor";
    let pooler = "Deployment rulebox-pgbouncer";
    let redis = ["StatefulSet rulebox-redis", "StatefulSet rulebox-redis-replica"];
    let rows: [(&str, Vec<&str>); 6] = [
        ("settings.tenant.rules=7", vec![api]),
        ("executors.settings.evaluation.queue=7", vec![executor]),
        ("settings.log.filter=debug", vec![api, executor]),
        ("pgbouncer.queryWaitSeconds=7", vec![pooler]),
        ("redis.inCluster.maxMemory=100mb", redis.to_vec()),
        ("secrets.revision=7", [vec![api, executor, pooler], redis.to_vec()].concat()),
    ];
    let before = &one("staging").objects;
    for (change, expected) in &rows {
        let number = change.ends_with("=7") && *change != "secrets.revision=7";
        let mut command = Set::named("staging").template(&chart(), KUBERNETES[0]);
        let after = parse(&run(command.args([if number { "--set" } else { "--set-string" }, change])));
        let mut rolled = rolled(before, &after);
        rolled.sort();
        let mut expected = expected.clone();
        expected.sort_unstable();
        assert_eq!(rolled, expected, "{change}");
        assert_eq!(refused(before, &after), Vec::<String>::new(), "{change}");
    }
    println!("{} changes of values start those anew that read them", rows.len());
    // That these see a change at all.
    let changed = with("staging", &["fullnameOverride=other", "nameOverride=other"]);
    assert_eq!(rolled(before, &changed).len(), workloads(before).count());
    let mut changed = before.clone();
    for object in &mut changed {
        if object["kind"] == "StatefulSet" {
            object["spec"]["selector"] = Value::Null;
            object["spec"]["volumeClaimTemplates"] = Value::Null;
        }
    }
    assert_eq!(refused(before, &changed).len(), 2 * of_kind(before, "StatefulSet").count());
}

/// A Secret counts by what is in it, and not by its version, which an operator changes for nothing.
#[test]
fn a_secret_that_is_the_same_starts_nothing_anew() {
    let over = |uid: &str, version: &str, data: &str| {
        let secret = json!({"metadata": {"uid": uid, "resourceVersion": version}, "data": {"auth.conf": data}});
        found_in("staging", &json!({"Secret rulebox-redis": secret}), &[])
    };
    let before = over("a", "1", "x");
    let redis = ["StatefulSet rulebox-redis", "StatefulSet rulebox-redis-replica"];
    assert_eq!(rolled(&before, &over("a", "2", "x")), Vec::<String>::new());
    for after in [over("a", "1", "y"), over("b", "1", "x"), one("staging").objects.clone()] {
        assert_eq!(rolled(&before, &after), redis);
    }
}

#[test]
fn the_newest_kubernetes_gets_what_the_oldest_does() {
    for (set, before) in SETS.iter().zip(all()) {
        let after = render(set, &chart(), KUBERNETES[1]);
        assert_eq!(before.text, after.text, "{}", set.name);
    }
    println!("{} renderings are the same for Kubernetes {} and {}", all().len(), KUBERNETES[0], KUBERNETES[1]);
}

#[test]
fn two_releases_in_a_namespace_do_not_meet() {
    let staging = Set::named("staging");
    let mut command = helm();
    command.args(["template", "second"]).arg(chart()).args(["--namespace", "rulebox"]).args(staging.flags());
    let second = parse(&run(&mut command));
    let first: &Rendered = one("staging");
    let mut checks = 0;
    for (object, _) in workloads(&second) {
        for (other, template) in pods(&first.objects) {
            let selector = &object["spec"]["selector"]["matchLabels"];
            assert!(!selects(selector, template), "{} selects pods of {}", title(object), title(other));
            checks += 1;
        }
    }
    for object in &second {
        assert!(first.objects.iter().all(|other| title(other) != title(object)), "two of {}", title(object));
        checks += 1;
    }
    // Nor in two namespaces, with one name.
    let mut command = helm();
    command.args(["template", "rulebox"]).arg(chart()).args(["--namespace", "second"]);
    let third = parse(&run(command.args(Set::named("production").flags())));
    let mut classes = 0;
    for object in third.iter().filter(|object| object["metadata"]["namespace"].is_null()) {
        let alone = one("production").objects.iter().all(|other| title(other) != title(object));
        assert!(alone, "two of {}", title(object));
        classes += 1;
    }
    assert_eq!(classes, 5);
    println!("two releases: {checks} checks, {classes} objects of the cluster");
}

#[test]
fn long_names_are_cut_to_what_kubernetes_takes() {
    let long = "a".repeat(53);
    let mut command = helm();
    command.args(["template", &long]).arg(chart()).args(["--namespace", "rulebox"]);
    let mut objects = parse(&run(command.args(Set::named("vault").flags())));
    let mut command = helm();
    command.args(["template", &long]).arg(chart()).args(["--namespace", "rulebox"]);
    objects.extend(parse(&run(command.args(Set::named("canary").flags()))));
    for object in &objects {
        // What these make has suffixes of eleven characters, in names and in labels; of a Deployment in neither.
        let made = ["CronJob", "StatefulSet"].contains(&text(&object["kind"]));
        assert!(text(&object["metadata"]["name"]).len() <= if made { 52 } else { 63 }, "{}", title(object));
        for (name, value) in entries(&object["metadata"]["labels"]) {
            assert!(text(value).len() <= 63, "{}: {name}", title(object));
        }
    }
    for (_, template) in pods(&objects) {
        for port in containers(template).flat_map(|container| list(&container["ports"])) {
            assert!(text(&port["name"]).len() <= 15);
        }
    }
    println!("{} names of a release with 53 characters", objects.len());
}

#[test]
fn an_update_takes_nothing_away_that_holds_data() {
    let (before, after) = (&one("staging").objects, &one("upgrade").objects);
    let gone = before.iter().filter(|object| after.iter().all(|other| title(other) != title(object)));
    let gone: Vec<_> = gone.map(title).collect();
    assert_eq!(gone, ["Job rulebox-migrate-install-1"]);
    // Nor does the end of a release.
    let mut kept = 0;
    for object in all().iter().flat_map(|rendered| &rendered.objects) {
        match text(&object["kind"]) {
            "PersistentVolumeClaim" | "Cluster" => {
                assert_eq!(object["metadata"]["annotations"]["helm.sh/resource-policy"], "keep", "{}", title(object));
            }
            "StatefulSet" => {
                let retention = &object["spec"]["persistentVolumeClaimRetentionPolicy"];
                assert_eq!(retention["whenDeleted"], "Retain", "{}", title(object));
                assert_eq!(retention["whenScaled"], "Retain", "{}", title(object));
            }
            _ => continue,
        }
        kept += 1;
    }
    println!("{kept} claims, clusters and sets keep their data");
    assert!(kept >= 15, "{kept}");
}

/// What a revision has of its own alone is in the way of a rollback to it, when a hook of the next one failed: Helm 3 finds
/// it in the cluster, and not in the revision that it comes from.
#[test]
fn nothing_is_in_the_way_of_a_rollback() {
    let hooked = |object: &Value| object["metadata"]["annotations"]["helm.sh/hook"].is_string();
    let titles = |objects: &[Value]| objects.iter().filter(|it| !hooked(it)).map(title).collect::<Vec<_>>();
    let mut seen = 0;
    for set in &SETS[..7] {
        let before = &one(set.name).objects;
        let mut command = set.template(&chart(), KUBERNETES[0]);
        let after = parse(&run(command.arg("--is-upgrade")));
        let kept = titles(&after);
        for object in before.iter().filter(|it| !hooked(it) && !kept.contains(&title(it))) {
            let soon = object["spec"]["ttlSecondsAfterFinished"].as_u64().is_some_and(|seconds| seconds <= 1800);
            assert!(object["kind"] == "Job" && soon, "{}: {} is in the way", set.name, title(object));
            seen += 1;
        }
        // A hook takes the place of nothing that the release has.
        let own = titles(before);
        for hook in after.iter().filter(|it| hooked(it)) {
            assert!(!own.contains(&title(hook)), "{}: {} is replaced by a hook", set.name, title(hook));
        }
    }
    println!("{seen} Jobs are of one revision, and go soon");
    assert_eq!(seen, 6);
}

#[test]
fn settings_win_over_what_the_chart_sets() {
    let objects = with("staging", &["settings.redis.key_prefix=other"]);
    let settings = of_kind(&objects, "ConfigMap").find(|it| it["metadata"]["name"] == "rulebox-api").unwrap();
    assert_eq!(settings["data"]["RULEBOX_REDIS__REPLICAS"], "3");
    let mut command = Set::named("staging").template(&chart(), KUBERNETES[0]);
    let objects = parse(&run(command.args(["--set", "settings.redis.replicas=7"])));
    let settings = of_kind(&objects, "ConfigMap").find(|it| it["metadata"]["name"] == "rulebox-api").unwrap();
    assert_eq!(settings["data"]["RULEBOX_REDIS__REPLICAS"], "7");
}
