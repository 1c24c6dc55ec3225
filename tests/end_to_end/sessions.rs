//! Sessions outlive the replica that ran them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rulebox_tests::Server;
use rulebox_tests::servers::redis::Redis;
use serde_json::{Value, json};

/// Each bar tells how many there were, and what they add up to.
const COUNTER: &str = "rule counter(equity) {\n let n = cum_sum(1)\n let total = cum_sum(equity)\n out count = n\n \
                       out sum = total\n if total > 1e9 { breach \"much\" }\n}";

/// Rounds of bars, each ended by `kill -9`.
fn rounds() -> u64 {
    if std::env::var_os("TESTS_FULL").is_some() { 25 } else { 4 }
}

/// One bar; its answer, or nothing if the service is gone.
fn send(server: &Server, key: &str, id: &str, seq: u64) -> Option<Value> {
    let body = json!({"seq": seq, "inputs": {"equity": seq}});
    let began = Instant::now();
    loop {
        let answer = server.post(key, &format!("/v1/sessions/{id}/bars"), &body).ok()?;
        let (status, answer) = (answer.status().as_u16(), answer.json::<Value>().ok()?);
        if status == 200 {
            return Some(answer);
        }
        // What a client does that was told so: the bar may have been counted or not.
        assert_eq!(answer["code"], "sessions_unavailable", "bar {seq}: {answer:#}");
        assert!(began.elapsed() < Duration::from_secs(30), "bar {seq} is not answered");
    }
}

#[test]
fn every_bar_counts_once_through_kill_9() {
    let (directory, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    // The short name of the setting.
    let start = || Server::try_start(directory.path(), &[("REDIS_URL", &redis.url())]).unwrap();
    let mut server = start();
    let key = server.key.clone().unwrap();
    assert!(server.post(&key, "/v1/rules", &json!({"source": COUNTER})).unwrap().status().is_success());
    let session: Value = server.post(&key, "/v1/sessions", &json!({"rules": "*"})).unwrap().json().unwrap();
    let id = session["id"].as_str().unwrap().to_owned();

    let (mut answers, mut again) = (Vec::<Value>::new(), 0);
    for round in 0..rounds() {
        let acknowledged = AtomicU64::new(0);
        let run = std::thread::scope(|scope| {
            let (server, key, id, first, acknowledged) = (&server, &key, &id, answers.len() as u64, &acknowledged);
            let sender = scope.spawn(move || {
                let mut answers = Vec::new();
                while let Some(answer) = send(server, key, id, first + answers.len() as u64) {
                    answers.push(answer);
                    acknowledged.store(answers.len() as u64, Ordering::SeqCst);
                }
                answers
            });
            // Some bars, and then whichever is on its way.
            while acknowledged.load(Ordering::SeqCst) < 20 + round && !sender.is_finished() {
                std::thread::sleep(Duration::from_micros(300 + 70 * round));
            }
            server.signal("KILL");
            sender.join().unwrap()
        });
        assert!(run.len() as u64 >= 20, "{} bars before the kill", run.len());
        answers.extend(run);
        server.wait();
        server = start();
        // Those of which one was not answered, or was and the client does not know.
        let from = answers.len() as u64 - 3;
        for seq in from..=answers.len() as u64 {
            let answer = send(&server, &key, &id, seq).unwrap();
            match answers.get(usize::try_from(seq).unwrap()) {
                Some(before) => assert_eq!(*before, answer, "bar {seq} is answered as it was"),
                None => answers.push(answer),
            }
            again += 1;
        }
    }
    let (mut lost, mut doubled) = (0, 0);
    let mut sum = 0.0;
    for (seq, answer) in (0_u32..).zip(&answers) {
        sum += f64::from(seq);
        let out = &answer["bars"][0]["rules"][0]["out"];
        let (bars, total) = (out["count"].as_f64().unwrap(), out["sum"].as_f64().unwrap());
        lost += u32::from(bars < f64::from(seq + 1) || total < sum);
        doubled += u32::from(bars > f64::from(seq + 1) || total > sum);
    }
    println!(
        "{} bars over {} kills, {again} sent again: {lost} lost, {doubled} counted twice",
        answers.len(),
        rounds()
    );
    assert_eq!((lost, doubled), (0, 0));
}
