//! What the pods are given really runs: stores, pooler, service and a backup, each with the files, arguments and variables
//! of its container, at other addresses.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rulebox_tests::servers::authority::Authority;
use rulebox_tests::servers::postgres::{Postgres, other_user};
use rulebox_tests::servers::{Guarded, free_port, wait_until};
use rulebox_tests::tools::{run, tried};
use rulebox_tests::{Executor, Server, binary};
use serde_json::Value;
use tempfile::TempDir;

use crate::rendered::{all, containers, entries, list, of_kind, one, pods, text, with};

const PASSWORD: &str = "4f0c9a77d2e14b6f8a3e";
/// Of the user who copies Redis.
const COPIES: &str = "0b6a2c1f9d3e47a58c21";

/// A directory in the place of a container's, and what is elsewhere.
struct Place {
    directory: TempDir,
    /// What the containers' files and variables name, and what it is here.
    instead: Vec<(String, String)>,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut place = Self { directory, instead: Vec::new() };
        for (path, name) in [
            ("/run/rulebox/secrets", "secrets"),
            ("/vault/secrets", "secrets"),
            ("/run/rulebox/postgresql", "passwords"),
            ("/opt/rulebox/postgresql", "postgresql"),
            ("/run/pgbouncer/userlist", "pgbouncer"),
            ("/run/pgbouncer/server-tls", "server-tls"),
            ("/run/pgbouncer/client-tls", "client-tls"),
            ("/run/rulebox/tls", "tls"),
            ("/run/redis/auth", "redis"),
            ("/opt/rulebox/backup", "scripts"),
            ("/run/rulebox/backup", "login"),
            ("/backups", "backups"),
            ("/var/cache/rulebox", "cache"),
            ("/etc/rulebox", "config"),
            ("/var/lib/rulebox-postgresql", "store"),
        ] {
            fs::create_dir_all(place.at(name)).unwrap();
            place.instead.push((path.to_owned(), place.at(name).display().to_string()));
        }
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A text of a container, for here.
    fn here(&self, text: &str) -> String {
        self.instead.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    /// Files of a `ConfigMap`.
    fn lay_out(&self, objects: &[Value], config: &str, folder: &str) {
        for (name, value) in entries(&data(objects, config)) {
            self.write(&format!("{folder}/{name}"), &self.here(text(value)));
        }
    }

    /// Variables of a container, and of the `ConfigMap` that it takes them from.
    fn variables(&self, objects: &[Value], container: &Value) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for from in list(&container["envFrom"]) {
            for (name, value) in entries(&data(objects, text(&from["configMapRef"]["name"]))) {
                variables.insert(name.to_owned(), self.here(text(value)));
            }
        }
        for variable in list(&container["env"]) {
            // Of what is requested: one CPU, here.
            let value = variable["value"].as_str().unwrap_or("1");
            variables.insert(text(&variable["name"]).to_owned(), self.here(value));
        }
        variables
    }

    /// `rulebox` as a container runs it.
    fn rulebox(&self, objects: &[Value], container: &Value) -> Command {
        let mut command = Command::new(binary());
        command.env_clear().envs(self.variables(objects, container)).args(list(&container["args"]).iter().map(text));
        command
    }
}

fn data(objects: &[Value], config: &str) -> Value {
    of_kind(objects, "ConfigMap").find(|it| it["metadata"]["name"] == config).unwrap()["data"].clone()
}

fn container<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    let mut all = pods(objects).flat_map(|(_, template)| containers(template));
    all.find(|container| container["name"] == name).unwrap_or_else(|| panic!("there is no container {name}"))
}

/// The server as the release makes it, up to its logins; each parameter of all renderings is one that it knows.
fn postgresql(place: &mut Place, objects: &[Value]) -> Postgres {
    let server = Postgres::start();
    let mut parameters = 0;
    for rendered in all() {
        let servers = pods(&rendered.objects).flat_map(|(_, template)| containers(template));
        let servers = servers.filter(|container| container["name"] == "postgresql");
        let arguments = servers.flat_map(|server| list(&server["args"])).filter_map(|it| text(it).split_once('='));
        let arguments = arguments.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let clusters =
            of_kind(&rendered.objects, "Cluster").flat_map(|it| entries(&it["spec"]["postgresql"]["parameters"]));
        let clusters = clusters.map(|(name, value)| (name.to_owned(), text(value).to_owned()));
        for (name, value) in arguments.chain(clusters) {
            server.psql("postgres", &format!("alter system set {name} = '{value}'"));
            parameters += 1;
        }
    }
    println!("PostgreSQL takes {parameters} parameters of {} renderings", all().len());
    place.lay_out(objects, "rulebox-postgresql", "postgresql");
    let superuser = server.superuser();
    let own = superuser.iter().find(|(name, _)| *name == "PGPASSWORD").unwrap();
    place.write("passwords/superuser-password", &own.1);
    for login in ["owner", "service", "platform", "backup"] {
        place.write(&format!("passwords/{login}-password"), PASSWORD);
    }
    let variables = place.variables(objects, container(objects, "postgresql"));
    run(Command::new("sh").arg(place.at("postgresql/init.sh")).envs(variables).envs(superuser));
    place
        .instead
        .push(("host=rulebox-postgresql port=5432".to_owned(), format!("host=127.0.0.1 port={}", server.port())));
    server
}

/// An executable script.
fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\nset -eu\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_database_that_was_half_made_is_made_anew() {
    let place = Place::new();
    let staging = &one("staging").objects;
    let server = container(staging, "postgresql");
    place.lay_out(staging, "rulebox-postgresql", "postgresql");
    fs::create_dir(place.at("bin")).unwrap();
    // As the image's does: what has a version is a database, and is not looked into.
    let image = "test -s \"$PGDATA/PG_VERSION\" && exit; mkdir \"$PGDATA\"; echo 18 >\"$PGDATA/PG_VERSION\"\n\
                 echo \"$*\" >>\"$PGDATA/../made\"; sh \"$INIT\"";
    script(&place.at("bin/docker-entrypoint.sh"), image);
    let path = format!("{}:{}", place.at("bin").display(), std::env::var("PATH").unwrap());
    let start = || {
        let mut words = list(&server["command"]).iter().chain(list(&server["args"])).map(|it| place.here(text(it)));
        let mut command = Command::new(words.next().unwrap());
        command.args(words).envs(place.variables(staging, server)).env("PATH", &path);
        let (output, said) = tried(command.env("INIT", place.at("postgresql/init.sh")));
        let made = fs::read_to_string(place.at("store/made")).unwrap();
        assert!(made.lines().all(|line| line.starts_with("postgres -c max_connections=")), "{made}");
        (output.status.success(), said, made.lines().count())
    };
    for login in ["superuser", "owner", "service", "backup"] {
        place.write(&format!("passwords/{login}-password"), PASSWORD);
    }
    place.write("passwords/platform-password", "");
    script(&place.at("bin/psql"), "exit 0");
    let (whole, said, made) = start();
    assert!(!whole && said.contains("no platform-password") && made == 1, "{said}");
    // Cut off in the middle.
    place.write("passwords/platform-password", PASSWORD);
    script(&place.at("bin/psql"), "kill -KILL $PPID");
    let (whole, said, made) = start();
    assert!(!whole && made == 2, "{said}");
    script(&place.at("bin/psql"), "exit 0");
    let (whole, said, made) = start();
    assert!(whole && made == 3, "{said}");
    // Whole, it stays.
    place.write("store/data/rows", "kept");
    let (whole, said, made) = start();
    assert!(whole && made == 3 && place.at("store/data/rows").exists(), "{said}");
}

/// A pooler with the settings of a `ConfigMap`.
fn pgbouncer(place: &Place, settings: &str) -> (Guarded, u16) {
    let port = free_port();
    let settings = place.here(settings).replace("listen_addr = *", "listen_addr = 127.0.0.1");
    let settings = settings.replace("listen_port = 6432", &format!("listen_port = {port}"));
    assert!(settings.contains(&port.to_string()) && !settings.contains("/run/"), "{settings}");
    place.write("pgbouncer.ini", &settings);
    let list = ["rulebox_service", "rulebox_review"].map(|login| format!("\"{login}\" \"{PASSWORD}\"\n"));
    place.write("pgbouncer/userlist.txt", &list.concat());
    let mut command = Command::new("pgbouncer");
    command.arg(place.at("pgbouncer.ini")).current_dir(place.directory.path());
    let mut process = Guarded::spawn_as(&command, other_user(), "KILL");
    wait_until(&mut process, "pgbouncer", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    (process, port)
}

/// Redis with a `ConfigMap`'s settings, and what `redis-cli` is told to reach it.
fn redis(place: &Place, objects: &[Value], config: &str, primary: u16) -> (Guarded, u16) {
    let port = free_port();
    let settings = place.here(text(&data(objects, config)["redis.conf"]));
    let settings = settings.replace("bind * -::*", "bind 127.0.0.1").replace("port 6379", &format!("port {port}"));
    let settings = settings.replace("replicaof rulebox-redis 6379", &format!("replicaof 127.0.0.1 {primary}"));
    let folder = place.at(&format!("{config}-data"));
    fs::create_dir_all(&folder).unwrap();
    let settings = settings.replace("dir /data", &format!("dir {}", folder.display()));
    // With the user of copies, as the README makes it.
    let readme = fs::read_to_string(rulebox_tests::root().join("deploy/chart/README.md")).unwrap();
    let line = readme.lines().find_map(|line| line.trim().strip_prefix("\"user backup ")).unwrap();
    let user = line.split('"').next().unwrap().replace("$copies", COPIES);
    place.write("redis/auth.conf", &format!("requirepass {PASSWORD}\nmasterauth {PASSWORD}\nuser backup {user}\n"));
    let file = format!("{config}.conf");
    place.write(&file, &settings);
    let mut process = Guarded::spawn(Command::new("redis-server").arg(place.at(&file)));
    wait_until(&mut process, "redis-server", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    (process, port)
}

fn ask(port: u16, words: &[&str]) -> String {
    let mut command = Command::new("redis-cli");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]).env("REDISCLI_AUTH", PASSWORD);
    run(command.args(words))
}

fn secrets(place: &Place, server: u16, pooler: u16, redis: u16) {
    let url = |login: &str, port: u16| format!("postgresql://{login}:{PASSWORD}@127.0.0.1:{port}/rulebox");
    place.write("secrets/migrate-url", &url("rulebox_owner", server));
    place.write("secrets/database-url", &url("rulebox_service", pooler));
    place.write("secrets/platform-url", &url("rulebox_review", pooler));
    place.write("secrets/redis-url", &format!("redis://:{PASSWORD}@127.0.0.1:{redis}"));
    place.write("secrets/master-secret", "a master secret of tests, long enough for one");
    place.write("secrets/previous-master-secret", "the master secret before it, as long as that one");
    place.write("secrets/otlp-headers", "authorization: Bearer x");
    let login = format!("[rulebox]\nhost=127.0.0.1\nport={server}\nuser=rulebox_backup\npassword={PASSWORD}\n");
    place.write("login/pg_service.conf", &login);
}

#[test]
fn stores_service_and_backup_run_with_what_their_pods_are_given() {
    let mut place = Place::new();
    let staging = &one("staging").objects;
    let server = postgresql(&mut place, staging);
    let (_pooler, pooler) = pgbouncer(&place, text(&data(staging, "rulebox-pgbouncer")["pgbouncer.ini"]));
    let (_redis, redis) = redis(&place, staging, "rulebox-redis", 0);
    secrets(&place, server.port(), pooler, redis);
    run(&mut place.rulebox(staging, container(staging, "migrate")));

    // A first install of a small one: it does everything, makes the first key, and answers what `helm test` asks.
    let small = &one("small").objects;
    let mut settings = place.variables(small, container(small, "api"));
    for (name, value) in [("RULEBOX_API__LISTEN", "127.0.0.1:0"), ("RULEBOX_HEALTH__LISTEN", "127.0.0.1:0")] {
        settings.insert(name.to_owned(), value.to_owned());
    }
    settings.insert("RULEBOX_DATA_DIR".to_owned(), place.at("data").display().to_string());
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let arguments: Vec<_> = list(&container(small, "api")["args"]).iter().skip(1).map(text).collect();
    let service = Server::try_start_with(&place.at("data"), &arguments, &settings).unwrap();
    assert!(service.key.is_some());
    for url in [format!("{}/readyz", service.health), format!("{}/openapi.json", service.api)] {
        assert!(reqwest::blocking::get(&url).unwrap().status().is_success(), "{url}");
    }
    drop(service);
    isolated(&place, staging);

    // The settings of the API and of executors in every rendering are ones that the service takes.
    let mut taken = 0;
    for rendered in all() {
        let objects = &rendered.objects;
        if let Some(config) = of_kind(objects, "ConfigMap").find(|it| it["data"]["rulebox.toml"].is_string()) {
            place.write("config/rulebox.toml", text(&config["data"]["rulebox.toml"]));
        }
        let secrets = place.variables(staging, container(staging, "record"));
        for name in ["api", "executor"] {
            if pods(objects).flat_map(|(_, template)| containers(template)).any(|it| it["name"] == name) {
                let mut command = Command::new(binary());
                command.env_clear().envs(&secrets).envs(place.variables(objects, container(objects, name)));
                run(command.args(["tenant", "list"]));
                taken += 1;
            }
        }
    }
    let vault = &one("vault").objects;
    // It may run again: a try whose answer was lost, an upgrade.
    for _ in 0..2 {
        run(&mut place.rulebox(vault, container(vault, "first-tenant")));
    }
    println!("the service takes the settings of {taken} containers");
    assert_eq!(taken, 15);

    place.lay_out(staging, "rulebox-backup", "scripts");
    let dump = container(staging, "dump");
    let mut words = list(&dump["command"]).iter().chain(list(&dump["args"])).map(|word| place.here(text(word)));
    let mut command = Command::new(words.next().unwrap());
    run(command.args(words).envs(place.variables(staging, dump)));
    let made = fs::read_dir(place.at("backups")).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("rulebox-2")
    });
    assert_eq!(made.count(), 1);
    run(&mut place.rulebox(staging, container(staging, "record")));
}

/// An API and an executor, each with its container's settings, find each other over mutual TLS.
fn isolated(place: &Place, objects: &[Value]) {
    let authority = Authority::new();
    fs::copy(authority.certificate(), place.at("tls/ca.crt")).unwrap();
    let identity = authority.identify(&place.at("tls"));
    fs::rename(identity.certificate, place.at("tls/tls.crt")).unwrap();
    fs::rename(identity.key, place.at("tls/tls.key")).unwrap();
    let port = free_port();
    let here = [
        ("RULEBOX_API__LISTEN", "127.0.0.1:0".to_owned()),
        ("RULEBOX_HEALTH__LISTEN", "127.0.0.1:0".to_owned()),
        ("RULEBOX_EXECUTORS__ADDRESSES", format!("https://localhost:{port}")),
        ("RULEBOX_DATA_DIR", place.at("data").display().to_string()),
    ];
    let of = |name: &str, instead: &[(&str, String)]| {
        let mut settings = place.variables(objects, container(objects, name));
        settings.extend(instead.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        settings
    };
    let listen = format!("127.0.0.1:{port}");
    let executor = of(
        "executor",
        &[("RULEBOX_HEALTH__LISTEN", "127.0.0.1:0".to_owned()), ("RULEBOX_EXECUTORS__LISTEN", listen.clone())],
    );
    let executor: Vec<_> = executor.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let _executor = Executor::start(&listen, &executor);
    let api = of("api", &here);
    let api: Vec<_> = api.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let service = Server::try_start_with(&place.at("data"), &["--role", "api"], &api).unwrap();
    let began = std::time::Instant::now();
    let mut said = String::new();
    while !said.contains("[+] executors") {
        assert!(began.elapsed().as_secs() < 30, "the API has not found the executor: {said}");
        said = reqwest::blocking::get(format!("{}/readyz?verbose", service.health)).unwrap().text().unwrap();
    }
}

#[test]
fn every_pooler_starts_with_its_settings() {
    let place = Place::new();
    let authority = Authority::new();
    fs::copy(authority.certificate(), place.at("server-tls/ca.crt")).unwrap();
    let identity = authority.identify(&place.at("client-tls"));
    fs::rename(identity.certificate, place.at("client-tls/tls.crt")).unwrap();
    fs::rename(identity.key, place.at("client-tls/tls.key")).unwrap();
    let mut started = 0;
    for rendered in all() {
        for settings in of_kind(&rendered.objects, "ConfigMap").filter_map(|it| it["data"]["pgbouncer.ini"].as_str()) {
            let (mut process, _) = pgbouncer(&place, settings);
            process.kill();
            started += 1;
        }
    }
    println!("{started} poolers start with their settings");
    assert_eq!(started, 7);
}

#[test]
fn redis_and_its_copy_run_with_what_their_pods_are_given() {
    let place = Place::new();
    let staging = &one("staging").objects;
    let (gone, primary) = redis(&place, staging, "rulebox-redis", 0);
    let (copying, copy) = redis(&place, staging, "rulebox-redis-replica", primary);
    for (name, value) in [("maxmemory-policy", "noeviction"), ("appendonly", "yes"), ("appendfsync", "everysec")] {
        assert!(ask(primary, &["config", "get", name]).contains(value), "{name}");
    }
    ask(primary, &["set", "a", "b"]);
    follows(copy, "b");
    is_copied(&place, staging, primary);
    // The primary is gone for good, and the copy takes over, with what it has: as README.md says.
    drop(gone);
    drop(copying);
    let over = |replicas| with("staging", &["redis.inCluster.primary=redis-replica", replicas]);
    let alone = over("redis.inCluster.replicas=0");
    assert!(of_kind(&alone, "StatefulSet").all(|set| set["metadata"]["name"] != "rulebox-redis"));
    let (_primary, primary) = redis(&place, &alone, "rulebox-redis-replica", 0);
    leads_to(&alone, "redis-replica");
    leads_to(staging, "redis");
    assert!(ask(primary, &["get", "a"]).contains('b'));
    ask(primary, &["set", "a", "c"]);
    // What was the primary is a copy of it.
    let both = over("redis.inCluster.replicas=1");
    leads_to(&both, "redis-replica");
    let (_copy, copy) = redis(&place, &both, "rulebox-redis", primary);
    follows(copy, "c");
}

/// The pod of copies gets one, by a user that may do nothing else.
fn is_copied(place: &Place, objects: &[Value], port: u16) {
    let (_, template) = pods(objects)
        .find(|(_, it)| it["metadata"]["labels"]["app.kubernetes.io/component"] == "redis-backup")
        .unwrap();
    let container = &template["spec"]["containers"][0];
    let script = place.at("redis-backup");
    fs::write(&script, text(&data(objects, "rulebox-redis-backup")["redis-backup"])).unwrap();
    place.write("password", COPIES);
    let words = [list(&container["command"]), list(&container["args"])].concat();
    let words = words.iter().skip(2).map(|word| match text(word) {
        "/backups" => place.at("copies").display().to_string(),
        "rulebox-redis" => "127.0.0.1".to_owned(),
        "6379" => port.to_string(),
        "/run/rulebox/redis/password" => place.at("password").display().to_string(),
        word => word.to_owned(),
    });
    let said = run(Command::new("bash").arg(&script).args(words));
    assert!(said.contains("1 keys"), "{said}");
    let mut other = Command::new("redis-cli");
    other.args(["-p", &port.to_string(), "--user", "backup", "--no-auth-warning", "get", "a"]);
    let (_, said) = tried(other.env("REDISCLI_AUTH", COPIES));
    assert!(said.contains("NOPERM"), "{said}");
}

/// Waits until a copy has what was written.
fn follows(copy: u16, value: &str) {
    let began = std::time::Instant::now();
    while !ask(copy, &["get", "a"]).contains(value) {
        assert!(began.elapsed().as_secs() < 30, "the copy has not got what was written");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    // And has it in its log: until that is written anew, a copy does not end.
    while !ask(copy, &["info", "persistence"]).contains("aof_rewrite_in_progress:0") {
        assert!(began.elapsed().as_secs() < 30, "the copy has not written down what it got");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(ask(copy, &["set", "a", "d"]).contains("READONLY"));
}

/// Which set the address of Redis leads to.
fn leads_to(objects: &[Value], component: &str) {
    let service = of_kind(objects, "Service").find(|it| it["metadata"]["name"] == "rulebox-redis").unwrap();
    assert_eq!(service["spec"]["selector"]["app.kubernetes.io/component"], component);
}
