//! Every kind of violation, brought about from outside and followed to everybody who is told of it.

mod feed;
mod follow;
mod guests;
mod table;
mod tamper;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rulebox_tests::Executor;
use rulebox_tests::receiver::Receiver;
use serde_json::{Value, json};

use follow::{KINDS, check_log, follow, is_alerted, is_told};
use guests::{IN_MANIFEST, IN_MODULE, TRIGGER};
use table::{BAD_KEYS, CROSSED, When, World};
use world::{Answer, MASTER, Site, Told, until};

/// A rule with canaries wherever a text has its author's words.
fn source(name: &str) -> String {
    format!(
        "edition 1\n# canary_of_a_comment\nrule {name}(equity: num in 0..1e15) {{\n  \
         param canary_of_a_param: num = 10 in 1..8191347\n  \
         if equity < canary_of_a_param {{ breach liquidate \"canary_of_a_message {{equity:.2}}\" }}\n}}\n"
    )
}

fn upload(site: &Site, name: &str) -> String {
    let made = site.post("/v1/rules", &json!({"source": source(name)}));
    assert_eq!(made.status, 201, "{}", made.body);
    made.body["digest"].as_str().unwrap().to_owned()
}

/// Starts everything, and stores the rules that are needed.
fn start() -> World {
    let told = Told::start();
    let directory = tempfile::tempdir().unwrap();
    let code = directory.path().join("code");
    let setting = |name, value: &str| (name, value.to_owned());
    let settings = [
        setting("RULEBOX_TENANT__MODULES", "true"),
        setting("RULEBOX_TENANT__FUEL_PER_SECOND", "1000000000000"),
        setting("RULEBOX_EVALUATION__FUEL", "1000000000000"),
        setting("RULEBOX_EVALUATION__DEADLINE_MS", "2000"),
        setting("RULEBOX_COMPILE__BAR_FUEL", "1000000"),
        setting("RULEBOX_COMPILE__WORKER_MEMORY_BYTES", "67108864"),
        setting("RULEBOX_CODE_CACHE__DIRECTORY", code.to_str().unwrap()),
        setting("RULEBOX_API__BAD_KEYS", &BAD_KEYS.to_string()),
    ];
    let main = Site::start(&told, directory, &settings);
    let digest = upload(&main, "cached");
    let mut cached = None;
    until("its code is kept", || {
        cached = tamper::code_file(&code, &digest);
        cached.is_some()
    });
    let cached = cached.unwrap();
    for source in [
        "rule bounded(equity) = (sma(equity, 20) ?? 0) > 1",
        "rule doubted(equity) = equity > 1",
        "rule lenient(equity) = equity > 1000",
    ] {
        let made = main.post("/v1/rules", &json!({ "source": source }));
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let hook = format!("{}/crossed", told.hooks.url);
    let made = main.post("/v1/webhooks", &json!({"url": hook, "description": CROSSED, "kinds": ["executor_died"]}));
    assert_eq!(made.status, 201, "{}", made.body);
    let crossed = made.body["id"].as_str().unwrap().to_owned();

    let directory = tempfile::tempdir().unwrap();
    let places = [0, 1].map(|n| format!("unix:{}/executor-{n}.sock", directory.path().display()));
    let executors = places.iter().map(|place| Executor::start(place, &[])).collect();
    let settings = [setting("RULEBOX_ROLE", "api"), setting("RULEBOX_EXECUTORS__ADDRESSES", &places.join(","))];
    let near = Site::start(&told, directory, &settings);
    upload(&near, "deadly");
    World { told, main, near, executors, cached, crossed }
}

/// What somebody changes while the service is away.
fn change(directory: &Path, cached: &Path) {
    tamper::change_a_bit(cached);
    tamper::weaken_proof(directory, "bounded");
    tamper::exchange_module(directory, "doubted", "lenient");
}

/// Rows of violations, by their ids.
type Rows = BTreeMap<String, Value>;

fn keep(rows: &mut Rows, row: Value) {
    let id = row["id"].as_str().unwrap().to_owned();
    assert!(rows.insert(id, row).is_none());
}

/// What was answered is kept, also if the service was killed the moment after.
fn survives(world: &World, kind: &str, answer: &Answer) -> Value {
    assert_eq!(answer.body["kind"], kind);
    let path = format!("/v1/violations/{}", answer.body["violation_id"].as_str().unwrap());
    let row = world.main.get_by(&world.main.security, &path);
    assert_eq!((row.status, &row.body["kind"]), (200, &json!(kind)), "{}", row.body);
    assert_eq!(row.body["request_id"], json!(answer.request_id));
    // What was under way when the service was killed is told again when nobody holds it any more: its lease is some
    // thirty seconds long.
    is_told(&world.told, &world.main, &row.body);
    row.body
}

#[test]
fn every_kind_is_followed_from_the_request_to_everybody_who_is_told() {
    let mut world = start();
    let name = |labels: &String| labels.split('"').nth(1).unwrap().to_owned();
    let known: BTreeSet<_> = world.main.metric(KINDS).keys().map(name).collect();
    let here: BTreeSet<_> = table::KINDS.iter().map(|entry| entry.kind.to_owned()).collect();
    assert_eq!(known, here, "every kind has an entry");

    let (mut main, mut near) = (Rows::new(), Rows::new());
    let mut follow_all = |world: &World, when| {
        for entry in table::KINDS.iter().filter(|entry| entry.when == when) {
            let row = follow(world, entry);
            println!("{}: {}", entry.kind, row["id"]);
            keep(if when == When::Executors { &mut near } else { &mut main }, row);
        }
    };
    follow_all(&world, When::Executors);
    follow_all(&world, When::Running);
    let run = table::run(&world, "killed", guests::at_trigger("(unreachable)", "(global i32 (i32.const 1))"));
    let cached = world.cached.clone();
    // From then on, every evaluation of a text is held against it.
    let sampling = ("RULEBOX_DIFFERENTIAL__ONE_IN", "1".to_owned());
    world.main.killed(|directory| change(directory, &cached), &[sampling]);
    let first = survives(&world, "trap", &run);
    follow_all(&world, When::Changed);
    // The module that says other things than its text is stopped at once.
    let stopped = world.main.evaluate("doubted", &json!({"equity": 1}));
    assert!(stopped.status == 423 && stopped.body["code"] == "rule_quarantined", "{}", stopped.body);
    until("its tenant hears of it", || {
        world.told.hooks.received().iter().any(|sent| sent.json()["type"] == "rule.quarantined")
    });
    // A verdict that there is not, already in the trial of its upload.
    let breach = guests::always("(i32.store8 (i32.const 40960) (i32.const 7))");
    let refused = table::refused(&world, "killed-too", breach);
    world.main.killed(|_| (), &[]);
    let second = survives(&world, "abi_breach", &refused);
    assert_eq!((&second["severity"], &second["version"]), (&json!("high"), &Value::Null), "the first of its day");
    assert!(second["fuel_limit"].as_u64().unwrap() > 0 && second["elapsed_us"].as_u64().unwrap() > 0, "{second:#}");
    keep(&mut main, first);
    keep(&mut main, second);

    for (site, rows) in [(&mut world.main, &main), (&mut world.near, &near)] {
        check_all(&world.told, site, rows);
    }
    check_outside(&world.told, &main.into_values().chain(near.into_values()).collect::<Vec<_>>());
    check_canaries(&world);
}

/// Nobody outside hears of anything else: Alertmanager of what is bad, and webhooks of what is their tenant's.
fn check_outside(told: &Told, rows: &[Value]) {
    let ids = |wanted: fn(&Value) -> bool| {
        let wanted = rows.iter().filter(|row| wanted(row));
        wanted.map(|row| row["id"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let pushed = told.alerts.received().into_iter().map(|sent| sent.json()[0]["labels"]["violation_id"].clone());
    assert_eq!(pushed.map(|id| id.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), ids(is_alerted));
    let of_tenants = ids(|row| !row["tenant"].is_null());
    for sent in told.hooks.received() {
        let sent = sent.json();
        match sent["type"].as_str().unwrap() {
            "violation.opened" => assert!(of_tenants.contains(sent["data"]["id"].as_str().unwrap()), "{sent:#}"),
            other => assert_eq!((other, &sent["data"]["rule"]), ("rule.quarantined", &json!("doubted"))),
        }
    }
}

/// There are these violations and no others, each was told of once, and each has its line in the log.
fn check_all(told: &Told, site: &mut Site, rows: &Rows) {
    let found: Rows = site.violations().into_iter().map(|row| (row["id"].as_str().unwrap().to_owned(), row)).collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), rows.keys().collect::<Vec<_>>(), "{found:#?}");
    assert!(found.values().all(|row| row["count"] == 1), "{found:#?}");
    let mut opened = site.feed.opened();
    opened.sort();
    assert_eq!(opened, rows.keys().cloned().collect::<Vec<_>>(), "each once");
    site.stop();
    let lines: Vec<Value> = site.log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let violations = lines.iter().filter(|line| line["message"] == "violation").count();
    assert_eq!(violations, rows.len());
    for row in rows.values() {
        check_log(&lines, row);
    }
    assert!(!told.collector.spans().is_empty());
}

/// Nothing of tenants and no secret is anywhere.
fn check_canaries(world: &World) {
    let World { told, main, near, .. } = world;
    let bodies = |receiver: &Receiver| {
        let texts = receiver.received().into_iter().map(|sent| format!("{:?}{}", sent.headers, sent.body));
        texts.collect::<Vec<_>>().concat()
    };
    let feeds = [main, near].map(|site| format!("{:?}", site.feed.events())).concat();
    let places = [
        ("the log", format!("{}{}", main.log, near.log)),
        ("a trace", format!("{:?}", told.collector.spans())),
        ("a webhook", bodies(&told.hooks)),
        ("an alert", bodies(&told.alerts)),
        ("the feed", feeds),
    ];
    let secrets = [main, near].map(|site| [&site.key, &site.security, &site.hook_secret]).concat();
    let hidden = [MASTER, TRIGGER, IN_MODULE, IN_MANIFEST, "canary"].into_iter();
    let hidden: Vec<_> = hidden.chain(secrets.into_iter().map(String::as_str)).collect();
    for (place, text) in &places {
        assert!(text.len() > 1_000, "{place} is all but empty");
        for canary in &hidden {
            let at = text.find(canary).map(|at| text[at.saturating_sub(200)..].chars().take(400).collect::<String>());
            assert_eq!(at, None, "{canary} is in {place}");
        }
    }
}
