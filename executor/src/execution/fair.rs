//! Turns at so many threads, taken by owners in rotation: who asks a lot waits for himself, not others for him.
//!
//! A turn is for work that is short. Work that turns out to be long leaves its turn to the next and goes on beside it
//! (see [`super::threads`], which then gives its thread less of the processor); it still counts for its owner, who has
//! so many at a time and no more. What an owner has beside other work of his own gets less of the processor from the
//! start, and no turn of those who have begun nothing: they wait for their like alone.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::domain::caller::TenantId;

/// On whose behalf work is done: turns go round among these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub Uuid);

impl Owner {
    /// Of work of the service's own.
    pub const NOBODY: Self = Self(Uuid::nil());
}

impl From<TenantId> for Owner {
    fn from(tenant: TenantId) -> Self {
        Self(tenant.uuid())
    }
}

/// How many work at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Turns of owners who had begun nothing else; and also of all, for those who had.
    pub turns: usize,
    /// Work of one owner that is begun and not over, in a turn or beside it.
    pub of_owner: usize,
    /// The same of all owners. The last of what there is beside the turns, as much as there
    /// are turns, is for owners who have begun nothing.
    pub of_all: usize,
}

/// Turns, and those who wait for one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fair {
    bounds: Bounds,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Turns that are taken.
    turns: usize,
    /// Of these, those of owners who had begun nothing else.
    prompt: usize,
    /// Work that is begun and not over.
    begun: usize,
    /// Those who have begun something, or wait.
    owners: HashMap<Owner, Queue>,
    /// Those who wait, in the order in which they are next.
    rotation: VecDeque<Owner>,
}

#[derive(Debug, Default)]
struct Queue {
    begun: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// A turn, until it is left or dropped.
#[derive(Debug)]
pub struct Turn {
    of: Fair,
    owner: Owner,
    is_prompt: bool,
    is_left: AtomicBool,
}

impl Fair {
    /// So many turns.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, state: Arc::default() }
    }

    /// As they were given.
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Waits for a turn. Whoever gives up leaves the queue.
    pub async fn turn(&self, owner: Owner) -> Turn {
        loop {
            let (sender, receiver) = oneshot::channel();
            {
                let mut state = self.state();
                let queue = state.owners.entry(owner).or_default();
                if queue.waiting.is_empty() {
                    state.rotation.push_back(owner);
                }
                state.owners.entry(owner).or_default().waiting.push_back(sender);
            }
            self.hand_out();
            // A sender is kept until it is given a turn.
            if let Ok(turn) = receiver.await {
                return turn;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives turns to those who are next, for as long as there are any.
    fn hand_out(&self) {
        // A turn that nobody takes any more is dropped here, which hands it on: not under the lock.
        while let Some((sender, turn)) = self.next() {
            drop(sender.send(turn));
        }
    }

    /// Whose turn it is.
    fn next(&self) -> Option<(oneshot::Sender<Turn>, Turn)> {
        let mut state = self.state();
        let state = &mut *state;
        let Bounds { turns, of_owner, of_all } = self.bounds;
        if state.prompt >= turns || state.begun >= of_all {
            return None;
        }
        for _ in 0..state.rotation.len() {
            let owner = state.rotation.pop_front()?;
            let Some(queue) = state.owners.get_mut(&owner) else { continue };
            queue.waiting.retain(|sender| !sender.is_closed());
            let is_new = queue.begun == 0;
            let others = if is_new { 0 } else { turns.min(of_all.saturating_sub(turns)) };
            let is_free = is_new || state.turns < turns;
            let may = is_free && queue.begun < of_owner && state.begun + others < of_all;
            let next = if may { queue.waiting.pop_front() } else { None };
            if !queue.waiting.is_empty() {
                state.rotation.push_back(owner);
            }
            if let Some(sender) = next {
                queue.begun += 1;
                (state.turns, state.begun) = (state.turns + 1, state.begun + 1);
                state.prompt += usize::from(is_new);
                let turn = Turn { of: self.clone(), owner, is_prompt: is_new, is_left: AtomicBool::new(false) };
                return Some((sender, turn));
            }
            if queue.begun == 0 && queue.waiting.is_empty() {
                state.owners.remove(&owner);
            }
        }
        None
    }
}

impl State {
    /// A turn is nobody's any more.
    fn is_left(&mut self, is_prompt: bool) {
        self.turns -= 1;
        self.prompt -= usize::from(is_prompt);
    }
}

impl Turn {
    /// Whose it is.
    pub const fn owner(&self) -> Owner {
        self.owner
    }

    /// Whether its owner had begun nothing else.
    pub const fn is_prompt(&self) -> bool {
        self.is_prompt
    }

    /// Leaves the turn to the next; the work goes on, and counts for its owner until this is dropped.
    pub fn leave(&self) {
        if !self.is_left.swap(true, Ordering::AcqRel) {
            self.of.state().is_left(self.is_prompt);
            self.of.hand_out();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        {
            let mut state = self.of.state();
            state.begun -= 1;
            if !self.is_left.load(Ordering::Acquire) {
                state.is_left(self.is_prompt);
            }
            if let Some(queue) = state.owners.get_mut(&self.owner) {
                queue.begun -= 1;
                if queue.begun == 0 && queue.waiting.is_empty() {
                    state.owners.remove(&self.owner);
                }
            }
        }
        self.of.hand_out();
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    const BOUNDS: Bounds = Bounds { turns: 2, of_owner: 3, of_all: 6 };

    fn owners<const N: usize>() -> [Owner; N] {
        std::array::from_fn(|n| Owner(Uuid::from_u128(n as u128)))
    }

    type Waits<'a> = std::pin::Pin<Box<dyn Future<Output = Turn> + 'a>>;

    /// Asks, and stays in the queue.
    fn ask(fair: &Fair, owner: Owner) -> Waits<'_> {
        let mut waits: Waits<'_> = Box::pin(fair.turn(owner));
        match waits.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Box::pin(std::future::ready(turn)),
            Poll::Pending => waits,
        }
    }

    fn now(waits: &mut Waits<'_>) -> Option<Turn> {
        match waits.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[test]
    fn owners_take_turns_however_much_one_asks() {
        let [greedy, other, third, fourth] = owners();
        let fair = Fair::new(BOUNDS);
        let (one, two) = (now(&mut ask(&fair, greedy)).unwrap(), now(&mut ask(&fair, greedy)).unwrap());
        assert!(one.is_prompt() && !two.is_prompt());
        let mut more: Vec<_> = (0..30).map(|_| ask(&fair, greedy)).collect();
        // What the greedy one has beside its first keeps nobody else waiting.
        let others = now(&mut ask(&fair, other)).unwrap();
        assert!(others.is_prompt());
        let (mut a, mut b) = (ask(&fair, third), ask(&fair, fourth));
        assert!(now(&mut a).is_none() && now(&mut b).is_none());
        drop(two);
        assert!(now(&mut more[0]).is_none(), "two turns are taken still");
        drop(others);
        // One more of the greedy one, beside its first, and the next of the others; not two.
        let (beside, third) = (now(&mut more[0]).unwrap(), now(&mut a).unwrap());
        assert!(!beside.is_prompt() && third.is_prompt());
        assert!(now(&mut more[1]).is_none() && now(&mut b).is_none());
        drop(third);
        assert!(now(&mut b).unwrap().is_prompt() && now(&mut more[1]).is_none());
    }

    #[test]
    fn work_beside_others_of_its_owner_waits_for_any_turn() {
        let [one, other, third] = owners();
        let fair = Fair::new(BOUNDS);
        let (first, second) = (now(&mut ask(&fair, one)).unwrap(), now(&mut ask(&fair, other)).unwrap());
        let mut more = ask(&fair, one);
        assert!(now(&mut more).is_none());
        first.leave();
        let more = now(&mut more).unwrap();
        assert!(!more.is_prompt());
        let others = now(&mut ask(&fair, third)).unwrap();
        drop((first, second, more, others));
        let state = fair.state();
        assert_eq!((state.turns, state.prompt, state.begun), (0, 0, 0), "{state:?}");
    }

    #[test]
    fn who_leaves_his_turn_counts_until_he_is_done() {
        let [long, other] = owners();
        let fair = Fair::new(Bounds { of_all: 8, ..BOUNDS });
        let mut begun = Vec::new();
        for _ in 0..BOUNDS.of_owner {
            let turn = now(&mut ask(&fair, long)).unwrap();
            turn.leave();
            turn.leave();
            begun.push(turn);
        }
        let mut fourth = ask(&fair, long);
        assert!(now(&mut fourth).is_none(), "he has as many as he may");
        let others: Vec<_> = (0..2).map(|_| now(&mut ask(&fair, other)).unwrap()).collect();
        begun.pop();
        assert!(now(&mut fourth).is_none(), "both turns are taken");
        drop(others);
        assert!(now(&mut fourth).is_some());
        drop(begun);
        let state = fair.state();
        assert_eq!((state.turns, state.begun, state.owners.len(), state.rotation.len()), (0, 0, 0, 0), "{state:?}");
    }

    #[test]
    fn no_more_are_begun_than_may_be_and_the_last_of_it_is_for_those_who_have_begun_nothing() {
        let owners = owners::<7>();
        let fair = Fair::new(BOUNDS);
        let take = |owner| {
            let turn = now(&mut ask(&fair, owner))?;
            turn.leave();
            Some(turn)
        };
        let mut begun: Vec<_> = owners.iter().take(4).map(|owner| take(*owner).unwrap()).collect();
        let mut second = ask(&fair, owners[0]);
        assert!(now(&mut second).is_none(), "what is left is for others");
        begun.extend([4, 5].map(|n| take(owners[n]).unwrap()));
        let mut seventh = ask(&fair, owners[6]);
        assert!(now(&mut seventh).is_none());
        begun.pop();
        assert!(now(&mut seventh).is_some());
        begun.truncate(3);
        assert!(now(&mut second).is_some());
    }

    #[test]
    fn who_gives_up_takes_nobodys_turn() {
        let [one, other] = owners();
        let fair = Fair::new(Bounds { turns: 1, ..BOUNDS });
        let turn = now(&mut ask(&fair, one)).unwrap();
        let (gives_up, mut waits) = (ask(&fair, other), ask(&fair, one));
        drop(gives_up);
        drop(turn);
        let turn = now(&mut waits).unwrap();
        // Also in the moment in which he is given it.
        let given = ask(&fair, other);
        drop(turn);
        drop(given);
        assert!(now(&mut ask(&fair, one)).is_some());
        assert_eq!(fair.state().begun, 0);
    }
}
