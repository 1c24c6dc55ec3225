//! A tenant who holds all that he can leaves the others their places.

use uuid::Uuid;

use super::*;
use crate::execution::fair::Owner;
use crate::execution::pool::Pool;

const ONE: Owner = Owner(Uuid::from_u128(1));
const OTHER: Owner = Owner(Uuid::from_u128(2));

/// Four bars on behalf of a tenant, as a request has them run.
fn ask(pool: &Pool, owner: Owner, executors: &Executors) -> tokio::task::JoinHandle<Result<RunReport, RunError>> {
    let (place, module) = (pool.place(owner).unwrap(), module(executors));
    tokio::spawn(async move {
        let work = move || {
            let input = InputColumns { rows: 4, inputs: &[&[1.0; 4]], time: None };
            let setup = Setup { shape: &SHAPE, params: &[], limits: &limits() };
            module.run(setup, &input, &mut OutputColumns::default())
        };
        place.run(work).await.unwrap()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_all_that_he_can_and_waits_for_more_leaves_the_others_their_places() {
    // The first four runs take their time, and no others do.
    let fake = Fake::start(
        |n| if n < 4 { say([Step::Again(goes_on(), Duration::from_millis(50))]) } else { say([rows(4), done()]) },
        takes,
    );
    let executors = connect(&[&fake], 8).await;
    let pool = Pool::new("test", 16, 64);
    let ones: Vec<_> = (0..12).map(|_| ask(&pool, ONE, &executors)).collect();
    tokio::time::timeout(GENEROUS, async {
        while fake.asked().0 < 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("he has his half");
    for _ in 0..3 {
        let report = tokio::time::timeout(GENEROUS, ask(&pool, OTHER, &executors)).await.expect("a place").unwrap();
        assert_eq!(report.unwrap().fuel, 7);
    }
    assert_eq!(fake.asked().0, 4 + 3, "his others wait for his own");
    drop(ones);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_are_given_places_in_turn() {
    let fake = Fake::start(|_| Act::Nothing, takes);
    let executors = connect(&[&fake], 2).await;
    let places = Arc::clone(&executors.shared.places);
    let held = places.any(ONE, &[]).await.unwrap();
    let other = places.any(OTHER, &[]).await.unwrap();
    let waits = |owner| {
        let places = Arc::clone(&places);
        tokio::spawn(async move { places.any(owner, &[]).await.unwrap() })
    };
    let (first, second, third) = (waits(ONE), waits(ONE), waits(OTHER));
    tokio::task::yield_now().await;
    drop(other);
    // One place of two: the half that the other one may have.
    let third = tokio::time::timeout(GENEROUS, third).await.expect("in his turn").unwrap();
    assert!(!first.is_finished() && !second.is_finished());
    drop(held);
    let (waited, _, still) = futures_util::future::select_all([first, second]).await;
    assert!(!still[0].is_finished(), "he has his half again");
    drop((waited, third));
}
