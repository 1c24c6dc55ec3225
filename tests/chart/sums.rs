//! Sums over all pods at their most: connections to the database, and what the namespace may have.

use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{containers, entries, list, of_kind, pods, text};

/// CPU in thousandths.
fn milli(value: &Value) -> Option<u64> {
    let text = text(value);
    match text.strip_suffix('m') {
        Some(number) => number.parse().ok(),
        None => Some(text.parse::<u64>().ok()? * 1000),
    }
}

/// Memory in MiB.
fn mebi(value: &Value) -> Option<u64> {
    let text = text(value);
    match text.strip_suffix("Gi") {
        Some(number) => Some(number.parse::<u64>().ok()? * 1024),
        None => text.strip_suffix("Mi")?.parse().ok(),
    }
}

/// What a pod or container wants: CPU and memory requested, and memory at the most.
type Wants = [u64; 3];

fn wants(resources: &Value) -> Option<Wants> {
    let (requests, limits) = (&resources["requests"], &resources["limits"]);
    Some([milli(&requests["cpu"])?, mebi(&requests["memory"])?, mebi(&limits["memory"])?])
}

/// Containers of a pod run together, those before it one by one.
fn of_pod(template: &Value) -> Wants {
    let together = list(&template["spec"]["containers"]).iter().filter_map(|it| wants(&it["resources"]));
    let together = together.fold([0; 3], |[a, b, c], [x, y, z]| [a + x, b + y, c + z]);
    let before = list(&template["spec"]["initContainers"]).iter().filter_map(|it| wants(&it["resources"]));
    before.fold(together, |[a, b, c], [x, y, z]| [a.max(x), b.max(y), c.max(z)])
}

/// Replicas of a workload at the most, and those that an update adds.
fn most(objects: &[Value], object: &Value) -> (u64, u64) {
    let scaler = of_kind(objects, "HorizontalPodAutoscaler")
        .find(|scaler| scaler["spec"]["scaleTargetRef"]["name"] == object["metadata"]["name"]);
    let replicas = scaler.map_or(&object["spec"]["replicas"], |scaler| &scaler["spec"]["maxReplicas"]);
    let replicas = replicas.as_u64().unwrap_or(1);
    let surge = &object["spec"]["strategy"]["rollingUpdate"]["maxSurge"];
    let part = text(surge).strip_suffix('%').and_then(|percent| percent.parse::<u64>().ok());
    (replicas, surge.as_u64().or(part.map(|percent| (replicas * percent).div_ceil(100))).unwrap_or_default())
}

pub(crate) fn resources(objects: &[Value], found: &mut Found) {
    for (object, template) in pods(objects) {
        let range = of_kind(objects, "LimitRange").next();
        let largest = range.and_then(|range| mebi(&range["spec"]["limits"][0]["max"]["memory"]));
        for container in containers(template) {
            let name = text(&container["name"]);
            let wants = wants(&container["resources"]);
            found.of(object, wants.is_some(), &format!("{name}: requests of CPU and memory, and a limit of memory"));
            let [cpu, requested, limit] = wants.unwrap_or_default();
            found.of(object, cpu > 0 && requested > 0, &format!("{name}: nothing is requested"));
            found.of(object, requested <= limit, &format!("{name}: more memory is requested than it may have"));
            found.of(
                object,
                largest.is_some_and(|largest| limit <= largest),
                &format!("{name}: more than the LimitRange lets"),
            );
            // A limit throttles a process that has threads to spare.
            found.of(object, container["resources"]["limits"]["cpu"].is_null(), &format!("{name}: a limit of CPU"));
        }
    }
}

pub(crate) fn quota(objects: &[Value], found: &mut Found) {
    let mut sum = [0_u64; 4];
    let mut add = |pods: u64, [cpu, requested, limit]: Wants| {
        let [count, a, b, c] = &mut sum;
        *count += pods;
        *a += pods * cpu;
        *b += pods * requested;
        *c += pods * limit;
    };
    for (object, template) in pods(objects) {
        let (replicas, surge) = most(objects, object);
        add(replicas + surge, of_pod(template));
    }
    for cluster in of_kind(objects, "Cluster") {
        // And a Job of the operator, which makes an instance.
        add(
            cluster["spec"]["instances"].as_u64().unwrap_or_default() + 1,
            wants(&cluster["spec"]["resources"]).unwrap_or_default(),
        );
    }
    let quotas: Vec<_> = of_kind(objects, "ResourceQuota").collect();
    found.hold(quotas.len() == 1, || format!("{} quotas", quotas.len()));
    for object in quotas {
        let hard = &object["spec"]["hard"];
        let has = [
            ("pods", text(&hard["pods"]).parse().ok()),
            ("requests.cpu", milli(&hard["requests.cpu"])),
            ("requests.memory", mebi(&hard["requests.memory"])),
            ("limits.memory", mebi(&hard["limits.memory"])),
        ];
        for ((name, has), wants) in has.into_iter().zip(sum) {
            found.of(object, has >= Some(wants), &format!("{wants} of {name} are wanted, and there are {has:?}"));
            // Pods that end count until they have.
            found.of(object, has >= Some(wants + wants / 2), &format!("{name} leave no room for pods that end"));
            // One that is never reached bounds nothing.
            found.of(
                object,
                has.is_some_and(|has| has <= wants * 2),
                &format!("{has:?} of {name} bound nothing, of {wants}"),
            );
        }
        for name in ["services.nodeports", "services.loadbalancers"] {
            found.of(object, hard[name] == "0", &format!("{name} go around the ingress"));
        }
    }
}

/// A number among settings: a variable, or a line `name = number`.
fn number(objects: &[Value], config: &str, name: &str) -> Option<u64> {
    let config = of_kind(objects, "ConfigMap").find(|it| text(&it["metadata"]["name"]).ends_with(config))?;
    entries(&config["data"]).find_map(|(key, value)| {
        if key == name {
            return text(value).parse().ok();
        }
        let lines = text(value).lines().filter_map(|line| line.split_once('='));
        lines.filter(|(key, _)| key.trim() == name).find_map(|(_, value)| value.trim().parse().ok())
    })
}

/// Connections that the server takes, if it is of the release.
fn server(objects: &[Value]) -> Option<u64> {
    let arguments = pods(objects).flat_map(|(_, template)| containers(template)).flat_map(|it| list(&it["args"]));
    let own = arguments.into_iter().find_map(|argument| text(argument).strip_prefix("max_connections=")?.parse().ok());
    let cluster = of_kind(objects, "Cluster").next();
    own.or_else(|| text(&cluster?["spec"]["postgresql"]["parameters"]["max_connections"]).parse().ok())
}

/// Superusers, replication, migrations, backups.
const FOR_OTHERS: u64 = 10;

pub(crate) fn connections(objects: &[Value], found: &mut Found) {
    let named = |component: &str| {
        let mut all =
            pods(objects).filter(|(_, it)| it["metadata"]["labels"]["app.kubernetes.io/component"] == component);
        all.next().map(|(object, _)| object)
    };
    let api = named("api");
    found.hold(api.is_some(), || "there is no API".to_owned());
    let Some(api) = api else { return };
    let each = ["RULEBOX_DATABASE__CONNECTIONS", "RULEBOX_DATABASE__PLATFORM_CONNECTIONS"];
    let each = each.iter().map(|name| number(objects, "-api", name)).sum::<Option<u64>>();
    found.of(api, each.is_some(), "how many connections it makes is not said");
    let of_track = |name: &str| {
        let (replicas, surge) = named(name).map_or((0, 0), |api| most(objects, api));
        replicas + surge
    };
    let clients = each.unwrap_or_default() * (of_track("api") + of_track("api-canary"));
    let server = server(objects);
    if let Some(pooler) = named("pgbouncer") {
        let (poolers, more) = most(objects, pooler);
        let room = number(objects, "-pgbouncer", "max_client_conn").unwrap_or_default();
        // While a node is drained, the others have its clients.
        let room = room * poolers.saturating_sub(1);
        found.of(pooler, clients <= room, &format!("{clients} connections want room, of {room}"));
        let asked = number(objects, "-pgbouncer", "default_pool_size").unwrap_or_default() * 2 * (poolers + more);
        found.of(pooler, asked > 0, "it asks for no connections");
        let enough = server.is_none_or(|server| asked + FOR_OTHERS <= server);
        found.of(pooler, enough, &format!("it asks for {asked} connections of {server:?}"));
    } else {
        let enough = server.is_some_and(|server| clients + FOR_OTHERS <= server);
        found.of(api, enough, &format!("{clients} connections of {server:?}"));
    }
    for track in ["", "-canary"] {
        let Some(executor) = named(&format!("executor{track}")) else { continue };
        let taken = number(objects, &format!("-executor{track}"), "RULEBOX_EXECUTORS__CONNECTIONS");
        // Two of each API of its track while certificates change.
        let wanted = 2 * of_track(&format!("api{track}"));
        found.of(executor, taken >= Some(wanted), &format!("{wanted} connections of APIs, of {taken:?}"));
    }
}

/// Pods that `CloudNativePG` makes are held by what it is told.
fn clusters(objects: &[Value], found: &mut Found) {
    for cluster in of_kind(objects, "Cluster") {
        let spec = &cluster["spec"];
        let wants = wants(&spec["resources"]);
        found.of(
            cluster,
            wants.is_some_and(|[cpu, _, _]| cpu > 0),
            "requests of CPU and memory, and a limit of memory",
        );
        found.of(
            cluster,
            wants.is_some_and(|[_, requested, limit]| requested == limit),
            "its memory may be taken from it",
        );
        found.of(cluster, spec["instances"].as_u64() >= Some(3), "two instances agree on nothing");
        found.of(cluster, spec["enablePDB"] == true, "it has no budget of disruption");
        found.of(cluster, spec["enableSuperuserAccess"] == false, "there is a superuser's password");
        found.of(cluster, spec["seccompProfile"]["type"] == "RuntimeDefault", "its seccomp profile");
        found.of(cluster, spec["affinity"]["podAntiAffinityType"] == "required", "two instances on one node");
        let replicas = spec["postgresql"]["synchronous"]["number"].as_u64();
        found.of(cluster, replicas >= Some(1), "what was answered is on one machine");
        let volumes = [&spec["storage"], &spec["walStorage"]];
        found.of(
            cluster,
            volumes.iter().all(|volume| volume["size"].is_string()),
            "a full log fills the data's volume",
        );
        let stored = list(&spec["plugins"]).iter().any(|plugin| plugin["isWALArchiver"] == true);
        found.of(cluster, stored, "its log is archived nowhere");
        let scheduled =
            of_kind(objects, "ScheduledBackup").any(|it| it["spec"]["cluster"]["name"] == cluster["metadata"]["name"]);
        found.of(cluster, scheduled, "nothing makes its backups");
    }
}

#[test]
fn clusters_survive_a_machine() {
    const CLUSTER: &str = "Cluster rulebox-postgresql";
    holds_everywhere("clusters of PostgreSQL", clusters, 22);
    finds(
        clusters,
        &[
            broken("production", CLUSTER, "/spec/resources/limits", None, "a limit of memory"),
            broken("production", CLUSTER, "/spec/resources/limits/memory", json!("8Gi"), "may be taken"),
            broken("production", CLUSTER, "/spec/instances", json!(2), "agree on nothing"),
            broken("production", CLUSTER, "/spec/enablePDB", None, "no budget"),
            broken("production", CLUSTER, "/spec/enableSuperuserAccess", json!(true), "superuser's password"),
            broken("production", CLUSTER, "/spec/seccompProfile", None, "seccomp"),
            broken("production", CLUSTER, "/spec/affinity", None, "on one node"),
            broken("production", CLUSTER, "/spec/postgresql/synchronous", None, "on one machine"),
            broken("production", CLUSTER, "/spec/walStorage", None, "a full log"),
            broken("production", CLUSTER, "/spec/plugins", None, "archived nowhere"),
            broken("production", "ScheduledBackup rulebox-postgresql", "", None, "makes its backups"),
        ],
    );
}

#[test]
fn containers_say_what_they_need() {
    const AT: &str = "/spec/template/spec/containers/0/resources";
    const DUMP: &str = "/spec/jobTemplate/spec/template/spec/initContainers/0/resources";
    holds_everywhere("requests and limits", resources, 300);
    finds(
        resources,
        &[
            broken("default", "Job rulebox-migrate", format!("{AT}/limits"), None, "and a limit of memory"),
            broken("default", "Deployment rulebox-api", format!("{AT}/requests/cpu"), None, "requests of CPU"),
            broken("staging", "CronJob rulebox-backup", DUMP, None, "dump: requests"),
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{AT}/requests/memory"),
                json!("3Gi"),
                "more memory is requested",
            ),
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{AT}/limits/memory"),
                json!("32Gi"),
                "than the LimitRange",
            ),
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{AT}/requests/cpu"),
                json!("0m"),
                "nothing is requested",
            ),
            broken("default", "Deployment rulebox-api", format!("{AT}/limits/cpu"), json!("1"), "a limit of CPU"),
        ],
    );
}

#[test]
fn the_namespace_has_room_for_all_pods() {
    const HARD: &str = "/spec/hard";
    const QUOTA: &str = "ResourceQuota rulebox";
    holds_everywhere("quotas", quota, 70);
    finds(
        quota,
        &[
            broken("default", QUOTA, "", None, "0 quotas"),
            broken("default", QUOTA, format!("{HARD}/pods"), json!("300"), "no room for pods that end"),
            broken("default", QUOTA, format!("{HARD}/pods"), json!("100"), "of pods are wanted"),
            broken("small", QUOTA, format!("{HARD}/requests.cpu"), json!("1900m"), "of requests.cpu are wanted"),
            broken("small", QUOTA, format!("{HARD}/requests.memory"), json!("1Gi"), "of requests.memory are wanted"),
            broken("production", QUOTA, format!("{HARD}/limits.memory"), json!("9000Gi"), "bound nothing"),
            broken("production", QUOTA, format!("{HARD}/limits.memory"), None, "of limits.memory are wanted"),
            broken("production", QUOTA, format!("{HARD}/services.nodeports"), None, "go around"),
            broken("production", "Cluster rulebox-postgresql", "/spec/instances", json!(99), "are wanted"),
            broken("default", "HorizontalPodAutoscaler rulebox-api", "/spec/maxReplicas", json!(400), "are wanted"),
            broken(
                "default",
                "Deployment rulebox-api",
                "/spec/strategy/rollingUpdate/maxSurge",
                json!("400%"),
                "are wanted",
            ),
        ],
    );
}

#[test]
fn the_database_has_connections_for_all_pods() {
    const DATA: &str = "/data/RULEBOX_DATABASE__CONNECTIONS";
    const INI: &str = "/data/pgbouncer.ini";
    holds_everywhere("connections", connections, 20);
    let pooler = |size, clients| json!(format!("default_pool_size = {size}\nmax_client_conn = {clients}\n"));
    finds(
        connections,
        &[
            broken("default", "ConfigMap rulebox-api", DATA, json!("30"), "4000 connections want room, of 2000"),
            broken("default", "ConfigMap rulebox-api", DATA, None, "is not said"),
            broken("default", "Deployment rulebox-pgbouncer", "/spec/replicas", json!(2), "want room, of 1000"),
            broken("staging", "ConfigMap rulebox-pgbouncer", INI, pooler(60, 200), "it asks for 360 connections"),
            broken("production", "ConfigMap rulebox-pgbouncer", INI, pooler(60, 1500), "it asks for 480 connections"),
            broken("production", "ConfigMap rulebox-pgbouncer", INI, json!(""), "asks for no connections"),
            broken("small", "ConfigMap rulebox-api", DATA, json!("20"), "66 connections of Some(60)"),
            broken("canary", "ConfigMap rulebox-api", DATA, json!("11"), "3250 connections want room, of 3000"),
            broken(
                "canary",
                "ConfigMap rulebox-executor-canary",
                "/data/RULEBOX_EXECUTORS__CONNECTIONS",
                json!("200"),
                "Deployment rulebox-executor-canary: 250 connections of APIs",
            ),
            broken(
                "default",
                "ConfigMap rulebox-executor",
                "/data/RULEBOX_EXECUTORS__CONNECTIONS",
                json!("200"),
                "250 connections of APIs",
            ),
        ],
    );
}
