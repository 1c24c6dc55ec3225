//! Everything that an executor says has an end, in bytes and in time.

use rulebox_sandbox::{Refusal, ViolationKind};

use super::*;
use crate::execution::modules::LoadError;
use crate::executors::wire::Request;

#[tokio::test(flavor = "multi_thread")]
async fn one_that_says_nothing_is_given_up() {
    is_lost(Act::Nothing, "it said nothing").await;
    is_lost(say([rows(4), Step::Hang]), "it said nothing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_says_only_that_it_goes_on_is_given_up() {
    is_lost(say([Step::Again(goes_on(), Duration::from_millis(50))]), "longer than the run may").await;
    // Also if it does not let its reader rest.
    is_lost(say([Step::Again(goes_on(), Duration::ZERO)]), "again and again that it goes on").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_drips_is_given_up() {
    // Not a whole frame, now and then a byte of it.
    let drips = [
        Step::Bytes(Bytes::from_static(&[255, 255, 0, 0])),
        Step::Again(Bytes::from_static(&[0]), Duration::from_millis(50)),
    ];
    is_lost(say(drips), "it said nothing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_told_to_stop_has_less_time() {
    let steps = [Step::Hear, Step::Hear, rows(4), Step::Hear, Step::Again(goes_on(), Duration::from_millis(20))];
    let fake = Fake::start(move |_| say(steps.clone()), takes);
    let executors = connect(&[&fake], 4).await;
    let (ran, got) = run(&executors, 4).await;
    assert!(matches!(ran, Err(RunError::Cancelled(_))), "{ran:?}");
    assert_eq!((got, fake.asked().0), (4, 1), "nobody wants it elsewhere");
    assert_eq!(executors.shared.places.peers()[0].failures(), Some(1));
    let heard = fake.heard();
    assert!(matches!(postcard::from_bytes(heard.last().unwrap()), Ok(Request::Cancel)), "{heard:?}");
}

/// What comes of a module that is put.
async fn load(act: Act) -> (Result<(), LoadError>, usize, Option<u32>) {
    let fake = Fake::start(|_| Act::Nothing, move |_| act.clone());
    let executors = connect(&[&fake], 4).await;
    let module = module(&executors);
    let loaded = tokio::time::timeout(GENEROUS, module.load()).await.expect("it has an end");
    (loaded, fake.asked().1, executors.shared.places.peers()[0].failures())
}

fn refuses(steps: impl Into<Vec<Step>>) -> Act {
    Act::Say(StatusCode::UNPROCESSABLE_ENTITY, steps.into())
}

fn refusal(kind: ViolationKind, detail: String) -> Bytes {
    postcard::to_stdvec(&Refusal { kind, detail }).unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_believed_if_it_can_be_one() {
    let said = refusal(ViolationKind::ModuleInvalid, "\u{1b}[31mno".to_owned());
    let (loaded, asked, failures) = load(refuses([Step::Bytes(said)])).await;
    let Err(LoadError::Refused(refused)) = loaded else { panic!("{loaded:?}") };
    assert_eq!((&*refused.detail, asked, failures), ("\u{fffd}[31mno", 1, Some(0)));
    for nonsense in [refusal(ViolationKind::Trap, String::new()), Bytes::from_static(&[200])] {
        let (loaded, asked, failures) = load(refuses([Step::Bytes(nonsense)])).await;
        assert!(matches!(loaded, Err(LoadError::Away(RunError::Away(_)))), "{loaded:?}");
        assert_eq!((asked, failures), (2, Some(2)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_without_an_end_is_none() {
    let part = Bytes::from(vec![b'x'; 4_000]);
    for endless in [
        vec![Step::Hang],
        vec![Step::Again(Bytes::from_static(b"x"), Duration::from_millis(50))],
        vec![Step::Again(part, Duration::ZERO)],
    ] {
        let (loaded, asked, failures) = load(refuses(endless)).await;
        assert!(matches!(loaded, Err(LoadError::Away(RunError::Away(_)))), "{loaded:?}");
        assert_eq!((asked, failures), (2, Some(2)));
    }
    let (loaded, asked, failures) = load(Act::Nothing).await;
    assert!(matches!(loaded, Err(LoadError::Away(_))), "{loaded:?}");
    assert_eq!((asked, failures), (2, Some(2)));
}
