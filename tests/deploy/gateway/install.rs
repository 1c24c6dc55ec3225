//! How it is installed: the unit that starts it, and its words beside the service's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use rulebox_tests::tools::run;
use rulebox_tests::{Server, root, signal};

use super::{Answer, Files, HOST, address, service, wait_for};
use crate::changed;

/// What a unit runs, by the names of its settings: a setting that is not emptied first would be beside the distribution's.
fn programs(unit: &str) -> BTreeMap<String, String> {
    let mut programs = BTreeMap::new();
    let lines: Vec<_> = unit.lines().filter_map(|line| line.split_once('=')).collect();
    for pair in lines.windows(2) {
        let [(emptied, ""), (name, program)] = pair else { continue };
        if emptied == name && !program.is_empty() {
            programs.insert((*name).to_owned(), (*program).to_owned());
        }
    }
    programs
}

/// An nginx that went into the background.
struct Daemon<'a>(&'a Path);

impl Daemon<'_> {
    fn number(&self) -> Option<u32> {
        fs::read_to_string(self.0).ok()?.trim().parse().ok()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number() {
            signal(number, "TERM");
            wait_for("the end of nginx", || !self.0.exists());
        }
    }
}

#[test]
fn the_unit_starts_and_reloads_this_configuration() {
    let readme = fs::read_to_string(root().join("deploy/gateway/README.md")).unwrap();
    let install = "install -D -m 644 deploy/gateway/nginx.service /etc/systemd/system/nginx.service.d/rulebox.conf";
    assert!(readme.contains(install), "README.md does not install the unit");
    let directory = tempfile::tempdir().unwrap();
    let (server, _) = service(directory.path());
    let files = Files::new(&[("stable", vec![address(&server)])], &[]);
    let unit = fs::read_to_string(files.path("nginx.service")).unwrap();
    let programs = programs(&unit);
    let names: Vec<_> = programs.keys().map(String::as_str).collect();
    assert_eq!(names, ["ExecReload", "ExecStart", "ExecStartPre"]);
    // As systemd does, in another place than /etc.
    let execute = |name: &str| {
        let line = programs[name].replace("/etc/nginx/rulebox", files.directory.path().to_str().unwrap());
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap());
        run(command.args(words));
    };
    execute("ExecStartPre");
    execute("ExecStart");
    let number = files.path("nginx.pid");
    let daemon = Daemon(&number);
    let asked = || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--include", "--noproxy", "*", "--resolve"]);
        curl.arg(format!("{}:{}:127.0.0.1", HOST, files.https)).arg("--cacert").arg(files.path("tls/tls.crt"));
        curl.arg(format!("https://{}:{}/problems/not_found", HOST, files.https));
        Answer::read(&String::from_utf8_lossy(&curl.output().unwrap().stdout))
    };
    wait_for("nginx", || asked().status == 200);
    let first = daemon.number();
    let headers = files.path("headers.conf");
    fs::write(&headers, fs::read_to_string(&headers).unwrap().replace("nosniff", "changed")).unwrap();
    execute("ExecReload");
    wait_for("the new configuration", || asked().header("x-content-type-options") == Some("changed"));
    assert_eq!(daemon.number(), first, "another nginx has been started");
    drop(daemon);

    // Without its first line, a setting would be beside that of the distribution.
    assert_eq!(self::programs(&unit.replacen("ExecStart=\n", "", 1)).len(), 2);
    println!("the unit: {} programs", programs.len());
}

/// The rows of a map in `words.conf`, by its two variables.
fn map(words: &str, from: &str, to: &str) -> Vec<(String, String)> {
    let begin = format!("map {from} {to} {{\n");
    let rows = words.split_once(&*begin).unwrap_or_else(|| panic!("no {begin}")).1.split_once("\n}").unwrap().0;
    let rows = rows.lines().map(|row| row.trim().trim_end_matches(';'));
    let split = |row: &str| match row.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\" ").map(|(key, value)| (key.to_owned(), value.to_owned())),
        None => row.split_once(' ').map(|(key, value)| (key.to_owned(), value.to_owned())),
    };
    rows.map(|row| split(row).unwrap()).map(|(key, value)| (key, value.trim_matches('"').to_owned())).collect()
}

/// What the gateway says of a problem and the service does not: its page is `CODE (STATUS)`, a title, and why.
fn differences(server: &Server, words: &str) -> Vec<String> {
    let statuses = map(words, "\"$status $limit_conn_status\"", "$problem_code");
    let titles: BTreeMap<_, _> = map(words, "$problem_code", "$problem_title").into_iter().collect();
    let types: BTreeMap<_, _> = map(words, "$problem_code", "$problem_type").into_iter().collect();
    let mut differences = Vec::new();
    for (status, code) in statuses.iter().filter(|(status, _)| status != "default") {
        let status = status.trim_start_matches("~^").split(' ').next().unwrap();
        let page = server.client().get(format!("{}/problems/{code}", server.api)).send().unwrap();
        let known = page.status() == 200;
        let text = page.text().unwrap();
        let expected = if known { format!("/problems/{code}") } else { types["default"].clone() };
        let of = types.get(code).unwrap_or(&types["default"]);
        if *of != expected {
            differences.push(format!("{code}: its type is {of}, not {expected}"));
        }
        let Some(title) = titles.get(code) else {
            differences.push(format!("{code}: it has no title"));
            continue;
        };
        let same = text.starts_with(&format!("{code} ({status} ")) && text.contains(&format!(")\n\n{title}.\n"));
        if known && !same {
            differences.push(format!("{code} ({status}), '{title}': the service says '{text}'"));
        }
    }
    differences
}

#[test]
fn problems_are_called_as_the_service_calls_them() {
    let directory = tempfile::tempdir().unwrap();
    let (server, _) = service(directory.path());
    let words = fs::read_to_string(root().join("deploy/gateway/words.conf")).unwrap();
    assert_eq!(differences(&server, &words), Vec::<String>::new());
    let rows = map(&words, "\"$status $limit_conn_status\"", "$problem_code").len();
    for (from, to, says) in [
        (
            "too_many_open \"The tenant has too many open",
            "too_many_open \"The tenant has many open",
            "'The tenant has many",
        ),
        ("\"~^413\" body_too_large", "\"~^414\" body_too_large", "body_too_large (414)"),
        ("    not_found \"/problems/not_found\";\n", "", "not_found: its type is about:blank"),
        ("\"~^502\" bad_gateway", "\"~^502\" unavailable", "unavailable: "),
    ] {
        let found = differences(&server, &changed(&words, from, to));
        assert!(found.iter().any(|fault| fault.contains(says)), "{says}: {found:?}");
    }
    println!("{} codes of the gateway, 4 faults found", rows - 1);
}
