//! Roll-outs, step by step, over a release that a recording `helm` keeps, with a failure in each step.

use super::{DIGEST, Place, values};

const OLD: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// A release of the old version.
fn deployed() -> (Place, String) {
    let place = Place::new();
    let files = values("values-small.yaml");
    // Room for the second track.
    place.write("more.yaml", "postgresql: {maxConnections: 120}\n");
    let files = format!("{files} --values {}", place.at("more.yaml").display());
    place.write("none", "");
    place.run(&format!("deploy {files} --digest {OLD}"));
    assert_eq!(place.values()["image"]["digest"], OLD);
    place.calls();
    (place, files)
}

/// What the release has of its canary: whether it is on, its weight, and which images there are.
fn state(place: &Place) -> (bool, u64, String, String) {
    let values = place.values();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (
        values["canary"]["enabled"] == true,
        values["canary"]["weight"].as_u64().unwrap_or_default(),
        text(&values["canary"]["image"]["digest"]),
        text(&values["image"]["digest"]),
    )
}

fn is(on: bool, weight: u64, canary: &str, first: &str) -> (bool, u64, String, String) {
    (on, weight, canary.to_owned(), first.to_owned())
}

#[test]
fn a_canary_gets_more_and_more_and_becomes_what_serves() {
    let (place, files) = deployed();
    place.run(&format!("canary start {files} --digest {DIGEST} --weight 5"));
    assert_eq!(state(&place), is(true, 5, DIGEST, OLD));
    // Ready before its first request, and the migration before its first pod, once.
    let changes = place.changes();
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(changes[0].contains("canary.weight=0 --wait") && !changes[0].contains("--no-hooks"), "{changes:?}");
    assert!(changes[1].contains("canary.weight=5 --no-hooks --wait"), "{changes:?}");
    place.run(&format!("canary weight {files} 50"));
    assert_eq!(state(&place), is(true, 50, DIGEST, OLD));
    // A deploy of other settings leaves it as it is, and one of another version is refused.
    place.run(&format!("deploy {files} --digest {OLD}"));
    assert_eq!(state(&place), is(true, 50, DIGEST, OLD));
    place.fails(&format!("deploy {files} --digest {}", OLD.replace('1', "3")), "promote or abort it first");
    place.fails(&format!("canary start {files} --digest {DIGEST} --weight 5"), "there is a canary already");
    place.calls();
    place.run(&format!("canary promote {files}"));
    assert_eq!(state(&place), is(false, 0, "", DIGEST));
    let changes = place.changes();
    assert_eq!(changes.len(), 3, "{changes:?}");
    // While the first track changes, the second one serves; then it has no requests, and then it goes.
    assert!(changes[0].contains("canary.weight=50") && changes[0].contains(&format!("image.digest={DIGEST}")));
    assert!(changes[1].contains("canary.weight=0") && changes[2].contains("canary.enabled=false"), "{changes:?}");
    // Files still name the chart's version, and the release another: no deploy guesses.
    place.fails(&format!("deploy {files}"), "say which, by --digest or --tag");
    assert_eq!(state(&place), is(false, 0, "", DIGEST));
    place.run(&format!("deploy {files} --digest {DIGEST}"));
}

#[test]
fn a_canary_that_does_not_start_leaves_nothing() {
    for (step, says) in [("1", "has had no request"), ("2", "its weight could not be set")] {
        let (place, files) = deployed();
        // The first upgrade is the deploy's, whose calls are gone.
        place.write("fail", step);
        place.fails(&format!("canary start {files} --digest {DIGEST} --weight 5"), says);
        assert_eq!(state(&place), is(false, 0, "", OLD), "step {step}");
        let last = place.changes();
        assert!(last.last().unwrap().contains("canary.enabled=false"), "{last:?}");
    }
    // And if not even that can be done, it says so.
    let (place, files) = deployed();
    place.write("fail", "1\n2\n3");
    place.fails(&format!("canary start {files} --digest {DIGEST} --weight 5"), "see `helm status`");
}

#[test]
fn an_abort_takes_it_away_whatever_fails() {
    for fail in ["", "1"] {
        let (place, files) = deployed();
        place.run(&format!("canary start {files} --digest {DIGEST} --weight 25"));
        place.calls();
        place.write("fail", fail);
        place.run(&format!("canary abort {files}"));
        assert_eq!(state(&place), is(false, 0, "", OLD));
        // Neither a migration nor a pod that is never ready holds it up.
        let changes = place.changes();
        assert!(changes.iter().all(|call| call.contains("--no-hooks")), "{changes:?}");
        assert!(!changes[0].contains("--wait"), "{changes:?}");
        assert!(place.run(&format!("canary abort {files}")).contains("nothing to do"));
    }
    let (place, files) = deployed();
    place.run(&format!("canary start {files} --digest {DIGEST} --weight 25"));
    place.calls();
    place.write("fail", "2");
    place.fails(&format!("canary abort {files}"), "abort again");
}

#[test]
fn a_promotion_that_fails_leaves_the_canary_serving() {
    let (place, files) = deployed();
    place.run(&format!("canary start {files} --digest {DIGEST} --weight 50"));
    place.calls();
    place.write("fail", "1");
    place.fails(&format!("canary promote {files}"), "The canary serves on as before");
    assert_eq!(state(&place), is(true, 50, DIGEST, DIGEST));
    place.write("fail", "");
    place.run(&format!("canary promote {files}"));
    assert_eq!(state(&place), is(false, 0, "", DIGEST));
}

#[test]
fn nothing_is_done_to_a_canary_that_is_not_there() {
    let (place, files) = deployed();
    place.fails(&format!("canary weight {files} 5"), "there is no canary");
    place.fails(&format!("canary promote {files}"), "there is no canary");
    place.fails(&format!("blue-green switch {files}"), "there is no second track");
    assert_eq!(place.changes(), Vec::<String>::new());
    place.write("none", "");
    place.fails(&format!("canary start {files} --digest {DIGEST} --weight 5"), "there is no release");
    std::fs::remove_file(place.at("none")).unwrap();
    place.write("status", "pending-upgrade");
    place.fails(&format!("deploy {files} --digest {DIGEST}"), "the release is pending-upgrade");
    assert_eq!(place.changes(), Vec::<String>::new());
}

#[test]
fn blue_and_green_change_places() {
    let (place, files) = deployed();
    place.write("pods-rulebox-api", "7");
    place.run(&format!("blue-green start {files} --digest {DIGEST}"));
    // As many as serve, and never one alone; no request yet.
    let own = place.values()["canary"].clone();
    assert_eq!((&own["replicas"], &own["executors"]["replicas"]), (&7.into(), &2.into()));
    assert_eq!(state(&place), is(true, 0, DIGEST, OLD));
    place.fails(&format!("blue-green finish {files}"), "`switch` first");
    place.run(&format!("blue-green switch {files}"));
    assert_eq!(state(&place), is(true, 100, DIGEST, OLD));
    assert_eq!(place.values()["canary"]["replicas"], 7);
    place.run(&format!("blue-green back {files}"));
    assert_eq!(state(&place), is(true, 0, DIGEST, OLD));
    place.run(&format!("blue-green switch {files}"));
    place.calls();
    place.write("fail", "1");
    place.fails(&format!("blue-green back {files}"), "where they went before");
    place.write("fail", "");
    place.run(&format!("blue-green switch {files}"));
    place.run(&format!("blue-green finish {files}"));
    assert_eq!(state(&place), is(false, 0, "", DIGEST));
}

/// Behind a roll-out by canary the version before it is several revisions away.
#[test]
fn a_rollback_goes_to_the_version_before() {
    let place = Place::new();
    let revisions = [
        ("superseded", "{\"image\": {\"digest\": \"sha256:a\"}}"),
        ("failed", "{\"image\": {\"digest\": \"sha256:x\"}}"),
        ("superseded", "{\"image\": {\"digest\": \"sha256:a\"}, \"canary\": {\"enabled\": true, \"weight\": 0}}"),
        ("superseded", "{\"image\": {\"digest\": \"sha256:a\"}, \"canary\": {\"enabled\": true, \"weight\": 50}}"),
        ("superseded", "{\"image\": {\"digest\": \"sha256:b\"}, \"canary\": {\"enabled\": true, \"weight\": 50}}"),
        ("superseded", "{\"image\": {\"digest\": \"sha256:b\"}, \"canary\": {\"enabled\": true, \"weight\": 0}}"),
        ("deployed", "{\"image\": {\"digest\": \"sha256:b\"}, \"canary\": {\"enabled\": false, \"weight\": 0}}"),
    ];
    let history = revisions.iter().enumerate().map(|(at, (status, values))| {
        place.write(&format!("values-{}.json", at + 1), values);
        serde_json::json!({"revision": at + 1, "status": status, "chart": "rulebox-0.1.0", "app_version": "0.1.0"})
    });
    let history: Vec<_> = history.collect();
    place.write("history.json", &serde_json::json!(history).to_string());
    let said = place.run("rollback");
    assert!(
        said.contains("from revision 7 (sha256:b) to 1 (sha256:a)") && said.contains("no migration goes back"),
        "{said}"
    );
    assert_eq!(place.changes(), ["helm --namespace rulebox rollback rulebox 1 --wait --timeout 15m"]);
    // One that is named; over settings alone nothing is said of tables.
    let said = place.run("rollback --to 6");
    assert!(!said.contains("no migration goes back"), "{said}");
    place.fails("rollback --to 9", "there is no revision 9");
    place.fails("rollback --to 7", "is the one of now");
    place.write("fail-rollback", "");
    place.fails("rollback", "what serves serves on");
    // A first deploy has nothing behind it.
    place.write("history.json", &serde_json::json!([history[0]]).to_string());
    place.fails("rollback", "no earlier revision");
}
