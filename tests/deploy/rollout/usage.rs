//! What the scripts say of themselves, refuse, and would call.

use std::fs;
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::run;

use super::{DIGEST, Place, SCRIPTS, file, helm, values};

#[test]
fn every_script_explains_itself() {
    let place = Place::new();
    let mut there: Vec<_> = fs::read_dir(root().join("deploy/scripts"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.contains('.'))
        .collect();
    there.sort();
    let mut known = SCRIPTS;
    known.sort_unstable();
    assert_eq!(there, known);
    let readme = fs::read_to_string(root().join("deploy/scripts/README.md")).unwrap();
    for script in SCRIPTS {
        let said = place.run(&format!("{script} --help"));
        for says in [format!("usage: {script} "), "--dry-run".to_owned(), "Exit codes: 0".to_owned()] {
            assert!(said.contains(&says), "{script}: no {says}: {said}");
        }
        assert!(readme.contains(&format!("| `{script}` |")), "the README has no {script}");
    }
}

#[test]
fn bad_usage_is_refused_with_words() {
    let place = Place::new();
    let small = values("values-small.yaml");
    let rows = [
        ("deploy".to_owned(), "--values is missing"),
        ("deploy --values gone.yaml".to_owned(), "gone.yaml: there is no such file"),
        (format!("deploy {small} --digest sha256:1"), "64 hexadecimal digits"),
        (format!("deploy {small} --digest {DIGEST} --tag 1"), "two images"),
        (format!("deploy {small} --tag"), "--tag needs a value"),
        (format!("deploy {small} --tag=1"), "as two words"),
        (format!("deploy {small} --force"), "unknown option '--force'"),
        (format!("deploy {small} now"), "unknown argument 'now'"),
        ("rollback 4".to_owned(), "unknown argument '4'"),
        ("rollback --to x".to_owned(), "--to 'x' is no whole number"),
        ("canary".to_owned(), "is none of start, weight"),
        (format!("canary start {small} --weight 5"), "--digest is missing"),
        (format!("canary start {small} --digest {DIGEST}"), "--weight is missing"),
        (format!("canary start {small} --digest {DIGEST} --weight 101"), "it is of a hundred"),
        (format!("canary weight {small}"), "takes one number"),
        (format!("canary weight {small} ten"), "is no whole number"),
        ("canary promote".to_owned(), "--values is missing"),
        ("canary abort --digest sha256:1".to_owned(), "64 hexadecimal digits"),
        ("canary watch --prometheus http://x --seconds 5 --since now".to_owned(), "is no time"),
        (
            "canary watch --prometheus http://x --seconds 5 --without all".to_owned(),
            "is none of RuleboxLatencyBurnFast",
        ),
        ("canary watch --seconds 5".to_owned(), "--prometheus is missing"),
        ("canary watch --prometheus http://x".to_owned(), "--seconds is missing"),
        ("canary watch --prometheus http://x --seconds 5 --interval 0".to_owned(), "more than 0"),
        ("canary watch --prometheus http://x --seconds 5 --errors 1%".to_owned(), "is no ratio"),
        (format!("blue-green begin {small}"), "is none of start, switch"),
        (format!("blue-green start {small}"), "--digest is missing"),
        ("smoke --key-file x".to_owned(), "--url is missing"),
        ("smoke --url x --key-file x".to_owned(), "is no address"),
        ("smoke --url http://x".to_owned(), "--key-file is missing"),
        ("smoke --url http://x --key-file gone".to_owned(), "there is no key in it"),
        ("smoke --url http://x --key-file gone --dry-run --track green".to_owned(), "neither stable nor canary"),
        ("scale api".to_owned(), "a part and a number"),
        ("scale redis 3".to_owned(), "neither api nor executor"),
        ("scale api 0".to_owned(), "0 pods serve nobody"),
        ("backup --timeout soon".to_owned(), "is no time"),
        ("restore --yes".to_owned(), "--from is missing"),
        ("failover".to_owned(), "is none of redis, postgresql, region"),
        ("failover region --from a --to a --primary b --yes".to_owned(), "the same region"),
        ("failover region --from a --to b --yes".to_owned(), "--primary is missing"),
    ];
    for (words, says) in &rows {
        let (code, said) = place.tried(words);
        assert!(code == 2 && said.contains(says), "{words}: {code}, and not by '{says}': {said}");
        assert_eq!(place.calls(), Vec::<String>::new(), "{words}");
    }
    println!("{} bad calls are refused", rows.len());
}

/// Each way to call them, and what they would call: `HELM` and `KUBECTL` with the namespace, `UPGRADE` with the chart and its
/// values.
fn dry_runs() -> Vec<(String, Vec<&'static str>)> {
    let files = values("values-staging.yaml");
    let track = "--set canary.enabled=true --set-string canary.image.digest=DIGEST --set-string canary.image.tag=";
    let start: Vec<&'static str> = vec![
        Box::leak(format!("UPGRADE {track} --set canary.weight=0 --wait TIMEOUT").into_boxed_str()),
        Box::leak(format!("UPGRADE {track} --set canary.weight=5 --no-hooks --wait TIMEOUT").into_boxed_str()),
    ];
    vec![
        (
            format!("deploy {files} --tag 1.2.3"),
            vec!["UPGRADE --set-string image.digest= --set-string image.tag=1.2.3 --wait TIMEOUT"],
        ),
        (
            format!("deploy {files} --digest {DIGEST}"),
            vec!["UPGRADE --set-string image.digest=DIGEST --set-string image.tag= --wait TIMEOUT"],
        ),
        ("rollback --to 4".to_owned(), vec!["HELM rollback rulebox 4 --wait --timeout 15m KEPT"]),
        ("rollback --to 4 --no-wait".to_owned(), vec!["HELM rollback rulebox 4 KEPT"]),
        (format!("canary start {files} --digest {DIGEST} --weight 5"), start),
        (
            format!("canary weight {files} 50"),
            vec!["UPGRADE --set canary.enabled=true --set canary.weight=50 --no-hooks --wait TIMEOUT"],
        ),
        (
            "canary abort".to_owned(),
            vec![
                "HELM rollback rulebox REVISION-WITHOUT-REQUESTS --no-hooks KEPT",
                "HELM rollback rulebox REVISION-BEFORE --no-hooks KEPT",
            ],
        ),
        (
            format!("blue-green switch {files}"),
            vec!["UPGRADE --set canary.enabled=true --set canary.weight=100 --no-hooks --wait TIMEOUT"],
        ),
        (
            format!("blue-green back {files}"),
            vec!["UPGRADE --set canary.enabled=true --set canary.weight=0 --no-hooks --wait TIMEOUT"],
        ),
        (
            "scale executor 5".to_owned(),
            vec![
                "KUBECTL patch horizontalpodautoscaler rulebox-executor --type merge --patch {\"spec\":{\"minReplicas\":5}}",
                "KUBECTL scale deployment rulebox-executor --replicas 5",
                "KUBECTL rollout status deployment rulebox-executor TIMEOUT",
            ],
        ),
        ("backup".to_owned(), vec!["KUBECTL create job rulebox-backup-by-hand-TIME --from=cronjob/rulebox-backup"]),
        (
            format!("failover redis {files}"),
            vec!["UPGRADE --set redis.inCluster.primary=redis-replica --set redis.inCluster.replicas=0 --wait TIMEOUT"],
        ),
        (
            format!("failover redis {files} --copy --back"),
            vec!["UPGRADE --set redis.inCluster.primary=redis --set redis.inCluster.replicas=1 --wait TIMEOUT"],
        ),
        (
            "failover postgresql --to rulebox-postgresql-2".to_owned(),
            vec![
                "KUBECTL cnpg promote rulebox-postgresql rulebox-postgresql-2",
                "KUBECTL wait cluster.postgresql.cnpg.io/rulebox-postgresql --for \
                 jsonpath={.status.currentPrimary}=rulebox-postgresql-2 TIMEOUT",
            ],
        ),
    ]
}

/// The words of a line that a shell would read.
fn words(line: &str) -> Vec<String> {
    let script = format!("printf '%s\\0' {line}");
    let said = run(Command::new("bash").args(["-c", &script]));
    said.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn dry_runs_say_what_they_would_call_and_call_nothing() {
    let place = Place::new();
    let (mut commands, mut rendered) = (0, 0);
    for (call, expected) in dry_runs() {
        let said = run(&mut {
            let mut command = place.command(&format!("{call} --dry-run"));
            // What is said beside it is on the other output.
            command.stderr(std::process::Stdio::null());
            command
        });
        assert_eq!(place.calls(), Vec::<String>::new(), "{call}");
        let file = file("values-staging.yaml");
        let upgrade = format!(
            "HELM upgrade --install rulebox {}/deploy/chart --values {}",
            place.directory.path().display(),
            file.display()
        );
        let mut found = Vec::new();
        for line in said.lines() {
            let words = words(line);
            if words.iter().any(|word| word == "upgrade") {
                renders(&words);
                rendered += 1;
            }
            let line = words.join(" ").replace("helm --namespace rulebox", "HELM");
            let line = line.replace("kubectl --namespace rulebox", "KUBECTL").replace(&upgrade, "UPGRADE");
            let line = line.replace("--history-max 30", "KEPT").replace(DIGEST, "DIGEST");
            // Of an upgrade, both at its end.
            let line = if line.contains("UPGRADE") { line.replace("--timeout 15m KEPT", "TIMEOUT") } else { line };
            let line = if line.contains("KUBECTL") { line.replace("--timeout 15m", "TIMEOUT") } else { line };
            if ![" list ", " get ", " history ", " exec "].iter().any(|reads| line.contains(reads)) {
                found.push(line);
            }
        }
        assert_eq!(found, expected, "{call}");
        commands += found.len();
    }
    println!("{commands} commands of dry runs, {rendered} of them rendered by Helm");
    assert_eq!(rendered, 9);
}

/// The real Helm takes the arguments of an upgrade.
fn renders(words: &[String]) {
    let mut arguments: Vec<_> =
        words.iter().skip(5).map(String::as_str).filter(|word| !["--wait", "--no-hooks"].contains(word)).collect();
    for option in ["--timeout", "--history-max"] {
        let at = arguments.iter().position(|word| *word == option).unwrap();
        arguments.drain(at..at + 2);
    }
    assert_eq!(words[3..5], ["upgrade", "--install"]);
    let said = run(Command::new(helm()).args(["template", "--namespace", "rulebox"]).args(arguments));
    assert!(said.contains("kind: Deployment"), "{words:?}");
}

/// What is read and printed besides needs no cluster either.
#[test]
fn every_script_has_a_dry_run_that_needs_no_cluster() {
    let place = Place::new();
    let small = values("values-small.yaml");
    let rows = [
        format!("deploy {small}"),
        "rollback".to_owned(),
        format!("canary promote {small}"),
        "canary watch --prometheus http://127.0.0.1:1 --seconds 5".to_owned(),
        format!("blue-green start {small} --digest {DIGEST}"),
        format!("blue-green finish {small}"),
        "smoke --url https://x.example.com --key-file gone".to_owned(),
        "scale api 3".to_owned(),
        "backup".to_owned(),
        "restore --from gone".to_owned(),
        "failover region --from a --to b --primary b".to_owned(),
    ];
    for row in &rows {
        let said = place.run(&format!("{row} --dry-run"));
        assert!(!said.trim().is_empty(), "{row}");
        assert_eq!(place.calls(), Vec::<String>::new(), "{row}");
    }
    println!("{} dry runs", rows.len());
}
