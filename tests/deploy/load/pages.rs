//! Pages of operations: what they name is there, and their figures are those that were measured.

use std::fs;
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::{run, tried};

use super::code;
use crate::{changed, files_under, read, short, yaml};

const PAGE: &str = "deploy/operations/threat-model.md";

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    let outside_of_blocks: Vec<_> = text.split("```").step_by(2).collect();
    outside_of_blocks.into_iter().flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

/// What the page names and is not there: files, and functions of tests in them.
fn missing(text: &str) -> (usize, Vec<String>) {
    let (mut named, mut missing) = (0, Vec::new());
    let top = ["executor/", "tests/", "deploy/", "fuzz/", "dsl/", ".github/", "Cargo.lock", "deny.toml"];
    for word in quoted(text).into_iter().filter(|word| top.iter().any(|top| word.starts_with(top))) {
        named += 1;
        let (path, function) = word.split_once("::").map_or((word, None), |(path, name)| (path, Some(name)));
        let is_there = match function {
            None => root().join(path).exists(),
            // With its mark before it, perhaps with others between.
            Some(name) => fs::read_to_string(root().join(path)).is_ok_and(|source| {
                source
                    .split("#[test]\n")
                    .chain(source.split("#[tokio::test"))
                    .skip(1)
                    .any(|rest| rest.lines().take(4).any(|line| line.contains(&format!("fn {name}("))))
            }),
        };
        if !is_there {
            missing.push(word.to_owned());
        }
    }
    (named, missing)
}

/// Rows of threats that claim to be stopped and name no test, or name nobody for what is left.
fn unproved(text: &str) -> (usize, Vec<String>) {
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| ["S", "T", "R", "I", "D", "E"].iter().any(|letter| line.starts_with(&format!("| {letter} |"))))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let bad = |row: &Vec<&str>| {
        let [_, _, stops, tests, left, accepted] = row[..] else { return true };
        let is_open = stops.starts_with("Nothing here") || stops.starts_with("The operator");
        (tests.contains("::") == is_open) || (accepted.is_empty() != (left.is_empty() || left.starts_with("none")))
    };
    (rows.len(), rows.iter().filter(|row| bad(row)).map(|row| row.join(" | ")).collect())
}

#[test]
fn threats_are_stopped_by_what_is_there_and_tested() {
    let page = read(PAGE);
    let (named, lost) = missing(&page);
    assert_eq!(lost, Vec::<String>::new());
    let (threats, open) = unproved(&page);
    assert_eq!(open, Vec::<String>::new());
    assert!(named > 100 && threats > 45, "{named} names, {threats} threats");
    println!("threat model: {threats} threats, {named} files and tests named, all there");

    for (from, to) in [
        ("::accounts_have_no_power", "::accounts_have_some_power"),
        ("tests/chart/accounts.rs", "tests/chart/account.rs"),
        ("`deploy/image/bases`", "`deploy/image/base`"),
        // A function that is there, and no test.
        ("tests/deploy/crates.rs::crates_are_of_one_registry", "tests/deploy/crates.rs::strangers"),
    ] {
        assert_eq!(missing(&changed(&page, from, to)).1.len(), 1, "{to} is not found");
    }
    for (from, to) in [
        ("`tests/deploy/redis.rs::rulebox_may_ask_redis_for_its_own_and_nothing_else`", "reviews"),
        ("Nothing here: Alertmanager", "Alertmanager"),
        ("who may `exec` into a pod has its secrets | operator |", "who may `exec` into a pod has its secrets | |"),
    ] {
        let page = changed(&page, from, to);
        assert!(!unproved(&page).1.is_empty(), "{from:?} as {to:?} is not found");
    }
}

/// Links of a page that lead to no file.
fn dead(folder: &str, text: &str) -> Vec<String> {
    let links = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    let files = links.filter(|link| !link.starts_with('#') && !link.starts_with("http"));
    let dead = files.filter(|link| !root().join(folder).join(link.split('#').next().unwrap()).exists());
    dead.map(str::to_owned).collect()
}

#[test]
fn the_index_has_every_page_and_links_lead_somewhere() {
    let folder = "deploy/operations";
    let index = read("deploy/operations/README.md");
    for page in files_under(&root().join(folder)) {
        let name = short(&page).rsplit('/').next().unwrap().to_owned();
        assert!(name == "README.md" || index.contains(&format!("({name})")), "{name} is not in the index");
        assert_eq!(dead(folder, &fs::read_to_string(&page).unwrap()), Vec::<String>::new(), "{name}");
    }
    assert_eq!(dead("deploy/load", &read("deploy/load/README.md")), Vec::<String>::new());
    assert_eq!(dead(folder, &changed(&index, "(capacity.md)", "(capacities.md)")).len(), 1);
}

fn figures(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var("TESTS_PYTHON").unwrap_or_else(|_| "python3".to_owned()));
    command.arg(root().join("deploy/load/figures")).args(arguments);
    command
}

#[test]
fn the_page_of_capacity_has_the_figures_that_were_measured() {
    run(&mut figures(&["--check"]));
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::write(directory.path().join(name), text).unwrap();
        directory.path().join(name).display().to_string()
    };
    // Another figure, or another page.
    let (json, page) = (read("deploy/load/figures.json"), read("deploy/operations/capacity.md"));
    let measured: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mut other = measured.clone();
    other["figures"]["bar"]["per_second"] = serde_json::json!(1.0);
    let (output, said) = tried(&mut figures(&["--check", "--json", &file("figures.json", &other.to_string())]));
    assert!(code(&output) == 1 && said.contains("has other figures"), "{said}");
    let edited = file("capacity.md", &changed(&page, " µs |", "0 µs |"));
    let (output, said) = tried(&mut figures(&["--check", "--page", &edited]));
    assert!(code(&output) == 1 && said.contains("has other figures"), "{said}");
    run(&mut figures(&["--fill", "--page", &edited]));
    assert_eq!(fs::read_to_string(&edited).unwrap(), page);
    assert_eq!(measured["command"], "deploy/load/figures");
}

/// What the sums begin with is what the chart has.
#[test]
fn the_sums_of_capacity_go_by_the_charts_values() {
    let values = yaml(&read("deploy/chart/values.yaml"));
    let (sums, page) = (read("deploy/load/rulebox_load/capacity.py"), read("deploy/operations/capacity.md"));
    let number = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (api, executors) = (&values["api"], &values["executors"]);
    let scaling = &api["autoscaling"];
    let connections = values["settings"]["database"]["connections"].as_u64().unwrap()
        + values["settings"]["database"]["platform_connections"].as_u64().unwrap();
    let have = [
        format!("TARGET_CPU = 0.{}", scaling["cpuUtilization"]),
        format!("TARGET_IN_FLIGHT = {}", number(&scaling["podsMetric"]["averageValue"])),
        format!("LEAST, MOST = {}, {}", scaling["minReplicas"], scaling["maxReplicas"]),
        format!("CONNECTIONS = {connections}"),
    ];
    for line in &have {
        assert!(sums.contains(&format!("\n{line}\n")), "{line}");
    }
    assert_eq!(number(&api["resources"]["requests"]["cpu"]), "500m");
    assert_eq!(number(&executors["resources"]["requests"]["cpu"]), "2");
    assert!(sums.contains("API_CPU, EXECUTOR_CPU = 0.5, 2.0"));
    assert_eq!(api["maxSurge"], "25%");
    let pooler = &values["pgbouncer"];
    for words in [
        format!("= {} × 2 logins", pooler["poolSize"]),
        format!(
            "and {} beside them, of {}",
            values["postgresql"]["reservedConnections"], values["postgresql"]["maxConnections"]
        ),
        format!("or when {} evaluations wait", number(&executors["autoscaling"]["podsMetric"]["averageValue"])),
    ] {
        assert!(page.contains(&words), "{words}");
    }
    assert_eq!(pooler["maxClientConnections"], 1000);
}

#[test]
fn figures_are_measured_by_one_command() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(path("page"), read("deploy/operations/capacity.md")).unwrap();
    let program = rulebox_tests::binary().display().to_string();
    let arguments = ["--quick", "--rulebox", &program, "--json", &path("json"), "--page", &path("page")];
    println!("{}", run(&mut figures(&arguments)));
    let measured: serde_json::Value = serde_json::from_slice(&fs::read(path("json")).unwrap()).unwrap();
    let last: serde_json::Value = serde_json::from_str(&read("deploy/load/figures.json")).unwrap();
    let names = |value: &serde_json::Value| -> Vec<String> {
        let of = value["figures"].as_object().unwrap().iter();
        of.flat_map(|(name, figure)| figure.as_object().unwrap().keys().map(move |key| format!("{name}.{key}")))
            .collect()
    };
    assert_eq!(names(&measured), names(&last), "figures.json was made by another script: run deploy/load/figures");
    for name in names(&measured) {
        let (figure, key) = name.split_once('.').unwrap();
        let value = measured["figures"][figure][key].as_f64().unwrap();
        // Memory of few things may be less than what the allocator had left.
        assert!(value > 0.0 || key.contains("kilobytes"), "{name}: {value}");
    }
    run(&mut figures(&["--check", "--json", &path("json"), "--page", &path("page")]));
    // Without what it needs.
    let (output, said) = tried(&mut figures(&["--rulebox", "/nowhere/rulebox"]));
    assert!(code(&output) == 1 && said.contains("is missing"), "{said}");
}
