//! The way back: by abort and by rollback, whatever has failed or was cut off before, and what is not taken back.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rulebox_tests::tools::run;
use serde_json::json;

use super::flows::{OLD, deployed, deployed_by, is, state};
use super::{DIGEST, Place};

/// With a canary at 25 %, and the changes counted from here.
fn tried_beside() -> (Place, String) {
    let (place, files) = deployed();
    place.run(&format!("canary start {files} --digest {DIGEST} --weight 25"));
    place.calls();
    (place, files)
}

/// Behind an abort whose second step has failed.
fn half_aborted() -> Place {
    let (place, _files) = tried_beside();
    place.write("fail", "2");
    place.fails("canary abort", "abort again");
    place.write("fail", "");
    place
}

/// It is as before the canary: the values of the first revision, deployed, and no pod of another image.
fn as_before(place: &Place) {
    let (number, status, values) = place.newest();
    let read =
        |number: usize, name: &str| std::fs::read_to_string(place.at(&format!("revisions/{number}/{name}"))).unwrap();
    assert_eq!((status.as_str(), values.to_string()), ("deployed", read(1, "values.json").trim().to_owned()));
    assert_eq!(read(number, "manifest.yaml"), read(1, "manifest.yaml"));
    assert!(read(number, "manifest.yaml").contains(OLD) && !read(number, "manifest.yaml").contains(DIGEST));
}

#[test]
fn an_abort_needs_no_files_and_waits_for_nothing() {
    for fail in ["", "1"] {
        let (place, _files) = tried_beside();
        place.write("fail", fail);
        place.run("canary abort");
        as_before(&place);
        // Requests first, then the pods; neither a migration nor a pod that is never ready holds it up.
        let rollback = |to: u8| format!("helm --namespace rulebox rollback rulebox {to} --no-hooks --history-max 30");
        assert_eq!(place.changes(), [rollback(2), rollback(1)]);
        assert!(place.run("canary abort").contains("nothing to do"));
    }
    // What has failed does not count as done.
    let place = half_aborted();
    place.run("canary abort");
    as_before(&place);
}

/// Whichever step of a promotion fails, an abort does not complete it.
#[test]
fn an_abort_behind_a_promotion_that_failed_goes_back() {
    for step in ["1", "3"] {
        let (place, files) = tried_beside();
        place.write("fail", step);
        place.fails(&format!("canary promote {files}"), "promote again");
        assert_eq!(place.values()["image"]["digest"], DIGEST, "step {step}");
        place.write("fail", "");
        // Where the last step failed, the canary is off in what failed, and on in what was deployed: it is there.
        place.run("canary abort");
        as_before(&place);
        // Or it is promoted again.
        place.run(&format!("canary start {files} --digest {DIGEST} --weight 25"));
        place.calls();
        place.write("fail", step);
        place.fails(&format!("canary promote {files}"), "promote again");
        place.write("fail", "");
        place.run(&format!("canary promote {files}"));
        assert_eq!(state(&place), is(false, 0, "", DIGEST), "step {step}");
    }
}

/// A process that is told to stop in the middle of an upgrade, by the signal of one who sits before it, or killed at once.
fn cut_off(place: &Place, words: &str, signal: &str) {
    let mut command = place.command(words);
    let mut child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !place.at("hanging").exists() {
        assert!(
            began.elapsed() < Duration::from_mins(1) && child.try_wait().unwrap().is_none(),
            "{words}: it does not hang"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    run(Command::new("kill").args([signal, "--"]).arg(format!("-{}", child.id())));
    assert!(!child.wait().unwrap().success(), "{words}");
    std::fs::remove_file(place.at("hanging")).unwrap();
    place.write("trouble", "");
}

#[test]
fn what_was_cut_off_is_aborted() {
    for (words, call) in [("start", "canary.weight=0"), ("start", "canary.weight=5"), ("promote", "canary.weight=5")] {
        for (how, signal, status) in [("hangs", "-INT", "failed"), ("hangs", "-KILL", "pending-upgrade")] {
            let (place, files) = deployed();
            let start = format!("canary start {files} --digest {DIGEST} --weight 5");
            let tried = if words == "start" {
                start
            } else {
                place.run(&start);
                format!("canary promote {files}")
            };
            place.calls();
            place.write("trouble", &format!("{how} 1 --set {call}\n"));
            cut_off(&place, &tried, signal);
            assert_eq!(place.newest().1, status, "{words}, {call}, {signal}: it was not cut off there");
            if status == "pending-upgrade" {
                place.fails(&format!("canary weight {files} 5"), "`canary abort` where there is a canary");
            }
            place.run("canary abort");
            as_before(&place);
        }
    }
}

#[test]
fn only_the_canary_that_is_meant_is_aborted() {
    let (place, _files) = tried_beside();
    assert!(place.run(&format!("canary abort --digest {OLD}")).contains("somebody else's"));
    assert_eq!((state(&place), place.changes()), (is(true, 25, DIGEST, OLD), Vec::new()));
    place.run(&format!("canary abort --digest {DIGEST}"));
    as_before(&place);
}

/// A chart or settings that are new are not all of production's before anybody has watched.
#[test]
fn a_canary_changes_nothing_else() {
    for (of, more, what) in [
        ("values-small.yaml", "settings: {api: {drain_seconds: 31}}", "Deployment/rulebox-api"),
        // Those with executors.
        ("values-staging.yaml", "executors: {resources: {limits: {memory: 3Gi}}}", "Deployment/rulebox-executor"),
    ] {
        let (place, files) = deployed_by(of);
        place.write("new.yaml", more);
        let files = format!("{files} --values {}", place.at("new.yaml").display());
        place.fails(&format!("canary start {files} --digest {DIGEST} --weight 5"), what);
        assert_eq!((state(&place), place.changes()), (is(false, 0, "", OLD), Vec::new()), "{more}");
        // Deployed first, it is in nobody's way.
        place.run(&format!("deploy {files} --digest {OLD}"));
        place.run(&format!("canary start {files} --digest {DIGEST} --weight 5"));
    }
    // What makes no pod anew is in nobody's way. How many pods the API has is a setting of it, and would.
    let (place, files) = deployed_by("values-staging.yaml");
    let files = format!("{files} --values {}", place.at("new.yaml").display());
    place.write("new.yaml", "api: {autoscaling: {minReplicas: 4}}");
    place.fails(&format!("canary start {files} --digest {DIGEST} --weight 5"), "Deployment/rulebox-api");
    place.write("new.yaml", "{executors: {autoscaling: {minReplicas: 4}}, ingress: {hosts: [other.example.com]}}");
    place.run(&format!("canary start {files} --digest {DIGEST} --weight 5"));
}

/// Images that only files of a pipeline name stay what they are when somebody upgrades by hand.
#[test]
fn images_of_a_pipeline_stay_when_its_files_are_gone() {
    let (place, files) = deployed();
    let of = |name: &str| json!({"registry": "registry.example.com", "repository": name, "digest": OLD});
    let images = json!({"image": of("team/rulebox"), "backup": {"image": of("team/rulebox-backup")},
        "restoreTest": {"image": of("team/rulebox-backup")}, "pgbouncer": {"image": of("team/rulebox-pgbouncer")},
        "redisBackup": {"image": of("team/redis-age")}, "upload": {"image": of("mirror/rclone")}});
    place.write("images.yaml", &images.to_string());
    place.run(&format!("deploy {files} --values {} --digest {OLD}", place.at("images.yaml").display()));
    let are = |place: &Place, digest: &str, says: &str| {
        let values = place.values();
        for path in ["backup", "restoreTest", "pgbouncer", "redisBackup", "upload"].map(|of| format!("/{of}/image")) {
            assert_eq!(values.pointer(&path), images.pointer(&path), "{says}: {path}");
        }
        let image =
            json!({"registry": "registry.example.com", "repository": "team/rulebox", "digest": digest, "tag": ""});
        assert_eq!(values["image"], image, "{says}");
    };
    for (words, digest) in [
        (format!("canary start {files} --digest {DIGEST} --weight 5"), OLD),
        (format!("canary weight {files} 25"), OLD),
        (format!("canary promote {files}"), DIGEST),
        (format!("deploy {files} --digest {OLD}"), OLD),
    ] {
        place.run(&words);
        are(&place, digest, &words);
    }
    // What a file names, it means.
    place.write("images.yaml", &json!({"pgbouncer": {"image": {"repository": "other/pgbouncer"}}}).to_string());
    place.run(&format!("deploy {files} --values {} --digest {OLD}", place.at("images.yaml").display()));
    assert_eq!(place.values()["pgbouncer"]["image"], json!({"repository": "other/pgbouncer"}));
}

/// Behind a roll-out by canary the version before it is several revisions away.
#[test]
fn a_rollback_goes_to_the_version_before() {
    let place = Place::new();
    let of =
        |image: &str, canary: &str| format!("{{\"image\": {{\"digest\": \"sha256:{image}\"}}, \"canary\": {canary}}}");
    let (off, idle, half) =
        ("{\"enabled\": false}", "{\"enabled\": true, \"weight\": 0}", "{\"enabled\": true, \"weight\": 50}");
    let values = [of("a", off), of("x", off), of("a", idle), of("a", half), of("b", half), of("b", idle), of("b", off)];
    let status = ["superseded", "failed", "superseded", "superseded", "superseded", "superseded", "deployed"];
    let all: Vec<_> = status.into_iter().zip(values.iter().map(String::as_str)).collect();
    place.revisions(&all);
    let said = place.run("rollback --no-wait");
    assert!(
        said.contains("from revision 7 (sha256:b) to 1 (sha256:a)") && said.contains("no migration goes back"),
        "{said}"
    );
    assert_eq!(place.changes(), ["helm --namespace rulebox rollback rulebox 1 --history-max 30"]);
    place.revisions(&all);
    place.run("rollback");
    assert_eq!(place.changes(), ["helm --namespace rulebox rollback rulebox 1 --wait --timeout 15m --history-max 30"]);
    // One that is named; over settings alone nothing is said of tables.
    place.revisions(&all);
    let said = place.run("rollback --to 6");
    assert!(!said.contains("no migration goes back"), "{said}");
    place.fails("rollback --to 9", "there is no revision 9");
    // To be there is not to fail.
    place.calls();
    assert!(place.run("rollback --to 8").contains("is the one of now: nothing to do"));
    assert_eq!(place.changes(), Vec::<String>::new());
    place.revisions(&all);
    place.write("fail", "1");
    place.fails("rollback", "what serves serves on");
    place.write("fail", "");
    // Behind what failed or was cut off it is what was deployed last, also with the same values.
    for status in ["failed", "pending-upgrade", "pending-rollback"] {
        let again = [("superseded", values[0].as_str()), ("deployed", &values[6]), (status, &values[6])];
        place.revisions(&again);
        assert!(place.run("rollback").contains("from revision 3 (sha256:b) to 2 (sha256:b)"), "{status}");
    }
    // A canary goes, and not the version that it is beside.
    for beside in [of("b", half), of("c", half)] {
        place.revisions(&[("superseded", &values[0]), ("superseded", &values[6]), ("deployed", &beside)]);
        assert!(place.run("rollback").contains("from revision 3") && place.newest().2["image"]["digest"] == "sha256:b");
    }
    // Values may be more than an argument of a program can be.
    let large =
        ["a", "b"].map(|image| of(image, off).replacen('{', &format!("{{\"ca\": \"{}\", ", "A".repeat(200_000)), 1));
    place.revisions(&[("superseded", &large[0]), ("deployed", &large[1])]);
    assert!(place.run("rollback").contains("from revision 2 (sha256:b) to 1 (sha256:a)"));
    // A first deploy has nothing behind it.
    for status in ["deployed", "failed", "pending-install"] {
        place.revisions(&[(status, &values[0])]);
        place.fails("rollback", "no earlier revision");
    }
    // Nor does anything go from a revision to itself, however it is marked.
    place.revisions(&all[..1]);
    place.fails("rollback", "no earlier revision");
    assert_eq!(place.newest().0, 1);
}

/// Values with this image, and no canary.
fn image(name: &str) -> String {
    json!({"image": {"digest": format!("sha256:{name}")}}).to_string()
}

/// Revisions of images, by how each has ended: a release of `v0`, `v1` and so on.
fn history(place: &Place, all: &[(&str, &str, &str)]) {
    let values: Vec<_> = all.iter().map(|(_, name, _)| image(name)).collect();
    let revisions: Vec<_> = all.iter().zip(&values).map(|((status, ..), values)| (*status, values.as_str())).collect();
    place.revisions(&revisions);
    for (at, (_, _, description)) in all.iter().enumerate() {
        place.describe(at + 1, description);
    }
}

const DONE: &str = "Upgrade complete";

/// What has taken back its own is not taken back again: not to the version before, nor forward to the one that was left.
#[test]
fn behind_a_roll_back_another_one_changes_nothing() {
    let place = Place::new();
    let old = "superseded";
    history(&place, &[(old, "v0", DONE), (old, "v1", DONE), (old, "v2", DONE), ("deployed", "v1", "Rollback to 2")]);
    for _ in 0..2 {
        assert!(place.run("rollback").contains("already back at 2, by revision 4: nothing is changed"));
    }
    assert_eq!((place.changes(), place.newest().0), (Vec::new(), 4));
    place.run("rollback --to 1");
    assert_eq!(place.values().to_string(), image("v0"));
    // By the scripts themselves: twice is once.
    history(&place, &[(old, "v0", DONE), (old, "v1", DONE), ("deployed", "v2", DONE)]);
    for _ in 0..3 {
        place.run("rollback");
    }
    assert_eq!((place.newest().0, place.values().to_string()), (4, image("v1")));
    // A canary that was aborted.
    let (place, _files) = tried_beside();
    place.run("canary abort");
    let number = place.newest().0;
    assert!(place.run("rollback").contains("already back at 1"));
    assert_eq!(place.newest().0, number);
    // And one whose abort ended half way is taken away.
    let place = half_aborted();
    place.run("rollback");
    as_before(&place);
}

/// What a roll-back has left is no version to go back to, also when something else was deployed since.
#[test]
fn nobody_is_brought_where_a_roll_back_went_away_from() {
    let place = Place::new();
    let old = "superseded";
    let left = [(old, "v0", DONE), (old, "v1", DONE), (old, "v2", DONE), (old, "v1", "Rollback to 2")];
    let preparing = "Preparing upgrade";
    let broke = "Upgrade \"rulebox\" failed: timed out";
    let undone = "Rollback \"rulebox\" failed: no answer";
    for (more, to, version) in [
        (&[("deployed", "v3", DONE)][..], 4, "v1"),
        // The same again is the same version.
        (&[("deployed", "v1", DONE)], 1, "v0"),
        (&[("failed", "v3", broke)], 4, "v1"),
        (&[("pending-upgrade", "v3", preparing)], 4, "v1"),
        // Superseded by a roll-back that failed, and never deployed.
        (&[(old, "v3", broke), ("failed", "v1", undone)], 4, "v1"),
        (&[(old, "v3", preparing), ("failed", "v3", broke)], 4, "v1"),
    ] {
        history(&place, &[&left, more].concat());
        let said = place.run("rollback");
        assert!(said.contains(&format!(" to {to} (sha256:{version})")), "{more:?}: {said}");
        assert_eq!(place.values().to_string(), image(version), "{more:?}");
    }
}

/// A roll-back that failed or was cut off is done again, and does not become the way forward.
#[test]
fn a_roll_back_that_did_not_end_is_done_again() {
    let old = "superseded";
    let before = [(old, "v0", DONE), (old, "v1", DONE), ("deployed", "v2", DONE)];
    for trouble in ["fails", "hangs", "deaf"] {
        let place = Place::new();
        history(&place, &before);
        for _ in 0..2 {
            if trouble == "fails" {
                place.write("trouble", "fails 0 rollback rulebox\n");
                place.fails("rollback", "it has not gone back");
                place.write("trouble", "");
            } else {
                place.write("trouble", &format!("{trouble} 0 rollback rulebox\n"));
                cut_off(&place, "rollback", if trouble == "hangs" { "-INT" } else { "-KILL" });
            }
            let ended = if trouble == "fails" { "failed" } else { "pending-rollback" };
            assert_eq!((place.newest().1.as_str(), place.values().to_string()), (ended, image("v1")));
        }
        let said = place.run("rollback");
        assert!(said.contains("from revision 5 (sha256:v1) to "), "{trouble}: {said}");
        assert_eq!((place.newest().1.as_str(), place.values().to_string()), ("deployed", image("v1")), "{trouble}");
        assert!(place.run("rollback").contains("already back"), "{trouble}");
    }
    // Also behind one that did not become ready; and by what is known of it, or not at all.
    let place = Place::new();
    let late = "Release \"rulebox\" failed: timed out waiting for the condition";
    history(&place, &[&before[..], &[("failed", "v0", late)]].concat());
    assert!(place.run("rollback").contains(" to 1 (sha256:v0)"));
    history(&place, &[&before[..], &[("pending-rollback", "v0", "Rollback to 1")]].concat());
    assert!(place.run("rollback").contains(" to 1 (sha256:v0)"));
    history(&place, &[&before[1..], &[("failed", "v0", late)]].concat());
    place.calls();
    place.fails("rollback", "where to is not known any more: name a revision, by --to");
    assert_eq!(place.changes(), Vec::<String>::new());
}

/// A revision that cannot be read is not passed over for an older one.
#[test]
fn what_cannot_be_read_is_not_passed_over() {
    let place = Place::new();
    let old = "superseded";
    for newest in ["deployed", "failed"] {
        history(&place, &[(old, "v0", DONE), (old, "v1", DONE), (newest, "v2", DONE)]);
        for number in ["2", "3"] {
            place.write("unread", number);
            place.fails("rollback", &format!("revision {number} cannot be read"));
        }
    }
    place.write("unread", "1");
    place.fails("rollback --to 1", "revision 1 cannot be read");
    assert_eq!(place.changes(), Vec::<String>::new());
    // The one without requests, and the one before the canary.
    for number in ["3", "4"] {
        let place = Place::new();
        let canary = |weight: u8| {
            json!({"image": {"digest": "sha256:v1"}, "canary": {"enabled": true, "weight": weight}}).to_string()
        };
        let (v0, v1) = (image("v0"), image("v1"));
        let [idle, some] = [0, 5].map(canary);
        place.revisions(&[(old, &v0), (old, &v1), (old, &v1), (old, &idle), ("deployed", &some)]);
        place.write("unread", number);
        place.fails("canary abort", &format!("revision {number} cannot be read"));
        assert_eq!(place.changes(), Vec::<String>::new());
        place.write("unread", "");
        place.run("canary abort");
        assert_eq!(place.values().to_string(), v1);
    }
}

/// Sessions are not led back to a Redis that has stopped writing.
#[test]
fn nothing_goes_back_behind_a_fail_over_of_redis() {
    let (place, _files) = tried_beside();
    let mut values = place.values();
    values["redis"]["inCluster"]["primary"] = "redis-replica".into();
    let number = place.newest().0;
    place.write(&format!("revisions/{number}/values.json"), &values.to_string());
    for words in ["canary abort", "rollback --to 1"] {
        place.fails(words, "Redis has failed over since revision");
    }
    assert_eq!(place.changes(), Vec::<String>::new());
}
