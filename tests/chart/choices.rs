//! Choices that none of the sets makes, one by one: what holds for those holds for these.

use rulebox_tests::tools::run;

use crate::found::{Found, Property};
use crate::rendered::{KUBERNETES, Set, chart, parse};
use crate::{
    accounts, budgets, containers, exporters, jobs, monitoring, names, policies, secrets, settings, sums, workloads,
};

const PROPERTIES: [(&str, Property); 23] = [
    ("accounts", accounts::powerless),
    ("budgets", budgets::budgets),
    ("confinement", containers::confined),
    ("volumes", containers::volumes),
    ("images", containers::images),
    ("Jobs", jobs::end),
    ("hooks", jobs::find_all),
    ("exporters beside poolers", exporters::beside),
    ("alerts", monitoring::alerts),
    ("ServiceMonitors", monitoring::scraped),
    ("labels", names::labelled),
    ("selectors", names::selected),
    ("Services", names::served),
    ("connections between parts", policies::matrix),
    ("refused unless said", policies::denied),
    ("rules of policies", policies::named),
    ("secrets", secrets::kept),
    ("checksums", secrets::rolled),
    ("variables", settings::known_variables),
    ("requests", sums::resources),
    ("quotas", sums::quota),
    ("connections", sums::connections),
    ("workloads", workloads::all),
];

/// A set, and what is changed in it, with spaces between.
const CHOICES: [(&str, &str); 27] = [
    ("default", "redis.enabled=false api.autoscaling.enabled=false api.replicas=1"),
    ("default", "executors.isolated=false api.resources.limits.memory=4Gi"),
    ("default", "migration.enabled=false tests.enabled=false"),
    ("default", "ingress.enabled=true ingress.tlsSecret=x ingress.hosts={a.example.com,b.example.com}"),
    ("default", "nameOverride=x fullnameOverride=y-api-executor imagePullSecrets={a,b} secrets.otlpHeaders=true"),
    ("default", "settings.evaluation=null api.resources.limits.memory=4Gi"),
    ("default", "settings.api.drain_seconds=300 executors.settings.api.drain_seconds=120 pgbouncer.drainSeconds=90"),
    ("default", "api.maxSurge=3 executors.maxSurge=100% executors.settings.executors.connections=400"),
    ("staging", "redis.inCluster.replicas=0 redis.inCluster.storageClassName=fast"),
    ("staging", "redis.inCluster.primary=redis-replica"),
    ("staging", "redis.inCluster.primary=redis-replica redis.inCluster.replicas=0"),
    ("staging", "backup.volume.existingClaim=mine backup.enabled=false"),
    (
        "staging",
        "restoreTest.enabled=false redisBackup.existingClaim=mine upload.enabled=true prune.enabled=true \
         prune.existingClaim=copies networkPolicy.upload.to[0].ipBlock.cidr=198.51.100.0/24",
    ),
    ("production", "upload.enabled=false redisBackup.enabled=false restoreTest.enabled=false"),
    ("production", "backup.keep=0 redisBackup.keep=0 authorities.system.existingSecret=ca"),
    ("staging", "firstTenant.name=a pgbouncer.enabled=false postgresql.maxConnections=200"),
    ("staging", "clusterDomain=example.internal listenAddress=[::] api.runtimeClassName=gvisor"),
    (
        "staging",
        "monitoring.exporters.postgresql.enabled=true monitoring.exporters.redis.enabled=true \
         monitoring.exporters.pgbouncer.enabled=true",
    ),
    (
        "staging",
        "monitoring.exporters.redis.enabled=true redis.inCluster.primary=redis-replica redis.inCluster.replicas=2",
    ),
    ("staging", "monitoring.exporters.pgbouncer.enabled=true pgbouncer.enabled=false postgresql.maxConnections=200"),
    ("small", "codeCache.enabled=false backup.enabled=true backup.unencrypted=true"),
    ("production", "priorityClasses.create=false postgresql.cloudnativepg.objectStore.enabled=false"),
    ("production", "vault.enabled=true networkPolicy.vault.to[0].ipBlock.cidr=10.0.0.1/32"),
    ("production", "api.autoscaling.enabled=false api.replicas=30 executors.autoscaling.enabled=false"),
    ("small", "canary.enabled=true canary.weight=50 canary.replicas=2 postgresql.maxConnections=80"),
    (
        "staging",
        "canary.enabled=true canary.autoscaling=true canary.replicas=3 canary.executors.replicas=3 pgbouncer.maxClientConnections=300",
    ),
    ("vault", "canary.enabled=true canary.image.tag=9.8.7 pgbouncer.maxClientConnections=300 tests.enabled=false"),
];

#[test]
fn what_holds_for_the_sets_holds_for_other_choices() {
    let (mut checks, mut faults) = (0, Vec::new());
    for (set, changes) in CHOICES {
        let mut command = Set::named(set).template(&chart(), KUBERNETES[1]);
        let objects = parse(&run(command.args(changes.split(' ').flat_map(|change| ["--set", change]))));
        for (name, property) in PROPERTIES {
            let mut found = Found::default();
            property(&objects, &mut found);
            checks += found.checks;
            faults.extend(found.faults.into_iter().map(|fault| format!("{set} with {changes}: {name}: {fault}")));
        }
    }
    println!("{} choices: {checks} checks of {} properties", CHOICES.len(), PROPERTIES.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(checks > 15_000, "only {checks} checks");
}
