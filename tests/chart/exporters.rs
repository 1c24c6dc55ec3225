//! Exporters: none takes away what it watches, and each store is asked by itself, with the login that it knows.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rulebox_tests::servers::Guarded;
use rulebox_tests::{root, signal};
use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::readme::notes;
use crate::rendered::{Set, chart, containers, entries, list, of_kind, one, pods, text, with};

/// All exporters, in a release that has stores of its own.
const ON: [&str; 3] = [
    "monitoring.exporters.postgresql.enabled=true",
    "monitoring.exporters.redis.enabled=true",
    "monitoring.exporters.pgbouncer.enabled=true",
];

/// What stands beside another container may be away: a pod is ready when all its containers are.
pub(crate) fn beside(objects: &[Value], found: &mut Found) {
    for (object, template) in pods(objects) {
        let all = list(&template["spec"]["containers"]);
        for container in all.iter().filter(|it| it["name"] == "exporter" && all.len() > 1) {
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                found.of(object, container[probe].is_null(), &format!("the pooler goes by the exporter's {probe}"));
            }
            for mount in list(&container["volumeMounts"]) {
                let volume = list(&template["spec"]["volumes"]).iter().find(|it| it["name"] == mount["name"]).unwrap();
                let may_be_missing = volume["secret"]["optional"] == true || volume["secret"].is_null();
                found.of(object, may_be_missing, "the pooler waits for the exporter's Secret");
            }
            // It collects what it may before the kernel ends it.
            let limit = text(&container["resources"]["limits"]["memory"]).trim_end_matches("Mi").parse::<u64>();
            let soft = list(&container["env"]).iter().find(|it| it["name"] == "GOMEMLIMIT");
            let soft = soft.and_then(|it| text(&it["value"]).trim_end_matches("MiB").parse::<u64>().ok());
            let room = limit.is_ok_and(|limit| soft.is_some_and(|soft| soft * 5 <= limit * 4 && soft * 2 >= limit));
            found.of(object, room, &format!("GOMEMLIMIT is {soft:?}"));
        }
    }
}

#[test]
fn a_pooler_is_there_without_its_exporter() {
    const POOLER: &str = "Deployment rulebox-pgbouncer";
    const SIDE: &str = "/spec/template/spec/containers/1";
    holds_everywhere("exporters beside poolers", beside, 10);
    let volumes = &of_kind(&one("production").objects, "Deployment")
        .find(|it| it["metadata"]["name"] == "rulebox-pgbouncer")
        .unwrap()["spec"]["template"]["spec"]["volumes"];
    let place = list(volumes).iter().position(|it| it["name"] == "exporter").unwrap();
    let optional = format!("/spec/template/spec/volumes/{place}/secret/optional");
    finds(
        beside,
        &[
            broken("production", POOLER, format!("{SIDE}/readinessProbe"), json!({}), "exporter's readinessProbe"),
            broken("production", POOLER, format!("{SIDE}/livenessProbe"), json!({}), "exporter's livenessProbe"),
            broken("production", POOLER, optional, None, "waits for the exporter's Secret"),
            broken("production", POOLER, format!("{SIDE}/env"), None, "GOMEMLIMIT is None"),
        ],
    );
}

/// Waits until something is so.
fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_mins(1), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_container_beside_a_pooler_stays_whatever_becomes_of_the_exporter() {
    let directory = tempfile::tempdir().unwrap();
    let here = |name: &str| directory.path().join(name);
    let production = &one("production").objects;
    let container = pods(production)
        .filter(|(object, _)| object["metadata"]["name"] == "rulebox-pgbouncer")
        .flat_map(|(_, template)| containers(template))
        .find(|it| it["name"] == "exporter")
        .unwrap();
    // Writes down how it was called, and stays.
    let exporter = "#!/bin/sh\necho \"$$ $PGBOUNCER_EXPORTER_CONNECTION_STRING\" >>\"$CALLS\"\nexec sleep 120\n";
    let (program, calls) = (here("pgbouncer_exporter"), here("calls"));
    fs::write(&program, exporter).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&calls, "").unwrap();
    let words = list(&container["command"]).iter().map(|word| {
        let word = text(word).replace("/bin/pgbouncer_exporter", program.to_str().unwrap());
        word.replace("/run/exporter/connection", here("connection").to_str().unwrap()).replace("sleep 5 ", "sleep 0.2 ")
    });
    let words: Vec<_> = words.collect();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env("CALLS", &calls);
    let mut shell = Guarded::spawn(&command);
    let called = || fs::read_to_string(&calls).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    // Without a Secret it stays, and begins when there is one.
    std::thread::sleep(Duration::from_secs(1));
    assert!(!shell.has_ended() && called().is_empty(), "{:?}", called());
    fs::write(here("connection"), "postgresql://one").unwrap();
    wait_for("an exporter", || called().len() == 1);
    // Killed, it is begun again, with what the Secret says now.
    fs::write(here("connection"), "postgresql://two").unwrap();
    let number = |line: &str| line.split(' ').next().unwrap().parse::<u32>().unwrap();
    signal(number(&called()[0]), "KILL");
    wait_for("another exporter", || called().len() == 2);
    assert!(called()[0].ends_with(" postgresql://one") && called()[1].ends_with(" postgresql://two"), "{:?}", called());
    assert!(!shell.has_ended());
    // And it ends when it is told to, with the exporter.
    let second = number(&called()[1]);
    signal(shell.id(), "TERM");
    wait_for("the end", || shell.has_ended());
    wait_for("the exporter's end", || !Path::new(&format!("/proc/{second}/exe")).exists());
    println!("an exporter that was killed was begun again, and ended with its container");
}

/// Addresses of Redis that Prometheus has its exporter ask.
fn targets(objects: &[Value]) -> Vec<String> {
    let monitors =
        of_kind(objects, "ServiceMonitor").filter(|it| text(&it["metadata"]["name"]).ends_with("redis-exporter"));
    let endpoints = monitors.flat_map(|monitor| list(&monitor["spec"]["endpoints"]));
    endpoints.flat_map(|endpoint| list(&endpoint["params"]["target"])).map(|it| text(it).to_owned()).collect()
}

/// Each pod of Redis has one address, and each address leads to one pod.
fn asked(objects: &[Value], found: &mut Found) {
    let targets = targets(objects);
    let sets = of_kind(objects, "StatefulSet").filter(|it| text(&it["metadata"]["name"]).contains("-redis"));
    let mut there = BTreeSet::new();
    for set in sets {
        let name = text(&set["metadata"]["name"]);
        for number in 0..set["spec"]["replicas"].as_u64().unwrap() {
            let pod = format!("{name}-{number}");
            let leading: Vec<_> = of_kind(objects, "Service")
                .filter(|service| service["spec"]["selector"]["statefulset.kubernetes.io/pod-name"] == pod.as_str())
                .collect();
            let own = leading.iter().all(|service| {
                let selector = entries(&service["spec"]["selector"]);
                let mut others = selector.filter(|(label, _)| *label != "statefulset.kubernetes.io/pod-name");
                others.all(|(label, value)| set["spec"]["selector"]["matchLabels"][label] == *value)
            });
            found.of(set, own && leading.len() == 1, &format!("{} Services lead to {pod}", leading.len()));
            let addresses =
                leading.iter().map(|service| format!("redis://{}:6379", text(&service["metadata"]["name"])));
            there.extend(addresses);
        }
    }
    let distinct: BTreeSet<_> = targets.iter().cloned().collect();
    found.hold(distinct == there && targets.len() == there.len(), || format!("{targets:?} are asked of {there:?}"));
}

#[test]
fn each_redis_is_asked_by_itself_whoever_is_the_primary() {
    let mut asked_of = 0;
    for primary in ["redis", "redis-replica"] {
        for copies in [0, 1, 3] {
            let role = format!("redis.inCluster.primary={primary}");
            let count = format!("redis.inCluster.replicas={copies}");
            let objects = with("staging", &[&ON[..], &[&role, &count]].concat());
            let mut found = Found::default();
            asked(&objects, &mut found);
            assert_eq!(found.faults, Vec::<String>::new(), "{primary}, {copies}");
            let targets = targets(&objects);
            assert_eq!(targets.len(), copies + 1, "{targets:?}");
            // The primary's is the first.
            assert_eq!(targets[0], format!("redis://rulebox-{primary}-0:6379"));
            asked_of += targets.len();
            // A Service that leads to all copies, or to another set.
            let mut objects = objects;
            let service =
                objects.iter_mut().find(|it| it["metadata"]["name"] == format!("rulebox-{primary}-0")).unwrap();
            service["spec"]["selector"].as_object_mut().unwrap().remove("statefulset.kubernetes.io/pod-name");
            let mut found = Found::default();
            asked(&objects, &mut found);
            assert!(found.faults.iter().any(|fault| fault.contains("0 Services lead")), "{:?}", found.faults);
        }
    }
    println!("{asked_of} pods of Redis in 6 renderings, each by its own address");
}

/// Under which key `redis_exporter` looks for a password: from 1.69 on the address has the user in it.
fn keys(address: &str, user: &str) -> [String; 2] {
    [address.to_owned(), address.replacen("://", &format!("://{user}@"), 1)]
}

/// Keys of a text that has `passwords.json` in it.
fn shown(text: &str) -> BTreeSet<String> {
    let mut rest = text;
    let mut shown = BTreeSet::new();
    while let Some((_, behind)) = rest.split_once("\"redis") {
        let (key, after) = behind.split_once('"').unwrap();
        if after.starts_with(':') {
            shown.insert(format!("redis{key}"));
        }
        rest = after;
    }
    shown
}

#[test]
fn passwords_are_shown_under_the_keys_that_exporters_of_either_kind_look_for() {
    let mut count = 0;
    for file in [chart().join("values.yaml"), root().join("deploy/monitoring/exporters/README.md")] {
        let keys_shown = shown(&fs::read_to_string(&file).unwrap());
        let plain: Vec<_> = keys_shown.iter().filter(|key| !key.contains('@')).collect();
        assert!(!plain.is_empty(), "{} shows none", file.display());
        let expected: BTreeSet<_> = plain.iter().flat_map(|key| keys(key, "rulebox_monitor")).collect();
        assert_eq!(keys_shown, expected, "{}", file.display());
        count += expected.len();
    }
    // The user is that of the exporter's argument, and the chart says which addresses there are.
    let objects = with("staging", &ON);
    let exporter = pods(&objects).find(|(it, _)| it["metadata"]["name"] == "rulebox-redis-exporter").unwrap().1;
    let arguments = containers(exporter).flat_map(|it| list(&it["args"])).any(|it| it == "-redis.user=rulebox_monitor");
    assert!(arguments, "{exporter}");
    println!("{count} keys of passwords.json are shown");
}

/// Keys that Helm prints at the end.
fn printed(copies: usize, primary: &str) -> BTreeSet<String> {
    let set = Set::named("staging");
    let changes = [format!("redis.inCluster.replicas={copies}"), format!("redis.inCluster.primary={primary}")];
    let notes = notes(set, &[&ON[..], &[&changes[0], &changes[1]]].concat());
    let lines = notes.lines().map(str::trim).filter(|line| line.starts_with("redis://"));
    lines.map(str::to_owned).collect()
}

#[test]
fn passwords_are_there_before_a_copy_takes_over() {
    let mut count = 0;
    for copies in [0, 1, 2, 3] {
        let before = printed(copies, "redis");
        assert_eq!(before, printed(copies, "redis-replica"), "{copies}");
        let mut asked = BTreeSet::new();
        for primary in ["redis", "redis-replica"] {
            let (role, number) =
                (format!("redis.inCluster.primary={primary}"), format!("redis.inCluster.replicas={copies}"));
            asked.extend(targets(&with("staging", &[&ON[..], &[&role, &number]].concat())));
        }
        let wanted: BTreeSet<_> = asked.iter().flat_map(|address| keys(address, "rulebox_monitor")).collect();
        assert_eq!(before, wanted, "{copies} copies");
        count += wanted.len();
    }
    println!("{count} keys of passwords.json, the same when a copy has taken over");
}
