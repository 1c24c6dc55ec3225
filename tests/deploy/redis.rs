//! Redis with the settings and the users it has in production; and `HAProxy`'s check of its own file. That Rulebox can do
//! all that it must with these is tried by the drill.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::servers::{Guarded, free_port, wait_until};
use rulebox_tests::tools::{run, tried};
use tempfile::TempDir;

use crate::{changed, read};

struct Redis {
    _process: Guarded,
    port: u16,
    directory: TempDir,
}

/// The commands that `redis-commands` lists, as a list of users has them.
fn commands() -> Vec<String> {
    let text = read("deploy/data/redis-commands");
    let lines = text.lines().filter_map(|line| line.strip_prefix("    +"));
    let words = lines.flat_map(|line| format!("+{line}").split(' ').map(str::to_owned).collect::<Vec<_>>());
    words.collect()
}

/// Settings that say where it is: the test's are others.
const PLACES: [&str; 4] = ["bind", "port", "dir", "aclfile"];

impl Redis {
    fn start(users: &str) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let path = |name: &str| directory.path().join(name).display().to_string();
        let text = read("deploy/data/redis.conf");
        let lines = text.lines().map(|line| match line.split(' ').next() {
            Some("bind") => "bind 127.0.0.1".to_owned(),
            Some("port") => format!("port {port}"),
            Some("dir") => format!("dir {}", directory.path().display()),
            Some("aclfile") => format!("aclfile {}", path("users")),
            _ => line.to_owned(),
        });
        fs::write(path("redis.conf"), lines.map(|line| line + "\n").collect::<String>()).unwrap();
        fs::write(path("users"), users).unwrap();
        let mut command = Command::new("redis-server");
        command.arg(path("redis.conf"));
        let mut process = Guarded::spawn(&command);
        wait_until(&mut process, "redis-server", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        Self { _process: process, port, directory }
    }

    /// What it answers to a user.
    fn ask(&self, user: &str, password: &str, command: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &self.port.to_string(), "--user", user, "--no-auth-warning"]).args(command);
        tried(cli.env("REDISCLI_AUTH", password)).1.trim().to_owned()
    }
}

/// As the comment of `redis-commands` says, and somebody who may do everything, to look on.
fn users() -> String {
    let file = read("deploy/data/redis-commands");
    let line =
        |name: &str| file.lines().find_map(|line| line.strip_prefix(&format!("#   user {name} "))).unwrap().to_owned();
    let rulebox = line("rulebox").replace("PASSWORD", "r").replace("COMMANDS", &commands().join(" "));
    format!("user default {}\nuser rulebox {rulebox}\nuser looks on >l ~* &* +@all\n", line("default"))
}

#[test]
fn redis_has_what_its_file_says() {
    let redis = Redis::start(&users());
    let text = read("deploy/data/redis.conf");
    let mut settings = 0;
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.split_once(' ').unwrap();
        if PLACES.contains(&name) {
            continue;
        }
        let bytes = |text: &str| {
            let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
            let factor = [("", 1), ("mb", 1 << 20), ("gb", 1 << 30)].iter().find(|(name, _)| *name == unit)?.1;
            Some((number.parse::<u64>().ok()? * factor).to_string())
        };
        let expected = bytes(value).unwrap_or_else(|| value.trim_matches('"').to_owned());
        let said = redis.ask("looks", "l", &["CONFIG", "GET", name]);
        assert_eq!(said.lines().nth(1).unwrap_or_default(), expected, "{name}");
        settings += 1;
    }
    assert!(settings > 15);
    println!("Redis: {settings} settings as written");
}

/// What nobody may do who has Rulebox's password.
const REFUSED: [&[&str]; 27] = [
    &["CONFIG", "GET", "*"],
    &["CONFIG", "SET", "dir", "/tmp"],
    &["KEYS", "*"],
    &["SCAN", "0"],
    &["RANDOMKEY"],
    &["DBSIZE"],
    &["FLUSHALL"],
    &["FLUSHDB"],
    &["SHUTDOWN"],
    &["SLOWLOG", "GET"],
    &["SAVE"],
    &["BGREWRITEAOF"],
    &["REPLICAOF", "NO", "ONE"],
    &["MONITOR"],
    &["CLIENT", "LIST"],
    &["CLIENT", "KILL", "TYPE", "normal"],
    &["ACL", "LIST"],
    &["ACL", "SETUSER", "rulebox", "+@all"],
    &["SCRIPT", "FLUSH"],
    &["FUNCTION", "LIST"],
    &["MODULE", "LIST"],
    &["INFO"],
    &["MIGRATE", "127.0.0.1", "1", "rulebox:a", "0", "1"],
    &["GET", "other:a"],
    &["SET", "other:a", "1"],
    &["PUBLISH", "other:changes", "a"],
    &["EVAL", "return redis.call('get', 'other:a')", "0"],
];

/// Of what must be refused, what is not.
fn allowed(redis: &Redis, password: &str) -> Vec<String> {
    let said = REFUSED.map(|command| (command, redis.ask("rulebox", password, command)));
    let refused = |said: &str| said.contains("NOPERM") || said.contains("can't access at least one of the keys");
    said.into_iter().filter(|(_, said)| !refused(said)).map(|(command, said)| format!("{command:?}: {said}")).collect()
}

#[test]
fn rulebox_may_ask_redis_for_its_own_and_nothing_else() {
    let redis = Redis::start(&users());
    assert_eq!(allowed(&redis, "r"), Vec::<String>::new());
    for (command, said) in [
        (&["SET", "rulebox:a", "1"][..], "OK"),
        (&["GET", "rulebox:a"], "1"),
        (&["PUBLISH", "rulebox:changes", "a"], "0"),
        (&["EVAL", "return redis.call('get', KEYS[1])", "1", "rulebox:a"], "1"),
    ] {
        assert_eq!(redis.ask("rulebox", "r", command), said, "{command:?}");
    }
    // Nobody gets in without a name and its password.
    for (user, password) in [("default", ""), ("default", "r"), ("rulebox", "wrong"), ("nobody", "r")] {
        let said = redis.ask(user, password, &["PING"]);
        assert!(said.contains("WRONGPASS") || said.contains("NOAUTH"), "{user}: {said}");
    }
    println!("Redis: {} commands of Rulebox' user, {} that it is refused", commands().len(), REFUSED.len());

    let loose = Redis::start(&users().replace("-@all +ping", "+@all -shutdown -debug -monitor +ping"));
    assert!(allowed(&loose, "r").len() > 10, "a user who may do more is not found: {:?}", allowed(&loose, "r"));
    let loose = Redis::start(&users().replace("~rulebox:*", "~*"));
    assert!(allowed(&loose, "r").iter().any(|one| one.contains("other:a")), "{:?}", allowed(&loose, "r"));
}

#[test]
fn the_users_that_compose_makes_are_the_same() {
    let directory = tempfile::tempdir().unwrap();
    for path in ["compose/make-secrets", "data/redis-commands"] {
        fs::create_dir_all(directory.path().join(path).parent().unwrap()).unwrap();
        fs::copy(root().join("deploy").join(path), directory.path().join(path)).unwrap();
    }
    run(&mut Command::new(directory.path().join("compose/make-secrets")));
    let made = |name: &str| fs::read_to_string(directory.path().join("compose/secrets").join(name)).unwrap();
    let redis = Redis::start(&made("redis_users"));
    let password = made("redis_password");
    assert_eq!(redis.ask("rulebox", &password, &["SET", "rulebox:a", "1"]), "OK");
    assert_eq!(allowed(&redis, &password), Vec::<String>::new());
    assert!(fs::read_dir(redis.directory.path()).unwrap().count() > 2, "no log of writes");
}

#[test]
fn haproxy_takes_its_file() {
    let check = |text: &str| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("haproxy.cfg");
        fs::write(&file, text).unwrap();
        tried(Command::new("haproxy").arg("-c").arg("-f").arg(file).env("REDIS_HAPROXY_PASSWORD", "h"))
    };
    let text = read("deploy/data/haproxy.cfg");
    let (output, said) = check(&text);
    assert!(output.status.success() && !said.contains("[ALERT]"), "{said}");
    let (output, said) = check(&changed(&text, "tcp-check send ", "tcp-check sends "));
    assert!(!output.status.success() && said.contains("[ALERT]"), "{said}");
    println!("haproxy: 1 file");
}
