//! What tenants used: every call is counted for what it is, once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Float64Array};
use reqwest::Method;
use rulebox::config::Config;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::harness::{DRAWDOWN, Server, config, send};
use crate::sessions::socket::Client;
use crate::sessions::{bars, begin};
use crate::streams::{ARROW, LINES, arrow_stream, stream};

const EVALUATE: &str = "/v1/rules/drawdown/evaluate";
const FLOOR: &str = "rule floor(equity) = equity < 1000";

/// Counts, in this order: requests, refused, evaluations, bars, fuel.
type Counts = [u64; 5];

fn counts(used: &Value) -> Counts {
    ["requests", "refused", "evaluations", "bars", "fuel"].map(|name| used[name].as_u64().unwrap())
}

/// How often usage is written, by itself; and patience with a busy machine, where the harness has little.
fn settings(config: &mut Config, seconds: u64) {
    config.usage.flush_seconds = seconds;
    config.store.busy_ms = 10_000;
}

/// A server that writes nothing by itself, and the keys of `admin` and `security`.
async fn start() -> (Server, String, String) {
    Server::with_platform_keys(|config| settings(config, 3_600)).await
}

/// A server that writes nothing by itself, and what its first tenant has used so far.
struct Metered {
    server: Server,
    admin: String,
    before: Counts,
}

impl Metered {
    async fn start() -> Self {
        let (server, admin, _) = start().await;
        Self { server, admin, before: [0; 5] }
    }

    /// What was used since the last time, read by somebody who uses nothing of the tenant's.
    async fn since(&mut self) -> Counts {
        let usage = self.server.get_by(&self.admin, "/v1/tenants/default/usage").await.ok();
        let now = counts(&usage["total"]);
        let since = std::array::from_fn(|at| now[at] - self.before[at]);
        self.before = now;
        since
    }
}

fn fuel(answer: &Value) -> u64 {
    answer["fuel"].as_u64().unwrap()
}

#[tokio::test]
async fn evaluations_are_counted_by_rule_with_their_bars_and_fuel() {
    let mut metered = Metered::start().await;
    assert_eq!(metered.since().await, [0; 5]);
    let post = async |metered: &Metered, path: &str, body: Value| metered.server.post(path, &body).await;
    post(&metered, "/v1/rules", json!({ "source": DRAWDOWN })).await.ok();
    assert_eq!(metered.since().await, [1, 0, 0, 0, 0]);
    let bar = json!({"inputs": {"equity": 90_000, "drawdown": 0.01}});
    let one = post(&metered, EVALUATE, bar.clone()).await.ok();
    assert_eq!(metered.since().await, [1, 0, 1, 1, fuel(&one)]);
    assert!(fuel(&one) > 0);
    let columns = json!({"columns": {"equity": vec![90_000; 10_000], "drawdown": vec![0.01; 10_000]}});
    let series = post(&metered, EVALUATE, columns).await.ok();
    assert_eq!(metered.since().await, [1, 0, 1, 10_000, fuel(&series)]);
    // A bar on which a rule faults has been run as well.
    let fault = post(&metered, EVALUATE, json!({"inputs": {"equity": null, "drawdown": 0.01}})).await.ok();
    assert_eq!(fault["verdict"], "fault");
    assert_eq!(metered.since().await, [1, 0, 1, 1, fuel(&fault)]);

    post(&metered, "/v1/rules", json!({ "source": FLOOR })).await.ok();
    assert_eq!(metered.since().await, [1, 0, 0, 0, 0]);
    let both = json!({"rules": "*", "columns": {"equity": [1, 2, 3], "drawdown": [0, 0, 0]}});
    let both = post(&metered, "/v1/evaluate", both).await.ok();
    let each: u64 = both["rules"].as_array().unwrap().iter().map(fuel).sum();
    assert_eq!(metered.since().await, [1, 0, 2, 6, each]);

    // What is not run is a request and no more; who is nobody is not even that.
    post(&metered, EVALUATE, json!({"inputs": {"equity": 1}})).await.problem(422, "missing_column");
    post(&metered, "/v1/rules/check", json!({ "source": FLOOR })).await.ok();
    assert_eq!(metered.since().await, [2, 0, 0, 0, 0]);
    send(metered.server.anonymous(Method::POST, EVALUATE).json(&bar)).await.problem(401, "unauthenticated");
    metered.server.get_by(&metered.admin, "/v1/tenants/default").await.ok();
    assert_eq!(metered.since().await, [0; 5]);
    // To read it is a request of the tenant's own.
    let own = metered.server.get("/v1/usage").await.ok();
    let since = metered.since().await;
    assert_eq!((since, counts(&own["total"])), ([1, 0, 0, 0, 0], metered.before), "it counts itself");
}

#[tokio::test]
async fn bars_of_sessions_are_counted_when_they_are_run() {
    let mut metered = Metered::start().await;
    metered.server.upload(FLOOR).await;
    metered.server.upload(&FLOOR.replace("floor", "second")).await;
    metered.since().await;
    let id = begin(&metered.server, json!("*")).await;
    assert_eq!(metered.since().await, [1, 0, 0, 0, 0]);
    bars(&metered.server, &id, 0, &[1.0, 2.0, 3.0]).await.ok();
    let [requests, refused, evaluations, run, used] = metered.since().await;
    assert_eq!([requests, refused, evaluations, run], [1, 0, 2, 6]);
    assert!(used > 0);
    // Told again, not run again; of a call that overlaps, the new bar is.
    bars(&metered.server, &id, 0, &[1.0, 2.0, 3.0]).await.ok();
    assert_eq!(metered.since().await, [1, 0, 0, 0, 0]);
    bars(&metered.server, &id, 2, &[3.0, 4.0]).await.ok();
    let [requests, _, evaluations, run, used] = metered.since().await;
    assert!([requests, evaluations, run] == [1, 2, 2] && used > 0);
    // A message is a request, and so is the connection.
    let mut client = Client::connect(&metered.server, &id).await;
    client.ask(&json!({"seq": 4, "inputs": {"equity": 5}})).await;
    client.ask(&json!({"seq": 5, "inputs": {"equity": 6}})).await;
    let [requests, refused, evaluations, run, used] = metered.since().await;
    assert!([requests, refused, evaluations, run] == [3, 0, 4, 4] && used > 0);
}

#[tokio::test]
async fn streams_are_counted_batch_by_batch() {
    let mut metered = Metered::start().await;
    metered.server.upload(DRAWDOWN).await;
    metered.since().await;
    let lines = "{\"equity\": 1, \"drawdown\": 0.01}\n".repeat(5);
    let (_, trailer) = stream(&metered.server, EVALUATE, LINES, None, lines).await.lines();
    assert_eq!(metered.since().await, [1, 0, 1, 5, fuel(&trailer)]);
    let columns: [(&str, ArrayRef); 2] =
        ["equity", "drawdown"].map(|name| (name, Arc::new(Float64Array::from(vec![0.01; 700])) as ArrayRef));
    let body = arrow_stream(&columns, [400, 300]);
    let (_, trailer) = stream(&metered.server, EVALUATE, ARROW, None, body).await.arrow();
    assert_eq!(metered.since().await, [1, 0, 1, 700, fuel(&trailer)]);
    // What was run before something is wrong has been used.
    let broken = "{\"equity\": 1, \"drawdown\": 0.01}\n{\"equity\": \n";
    let (_, trailer) = stream(&metered.server, EVALUATE, LINES, None, broken).await.lines();
    assert!(trailer["error"].is_object());
    assert_eq!(metered.since().await, [1, 0, 1, 1, fuel(&trailer)]);
    // A stream that waits for fuel has not been refused.
    let bar = fuel(&trailer);
    let limits = json!({"limits": {"fuel_per_call": 10 * bar, "fuel_per_second": 10 * bar}});
    let patched = metered.server.request_by(&metered.admin, Method::PATCH, "/v1/tenants/default");
    send(patched.json(&limits)).await.ok();
    let lines = "{\"equity\": 1, \"drawdown\": 0.01}\n".repeat(25);
    let (_, trailer) = stream(&metered.server, EVALUATE, LINES, None, lines).await.lines();
    assert!(trailer.get("error").is_none(), "{trailer}");
    let [requests, refused, evaluations, run, used] = metered.since().await;
    assert_eq!([requests, refused, evaluations, run, used], [1, 0, 1, 25, fuel(&trailer)]);
}

#[tokio::test]
async fn refused_requests_are_counted_as_such() {
    let (server, admin, _) = start().await;
    let slow = json!({"name": "slow", "limits": {"requests_per_second": 2}});
    server.post_by(&admin, "/v1/tenants", &slow).await.ok();
    let key = server.tenant_key(&admin, "slow", &["engine"]).await;
    let (mut let_in, mut refused) = (0, 0);
    for _ in 0..20 {
        match server.get_by(&key, "/v1/rules").await.status {
            200 => let_in += 1,
            429 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!(let_in >= 2 && refused > 0);
    let usage = async |tenant: &str| {
        let usage = server.get_by(&admin, &format!("/v1/tenants/{tenant}/usage")).await.ok();
        counts(&usage["total"])
    };
    assert_eq!(usage("slow").await, [let_in, refused, 0, 0, 0]);

    server.upload(DRAWDOWN).await;
    let bar = json!({"inputs": {"equity": 90_000, "drawdown": 0.01}});
    let used = fuel(&server.post(EVALUATE, &bar).await.ok());
    let frugal = json!({"name": "frugal", "limits": {"fuel_per_second": 1, "fuel_per_call": used * 4}});
    server.post_by(&admin, "/v1/tenants", &frugal).await.ok();
    let key = server.tenant_key(&admin, "frugal", &["author", "engine"]).await;
    server.post_by(&key, "/v1/rules", &json!({ "source": DRAWDOWN })).await.ok();
    let (mut answered, mut spent) = (0, 0);
    let refused = loop {
        let answer = server.post_by(&key, EVALUATE, &bar).await;
        if answer.status != 200 {
            break answer;
        }
        (answered, spent) = (answered + 1, spent + fuel(&answer.json));
        assert!(answered < 100, "there is fuel for a few");
    };
    refused.problem(429, "rate_limited");
    // The upload, those that were answered, and the one that was let in and refused for its fuel.
    assert_eq!(usage("frugal").await, [answered + 2, 1, answered, answered, spent]);
}

#[tokio::test]
async fn tenants_see_their_own_use_and_the_platform_sees_any() {
    let (server, admin, security) = start().await;
    let key = server.tenant(&admin, "stranger", &["tenant-admin", "engine"]).await;
    for _ in 0..3 {
        server.get("/v1/rules").await.ok();
    }
    let own = server.get_by(&key, "/v1/usage").await.ok();
    assert_eq!(counts(&own["total"]), [1, 0, 0, 0, 0]);
    let first = server.get_by(&admin, "/v1/tenants/default/usage").await.ok();
    assert_eq!(counts(&first["total"]), [3, 0, 0, 0, 0]);
    server.get_by(&key, "/v1/tenants/default/usage").await.problem(403, "forbidden");
    server.get_by(&security, "/v1/tenants/default/usage").await.problem(403, "forbidden");
    // It has no tenant that it could mean.
    server.get_by(&admin, "/v1/usage").await.problem(403, "forbidden");
    let engine = server.tenant_key(&admin, "stranger", &["engine"]).await;
    server.get_by(&engine, "/v1/usage").await.problem(403, "forbidden");
    server.get_by(&admin, "/v1/tenants/nobody/usage").await.problem(404, "tenant_not_found");
    // Who is suspended has used something all the same.
    let suspend = server.request_by(&admin, Method::PATCH, "/v1/tenants/stranger").json(&json!({"suspended": true}));
    send(suspend).await.ok();
    server.get_by(&key, "/v1/usage").await.problem(401, "unauthenticated");
    let usage = server.get_by(&admin, "/v1/tenants/stranger/usage").await.ok();
    // One that is not permitted has been let in as well.
    assert_eq!(counts(&usage["total"]), [3, 0, 0, 0, 0]);
}

#[tokio::test]
async fn periods_are_those_that_were_asked_for() {
    let (server, ..) = start().await;
    let hours = server.get("/v1/usage").await.ok();
    assert_eq!((&hours["by"], hours["periods"].as_array().unwrap().len()), (&json!("hour"), 24));
    assert_eq!(hours["from"], hours["periods"][0]["from"]);
    let sum = |usage: &Value| {
        let all = usage["periods"].as_array().unwrap().iter().map(counts);
        all.fold([0; 5], |sum: Counts, next| std::array::from_fn(|at| sum[at] + next[at]))
    };
    assert_eq!((sum(&hours), counts(&hours["total"])), ([1, 0, 0, 0, 0], [1, 0, 0, 0, 0]));
    let days = server.get("/v1/usage?by=day").await.ok();
    assert_eq!((&days["by"], days["periods"].as_array().unwrap().len()), (&json!("day"), 30));
    assert_eq!(sum(&days), [2, 0, 0, 0, 0]);
    let past = "/v1/usage?from=2026-01-05T10:59:00Z&to=2026-01-05T13:00:00%2B01:00";
    let past = server.get(past).await.ok();
    assert_eq!((&past["from"], &past["to"]), (&json!("2026-01-05T10:00:00Z"), &json!("2026-01-05T12:00:00Z")));
    assert_eq!((past["periods"].as_array().unwrap().len(), sum(&past)), (2, [0; 5]));
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused() {
    let (server, admin, _) = start().await;
    for (query, said, path) in [
        ("bogus=1", "there are: `from`, `to`, `by`", None),
        ("from=2026-01-01T00:00:00Z&from=2026-01-01T00:00:00Z", "is there twice", None),
        ("by=week", "`hour` or `day`", None),
        ("by=", "`hour` or `day`", None),
        ("by=Hour", "`hour` or `day`", None),
        ("from=yesterday", "`from` is a time in RFC 3339", Some("from")),
        ("from=", "`from` is a time", Some("from")),
        ("to=2026-01-05", "`to` is a time", Some("to")),
        ("to=1767625200000", "`to` is a time", Some("to")),
        ("to=2026-01-05T10:00:00+01:00", "`%2B`", Some("to")),
        ("from=2026-01-05T10:00:00Z&to=2026-01-05T10:00:00Z", "`from` must be before `to`", Some("from")),
        ("from=2026-01-05T10:30:00Z&to=2026-01-05T10:15:00Z", "`from` must be before `to`", Some("from")),
        ("from=2099-01-05T10:00:00Z", "`from` must be before `to`", Some("from")),
        ("from=1969-12-31T23:00:00Z", "a time is one from 1970", Some("from")),
        ("to=9999-12-31T23:59:59Z", "a time is one from 1970", Some("from")),
        ("from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:01Z", "745 hours, and the most is 744", Some("from")),
        ("from=2026-01-01T00:00:00Z&to=2027-01-02T00:00:01Z&by=day", "367 days, and the most is 366", Some("from")),
    ] {
        for (key, path_of) in [(&server.key, "/v1/usage"), (&admin, "/v1/tenants/default/usage")] {
            let problem = server.get_by(key, &format!("{path_of}?{query}")).await.problem(400, "invalid_query");
            assert!(problem["detail"].as_str().unwrap().contains(said), "{query}: {problem:#}");
            assert_eq!(problem["path"].as_str(), path, "{query}: {problem:#}");
        }
    }
    server.get("/v1/usage?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z").await.ok();
    server.get("/v1/usage?from=2026-01-01T00:00:00Z&to=2027-01-02T00:00:00Z&by=day").await.ok();
}

#[tokio::test]
async fn usage_is_written_every_so_often_and_when_the_service_stops() {
    let directory = tempfile::tempdir().unwrap();
    let mut often = config(directory.path());
    settings(&mut often, 1);
    let mut seldom = often.clone();
    settings(&mut seldom, 3_600);
    let server = Server::over(directory, often, None).await;
    server.get("/v1/rules").await.ok();
    // As somebody else would read it, beside the service.
    let file = SqliteConnectOptions::new().filename(server.directory.path().join("rulebox.db")).read_only(true);
    let mut db = file.connect().await.unwrap();
    let began = Instant::now();
    loop {
        let written: i64 =
            sqlx::query_scalar("select coalesce(sum(requests), 0) from usage").fetch_one(&mut db).await.unwrap();
        if written == 1 {
            break;
        }
        assert!(written == 0 && began.elapsed() < Duration::from_secs(30), "{written} after {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("usage was written after {:?}", began.elapsed());
    db.close().await.unwrap();
    let (directory, key) = server.stop().await;

    let server = Server::over(directory, seldom.clone(), Some(key)).await;
    server.get("/v1/rules").await.ok();
    let (directory, key) = server.stop().await;
    let server = Server::over(directory, seldom, Some(key)).await;
    assert_eq!(counts(&server.get("/v1/usage").await.ok()["total"]), [3, 0, 0, 0, 0]);
}

#[tokio::test]
async fn usage_that_cannot_be_written_is_shown_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let mut often = config(directory.path());
    settings(&mut often, 1);
    // Each try gives up before the next is due.
    often.store.busy_ms = 500;
    let server = Server::over(directory, often.clone(), None).await;
    let file = SqliteConnectOptions::new().filename(server.directory.path().join("rulebox.db"));
    let mut other = file.connect().await.unwrap();
    sqlx::query("begin immediate").execute(&mut other).await.unwrap();
    // Past the time at which it would have been written.
    for requests in 1..=25 {
        assert_eq!(counts(&server.get("/v1/usage").await.ok()["total"]), [requests, 0, 0, 0, 0]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let written = "select count(*) from usage";
    assert_eq!(sqlx::query_scalar::<_, i64>(written).fetch_one(&mut other).await.unwrap(), 0);
    sqlx::query("rollback").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let (directory, key) = server.stop().await;
    let server = Server::over(directory, often, Some(key)).await;
    assert_eq!(counts(&server.get("/v1/usage").await.ok()["total"]), [26, 0, 0, 0, 0]);
}
