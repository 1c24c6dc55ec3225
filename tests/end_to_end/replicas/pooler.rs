//! Two replicas behind a pooler with few servers: every request gets its own answer.

use rulebox_tests::SetAtEnd;
use rulebox_tests::servers::pgbouncer::PgBouncer;

use super::*;

const CLIENTS: usize = 16;
const SERVERS: u32 = 4;
const ROUNDS: usize = 12;

/// Calls of a client: each round makes a version, and reads, lists, activates and runs it by either replica.
fn client(replicas: &[Replica; 2], key: &str, client: usize) -> u64 {
    let name = format!("pooled_{client}");
    let limit = |version: usize| 1_000 * (client + 1) + version;
    let source = |version: usize| format!("rule probe(equity) = equity < {}", limit(version));
    let mut calls = 0;
    let mut turn = client;
    // The replicas in turn, so that each call follows one by the other.
    let mut next = || {
        turn += 1;
        calls += 1;
        &replicas[turn % 2].server
    };
    body(next().post(key, "/v1/rules", &json!({"name": name, "source": source(1)})), 201);
    for version in 2..ROUNDS + 2 {
        let of = |path: &str| format!("/v1/rules/{name}{path}");
        let made = body(next().post(key, &of("/versions"), &json!({"source": source(version)})), 201);
        assert_eq!((&made["version"], &made["rule"]), (&json!(version), &json!(name)));
        let seen = next().get(key, &of("")).unwrap();
        let tag = seen.headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(body(Ok(seen), 200)["latest_version"], version);
        let server = next();
        let url = format!("{}{}", server.api, of("/activate"));
        let active = server.client().post(url).bearer_auth(key).header("if-match", tag);
        let active = body(active.json(&json!({"version": version})).send(), 200);
        assert_eq!((&active["active_version"], &active["name"]), (&json!(version), &json!(name)));
        for older in [1, version / 2 + 1, version] {
            let text = body(next().get(key, &of(&format!("/versions/{older}/source"))), 200);
            assert_eq!(text.as_str(), Some(source(older).as_str()));
            let one = body(next().get(key, &of(&format!("/versions/{older}"))), 200);
            assert_eq!(one["version"], older);
            // Below this version's limit, and not below that of the version before.
            let path = of(&format!("/evaluate?version={older}"));
            let at = |equity: usize| json!({"inputs": {"equity": equity}});
            let answer = body(next().post(key, &path, &at(limit(older) - 1)), 200);
            assert_eq!((&answer["verdict"], &answer["version"]), (&json!("breach"), &json!(older)), "{answer}");
            assert_eq!(body(next().post(key, &path, &at(limit(older))), 200)["verdict"], "ok");
        }
        let listed = body(next().get(key, &of("/versions?limit=100")), 200);
        assert_eq!(listed["versions"].as_array().unwrap().len(), version, "{listed}");
        assert_eq!(body(next().get(key, "/v1/rules/nobodys"), 404)["code"], "rule_not_found");
        let taken = json!({"name": name, "source": source(1)});
        assert_eq!(body(next().post(key, "/v1/rules", &taken), 409)["code"], "name_taken");
        let new = json!({"name": format!("key of {client}"), "roles": ["engine"]});
        let made = body(next().post(key, "/v1/keys", &new), 201);
        let (id, secret) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
        assert_eq!(body(next().get(secret, &of("")), 200)["name"], name);
        let server = next();
        let gone = server.client().delete(format!("{}/v1/keys/{id}", server.api)).bearer_auth(key).send().unwrap();
        assert!(gone.status().is_success(), "{}", gone.status());
    }
    calls
}

#[test]
fn thousands_of_calls_through_a_pooler_are_answered_right() {
    let server = Postgres::start();
    let pooler = PgBouncer::start(&server, SERVERS);
    let database = database(&server);
    let (replicas, key) = replicas(&database.by_port(pooler.port()));
    // While it started, whoever asked whether it has started was refused.
    let (logged, pooler_logged) = (server.log().len(), pooler.log().len());
    let over = AtomicBool::new(false);
    let began = Instant::now();
    let (calls, servers) = std::thread::scope(|scope| {
        let _end = SetAtEnd(&over);
        let watch = scope.spawn(|| most_servers(&server, &over));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let (replicas, key) = (&replicas, &key);
                scope.spawn(move || client(replicas, key, n))
            })
            .collect();
        let calls: u64 = clients.into_iter().map(|client| client.join().unwrap()).sum();
        over.store(true, Ordering::SeqCst);
        (calls, watch.join().unwrap())
    });
    println!(
        "{CLIENTS} clients, 2 replicas, at most {servers} servers: {calls} calls, 0 errors, {:?}",
        began.elapsed()
    );
    assert!(calls >= 4_000, "{calls}");
    assert!(servers <= SERVERS, "{servers}");
    for log in [&server.log()[logged..], &pooler.log()[pooler_logged..]] {
        let bad: Vec<_> = log.lines().filter(|line| line.contains("ERROR") || line.contains("FATAL")).collect();
        assert_eq!(bad, Vec::<&str>::new());
    }
}

/// The most connections of the service that the server has had at a time.
fn most_servers(server: &Postgres, over: &AtomicBool) -> u32 {
    let mut most = 0;
    while !over.load(Ordering::SeqCst) {
        let now = "select count(*) from pg_stat_activity where usename in ('rulebox_service', 'rulebox_review')";
        most = most.max(server.psql("postgres", now).parse().unwrap());
        std::thread::sleep(Duration::from_millis(50));
    }
    most
}
