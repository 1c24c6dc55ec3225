//! Hot loops: one row, exact counts, and what they do to a neighbour.

use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use serde_json::json;

use super::{list, run, tight};
use crate::harness::{DRAWDOWN, Server};

/// Violations of the loop.
const LOOP: usize = 10_000;
/// Requests at a time.
const AT_A_TIME: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_loop_is_one_row_with_an_exact_count() {
    let (server, admin, security) = tight(1_000_000_000).await;
    let metric = "rulebox_sandbox_violations_total{kind=\"memory_limit\",severity=\"high\"}";
    assert_eq!(server.metric(metric).await, Some(0.0));
    // A tenant beside it, whose rule is checked and not run: the limit of memory is everybody's.
    let neighbour = server.tenant(&admin, "neighbour", &["author", "engine"]).await;
    let check = async || {
        let began = Instant::now();
        server.post_by(&neighbour, "/v1/rules/check", &json!({ "source": DRAWDOWN })).await.ok();
        began.elapsed()
    };
    let mut alone: Vec<_> = stream::iter(0..50).then(|_| check()).collect().await;
    let began = Instant::now();
    let looping = async {
        let ids: Vec<String> = stream::iter(0..LOOP)
            .map(|_| async { run(&server).await.problem(422, "sandbox_violation")["violation_id"].to_string() })
            .buffer_unordered(AT_A_TIME)
            .collect()
            .await;
        (ids, began.elapsed())
    };
    let beside = async { stream::iter(0..50).then(|_| check()).collect::<Vec<_>>().await };
    let ((mut ids, took), mut beside) = tokio::join!(looping, beside);
    assert_eq!(server.metric(metric).await, Some(10_000.0), "counted at once");
    let rows = took.as_secs() / 60 + 1;
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() as u64 <= rows, "{} ids in {took:?}", ids.len());
    // Repeats are added up each second.
    let began = Instant::now();
    let found = loop {
        let found = list(&server, &security, "?kind=memory_limit").await;
        if found.iter().map(|row| row["count"].as_u64().unwrap()).sum::<u64>() == LOOP as u64 {
            break found;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{found:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let added = began.elapsed();
    assert_eq!(found.len(), ids.len());
    alone.sort();
    beside.sort();
    println!(
        "{LOOP} violations in {took:?}: {} row; all added {added:?} after the last. A neighbour's request took {:?} alone \
         and {:?} beside it (median), {:?} and {:?} at most",
        found.len(),
        alone[25],
        beside[25],
        alone[49],
        beside[49]
    );
}

#[tokio::test]
async fn repeats_are_written_when_the_service_stops() {
    let (server, ..) = tight(1_000_000_000).await;
    for _ in 0..7 {
        run(&server).await.problem(422, "sandbox_violation");
    }
    let (directory, key) = server.stop().await;
    let settings = crate::harness::config(directory.path());
    let server = Server::over(directory, settings, Some(key)).await;
    let found = list(&server, &server.key, "").await;
    assert_eq!((found.len(), &found[0]["count"]), (1, &json!(7)), "{found:#?}");
}
