//! Settings: what the chart takes is what the service has, with its bounds and defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use rulebox_tests::tools::{run, tried};
use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{all, chart, containers, entries, list, of_kind, pods, read, text};

/// Settings that the chart sets itself, or that have no meaning in a cluster.
const NOT_TAKEN: [&str; 31] = [
    "config",
    "role",
    "data_dir",
    "master_secret",
    "previous_master_secret",
    "api.listen",
    "health.listen",
    "store.connections",
    "store.busy_ms",
    "store.durability",
    "database.url",
    "database.platform_url",
    "database.migrate_url",
    "redis.url",
    "telemetry.otlp_headers",
    "executors.addresses",
    "executors.listen",
    "executors.connections",
    "executors.confinement",
    "executors.ca_file",
    "executors.certificate_file",
    "executors.key_file",
    "code_cache.directory",
    "webhooks.allow_loopback",
    "oidc",
    "oidc.issuer",
    "oidc.audience",
    "oidc.tenants",
    "oidc.platform",
    "oidc.refresh_seconds",
    "database_url",
];

fn schema() -> Value {
    serde_json::from_str(&std::fs::read_to_string(chart().join("values.schema.json")).unwrap()).unwrap()
}

/// The settings of the service by `section.name`, as its help has them.
fn known() -> BTreeSet<String> {
    let help = run(Command::new(rulebox_tests::binary()).args(["serve", "--help"]));
    let words = help.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
    // Not `RULEBOX_DATABASE__…URL`, which stands for several.
    let names = words.filter_map(|word| word.strip_prefix("RULEBOX_")).filter(|name| !name.ends_with('_'));
    names.map(|name| name.to_lowercase().replace("__", ".")).collect()
}

/// `section.name` and its schema, of a part of the schema of values.
fn taken(part: &Value) -> BTreeMap<String, Value> {
    let sections = entries(&part["properties"]);
    let names = sections.flat_map(|(section, of)| {
        entries(&of["properties"]).map(move |(name, of)| (format!("{section}.{name}"), of.clone()))
    });
    names.collect()
}

/// Bounds of every number, read from the table that the service checks them by.
fn bounds() -> BTreeMap<String, (u64, u64)> {
    let table = std::fs::read_to_string(rulebox_tests::root().join("executor/src/config/bounds.rs")).unwrap();
    let rows = table.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.strip_suffix("),"));
    let rows = rows.filter_map(|row| {
        let (name, rest) = row.split_once('"')?;
        let (least, most) = rest.rsplit_once(", ")?.1.split_once("..=")?;
        Some((name.to_owned(), (value(least), value(most))))
    });
    rows.collect()
}

/// A product of numbers and names, as in that table.
fn value(expression: &str) -> u64 {
    let factor = |word: &str| match word.trim() {
        "KIB" => 1 << 10,
        "MIB" => 1 << 20,
        "GIB" => 1 << 30,
        "Config::MOST_THREADS as u64" => 256,
        "rulebox_abi::MAX_ROWS.into()" => 4096,
        number => number.replace('_', "").parse().unwrap_or_else(|_| panic!("'{number}' among the bounds")),
    };
    expression.split('*').map(factor).product()
}

/// Defaults of settings, as the table for operators has them.
fn defaults() -> BTreeMap<String, String> {
    let table = std::fs::read_to_string(rulebox_tests::root().join("deploy/image/settings.md")).unwrap();
    let rows = table.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("| `RULEBOX_")?.split_once('`')?;
        let default = rest.split('|').nth(1)?.trim().split('`').nth(1)?;
        Some((name.to_lowercase().replace("__", "."), default.to_owned()))
    });
    rows.collect()
}

#[test]
fn values_take_the_settings_that_there_are() {
    let (known, schema) = (known(), schema());
    assert!(known.len() > 100, "only {} settings in the help", known.len());
    let own = taken(&schema["properties"]["settings"]);
    let executors = taken(&schema["properties"]["executors"]["properties"]["settings"]);
    for name in own.keys().chain(executors.keys()) {
        assert!(known.contains(name), "the schema has {name}, and the service has not");
    }
    let missing: Vec<_> =
        known.iter().filter(|name| !own.contains_key(*name) && !NOT_TAKEN.contains(&name.as_str())).collect();
    assert_eq!(missing, Vec::<&String>::new(), "settings that neither the schema nor the list above has");
    for name in NOT_TAKEN {
        assert!(!own.contains_key(name), "{name} is taken");
    }
    println!("settings: {} of {} taken, {} of executors", own.len(), known.len(), executors.len());
}

#[test]
fn values_have_the_bounds_of_the_service() {
    let (bounds, schema) = (bounds(), schema());
    assert!(bounds.len() > 80, "only {} bounds", bounds.len());
    let parts = [&schema["properties"]["settings"], &schema["properties"]["executors"]["properties"]["settings"]];
    let mut checks = 0;
    for (name, of) in parts.into_iter().flat_map(taken) {
        let number = of["type"] == "integer";
        assert_eq!(number, bounds.contains_key(&name), "{name}: {of}");
        if let Some((least, most)) = bounds.get(&name) {
            assert_eq!((of["minimum"].as_u64(), of["maximum"].as_u64()), (Some(*least), Some(*most)), "{name}");
            checks += 1;
        }
        // What is left empty would be read as a setting.
        assert_ne!(of["type"], Value::Null, "{name}");
    }
    println!("bounds: {checks} numbers");
    assert_eq!((value("4 * GIB"), value("1_000_000")), (4 << 30, 1_000_000));
}

#[test]
fn checks_of_values_go_by_the_defaults_of_the_service() {
    let (defaults, values) = (defaults(), read(&chart().join("values.yaml")));
    assert!(defaults.len() > 80, "only {} defaults", defaults.len());
    let mut checks = 0;
    for file in ["_checks.tpl", "_sums.tpl", "_settings.tpl"] {
        let text = std::fs::read_to_string(chart().join("templates").join(file)).unwrap();
        for call in text.split("\"section\" \"").skip(1) {
            let words: Vec<_> = call.split(['"', ')']).collect();
            if let [section, _, "name", _, name, _, "default", default, ..] =
                words.iter().map(|word| word.trim()).collect::<Vec<_>>().as_slice()
            {
                let setting = format!("{section}.{name}");
                // Where it is the machine's number of cores, the values say another: pods are not alone on it.
                let said =
                    defaults.get(&setting).cloned().unwrap_or_else(|| values["settings"][section][name].to_string());
                assert_eq!(said, *default, "{file}: {setting}");
                checks += 1;
            }
        }
    }
    println!("defaults: {checks} in the templates");
    assert!(checks >= 10, "{checks}");
}

fn variables(known: &BTreeSet<String>, objects: &[Value], found: &mut Found) {
    let mut of = |object: &Value, variable: &str| {
        let Some(name) = variable.strip_prefix("RULEBOX_") else { return };
        let name = name.to_lowercase().replace("__", ".");
        let file = name.strip_suffix("_file").is_some_and(|name| known.contains(name));
        // Of the init script of PostgreSQL.
        let ours = name == "database_name" && object["kind"] == "StatefulSet";
        found.of(object, known.contains(&name) || file || ours, &format!("the service does not know {variable}"));
    };
    for config in of_kind(objects, "ConfigMap") {
        entries(&config["data"]).for_each(|(name, _)| of(config, name));
    }
    for (object, template) in pods(objects) {
        let variables = containers(template).flat_map(|container| list(&container["env"]));
        variables.into_iter().for_each(|variable| of(object, text(&variable["name"])));
    }
}

pub(crate) fn known_variables(objects: &[Value], found: &mut Found) {
    static KNOWN: std::sync::OnceLock<BTreeSet<String>> = std::sync::OnceLock::new();
    variables(KNOWN.get_or_init(known), objects, found);
}

#[test]
fn variables_are_settings_of_the_service() {
    holds_everywhere("variables", known_variables, 200);
    let env = "/spec/template/spec/containers/0/env/-";
    finds(
        known_variables,
        &[
            broken("default", "ConfigMap rulebox-api", "/data/RULEBOX_API__LISTENS", json!(""), "RULEBOX_API__LISTENS"),
            broken(
                "default",
                "Deployment rulebox-api",
                env,
                json!({"name": "RULEBOX_MASTER_FILE"}),
                "RULEBOX_MASTER_FILE",
            ),
        ],
    );
}

#[test]
fn arguments_are_those_of_the_program() {
    let mut seen = BTreeSet::new();
    for (_, template) in all().iter().flat_map(|rendered| pods(&rendered.objects)) {
        for container in containers(template) {
            if text(&container["image"]).contains("rulebox/rulebox") && container["command"].is_null() {
                seen.insert(list(&container["args"]).iter().map(text).map(str::to_owned).collect::<Vec<_>>());
            }
        }
    }
    assert!(seen.len() >= 7, "{seen:?}");
    for arguments in &seen {
        // It reads what is before `--help`, and refuses what it does not know.
        let (output, said) = tried(Command::new(rulebox_tests::binary()).args(arguments).arg("--help"));
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
    let (output, _) = tried(Command::new(rulebox_tests::binary()).args(["serve", "--rule", "api", "--help"]));
    assert!(!output.status.success());
    println!("{} command lines of Rulebox", seen.len());
}
