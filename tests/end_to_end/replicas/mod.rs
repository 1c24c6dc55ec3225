//! Several real replicas over one real `PostgreSQL`, directly and through `PgBouncer`.

mod activation;
mod clock;
mod drain;
mod guide;
mod kill;
mod migrations;
mod outage;
mod pooler;
mod propagation;
mod redis_away;
mod soak;
mod stream_kill;
mod stream_series;
mod tls;
mod usage;
mod violations;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::blocking::Response;
use rulebox_tests::servers::postgres::{Database, Postgres, Sync};
use rulebox_tests::{Server, SetAtEnd, output, rule};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A database with tables, made as its operator would.
pub fn database(server: &Postgres) -> Database {
    let database = server.database();
    let (status, said) = output(&["migrate"], &database.settings());
    assert!(status.success(), "{said}");
    database
}

/// A replica with a directory of its own.
pub struct Replica {
    pub server: Server,
    _directory: TempDir,
}

impl Replica {
    pub fn start(database: &Database) -> Self {
        Self::start_with(database, &[])
    }

    /// With more settings.
    pub fn start_with(database: &Database, more: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = database.settings();
        let settings = settings.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied());
        let settings: Vec<_> = settings.collect();
        let server = Server::try_start(directory.path(), &settings).unwrap();
        Self { server, _directory: directory }
    }
}

/// The first starts over a database without a tenant, and so with the key of one; the others follow.
fn replicas(database: &Database) -> ([Replica; 2], String) {
    let first = Replica::start(database);
    let key = first.server.key.clone().expect("the first start makes a key");
    let second = Replica::start(database);
    assert!(second.server.key.is_none(), "there is a tenant");
    ([first, second], key)
}

/// The body of an answer that must have this status.
pub fn body(answer: reqwest::Result<Response>, status: u16) -> Value {
    let answer = answer.unwrap();
    let (got, text) = (answer.status().as_u16(), answer.text().unwrap());
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// A version that was acknowledged: rule, number, digest.
type Acknowledged = (String, u64, String);

/// What came of uploads while something was broken.
#[derive(Debug, Default)]
struct Uploads {
    acknowledged: Vec<Acknowledged>,
    /// Answers that were no success, by status.
    refused: BTreeMap<u16, u64>,
    /// The longest time between two successes.
    pause: Duration,
    /// The longest time that an answer took.
    slowest: Duration,
}

/// Uploads version after version of one rule until `over`. Each answer is a success, or 503 with `Retry-After`.
fn upload(server: &Server, key: &str, name: &str, over: &AtomicBool) -> Uploads {
    let mut uploads = Uploads::default();
    let mut last = Instant::now();
    let made = body(server.post(key, "/v1/rules", &json!({"name": name, "source": rule(1)})), 201);
    uploads.acknowledged.push((name.to_owned(), 1, made["digest"].as_str().unwrap().to_owned()));
    let mut n = 1;
    // One more success after the end, so that the pause that the trouble made is whole.
    let mut whole = false;
    while !whole {
        let ending = over.load(Ordering::SeqCst);
        n += 1;
        let began = Instant::now();
        let answer = server.post(key, &format!("/v1/rules/{name}/versions"), &json!({"source": rule(n)})).unwrap();
        uploads.slowest = uploads.slowest.max(began.elapsed());
        let status = answer.status().as_u16();
        let retry = answer.headers().get("retry-after").cloned();
        let answer: Value = answer.json().unwrap();
        if status == 201 {
            let digest = answer["digest"].as_str().unwrap().to_owned();
            uploads.acknowledged.push((name.to_owned(), answer["version"].as_u64().unwrap(), digest));
            uploads.pause = uploads.pause.max(last.elapsed());
            last = Instant::now();
            whole = ending;
        } else {
            assert!(status == 503 && retry.is_some(), "{status} {retry:?} {answer}");
            *uploads.refused.entry(status).or_default() += 1;
            assert!(last.elapsed() < Duration::from_mins(1), "it has not recovered by itself");
            // Sooner than told: a client in a hurry must not make it worse.
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    uploads
}

/// Uploads from several threads to both replicas while `trouble` comes and goes; then every acknowledged version must
/// be there, on both. Says what it came to.
fn upload_during(replicas: &[Replica; 2], key: &str, prefix: &str, trouble: impl FnOnce()) -> String {
    let over = AtomicBool::new(false);
    let all = Mutex::new(Uploads::default());
    let mut away = Duration::ZERO;
    std::thread::scope(|scope| {
        let _end = SetAtEnd(&over);
        for thread in 0..4 {
            let (over, all, server) = (&over, &all, &replicas[thread % 2].server);
            scope.spawn(move || {
                let one = upload(server, key, &format!("{prefix}_{thread}"), over);
                let mut all = all.lock().unwrap();
                all.acknowledged.extend(one.acknowledged);
                one.refused.into_iter().for_each(|(status, n)| *all.refused.entry(status).or_default() += n);
                all.pause = all.pause.max(one.pause);
                all.slowest = all.slowest.max(one.slowest);
            });
        }
        std::thread::sleep(Duration::from_secs(1));
        let began = Instant::now();
        trouble();
        away = began.elapsed();
        std::thread::sleep(Duration::from_secs(1));
        over.store(true, Ordering::SeqCst);
    });
    let all = all.into_inner().unwrap();
    for replica in replicas {
        all_are_there(&replica.server, key, &all.acknowledged);
    }
    format!(
        "away for {away:?}; {} versions acknowledged, all there on both replicas; refused: {:?}; longest pause {:?}, \
         slowest answer {:?}",
        all.acknowledged.len(),
        all.refused,
        all.pause,
        all.slowest
    )
}

fn all_are_there(server: &Server, key: &str, acknowledged: &[Acknowledged]) {
    for (name, number, digest) in acknowledged {
        let version = body(server.get(key, &format!("/v1/rules/{name}/versions/{number}")), 200);
        assert_eq!(version["digest"].as_str(), Some(digest.as_str()), "{name} {number}");
    }
}
