//! The commands of the chart's README, word for word: with a `kubectl` and a `helm` that write down what they are told. And
//! what Helm prints at the end.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use rulebox_tests::tools::run;
use serde_json::Value;

use crate::rendered::{KUBERNETES, SETS, Set, all, chart, helm, list, of_kind, parse, pods, text, title};

/// Secrets by their names: keys and what is in them.
type Secrets = BTreeMap<String, BTreeMap<String, String>>;

/// The blocks of commands in the part of the README that installs.
fn blocks() -> Vec<String> {
    blocks_of("Install")
}

/// Those of a part.
fn blocks_of(part: &str) -> Vec<String> {
    let readme = fs::read_to_string(chart().join("README.md")).unwrap();
    let all = readme.split("\n## ").find(|it| it.starts_with(&format!("{part}\n"))).unwrap().to_owned();
    all.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

fn program(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs commands, and says which Secrets they make and what they install.
fn follow(commands: &str) -> (Secrets, Vec<Value>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    symlink(rulebox_tests::root().join("deploy"), place.join("deploy")).unwrap();
    fs::create_dir_all(place.join("bin")).unwrap();
    fs::create_dir_all(place.join("calls")).unwrap();
    let real = helm().get_program().to_string_lossy().into_owned();
    program(&place.join("bin/kubectl"), "#!/bin/sh\nprintf '%s\\0' \"$@\" >\"calls/$(date +%s%N)\"\n");
    // What it would install; how long it would wait is not asked.
    let template = format!(
        "#!/bin/bash\nif [ \"$3\" = test ]; then exit; fi\n[ \"$3 $4\" = 'upgrade --install' ] || exit 9\n\
         set -- \"${{@/--wait/}}\"; set -- \"${{@/--timeout/--output-dir}}\"\n\
         for word; do case $word in '') ;; 15m) all+=(out) ;; *) all+=(\"$word\") ;; esac; done\n\
         exec '{real}' \"${{all[@]:0:2}}\" template \"${{all[@]:4}}\"\n"
    );
    program(&place.join("bin/helm"), &template);
    let path = format!("{}:{}", place.join("bin").display(), std::env::var("PATH").unwrap());
    let script = format!("set -euo pipefail\n{commands}");
    run(Command::new("bash").args(["-c", &script]).env("PATH", path).current_dir(place));
    let rendered =
        run(Command::new("find").args(["out", "-name", "*.yaml", "-exec", "cat", "{}", "+"]).current_dir(place));
    let (mut secrets, mut others) = (Secrets::new(), Vec::new());
    for call in fs::read_dir(place.join("calls")).unwrap() {
        let call = fs::read_to_string(call.unwrap().path()).unwrap();
        let words: Vec<_> = call.split('\0').collect();
        let ["--namespace", "rulebox", "create", "secret", "generic", name, rest @ ..] = words.as_slice() else {
            others.push(words.join(" "));
            continue;
        };
        let keys = secrets.entry((*name).to_owned()).or_default();
        for word in rest.iter().filter(|word| !word.is_empty()) {
            let (from, rest) = word.split_once('=').unwrap();
            let (key, value) = rest.split_once('=').unwrap();
            let value =
                if from == "--from-file" { fs::read_to_string(place.join(value)).unwrap() } else { value.to_owned() };
            keys.insert(key.to_owned(), value);
        }
    }
    (secrets, parse(&rendered), others)
}

/// What is missing between the Secrets that are made and those that pods want.
fn missing(secrets: &Secrets, objects: &[Value]) -> Vec<String> {
    let mut missing = Vec::new();
    let mut used = Vec::new();
    for (object, template) in pods(objects) {
        for volume in list(&template["spec"]["volumes"]).iter().filter(|volume| volume["secret"].is_object()) {
            let name = text(&volume["secret"]["secretName"]);
            used.push(name);
            let Some(keys) = secrets.get(name) else {
                missing.push(format!("{}: there is no {name}", title(object)));
                continue;
            };
            let items = list(&volume["secret"]["items"]).iter().map(|item| text(&item["key"]));
            missing.extend(items.filter(|key| !keys.contains_key(*key)).map(|key| format!("{name} has no {key}")));
        }
    }
    missing.extend(
        secrets.keys().filter(|name| !used.contains(&name.as_str())).map(|name| format!("nobody wants {name}")),
    );
    // Addresses lead to Services, and passwords are not empty.
    for (name, key, value) in
        secrets.iter().flat_map(|(name, keys)| keys.iter().map(move |(key, value)| (name, key, value)))
    {
        let address = value.rsplit_once('@').map(|(_, behind)| behind.split('/').next().unwrap_or_default());
        if let Some((host, port)) = address.and_then(|address| address.split_once(':')) {
            let there = of_kind(objects, "Service").any(|service| {
                service["metadata"]["name"] == host
                    && list(&service["spec"]["ports"]).iter().any(|open| open["port"].as_u64() == port.parse().ok())
            });
            if !there {
                missing.push(format!("{name}: {key} leads to {host}:{port}, which is not there"));
            }
        }
        if value.len() < 16 || value.contains(":@") {
            missing.push(format!("{name}: {key} is empty"));
        }
    }
    missing
}

/// What a cluster without operators does not know.
fn foreign(objects: &[Value]) -> Vec<String> {
    let own = |version: &str| {
        version.rsplit_once('/').is_none_or(|(group, _)| {
            !group.contains('.') || (group.ends_with(".k8s.io") && !group.starts_with("gateway."))
        })
    };
    objects.iter().filter(|object| !own(text(&object["apiVersion"]))).map(title).collect()
}

#[test]
fn a_small_install_has_all_that_it_wants() {
    let blocks = blocks();
    let [secrets, small, _] = blocks.as_slice() else { panic!("{} blocks of commands", blocks.len()) };
    // As the comment behind it says.
    let pooled = "database=rulebox-pgbouncer:6432 # for a small install, which has no pooler: rulebox-postgresql:5432";
    assert!(secrets.contains(pooled), "{secrets}");
    let (secrets, objects, others) =
        follow(&format!("{}{small}", secrets.replace(pooled, "database=rulebox-postgresql:5432")));
    assert_eq!(missing(&secrets, &objects), Vec::<String>::new());
    assert_eq!(foreign(&objects), Vec::<String>::new());
    assert_eq!(others.len(), 2, "{others:?}");
    assert!(others.iter().any(|call| call.contains("pod-security.kubernetes.io/enforce=restricted")), "{others:?}");
    println!("small: {} Secrets for {} objects", secrets.len(), objects.len());
}

#[test]
fn staging_has_all_that_it_wants() {
    let blocks = blocks();
    let [first, _, staging] = blocks.as_slice() else { panic!("{} blocks of commands", blocks.len()) };
    let (mut secrets, objects, _) = follow(&format!("{first}{staging}"));
    assert_eq!(missing(&secrets, &objects), Vec::<String>::new());
    assert_eq!(foreign(&objects), Vec::<String>::new());
    // The executors' certificate has the name by which they are called.
    let address = of_kind(&objects, "ConfigMap")
        .find_map(|config| config["data"]["RULEBOX_EXECUTORS__ADDRESSES"].as_str())
        .unwrap();
    let host = address.trim_start_matches("https://").split(':').next().unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (side, purpose) in [("executor", "sslserver"), ("api", "sslclient")] {
        for (key, value) in &secrets[&format!("rulebox-{side}-tls")] {
            fs::write(directory.path().join(key), value).unwrap();
        }
        let verify = ["verify", "-CAfile", "ca.crt", "-purpose", purpose, "-verify_hostname", host, "tls.crt"];
        run(Command::new("openssl").args(verify).current_dir(directory.path()));
    }
    println!("staging: {} Secrets for {} objects", secrets.len(), objects.len());
    // What is missing is found.
    secrets.get_mut("rulebox-api").unwrap().remove("platform-url");
    secrets.get_mut("rulebox-api").unwrap().insert("redis-url".to_owned(), "redis://:password@redis:6379".to_owned());
    secrets.insert("rulebox-other".to_owned(), BTreeMap::new());
    secrets.remove("rulebox-backup");
    let missing = missing(&secrets, &objects);
    for says in [
        "rulebox-api has no platform-url",
        "redis:6379, which is not",
        "nobody wants rulebox-other",
        "there is no rulebox-backup",
    ] {
        assert!(missing.iter().any(|fault| fault.contains(says)), "{says}: {missing:?}");
    }
}

#[test]
fn exporters_have_all_that_they_want() {
    let (install, own) = (blocks(), blocks_of("Exporters"));
    let ([first, ..], [exporters]) = (&*install, &*own) else { panic!("other blocks of commands") };
    let install = "helm --namespace rulebox upgrade --install rulebox deploy/chart \
                   --values deploy/chart/values-production.yaml --wait --timeout 15m";
    let (secrets, objects, _) = follow(&format!("{first}{exporters}{install}\n"));
    let ours = |name: &str| name.ends_with("-exporter");
    let wanted = |secrets: &Secrets| {
        let mut missing = missing(secrets, &objects);
        // The authority is CloudNativePG's own, and addresses are others' or the pod's.
        missing.retain(|fault| fault.contains("-exporter") && !fault.ends_with("-ca") && !fault.contains(" leads to "));
        missing
    };
    assert_eq!(wanted(&secrets), Vec::<String>::new());
    assert_eq!(secrets.keys().filter(|name| ours(name)).count(), 3, "{:?}", secrets.keys());
    // Each address that Prometheus has asked, under the keys of exporters before and since 1.69.
    let endpoints = of_kind(&objects, "ServiceMonitor").flat_map(|monitor| list(&monitor["spec"]["endpoints"]));
    let targets: Vec<_> = endpoints.flat_map(|it| list(&it["params"]["target"])).map(text).collect();
    let passwords: Value = serde_json::from_str(&secrets["rulebox-redis-exporter"]["passwords.json"]).unwrap();
    let mut keys: Vec<_> = passwords.as_object().unwrap().keys().cloned().collect();
    let mut expected: Vec<_> =
        targets.iter().flat_map(|it| [(*it).to_owned(), it.replacen("://", "://rulebox_monitor@", 1)]).collect();
    keys.sort();
    expected.sort();
    assert!(!targets.is_empty() && keys == expected, "{keys:?} for {targets:?}");
    let notes = notes(Set::named("production"), &[]);
    for word in keys.iter().chain(secrets.keys().filter(|name| ours(name))) {
        assert!(notes.contains(word.as_str()), "{word}: {notes}");
    }
    // The connection leads to the container beside it.
    assert!(secrets["rulebox-pgbouncer-exporter"]["connection"].contains("@127.0.0.1:6432/pgbouncer?"));
    let mut without = secrets;
    without.remove("rulebox-postgresql-exporter");
    assert!(wanted(&without).iter().any(|fault| fault.contains("there is no rulebox-postgresql-exporter")));
    println!("exporters: 3 Secrets, {} keys of passwords", keys.len());
}

/// What Helm prints at the end of an install, which `helm template` leaves out: as if it were a manifest.
pub(crate) fn notes(set: &Set, changes: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("chart");
    run(Command::new("cp").arg("-r").arg(chart()).arg(&copy));
    let text = fs::read_to_string(copy.join("templates/NOTES.txt")).unwrap();
    let text: String = text.lines().flat_map(|line| ["  ", line, "\n"]).collect();
    fs::write(copy.join("templates/notes.yaml"), format!("notes: |\n{text}")).unwrap();
    let mut helm = set.template(&copy, KUBERNETES[1]);
    helm.args(changes.iter().flat_map(|change| ["--set", change]));
    let notes = parse(&run(helm.args(["--show-only", "templates/notes.yaml"])));
    notes.first().unwrap()["notes"].as_str().unwrap().to_owned()
}

/// Objects that are named, as `kind/name`, and are not there.
fn unknown(notes: &str, objects: &[Value]) -> (usize, Vec<String>) {
    let words = notes
        .split_whitespace()
        .filter(|word| ["deployment/", "service/", "job/", "statefulset/"].iter().any(|kind| word.starts_with(kind)));
    let words: Vec<_> = words.collect();
    let there: Vec<_> = objects.iter().map(|it| title(it).to_lowercase().replace(' ', "/")).collect();
    let unknown = words.iter().filter(|word| !there.iter().any(|title| title == *word));
    (words.len(), unknown.map(|word| (*word).to_owned()).collect())
}

#[test]
fn notes_name_what_is_there() {
    let mut named = 0;
    for (set, rendered) in SETS.iter().zip(all()) {
        let notes = notes(set, &[]);
        let (words, unknown) = unknown(&notes, &rendered.objects);
        assert_eq!(unknown, Vec::<String>::new(), "{}", set.name);
        // Of this Kubernetes and of a release that has a key or says how to make one.
        assert!(!notes.contains("preStop.sleep"), "{}", set.name);
        assert!(notes.contains("/usr/bin/rulebox key create") || notes.contains("grep '^key'"), "{}", set.name);
        assert_eq!(notes.contains("rollback"), set.name == "upgrade", "{}", set.name);
        // What is left to somebody else is said, and what is not is not.
        let has = |part: &str| rendered.objects.iter().any(|it| title(it) == format!("CronJob rulebox-{part}"));
        let own_names = set.name != "options";
        if own_names {
            assert_eq!(notes.contains("(redisBackup.enabled)"), !has("redis-backup"), "{}", set.name);
            assert_eq!(notes.contains("(restoreTest.enabled)"), has("backup") && !has("restore-test"), "{}", set.name);
            assert_eq!(notes.contains("rulebox-restore-test-first"), has("restore-test") && set.name != "upgrade");
        }
        let staging = ["staging", "vault", "upgrade"].contains(&set.name);
        assert_eq!(notes.contains("(upload.enabled)"), staging, "{}", set.name);
        named += words;
    }
    println!("notes: {named} objects are named in {} renderings", all().len());
    assert!(named >= 14, "{named}");
    assert_eq!(unknown("see deployment/gone and job/rulebox-migrate", &[]).1.len(), 2);
}
