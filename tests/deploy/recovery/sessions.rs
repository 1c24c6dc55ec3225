//! Redis, copied, lost and restored under a session of the service: it goes on by seq, and each bar counts once.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use rulebox_tests::servers::{Guarded, free_port, wait_until};
use rulebox_tests::tools::{run, tried};
use rulebox_tests::{Server, root};
use serde_json::{Value, json};

use crate::{changed, read};

/// Redis as production has it, with the user of copies.
fn start(directory: &Path, port: u16) -> Guarded {
    let data = directory.join("data");
    fs::create_dir_all(&data).unwrap();
    let users = "user default off resetpass ~* &* +@all\nuser rulebox on >r ~rulebox:* &rulebox:* +@all -@dangerous\n";
    let script = read("deploy/backup/redis-backup");
    let copies = script.lines().find_map(|line| line.trim().strip_prefix("user backup on >PASSWORD ")).unwrap();
    fs::write(directory.join("users"), format!("{users}user backup on >b {copies}\nuser admin on >a ~* &* +@all\n"))
        .unwrap();
    let text = read("deploy/data/redis.conf");
    let lines = text.lines().map(|line| match line.split(' ').next() {
        Some("bind") => "bind 127.0.0.1".to_owned(),
        Some("port") => format!("port {port}"),
        Some("dir") => format!("dir {}", data.display()),
        Some("aclfile") => format!("aclfile {}", directory.join("users").display()),
        _ => line.to_owned(),
    });
    fs::write(directory.join("redis.conf"), lines.map(|line| line + "\n").collect::<String>()).unwrap();
    let mut process = Guarded::spawn(Command::new("redis-server").arg(directory.join("redis.conf")));
    wait_until(&mut process, "redis-server", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    process
}

fn script(folder: &Path, name: &str) -> Command {
    Command::new(folder.join(name))
}

fn refused(command: &mut Command, words: &str) {
    let (output, said) = tried(command);
    assert!(!output.status.success() && said.contains(words), "{command:?}: {said}");
}

struct Place {
    directory: tempfile::TempDir,
    port: u16,
}

impl Place {
    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn backup(&self, scripts: &Path, more: &[&str]) -> Command {
        // Names are of seconds.
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        let mut command = script(scripts, "redis-backup");
        command.args(["--port", &self.port.to_string(), "--password-file"]).arg(self.at("password"));
        command.arg("--to").arg(self.at("copies")).args(more);
        command
    }

    fn restore(scripts: &Path, from: &Path, to: &Path) -> Command {
        let mut command = script(scripts, "redis-restore");
        fs::create_dir_all(to).unwrap();
        command.arg("--from").arg(from).arg("--to").arg(to);
        command
    }

    /// The copies that are there, the oldest first.
    fn copies(&self) -> Vec<PathBuf> {
        let names = fs::read_dir(self.at("copies")).unwrap().map(|entry| entry.unwrap().path());
        let is_one = |path: &PathBuf| path.extension().is_some_and(|end| end == "rdb" || end == "age");
        let mut copies: Vec<_> = names.filter(is_one).collect();
        copies.sort();
        copies
    }
}

/// What a bar is answered, in short.
fn bar(server: &Server, id: &str, seq: u64) -> (u16, Value) {
    let key = server.key.clone().unwrap();
    let equity = 100 + (seq * seq * 7) % 11;
    for _ in 0..200 {
        let path = format!("/v1/sessions/{id}/bars");
        let answer = server.post(&key, &path, &json!({"seq": seq, "inputs": {"equity": equity}})).unwrap();
        let code = answer.status().as_u16();
        let body: Value = answer.json().unwrap();
        // Until a new connection is there.
        if code != 503 {
            return (code, if code == 200 { body["bars"][0]["verdict"].clone() } else { body });
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("sessions answer 503");
}

fn session(server: &Server) -> String {
    let key = server.key.clone().unwrap();
    let answer: Value = server.post(&key, "/v1/sessions", &json!({"rules": ["falls"]})).unwrap().json().unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

#[test]
fn sessions_outlive_a_restore_of_redis_and_each_bar_counts_once() {
    let place = Place { directory: tempfile::tempdir().unwrap(), port: free_port() };
    let scripts = root().join("deploy/backup");
    fs::write(place.at("password"), "b\n").unwrap();
    let mut redis = start(place.directory.path(), place.port);
    let url = format!("redis://rulebox:r@127.0.0.1:{}", place.port);
    let server = Server::try_start(&place.at("store"), &[("RULEBOX_REDIS__URL", &url)])
        .unwrap_or_else(|refused| panic!("{}", refused.stderr));
    let key = server.key.clone().unwrap();
    let source = "rule falls(equity) = streak(equity > 0) - floor(streak(equity > 0) / 3) * 3 == 0 or \
                  equity < (equity[1] ?? equity)";
    assert!(server.post(&key, "/v1/rules", &json!({"source": source})).unwrap().status().is_success());

    let id = session(&server);
    let first: Vec<_> = (0..10).map(|seq| bar(&server, &id, seq)).collect();
    assert!(first.iter().all(|(code, _)| *code == 200), "{first:?}");
    run(&mut place.backup(&scripts, &[]));
    let later: Vec<_> = (10..17).map(|seq| bar(&server, &id, seq)).collect();
    let young = session(&server);
    assert_eq!(bar(&server, &young, 0).0, 200);

    // Lost, with its disk.
    redis.kill();
    fs::remove_dir_all(place.at("data")).unwrap();
    let copy = place.copies().remove(0);
    run(Place::restore(&scripts, &copy, &place.at("data")).arg("--dry-run"));
    assert_eq!(fs::read_dir(place.at("data")).unwrap().count(), 0, "--dry-run wrote something");
    // As Redis leaves it that was emptied by hand: what is laid out inside of it is not read.
    fs::create_dir(place.at("data/appendonlydir")).unwrap();
    run(&mut Place::restore(&scripts, &copy, &place.at("data")));
    refused(&mut Place::restore(&scripts, &copy, &place.at("data")), "has data");
    fs::create_dir_all(place.at("used/appendonlydir/other")).unwrap();
    // Through a pipe, as into a pod.
    let mut piped = Command::new("bash");
    piped.args(["-s", "--", "--from"]).arg(&copy).arg("--to").arg(place.at("used"));
    refused(piped.stdin(fs::File::open(scripts.join("redis-restore")).unwrap()), "has something in it");
    assert_eq!(fs::read_dir(place.at("used")).unwrap().count(), 1, "what was refused left something");
    let _redis = start(place.directory.path(), place.port);

    let (code, problem) = bar(&server, &id, 17);
    assert_eq!((code, &problem["expected_seq"]), (409, &json!(10)), "{problem}");
    let again: Vec<_> = (10..17).map(|seq| bar(&server, &id, seq)).collect();
    assert_eq!(again, later, "sent again, the bars are others");
    assert_eq!(bar(&server, &id, 17).0, 200);
    let (code, problem) = bar(&server, &young, 1);
    assert_eq!((code, problem["code"].as_str()), (410, Some("session_lost")), "{problem}");
    println!("Redis restored: a session of 18 bars went on after 7 were sent again; a younger one answers 410");

    // What is no good copy is not restored, and who may not ask gets none.
    let twin = |name: &str| {
        let to = place.at(name);
        fs::copy(&copy, &to).unwrap();
        fs::copy(copy.with_extension("rdb.sha256"), to.with_extension("rdb.sha256")).unwrap();
        to
    };
    let damaged = twin("damaged.rdb");
    let mut bytes = fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged, &bytes).unwrap();
    refused(&mut Place::restore(&scripts, &damaged, &place.at("empty")), "is damaged");
    // With a sum that fits: whoever made it did not look.
    let sum = run(Command::new("sha256sum").arg(&damaged));
    fs::write(damaged.with_extension("rdb.sha256"), sum).unwrap();
    refused(&mut Place::restore(&scripts, &damaged, &place.at("empty")), "is not whole");
    refused(&mut place.backup(&scripts, &["--user", "rulebox"]), "gave no copy");
    refused(&mut place.backup(&scripts, &["--upload", "false"]), "this copy was removed");
    assert_eq!((place.copies(), fs::read_dir(place.at("empty")).unwrap().count()), (vec![copy.clone()], 0));

    // Encrypted, and no more than are to be kept.
    run(Command::new("age-keygen").arg("--output").arg(place.at("identity")));
    let recipients = run(Command::new("age-keygen").arg("-y").arg(place.at("identity")));
    fs::write(place.at("recipients"), recipients).unwrap();
    let recipients = place.at("recipients");
    let sealed = ["--recipients", recipients.to_str().unwrap(), "--keep", "1"];
    let said = run(place.backup(&scripts, &sealed).arg("--dry-run"));
    assert!(said.contains("would make") && said.contains("would remove") && place.copies() == [copy.clone()], "{said}");
    run(&mut place.backup(&scripts, &sealed));
    let copies = place.copies();
    assert!(copies.len() == 1 && copies[0].extension().unwrap() == "age" && !copy.exists(), "{copies:?}");
    refused(&mut Place::restore(&scripts, &copies[0], &place.at("empty")), "--identity says which key");
    run(Place::restore(&scripts, &copies[0], &place.at("opened")).arg("--identity").arg(place.at("identity")));
    assert!(place.at("opened/appendonlydir/appendonly.aof.1.base.rdb").exists());

    // A restore that lays out a snapshot, and no log, is one of nothing: Redis reads its log.
    let broken = place.at("scripts");
    run(Command::new("cp").arg("--archive").arg(&scripts).arg(&broken));
    let text = changed(
        &read("deploy/backup/redis-restore"),
        "mv -T \"$part\" \"$to/appendonlydir\"",
        "mv \"$part/$base\" \"$to/dump.rdb\"",
    );
    fs::write(broken.join("redis-restore"), text).unwrap();
    let other = Place { directory: tempfile::tempdir().unwrap(), port: free_port() };
    let mut with_identity = Place::restore(&broken, &copies[0], &other.at("data"));
    run(with_identity.arg("--identity").arg(place.at("identity")));
    let _other = start(other.directory.path(), other.port);
    let mut ask = Command::new("redis-cli");
    ask.args(["-p", &other.port.to_string(), "--user", "admin", "--no-auth-warning", "dbsize"]);
    assert_eq!(run(ask.env("REDISCLI_AUTH", "a")).trim(), "0", "the fault makes no difference");
}
