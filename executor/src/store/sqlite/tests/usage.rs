//! Counting while the store fails, comes back, and is written to from several sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::domain::at::At;
use crate::domain::usage::{Period, Span, Usage};
use crate::metering::Meter;
use crate::store::TenantStore;

/// Threads that count.
const THREADS: u64 = 4;
/// How often each.
const TIMES: u64 = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_counted_while_the_store_fails_is_kept_once() {
    let directory = tempfile::tempdir().unwrap();
    let options = OpenOptions { busy: Duration::from_millis(250), connections: 4, ..options(directory.path()) };
    let store = Arc::new(SqliteStore::open(&options).await.unwrap());
    let tenants = [first_tenant(&store).await, second_tenant(&store).await];
    let meter = Arc::new(Meter::default());
    let other = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.path().join(SqliteStore::FILE));
    let mut other = sqlx::ConnectOptions::connect(&other).await.unwrap();

    let one = Usage { requests: 1, refused: 2, evaluations: 3, bars: 4, fuel: 5 };
    let counting: Vec<_> = (0..THREADS)
        .map(|_| {
            let meter = Arc::clone(&meter);
            tokio::task::spawn_blocking(move || {
                for n in 0..TIMES {
                    meter.count(tenants[usize::from(n % 4 == 0)], one);
                }
            })
        })
        .collect();
    let (over, done, failed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let flush = async || {
        while !over.load(Ordering::SeqCst) {
            match meter.flush(&*store).await {
                Ok(()) => done.fetch_add(1, Ordering::SeqCst),
                Err(_) => failed.fetch_add(1, Ordering::SeqCst),
            };
            tokio::task::yield_now().await;
        }
    };
    // The hour may end meanwhile.
    let span = Span::new(Period::Day, None, Some(At(At::now().0 + 24 * 3_600_000)), At::now()).unwrap();
    let shown = async |tenant| {
        let periods = store.usage(tenant, &span, &meter.readings(Some(tenant))).await?;
        Ok::<_, StoreError>(periods.iter().fold(Usage::NONE, |sum, period| sum.plus(period.used)))
    };
    let look = async || {
        let mut before = Usage::NONE;
        while !over.load(Ordering::SeqCst) {
            // One who waits for a connection is not told after so short a time.
            if let Ok(now) = shown(tenants[0]).await {
                assert_eq!(now.later(before), now, "what was shown once is not taken back");
                before = now;
            }
            tokio::task::yield_now().await;
        }
    };
    let mut refused = 0;
    let trouble = async {
        // As long as it takes until both have been seen in turn, and everything is counted.
        for _ in 0..3 {
            let before = failed.load(Ordering::SeqCst);
            sqlx::query("begin immediate").execute(&mut other).await.unwrap();
            while failed.load(Ordering::SeqCst) < before + 2 {
                meter.count(tenants[0], Usage::REFUSED);
                refused += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            sqlx::query("rollback").execute(&mut other).await.unwrap();
            let before = done.load(Ordering::SeqCst);
            while done.load(Ordering::SeqCst) < before + 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        for one in counting {
            one.await.unwrap();
        }
        over.store(true, Ordering::SeqCst);
    };
    tokio::join!(trouble, flush(), flush(), look());
    let before = shown(tenants[0]).await.unwrap();
    meter.flush(&*store).await.unwrap();
    assert_eq!((meter.readings(None), shown(tenants[0]).await.unwrap()), (Vec::new(), before));

    let expected = [(THREADS * TIMES / 4 * 3, refused), (THREADS * TIMES / 4, 0)];
    for (tenant, (times, refused)) in tenants.into_iter().zip(expected) {
        let sum = shown(tenant).await.unwrap();
        let counted = Usage {
            requests: times,
            refused: 2 * times + refused,
            evaluations: 3 * times,
            bars: 4 * times,
            fuel: 5 * times,
        };
        assert_eq!(sum, counted);
    }
    println!("{} flushes, {} of them failed", done.load(Ordering::SeqCst), failed.load(Ordering::SeqCst));
}
