//! The jobs of deployments with the real `deploy/scripts`, so that these and the workflows fit: over a release that a `helm` keeps,
//! as whole runs, and with each change that they make failing, or cancelled while it lasts.

use std::fs;

use rulebox_tests::Server;
use serde_json::Value;

use super::job::{DIGEST, World};

const OLD: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// What an upgrade is called by.
const UPGRADE: &str = "upgrade --install";

/// The upgrades of a roll-out to production.
const UPGRADES: usize = 7;

/// A cluster in which the old version was deployed, and a new one is to be.
fn deployed(service: &Server) -> World {
    let mut world = World::real(service);
    let images = fs::read_to_string(world.path("images.txt")).unwrap();
    fs::write(world.path("images.txt"), images.replace(DIGEST, OLD)).unwrap();
    let done = world.run("deploy", "staging");
    assert!(!world.context.failure, "{}", done.said);
    assert_eq!(image(&world.release().2), OLD);
    fs::write(world.path("images.txt"), images).unwrap();
    world.again();
    world
}

fn image(values: &Value) -> &str {
    values["image"]["digest"].as_str().unwrap()
}

/// What the newest revision has that was deployed.
fn serves(world: &World) -> Value {
    let read =
        |number: usize, name: &str| fs::read_to_string(world.path(&format!("revisions/{number}/{name}"))).unwrap();
    let number = (1..=world.release().0).rfind(|number| read(*number, "status") == "deployed").unwrap();
    serde_json::from_str(&read(number, "values.json")).unwrap()
}

/// The release is as the first revision has it, whatever was between.
fn as_before(world: &World, what: &str) {
    let (number, status, values) = world.release();
    let first: Value =
        serde_json::from_str(&fs::read_to_string(world.path("revisions/1/values.json")).unwrap()).unwrap();
    assert_eq!((status.as_str(), &values), ("deployed", &first), "{what}");
    let manifest = fs::read_to_string(world.path(&format!("revisions/{number}/manifest.yaml"))).unwrap();
    assert!(manifest.contains(OLD) && !manifest.contains(DIGEST), "{what}");
}

#[test]
fn a_release_goes_to_production_and_back() {
    let directory = tempfile::tempdir().unwrap();
    let service = Server::start(directory.path());
    let mut world = deployed(&service);
    let done = world.run("deploy", "production");
    assert!(!world.context.failure, "{}", done.said);
    let (number, status, values) = world.release();
    assert_eq!((number, status.as_str()), (1 + UPGRADES, "deployed"));
    assert_eq!((image(&values), &values["canary"]["enabled"]), (DIGEST, &Value::Bool(false)));
    for of in ["pgbouncer", "backup", "restoreTest"] {
        assert_eq!(values[of]["image"]["digest"], DIGEST, "{of}");
    }
    let weights = |number: usize| {
        let text = fs::read_to_string(world.path(&format!("revisions/{number}/values.json"))).unwrap();
        let values: Value = serde_json::from_str(&text).unwrap();
        // Poolers change when all else has been watched.
        assert_eq!(values["pgbouncer"]["image"]["digest"], if number < 6 { OLD } else { DIGEST }, "{number}");
        values["canary"]["weight"].as_u64().unwrap()
    };
    assert_eq!([2, 3, 4, 5, 6, 7, 8].map(weights), [0, 5, 25, 50, 50, 0, 0]);
    // Until it is the newest that is not to be replaced by what was before it.
    world.again();
    for (name, value) in [("environment", "production"), ("revision", ""), ("reason", "slow")] {
        world.context.names.insert(format!("inputs.{name}"), value.to_owned());
    }
    let done = world.run("rollback", "rollback");
    assert!(!world.context.failure, "{}", done.said);
    as_before(&world, "rolled back by hand");
    // A second one, as it also begins where the deployment that it has ended took back its own: nothing is left to do.
    let number = world.release().0;
    world.again();
    let done = world.run("rollback", "rollback");
    assert!(!world.context.failure && done.summary.contains("already back at 1"), "{}", done.said);
    assert_eq!(world.release().0, number);
    as_before(&world, "rolled back twice");
    println!("production: {UPGRADES} upgrades by the real scripts, and a roll-back");
}

/// Whatever change fails or is cut off, the old version is all that is left.
fn leaves_the_old_version(how: &str, numbers: &[usize]) {
    let directory = tempfile::tempdir().unwrap();
    let service = Server::start(directory.path());
    let mut world = deployed(&service);
    // Who does not hear is not heard for longer by waiting.
    if how == "deaf" {
        world.patience = [1500, 500];
    }
    for number in numbers {
        // As it was deployed.
        for number in 2..=world.release().0 {
            fs::remove_dir_all(world.path(&format!("revisions/{number}"))).unwrap();
        }
        fs::write(world.path("revisions/1/status"), "deployed").unwrap();
        world.again();
        fs::write(world.path("trouble"), format!("{how} {number} {UPGRADE}\n")).unwrap();
        let done = world.run("deploy", "production");
        let what = format!("{how} {number}: {}", done.said);
        let (ends, other) =
            if *number < 5 { ("Abort the canary", "Roll back") } else { ("Roll back", "Abort the canary") };
        assert_eq!((done.outcome(ends), done.outcome(other)), ("success", "skipped"), "{what}");
        assert_eq!(world.context.cancelled, how != "fails", "{what}");
        as_before(&world, &what);
        let waits = done.calls.iter().filter(|call| call.contains(" rollback rulebox ") && call.contains(" --wait"));
        // Who cancels has five minutes.
        assert_eq!(waits.count(), usize::from(how == "fails" && *number >= 5), "{what}");
    }
    println!("production: {} times an upgrade {how}, and the old version serves", numbers.len());
}

#[test]
fn whatever_fails_leaves_the_old_version() {
    leaves_the_old_version("fails", &[1, 2, 4, 5, 7]);
}

#[test]
fn whatever_is_cut_off_leaves_the_old_version() {
    leaves_the_old_version("hangs", &[1, 2, 5, 7]);
}

/// What was cut off goes on by itself.
#[test]
fn whatever_does_not_hear_leaves_the_old_version() {
    leaves_the_old_version("deaf", &[2, 5]);
}

/// A canary of somebody else stays; one that a lost runner has left is taken back by hand.
#[test]
fn a_canary_that_is_left_is_taken_back_by_whoever_means_it() {
    let directory = tempfile::tempdir().unwrap();
    let service = Server::start(directory.path());
    let mut world = deployed(&service);
    fs::write(world.path("trouble"), format!("fails 3 {UPGRADE}\nfails 0 rollback rulebox\n")).unwrap();
    let done = world.run("deploy", "production");
    assert_eq!(done.outcome("Abort the canary"), "failure", "{}", done.said);
    let left = serves(&world)["canary"].clone();
    assert_eq!(left["image"]["digest"], DIGEST);

    // A run of another release: it does not begin, and takes nothing away.
    world.again();
    let images = fs::read_to_string(world.path("images.txt")).unwrap();
    fs::write(world.path("images.txt"), images.replace(DIGEST, &DIGEST.replace("00", "77"))).unwrap();
    let done = world.run("deploy", "production");
    assert_eq!(
        (done.outcome("Canary at 5 %"), done.outcome("Abort the canary")),
        ("failure", "success"),
        "{}",
        done.said
    );
    assert!(!done.calls.iter().any(|call| call.contains(" rollback ")), "{:?}", done.calls);
    assert_eq!(serves(&world)["canary"], left);

    world.again();
    for (name, value) in [("environment", "production"), ("revision", ""), ("reason", "the runner was lost")] {
        world.context.names.insert(format!("inputs.{name}"), value.to_owned());
    }
    let done = world.run("rollback", "rollback");
    assert!(!world.context.failure, "{}", done.said);
    as_before(&world, "a canary that was left");
}
