//! Scaling, backups, restores and fail-overs: what is called, in which order, and what a failure leaves.

use super::{Place, values};

#[test]
fn scaling_goes_by_the_scaler_where_there_is_one() {
    let place = Place::new();
    place.run("scale api 4 --namespace other");
    let status = "rollout status deployment rulebox-api --timeout 15m";
    let of = |words: &str| format!("kubectl --namespace other {words}");
    assert_eq!(place.changes(), [of("scale deployment rulebox-api --replicas 4"), of(status)]);
    place.write("scaler", "6");
    place.run("scale api 4 --namespace other");
    let patch = "patch horizontalpodautoscaler rulebox-api --type merge --patch {\"spec\":{\"minReplicas\":4}}";
    assert_eq!(place.changes(), [of(patch), of(status)]);
    place.fails("scale api 7", "more than maxReplicas (6)");
    place.run("scale executor 3 --track canary --release x");
    assert!(place.calls().iter().any(|call| call.contains("horizontalpodautoscaler x-rulebox-executor-canary")));
}

#[test]
fn a_backup_is_waited_for_and_its_failure_said() {
    let place = Place::new();
    place.write("job", "Complete");
    assert!(place.run("backup").contains("there is a backup"));
    let changes = place.changes();
    assert!(changes[0].ends_with("--from=cronjob/rulebox-backup") && changes.len() == 1, "{changes:?}");
    place.write("job", "FailureTarget Failed");
    place.fails("backup", "the backup has failed");
    assert!(place.calls().iter().any(|call| call.contains(" logs job/rulebox-backup-by-hand-")));
    place.write("job", "");
    place.fails("backup --timeout 1s", "has not ended");
    place.write("fail-kubectl", "create job");
    place.fails("backup", "has the release backups");
}

#[test]
fn a_restore_stops_the_service_and_starts_it_only_when_all_is_there() {
    let place = Place::new();
    place.write("pods-rulebox-api", "5");
    place.write("pods-rulebox-pgbouncer", "3");
    place.fails("restore --from b", "say --yes");
    assert_eq!(place.calls(), Vec::<String>::new());
    place.run("restore --from b --yes -- --identity key");
    let changes = place.changes();
    let steps: Vec<_> = changes.iter().map(|call| call.replace("kubectl --namespace rulebox ", "")).collect();
    let at = |word: &str| {
        steps.iter().position(|step| step.starts_with(word)).unwrap_or_else(|| panic!("{word}: {steps:?}"))
    };
    let order = [
        "scale deployment rulebox-api --replicas 0",
        "scale deployment rulebox-pgbouncer --replicas 0",
        "restore --from b --identity key",
        "scale deployment rulebox-pgbouncer --replicas 3",
        "scale deployment rulebox-api --replicas 5",
    ]
    .map(at);
    assert!(order.is_sorted(), "{steps:?}");
    // What it has written down for a second try is gone.
    assert!(!place.at("annotation-rulebox-api-pods-before-restore").exists());
    for code in [1, 3] {
        place.write("restored", &code.to_string());
        let (ended, said) = place.tried("restore --from b --yes");
        assert!(ended == code && said.contains("nothing more is started"), "{ended}: {said}");
        for line in ["scale deployment rulebox-pgbouncer --replicas 3", "scale deployment rulebox-api --replicas 5"] {
            assert!(said.contains(&format!("kubectl --namespace rulebox {line}")), "{said}");
        }
        assert!(!place.changes().iter().any(|call| call.contains("--replicas 5")));
    }
    place.write("restored", "0");
    place.run("restore --from b --running");
    assert_eq!(place.changes(), ["restore --from b"]);
    // Tried again, it knows how many there were; and what had none gets none.
    place.run("restore --from b --yes");
    let changes = place.changes();
    let scaled = |words: &str| changes.iter().any(|call| call.ends_with(&format!("scale deployment {words}")));
    assert!(scaled("rulebox-pgbouncer --replicas 3") && scaled("rulebox-api --replicas 5"), "{changes:?}");
    assert_eq!(std::fs::read_to_string(place.at("pods-rulebox-api")).unwrap(), "5");
    place.write("pods-rulebox-api", "0");
    place.run("restore --from b --yes");
    assert!(!place.changes().iter().any(|call| call.contains("scale deployment rulebox-api ")));
    // One that cannot be started says what to do.
    place.write("pods-rulebox-api", "5");
    place.write("fail-kubectl", "rollout status");
    place.fails("restore --from b --yes", "scale deployment rulebox-api --replicas 5");
}

#[test]
fn the_copy_of_redis_takes_over_and_stays_so_at_the_next_deploy() {
    let place = Place::new();
    let files = values("values-staging.yaml");
    place.write("redis", "role:slave\nmaster_link_status:down\nmaster_sync_in_progress:0\ndb0:keys=3\n");
    place.fails(&format!("failover redis {files}"), "say --yes");
    assert_eq!(place.calls(), Vec::<String>::new());
    place.run(&format!("failover redis {files} --yes"));
    let redis = place.values()["redis"]["inCluster"].clone();
    assert_eq!((&redis["primary"], &redis["replicas"]), (&"redis-replica".into(), &0.into()));
    place.run(&format!("deploy {files}"));
    assert_eq!(place.values()["redis"]["inCluster"]["primary"], "redis-replica");
    place.fails(&format!("failover redis {files} --yes --copy --back"), "is not the primary");
    place.run(&format!("failover redis {files} --yes --copy"));
    assert_eq!(place.values()["redis"]["inCluster"]["replicas"], 1);
    // And back.
    place.run(&format!("failover redis {files} --yes --back"));
    place.run(&format!("failover redis {files} --yes --back --copy"));
    place.run(&format!("deploy {files}"));
    assert_ne!(place.values()["redis"]["inCluster"]["primary"], "redis-replica");
    // One that is none, or is half of one, does not.
    place.calls();
    place.write("redis", "role:slave\nmaster_sync_in_progress:1\n");
    place.fails(&format!("failover redis {files} --yes"), "is not whole");
    place.write("fail-kubectl", "exec rulebox-redis-replica-0");
    place.fails(&format!("failover redis {files} --yes"), "does not answer");
    assert_eq!(place.changes(), Vec::<String>::new());
}

#[test]
fn a_standby_of_postgresql_is_chosen_and_waited_for() {
    let place = Place::new();
    place.fails("failover postgresql --yes", "no standby");
    place.write("standbys", "rulebox-postgresql-2 rulebox-postgresql-3");
    let said = place.run("failover postgresql --yes");
    assert!(said.contains("rulebox-postgresql-2 is the primary"), "{said}");
    place.write("fail-kubectl", "wait cluster.postgresql.cnpg.io/rulebox-postgresql");
    place.fails("failover postgresql --yes", "is not the primary");
    place.fails("failover postgresql", "say --yes");
}

/// How many pods a Deployment has in a region.
fn pods(place: &Place, name: &str, region: &str) -> String {
    std::fs::read_to_string(place.at(&format!("pods-{name}-{region}"))).unwrap()
}

#[test]
fn a_region_steps_back_before_another_one_takes_over() {
    let place = Place::new();
    let region = "failover region --from a --to b --primary rulebox-b --yes";
    place.write("token", "WHERE-IT-ENDED");
    for (name, pods) in [("api-a", "5"), ("api-canary-a", "2"), ("api-b", "1"), ("api-canary-b", "0")] {
        place.write(&format!("pods-rulebox-{name}"), pods);
    }
    place.run(region);
    let changes = place.changes();
    let steps: Vec<_> = changes.iter().map(|call| call.replace("kubectl --namespace rulebox --context ", "")).collect();
    let at = |word: &str| {
        steps.iter().position(|step| step.starts_with(word)).unwrap_or_else(|| panic!("{word}: {steps:?}"))
    };
    let order = [
        "a scale deployment rulebox-api --replicas 0",
        "a scale deployment rulebox-api-canary --replicas 0",
        "a patch",
        "a wait",
        "b patch",
        "b wait",
        "b scale deployment rulebox-api --replicas 5",
        "b rollout status deployment rulebox-api",
    ]
    .map(at);
    assert!(order.is_sorted(), "{steps:?}");
    assert!(!steps[at("a patch")].contains("promotionToken"), "{steps:?}");
    assert!(steps[at("b patch")].contains("\"promotionToken\":\"WHERE-IT-ENDED\""), "{steps:?}");
    // And back: it serves again, with as many.
    place.run(&format!("{region} --back"));
    assert_eq!(["a", "b"].map(|region| pods(&place, "rulebox-api", region)), ["5", "0"]);
    assert!(place.changes()[0].contains("--context b annotate"));
}

#[test]
fn a_region_takes_over_with_pods_or_not_at_all() {
    let place = Place::new();
    let region = "failover region --from a --to b --primary rulebox-b --yes";
    for (name, pods) in [("api-a", "5"), ("api-b", "0")] {
        place.write(&format!("pods-rulebox-{name}"), pods);
    }
    // Without a word of where it ended, nobody takes over.
    place.fails(region, "does not say where it ended");
    assert!(!place.changes().iter().any(|call| call.contains("--context b")));
    assert_eq!(pods(&place, "rulebox-api", "a"), "0");
    // Tried again, it knows how many pods there were.
    place.write("token", "T");
    place.run(region);
    assert_eq!(["a", "b"].map(|region| pods(&place, "rulebox-api", region)), ["0", "5"]);
    place.calls();

    // One that is lost is not asked; the other one has no pods, and nobody said how many it gets.
    place.write("pods-rulebox-api-b", "0");
    place.fails(&format!("{region} --lost"), "say with --replicas");
    let (code, said) = place.tried(&format!("{region} --lost --replicas 0"));
    assert!(code == 2 && said.contains("nobody would serve"), "{said}");
    assert_eq!(place.changes(), Vec::<String>::new());
    place.run(&format!("{region} --lost --replicas 7"));
    let changes = place.changes();
    assert!(changes.iter().all(|call| call.contains("--context b")) && !changes.is_empty(), "{changes:?}");
    assert_eq!(pods(&place, "rulebox-api", "b"), "7");
    // One that does not become ready has not taken over.
    place.write("fail-kubectl", "rollout status");
    place.fails(&format!("{region} --lost"), "has not 7 pods");
}
