//! Secrets: files from Secrets that are there already, and nowhere else.

use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{self, SETS, Set, containers, entries, list, of_kind, pods, read, text};

/// Settings that are secrets, as `rulebox serve --help` has them.
const SETTINGS: [&str; 9] = [
    "RULEBOX_MASTER_SECRET",
    "RULEBOX_PREVIOUS_MASTER_SECRET",
    "RULEBOX_DATABASE__URL",
    "RULEBOX_DATABASE__PLATFORM_URL",
    "RULEBOX_DATABASE__MIGRATE_URL",
    "RULEBOX_REDIS__URL",
    "RULEBOX_TELEMETRY__OTLP_HEADERS",
    "DATABASE_URL",
    "REDIS_URL",
];

pub(crate) fn kept(objects: &[Value], found: &mut Found) {
    for (object, template) in pods(objects) {
        let component = text(&template["metadata"]["labels"]["app.kubernetes.io/component"]);
        let executor = component.starts_with("executor");
        for container in containers(template) {
            for from in list(&container["envFrom"]) {
                found.of(object, from["secretRef"].is_null(), "variables are taken from a Secret");
            }
            for variable in list(&container["env"]) {
                let name = text(&variable["name"]);
                let plain = variable["value"].is_string() || variable["valueFrom"]["resourceFieldRef"].is_object();
                found.of(object, plain, &format!("{name} is from elsewhere"));
                found.of(object, !SETTINGS.contains(&name), &format!("{name} is a variable, not a file"));
                found.of(object, !is_credential(text(&variable["value"])), &format!("{name} holds a credential"));
                if let Some(setting) = name.strip_suffix("_FILE") {
                    found.of(object, !(executor && SETTINGS.contains(&setting)), "an executor has a secret");
                    let path = text(&variable["value"]);
                    let mounts = list(&container["volumeMounts"]).iter();
                    let mounted = path.starts_with("/vault/secrets/")
                        || mounts.into_iter().any(|mount| {
                            path.starts_with(&format!("{}/", text(&mount["mountPath"]))) && mount["readOnly"] == true
                        });
                    found.of(object, mounted, &format!("{path} is mounted nowhere, or not read-only"));
                }
            }
            for argument in list(&container["command"]).iter().chain(list(&container["args"])) {
                found.of(object, !is_credential(text(argument)), "an argument holds a credential");
            }
        }
        let volumes = list(&template["spec"]["volumes"]).iter().filter(|volume| volume["secret"].is_object());
        let secrets: Vec<_> = volumes.map(|volume| text(&volume["secret"]["secretName"])).collect();
        found.of(object, secrets.iter().all(|name| !name.is_empty()), "a Secret has no name");
        let track = component.trim_start_matches("executor");
        let own = secrets.iter().all(|name| name.ends_with(&format!("-executor{track}-tls"))) && secrets.len() == 1;
        found.of(object, !executor || own, &format!("an executor has {secrets:?}"));
        if object["kind"] == "Job" && text(&object["metadata"]["name"]).contains("-migrate") {
            continue;
        }
        // The login that owns the tables is the migrations' alone.
        let files = list(&template["spec"]["volumes"]).iter().flat_map(|volume| list(&volume["secret"]["items"]));
        found.of(object, files.into_iter().all(|item| item["key"] != "migrate-url"), "it has the owner's login");
    }
    for config in of_kind(objects, "ConfigMap") {
        for (name, value) in entries(&config["data"]) {
            found.of(config, !SETTINGS.contains(&name.trim_end_matches("_FILE")), &format!("{name} is a secret"));
            found.of(
                config,
                text(value).lines().all(|line| !is_credential(line)),
                &format!("{name} holds a credential"),
            );
        }
    }
}

/// Whether a text has a password in an address, or a key.
fn is_credential(text: &str) -> bool {
    let address = text.split("://").skip(1).any(|rest| {
        let host = rest.split(['/', ' ', '"']).next().unwrap_or_default();
        host.split_once('@').is_some_and(|(login, _)| login.contains(':'))
    });
    address || ["PRIVATE KEY", "requirepass ", "masterauth ", "Bearer "].iter().any(|word| text.contains(word))
}

/// Names of values that would hold a secret themselves, and texts that look like one.
fn in_values(values: &Value, path: &str, found: &mut Found) {
    match values {
        Value::Object(map) => {
            for (name, value) in map {
                let low = name.to_lowercase();
                let secret = ["password", "passwd", "token", "credential", "privatekey", "apikey"];
                let named = secret.iter().any(|word| low.contains(word)) && value.is_string();
                found.hold(!named, || format!("{path}.{name} is a secret among values"));
                in_values(value, &format!("{path}.{name}"), found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| in_values(value, path, found)),
        Value::String(text) => {
            let word =
                text.len() >= 20 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=_".contains(&byte));
            let mixed =
                text.bytes().any(|byte| byte.is_ascii_digit()) && text.bytes().any(|byte| byte.is_ascii_uppercase());
            found.hold(!(is_credential(text) || (word && mixed)), || format!("{path}: '{text}' looks like a secret"));
        }
        _ => {}
    }
}

/// Secrets that no `ExternalSecret` brings, by what `values.yaml` says of them: certificates and authorities.
const BY_HAND: [&str; 2] = ["-tls", "-ca"];

/// With External Secrets, each Secret that pods read is brought, or made by cert-manager, or by hand.
fn brought(objects: &[Value], found: &mut Found) {
    let targets: Vec<_> =
        of_kind(objects, "ExternalSecret").map(|it| text(&it["spec"]["target"]["name"]).to_owned()).collect();
    if targets.is_empty() {
        return;
    }
    let certificates = of_kind(objects, "Certificate").map(|it| text(&it["spec"]["secretName"]).to_owned());
    let there: Vec<_> = targets.iter().cloned().chain(certificates).collect();
    let mut read = Vec::new();
    for (object, template) in pods(objects) {
        for volume in list(&template["spec"]["volumes"]).iter().filter(|volume| volume["secret"].is_object()) {
            let name = text(&volume["secret"]["secretName"]);
            read.push(name);
            let by_hand = BY_HAND.iter().any(|end| name.ends_with(end));
            found.of(object, by_hand || there.iter().any(|it| it == name), &format!("nobody brings {name}"));
        }
    }
    for target in &targets {
        found.hold(read.contains(&target.as_str()), || format!("nobody reads {target}"));
    }
}

/// What is read at the start: a change must start pods anew.
pub(crate) fn rolled(objects: &[Value], found: &mut Found) {
    const READ_ONCE: [&str; 5] = ["api", "executor", "pgbouncer", "redis", "redis-replica"];
    for (object, template) in rendered::workloads(objects) {
        let sum = |name: &str| text(&template["metadata"]["annotations"][name]).len() == 64;
        found.of(object, sum("checksum/config"), "a changed ConfigMap is not noticed");
        let component = text(&template["metadata"]["labels"]["app.kubernetes.io/component"]);
        found.of(
            object,
            !READ_ONCE.contains(&component.trim_end_matches("-canary")) || sum("checksum/secrets"),
            "a changed Secret is not noticed",
        );
    }
}

#[test]
fn secrets_are_files() {
    holds_everywhere("secrets", kept, 1000);
}

#[test]
fn secrets_elsewhere_are_found() {
    const C: &str = "/spec/template/spec/containers/0";
    let from = json!({"name": "X", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}});
    let url = json!({"name": "X", "value": "postgresql://a:b@c/d"});
    let master = json!({"name": "RULEBOX_MASTER_SECRET", "value": "x"});
    let file = json!({"name": "RULEBOX_MASTER_SECRET_FILE", "value": "/run/rulebox/tls/x"});
    let gone = json!({"name": "RULEBOX_MASTER_SECRET_FILE", "value": "/run/x"});
    let volume = json!({"name": "x", "secret": {"secretName": "rulebox-api", "items": [{"key": "migrate-url"}]}});
    let env = format!("{C}/env/-");
    finds(
        kept,
        &[
            broken("default", "Deployment rulebox-api", env.clone(), from, "is from elsewhere"),
            broken("default", "Deployment rulebox-api", env.clone(), url, "X holds a credential"),
            broken("default", "Deployment rulebox-api", env.clone(), master, "is a variable"),
            broken("default", "Deployment rulebox-api", env.clone(), gone, "mounted nowhere"),
            broken("default", "Deployment rulebox-executor", env, file, "an executor has a secret"),
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{C}/envFrom/-"),
                json!({"secretRef": {}}),
                "from a Secret",
            ),
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{C}/args/-"),
                json!("--url=redis://:x@y"),
                "an argument",
            ),
            broken(
                "default",
                "Deployment rulebox-executor",
                "/spec/template/spec/volumes/-",
                volume.clone(),
                "an executor has [",
            ),
            broken("default", "Deployment rulebox-api", "/spec/template/spec/volumes/-", volume, "the owner's login"),
            broken("default", "ConfigMap rulebox-api", "/data/RULEBOX_REDIS__URL_FILE", json!("/x"), "is a secret"),
            broken(
                "staging",
                "ConfigMap rulebox-redis",
                "/data/redis.conf",
                json!("requirepass x"),
                "holds a credential",
            ),
        ],
    );
}

#[test]
fn external_secrets_bring_all_that_pods_read() {
    holds_everywhere("brought by External Secrets", brought, 20);
    finds(
        brought,
        &[
            broken(
                "options",
                "ExternalSecret rb-pgbouncer-exporter",
                "",
                None,
                "nobody brings rulebox-pgbouncer-exporter",
            ),
            broken("options", "ExternalSecret rb-restore-test", "", None, "nobody brings rulebox-restore-identity"),
            broken("options", "ExternalSecret rb-redis-exporter", "/spec/target/name", json!("x"), "nobody reads x"),
        ],
    );
    // All parts that have a Secret.
    let entry = |name: &str| format!("externalSecrets.keys.{name}=a");
    let names = ["api", "migrate", "pgbouncer", "backup", "postgresql", "redis", "redisBackup", "restoreTest"];
    let exporters = ["postgresql", "redis", "pgbouncer"];
    let mut changes: Vec<_> = names.into_iter().map(entry).collect();
    for store in exporters {
        changes.push(entry(&format!("{store}Exporter")));
        changes.push(format!("monitoring.exporters.{store}.enabled=true"));
    }
    let more = ["externalSecrets.enabled=true", "externalSecrets.secretStoreRef.name=a", "redisBackup.enabled=true"];
    changes.extend(more.map(str::to_owned));
    changes.extend(["redisBackup.existingClaim=b", "restoreTest.enabled=true"].map(str::to_owned));
    changes.push("restoreTest.identitySecret=c".to_owned());
    let objects = rendered::with("staging", &changes.iter().map(String::as_str).collect::<Vec<_>>());
    let mut found = Found::default();
    brought(&objects, &mut found);
    assert_eq!(found.faults, Vec::<String>::new());
    assert_eq!(of_kind(&objects, "ExternalSecret").count(), names.len() + exporters.len());
}

#[test]
fn no_values_hold_a_secret() {
    let mut found = Found::default();
    let own = rendered::chart().join("values.yaml");
    for file in SETS.iter().flat_map(Set::files).chain([own]) {
        in_values(&read(&file), &file.file_name().unwrap().to_string_lossy(), &mut found);
    }
    println!("values: {} checks", found.checks);
    assert_eq!(found.faults, Vec::<String>::new());
    assert!(found.checks > 600, "{}", found.checks);
    for bad in [
        json!({"a": {"adminPassword": "x"}}),
        json!({"a": [{"token": ""}]}),
        json!({"a": "rediss://:x@y"}),
        json!({"a": "mR3a9Lq0vT7yKx2Zb8Nw"}),
    ] {
        let mut found = Found::default();
        in_values(&bad, "", &mut found);
        assert_eq!(found.faults.len(), 1, "{bad}");
    }
}

#[test]
fn changes_start_pods_anew() {
    const SUMS: &str = "/spec/template/metadata/annotations";
    holds_everywhere("checksums", rolled, 60);
    finds(
        rolled,
        &[
            broken("default", "Deployment rulebox-api", format!("{SUMS}/checksum~1config"), None, "changed ConfigMap"),
            broken(
                "default",
                "Deployment rulebox-pgbouncer",
                format!("{SUMS}/checksum~1secrets"),
                json!(""),
                "changed Secret",
            ),
        ],
    );
}
