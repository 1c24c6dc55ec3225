//! Pages of alerts: each has one, in the one form, and what it tells people to type is really there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use rulebox_tests::{binary, root};

use super::{Alert, alerts, rule_files};
use crate::files_under;

const SECTIONS: [&str; 4] = ["## Means", "## Look", "## Do", "## If that does not help"];

/// Programs that pages name, whose arguments are others' business.
const OTHERS: [&str; 9] =
    ["psql", "kubectl", "curl", "amtool", "promtool", "openssl", "helm", "redis-cli", "pg_isready"];

/// What is between backticks, without line ends; of blocks, each line.
fn quoted(page: &str) -> Vec<String> {
    let mut quoted = Vec::new();
    for (n, part) in page.split("```").enumerate() {
        if n % 2 == 1 {
            quoted.extend(part.lines().skip(1).map(str::to_owned));
        } else {
            let words = part.split('`').skip(1).step_by(2);
            quoted.extend(words.map(|word| word.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    quoted
}

/// Texts between quotes in the sources of the service, but for tests: metrics, routes, settings, kinds.
fn of_sources() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for file in files_under(&root().join("executor/src")) {
        if file.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&file).unwrap();
            words.extend(text.split('"').skip(1).step_by(2).map(str::to_owned));
            words.extend(text.split('"').step_by(2).map(str::to_owned).filter(|word| word.len() < 80));
        }
    }
    words
}

/// Whether a text has this name, and not as a part of a longer one.
fn is_word_of(name: &str, text: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|word| word == name)
}

/// What there is to name.
struct Service {
    words: BTreeSet<String>,
    settings: String,
    /// Names that are others': of exporters, recorded ones, logins.
    others: String,
    help: BTreeMap<String, String>,
}

impl Service {
    fn new() -> Self {
        let settings = fs::read_to_string(root().join("deploy/image/settings.md")).unwrap();
        let mut files = files_under(&root().join("deploy/monitoring/exporters"));
        files.extend(rule_files());
        files.push(root().join("deploy/postgres/roles.sql"));
        let others = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        Self { words: of_sources(), settings, others, help: BTreeMap::new() }
    }

    /// What `rulebox …` says of itself with these subcommands, or nothing if there is none such.
    fn help(&mut self, subcommands: &[&str]) -> String {
        let key = subcommands.join(" ");
        if let Some(help) = self.help.get(&key) {
            return help.clone();
        }
        let output = Command::new(binary()).args(subcommands).arg("--help").env_clear().output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let help = if output.status.success() { said } else { String::new() };
        self.help.insert(key, help.clone());
        help
    }

    fn has_metric(&self, name: &str) -> bool {
        let ends = ["_bucket", "_sum", "_count"];
        let base = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        self.words.contains(name) || self.words.contains(base) || is_word_of(name, &self.others)
    }

    /// Whether a path with names in its place of `{…}` is a route.
    fn has_route(&self, path: &str) -> bool {
        let asked: Vec<_> = path.split('/').collect();
        self.words.iter().filter(|word| word.starts_with('/')).any(|route| {
            let parts: Vec<_> = route.split('/').collect();
            parts.len() == asked.len()
                && parts.iter().zip(&asked).all(|(part, word)| {
                    let named = word.starts_with('{') || word.chars().all(|c| c.is_ascii_uppercase());
                    part == word || (part.starts_with('{') && named && !word.is_empty())
                })
        })
    }

    /// What is wrong with a command of ours.
    fn command(&mut self, command: &str) -> Option<String> {
        let words: Vec<_> = command.split_whitespace().skip(1).collect();
        let is_word = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase());
        let named: Vec<_> = words.iter().take_while(is_word).copied().collect();
        let help = self.help(&named);
        if help.is_empty() {
            return Some(format!("`{command}`: there is no such subcommand"));
        }
        let flags = words.iter().filter(|word| word.starts_with("--"));
        let missing: Vec<_> = flags
            .filter(|flag| !help.split_whitespace().any(|word| word == **flag))
            .filter(|f| **f != "--version")
            .collect();
        (!missing.is_empty()).then(|| format!("`{command}`: it has no {missing:?}"))
    }

    /// What is wrong with what a page quotes.
    fn faults(&mut self, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let mut commands = Vec::new();
        for at in text.match_indices("rulebox ").map(|(at, _)| at) {
            let begins = at == 0 || text[..at].ends_with("-- ");
            if begins && text[at + 8..].starts_with(|c: char| c.is_ascii_lowercase() || c == '-') {
                commands.push(text[at..].split([';', '|']).next().unwrap());
            }
        }
        for command in commands {
            faults.extend(self.command(command));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        for word in text.split(|c| !is_name(c)).filter(|word| !word.is_empty()) {
            let metric = ["rulebox_", "http_server_", "process_"].iter().any(|prefix| word.starts_with(prefix));
            if metric && !self.has_metric(word) {
                faults.push(format!("there is no metric {word}"));
            }
            // `RULEBOX_RETENTION__*` is several.
            let ends = if word.ends_with("__") { "" } else { "`" };
            let setting = word.starts_with("RULEBOX_") && !self.settings.contains(&format!("`{word}{ends}"));
            if setting {
                faults.push(format!("there is no setting {word}"));
            }
        }
        for (at, _) in text.match_indices("/v1/") {
            let route = text[at..].split(['?', '"', ' ', '\'']).next().unwrap();
            if !self.has_route(route) {
                faults.push(format!("there is no route {route}"));
            }
        }
        faults
    }
}

/// What is wrong with the page of these alerts.
fn faults(service: &mut Service, page: &str, alerts: &[&Alert], folder: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    let headings: Vec<_> = page.lines().filter(|line| line.starts_with("## ")).collect();
    let section = |name: &str| page.split(name).nth(1).unwrap_or_default().split("\n## ").next().unwrap().to_owned();
    let must = [
        (page.starts_with("# ") && page.lines().nth(1) == Some(""), "it has no title"),
        (headings == SECTIONS, "its sections are others"),
        (section("## Do\n").len() > 80, "it does not say what to do"),
        (section("## Look\n").contains('`'), "it has no query and no command"),
        (section("## Means\n").len() > 80, "it does not say what it means"),
    ];
    faults.extend(must.iter().filter(|(holds, _)| !holds).map(|(_, fault)| (*fault).to_owned()));
    for alert in alerts {
        let line = format!("`{}` ({}): {}", alert.name, alert.severity, alert.summary);
        if !page.lines().any(|it| it == line) {
            faults.push(format!("it does not say {line:?}"));
        }
    }
    for target in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        if !folder.join(target).exists() {
            faults.push(format!("there is no {target}"));
        }
    }
    for text in quoted(page) {
        let program = text.split(' ').next().unwrap();
        let is_script = program.contains('/') && root().join(program).is_file();
        if text.contains(" --") && program != "rulebox" && !is_script && !OTHERS.contains(&program) {
            faults.push(format!("nobody knows {program}, of `{text}`"));
        }
        faults.extend(service.faults(&text));
    }
    faults
}

#[test]
fn every_alert_has_a_page_of_use() {
    let (alerts, folder) = (alerts(), root().join("deploy/monitoring/runbooks"));
    let mut service = Service::new();
    let mut pages: BTreeMap<String, Vec<&Alert>> = BTreeMap::new();
    for alert in &alerts {
        pages.entry(alert.page.clone()).or_default().push(alert);
    }
    for file in files_under(&folder) {
        let path = file.strip_prefix(root()).unwrap().display().to_string();
        assert!(pages.contains_key(&path), "{path} is of no alert");
    }
    let (mut quotes, mut wrong) = (0, Vec::new());
    for (path, alerts) in &pages {
        let page = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let found = faults(&mut service, &page, alerts, &folder);
        wrong.extend(found.into_iter().map(|fault| format!("{path}: {fault}")));
        quotes += quoted(&page).len();
    }
    assert_eq!(wrong, Vec::<String>::new());
    println!("{} alerts, {} pages, {quotes} quoted names and commands", alerts.len(), pages.len());

    // And each fault is found.
    let path = "deploy/monitoring/runbooks/audit-changed.md";
    let (page, alerts) = (fs::read_to_string(root().join(path)).unwrap(), &pages[path]);
    for (from, to) in [
        ("# The", "The"),
        ("(critical)", "(warning)"),
        ("## Look", "## Looks"),
        ("rulebox audit verify", "rulebox audit prove"),
        ("--expect", "--expected"),
        ("rulebox_audit_chains_broken", "rulebox_audit_chains_bent"),
        ("RULEBOX_PREVIOUS_MASTER_SECRET", "RULEBOX_PREVIOUS_MASTER"),
        ("## Do\n", "## Do\n\n## Do\n"),
    ] {
        let broken = crate::changed(&page, from, to);
        assert!(!faults(&mut service, &broken, alerts, &folder).is_empty(), "{to:?} is not found");
    }
    for (text, fault) in [
        ("curl \"$RULEBOX/v1/violation?x=1\"", "no route"),
        ("POST /v1/violations/{id}/close", "no route"),
        ("kubectl exec POD -- rulebox healthcheck --reedy", "it has no"),
    ] {
        assert!(service.faults(text).iter().any(|found| found.contains(fault)), "{text}");
    }
}
