//! Who may talk to whom: all policies together, over all pods of the release.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{list, of_kind, pods, selects, text, with};

const PORTS: [u64; 13] = [80, 8080, 9090, 7443, 6432, 5432, 6379, 8000, 53, 443, 9187, 9121, 9127];

/// Whether a policy is for a pod: without labels, it is for all.
fn concerns(policy: &Value, pod: &Value) -> bool {
    let labels = &policy["podSelector"]["matchLabels"];
    labels.is_null() || selects(labels, pod)
}

/// Parts that are pods, each with what selects it, and the instances that its operator makes.
fn parts(objects: &[Value]) -> Vec<(String, Value)> {
    let own = pods(objects).map(|(_, template)| {
        let component = text(&template["metadata"]["labels"]["app.kubernetes.io/component"]);
        (component.to_owned(), template.clone())
    });
    let clusters = of_kind(objects, "Cluster").map(|cluster| {
        let labels = json!({"cnpg.io/cluster": cluster["metadata"]["name"]});
        ("postgresql".to_owned(), json!({"operator": true, "metadata": {"labels": labels}}))
    });
    own.chain(clusters).collect()
}

/// Whether policies let a pod connect (`Egress`), or be connected to (`Ingress`).
fn lets(objects: &[Value], direction: &str, pod: &Value, other: &Value, port: u64) -> bool {
    let (rules, peers) = if direction == "Egress" { ("egress", "to") } else { ("ingress", "from") };
    let mut policies = of_kind(objects, "NetworkPolicy")
        .map(|policy| &policy["spec"])
        .filter(|policy| concerns(policy, pod) && list(&policy["policyTypes"]).contains(&json!(direction)))
        .peekable();
    policies.peek().is_none()
        || policies.flat_map(|policy| list(&policy[rules])).any(|rule| {
            let open = rule["ports"].is_null() || list(&rule["ports"]).iter().any(|open| open["port"] == port);
            // No peers are all peers.
            let known = rule[peers].is_null()
                || list(&rule[peers]).iter().any(|peer| {
                    let everybody = peer["podSelector"] == json!({});
                    peer["namespaceSelector"].is_null()
                        && (everybody || selects(&peer["podSelector"]["matchLabels"], other))
                });
            open && known
        })
}

/// All connections that both sides' policies let through, as `FROM TO PORT`. What instances of the operator may is its.
fn let_through(objects: &[Value]) -> BTreeSet<String> {
    let parts = parts(objects);
    let mut through = BTreeSet::new();
    for (from, client) in parts.iter().filter(|(_, pod)| pod["operator"].is_null()) {
        for (to, server) in &parts {
            for port in PORTS {
                if lets(objects, "Egress", client, server, port) && lets(objects, "Ingress", server, client, port) {
                    through.insert(format!("{from} {to} {port}"));
                }
            }
        }
    }
    through
}

/// Whether a Redis is told to copy another.
fn copies(objects: &[Value], component: &str) -> bool {
    let config = of_kind(objects, "ConfigMap").find(|it| text(&it["metadata"]["name"]).ends_with(component));
    config.is_some_and(|config| text(&config["data"]["redis.conf"]).contains("\nreplicaof "))
}

/// Those that are meant, of the parts that are there.
fn meant(objects: &[Value]) -> BTreeSet<String> {
    let parts: BTreeSet<_> = parts(objects).into_iter().map(|(part, _)| part).collect();
    let tracks: &[&str] = if parts.contains("api-canary") { &["", "-canary"] } else { &[""] };
    let pooled = parts.contains("pgbouncer");
    let rows = [
        ("api", "executor", 7443, true),
        ("api", "pgbouncer", 6432, true),
        ("api", "postgresql", 5432, !pooled),
        ("api", "redis", 6379, true),
        // For when it has taken over.
        ("api", "redis-replica", 6379, true),
        ("redis-replica", "redis", 6379, copies(objects, "redis-replica")),
        ("redis", "redis-replica", 6379, copies(objects, "redis")),
        ("pgbouncer", "postgresql", 5432, true),
        ("migrate", "postgresql", 5432, true),
        ("migrate-install", "postgresql", 5432, true),
        ("backup", "postgresql", 5432, true),
        ("backup", "pgbouncer", 6432, true),
        // Whichever it is told to copy.
        ("redis-backup", "redis", 6379, true),
        ("redis-backup", "redis-replica", 6379, true),
        ("restore-test", "pgbouncer", 6432, true),
        ("restore-test", "postgresql", 5432, !pooled),
        ("first-tenant", "pgbouncer", 6432, true),
        ("first-tenant", "postgresql", 5432, !pooled),
        ("postgresql-exporter", "postgresql", 5432, true),
        ("redis-exporter", "redis", 6379, true),
        ("redis-exporter", "redis-replica", 6379, true),
        ("test", "api", 8080, true),
        ("test", "api", 9090, true),
    ];
    let there = rows.iter().filter(|(from, to, _, meant)| *meant && parts.contains(*from) && parts.contains(*to));
    // Each track of the service may what the other may, and neither reaches the other.
    let on = |part: &str, track: &str| match part {
        "api" | "executor" => format!("{part}{track}"),
        _ => part.to_owned(),
    };
    there
        .flat_map(|(from, to, port, _)| tracks.iter().map(move |it| format!("{} {} {port}", on(from, it), on(to, it))))
        .collect()
}

pub(crate) fn matrix(objects: &[Value], found: &mut Found) {
    let (through, meant) = (let_through(objects), meant(objects));
    let parts = parts(objects).len();
    found.checks += parts * parts * PORTS.len();
    found.faults.extend(through.difference(&meant).map(|row| format!("{row} is let through")));
    found.faults.extend(meant.difference(&through).map(|row| format!("{row} is not let through")));
}

/// Peers that copies of Redis may be taken from, beside the pods of this release.
fn foreign_stores(changes: &[&str]) -> usize {
    let objects = with("staging", changes);
    let policy =
        of_kind(&objects, "NetworkPolicy").find(|it| it["metadata"]["name"] == "rulebox-redis-backup").unwrap();
    let rules = list(&policy["spec"]["egress"]).iter().filter(|rule| rule["ports"][0]["port"] == 6379);
    rules
        .flat_map(|rule| list(&rule["to"]))
        .filter(|peer| **peer == json!({"ipBlock": {"cidr": "10.20.30.0/24"}}))
        .count()
}

#[test]
fn redis_is_copied_from_wherever_the_values_say() {
    let there = "networkPolicy.redis.to[0].ipBlock.cidr=10.20.30.0/24";
    for (host, expected) in [
        ("", 0),
        ("rulebox-redis", 0),
        ("rulebox-redis-replica", 0),
        ("rulebox-redis-replica-0.rulebox-redis-replica", 0),
        ("rulebox-redis.rulebox.svc.cluster.local", 0),
        ("redis-1.example.com", 1),
        ("rulebox-redis-of-others", 1),
    ] {
        let host_is = format!("redisBackup.host={host}");
        assert_eq!(foreign_stores(&[there, &host_is]), expected, "{host}");
    }
}

/// Whatever is not said is refused, in both directions, for every pod.
pub(crate) fn denied(objects: &[Value], found: &mut Found) {
    for (object, template) in pods(objects) {
        let mut directions = BTreeSet::new();
        for policy in of_kind(objects, "NetworkPolicy").map(|policy| &policy["spec"]) {
            if concerns(policy, template) && policy["ingress"].is_null() && policy["egress"].is_null() {
                directions.extend(list(&policy["policyTypes"]).iter().map(text));
            }
        }
        found.of(object, directions == BTreeSet::from(["Egress", "Ingress"]), &format!("refused is {directions:?}"));
    }
}

/// Rules name who and where: one without peers or ports is for all of them.
pub(crate) fn named(objects: &[Value], found: &mut Found) {
    for policy in of_kind(objects, "NetworkPolicy") {
        let spec = &policy["spec"];
        let component = text(&spec["podSelector"]["matchLabels"]["app.kubernetes.io/component"]);
        found.of(
            policy,
            spec["podSelector"]["matchExpressions"].is_null(),
            "expressions, which are not looked at here",
        );
        found.of(
            policy,
            !component.starts_with("executor") || spec["egress"] == json!([]),
            "executors connect to somebody",
        );
        for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
            for rule in list(&spec[rules]) {
                // What an operator adds by `networkPolicy.extraEgress` and `cloudnativepg.egress` is theirs.
                let whole = rule[peers] == json!([{"ipBlock": {"cidr": "10.0.0.2/32"}}]);
                found.of(policy, whole || !list(&rule["ports"]).is_empty(), &format!("{rules} at all ports"));
                found.of(policy, !list(&rule[peers]).is_empty(), &format!("{rules} for everybody"));
                for peer in list(&rule[peers]) {
                    let everybody = json!({});
                    let open = peer["podSelector"] == everybody || peer["namespaceSelector"] == everybody;
                    found.of(policy, !open, &format!("{rules} for all pods"));
                    let block = text(&peer["ipBlock"]["cidr"]);
                    let private = [
                        "10.0.0.0/8",
                        "172.16.0.0/12",
                        "192.168.0.0/16",
                        "169.254.0.0/16",
                        "100.64.0.0/10",
                        "127.0.0.0/8",
                    ];
                    let except = list(&peer["ipBlock"]["except"]);
                    let outside = private.iter().all(|network| except.contains(&json!(network)));
                    found.of(policy, !block.ends_with("/0") || outside, &format!("{rules} for private addresses"));
                    let web = list(&rule["ports"]).iter().all(|port| port["port"] == 443);
                    found.of(
                        policy,
                        !block.ends_with("/0") || (web && rules == "egress"),
                        &format!("{rules} for {block}"),
                    );
                }
            }
        }
    }
}

#[test]
fn pods_talk_to_those_they_must_and_to_no_other() {
    holds_everywhere("connections between parts", matrix, 2500);
}

#[test]
fn other_connections_are_found() {
    let all = json!({"policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}], "podSelector": {}});
    let all = json!({"kind": "NetworkPolicy", "metadata": {"name": "all"}, "spec": all});
    finds(
        matrix,
        &[
            broken("staging", "NetworkPolicy rulebox-api", "", all, "executor redis 6379 is let through"),
            broken("staging", "NetworkPolicy rulebox-api", "", None, "api executor 7443 is not let through"),
            broken(
                "small",
                "NetworkPolicy rulebox-postgresql",
                "/spec/ingress/0",
                None,
                "api postgresql 5432 is not let",
            ),
            broken(
                "production",
                "NetworkPolicy rulebox-postgresql",
                "/spec/ingress/0",
                None,
                "pgbouncer postgresql 5432 is not",
            ),
            broken("default", "NetworkPolicy rulebox-test", "/spec/egress/1/ports/1", None, "test api 9090 is not let"),
            broken(
                "staging",
                "NetworkPolicy rulebox-redis-backup",
                "/spec/egress/1/to/1",
                None,
                "redis-backup redis-replica 6379 is not let",
            ),
            broken(
                "staging",
                "NetworkPolicy rulebox-redis-replica",
                "/spec/ingress/0/from/1",
                None,
                "redis-backup redis-replica 6379 is not let",
            ),
            broken(
                "canary",
                "NetworkPolicy rulebox-pgbouncer",
                "/spec/ingress/0/from/1",
                None,
                "api-canary pgbouncer 6432",
            ),
            broken(
                "canary",
                "NetworkPolicy rulebox-executor-canary",
                "/spec/podSelector/matchLabels/app.kubernetes.io~1component",
                json!("executor"),
                "api-canary executor-canary 7443 is not let",
            ),
        ],
    );
}

#[test]
fn everything_else_is_refused() {
    const DENY: &str = "NetworkPolicy rulebox-default-deny";
    holds_everywhere("refused unless said", denied, 40);
    finds(
        denied,
        &[
            broken("default", DENY, "", None, "Deployment rulebox-executor: refused is {}"),
            broken("default", DENY, "/spec/policyTypes/1", None, "refused is {\"Ingress\"}"),
            broken("default", DENY, "/spec/egress", json!([{}]), "refused is {}"),
            broken("staging", DENY, "/spec/podSelector/matchLabels/app.kubernetes.io~1name", json!("x"), "CronJob"),
        ],
    );
}

/// Only the API reaches the internet, and with a proxy of webhooks not even that.
fn internet(objects: &[Value], found: &mut Found) {
    let proxied = of_kind(objects, "ConfigMap").any(|map| !map["data"]["RULEBOX_WEBHOOKS__PROXY"].is_null());
    for policy in of_kind(objects, "NetworkPolicy") {
        let component = text(&policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]);
        let rules = list(&policy["spec"]["egress"]);
        let mut peers = rules.iter().flat_map(|rule| list(&rule["to"]));
        let reaches = peers.any(|peer| text(&peer["ipBlock"]["cidr"]).ends_with("/0"));
        found.of(policy, !reaches || (component.starts_with("api") && !proxied), "the internet is reached");
    }
}

#[test]
fn nobody_but_the_api_reaches_the_internet_and_with_a_proxy_nobody_does() {
    const API: &str = "NetworkPolicy rulebox-api";
    holds_everywhere("egress to the internet", internet, 50);
    let block = json!({"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]});
    finds(
        internet,
        &[
            broken("production", API, "/spec/egress/-", block.clone(), "rulebox-api: the internet"),
            broken("default", "NetworkPolicy rulebox-pgbouncer", "/spec/egress/-", block, "the internet is reached"),
        ],
    );
}

#[test]
fn rules_name_who_and_where() {
    const API: &str = "NetworkPolicy rulebox-api";
    holds_everywhere("rules of policies", named, 500);
    let anywhere = json!([{"ipBlock": {"cidr": "0.0.0.0/0"}}]);
    let block = json!({"to": anywhere, "ports": [{"port": 443}]});
    let inwards = json!({"from": anywhere, "ports": [{"port": 443}]});
    finds(
        named,
        &[
            broken("default", "NetworkPolicy rulebox-executor", "/spec/egress/-", json!({}), "executors connect"),
            broken("default", API, "/spec/ingress/0/ports", None, "ingress at all ports"),
            broken("default", API, "/spec/ingress/0/from", None, "ingress for everybody"),
            broken("default", API, "/spec/ingress/0/from/-", json!({"namespaceSelector": {}}), "ingress for all pods"),
            broken("default", API, "/spec/egress/-", block, "egress for private addresses"),
            broken("default", API, "/spec/ingress/-", inwards, "ingress for 0.0.0.0/0"),
            broken("default", API, "/spec/podSelector/matchExpressions", json!([]), "expressions"),
        ],
    );
}
