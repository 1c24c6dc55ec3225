//! Backups, copies of Redis, restores on trial: by which image, onto which volume, in which order, with which secrets.

use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{chart, containers, list, of_kind, one, pods, text, with};

/// The containers of a pod that run before, and those that end it.
fn steps(template: &Value) -> [Vec<&str>; 2] {
    ["initContainers", "containers"]
        .map(|part| list(&template["spec"][part]).iter().map(|container| text(&container["name"])).collect())
}

fn component(template: &Value) -> &str {
    text(&template["metadata"]["labels"]["app.kubernetes.io/component"])
}

/// What is to be elsewhere is there before it is written down; and what copies away changes nothing here.
fn copied_before_it_counts(objects: &[Value], found: &mut Found) {
    for (object, template) in pods(objects) {
        let expected: &[[&[&str]; 2]] = match component(template) {
            "backup" => &[[&["dump"], &["record"]], [&["dump", "upload"], &["record"]]],
            "redis-backup" => &[[&[], &["copy"]], [&["copy"], &["upload"]]],
            _ => continue,
        };
        let steps = steps(template);
        found.of(
            object,
            expected.iter().any(|order| order[0] == steps[0] && order[1] == steps[1]),
            &format!("{steps:?}"),
        );
        for container in containers(template).filter(|container| container["name"] == "upload") {
            let mounts = list(&container["volumeMounts"]);
            let volume = mounts.iter().find(|mount| mount["mountPath"] == "/backups");
            found.of(object, volume.is_some_and(|mount| mount["readOnly"] == true), "it may take away what it copies");
        }
    }
}

#[test]
fn backups_are_copied_away_before_they_count() {
    const POD: &str = "/spec/jobTemplate/spec/template/spec";
    holds_everywhere("copies", copied_before_it_counts, 15);
    let late = json!([{"name": "record"}, {"name": "upload", "volumeMounts": []}]);
    finds(
        copied_before_it_counts,
        &[
            broken(
                "production",
                "CronJob rulebox-backup",
                format!("{POD}/containers"),
                late,
                "[\"record\", \"upload\"]",
            ),
            broken("production", "CronJob rulebox-redis-backup", format!("{POD}/initContainers"), None, "[\"upload\"]"),
            broken(
                "production",
                "CronJob rulebox-backup",
                format!("{POD}/initContainers/1/volumeMounts/0/readOnly"),
                None,
                "may take away",
            ),
        ],
    );
}

/// The image of a part's first container.
fn image<'a>(objects: &'a [Value], part: &str) -> &'a str {
    let (_, template) = pods(objects).find(|(_, template)| component(template) == part).unwrap();
    text(&containers(template).next().unwrap()["image"])
}

#[test]
fn restores_are_tried_by_the_image_of_backups_unless_another_is_named() {
    let digest = format!("sha256:{}", "3".repeat(64));
    for set in ["staging", "production"] {
        let objects = with(set, &[&format!("backup.image.digest={digest}")]);
        let expected = format!("rulebox/rulebox-backup@{digest}");
        assert_eq!([image(&objects, "backup"), image(&objects, "restore-test")], [&expected, &expected], "{set}");
    }
    assert_eq!(image(&one("options").objects, "restore-test"), "registry.example.com/rulebox/trial:0.1.0");
    assert_ne!(image(&one("options").objects, "backup"), image(&one("options").objects, "restore-test"));
}

#[test]
fn old_copies_are_removed_from_the_claim_that_is_named() {
    assert!(one("production").objects.iter().all(|object| !text(&object["metadata"]["name"]).contains("prune")));
    let changes = ["prune.enabled=true", "prune.existingClaim=copies", "prune.olderThanDays=30", "prune.keep=2"];
    let objects = with("staging", &changes);
    let (_, template) = pods(&objects).find(|(_, template)| component(template) == "prune").unwrap();
    let container = &template["spec"]["containers"][0];
    let words = [list(&container["command"]), list(&container["args"])].concat();
    let words: Vec<_> = words.iter().map(text).collect();
    let script = ["bash", "/opt/rulebox/backup/prune", "--in", "/copies", "--older-than", "30", "--keep", "2"];
    assert_eq!(words, script);
    let mounted = |path: &str| {
        let mount = list(&container["volumeMounts"]).iter().find(|mount| mount["mountPath"] == path).unwrap();
        list(&template["spec"]["volumes"]).iter().find(|volume| volume["name"] == mount["name"]).unwrap()
    };
    assert_eq!(mounted("/copies")["persistentVolumeClaim"]["claimName"], "copies");
    // The script takes these words.
    let config = text(&mounted("/opt/rulebox/backup")["configMap"]["name"]).to_owned();
    let config = of_kind(&objects, "ConfigMap").find(|it| it["metadata"]["name"] == config.as_str()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let copies = place.path().join("copies");
    std::fs::create_dir(&copies).unwrap();
    for n in 1..=4 {
        std::fs::write(copies.join(format!("redis-2020010{n}T000000Z.rdb")), "").unwrap();
    }
    std::fs::write(place.path().join("prune"), text(&config["data"]["prune"])).unwrap();
    let copies = copies.display().to_string();
    let words = words.iter().skip(2).map(|word| if *word == "/copies" { copies.as_str() } else { *word });
    rulebox_tests::tools::run(std::process::Command::new("bash").arg(place.path().join("prune")).args(words));
    assert_eq!(std::fs::read_dir(&copies).unwrap().count(), 2);
}

/// Secrets that pods mount and nobody writes: by name.
fn by_hand(objects: &[Value]) -> Vec<&str> {
    let volumes = pods(objects).flat_map(|(_, template)| list(&template["spec"]["volumes"]));
    let mut names: Vec<_> = volumes.map(|volume| text(&volume["secret"]["secretName"])).collect();
    let written: Vec<_> = of_kind(objects, "ExternalSecret").map(|it| text(&it["spec"]["target"]["name"])).collect();
    names.retain(|name| !name.is_empty() && !written.contains(name));
    names.sort_unstable();
    names.dedup();
    names
}

#[test]
fn external_secrets_write_all_that_copies_want() {
    let of_copies = ["rulebox-backup", "rulebox-redis-backup", "rulebox-restore-identity", "rulebox-upload"];
    let objects = &one("options").objects;
    let left = by_hand(objects);
    assert!(of_copies.iter().all(|name| !left.contains(name)), "{left:?}");
    let without: Vec<_> = objects.iter().filter(|object| object["kind"] != "ExternalSecret").cloned().collect();
    let left = by_hand(&without);
    assert!(of_copies.iter().all(|name| left.contains(name)), "{left:?}");
    // What each of them is, the README says to whoever makes them by hand.
    let readme = std::fs::read_to_string(chart().join("README.md")).unwrap();
    for name in of_copies {
        let said = readme.contains(&format!("`{name}`")) || readme.contains(&format!("secret {name} "));
        assert!(said, "the README does not say what {name} is");
    }
    assert!(readme.contains("`rulebox-redis-ca`"));
    println!("{} Secrets of copies, written by External Secrets or named", of_copies.len() + 1);
}

/// The pod of the README that restores Redis fits what the release has.
#[test]
fn redis_is_restored_onto_its_volume() {
    let readme = std::fs::read_to_string(chart().join("README.md")).unwrap();
    let block = readme.split("<<'END'\n").nth(1).unwrap().split("\nEND\n").next().unwrap();
    let pod: Value = serde_saphyr::from_str(block).unwrap();
    let objects = &one("staging").objects;
    let redis = of_kind(objects, "StatefulSet").find(|it| it["metadata"]["name"] == "rulebox-redis").unwrap();
    let its = &redis["spec"]["template"]["spec"];
    for key in ["runAsUser", "runAsGroup", "fsGroup"] {
        assert_eq!(pod["spec"]["securityContext"][key], its["securityContext"][key], "{key}");
    }
    assert_eq!(pod["spec"]["containers"][0]["image"], its["containers"][0]["image"]);
    let claims: Vec<_> =
        list(&pod["spec"]["volumes"]).iter().map(|it| text(&it["persistentVolumeClaim"]["claimName"])).collect();
    let claim = text(&redis["spec"]["volumeClaimTemplates"][0]["metadata"]["name"]);
    assert_eq!(claims[0], format!("{claim}-rulebox-redis-0"));
    assert!(of_kind(objects, "PersistentVolumeClaim").any(|it| it["metadata"]["name"] == claims[1]), "{claims:?}");
    let copies = pods(objects).find(|(_, template)| component(template) == "redis-backup").unwrap().1;
    let volume = list(&copies["spec"]["volumes"]).iter().find(|volume| volume["name"] == "copies").unwrap();
    assert_eq!(volume["persistentVolumeClaim"]["claimName"], claims[1]);
}
