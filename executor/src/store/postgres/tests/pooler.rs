//! Many clients on few servers: every answer is the one to the question that was asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use sqlx::{Connection, PgConnection};

use super::*;
use crate::domain::audit::{Chain, Seal, Sealer};
use crate::domain::idempotency::{Begun, IdempotentRequest};
use crate::domain::rule::Runnable;
use crate::domain::violation::Kind;
use crate::store::contract::NoSecret;
use crate::store::{Occurrences, Precondition, ReviewStore, RuleStore, Selection, StoreError, TenantStore};

/// Clients at a time, in two stores as of two replicas.
const CLIENTS: u32 = 24;
/// Connections to the server, for both logins together.
const SERVERS: u32 = 4;
/// Rounds of a client.
const ROUNDS: u32 = 12;

/// Calls, by what they were.
type Calls = BTreeMap<&'static str, u64>;

/// What one client does, all for a tenant of its own, so that it knows every answer.
async fn client(store: Arc<PostgresStore>, n: u32, other: TenantId) -> Calls {
    let mut calls = Calls::new();
    let change = change();
    let mut count = |call| *calls.entry(call).or_default() += 1;
    let name_of = TenantName::new(&format!("tenant-{n}")).unwrap();
    let tenant = store.create_tenant(&name_of, &TenantLimits::default(), &change).await.unwrap().id;
    let rule = name(&format!("rule_{n}"));
    let first = contract::version(n * 1_000);
    store.create_rule(tenant, &rule, &first, &contract::MOST, &change).await.unwrap();
    for round in 1..=ROUNDS {
        let new = contract::version(n * 1_000 + round);
        let made = store.add_version(tenant, &rule, &new, &Precondition::None, &contract::MOST, &change).await.unwrap();
        assert_eq!((made.number, made.digest), (round + 1, new.digest));
        count("add_version");

        let read = async |number: u32| {
            let expected = contract::version(n * 1_000 + number - 1);
            assert_eq!(store.source(tenant, &rule, number).await.unwrap(), expected.source);
            assert_eq!(store.module(tenant, &rule, number).await.unwrap().bytes, expected.module);
            assert_eq!(store.version(tenant, &rule, number).await.unwrap().digest, expected.digest);
        };
        // Several of one client at a time, so that its own answers could be mistaken for one another too.
        tokio::join!(read(1), read(made.number), read(1 + round / 2));
        (0..9).for_each(|_| count("read of a version"));

        let active = store.activate(tenant, &rule, made.number, &Precondition::None, &change).await.unwrap();
        assert_eq!((active.name.as_str(), active.active_version), (rule.as_str(), Some(made.number)));
        let stale = Precondition::Revisions(vec![active.revision + 1]);
        let refused = store.activate(tenant, &rule, 1, &stale, &change).await;
        assert!(
            matches!(refused, Err(StoreError::Stale { revision, .. }) if revision == active.revision),
            "{refused:?}"
        );
        (0..2).for_each(|_| count("activate"));

        let runs = store.runnable(tenant, &Selection::Active(5)).await.unwrap();
        assert_eq!(runs, [Runnable { rule: rule.clone(), version: made.number, digest: new.digest }]);
        let versions = store.versions(tenant, &rule, round.saturating_sub(2), 2).await.unwrap();
        let expected = [round.saturating_sub(2) + 1, round.saturating_sub(2) + 2];
        assert_eq!(versions.iter().map(|v| v.number).collect::<Vec<_>>(), expected);
        let rules = store.rules(tenant, None, 10, true).await.unwrap();
        assert_eq!(rules.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), [rule.as_str()]);
        (0..3).for_each(|_| count("list"));

        let foreign = store.rule(other, &rule).await;
        assert!(matches!(foreign, Err(StoreError::NoRule(_))), "{foreign:?}");
        let missing = store.source(tenant, &rule, 9_999).await;
        assert!(matches!(missing, Err(StoreError::NoVersion(_, 9_999))), "{missing:?}");
        (0..2).for_each(|_| count("refused read"));

        let violation = contract::violation(Kind::OutputLimit, "rule", round, 1_000);
        let (owner, once) = (Chain(Some(tenant)), Occurrences::ONE);
        let id = store.record_violation(owner, &violation, once, &contract::FEW, &change).await.unwrap().id;
        let again = store.record_violation(owner, &violation, once, &contract::FEW, &change).await.unwrap().id;
        assert_eq!(again, id);
        (0..2).for_each(|_| count("violation"));

        let (prefix, hash) = (format!("rbx_live_{n:04}{round:04}"), [u8::try_from(round).unwrap(); 32]);
        let mut hash = hash;
        hash[..4].copy_from_slice(&n.to_be_bytes());
        let key = store.create_key(Chain(Some(tenant)), &new_key(&prefix, hash), "{}", &change).await.unwrap();
        let found = store.keys(&prefix).await.unwrap();
        assert_eq!((found.len(), found[0].id, found[0].tenant, found[0].hash), (1, key.id, Some(tenant), hash));
        assert!(store.revoke_key(Chain(Some(tenant)), key.id, &change).await.unwrap().revoked_at.is_some());
        (0..3).for_each(|_| count("key"));

        let request = IdempotentRequest { key: hash, request: hash };
        let begun = store.begin_request(Chain(Some(tenant)), request, PATIENCE).await.unwrap();
        let Begun::Claimed(claim) = begun else { panic!("{begun:?}") };
        let again = store.begin_request(Chain(Some(tenant)), request, PATIENCE).await.unwrap();
        assert_eq!(again, Begun::InFlight);
        store.abandon_request(claim).await.unwrap();
        (0..3).for_each(|_| count("request"));

        let stopped = store.quarantine(tenant, &rule, made.number, "because", &change).await.unwrap();
        assert_eq!(store.quarantined(tenant).await.unwrap(), [stopped.digest]);
        assert_eq!(store.release(tenant, &rule, made.number, &change).await.unwrap().digest, new.digest);
        let limits = TenantLimits { rules: Some(round.into()), ..TenantLimits::default() };
        assert_eq!(store.set_limits(tenant, &limits, &change).await.unwrap().limits, limits);
        assert_eq!(store.tenant_named(&name_of).await.unwrap().limits, limits);
        assert_eq!(store.tenant(tenant).await.unwrap().name, name_of);
        (0..6).for_each(|_| count("platform"));
    }
    // The tenant and the rule, and in a round: a version, an activation, two of a key, two of a quarantine, limits.
    let entries = store.audit(Chain(Some(tenant)), 0, 10_000).await.unwrap();
    assert_eq!(entries.len(), 2 + 7 * ROUNDS as usize);
    for (i, entry) in entries.iter().enumerate() {
        let before = i.checked_sub(1).map_or(Seal::NONE, |before| entries[before].seal);
        assert!(
            entry.seq == i as u64 + 1 && NoSecret.is_sealed(&entry.sealed_bytes(&before), &entry.seal),
            "{entry:?}"
        );
    }
    count("audit");
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_clients_on_few_servers_get_their_own_answers() {
    let fixture = Fixture::new().await;
    let pooler = PgBouncer::start(&fixture.server, SERVERS);
    let by_pooler = fixture.database.by_port(pooler.port());
    let options = OpenOptions {
        connections: CLIENTS / 2,
        platform_connections: 4,
        acquire: Duration::from_mins(1),
        statement: Duration::from_secs(30),
        ..options(&by_pooler)
    };
    let replicas = [PostgresStore::open(&options).await.unwrap(), PostgresStore::open(&options).await.unwrap()];
    let replicas = replicas.map(Arc::new);
    let other = tenant(&replicas[0], "other").await;

    // While it started, whoever asked whether it has started was refused.
    let (logged, pooler_logged) = (fixture.server.log().len(), pooler.log().len());
    let over = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn(servers(fixture.database.url_of("postgres"), Arc::clone(&over)));
    let began = Instant::now();
    let clients = (0..CLIENTS).map(|n| tokio::spawn(client(Arc::clone(&replicas[n as usize % 2]), n, other)));
    let mut calls = Calls::new();
    for done in join_all(clients).await {
        for (call, n) in done.unwrap() {
            *calls.entry(call).or_default() += n;
        }
    }
    let elapsed = began.elapsed();
    over.store(true, Ordering::SeqCst);
    let servers = watch.await.unwrap();
    let total: u64 = calls.values().sum();
    println!("{CLIENTS} clients, at most {servers} servers: {total} calls, 0 errors, {elapsed:?}: {calls:?}");
    assert!(total >= 5_000, "{total}");
    assert!(servers == i64::from(SERVERS), "{servers}");
    for replica in replicas {
        replica.close().await;
    }
    // Refusals of the store are none of the server.
    for log in [&fixture.server.log()[logged..], &pooler.log()[pooler_logged..]] {
        let bad: Vec<_> =
            log.lines().filter(|line| ["ERROR", "FATAL", "PANIC"].iter().any(|e| line.contains(e))).collect();
        assert_eq!(bad, Vec::<&str>::new());
    }
}

/// The most connections that the server has had at a time, but for this one.
async fn servers(url: String, over: Arc<AtomicBool>) -> i64 {
    let mut db = PgConnection::connect(&url).await.unwrap();
    let mut most = 0;
    while !over.load(Ordering::SeqCst) {
        let now: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
        )
        .fetch_one(&mut db)
        .await
        .unwrap();
        most = most.max(now);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    most
}
