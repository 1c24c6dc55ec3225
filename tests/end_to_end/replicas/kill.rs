//! A replica is killed in the middle of uploads.

use std::sync::atomic::AtomicUsize;

use super::*;

/// Threads that upload, each to a rule of its own.
const UPLOADS: usize = 4;
/// Until each of them has its rule.
const PATIENCE: Duration = Duration::from_secs(30);

fn rounds() -> usize {
    if std::env::var_os("TESTS_FULL").is_some() { 20 } else { 3 }
}

#[test]
fn every_version_that_a_killed_replica_acknowledged_is_on_the_other() {
    let server = Postgres::start_with(Sync::Disk);
    let database = database(&server);
    let ([first, other], key) = replicas(&database);
    let mut victim = first;
    let mut acknowledged: Vec<Acknowledged> = Vec::new();
    for round in 0..rounds() {
        let (killed, begun) = (AtomicBool::new(false), AtomicUsize::new(0));
        let stored: Vec<Acknowledged> = std::thread::scope(|scope| {
            let uploads: Vec<_> = (0..UPLOADS)
                .map(|thread| {
                    let (server, key, killed, begun) = (&victim.server, &key, &killed, &begun);
                    scope.spawn(move || until_killed(server, key, &format!("r{round}_{thread}"), killed, begun))
                })
                .collect();
            let since = Instant::now();
            while begun.load(Ordering::SeqCst) < UPLOADS && since.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(5));
            }
            // Among uploads; when exactly, is what the test wants to be by chance.
            std::thread::sleep(Duration::from_millis(53 * round as u64));
            killed.store(true, Ordering::SeqCst);
            victim.server.signal("KILL");
            uploads.into_iter().flat_map(|upload| upload.join().unwrap()).collect()
        });
        victim.server.wait();
        assert!(!stored.is_empty(), "nothing was acknowledged before the kill: the test tries nothing");
        acknowledged.extend(stored);
        all_are_there(&other.server, &key, &acknowledged);
        // Of what was under way, nothing stays half done or locked: the rule takes the next version.
        let next = json!({"source": rule(1_000_000 + round)});
        body(other.server.post(&key, &format!("/v1/rules/r{round}_0/versions"), &next), 201);
        victim = Replica::start(&database);
    }
    all_are_there(&victim.server, &key, &acknowledged);
    println!("{} versions acknowledged over {} kills, none lost", acknowledged.len(), rounds());
}

/// Uploads version after version until the server is killed; those that were acknowledged.
fn until_killed(server: &Server, key: &str, name: &str, killed: &AtomicBool, begun: &AtomicUsize) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    for n in 1.. {
        let (path, upload) = if n == 1 {
            ("/v1/rules".to_owned(), json!({"name": name, "source": rule(n)}))
        } else {
            (format!("/v1/rules/{name}/versions"), json!({"source": rule(n)}))
        };
        let answer = server.post(key, &path, &upload).and_then(|answer| {
            let status = answer.status().as_u16();
            Ok((status, answer.json::<Value>()?))
        });
        match answer {
            Ok((201, made)) => {
                let digest = made["digest"].as_str().unwrap().to_owned();
                acknowledged.push((name.to_owned(), made["version"].as_u64().unwrap(), digest));
                if n == 1 {
                    begun.fetch_add(1, Ordering::SeqCst);
                }
            }
            Ok((status, answer)) => panic!("{status}: {answer}"),
            // An answer that was lost is no acknowledgement; but only a killed server may lose one.
            Err(error) => {
                assert!(killed.load(Ordering::SeqCst), "{error}");
                break;
            }
        }
    }
    acknowledged
}
