//! Roll-outs, step by step, over a release that a recording `helm` keeps, with a failure in each step.

use super::{DIGEST, Place, values};

pub const OLD: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// A release of the old version, and its files.
pub fn deployed() -> (Place, String) {
    deployed_by("values-small.yaml")
}

/// The same, of these values of the chart.
pub fn deployed_by(name: &str) -> (Place, String) {
    let place = Place::new();
    let files = values(name);
    // Room for the second track.
    place.write("more.yaml", "postgresql: {maxConnections: 120}\n");
    let files = format!("{files} --values {}", place.at("more.yaml").display());
    place.revisions(&[]);
    place.run(&format!("deploy {files} --digest {OLD}"));
    assert_eq!(place.values()["image"]["digest"], OLD);
    place.calls();
    (place, files)
}

/// What the release has of its canary: whether it is on, its weight, and which images there are.
pub fn state(place: &Place) -> (bool, u64, String, String) {
    let values = place.values();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (
        values["canary"]["enabled"] == true,
        values["canary"]["weight"].as_u64().unwrap_or_default(),
        text(&values["canary"]["image"]["digest"]),
        text(&values["image"]["digest"]),
    )
}

pub fn is(on: bool, weight: u64, canary: &str, first: &str) -> (bool, u64, String, String) {
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
        let before = place.values();
        // The first upgrade is the deploy's, whose calls are gone.
        place.write("fail", step);
        place.fails(&format!("canary start {files} --digest {DIGEST} --weight 5"), says);
        assert_eq!((place.newest().1.as_str(), place.values()), ("deployed", before), "step {step}");
        let last = place.changes();
        assert!(last.last().unwrap().contains(" rollback rulebox 1 --no-hooks"), "{last:?}");
    }
    // And if not even that can be done, it says so.
    let (place, files) = deployed();
    place.write("fail", "1\n2");
    place.fails(&format!("canary start {files} --digest {DIGEST} --weight 5"), "see `helm status`");
}

#[test]
fn a_promotion_that_fails_leaves_the_canary_serving() {
    let (place, files) = deployed();
    place.run(&format!("canary start {files} --digest {DIGEST} --weight 50"));
    place.calls();
    place.write("fail", "1");
    place.fails(&format!("canary promote {files}"), "The canary serves on as before");
    assert_eq!(state(&place), is(true, 50, DIGEST, DIGEST));
    // A weight is of the first track as it was: what failed does not count.
    place.write("fail", "");
    place.run(&format!("canary weight {files} 50"));
    assert_eq!(state(&place), is(true, 50, DIGEST, OLD));
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
    place.revisions(&[]);
    place.fails(&format!("canary start {files} --digest {DIGEST} --weight 5"), "there is no release");
    assert!(place.run("canary abort").contains("nothing to do"));
    place.revisions(&[("deployed", "{}"), ("pending-upgrade", "{}")]);
    place.fails(&format!("deploy {files} --digest {DIGEST}"), "the release is pending-upgrade");
    place.revisions(&[("deployed", "{}"), ("failed", "{}")]);
    place.fails(&format!("canary start {files} --digest {DIGEST} --weight 5"), "the release is failed");
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
