//! The boards as they are committed: made from their sources, laid out, described, and what they ask.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::{from_pypi, run, tried};
use serde_json::{Value, json};

use super::BOARDS;
use crate::read;

/// As `deploy/monitoring/dashboards/generate` says.
const SDK: &str = "grafana-foundation-sdk==1769699379!11.6.0";

/// Columns of Grafana's grid.
const COLUMNS: u64 = 24;

pub(super) fn board(name: &str) -> Value {
    serde_json::from_str(&read(&format!("deploy/monitoring/dashboards/{name}.json"))).unwrap()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A question that a board asks of Prometheus.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Board and panel.
    pub(super) place: String,
    /// With variables.
    pub(super) expression: String,
}

/// The questions of a board: of panels, variables and annotations.
pub(super) fn asked(board: &Value) -> Vec<Asked> {
    let title = text(board, "/title").trim_start_matches("Rulebox: ");
    let made =
        |place: &str, expression: &str| Asked { place: format!("{title}, {place}"), expression: expression.to_owned() };
    let mut asked = Vec::new();
    for panel in list(board, "/panels") {
        asked.extend(list(panel, "/targets").iter().map(|target| made(text(panel, "/title"), text(target, "/expr"))));
    }
    for variable in list(board, "/templating/list").iter().filter(|one| text(one, "/type") == "query") {
        asked.push(made(&format!("${}", text(variable, "/name")), text(variable, "/query/query")));
    }
    for annotation in list(board, "/annotations/list") {
        asked.push(made(&format!("annotation {}", text(annotation, "/name")), text(annotation, "/expr")));
    }
    asked
}

/// What is wrong with how a board is laid out and described.
fn faults(board: &Value, uids: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut taken: BTreeMap<(u64, u64), String> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let mut rows = 0;
    for panel in list(board, "/panels") {
        let title = text(panel, "/title").to_owned();
        let at = |name: &str| panel.pointer(&format!("/gridPos/{name}")).and_then(Value::as_u64).unwrap_or_default();
        let mut of = |holds: bool, fault: &str| {
            if !holds {
                faults.push(format!("{title}: {fault}"));
            }
        };
        of(at("w") > 0 && at("h") > 0 && at("x") + at("w") <= COLUMNS, "is not within 24 columns");
        for cell in (at("y")..at("y") + at("h")).flat_map(|y| (at("x")..at("x") + at("w")).map(move |x| (x, y))) {
            let before = taken.insert(cell, title.clone());
            of(before.as_ref().is_none_or(|other| *other == title), &format!("is over {before:?}"));
        }
        of(ids.insert(panel["id"].as_u64()), "its id is another's");
        if text(panel, "/type") == "row" {
            rows += 1;
            of(title.ends_with('?') && at("w") == COLUMNS, "a row is a question, over the whole width");
            continue;
        }
        let description = text(panel, "/description");
        of(!title.is_empty() && description.ends_with(['.', 'd']), "has no title, or no description");
        if let Some((_, page)) = description.split_once("Runbook: ") {
            of(root().join(page).is_file(), &format!("there is no {page}"));
        }
        of(!text(panel, "/fieldConfig/defaults/unit").is_empty(), "has no unit");
        of(
            !list(panel, "/fieldConfig/defaults/thresholds/steps").is_empty() || text(panel, "/type") == "table",
            "has no thresholds",
        );
        of(text(panel, "/datasource/uid") == "${datasource}", "has a source of its own");
        let targets = list(panel, "/targets");
        let letters: BTreeSet<_> = targets.iter().map(|target| text(target, "/refId")).collect();
        of(!targets.is_empty() && letters.len() == targets.len(), "asks nothing, or twice by one letter");
        let needs_legend = text(panel, "/type") == "timeseries";
        of(!needs_legend || targets.iter().all(|target| !text(target, "/legendFormat").is_empty()), "has no legend");
    }
    // Each line of panels is as wide as the board.
    let last = taken.keys().map(|(_, y)| y + 1).max().unwrap_or_default();
    let holes = (0..last).filter(|y| (0..COLUMNS).filter(|x| taken.contains_key(&(*x, *y))).count() == 0).count();
    let mut of = |holds: bool, fault: &str| {
        if !holds {
            faults.push(format!("the board: {fault}"));
        }
    };
    of(holes == 0, "has empty lines");
    of(rows >= 3, "has fewer than three questions");
    of(
        uids.contains(text(board, "/uid")) && !text(board, "/description").is_empty(),
        "has another uid, or no description",
    );
    let variables: BTreeSet<_> = list(board, "/templating/list").iter().map(|one| text(one, "/name")).collect();
    of(
        variables.is_superset(&BTreeSet::from(["datasource", "job", "instance"])),
        "has no source, job or instance to choose",
    );
    let annotations: BTreeSet<_> = list(board, "/annotations/list").iter().map(|one| text(one, "/name")).collect();
    of(annotations == BTreeSet::from(["Alerts", "Deployments"]), "shows no alerts, or no deployments");
    of(board.pointer("/links/0/tags") == Some(&json!(["rulebox"])), "leads to no other board");
    of(board.pointer("/tags") == Some(&json!(["rulebox"])), "is found by no other board");
    faults
}

fn uids() -> BTreeSet<String> {
    BOARDS.iter().map(|name| format!("rulebox-{name}")).collect()
}

#[test]
fn boards_are_laid_out_and_described() {
    let mut panels = 0;
    for name in BOARDS {
        let board = board(name);
        assert_eq!(text(&board, "/uid"), format!("rulebox-{name}"));
        assert_eq!(faults(&board, &uids()), Vec::<String>::new(), "{name}");
        panels += list(&board, "/panels").len();
    }
    println!("{} boards, {panels} panels and rows", BOARDS.len());

    let wrong = [
        ("/panels/2/gridPos/x", json!(0), "is over"),
        ("/panels/6/gridPos/w", json!(12), "24 columns"),
        ("/panels/2/id", json!(2), "another's"),
        ("/panels/1/description", json!(""), "no description"),
        ("/panels/2/description", json!("Runbook: deploy/monitoring/runbooks/none.md"), "there is no"),
        ("/panels/1/fieldConfig/defaults/unit", json!(""), "no unit"),
        ("/panels/1/datasource/uid", json!("abc"), "source of its own"),
        ("/panels/1/targets", json!([]), "asks nothing"),
        ("/panels/0/title", json!("Objective"), "a question"),
        ("/uid", json!("abc"), "another uid"),
        ("/annotations/list", json!([]), "no alerts"),
        ("/links/0/tags", json!([]), "no other board"),
    ];
    for (at, value, says) in &wrong {
        let mut broken = board("slo");
        *broken.pointer_mut(at).unwrap_or_else(|| panic!("there is no {at}")) = value.clone();
        let found = faults(&broken, &uids());
        assert!(found.iter().any(|fault| fault.contains(says)), "{at}: {found:?}");
    }
    println!("{} broken boards found", wrong.len());
}

/// Reads boards with Grafana's own types, and writes them again.
const AGAIN: &str = "
import json, sys
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
register_default_plugins()
for name in sys.argv[1:]:
    with open(name) as file: given = json.load(file)
    for annotation in given['annotations']['list']:
        for own in ('step', 'textFormat', 'titleFormat'): annotation.pop(own)
    made = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(given)))
    if made != given: sys.exit(f'{name} is not what Grafana would make of it')
    print(name)
";

#[test]
fn boards_are_what_their_sources_make_and_what_grafana_reads() {
    let python = from_pypi("grafana", &[SDK], true).join("bin/python");
    let generate = root().join("deploy/monitoring/dashboards/generate");
    assert!(read("deploy/monitoring/dashboards/generate").contains(SDK));
    let folder = tempfile::tempdir().unwrap();
    run(Command::new(&python).arg(generate).arg(folder.path()));
    let mut files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), BOARDS.len());
    for (file, name) in files.iter().zip(BOARDS) {
        let made = std::fs::read_to_string(file).unwrap();
        let committed = read(&format!("deploy/monitoring/dashboards/{name}.json"));
        assert!(
            made == committed,
            "{name}.json is not what its source makes: run deploy/monitoring/dashboards/generate"
        );
    }
    let said = run(Command::new(&python).args(["-c", AGAIN]).args(&files));
    println!("{} boards made again, and read by Grafana's types", said.lines().count());

    // A field that Grafana does not have.
    let text = std::fs::read_to_string(&files[0]).unwrap().replacen("\"transparent\"", "\"transparant\"", 1);
    std::fs::write(&files[0], text).unwrap();
    let (output, said) = tried(Command::new(&python).args(["-c", AGAIN]).arg(&files[0]));
    assert!(!output.status.success() && said.contains("is not what Grafana"), "{said}");
}
