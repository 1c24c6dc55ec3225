//! One that fails is asked less, and no run waits for it while there is another.

use super::super::exchange::Lost;
use super::*;
use crate::execution::fair::Owner;
use crate::executors::address::Address;

/// Much longer than a test.
const LONG: Duration = Duration::from_hours(1);

/// Who is waited for very long, if there is nobody else.
const PATIENT: Patience =
    Patience { silence: LONG, load: LONG, turn: LONG, elsewhere: Duration::from_millis(100), ..PATIENCE };

fn does_it() -> Act {
    say([rows(4), rows(2), done()])
}

/// Until there is what is waited for.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waits = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(GENEROUS, waits).await.expect(what);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_get_to_a_run_is_not_waited_for_if_there_is_another() {
    let goes_on = Step::Again(goes_on(), Duration::from_millis(200));
    for act in [Act::Nothing, say([goes_on])] {
        let slow = Fake::start(move |_| act.clone(), takes);
        let good = Fake::start(|_| does_it(), takes);
        let executors = connect_with(&[&slow, &good], 4, PATIENT).await;
        while slow.asked().0 == 0 {
            let (ran, got) = run(&executors, usize::MAX).await;
            assert_eq!((ran.unwrap().fuel, got), (7, 6));
        }
        let failures: Vec<_> = executors.shared.places.peers().iter().map(|peer| peer.failures()).collect();
        assert!(failures.contains(&Some(1)) && failures.contains(&Some(0)), "it did nothing else: {failures:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_given_a_module_and_says_nothing_is_not_waited_for_if_there_is_another() {
    let slow = Fake::start(|_| status(StatusCode::NOT_FOUND), |_| Act::Nothing);
    let good = Fake::start(|_| does_it(), takes);
    let patience = Patience { silence: Duration::from_millis(200), ..PATIENT };
    let executors = connect_with(&[&slow, &good], 4, patience).await;
    while slow.asked().1 == 0 {
        let (ran, got) = run(&executors, usize::MAX).await;
        assert_eq!((ran.unwrap().fuel, got), (7, 6));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_others_runs_meanwhile_has_not_failed() {
    let fake = Fake::start(|_| does_it(), takes);
    let executors = connect(&[&fake], 4).await;
    let peer = Arc::clone(&executors.shared.places.peers()[0]);
    let waits = peer.hold().unwrap();
    assert_eq!(run(&executors, usize::MAX).await.0.unwrap().fuel, 7);
    waits.lost(&Lost::Waits);
    assert_eq!(peer.failures(), Some(0));
    peer.hold().unwrap().lost(&Lost::Waits);
    assert_eq!(peer.failures(), Some(1), "nothing was done since");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_failures_of_the_last_ones_are_too_many_and_then_it_has_one_run_at_a_time() {
    let fake = Fake::start(|_| does_it(), takes);
    let executors = connect(&[&fake], 8).await;
    let peer = Arc::clone(&executors.shared.places.peers()[0]);
    let lost = || Lost::Silent;
    // Each seventh of its answers.
    for _ in 0..2 {
        (0..6).for_each(|_| peer.hold().unwrap().succeeded());
        peer.hold().unwrap().lost(&lost());
        assert!(peer.is_up());
    }
    (0..6).for_each(|_| peer.hold().unwrap().succeeded());
    peer.hold().unwrap().lost(&lost());
    assert!(peer.hold().is_none(), "it is asked no more");
    until("connected anew", || peer.is_up()).await;
    let first = peer.hold().unwrap();
    assert!(peer.hold().is_none() && !peer.is_open(), "one at a time");
    first.lost(&lost());
    drop(first);
    assert!(!peer.is_up(), "the first of them is too many");
    until("connected anew", || peer.is_up()).await;
    let first = peer.hold().unwrap();
    first.succeeded();
    assert!(peer.hold().is_some() && peer.is_open());
    // Long ago is forgotten.
    (0..10).for_each(|_| {
        (0..20).for_each(|_| first.succeeded());
        first.lost(&lost());
    });
    assert!(peer.is_up());
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_are_full_are_counted_by_themselves() {
    // It has not the module, then no room twice, and then it does it.
    let fake = Fake::start(
        |n| match n {
            0 => status(StatusCode::NOT_FOUND),
            1 | 2 => status(StatusCode::SERVICE_UNAVAILABLE),
            _ => does_it(),
        },
        takes,
    );
    let executors = connect(&[&fake], 4).await;
    assert_eq!(run(&executors, usize::MAX).await.0.unwrap().fuel, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_more_does_not_wait_for_a_place() {
    let fake = Fake::start(|_| say([Step::Hear, rows(4), done(), Step::Hang]), takes);
    let executors = connect_with(&[&fake], 1, PATIENT).await;
    let (module, setup_limits) = (module(&executors), limits());
    let batch = |mut run: Box<dyn crate::execution::engine::Run>, wanted| {
        tokio::task::spawn_blocking(move || {
            let input = InputColumns { rows: 4, inputs: &[&[1.0; 4]], time: None };
            let ran = run.batch(&input, 0, &mut Until { wanted, got: OutputColumns::default() });
            (run, ran)
        })
    };
    let run = module.begin(Setup { shape: &SHAPE, params: &[], limits: &setup_limits }, None, false).unwrap();
    let (run, ran) = tokio::time::timeout(GENEROUS, batch(run, usize::MAX)).await.expect("it has an end").unwrap();
    ran.unwrap();
    let _held = executors.shared.places.any(Owner::NOBODY, &[]).await.unwrap();
    let (_, ran) = tokio::time::timeout(GENEROUS, batch(run, 0)).await.expect("nobody waits").unwrap();
    assert!(matches!(ran, Err(RunError::Cancelled(report)) if report.fuel == 7), "{ran:?}");
}

#[tokio::test]
async fn two_addresses_that_stand_for_one_executor_leave_each_other_alone() {
    let address: Address = "https://127.0.0.1:1".parse().unwrap();
    let executors = Executors::connect(Options {
        addresses: vec![address.clone(), address],
        identity: None,
        runs: 1,
        connect_time: Duration::from_secs(1),
        resolve_time: Duration::from_millis(5),
        deaths: deaths().0,
        patience: PATIENCE,
    });
    until("both are known", || executors.connected().1 == 2).await;
    // Over some looks at the name.
    let known = executors.shared.places.peers();
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = executors.shared.places.peers();
        assert!(now.len() == 2 && now.iter().zip(&known).all(|(one, other)| Arc::ptr_eq(one, other)));
    }
}
