//! The way of log lines to Loki: the configuration of Alloy against lines that the real service writes, and queries by
//! the grammar of `LogQL`. Neither Alloy nor Loki is run here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use rulebox_tests::tools::{from_npm, tried};
use rulebox_tests::{Server, rule};
use serde_json::{Value, json};

use crate::{changed, read, yaml};

const ALLOY: &str = "deploy/monitoring/logs/config.alloy";

/// Labels of streams: each of these has few values, whatever tenants and requests there are.
const BOUNDED: [&str; 6] = ["namespace", "pod", "container", "component", "level", "region"];

/// The inside of the first block that begins so, without its braces.
fn block<'a>(text: &'a str, begins: &str) -> &'a str {
    let from = text.find(begins).unwrap_or_else(|| panic!("there is no {begins}"));
    let open = from + text[from..].find('{').unwrap();
    let mut depth = 0;
    for (at, c) in text[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[open + 1..open + at];
        }
    }
    panic!("{begins} does not end")
}

/// `name = "value",` of a map.
fn pairs(map: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (name, value) = line.trim().trim_end_matches(',').split_once('=')?;
        Some((name.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
    };
    map.lines().filter_map(pair).collect()
}

/// What is wrong with the configuration, given lines that the service wrote.
fn faults(alloy: &str, lines: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut depth = 0_i32;
    // Braces, brackets and quotes of each line, but for comments.
    for line in alloy.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let outside: String = line.split('"').step_by(2).collect();
        depth += i32::try_from(outside.matches(['{', '[', '(']).count()).unwrap();
        depth -= i32::try_from(outside.matches(['}', ']', ')']).count()).unwrap();
        if depth < 0 || line.matches('"').count() % 2 != 0 {
            faults.push(format!("braces or quotes: {line}"));
        }
    }
    if depth != 0 {
        faults.push("a brace is open at the end".to_owned());
    }
    if !faults.is_empty() {
        return faults;
    }
    // What one component hands on is another's.
    for end in [".receiver", ".targets", ".output"] {
        for word in alloy.split(|c: char| c.is_whitespace() || "[],".contains(c)).filter(|word| word.ends_with(end)) {
            let (kind, label) = word.trim_end_matches(end).rsplit_once('.').unwrap();
            if !alloy.contains(&format!("{kind} \"{label}\" {{")) {
                faults.push(format!("nothing is {word}"));
            }
        }
    }
    let process = block(alloy, "loki.process \"rulebox\"");
    let fields = pairs(block(block(process, "stage.json"), "expressions"));
    for (name, path) in &fields {
        let pointer = format!("/{}", path.replace('.', "/"));
        if !lines.iter().any(|line| line.pointer(&pointer).is_some_and(|value| !value.is_null())) {
            faults.push(format!("no line has {path}, for {name}"));
        }
    }
    let labels: BTreeSet<_> = pairs(block(block(process, "stage.labels"), "values")).into_keys().collect();
    let metadata: BTreeSet<_> =
        pairs(block(block(process, "stage.structured_metadata"), "values")).into_keys().collect();
    let known = |name: &&String| !fields.contains_key(*name);
    faults.extend(labels.iter().chain(&metadata).filter(known).map(|name| format!("{name} is not taken from lines")));
    let relabelled = alloy.lines().filter_map(|line| line.trim().strip_prefix("target_label")?.split('"').nth(1));
    let relabelled = relabelled.filter(|name| !name.starts_with("__")).map(str::to_owned);
    let external = pairs(block(alloy, "external_labels")).into_keys();
    let unbounded =
        labels.into_iter().chain(relabelled).chain(external).filter(|name| !BOUNDED.contains(&name.as_str()));
    faults.extend(unbounded.map(|name| format!("{name} is a label, and has no bound")));
    for word in ["stage.drop", "stage.sampling", "stage.limit", "stage.match"] {
        if process.contains(word) {
            faults.push(format!("{word} loses lines"));
        }
    }
    faults
}

/// Lines that the real service writes: of a request that succeeds, of one that is refused, of a start and a stop.
fn lines() -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::try_start(directory.path(), &[("RULEBOX_LOG__FORMAT", "json")]).unwrap();
    let key = server.key.clone().unwrap();
    assert_eq!(server.post(&key, "/v1/rules", &json!({"source": rule(7)})).unwrap().status().as_u16(), 201);
    assert_eq!(server.get("rbx_no_key_at_all", "/v1/rules").unwrap().status().as_u16(), 401);
    assert_eq!(server.get(&key, &format!("/v1/rules?cursor={}", "A".repeat(80))).unwrap().status().as_u16(), 400);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    assert!(!log.contains(&key), "a key is in the log");
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

#[test]
fn what_alloy_takes_from_lines_is_in_them() {
    let (alloy, lines) = (read(ALLOY), lines());
    assert_eq!(faults(&alloy, &lines), Vec::<String>::new());
    let levels: BTreeSet<_> = lines.iter().map(|line| line["level"].as_str().unwrap()).collect();
    assert!(levels.is_subset(&BTreeSet::from(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"])), "{levels:?}");
    // RFC 3339 with a fraction, as the stage expects.
    assert!(
        lines.iter().all(|line| line["timestamp"].as_str().is_some_and(|at| at.contains('.') && at.ends_with('Z')))
    );
    println!("{} lines of the service, levels {levels:?}", lines.len());
    for (from, to) in [
        ("\"span.trace_id\"", "\"trace\""),
        ("      level = \"\",", "      tenant = \"\","),
        ("target_label  = \"pod\"", "target_label  = \"pod_uid\""),
        ("loki.process.rulebox.receiver", "loki.process.ruleboxes.receiver"),
        ("  stage.cri { }", "  stage.cri {"),
        ("  stage.cri { }", "  stage.drop { }"),
        ("      actor      = \"\",", "      actress    = \"\","),
    ] {
        assert!(!faults(&changed(&alloy, from, to), &lines).is_empty(), "{to:?} is not found");
    }
}

#[test]
fn what_looks_like_a_key_is_masked() {
    let alloy = read(ALLOY);
    let expression = alloy.split("expression = \"").nth(1).unwrap().split('"').next().unwrap();
    // The same syntax in both for what is used here.
    let script = "import re, sys; print(re.sub(sys.argv[1], 'masked', sys.argv[2]))";
    let masked = |line: &str| {
        let (output, said) = tried(Command::new("python3").args(["-c", script, expression, line]));
        assert!(output.status.success(), "{said}");
        said.trim().to_owned()
    };
    let directory = tempfile::tempdir().unwrap();
    let key = Server::start(directory.path()).key.clone().unwrap();
    assert_eq!(masked(&format!("key {key} of")), "key masked of");
    assert_eq!(masked("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "masked");
    assert_eq!(masked("a key was refused"), "a key was refused");
}

#[test]
fn queries_are_logql_and_what_they_look_for_is_logged() {
    let tools = from_npm("logql", &["@grafana/lezer-logql@0.4.2", "@lezer/lr@1.4.10", "@lezer/common@1.5.5"]);
    let script = "const {parser} = require('@grafana/lezer-logql'); let bad = 0; \
                  parser.parse(process.argv[1]).iterate({enter: (node) => { if (node.type.isError) bad++; }}); \
                  process.exit(bad ? 1 : 0)";
    let parses = |query: &str| {
        let mut node = Command::new("node");
        node.args(["-e", script, query]).current_dir(&tools).env("NODE_PATH", tools.join("node_modules"));
        let (output, said) = tried(&mut node);
        assert!(output.status.code() == Some(0) || (output.status.code() == Some(1) && said.is_empty()), "{said}");
        output.status.success()
    };
    let sources: String = crate::files_under(&rulebox_tests::root().join("executor/src"))
        .iter()
        .map(|file| fs::read_to_string(file).unwrap_or_default())
        .collect();
    let rules = yaml(&read("deploy/monitoring/logs/rules.yaml"));
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    for rule in rules {
        let (name, query) = (&rule["alert"], rule["expr"].as_str().unwrap());
        assert!(parses(query), "{name}: {query}");
        for text in query.split("|= \"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(sources.contains(&format!("\"{text}\"")), "{name}: nobody logs {text:?}");
        }
        assert!(rulebox_tests::root().join(rule["annotations"]["runbook_url"].as_str().unwrap()).is_file(), "{name}");
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
    }
    println!("{} queries of LogQL", rules.len());
    assert!(!parses("sum(count_over_time({namespace=\"rulebox\"} |= [5m])) > 0"), "what is none is taken for one");
    // Structured metadata is refused by a schema before 13.
    let loki = yaml(&read("deploy/monitoring/logs/loki.yaml"));
    assert_eq!(loki["schema_config"]["configs"][0]["schema"], "v13");
    assert_eq!(
        (&loki["limits_config"]["allow_structured_metadata"], &loki["compactor"]["retention_enabled"]),
        (&json!(true), &json!(true))
    );
}
