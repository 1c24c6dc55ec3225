//! What runs by hand or by the clock: `rollback.yml`, `rescan.yml`, and the scripts that they call.

use std::process::{Command, Output};

use rulebox_tests::tools::tried;

use super::expressions::Context;
use super::job::{DIGEST, Done, World};
use super::release::{git, repository};
use super::{workflow, write};
use crate::{changed, read};

/// What `deny.toml` excuses, as cargo-audit is told.
const EXCUSED: &str = "--ignore RUSTSEC-2023-0071 --ignore RUSTSEC-2024-0436 --ignore RUSTSEC-2026-0249";

fn rolled_back(revision: &str, trouble: &str) -> Done {
    let mut world = World::new();
    for (name, value) in [("environment", "production"), ("revision", revision), ("reason", "it is $(slow)")] {
        world.context.names.insert(format!("inputs.{name}"), value.to_owned());
    }
    write(&world.path("trouble"), trouble);
    world.run("rollback", "rollback")
}

#[test]
fn a_rollback_by_hand_goes_where_it_is_told_and_says_why() {
    let place = "rollback --namespace rulebox --release rulebox";
    for (revision, call) in [("", place.to_owned()), ("4", format!("{place} --to 4"))] {
        let done = rolled_back(revision, "");
        let scripts: Vec<_> = done
            .calls
            .iter()
            .filter(|call| ["rollback ", "smoke "].iter().any(|name| call.starts_with(name)))
            .collect();
        assert_eq!(scripts.len(), 2, "{:?}", done.calls);
        assert!(
            *scripts[0] == call && scripts[1].starts_with("smoke --url https://rulebox.example.com"),
            "{scripts:?}"
        );
        assert_eq!(done.summary, "Roll-back of production by somebody (success): it is $(slow)\n\n");
    }
    let done = rolled_back("", "fails 0 rollback --namespace\n");
    assert_eq!((done.outcome("Roll back"), done.outcome("Smoke test")), ("failure", "skipped"));
    assert!(done.summary.contains("(failure)"), "{}", done.summary);
    let done = rolled_back("", "fails 0 smoke --url\n");
    assert!(done.outcome("Smoke test") == "failure" && done.summary.contains("(failure)"), "{}", done.summary);
}

/// A world with a release, its tag and the lock file of that, which is another one now.
fn released() -> World {
    let world = World::new();
    repository(&world);
    let here = world.path("");
    write(&here.join("Cargo.lock"), "of the release\n");
    git(&here, &["add", "--force", "Cargo.lock"]);
    git(&here, &["commit", "--quiet", "--message", "Lock"]);
    git(&here, &["tag", "v0.1.0"]);
    write(&here.join("Cargo.lock"), "of main\n");
    write(&here.join("latest"), "v0.1.0\n");
    write(&here.join("deny.toml"), &read("deny.toml"));
    world
}

#[test]
fn what_is_released_is_scanned_to_the_end_whatever_is_found() {
    let names = ["rulebox", "rulebox-backup", "rulebox-pgbouncer"];
    for (trouble, found) in [
        ("", ""),
        ("fails 0 --exit-code 1 registry.example.com/team/rulebox@\n", "rulebox"),
        ("fails 0 --exit-code 1 registry.example.com\n", "rulebox rulebox-backup rulebox-pgbouncer"),
        ("fails 0 cargo audit\n", "Cargo.lock"),
    ] {
        let mut world = released();
        write(&world.path("trouble"), trouble);
        let done = world.run("rescan", "released");
        assert_eq!(
            done.outcome("Scan"),
            if found.is_empty() { "success" } else { "failure" },
            "{trouble}: {}",
            done.said
        );
        for name in names {
            let judged = format!("--exit-code 1 registry.example.com/team/{name}@{DIGEST}");
            assert!(
                done.calls.iter().any(|call| call.contains("--image-src remote") && call.ends_with(&judged)),
                "{name}"
            );
            assert!(world.path(&format!("findings/{name}.sarif")).is_file(), "{name}: {trouble}");
        }
        // What is excused is excused here too, or it would be said every week.
        let lock = world.path("findings/Cargo.lock").canonicalize().unwrap();
        let audit = format!("cargo audit --deny warnings {EXCUSED} --file {}", lock.display());
        assert!(done.calls.contains(&audit), "{:?}", done.calls);
        assert_eq!(std::fs::read_to_string(world.path("findings/Cargo.lock")).unwrap(), "of the release\n");
        let says = format!("::error::v0.1.0 has findings: {found}\n");
        assert!(found.is_empty() || done.said.contains(&says), "{}", done.said);
    }
    // Before the first release there is nothing to do.
    let mut world = released();
    write(&world.path("latest"), "");
    let done = world.run("rescan", "released");
    assert!(!world.context.failure && done.outcome("Scan") == "skipped", "{}", done.said);
    assert!(done.said.contains("::notice::there is no release yet") && done.calls_of("trivy").is_empty());
}

/// What the list of a release does not name whole was not scanned, and is not called clean.
#[test]
fn a_list_of_images_that_is_not_whole_is_a_finding() {
    let names = ["rulebox", "rulebox-backup", "rulebox-pgbouncer"];
    let line = |name: &str| format!("{name} registry.example.com/team/{name}@{DIGEST}\n");
    let whole = names.map(line).concat();
    let missing = names.map(|name| format!("{name} (not in images.txt)"));
    for (list, found) in [
        // The last line may end without its mark, and blank ones say nothing.
        (whole.trim_end().to_owned(), String::new()),
        (whole.replace('\n', "\n\n"), String::new()),
        (String::new(), missing.join(" ")),
        ([line(names[0]), line(names[1])].concat(), missing[2].clone()),
        (
            changed(&whole, &format!("rulebox-backup@{DIGEST}"), "rulebox-backup:1.2.3"),
            format!("images.txt {}", missing[1]),
        ),
        (format!("not found\n{whole}"), "images.txt".to_owned()),
    ] {
        let mut world = released();
        write(&world.path("images.txt"), &list);
        let done = world.run("rescan", "released");
        assert_eq!(done.outcome("Scan") == "success", found.is_empty(), "{list}: {}", done.said);
        let says = format!("::error::v0.1.0 has findings: {found}\n");
        assert!(found.is_empty() || done.said.contains(&says), "{list}: {}", done.said);
        let judged = done.calls.iter().filter(|call| call.starts_with("trivy ") && call.contains(" --exit-code 1 "));
        let scanned = names.iter().filter(|name| list.contains(&format!("/{name}@{DIGEST}"))).count();
        assert_eq!(judged.count(), scanned, "{list}: {:?}", done.calls);
    }
}

/// A job that its time limit has ended is `cancelled`.
#[test]
fn a_scan_that_found_something_or_did_not_end_is_told() {
    let told = |results: &str| {
        let mut context = Context::default();
        context.names.insert("needs.*.result".to_owned(), results.to_owned());
        context.failure = results.contains("failure");
        context.runs(workflow("rescan")["jobs"]["tell"]["if"].as_str())
    };
    for results in ["failure,success", "success,failure", "cancelled,success", "success,cancelled"] {
        assert!(told(results), "{results}");
    }
    assert!(!told("success,success"));
}

#[test]
fn main_is_scanned_also_when_there_are_advisories() {
    for trouble in ["", "fails 0 cargo deny\n", "fails 0 --file fuzz/Cargo.lock\n"] {
        let mut world = released();
        write(&world.path("trouble"), trouble);
        let done = world.run("rescan", "main");
        let outcome = if trouble.is_empty() { "success" } else { "failure" };
        assert_eq!(done.outcome("Advisories, licences, sources"), outcome, "{}", done.said);
        assert_eq!(done.outcome("Known vulnerabilities"), "success", "{}", done.said);
        assert!(
            done.calls_of("trivy").iter().any(|call| call.starts_with("filesystem ") && call.contains("--exit-code 1"))
        );
    }
}

fn advisories(world: &World, arguments: &[&str]) -> (Output, Vec<String>) {
    write(&world.path("calls"), "");
    let path = format!("{}:{}", world.path("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(world.path("deploy/ci/advisories"));
    let (output, _) = tried(command.args(arguments).env("PATH", path).env("WORLD", world.path("")));
    let calls = std::fs::read_to_string(world.path("calls")).unwrap();
    (output, calls.lines().map(str::to_owned).collect())
}

#[test]
fn both_programs_know_what_is_excused_and_nothing_else() {
    let world = released();
    let audit = |more: &str, file: &str| format!("cargo audit --deny warnings {EXCUSED}{more} --file {file}");
    let (output, calls) = advisories(&world, &[]);
    assert!(output.status.success());
    let deny = "cargo deny --locked check advisories bans licenses sources".to_owned();
    assert_eq!(calls, [deny, audit("", "Cargo.lock"), audit("", "fuzz/Cargo.lock")]);
    // With advisories that are there, nobody is asked.
    let (output, calls) = advisories(&world, &["--database", "kept"]);
    assert!(output.status.success());
    let more = " --no-fetch --stale --db kept";
    let deny = "cargo deny --locked check bans licenses sources".to_owned();
    assert_eq!(calls, [deny, audit(more, "Cargo.lock"), audit(more, "fuzz/Cargo.lock")]);
    // A lock file of before, with these too.
    let lock = world.path("Cargo.lock").canonicalize().unwrap();
    let (output, calls) = advisories(&world, &["--database", "kept", "--lock", lock.to_str().unwrap()]);
    assert!(output.status.success());
    assert_eq!(calls, [audit(more, lock.to_str().unwrap())]);
    for trouble in ["cargo deny", "--file Cargo.lock", "--file fuzz/Cargo.lock"] {
        world.fail(trouble);
        assert!(!advisories(&world, &[]).0.status.success(), "{trouble}");
    }
    // What is no longer excused is told to neither.
    write(&world.path("trouble"), "");
    write(&world.path("deny.toml"), "[advisories]\nignore = []\n");
    assert!(advisories(&world, &[]).1.iter().all(|call| !call.contains("--ignore")));
}

#[test]
fn what_a_scan_found_is_one_issue() {
    let title = "The weekly scan has findings";
    let text = "What it found, or where it ended, is in https://github.com/team/rulebox/actions/runs/42; deploy/ci/README.md says what to do.";
    let other = format!("{{\"number\": 3, \"title\": \"{title}, again\"}}");
    let open = |number: u8| format!("{{\"number\": {number}, \"title\": \"{title}\"}}");
    for (issues, call) in [
        ("[]".to_owned(), format!("gh issue create --title {title} --body {text}")),
        (format!("[{other}]"), format!("gh issue create --title {title} --body {text}")),
        (format!("[{other}, {}, {}]", open(9), open(8)), format!("gh issue comment 8 --body {text}")),
    ] {
        let mut world = World::new();
        write(&world.path("issues"), &issues);
        let done = world.run("rescan", "tell");
        assert!(!world.context.failure, "{}", done.said);
        assert_eq!(done.calls.last(), Some(&call), "{issues}");
    }
    // Not to be told is a failure.
    let mut world = World::new();
    world.fail("gh issue");
    assert_eq!(world.run("rescan", "tell").outcome("Open an issue"), "failure");
}
