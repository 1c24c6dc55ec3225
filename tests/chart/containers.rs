//! Every pod and every container: the level "restricted" of Pod Security, and more.

use serde_json::{Value, json};

use crate::found::{Found, broken, finds, holds_everywhere};
use crate::rendered::{containers, entries, list, pods, text};

/// Numbers below are the systems' own users.
const LEAST_USER: u64 = 10_000;

/// Volumes that a container of the release need not mount: the token is for the agent that Vault's injector adds.
const FOR_OTHERS: &[&str] = &["vault-token"];

pub(crate) fn confined(objects: &[Value], found: &mut Found) {
    for (object, template) in pods(objects) {
        let spec = &template["spec"];
        let context = &spec["securityContext"];
        found.of(object, context["runAsNonRoot"] == true, "the pod may run as root");
        found.of(object, is_user(&context["runAsUser"]), "the pod's user is not 10000 or more");
        found.of(object, is_user(&context["runAsGroup"]), "the pod's group is not 10000 or more");
        found.of(object, is_user(&context["fsGroup"]), "the pod's group of files is not 10000 or more");
        found.of(object, context["seccompProfile"] == json!({"type": "RuntimeDefault"}), "the pod's seccomp profile");
        for name in ["hostNetwork", "hostPID", "hostIPC", "hostUsers", "shareProcessNamespace"] {
            found.of(object, spec[name].is_null() || spec[name] == false, &format!("it has {name}"));
        }
        found.of(object, spec["ephemeralContainers"].is_null(), "it has ephemeral containers");
        for container in containers(template) {
            let name = text(&container["name"]);
            let mut of = |holds: bool, fault: &str| found.of(object, holds, &format!("{name}: {fault}"));
            let context = &container["securityContext"];
            of(context["runAsNonRoot"] == true, "may run as root");
            of(is_user(&context["runAsUser"]), "its user is not 10000 or more");
            of(is_user(&context["runAsGroup"]), "its group is not 10000 or more");
            of(context["seccompProfile"] == json!({"type": "RuntimeDefault"}), "its seccomp profile");
            of(context["allowPrivilegeEscalation"] == false, "may escalate its privileges");
            of(context["privileged"] != true, "is privileged");
            of(context["capabilities"] == json!({"drop": ["ALL"]}), "keeps capabilities");
            of(context["readOnlyRootFilesystem"] == true, "writes to its root");
            of(context["procMount"].is_null(), "has another /proc");
            of(list(&container["ports"]).iter().all(|port| port["hostPort"].is_null()), "has a port of its node");
        }
    }
}

fn is_user(value: &Value) -> bool {
    value.as_u64().is_some_and(|user| user >= LEAST_USER)
}

/// Secrets of which files are taken as they are there: the login for backups may be missing, and which files a program wants
/// that copies away is its own.
const WHOLE: [&str; 2] = ["passwords", "upload"];

pub(crate) fn volumes(objects: &[Value], found: &mut Found) {
    const KINDS: [&str; 5] = ["configMap", "secret", "emptyDir", "projected", "persistentVolumeClaim"];
    for (object, template) in pods(objects) {
        let mut names: Vec<_> = list(&template["spec"]["volumes"]).iter().map(|volume| text(&volume["name"])).collect();
        let claims = list(&object["spec"]["volumeClaimTemplates"]).iter();
        names.extend(claims.map(|claim| text(&claim["metadata"]["name"])));
        for volume in list(&template["spec"]["volumes"]) {
            let name = text(&volume["name"]);
            let kinds: Vec<_> = entries(volume).map(|(key, _)| key).filter(|key| *key != "name").collect();
            found.of(
                object,
                kinds.len() == 1 && KINDS.contains(&kinds.concat().as_str()),
                &format!("{name}: {kinds:?}"),
            );
            if let Some(empty) = volume.get("emptyDir") {
                found.of(object, !text(&empty["sizeLimit"]).is_empty(), &format!("{name} may fill its node"));
            }
            if let Some(secret) = volume.get("secret") {
                // The Secret of an authority may have its private key beside the certificate.
                let chosen = !list(&secret["items"]).is_empty() || WHOLE.contains(&name);
                found.of(object, chosen, &format!("{name}: all of a Secret"));
            }
            for kind in ["configMap", "secret", "projected"] {
                if let Some(files) = volume.get(kind) {
                    let mode = files["defaultMode"].as_u64();
                    let most = if kind == "configMap" { 0o555 } else { 0o444 };
                    found.of(object, mode.is_some_and(|mode| mode & !most == 0), &format!("{name}: mode {mode:?}"));
                }
            }
            let mounts = containers(template).flat_map(|container| list(&container["volumeMounts"]));
            let mounted = mounts.into_iter().any(|mount| mount["name"] == name);
            found.of(object, mounted != FOR_OTHERS.contains(&name), &format!("{name}: mounted {mounted}"));
            // Whoever connects checks what it connects to.
            let everywhere =
                containers(template).all(|it| list(&it["volumeMounts"]).iter().any(|mount| mount["name"] == name));
            found.of(object, everywhere || !name.ends_with("-ca"), &format!("{name}: a container goes without"));
        }
        for container in containers(template) {
            for mount in list(&container["volumeMounts"]) {
                let name = text(&mount["name"]);
                found.of(object, names.contains(&name), &format!("there is no volume {name}"));
            }
        }
    }
}

pub(crate) fn images(objects: &[Value], found: &mut Found) {
    for (object, template) in pods(objects) {
        for container in containers(template) {
            let image = text(&container["image"]);
            found.of(object, is_fixed(image), &format!("the image {image} moves"));
            let pull = &container["imagePullPolicy"];
            found.of(object, pull == "IfNotPresent", &format!("{image} is pulled {pull}"));
        }
    }
}

/// Whether an image goes by its digest, or by a tag that names a version.
fn is_fixed(image: &str) -> bool {
    if let Some((_, digest)) = image.split_once("@sha256:") {
        return digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split_once(':')
        .is_some_and(|(_, tag)| tag.bytes().any(|byte| byte.is_ascii_digit()) && !tag.contains("latest"))
}

#[test]
fn pods_are_confined() {
    holds_everywhere("confinement of pods and containers", confined, 800);
}

#[test]
fn what_is_not_confined_is_found() {
    const POD: &str = "/spec/template/spec/securityContext";
    const API: &str = "/spec/template/spec/containers/0/securityContext";
    const BACKUP: &str = "/spec/jobTemplate/spec/template/spec/initContainers/0/securityContext/capabilities";
    let dump = json!({"drop": ["ALL"], "add": ["CHOWN"]});
    let unconfined = json!({"type": "Unconfined"});
    finds(
        confined,
        &[
            broken("default", "Deployment rulebox-api", format!("{POD}/runAsNonRoot"), None, "the pod may run as root"),
            broken("default", "Deployment rulebox-executor", format!("{POD}/runAsUser"), json!(999), "the pod's user"),
            broken("staging", "StatefulSet rulebox-redis", format!("{POD}/runAsGroup"), json!(0), "the pod's group is"),
            broken("staging", "StatefulSet rulebox-redis", format!("{POD}/fsGroup"), None, "group of files"),
            broken(
                "small",
                "Deployment rulebox-api",
                format!("{POD}/seccompProfile"),
                unconfined.clone(),
                "pod's seccomp",
            ),
            broken("small", "Deployment rulebox-api", "/spec/template/spec/hostNetwork", json!(true), "hostNetwork"),
            broken(
                "default",
                "Job rulebox-migrate",
                format!("{API}/runAsNonRoot"),
                json!(false),
                "migrate: may run as root",
            ),
            broken("default", "Job rulebox-migrate", format!("{API}/runAsUser"), json!("10001"), "migrate: its user"),
            broken("vault", "Job rulebox-first-tenant-1", format!("{API}/runAsGroup"), json!(1), "its group"),
            broken("vault", "Job rulebox-first-tenant-1", format!("{API}/seccompProfile"), None, "its seccomp"),
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{API}/allowPrivilegeEscalation"),
                None,
                "may escalate",
            ),
            broken("default", "Deployment rulebox-api", format!("{API}/privileged"), json!(true), "is privileged"),
            broken(
                "default",
                "Deployment rulebox-api",
                format!("{API}/readOnlyRootFilesystem"),
                None,
                "writes to its root",
            ),
            broken("default", "Deployment rulebox-api", format!("{API}/procMount"), json!("Unmasked"), "/proc"),
            broken("production", "CronJob rulebox-backup", BACKUP, dump, "dump: keeps capabilities"),
            broken(
                "default",
                "Pod rulebox-test-health",
                "/spec/containers/1/ports",
                json!([{"hostPort": 1}]),
                "port of its node",
            ),
        ],
    );
}

#[test]
fn volumes_are_bounded_and_used() {
    holds_everywhere("volumes", volumes, 300);
}

#[test]
fn volumes_that_are_not_are_found() {
    const VOLUMES: &str = "/spec/template/spec/volumes/-";
    let rows = [
        (json!({"name": "x", "hostPath": {"path": "/"}}), "x: [\"hostPath\"]"),
        (json!({"name": "x", "emptyDir": {}}), "may fill its node"),
        (json!({"name": "x", "emptyDir": {"sizeLimit": "1Mi"}}), "x: mounted false"),
        (json!({"name": "x", "secret": {"secretName": "s", "defaultMode": 0o440}}), "x: mounted false"),
        (json!({"name": "x", "secret": {"secretName": "s"}}), "mode None"),
        (json!({"name": "x", "secret": {"secretName": "s"}}), "x: all of a Secret"),
        (json!({"name": "x-ca", "secret": {"secretName": "s"}}), "x-ca: a container goes without"),
        (json!({"name": "x", "secret": {"secretName": "s", "defaultMode": 0o755}}), "mode Some(493)"),
    ];
    let rows = rows.map(|(volume, says)| broken("default", "Deployment rulebox-api", VOLUMES, volume, says));
    finds(volumes, &rows);
    let mount = json!({"name": "vault-token", "mountPath": "/x"});
    let at = "/spec/template/spec/containers/0/volumeMounts/-";
    finds(volumes, &[broken("vault", "Deployment rulebox-api", at, mount, "vault-token: mounted true")]);
    finds(volumes, &[broken("default", "Deployment rulebox-api", at, json!({"name": "gone"}), "no volume gone")]);
}

#[test]
fn images_are_fixed() {
    holds_everywhere("images", images, 100);
}

#[test]
fn images_that_move_are_found() {
    const CONTAINER: &str = "/spec/template/spec/containers/0";
    for image in ["a/b", "a/b:latest", "h:5000/a/b", "a@sha256:12", "a/b:stable", "a:1.2-latest"] {
        assert!(!is_fixed(image), "{image}");
    }
    for image in ["a/b:1.2.3", "h:5000/a/b:v2", &format!("a@sha256:{}", "0".repeat(64))] {
        assert!(is_fixed(image), "{image}");
    }
    finds(
        images,
        &[
            broken("small", "StatefulSet rulebox-redis", format!("{CONTAINER}/image"), json!("redis"), "redis moves"),
            broken(
                "small",
                "StatefulSet rulebox-redis",
                format!("{CONTAINER}/imagePullPolicy"),
                json!("Always"),
                "pulled",
            ),
        ],
    );
}
