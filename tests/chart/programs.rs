//! Programs that judge charts and manifests, over all renderings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rulebox_tests::tools::{from_pypi, run, tried};
use serde_json::Value;

use crate::rendered::{KUBERNETES, Rendered, SETS, all, chart, helm, here, list, read, text};

const VALIDATE: [&str; 1] = ["kubernetes-validate==1.37.0"];
const SCHEMAS: [&str; 2] = ["jsonschema==4.26.0", "PyYAML==6.0.3"];
const HELM_4: [&str; 2] = ["helm-sdkpy==0.1.32", "PyYAML==6.0.3"];
const YAMLLINT: [&str; 1] = ["yamllint==1.38.0"];
const CHECKOV: [&str; 1] = ["checkov==3.3.30"];

/// The texts of all renderings, in files.
fn files(directory: &Path) -> Vec<PathBuf> {
    let file = |name: &str| directory.join(format!("{name}.yaml"));
    let write = |rendered: &Rendered| {
        fs::write(file(rendered.name), &rendered.text).unwrap();
        file(rendered.name)
    };
    all().iter().map(write).collect()
}

/// Whether an object is of Kubernetes itself, and not of an operator.
fn is_own(object: &Value) -> bool {
    let version = text(&object["apiVersion"]);
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    !group.contains('.') || (group.ends_with(".k8s.io") && !group.starts_with("gateway."))
}

#[test]
fn helm_3_finds_nothing_to_say() {
    for set in SETS.iter().filter(|set| set.name != "upgrade") {
        let said = run(helm().args(["lint", "--strict"]).arg(chart()).args(set.flags()));
        assert!(said.contains("1 chart(s) linted, 0 chart(s) failed"), "{}: {said}", set.name);
        assert!(!said.contains("[WARNING]") && !said.contains("[ERROR]"), "{}: {said}", set.name);
    }
    let (output, said) = tried(helm().args(["lint", "--strict"]).arg(chart()).args(["--set", "image.tag=latest"]));
    assert!(!output.status.success() && said.contains("[ERROR]"), "{said}");
    println!("helm lint --strict: {} sets of values", SETS.len() - 1);
}

#[test]
fn helm_4_lints_and_packages_it() {
    let tools = from_pypi("helm-4", &HELM_4, false);
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(tools.join("bin/python"));
    command.arg(here("helm4.py")).arg(chart());
    for set in SETS.iter().filter(|set| set.name != "upgrade") {
        let files: Vec<_> = set.files().iter().map(|file| file.display().to_string()).collect();
        command.arg(format!("{}={}", set.name, files.join(",")));
    }
    let bad = [
        ("tag", "image: {tag: latest}"),
        ("unknown", "foo: 1"),
        ("user", "userIds: {rulebox: 1000}"),
        ("secret", "secrets: {masterSecret: x}"),
        ("budget", "api: {podDisruptionBudget: {maxUnavailable: 0}}"),
    ];
    for (name, values) in bad {
        let file = directory.path().join(format!("{name}.yaml"));
        fs::write(&file, values).unwrap();
        command.arg(format!("!{name}={}", file.display()));
    }
    let said = run(&mut command);
    assert_eq!(said.matches("right ").count(), SETS.len() - 1 + bad.len(), "{said}");
    // That a set with an error is not right.
    let mut wrong = Command::new(tools.join("bin/python"));
    let (output, said) = tried(
        wrong.arg(here("helm4.py")).arg(chart()).arg(format!("tag={}", directory.path().join("tag.yaml").display())),
    );
    assert!(!output.status.success() && said.contains("WRONG"), "{said}");
    println!("Helm 4: {} sets of values linted and packaged, {} refused", SETS.len() - 1, bad.len());
}

#[test]
fn kubernetes_takes_every_object() {
    let program = from_pypi("kubernetes-validate", &VALIDATE, false).join("bin/kubernetes-validate");
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    let own = all().iter().flat_map(|rendered| &rendered.objects).filter(|object| is_own(object)).count();
    for version in KUBERNETES {
        let said = run(Command::new(&program).args(["-k", version, "--strict"]).args(&files));
        let judged = said.lines().filter(|line| line.contains(" passed for resource ")).count();
        assert_eq!(judged, own, "Kubernetes {version}: objects that were judged\n{said}");
        println!("kubernetes-validate -k {version} --strict: {judged} objects");
    }
    let bad = directory.path().join("bad.yaml");
    let text = &all().first().unwrap().text;
    assert!(text.contains("minReadySeconds:"));
    fs::write(&bad, text.replace("minReadySeconds:", "minReadSeconds:")).unwrap();
    let (output, said) = tried(Command::new(&program).args(["-k", KUBERNETES[1], "--strict"]).arg(&bad));
    assert!(!output.status.success() && said.contains("minReadSeconds"), "{said}");
}

#[test]
fn operators_take_every_custom_resource() {
    let python = from_pypi("schemas", &SCHEMAS, false).join("bin/python");
    let directory = tempfile::tempdir().unwrap();
    let others = all().iter().flat_map(|rendered| &rendered.objects).filter(|object| !is_own(object)).count();
    let said = run(Command::new(&python).arg(here("crds/validate.py")).args(files(directory.path())));
    assert!(said.starts_with(&format!("{others} custom resources of 9 kinds, 0 faults")), "{others}: {said}");
    println!("schemas of custom resources: {}", said.trim());
    let bad = directory.path().join("bad.yaml");
    for (from, to) in [
        ("secretName:", "secretNames:"),
        ("kind: Certificate", "kind: Certificates"),
        ("isCA: true", "isCA: yes-it-is"),
    ] {
        let text = &all().iter().find(|rendered| rendered.name == "production").unwrap().text;
        let own: Vec<_> = text.split("\n---").filter(|object| object.contains("cert-manager.io")).collect();
        let text = own.join("\n---");
        assert!(text.contains(from), "{from}");
        fs::write(&bad, text.replace(from, to)).unwrap();
        let (output, said) = tried(Command::new(&python).arg(here("crds/validate.py")).arg(&bad));
        assert!(!output.status.success(), "{to}: {said}");
    }
}

#[test]
fn yaml_is_well_formed() {
    const OF_FILES: &str =
        "{extends: default, rules: {line-length: {max: 140}, document-start: disable, braces: {max-spaces-inside: 0}}}";
    let program = from_pypi("yamllint", &YAMLLINT, false).join("bin/yamllint");
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path());
    run(Command::new(&program).args(["--strict", "-d", "{rules: {key-duplicates: enable}}"]).args(&files));
    let mut own: Vec<_> =
        ["Chart.yaml", "values.yaml", "prometheus-adapter-values.yaml"].map(|file| chart().join(file)).into();
    own.extend(["values-production.yaml", "values-staging.yaml", "values-small.yaml"].map(|file| chart().join(file)));
    own.extend(["values/options.yaml", "values/vault.yaml", "values/canary.yaml", "checkov-chart.yaml"].map(here));
    run(Command::new(&program).args(["--strict", "-d", OF_FILES]).args(&own));
    let bad = directory.path().join("bad.yaml");
    fs::write(&bad, "a: 1\na: 2\n").unwrap();
    let (output, said) =
        tried(Command::new(&program).args(["--strict", "-d", "{rules: {key-duplicates: enable}}"]).arg(&bad));
    assert!(!output.status.success() && said.contains("duplication"), "{said}");
    println!("yamllint: {} renderings, {} files", files.len(), own.len());
}

/// What checkov says of a file: how many checks passed, and which failed, as `ID RESOURCE`.
fn checkov(program: &Path, file: &Path, more: &[&Path]) -> (u64, Vec<String>) {
    let mut command = Command::new(program);
    command.args(["--skip-download", "--output", "json", "--framework", "kubernetes", "--file"]).arg(file);
    let output = command.args(more).output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let failed = list(&said["results"]["failed_checks"]).iter();
    let failed = failed.map(|check| format!("{} {}", text(&check["check_id"]), text(&check["resource"]))).collect();
    (said["summary"]["passed"].as_u64().unwrap_or_default(), failed)
}

#[test]
fn checkov_finds_nothing_but_what_is_passed_over() {
    if std::env::var_os("TESTS_FULL").is_none() {
        println!("checkov: only in --full");
        return;
    }
    let program = from_pypi("checkov", &CHECKOV, false).join("bin/checkov");
    let directory = tempfile::tempdir().unwrap();
    let config = here("checkov-chart.yaml");
    let skipped: Vec<_> = list(&read(&config)["skip-check"]).iter().map(|id| text(id).to_owned()).collect();
    let (mut passed, mut over) = (0, Vec::new());
    let files = files(directory.path());
    for file in &files {
        let (good, failed) = checkov(&program, file, &[]);
        assert!(good > 100, "{}: only {good} checks passed", file.display());
        let is_skipped = |failed: &&String| skipped.iter().any(|id| failed.split(' ').next() == Some(id));
        let (known, others): (Vec<_>, Vec<_>) = failed.iter().partition(is_skipped);
        assert_eq!(others, Vec::<&String>::new(), "{}", file.display());
        passed += good;
        over.extend(known.into_iter().cloned());
    }
    for id in &skipped {
        assert!(over.iter().any(|failed| failed.starts_with(id)), "{id} is passed over, and never fails");
    }
    // As somebody calls it by hand.
    let (good, failed) = checkov(&program, files.last().unwrap(), &[Path::new("--config-file"), &config]);
    assert!(good > 100 && failed.is_empty(), "{good} {failed:?}");
    let number = files.len();
    println!(
        "checkov: {passed} checks passed, {} passed over by {} skips, in {number} renderings",
        over.len(),
        skipped.len()
    );
}
