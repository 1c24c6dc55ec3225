//! `PostgreSQL` and Redis over TLS: with the right authority everything goes by it, with another one nothing does.

use std::time::{Duration, Instant};

use rulebox_tests::servers::authority::Authority;
use rulebox_tests::servers::postgres::{Database, Postgres};
use rulebox_tests::servers::redis::Redis;
use serde_json::json;
use tempfile::TempDir;

use super::{Replica, Server, body, database};

const PASSWORD: &str = "of-redis-and-nobody-else";

/// What a replica is told that must see both servers' certificates.
fn settings(database: &Database, redis: &Redis, authority: &Authority) -> Vec<(&'static str, String)> {
    let file = authority.certificate().display().to_string();
    let mut settings = database.settings();
    for (name, value) in &mut settings {
        if name.starts_with("RULEBOX_DATABASE__") {
            *value = format!("{}?sslmode=verify-full&sslrootcert={file}", value.replace("127.0.0.1", "localhost"));
        }
    }
    settings.push(("RULEBOX_REDIS__URL", format!("rediss://:{PASSWORD}@localhost:{}", redis.port())));
    // What the library of Redis trusts is what the machine trusts.
    settings.push(("SSL_CERT_FILE", file));
    settings
}

fn start(settings: &[(&'static str, String)]) -> Result<Replica, String> {
    let directory: TempDir = tempfile::tempdir().unwrap();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    match Server::try_start(directory.path(), &settings) {
        Ok(server) => Ok(Replica { server, _directory: directory }),
        Err(refused) => Err(refused.stderr),
    }
}

/// What it says of its parts.
fn parts(replica: &Replica) -> String {
    reqwest::blocking::get(format!("{}/readyz?verbose", replica.server.health)).unwrap().text().unwrap()
}

#[test]
fn both_stores_go_by_tls_or_not_at_all() {
    let (ours, other) = (Authority::new(), Authority::new());
    let mut postgres = Postgres::start();
    let database = database(&postgres);
    postgres.start_again_with_tls(&ours);
    let redis = Redis::start_with_tls(&ours, PASSWORD);

    let replica = start(&settings(&database, &redis, &ours)).unwrap();
    let key = replica.server.key.clone().unwrap();
    body(replica.server.post(&key, "/v1/rules", &json!({"source": rulebox_tests::rule(1)})), 201);
    let session = body(replica.server.post(&key, "/v1/sessions", &json!({"rules": ["probe"]})), 201);
    let bars = json!({"seq": 0, "inputs": {"equity": 5, "drawdown": 0}});
    body(replica.server.post(&key, &format!("/v1/sessions/{}/bars", session["id"].as_str().unwrap()), &bars), 200);
    assert!(parts(&replica).contains("[+] redis"), "{}", parts(&replica));
    let plain = "select count(*) from pg_stat_activity join pg_stat_ssl using (pid)
                 where usename in ('rulebox_service', 'rulebox_review') and not ssl";
    let sealed = plain.replace("not ssl", "ssl");
    assert_eq!(postgres.psql(&database.name, plain), "0");
    assert_ne!(postgres.psql(&database.name, &sealed), "0");

    // Somebody between us and the database has a certificate too, but not of ours.
    let began = Instant::now();
    let refused = start(&settings(&database, &redis, &other)).err().expect("another authority is not to be trusted");
    println!("refused after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(20), "waiting does not make a certificate right");
    assert!(refused.contains("RULEBOX_DATABASE__URL") && refused.contains("certificate"), "{refused}");
    // And between us and Redis: without it the service runs, and says so.
    let impostor = Redis::start_with_tls(&other, PASSWORD);
    let mut replica = start(&settings(&database, &impostor, &ours)).unwrap();
    let create = || replica.server.post(&key, "/v1/sessions", &json!({"rules": ["probe"]}));
    assert_eq!(body(create(), 503)["code"], "sessions_unavailable");
    let began = Instant::now();
    while !parts(&replica).contains("[-] redis") {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", parts(&replica));
        assert_eq!(body(create(), 503)["code"], "sessions_unavailable");
    }
    replica.server.signal("TERM");
    let (_, log) = replica.server.wait();
    assert!(!log.contains(PASSWORD), "{log}");
}
