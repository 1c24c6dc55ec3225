//! What an executor says that it should not say, or does not say: the run is tried once elsewhere, and it counts.

use rulebox_sandbox::{TrapCode, Violation, ViolationKind};

use super::*;
use crate::executors::wire::FRAME_BYTES;

fn violation(kind: ViolationKind) -> Failure {
    Failure::Violation(Box::new(Violation {
        kind,
        trap: Some(TrapCode::Other),
        fuel_used: u64::MAX,
        fuel_limit: u64::MAX,
        memory_peak: usize::MAX,
        memory_limit: usize::MAX,
        elapsed: Duration::ZERO,
        detail: "\u{1b}[31mred".to_owned(),
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_as_it_should_is_believed() {
    let (ran, asked, failures) = tried(say([rows(4), rows(2), done()])).await;
    assert_eq!((ran.unwrap().fuel, asked, failures), (7, 1, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_in_the_wrong_order_are_not_taken() {
    is_lost(say([done()]), "fewer results than bars").await;
    is_lost(say([rows(4), done()]), "fewer results than bars").await;
    is_lost(say([rows(4), rows(2), rows(4)]), "another shape").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_no_whole_call_are_not_taken() {
    for count in [1, 3, 5, 6] {
        is_lost(say([rows(count), Step::Hang]), "another shape").await;
    }
    is_lost(say([rows(4), rows(1), Step::Hang]), "another shape").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_frame_is_not_read() {
    let huge = u32::try_from(FRAME_BYTES + 1).unwrap().to_le_bytes();
    is_lost(say([Step::Bytes(Bytes::copy_from_slice(&huge)), Step::Hang]), "longer than it may be").await;
    // Nor one that is longer than what can come here.
    let long = u32::try_from(3 << 20).unwrap().to_le_bytes();
    is_lost(say([Step::Bytes(Bytes::copy_from_slice(&long)), Step::Hang]), "longer than it may be").await;
    let noise = [&[3, 0, 0, 0][..], &[9, 9, 9]].concat();
    is_lost(say([Step::Bytes(noise.into()), Step::Hang]), "cannot be read").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_before_its_time_is_none() {
    is_lost(say([]), "ended before its time").await;
    is_lost(say([rows(4)]), "ended before its time").await;
    is_lost(say([Step::Bytes(Bytes::from_static(&[200, 0, 0, 0, 1, 2]))]), "cut off").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_closed_after_the_beginning_is_a_lost_run() {
    // Once; then it does as it should, on a new connection.
    let fake = Fake::start(
        |n| if n == 0 { say([Step::Hear, rows(4), Step::Close]) } else { say([rows(4), rows(2), done()]) },
        takes,
    );
    let executors = connect(&[&fake], 4).await;
    let (ran, got) = run(&executors, usize::MAX).await;
    assert_eq!((ran.unwrap().fuel, got, fake.asked().0), (7, 6, 2), "and no bar twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_where_its_executor_takes_no_more() {
    let fake = Fake::start(|_| say([Step::Hear, rows(4), Step::GoAway, Step::Hear, rows(2), done()]), takes);
    let executors = connect(&[&fake], 4).await;
    let (ran, got) = run(&executors, usize::MAX).await;
    assert_eq!((ran.unwrap().fuel, got, fake.asked().0), (7, 6, 1));
    // And the next one goes to a new connection.
    let (ran, got) = run(&executors, usize::MAX).await;
    assert_eq!((ran.unwrap().fuel, got, fake.asked().0), (7, 6, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_fails_is_a_lost_run() {
    let act = say([failed(Failure::Engine(format!("\u{1b}[31m{}", "x".repeat(100_000))))]);
    is_lost(act, "its engine failed: \u{fffd}[31mxxx").await;
    // Another one does it.
    let bad = Fake::start(|_| say([rows(4), failed(Failure::Engine("no".to_owned()))]), takes);
    let good = Fake::start(|_| say([rows(4), rows(2), done()]), takes);
    let executors = connect(&[&bad, &good], 4).await;
    for _ in 0..2 {
        let (ran, got) = run(&executors, usize::MAX).await;
        assert_eq!((ran.unwrap().fuel, got), (7, 6), "and no bar twice");
    }
    assert!(bad.asked().0 >= 1 && good.asked().0 == 2);
    let failures: Vec<_> = executors.shared.places.peers().iter().map(|peer| peer.failures()).collect();
    let counted = u32::try_from(bad.asked().0).unwrap();
    assert!(failures.contains(&Some(counted)) && failures.contains(&Some(0)), "{failures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_violation_is_believed_if_it_can_be_one() {
    let (ran, asked, failures) = tried(say([rows(4), failed(violation(ViolationKind::Trap))])).await;
    let Err(RunError::Violation(said)) = ran else { panic!("{ran:?}") };
    assert_eq!((said.fuel_used, said.fuel_limit), (limits().fuel, limits().fuel));
    assert_eq!((&*said.detail, asked, failures), ("\u{fffd}[31mred", 1, Some(0)));
    is_lost(say([failed(violation(ViolationKind::ModuleTooLarge))]), "a failure that cannot be").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_gives_runs_back_is_asked_so_often_and_does_not_count() {
    // Nobody has asked for it: it is about to stop.
    let (ran, asked, failures) = tried(say([failed(Failure::Cancelled(REPORT))])).await;
    assert!(matches!(ran, Err(RunError::Away(_))), "{ran:?}");
    assert_eq!((asked, failures), (8, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_full_is_asked_so_often_and_does_not_count() {
    for act in [status(StatusCode::SERVICE_UNAVAILABLE), say([failed(Failure::Busy)])] {
        let (ran, asked, failures) = tried(act).await;
        assert!(matches!(ran, Err(RunError::Busy)), "{ran:?}");
        assert_eq!((asked, failures), (3, Some(0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_lacks_the_module_is_given_it_once() {
    let lacks = |n| if n == 0 { status(StatusCode::NOT_FOUND) } else { say([rows(4), rows(2), done()]) };
    let fake = Fake::start(lacks, takes);
    let executors = connect(&[&fake], 4).await;
    assert_eq!(run(&executors, usize::MAX).await.0.unwrap().fuel, 7);
    assert_eq!(fake.asked(), (2, 1));
    // And who does not keep it is not given it for ever.
    let fake = Fake::start(|_| status(StatusCode::NOT_FOUND), takes);
    let executors = connect(&[&fake], 4).await;
    let (ran, _) = run(&executors, usize::MAX).await;
    let said = crate::telemetry::chain(&ran.unwrap_err());
    assert!(said.contains("it has just been given"), "{said}");
    assert_eq!(fake.asked(), (3, 1));
    assert_eq!(executors.shared.places.peers()[0].failures(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_says_nothing_is_a_lost_run() {
    is_lost(status(StatusCode::IM_A_TEAPOT), "418").await;
}
