//! The wall clock of a replica is set back by an hour, forward by a day, and right again, under load, while the other's
//! is right. Nothing may go by it: times are the store's, limits Redis' or monotonic, order is counted.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rulebox_tests::servers::clock::Clock;
use rulebox_tests::servers::postgres::{Database, Postgres};
use rulebox_tests::servers::redis::Redis;
use rulebox_tests::{Server, SetAtEnd, output, rule};
use serde_json::{Value, json};

use super::propagation::{all_reaches, until};
use super::redis_away::{LIMIT, burst, limited_key, limited_tenant};
use super::{Replica, body, database};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// Where the clock is set, one after the other, in seconds.
const STEPS: [(&str, i64); 4] =
    [("an hour back", -HOUR), ("a day ahead", DAY + HOUR), ("a day back", -DAY - HOUR), ("right", 0)];

/// Rules must cost little.
const CHEAP: (&str, &str) = ("RULEBOX_COMPILE__BAR_FUEL", "400");

/// Each bar tells how many there were, and what they add up to.
const COUNTER: &str = "rule counter(equity) {\n let n = cum_sum(1)\n let total = cum_sum(equity)\n out count = n\n \
                       out sum = total\n if total > 1e12 { breach \"much\" }\n}";

fn post_once(server: &Server, key: &str, name: &str, path: &str, with: &Value) -> (u16, Value) {
    let request = server.client().post(format!("{}{path}", server.api)).bearer_auth(key).json(with);
    let answer = request.header("idempotency-key", name).send().unwrap();
    (answer.status().as_u16(), answer.json().unwrap())
}

/// What `date` prints by a clock.
fn date(clock: &Clock, format: &str) -> String {
    let settings = clock.settings();
    let date = Command::new("date").args(["--utc", format]).envs(settings).output().unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

/// Sets a clock; the day that it then has.
fn set(clock: &Clock, seconds: i64) -> String {
    clock.set(seconds);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let ahead = date(clock, "+%s").parse::<i64>().unwrap() - i64::try_from(now).unwrap();
    assert!((ahead - seconds).abs() < 60, "libfaketime does not do what it is for: {ahead} s instead of {seconds}");
    date(clock, "+%F")
}

/// A rule that costs too much: a violation, which is logged.
fn violate(server: &Server, key: &str, round: usize) {
    let source = format!("rule dear(equity) = {} > {round}", ["sqrt(equity)"; 200].join(" + "));
    assert_eq!(body(server.post(key, "/v1/rules", &json!({"source": source})), 422)["code"], "cost_limit");
}

/// Stops a service whose log must have lines of all these days: it did go by the clock.
fn stop(server: &mut Server, days: &[String]) {
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    for day in days {
        assert!(log.contains(day), "no line of {day}: {log}");
    }
}

/// Answers of evaluations, until `over`: by status.
fn evaluate_until(server: &Server, key: &str, over: &AtomicBool) -> BTreeMap<u16, u64> {
    let mut answers = BTreeMap::new();
    while !over.load(Ordering::SeqCst) {
        let bar = json!({"inputs": {"equity": 1, "drawdown": 0}});
        let answer = server.post(key, "/v1/rules/probe/evaluate", &bar).unwrap();
        *answers.entry(answer.status().as_u16()).or_default() += 1;
        std::thread::sleep(Duration::from_millis(2));
    }
    answers
}

/// Bars of one session, to the replicas in turn, some of them twice: how many there were, and what was wrong.
fn bars_until(replicas: [&Server; 2], key: &str, id: &str, over: &AtomicBool) -> (u64, Vec<String>) {
    let (mut seq, mut sum, mut wrong) = (0_u64, 0_u64, Vec::new());
    while !over.load(Ordering::SeqCst) {
        let turn = usize::try_from(seq % 2).unwrap();
        let path = format!("/v1/sessions/{id}/bars");
        let bar = json!({"seq": seq, "inputs": {"equity": seq}});
        let answer = body(replicas[turn].post(key, &path, &bar), 200);
        if seq.is_multiple_of(5) && body(replicas[1 - turn].post(key, &path, &bar), 200) != answer {
            wrong.push(format!("bar {seq} is answered otherwise when it is sent again"));
        }
        sum += seq;
        seq += 1;
        let out = &answer["bars"][0]["rules"][0]["out"];
        #[expect(clippy::cast_precision_loss, reason = "sums far below 2^53")]
        if out["count"].as_f64() != Some(seq as f64) || out["sum"].as_f64() != Some(sum as f64) {
            wrong.push(format!("bar {seq}: {out}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    (seq, wrong)
}

/// A key that ends so many seconds after the store's now.
fn key_for(server: &Server, postgres: &Postgres, database: &Database, key: &str, seconds: u32) -> String {
    let sql = format!(
        "select to_char((now() + interval '{seconds} s') at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
    );
    let ends = postgres.psql(&database.name, &sql);
    let made = body(server.post(key, "/v1/keys", &json!({"roles": ["engine"], "expires_at": ends})), 201);
    made["key"].as_str().unwrap().to_owned()
}

fn is_let_in(server: &Server, key: &str) -> bool {
    let status = server.get(key, "/v1/limits").unwrap().status().as_u16();
    assert!(matches!(status, 200 | 401), "{status}");
    status == 200
}

/// Every time that was written is about now, and in each chain of the audit log none is before the one before it.
fn times_are_the_stores(postgres: &Postgres, database: &Database) {
    let columns = [
        ("requests", "begun_at"),
        ("requests", "lease_until"),
        ("audit", "at"),
        ("rules", "created_at"),
        ("versions", "created_at"),
        ("activations", "at"),
        ("api_keys", "created_at"),
        ("api_keys", "revoked_at"),
        ("quarantines", "at"),
        ("violations", "last_at"),
        ("usage", "hour"),
    ];
    for (table, column) in columns {
        let sql = format!(
            "select count(*), coalesce(max(abs({column} - extract(epoch from clock_timestamp()) * 1000)) / 1000, 0)::bigint \
             from {table} where {column} is not null"
        );
        let told = postgres.psql(&database.name, &sql);
        let (rows, off) = told.split_once('|').unwrap();
        assert!(rows != "0" || table == "quarantines", "{table} has no row: this tries nothing");
        let most = if column == "hour" { 2 * HOUR } else { HOUR / 2 };
        assert!(off.parse::<i64>().unwrap() < most, "{table}.{column} is {off} s off");
    }
    let turned = "select count(*) from (select at < lag(at) over (partition by chain order by seq) as turned from audit) a \
                  where turned";
    assert_eq!(postgres.psql(&database.name, turned), "0", "entries of the audit log go back in time");
}

#[test]
fn a_clock_that_is_set_back_changes_nothing() {
    let postgres = Postgres::start();
    let database = database(&postgres);
    let redis = Redis::start();
    let url = redis.url();
    let clock = Clock::new();
    let shifted: Vec<_> = clock.settings();
    let settings = shifted.iter().map(|(name, value)| (*name, value.as_str()));
    let own = [("RULEBOX_REDIS__URL", url.as_str()), CHEAP];
    let settings: Vec<_> = settings.chain(own).collect();
    let mut first = Replica::start_with(&database, &settings);
    let second = Replica::start_with(&database, &[("RULEBOX_REDIS__URL", &url)]);
    let (here, there) = (&first.server, &second.server);
    let key = here.key.clone().unwrap();
    let (made, said) = output(&["key", "create", "--platform", "--role", "security"], &database.settings());
    assert!(made.success(), "{said}");
    let security = said.lines().find(|line| line.starts_with("rbx_live_")).unwrap().to_owned();
    for (n, source) in [rule(1), COUNTER.to_owned()].iter().enumerate() {
        let (status, made) = post_once(here, &key, &format!("rule {n}"), "/v1/rules", &json!({"source": source}));
        assert_eq!(status, 201, "{made}");
    }
    body(here.post(&key, "/v1/rules/probe/versions", &json!({"source": rule(2)})), 201);
    let limited = limited_tenant(here, &database.settings());
    let session = body(here.post(&key, "/v1/sessions", &json!({"rules": ["counter"]})), 201);
    let id = session["id"].as_str().unwrap();
    let (over, answers) = (AtomicBool::new(false), Mutex::new(BTreeMap::<u16, u64>::new()));
    let (bars, mut latest, mut days) = (AtomicU64::new(0), 2, Vec::new());
    std::thread::scope(|scope| {
        // Whatever fails in here ends the load too.
        let _end = SetAtEnd(&over);
        // `probe` is quarantined now and then: what is counted here is another rule's.
        for server in [here, there] {
            let (over, answers, key) = (&over, &answers, &key);
            scope.spawn(move || {
                let one = evaluate_until(server, key, over);
                let mut answers = answers.lock().unwrap();
                for (status, n) in one {
                    *answers.entry(status).or_default() += n;
                }
            });
        }
        let session = scope.spawn(|| {
            let (sent, wrong) = bars_until([here, there], &key, id, &over);
            assert!(wrong.is_empty(), "{wrong:?}");
            bars.store(sent, Ordering::SeqCst);
        });
        for (round, (name, seconds)) in STEPS.into_iter().enumerate() {
            // Begun at the time before, and answered again at the time after.
            let before = format!("key {round}");
            let asked = json!({"roles": ["engine"], "name": before});
            let made = post_once(here, &key, &before, "/v1/keys", &asked);
            assert_eq!(made.0, 201, "{}", made.1);
            days.push(set(&clock, seconds));
            violate(here, &key, round);
            println!("the clock of one replica is {name}");
            for server in [here, there] {
                assert_eq!(post_once(server, &key, &before, "/v1/keys", &asked), made, "{name}: sent again");
            }

            // A key ends when the store says so, everywhere.
            let short = key_for(there, &postgres, &database, &key, 6);
            assert!(is_let_in(here, &short) && is_let_in(there, &short), "{name}: a key that has not ended");
            let ended = [here, there].map(|server| until("the end of a key", || !is_let_in(server, &short)));
            println!("a key for 6 s is refused after {ended:?}");

            // Whoever was made last is the newest, and active when it is made so.
            for server in [here, there] {
                let made =
                    body(server.post(&key, "/v1/rules/probe/versions", &json!({"source": rule(latest + 1)})), 201);
                latest += 1;
                assert_eq!(made["version"], latest, "{name}");
                for server in [here, there] {
                    let known = body(server.get(&key, "/v1/rules/probe"), 200);
                    assert_eq!(known["latest_version"], latest, "{name}");
                }
            }

            // Neither locked out nor let in without end.
            let let_in = [here, there].map(|server| burst(server, &limited, LIMIT));
            println!("of a burst with a limit of {LIMIT}: {let_in:?}");

            // Word of changes comes as ever, both ways.
            all_reaches([here, there], [&key, &security], 3, &format!("of the replica whose clock is {name}"));
            all_reaches([there, here], [&key, &security], 3, &format!("to the replica whose clock is {name}"));
        }
        over.store(true, Ordering::SeqCst);
        session.join().unwrap();
    });
    let answers = answers.into_inner().unwrap();
    println!("{} bars of a session, none lost or doubled; evaluations by status: {answers:?}", bars.into_inner());
    // 423: `probe` was quarantined for a moment.
    assert!(answers.keys().all(|status| matches!(status, 200 | 423)) && answers[&200] > 1_000, "{answers:?}");
    stop(&mut first.server, &days);
    times_are_the_stores(&postgres, &database);
    nothing_young_is_removed(&postgres, &database, &key, &second.server);
    let (verified, said) = output(&["audit", "verify"], &database.settings());
    assert!(verified.success() && said.contains("whole") && !said.contains("BROKEN"), "{said}");
    println!("{said}");
}

/// A replica that starts with a clock years ahead runs its retention at once.
fn nothing_young_is_removed(postgres: &Postgres, database: &Database, key: &str, other: &Server) {
    let count = || {
        let tables = ["requests", "violations", "audit", "api_keys"];
        tables.map(|table| postgres.psql(&database.name, &format!("select count(*) from {table}")))
    };
    let asked = json!({"source": rule(1)});
    let before = count();
    let clock = Clock::new();
    clock.set(3 * 365 * DAY);
    let settings = clock.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.push(("RULEBOX_RETENTION__AUDIT_DAYS", "1"));
    let mut ahead = Replica::start_with(database, &settings);
    // It writes down where the audit log ends.
    stop(&mut ahead.server, &["audit head".to_owned()]);
    assert_eq!(count(), before);
    let again = post_once(other, key, "rule 0", "/v1/rules", &asked);
    assert_eq!((again.0, &again.1["version"]), (201, &json!(1)), "{}", again.1);
    println!("retention, three years ahead, left {before:?} rows of requests, violations, audit log and keys");
}

#[test]
fn a_clock_that_is_set_back_under_one_process_alone_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let settings = clock.settings();
    let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
    let settings: Vec<_> = settings.chain([CHEAP]).collect();
    let start = || Server::try_start(directory.path(), &settings).unwrap();
    let mut server = start();
    let key = server.key.clone().unwrap();
    let store = [("RULEBOX_DATA_DIR", directory.path().display().to_string())];
    body(server.post(&key, "/v1/rules", &json!({"source": rule(1)})), 201);
    body(server.post(&key, "/v1/rules", &json!({"source": COUNTER})), 201);
    server.signal("TERM");
    server.wait();
    let limited = limited_key(&store);
    server = start();
    body(server.post(&limited, "/v1/rules", &json!({"source": rule(1)})), 201);
    let session = body(server.post(&key, "/v1/sessions", &json!({"rules": ["counter"]})), 201);
    let id = session["id"].as_str().unwrap();
    let (over, mut days) = (AtomicBool::new(false), Vec::new());
    std::thread::scope(|scope| {
        let _end = SetAtEnd(&over);
        let load = scope.spawn(|| evaluate_until(&server, &key, &over));
        let session = scope.spawn(|| bars_until([&server, &server], &key, id, &over));
        for (round, (name, seconds)) in STEPS.into_iter().enumerate() {
            let before = format!("key {round}");
            let asked = json!({"roles": ["engine"], "name": before});
            let made = post_once(&server, &key, &before, "/v1/keys", &asked);
            days.push(set(&clock, seconds));
            violate(&server, &key, round);
            assert_eq!(post_once(&server, &key, &before, "/v1/keys", &asked), made, "{name}: sent again");
            let let_in = burst(&server, &limited, LIMIT);
            let made = body(server.post(&key, "/v1/rules/probe/versions", &json!({"source": rule(round + 2)})), 201);
            assert_eq!(made["version"], round + 2, "{name}");
            println!("the clock is {name}; of a burst with a limit of {LIMIT}: {let_in}");
        }
        over.store(true, Ordering::SeqCst);
        let (answers, (bars, wrong)) = (load.join().unwrap(), session.join().unwrap());
        assert!(wrong.is_empty(), "{wrong:?}");
        println!("{bars} bars of a session, none lost or doubled; evaluations by status: {answers:?}");
        assert!(answers.keys().eq([&200]), "{answers:?}");
    });
    stop(&mut server, &days);
    let (verified, said) = output(&["audit", "verify"], &store);
    assert!(verified.success() && !said.contains("BROKEN"), "{said}");
}
