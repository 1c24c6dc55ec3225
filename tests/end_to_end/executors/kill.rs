//! Executors are killed while they run things: no answer is wrong, and none is lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rulebox_tests::SetAtEnd;
use serde_json::{Value, json};

use super::{Far, account, body, upload};

/// How long it goes on, with `TESTS_FULL=1` or without.
fn duration() -> Duration {
    Duration::from_secs(if std::env::var_os("TESTS_FULL").is_some() { 120 } else { 12 })
}

const RULE: &str = "rule watched(equity, drawdown) {\n  param limit: num = 10% in 0%..100%\n  out low = lowest(equity, 50, min: 1)\n  if drawdown > limit { breach liquidate \"{drawdown:.3%}\" }\n  else if equity < (sma(equity, 20) ?? equity) { warn \"{equity:.2}\" }\n}";

/// Asks the same again and again until `over`, and holds every answer against the first. Sums up how many there were
/// and the slowest.
fn ask(over: &AtomicBool, asked: &AtomicU64, slowest: &AtomicU64, expected: &Value, mut one: impl FnMut() -> Value) {
    while !over.load(Ordering::SeqCst) {
        let began = Instant::now();
        assert_eq!(&one(), expected);
        asked.fetch_add(1, Ordering::SeqCst);
        slowest.fetch_max(u64::try_from(began.elapsed().as_millis()).unwrap(), Ordering::SeqCst);
    }
}

#[test]
fn no_verdict_is_wrong_or_lost_when_executors_are_killed() {
    let mut far = Far::start(3);
    let rule = upload(&far.api, &far.key, RULE);
    let evaluate = format!("/v1/rules/{rule}/evaluate");
    let (equity, drawdown) = account(50_000);
    let bar = json!({"inputs": {"equity": equity[700], "drawdown": drawdown[700]}});
    let columns = json!({"columns": {"equity": equity, "drawdown": drawdown}});
    let series = format!("{evaluate}?series=verdict,out");
    let line = |(equity, drawdown): (&f64, &f64)| format!("{{\"equity\":{equity},\"drawdown\":{drawdown}}}\n");
    let lines = equity.iter().zip(&drawdown).map(line).collect::<Vec<_>>().concat();
    let api = far.api.api.clone();
    let client = far.api.client().clone();
    let key = far.key.clone();
    let post = |path: &str, request: &Value| {
        body(client.post(format!("{api}{path}")).bearer_auth(&key).json(request).send(), 200)
    };
    let stream = || {
        let request = client.post(format!("{api}{evaluate}")).bearer_auth(&key);
        let answer = request.header("content-type", "application/x-ndjson").body(lines.clone()).send().unwrap();
        assert_eq!(answer.status(), 200);
        let mut answer: Vec<Value> = answer.text().unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        // What it used depends on how its bars came.
        let trailer = answer.last_mut().unwrap().as_object_mut().unwrap();
        trailer.remove("fuel");
        trailer.values_mut().filter_map(Value::as_object_mut).for_each(|end| drop(end.remove("fuel")));
        Value::Array(answer)
    };
    let (bar_first, columns_first, stream_first) = (post(&evaluate, &bar), post(&series, &columns), stream());
    assert_eq!(columns_first["bars"], 50_000);
    assert!(columns_first["counts"]["breach"].as_u64().unwrap() > 100, "{}", columns_first["counts"]);

    let over = AtomicBool::new(false);
    let asked = [const { AtomicU64::new(0) }; 4];
    let slowest = [const { AtomicU64::new(0) }; 4];
    let mut kills = 0;
    std::thread::scope(|scope| {
        let _end = SetAtEnd(&over);
        for _ in 0..2 {
            scope.spawn(|| ask(&over, &asked[0], &slowest[0], &bar_first, || post(&evaluate, &bar)));
            scope.spawn(|| ask(&over, &asked[1], &slowest[1], &columns_first, || post(&series, &columns)));
            scope.spawn(|| ask(&over, &asked[2], &slowest[2], &stream_first, stream));
        }
        // A session, bar by bar: what it says is what the series said.
        scope.spawn(|| {
            let made = client.post(format!("{api}/v1/sessions")).bearer_auth(&key).json(&json!({"rules": [rule]}));
            let id = body(made.send(), 201)["id"].as_str().unwrap().to_owned();
            for seq in 0..equity.len() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let began = Instant::now();
                let bar = json!({"seq": seq, "inputs": {"equity": equity[seq], "drawdown": drawdown[seq]}});
                let answer = post(&format!("/v1/sessions/{id}/bars"), &bar);
                assert!(
                    answer.to_string().contains(&format!("\"verdict\":{}", columns_first["series"]["verdict"][seq])),
                    "{answer}"
                );
                asked[3].fetch_add(1, Ordering::SeqCst);
                slowest[3].fetch_max(u64::try_from(began.elapsed().as_millis()).unwrap(), Ordering::SeqCst);
            }
        });
        let began = Instant::now();
        while began.elapsed() < duration() {
            let n = kills % 3;
            std::thread::sleep(Duration::from_millis(150 + 37 * (kills as u64 % 7)));
            let before = asked[0].load(Ordering::SeqCst);
            // Every third is told to stop, and lets its runs end.
            let is_told = kills % 3 == 2;
            far.executors[n].signal(if is_told { "TERM" } else { "KILL" });
            let (status, log) = far.executors[n].wait();
            assert!(!is_told || (status.success() && log.contains("stopped")), "{status} {log}");
            kills += 1;
            std::thread::sleep(Duration::from_millis(100));
            far.restart(n);
            // The next is killed when this one is there again: a run survives one loss, not two.
            let since = Instant::now();
            while !ready(&far).contains("3 of 3 connected") {
                assert!(since.elapsed() < Duration::from_mins(1), "{}", ready(&far));
                std::thread::sleep(Duration::from_millis(10));
            }
            goes_on(&asked[0], before);
        }
        for asked in &asked {
            goes_on(asked, 0);
        }
        over.store(true, Ordering::SeqCst);
    });
    let [bars, columns, streams, session] = asked.map(AtomicU64::into_inner);
    let [a, b, c, d] = slowest.map(AtomicU64::into_inner);
    println!(
        "{kills} kills of 3 executors; none wrong, none lost of {bars} single bars (slowest {a} ms), {columns} series of \
         50,000 bars ({b} ms), {streams} streams of as many ({c} ms), {session} bars of a session ({d} ms)"
    );
    far.api.signal("TERM");
    let (status, log) = far.api.wait();
    let lost = log.matches("a run was lost").count();
    println!("{lost} runs were lost with their executor, and run again");
    assert!(status.success() && lost > 0, "no kill met a run: this tries nothing");
}

/// Waits until more has been answered than that.
fn goes_on(asked: &AtomicU64, than: u64) {
    let since = Instant::now();
    while asked.load(Ordering::SeqCst) <= than {
        assert!(since.elapsed() < Duration::from_mins(2), "nothing is answered any more");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn without_the_only_executor_requests_are_told_to_come_back_and_then_go_on() {
    let mut far = Far::start(1);
    let rule = upload(&far.api, &far.key, RULE);
    let path = format!("{}/v1/rules/{rule}/evaluate", far.api.api);
    let (client, key) = (far.api.client().clone(), far.key.clone());
    let bar = json!({"inputs": {"equity": 100, "drawdown": 0.2}});
    let post = || client.post(&path).bearer_auth(&key).json(&bar).send().unwrap();
    let expected = body(Ok(post()), 200);
    let (over, refused, answered) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _end = SetAtEnd(&over);
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let answer = post();
                    if answer.status() == 200 {
                        assert_eq!(body(Ok(answer), 200), expected);
                        answered.fetch_add(1, Ordering::SeqCst);
                    } else {
                        assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
                        assert_eq!(body(Ok(answer), 503)["code"], "executors_unavailable");
                        refused.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        for _ in 0..3 {
            goes_on(&answered, answered.load(Ordering::SeqCst));
            far.executors[0].signal("KILL");
            far.executors[0].wait();
            goes_on(&refused, refused.load(Ordering::SeqCst));
            far.restart(0);
            goes_on(&answered, answered.load(Ordering::SeqCst));
        }
        over.store(true, Ordering::SeqCst);
    });
    println!("3 kills of the only executor: {answered:?} answers, all right; {refused:?} times 503");
}

fn ready(far: &Far) -> String {
    far.api.client().get(format!("{}/readyz?verbose", far.api.health)).send().unwrap().text().unwrap()
}
