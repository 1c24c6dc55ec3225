//! The deployment, run here as `deploy.yml` has it: to staging, and to production by canary; and what happens when a step fails
//! or somebody cancels the run.

use std::fs;

use serde_json::{Value, json};

use super::job::{DIGEST, World, program};
use super::{steps, workflow};
use crate::{changed, yaml};

/// Of production, how the canary is led, and what ends it.
const LED: [&str; 10] = [
    "canary start",
    "smoke --url https://rulebox.example.com --key-file",
    "canary watch",
    "canary weight",
    "canary watch",
    "canary weight",
    "canary watch",
    "canary promote",
    "smoke --url https://rulebox.example.com --key-file",
    "canary watch",
];

/// The calls of `deploy/scripts`.
fn scripts(calls: &[String]) -> Vec<&str> {
    let of = ["canary ", "deploy ", "rollback ", "smoke "];
    calls.iter().map(String::as_str).filter(|call| of.iter().any(|name| call.starts_with(name))).collect()
}

#[test]
fn staging_is_what_was_verified_and_scanned() {
    let mut world = World::new();
    let done = world.run("deploy", "staging");
    assert!(!world.context.failure, "{}", done.said);
    let at = |words: &str| {
        done.calls.iter().position(|call| call.contains(words)).unwrap_or_else(|| panic!("{words}: {done:?}"))
    };
    let deploys = at("deploy --values");
    assert!(at("gh release download v0.1.0") < at("cosign verify --certificate-identity"));
    for words in ["cosign verify-attestation", "gh attestation verify", "trivy image"] {
        assert!(at(words) < deploys, "{words}");
    }
    for (program, times) in
        [("cosign verify --cert", 3), ("cosign verify-attestation", 3), ("gh attestation", 3), ("trivy image", 9)]
    {
        assert_eq!(done.calls_of(program).len(), times, "{program}");
    }
    let identity = "https://github.com/team/rulebox/.github/workflows/release.yml@refs/tags/v0.1.0";
    assert!(done.calls_of("cosign verify").iter().all(|call| call.contains(identity) && call.ends_with(DIGEST)));
    let [deploy, smoke] = scripts(&done.calls)[..] else { panic!("{:?}", done.calls) };
    let values = "--values deploy/chart/values-staging.yaml --values release/images.yaml";
    assert_eq!(deploy, format!("deploy {values} --namespace rulebox --release rulebox --digest {DIGEST}"));
    assert!(smoke.starts_with("smoke --url https://rulebox.example.com --key-file "), "{smoke}");
    // Secrets are in no argument and in nothing that is kept.
    let written = [done.calls.join("\n"), done.said, done.summary].concat();
    assert!(!written.contains("key of the smoke test") && !written.contains("word of the registry"));
    println!("staging: {} steps, {} calls in order", done.outcomes.len(), done.calls.len());
}

#[test]
fn what_is_not_verified_or_has_a_critical_vulnerability_is_not_deployed() {
    for (words, step) in [
        ("cosign verify --cert", "Verify what is deployed"),
        ("cosign verify-attestation", "Verify what is deployed"),
        ("gh attestation verify oci://registry.example.com/team/rulebox-pgbouncer", "Verify what is deployed"),
        ("--exit-code 1 registry.example.com/team/rulebox-backup", "Scan what is deployed"),
    ] {
        let mut world = World::new();
        world.fail(words);
        let done = world.run("deploy", "staging");
        assert_eq!(done.outcome(step), "failure", "{words}: {}", done.said);
        assert_eq!(scripts(&done.calls), Vec::<&str>::new(), "{words}: something was deployed");
        if step.starts_with("Verify") {
            let mut world = World::new();
            world.fail(words);
            let done = world.run("deploy", "production");
            assert!(done.outcome(step) == "failure" && scripts(&done.calls).is_empty(), "{words}: {done:?}");
        }
    }
}

#[test]
fn staging_that_fails_its_smoke_test_is_rolled_back() {
    let mut world = World::new();
    world.fail("smoke --url");
    let done = world.run("deploy", "staging");
    assert_eq!((done.outcome("Smoke test"), done.outcome("Roll back")), ("failure", "success"));
    assert_eq!(scripts(&done.calls).last(), Some(&"rollback --namespace rulebox --release rulebox"));
    assert!(done.summary.starts_with("**Staging is rolled back**: `smoke`: failure"), "{}", done.summary);

    // What failed serves nobody, and stays to be looked at; what was cut off is taken back, or nobody could deploy.
    let mut world = World::new();
    world.fail("deploy --values");
    let done = world.run("deploy", "staging");
    assert_eq!((done.outcome("Deploy"), done.outcome("Roll back")), ("failure", "skipped"));
    let mut world = World::new();
    world.trouble_at(1, "deploy --values", true);
    let done = world.run("deploy", "staging");
    assert_eq!((done.outcome("Deploy"), done.outcome("Roll back")), ("cancelled", "success"));
    assert_eq!(scripts(&done.calls).last(), Some(&"rollback --namespace rulebox --release rulebox --no-wait"));
}

/// Whether Helm has written down a revision of its own by then, it does not know: it names the one that was deployed before.
#[test]
fn staging_goes_back_to_what_it_ran() {
    for (trouble, flags) in [("fails 1 smoke --url\n", ""), ("hangs 1 deploy --values\n", " --no-wait")] {
        let mut world = World::new();
        let history = fs::read_to_string(world.path("history")).unwrap();
        let deployed =
            changed(&history, "\"revision\":9,\"status\":\"failed\"", "\"revision\":9,\"status\":\"deployed\"");
        fs::write(world.path("history"), deployed).unwrap();
        fs::write(world.path("trouble"), trouble).unwrap();
        let done = world.run("deploy", "staging");
        let call = format!("rollback --namespace rulebox --release rulebox --to 9{flags}");
        assert_eq!(scripts(&done.calls).last(), Some(&call.as_str()), "{}", done.said);
    }
}

/// A summary that cannot be written is no reason to leave what has failed.
#[test]
fn it_is_taken_back_also_when_nobody_can_be_told_why() {
    for (job, words, step) in [
        ("staging", "smoke --url", "Roll back"),
        ("production", "canary watch", "Abort the canary"),
        ("production", "canary promote", "Roll back"),
    ] {
        let mut world = World::new();
        program(&world.path("deploy/ci/why"), "#!/bin/sh\necho 'no space left' >&2\nexit 1\n");
        world.fail(words);
        let done = world.run("deploy", job);
        assert_eq!(done.outcome(step), "success", "{job}, {words}: {}", done.said);
        let last = scripts(&done.calls).last().unwrap().split(" --").next().unwrap().to_owned();
        assert_eq!(last, if step == "Roll back" { "rollback" } else { "canary abort" }, "{job}, {words}");
        assert!(done.said.contains("no space left"), "{}", done.said);
    }
}

/// Variables of GitHub have the line breaks that somebody has typed.
#[test]
fn lists_of_words_may_have_line_breaks() {
    let mut world = World::new();
    for (name, value) in
        [("VALUES", "one.yaml\ntwo.yaml  three.yaml\n"), ("WATCH_WITHOUT", "violations\nRuleboxServerErrors\n")]
    {
        world.context.names.insert(format!("vars.{name}"), value.to_owned());
    }
    let done = world.run("deploy", "production");
    assert!(!world.context.failure, "{}", done.said);
    let calls = scripts(&done.calls);
    let files = "--values one.yaml --values two.yaml --values three.yaml --values release/";
    assert_eq!(calls.iter().filter(|call| call.contains(files)).count(), 4, "{calls:?}");
    let without = "--without violations --without RuleboxServerErrors ";
    assert_eq!(calls.iter().filter(|call| call.contains(without)).count(), 4, "{calls:?}");
}

/// What runs is known by the last revision that was deployed, and an older release does not take its place.
#[test]
fn a_release_before_the_one_that_runs_is_not_deployed() {
    let mut world = World::new();
    let newer = fs::read_to_string(world.path("history")).unwrap().replace("0.1.0", "0.10.0");
    fs::write(world.path("history"), newer).unwrap();
    let done = world.run("deploy", "production");
    assert_eq!(done.outcome("See what is running"), "failure");
    assert!(done.said.contains("0.10.0 runs, and v0.1.0 is before it"), "{}", done.said);
    assert_eq!(scripts(&done.calls), Vec::<&str>::new());
}

#[test]
fn production_goes_by_5_25_and_50_percent_and_is_watched_at_each() {
    let mut world = World::new();
    let done = world.run("deploy", "production");
    assert!(!world.context.failure, "{}", done.said);
    let calls = scripts(&done.calls);
    assert_eq!(calls.len(), LED.len(), "{calls:?}");
    assert!(calls.iter().zip(LED).all(|(call, begins)| call.starts_with(begins)), "{calls:?}");
    // Poolers stay what they are until it is promoted.
    let values = "--values deploy/chart/values-production.yaml --values release/running.yaml ";
    assert!(
        [0, 3, 5].iter().all(|at| calls[*at].contains(values)) && calls[7].contains(" --values release/images.yaml "),
        "{calls:?}"
    );
    let running = yaml(&fs::read_to_string(world.path("release/running.yaml")).unwrap());
    let images = yaml(&fs::read_to_string(world.path("release/images.yaml")).unwrap());
    assert_eq!(running["image"], json!({"registry": "registry.example.com", "repository": "team/rulebox"}));
    assert_eq!(
        (&running["pgbouncer"]["image"]["digest"], &running["pgbouncer"]["replicas"]),
        (&json!("sha256:before"), &Value::Null)
    );
    for of in ["pgbouncer", "backup", "restoreTest"] {
        assert_eq!(images[of]["image"]["digest"], DIGEST, "{of}");
    }
    // Of other projects: they stay meanwhile, and the release itself has a word only on its own.
    for (of, repository) in [("redisBackup", "team/redis-age"), ("upload", "mirror/rclone")] {
        let image = json!({"registry": "registry.example.com", "repository": repository, "digest": "sha256:before"});
        assert_eq!((&running[of], &images[of]), (&json!({"image": image}), &Value::Null), "{of}");
    }
    assert_eq!(running.as_object().unwrap().len(), 4, "{running}");
    assert!(calls[0].ends_with(&format!("--digest {DIGEST} --weight 5")), "{}", calls[0]);
    assert!(calls[1].ends_with(" --track canary") && !calls[8].contains("--track"), "{calls:?}");
    assert!(calls[3].ends_with(" 25") && calls[5].ends_with(" 50"), "{calls:?}");
    for watch in [calls[2], calls[4], calls[6], calls[9]] {
        assert!(watch.contains(" --prometheus https://prometheus.example.com --since 1"), "{watch}");
        assert!(watch.ends_with(" --seconds 7"), "{watch}");
    }
    assert!(done.outcome("Abort the canary") == "skipped" && done.outcome("Roll back") == "skipped");
    println!("production: {} steps, led by {} calls", done.outcomes.len(), calls.len());
}

/// Whatever step of the canary fails, and whenever somebody cancels: the canary is aborted, or what was promoted rolled back.
#[test]
fn a_canary_that_fails_or_is_cancelled_is_aborted() {
    let job = &workflow("deploy")["jobs"]["production"];
    let ids = [
        "start",
        "smoke-canary",
        "watch-5",
        "weight-25",
        "watch-25",
        "weight-50",
        "watch-50",
        "promote",
        "smoke",
        "watch-promoted",
    ];
    let led = steps(job)
        .iter()
        .filter(|step| step["run"].as_str().is_some_and(|text| text.starts_with("exec deploy/ci/rollout ")));
    assert!(led.map(|step| step["id"].as_str().unwrap()).eq(ids), "a step is not tried");
    let mut tried = 0;
    for (at, id) in ids.into_iter().enumerate() {
        for cancels in [false, true] {
            let mut world = World::new();
            let words = words_of(id);
            let before = LED[..at].iter().filter(|call| call.starts_with(words)).count();
            world.trouble_at(before + 1, words, cancels);
            let done = world.run("deploy", "production");
            let outcome = if cancels { "cancelled" } else { "failure" };
            assert_eq!(world.context.steps[id].outcome, outcome, "{id}: {}", done.said);
            let calls = scripts(&done.calls);
            assert_eq!(calls.len(), at + 2, "{id}: nothing else is done: {calls:?}");
            // Behind a promotion that has begun, the first track may be of the new version.
            let promoted = at >= 7;
            let (ends, other, says) = if promoted {
                ("Roll back", "Abort the canary", "Production is rolled back")
            } else {
                ("Abort the canary", "Roll back", "The canary is aborted")
            };
            assert_eq!((done.outcome(ends), done.outcome(other)), ("success", "skipped"), "{id}: {}", done.said);
            let place = "--namespace rulebox --release rulebox";
            let last = match (promoted, cancels) {
                (false, _) => format!("canary abort {place} --digest {DIGEST}"),
                (true, false) => format!("rollback {place} --to 7"),
                // Of the five minutes that are left nothing is waited for.
                (true, true) => format!("rollback {place} --to 7 --no-wait"),
            };
            assert_eq!(calls[at + 1], last, "{id}: {calls:?}");
            assert!(done.summary.starts_with(&format!("**{says}**: `{id}`: {outcome}\n")), "{id}: {}", done.summary);
            if !cancels {
                assert!(done.summary.contains("    it fails: "), "what it said is not there: {}", done.summary);
            }
            tried += 1;
        }
    }
    println!("production: {tried} times failed or cancelled, at each of {} steps, and taken back", ids.len());
}

/// The words of the call of a step.
fn words_of(id: &str) -> &'static str {
    match id {
        "start" => "canary start",
        "promote" => "canary promote",
        _ if id.starts_with("watch") => "canary watch",
        _ if id.starts_with("weight") => "canary weight",
        _ => "smoke --url",
    }
}
