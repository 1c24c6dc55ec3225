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

/// The word behind another of what a container runs.
fn behind<'a>(container: &'a Value, word: &str) -> &'a str {
    let words = list(&container["command"]).iter().chain(list(&container["args"])).map(text);
    words.skip_while(|it| *it != word).nth(1).unwrap_or_default()
}

/// What is to be elsewhere is there before it is written down and before an old one goes; and what copies away changes nothing
/// here.
fn copied_before_it_counts(objects: &[Value], found: &mut Found) {
    for (object, template) in pods(objects) {
        let expected: &[[&[&str]; 2]] = match component(template) {
            "backup" => &[[&["dump"], &["record"]], [&["dump", "upload", "record"], &["prune"]]],
            "redis-backup" => &[[&[], &["copy"]], [&["copy", "upload"], &["prune"]]],
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
            let first = containers(template).next().unwrap();
            found.of(object, behind(first, "--keep") == "0", "good ones go when one could not be copied away");
        }
    }
}

#[test]
fn backups_are_copied_away_before_they_count() {
    const POD: &str = "/spec/jobTemplate/spec/template/spec";
    holds_everywhere("copies", copied_before_it_counts, 15);
    let late = json!([{"name": "prune"}, {"name": "upload", "volumeMounts": []}]);
    finds(
        copied_before_it_counts,
        &[
            broken(
                "production",
                "CronJob rulebox-backup",
                format!("{POD}/containers"),
                late,
                "[\"prune\", \"upload\"]",
            ),
            broken("production", "CronJob rulebox-redis-backup", format!("{POD}/initContainers"), None, "[\"prune\"]"),
            broken(
                "production",
                "CronJob rulebox-backup",
                format!("{POD}/initContainers/0/command/6"),
                json!("14"),
                "good ones go",
            ),
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

/// Files of a volume that is that of both, and which of them whose container copies away.
const FILES: [(&str, &str); 8] = [
    ("rulebox-20310506T070809Z.tar.age", "backup"),
    ("rulebox-20310506T070809Z/SHA256SUMS", "backup"),
    ("rulebox-20310506T070809Z/dump/toc.dat", "backup"),
    ("redis-20310506T070809Z.rdb.age", "redis-backup"),
    ("redis-20310506T070809Z.rdb.age.sha256", "redis-backup"),
    (".rulebox-20310506T070809Z.part/dump/toc.dat", ""),
    (".redis.lock", ""),
    ("notes", ""),
];

/// Whether a path is meant by a pattern of rclone: `*` is anything within a name, and `**` anything.
fn meant(pattern: &str, path: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("**") {
        return (0..=path.len()).any(|end| meant(rest, &path[end..]));
    }
    if let Some(rest) = pattern.strip_prefix('*') {
        let name = path.find('/').unwrap_or(path.len());
        return (0..=name).any(|end| meant(rest, &path[end..]));
    }
    match (pattern.chars().next(), path.chars().next()) {
        (None, None) => true,
        (Some(a), Some(b)) if a == b => meant(&pattern[a.len_utf8()..], &path[b.len_utf8()..]),
        _ => false,
    }
}

/// What is copied away is of the Job that copies it, and nothing else: the other's may be too much for its time.
fn copies_its_own(objects: &[Value], found: &mut Found) {
    for (object, template) in pods(objects) {
        for container in containers(template).filter(|container| container["name"] == "upload") {
            let words: Vec<_> = list(&container["command"]).iter().chain(list(&container["args"])).map(text).collect();
            let included = words.windows(2).filter(|pair| pair[0] == "--include").map(|pair| pair[1]);
            let included: Vec<_> = included.map(|pattern| pattern.strip_prefix('/').unwrap_or("**")).collect();
            for (path, of) in FILES {
                // Without a pattern it is everything.
                let copied = included.is_empty() || included.iter().any(|pattern| meant(pattern, path));
                found.of(object, copied == (component(template) == of), &format!("{path}: copied away {copied}"));
            }
        }
    }
}

#[test]
fn each_copies_away_its_own() {
    const UPLOAD: &str = "/spec/jobTemplate/spec/template/spec/initContainers/1/args";
    const REDIS: &str = "CronJob rulebox-redis-backup";
    holds_everywhere("files that are copied away", copies_its_own, 50);
    let all = json!(["--include", "/**"]);
    finds(
        copies_its_own,
        &[
            broken("production", REDIS, UPLOAD, None, "rulebox-20310506T070809Z.tar.age: copied away true"),
            broken("production", REDIS, UPLOAD, all, ".redis.lock: copied away true"),
            broken("production", "CronJob rulebox-backup", format!("{UPLOAD}/2"), None, "toc.dat: copied away false"),
        ],
    );
}

/// Whoever copies away to a store of an authority of one's own knows that one.
fn knows_the_authority(objects: &[Value], found: &mut Found) {
    const FILE: &str = "SSL_CERT_FILE";
    let of =
        |container: &Value| list(&container["env"]).iter().find(|it| it["name"] == FILE).map(|it| it["value"].clone());
    let chosen = pods(objects).flat_map(|(_, template)| containers(template)).find_map(of);
    for (object, template) in pods(objects) {
        for container in containers(template).filter(|container| container["name"] == "upload") {
            found.of(object, of(container) == chosen, &format!("it goes by {:?}", of(container)));
            let folder = chosen.as_ref().map(|file| text(file).trim_end_matches("/ca.crt"));
            let mounts = list(&container["volumeMounts"]);
            let there = folder.is_none_or(|folder| mounts.iter().any(|mount| mount["mountPath"] == folder));
            found.of(object, there, "its authority is not there");
        }
    }
}

#[test]
fn copies_go_to_stores_of_ones_own_authority() {
    const UPLOAD: &str = "/spec/jobTemplate/spec/template/spec/initContainers/1";
    holds_everywhere("authorities of uploads", knows_the_authority, 10);
    let mounts = json!([{"name": "copies", "mountPath": "/backups", "readOnly": true}]);
    finds(
        knows_the_authority,
        &[
            broken("options", "CronJob rb-backup", format!("{UPLOAD}/env"), None, "it goes by None"),
            broken("options", "CronJob rb-redis-backup", format!("{UPLOAD}/env/1"), None, "it goes by None"),
            broken("options", "CronJob rb-redis-backup", format!("{UPLOAD}/volumeMounts"), mounts, "is not there"),
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
    // Without a tag or a digest: of the chart's version, whatever takes it.
    let ours = "backup.image.repository=team/rulebox-backup";
    let prune = ["prune.enabled=true", "prune.existingClaim=copies"];
    let version = crate::rendered::read(&chart().join("Chart.yaml"))["appVersion"].clone();
    let expected = format!("team/rulebox-backup:{}", text(&version));
    for tag in ["backup.image.tag=", "backup.image.tag=null"] {
        let objects = with("staging", &[&[ours, tag][..], &prune].concat());
        for part in ["backup", "restore-test", "prune"] {
            assert_eq!(image(&objects, part), expected, "{part} with {tag}");
        }
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

/// What is left on a volume of both when the container that prunes it has run.
fn left(objects: &[Value], part: &str) -> Vec<String> {
    let (_, template) = pods(objects).find(|(_, template)| component(template) == part).unwrap();
    let container = containers(template).find(|it| it["name"] == "prune").unwrap();
    let config = format!("rulebox-{part}");
    let config = of_kind(objects, "ConfigMap").find(|it| it["metadata"]["name"] == config.as_str()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("prune");
    std::fs::write(&script, text(&config["data"]["prune"])).unwrap();
    let copies = place.path().join("copies");
    std::fs::create_dir(&copies).unwrap();
    for n in 1..=4 {
        std::fs::write(copies.join(format!("redis-2020010{n}T000000Z.rdb")), "").unwrap();
        std::fs::write(copies.join(format!("rulebox-2020010{n}T000000Z.tar.age")), "").unwrap();
    }
    // However young.
    for kind in ["redis-20990101T000000Z.rdb", "rulebox-20990101T000000Z.tar.age"] {
        std::fs::write(copies.join(kind), "").unwrap();
    }
    let words = list(&container["command"]).iter().map(|word| match text(word) {
        "/backups" => copies.display().to_string(),
        "/opt/rulebox/backup/prune" => script.display().to_string(),
        word => word.to_owned(),
    });
    let words: Vec<_> = words.collect();
    rulebox_tests::tools::run(std::process::Command::new(&words[0]).args(&words[1..]));
    let names = std::fs::read_dir(&copies).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut kinds: Vec<_> = names.map(|name| name.split('-').next().unwrap().to_owned()).collect();
    kinds.sort();
    kinds
}

#[test]
fn what_was_copied_away_is_kept_in_the_number_that_is_wanted() {
    let objects = with("production", &["backup.keep=2", "redisBackup.keep=1"]);
    assert_eq!(left(&objects, "backup"), [&["redis"; 5][..], &["rulebox"; 2]].concat());
    assert_eq!(left(&objects, "redis-backup"), [&["redis"; 1][..], &["rulebox"; 5]].concat());
    // With none to remove there is nothing behind it.
    let objects = with("production", &["backup.keep=0", "redisBackup.keep=0"]);
    for (part, last) in [("backup", "record"), ("redis-backup", "upload")] {
        let (_, template) = pods(&objects).find(|(_, template)| component(template) == part).unwrap();
        assert_eq!(steps(template)[1], [last]);
    }
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
