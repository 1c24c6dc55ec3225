//! One executor says what cannot be, or what another one denies: another one is asked, and the run is done.

use rulebox_sandbox::{InputError, Refusal, TrapCode, Violation, ViolationKind};

use super::*;
use crate::execution::modules::LoadError;

fn trap() -> Failure {
    Failure::Violation(Box::new(Violation {
        kind: ViolationKind::Trap,
        trap: Some(TrapCode::Other),
        fuel_used: 5,
        fuel_limit: 5,
        memory_peak: 0,
        memory_limit: 0,
        elapsed: Duration::ZERO,
        detail: "a trap".to_owned(),
    }))
}

fn refused() -> Act {
    let refusal = Refusal { kind: ViolationKind::ModuleInvalid, detail: "no".to_owned() };
    Act::Say(StatusCode::UNPROCESSABLE_ENTITY, vec![Step::Bytes(postcard::to_stdvec(&refusal).unwrap().into())])
}

fn does_it() -> Act {
    say([rows(4), rows(2), done()])
}

/// Failures of the executors, the most first.
fn failures(executors: &Executors) -> Vec<u32> {
    let mut failures: Vec<_> = executors.shared.places.peers().iter().filter_map(|peer| peer.failures()).collect();
    failures.sort_by_key(|count| std::cmp::Reverse(*count));
    failures
}

/// Two runs of a module of the compiler's, each of which one of the two is asked first; the first one does this.
async fn with_a_liar(act: Act, puts: fn(usize) -> Act) {
    let what = format!("{act:?}");
    let bad = Fake::start(move |_| act.clone(), puts);
    let good = Fake::start(|_| does_it(), takes);
    let executors = connect(&[&bad, &good], 4).await;
    for _ in 0..2 {
        let (ran, got) = run_of(compiled(&executors), usize::MAX).await;
        assert_eq!((ran.expect(&what).fuel, got), (7, 6), "each bar once: {what}");
    }
    let lies = u32::try_from(bad.asked().0).unwrap();
    assert!(lies > 0 && good.asked().0 == 2, "{what}");
    assert_eq!(failures(&executors), [lies, 0], "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_denies_is_not_believed_of_compiled_rules_and_counts() {
    with_a_liar(say([failed(trap())]), takes).await;
    with_a_liar(say([rows(4), failed(trap())]), takes).await;
    with_a_liar(say([failed(Failure::ParamsRefused(-1))]), takes).await;
    with_a_liar(say([failed(Failure::Input(InputError::NoTime))]), takes).await;
    with_a_liar(status(StatusCode::NOT_FOUND), |_| refused()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_say_is_believed_and_counts_for_neither() {
    let fakes = [(); 2].map(|()| Fake::start(|_| say([rows(4), failed(trap())]), takes));
    let executors = connect(&fakes.each_ref(), 4).await;
    let (ran, got) = run_of(compiled(&executors), usize::MAX).await;
    let Err(RunError::Violation(said)) = ran else { panic!("{ran:?}") };
    assert_eq!((&*said.detail, said.fuel_used, got), ("a trap", 5, 4), "and what the first has used is not added");
    assert_eq!(fakes.each_ref().map(|fake| fake.asked().0), [1, 1]);
    assert_eq!(failures(&executors), [0, 0]);
    // A tenant's module may do anything: it is not asked again.
    let (ran, _) = run(&executors, usize::MAX).await;
    assert!(matches!(ran, Err(RunError::Violation(_))), "{ran:?}");
    assert_eq!(fakes.iter().map(|fake| fake.asked().0).sum::<usize>(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_deny_is_believed() {
    let fake = Fake::start(|_| say([failed(trap())]), takes);
    let executors = connect(&[&fake], 4).await;
    let (ran, _) = run_of(compiled(&executors), usize::MAX).await;
    assert!(matches!(ran, Err(RunError::Violation(_))), "{ran:?}");
    assert_eq!((fake.asked().0, failures(&executors)), (1, vec![0]));
    // The other one cannot say.
    let lost = Fake::start(|_| say([]), takes);
    let executors = connect(&[&fake, &lost], 4).await;
    for _ in 0..2 {
        let (ran, _) = run_of(compiled(&executors), usize::MAX).await;
        assert!(matches!(ran, Err(RunError::Violation(_))), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_what_the_compiler_made_is_asked_of_another() {
    let bad = Fake::start(|_| Act::Nothing, |_| refused());
    let good = Fake::start(|_| Act::Nothing, takes);
    let executors = connect(&[&bad, &good], 4).await;
    let module = compiled(&executors);
    while bad.asked().1 == 0 {
        tokio::time::timeout(GENEROUS, module.load()).await.expect("it has an end").unwrap();
    }
    assert_eq!(failures(&executors), [1, 0]);
    let bad = [(); 2].map(|()| Fake::start(|_| Act::Nothing, |_| refused()));
    let executors = connect(&bad.each_ref(), 4).await;
    let loaded = tokio::time::timeout(GENEROUS, compiled(&executors).load()).await.expect("it has an end");
    assert!(matches!(loaded, Err(LoadError::Refused(_))), "{loaded:?}");
    assert_eq!(bad.each_ref().map(|fake| fake.asked().1), [1, 1]);
    assert_eq!(failures(&executors), [0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_leaves_out_states_has_failed() {
    let fake = Fake::start(|_| does_it(), takes);
    let executors = connect(&[&fake], 4).await;
    let module = RemoteModule { has_state: true, ..module(&executors) };
    let work = tokio::task::spawn_blocking(move || {
        let setup = Setup { shape: &SHAPE, params: &[], limits: &limits() };
        let input = InputColumns { rows: 6, inputs: &[&[1.0; 6]], time: None };
        let mut run = module.begin(setup, None, true).unwrap();
        run.batch(&input, 0, &mut OutputColumns::default())
    });
    let ran = tokio::time::timeout(GENEROUS, work).await.expect("it has an end").unwrap();
    assert!(matches!(ran, Err(RunError::Away(_))), "{ran:?}");
    assert_eq!((fake.asked().0, failures(&executors)), (2, vec![2]));
}
