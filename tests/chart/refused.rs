//! Values that cannot work are refused before anything is changed in a cluster, and it is said why.

use rulebox_tests::tools::tried;

use crate::rendered::{KUBERNETES, Set, chart};

/// A set, what is changed in it (`--set`, with spaces between), and a part of what is said.
pub(crate) const BAD: [(&str, &str, &str); 96] = [
    ("default", "settings.database.connections=30", "Too many connections for PgBouncer"),
    ("default", "api.autoscaling.maxReplicas=200", "Too many connections for PgBouncer"),
    ("default", "pgbouncer.replicas=1", "Too many connections for PgBouncer"),
    ("default", "pgbouncer.poolSize=60", "Too many connections for PostgreSQL"),
    ("default", "pgbouncer.enabled=false", "Too many connections for PostgreSQL"),
    ("small", "settings.database.connections=20", "Too many connections for PostgreSQL"),
    ("default", "redis.enabled=false", "redis.enabled is false"),
    ("staging", "redis.enabled=false", "a Redis that nobody asks"),
    ("default", "api.resources.limits.memory=512Mi", "Too little memory for the API"),
    ("default", "settings.api.bodies_in_flight_bytes=2000000000", "Too little memory for the API"),
    ("small", "settings.evaluation.loaded_bytes=1000000000", "Too little memory for the API"),
    ("small", "settings.code_cache.bytes=2000000000", "codeCache.sizeLimit is too small"),
    ("default", "executors.resources.limits.memory=512Mi", "Too little memory for executors"),
    ("default", "executors.settings.compile.workers=8", "Too little memory for executors"),
    ("default", "executors.settings.executors.connections=100", "Too few connections for an executor"),
    ("default", "resourceQuota.hard.pods=10", "The quota of the namespace is too small"),
    ("default", "resourceQuota.hard.requests\\.cpu=9000m", "The quota of the namespace is too small"),
    ("default", "resourceQuota.hard.limits\\.memory=1Gi", "The quota of the namespace is too small"),
    ("default", "api.autoscaling.minReplicas=9 api.autoscaling.maxReplicas=8", "minReplicas is more than maxReplicas"),
    ("default", "settings.telemetry.otlp_endpoint=http://c:4318/v1/traces", "networkPolicy.otlp.to is empty"),
    ("default", "settings.webhooks.proxy=http://p:3128", "networkPolicy.egressProxy.to is empty"),
    ("default", "settings.webhooks.proxy=https://p:3128", "proxy"),
    ("default", "settings.alertmanager.urls={http://a:9093}", "networkPolicy.alertmanager.to is empty"),
    (
        "default",
        "oidc[0].issuer=https://i.example.com oidc[0].audience={rulebox} oidc[0].tenants={*}",
        "networkPolicy.oidc.to is empty",
    ),
    ("vault", "networkPolicy.vault.to=null", "networkPolicy.vault.to is empty"),
    ("default", "networkPolicy.redis.to=null", "networkPolicy.redis.to is empty"),
    ("default", "networkPolicy.postgresql.to=null", "networkPolicy.postgresql.to is empty"),
    ("default", "postgresql.host=", "postgresql.host is empty"),
    ("production", "postgresql.inCluster.enabled=true", "a release has one PostgreSQL"),
    ("production", "postgresql.cloudnativepg.objectStore.destinationPath=", "destinationPath is empty"),
    ("options", "postgresql.cloudnativepg.recovery.serverName=", "recovery.serverName is empty"),
    ("options", "vault.enabled=true", "secrets come one way"),
    ("options", "externalSecrets.secretStoreRef.name=", "secretStoreRef.name is empty"),
    ("options", "externalSecrets.keys.api=", "externalSecrets.keys.api is empty"),
    ("options", "externalSecrets.keys.pgbouncerExporter=", "externalSecrets.keys.pgbouncerExporter is empty"),
    ("options", "externalSecrets.keys.restoreTest=", "externalSecrets.keys.restoreTest is empty"),
    ("options", "httpRoute.parentRefs=null", "httpRoute.parentRefs is empty"),
    ("default", "httpRoute.enabled=true httpRoute.parentRefs[0].name=a", "lets in ingress-nginx alone"),
    ("production", "httpRoute.enabled=true httpRoute.parentRefs[0].name=a", "lets in ingress-nginx alone"),
    (
        "default",
        "ingress.annotations.nginx\\.ingress\\.kubernetes\\.io/configuration-snippet=x",
        "configuration-snippet",
    ),
    ("options", "executors.tls.certManager.issuerRef.name=", "issuerRef.kind is not Issuer"),
    ("production", "backup.image.repository=postgres", "has no age"),
    ("production", "backup.recipients=null", "backup.recipients is empty"),
    ("production", "backup.image.repository=postgres", "backup.image.tag to its version"),
    (
        "small",
        "backup.enabled=true backup.image.repository=rulebox/rulebox-backup backup.unencrypted=true",
        "backup.image.tag is 18.1",
    ),
    ("default", "pgbouncer.image.repository=rulebox/rulebox-pgbouncer", "pgbouncer.image.tag is v1.25.1-p0"),
    ("small", "backup.enabled=true backup.unencrypted=true backup.image.tag=", "backup.image has no tag and no digest"),
    ("staging", "redisBackup.image.tag=null", "redisBackup.image has no tag and no digest"),
    (
        "production",
        "upload.image.tag= monitoring.exporters.redis.image.tag=",
        "monitoring.exporters.redis.image has no tag",
    ),
    ("small", "redisBackup.enabled=true", "redisBackup.existingClaim is empty"),
    ("staging", "redisBackup.recipients={age1x}", "the image redis has no age"),
    ("staging", "backup.image.repository=postgres", "has no restore-test"),
    ("staging", "upload.enabled=true", "networkPolicy.upload.to is empty"),
    ("default", "upload.enabled=true", "nothing is copied"),
    ("staging", "prune.enabled=true", "prune.existingClaim is empty"),
    ("options", "externalSecrets.keys.redisBackup=", "externalSecrets.keys.redisBackup is empty"),
    ("default", "redisBackup.enabled=true redisBackup.existingClaim=copies", "redisBackup.host is empty"),
    (
        "staging",
        "redisBackup.host=redis.example.com networkPolicy.redis.to=null",
        "redisBackup.host, redis.example.com, is none",
    ),
    ("default", "restoreTest.enabled=true", "there are no backups here"),
    ("production", "restoreTest.identitySecret=", "restoreTest.identitySecret is empty"),
    ("staging", "backup.unencrypted=false", "backup.recipients is empty"),
    ("default", "ingress.enabled=true", "ingress.tlsSecret is empty"),
    ("default", "ingress.enabled=true ingress.certManager.enabled=true", "ingress.certManager.issuer is empty"),
    ("default", "api.resources.requests.memory=3Gi", "api: more memory is requested"),
    ("staging", "backup.resources.requests.memory=1Gi", "backup: more memory is requested"),
    ("vault", "vault.resources.requests.memory=1Gi", "vault: more memory is requested"),
    ("default", "executors.resources.limits.cpu=1000m", "executor: more CPU is requested"),
    ("default", "limitRange.container.max.memory=1Gi", "above limitRange.container.max"),
    ("staging", "redis.inCluster.maxMemory=1gb", "before it is full"),
    ("small", "redis.inCluster.maxMemory=512mb", "before it is full"),
    (
        "default",
        "pgbouncer.replicas=1 settings.database.connections=1 settings.database.platform_connections=1",
        "there is room for 0",
    ),
    ("default", "canary.weight=10", "requests would be sent to nobody"),
    (
        "default",
        "canary.enabled=true canary.replicas=200 canary.autoscaling=true",
        "The canary starts with more pods (200)",
    ),
    ("default", "canary.enabled=true canary.replicas=80", "225 pods of the API"),
    ("small", "canary.enabled=true redis.enabled=false redis.inCluster.enabled=false", "without a canary"),
    // By values.schema.json.
    ("default", "canary.enabled=true canary.weight=101", "weight"),
    ("default", "canary.enabled=true canary.replicas=1", "replicas"),
    ("default", "canary.enabled=true canary.image.digest=latest", "digest"),
    ("default", "api.podLabels.rulebox\\.dev/track=canary", "podLabels"),
    ("default", "image.tag=latest", "tag"),
    ("default", "settings.api.listen=x", "listen"),
    ("default", "foo=1", "foo"),
    ("default", "userIds.rulebox=1000", "rulebox"),
    ("default", "secrets.masterSecret=x", "masterSecret"),
    ("default", "api.podDisruptionBudget.maxUnavailable=0", "maxUnavailable"),
    ("default", "api.maxSurge=0", "maxSurge"),
    ("staging", "redis.inCluster.primary=redis-1", "primary"),
    ("default", "api.podDisruptionBudget.maxUnavailable=100%", "maxUnavailable"),
    ("default", "api.podLabels.app\\.kubernetes\\.io/component=x", "podLabels"),
    ("default", "executors.podLabels.app\\.kubernetes\\.io/instance=x", "podLabels"),
    ("staging", "postgresql.inCluster.parameters.max_connections=500", "parameters"),
    ("production", "postgresql.cloudnativepg.parameters.listen_addresses=x", "parameters"),
    ("default", "pgbouncer.serverTls.mode=verify-full", "existingSecret"),
    ("default", "settings.database.connections=0", "connections"),
    ("default", "ingress.cors.origins={*}", "origins"),
    ("default", "ingress.annotations.nginx\\.ingress\\.kubernetes\\.io/server-snippet=x", "server-snippet"),
];

#[test]
fn values_that_cannot_work_are_refused() {
    let (even, odd): (Vec<_>, Vec<_>) = BAD.iter().enumerate().partition(|(number, _)| number % 2 == 0);
    let faults: Vec<_> = std::thread::scope(|scope| {
        let halves = [even, odd]
            .map(|rows| scope.spawn(|| rows.into_iter().filter_map(|(_, row)| taken(row)).collect::<Vec<_>>()));
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    println!("{} bad values are refused", BAD.len());
}

/// What is wrong if values are taken, or refused for another reason.
fn taken((set, changes, says): &(&str, &str, &str)) -> Option<String> {
    let mut command = Set::named(set).template(&chart(), KUBERNETES[0]);
    let (output, said) = tried(command.args(changes.split(' ').flat_map(|change| ["--set", change])));
    let known = !output.status.success() && said.contains(says) && said.contains("Error: ");
    (!known).then(|| format!("{set} with {changes}: not refused by '{says}', but {}:\n{said:.2000}", output.status))
}

#[test]
fn what_is_refused_is_said_at_once() {
    let all = ["settings.database.connections=30", "api.resources.limits.memory=512Mi", "resourceQuota.hard.pods=10"];
    let mut command = Set::named("default").template(&chart(), KUBERNETES[0]);
    let (output, said) = tried(command.args(all.iter().flat_map(|change| ["--set", change])));
    assert!(!output.status.success());
    for says in ["Too many connections", "Too little memory", "The quota"] {
        assert!(said.contains(says), "{says}: {said}");
    }
    // What is not bad is not refused: the same way of asking.
    let peer = "networkPolicy.ingress.from[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=gateways";
    let route = format!("httpRoute.enabled=true httpRoute.parentRefs[0].name=a {peer}");
    for good in ["settings.database.connections=9", &route] {
        assert!(taken(&("default", good, "")).is_some_and(|fault| fault.contains("exit status: 0")), "{good}");
    }
}
