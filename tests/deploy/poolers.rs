//! The three configurations of `PgBouncer`, each really started: it says what it has understood of them.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use rulebox_tests::servers::postgres::{other_user, own, program};
use rulebox_tests::servers::{Guarded, free_port, wait_until};
use rulebox_tests::tools::run;

use crate::{changed, read};

/// A configuration and what it includes, by their paths there.
struct Files {
    name: &'static str,
    text: String,
    included: String,
}

fn configurations() -> Vec<Files> {
    let files = ["deploy/postgres/pgbouncer.ini", "deploy/data/pgbouncer.ini", "deploy/compose/pgbouncer.ini"];
    files
        .map(|name| {
            let included = if name.contains("compose") { read("deploy/postgres/pgbouncer.ini") } else { String::new() };
            Files { name, text: read(name), included }
        })
        .into()
}

/// The settings of sections `[pgbouncer]`; the last of a name counts. An included file ends in the section that goes on.
fn written(files: &Files) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut section = String::new();
    for line in files.included.lines().chain(files.text.lines()).map(str::trim) {
        if line.starts_with('[') {
            line.clone_into(&mut section);
        } else if let (true, Some((name, value))) = (section == "[pgbouncer]", line.split_once('='))
            && !line.starts_with(';')
        {
            settings.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    settings
}

/// Of this machine, and not of the one it is written for: what the test sets.
const PLACES: [&str; 5] = ["listen_addr", "listen_port", "auth_file", "server_tls_ca_file", "unix_socket_dir"];

/// What a pooler that was started with these files says of its settings and its databases. Of `[users]` it says nothing.
fn understood(files: &Files) -> (BTreeMap<String, String>, String) {
    let directory = tempfile::tempdir().unwrap();
    own(directory.path());
    let path = |name: &str| directory.path().join(name).display().to_string();
    let port = free_port();
    let places = |text: &str| -> String {
        let lines = text.lines().map(|line| match line.split_once(" =").map(|(name, _)| name) {
            Some("listen_addr") => "listen_addr = 127.0.0.1".to_owned(),
            Some("listen_port") => format!("listen_port = {port}"),
            Some("auth_file") => format!("auth_file = {}", path("userlist")),
            Some("server_tls_ca_file") => format!("server_tls_ca_file = {}", path("ca.pem")),
            // Who may ask it is said beside how they log in.
            Some("auth_type") => format!("{line}\nadmin_users = asks\nunix_socket_dir =\nlogfile = {}", path("log")),
            _ => line.replace("/etc/pgbouncer/rulebox.ini", &path("rulebox.ini")),
        });
        lines.map(|line| line + "\n").collect()
    };
    let authority = rulebox_tests::servers::authority::Authority::new();
    for (name, text) in [
        ("pgbouncer.ini", places(&files.text)),
        ("rulebox.ini", places(&files.included)),
        ("userlist", "\"asks\" \"asks\"\n".to_owned()),
        ("ca.pem", fs::read_to_string(authority.certificate()).unwrap()),
    ] {
        fs::write(path(name), text).unwrap();
        own(path(name).as_ref());
    }
    let mut command = Command::new("pgbouncer");
    command.arg(path("pgbouncer.ini")).current_dir(directory.path());
    let mut process = Guarded::spawn_as(&command, other_user(), "KILL");
    wait_until(&mut process, "pgbouncer", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    let show = |what: &str| {
        let mut psql = Command::new(program("psql"));
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--dbname=pgbouncer", "--command", what]);
        psql.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string()).env("PGUSER", "asks").env("PGPASSWORD", "asks");
        run(&mut psql)
    };
    let settings = show("SHOW CONFIG");
    let settings = settings.lines().filter_map(|line| {
        let mut columns = line.split('|').map(str::to_owned);
        Some((columns.next()?, columns.next()?))
    });
    let log = fs::read_to_string(path("log")).unwrap_or_default();
    assert!(!log.contains("WARNING") && !log.contains("ERROR"), "{}: {log}", files.name);
    (settings.collect(), show("SHOW DATABASES"))
}

/// What was written and not understood so.
fn differences(files: &Files) -> Vec<String> {
    let (understood, databases) = understood(files);
    let mut differ: Vec<_> = written(files)
        .into_iter()
        .filter(|(name, _)| !PLACES.contains(&name.as_str()))
        .filter(|(name, value)| understood.get(name) != Some(value))
        .map(|(name, value)| format!("{name} = {value}, and it has {:?}", understood.get(&name)))
        .collect();
    let line = databases.lines().find(|line| line.starts_with("rulebox|")).unwrap_or_default();
    let host = files.text.lines().rev().find_map(|line| line.strip_prefix("rulebox = host=")).unwrap();
    let (host, port) = host.split_once(" port=").unwrap();
    if !line.contains(&format!("|{host}|{port}|")) {
        differ.push(format!("rulebox is at {host}:{port}, and it has {line}"));
    }
    differ
}

#[test]
fn poolers_have_what_their_files_say() {
    let mut settings = 0;
    for files in &configurations() {
        assert_eq!(differences(files), Vec::<String>::new(), "{}", files.name);
        settings += written(files).len();
        assert_eq!(written(files)["pool_mode"], "transaction");
    }
    println!("PgBouncer: 3 configurations started, {settings} settings as written");

    // To open its section once more sets what was included back to its defaults.
    let mut broken = configurations().remove(2);
    broken.text = changed(&broken.text, "listen_addr =", "[pgbouncer]\nlisten_addr =");
    // Where it is, and who may ask it, is in the part that is lost.
    let place = "[pgbouncer]\nlisten_port = 6432\nauth_type = scram-sha-256\n";
    broken.text = changed(&broken.text, "[pgbouncer]\n", place);
    assert!(differences(&broken).iter().any(|one| one.starts_with("pool_mode")), "{:?}", differences(&broken));
}

#[test]
fn the_sums_of_connections_hold() {
    let pooler = written(&configurations()[1]);
    let number = |name: &str| pooler[name].parse::<u32>().unwrap();
    let default_of = |variable: &str| {
        let table = read("deploy/image/settings.md");
        let row = table.lines().find(|line| line.starts_with(&format!("| `{variable}` |"))).unwrap().to_owned();
        row.split('`').nth(3).unwrap().parse::<u32>().unwrap()
    };
    let clients =
        100 * (default_of("RULEBOX_DATABASE__CONNECTIONS") + default_of("RULEBOX_DATABASE__PLATFORM_CONNECTIONS"));
    assert!(number("max_client_conn") >= clients + 100, "{clients} clients, and 100 that are being replaced");
    let text = read("deploy/data/pgbouncer.ini");
    let review: u32 = text.split("max_user_connections=").nth(1).unwrap().trim().parse().unwrap();
    let servers = 2 * (number("default_pool_size") + number("reserve_pool_size") + review);
    let server = read("deploy/data/postgresql.conf");
    let most = server.lines().find_map(|line| line.strip_prefix("max_connections = ")).unwrap().parse::<u32>().unwrap();
    assert!(servers + 15 <= most, "{servers} of two poolers, 15 beside them, of {most}");
    // A third pooler, too, as README.md says.
    assert!(servers / 2 * 3 + 15 <= most, "{most}");
    println!("connections: {clients} clients, {servers} servers of {most}");
}
