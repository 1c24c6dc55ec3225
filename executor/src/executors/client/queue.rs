//! Those who wait for a place on an executor: so many, so many of one owner, and owners are served in turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::execution::fair::Owner;

/// Who waits is a thread that waits.
const MOST: usize = 512;
const MOST_OF_OWNER: usize = 128;

/// Waits for a `G`; what kind of it is as `N` says.
#[derive(Debug)]
pub(super) struct Queue<N, G> {
    state: Mutex<State<N, G>>,
}

#[derive(Debug)]
struct State<N, G> {
    /// None of these is empty.
    owners: HashMap<Owner, VecDeque<Waiter<N, G>>>,
    /// The owners, in the order in which they are next.
    rotation: VecDeque<Owner>,
}

#[derive(Debug)]
struct Waiter<N, G> {
    needs: N,
    sender: oneshot::Sender<G>,
}

/// Too many wait.
#[derive(Debug)]
pub(super) struct Full;

impl<N, G> Default for Queue<N, G> {
    fn default() -> Self {
        Self { state: Mutex::new(State { owners: HashMap::new(), rotation: VecDeque::new() }) }
    }
}

impl<N, G> State<N, G> {
    /// Forgets those who have given up.
    fn tidy(&mut self) {
        self.owners.retain(|_, waiting| {
            waiting.retain(|waiter| !waiter.sender.is_closed());
            !waiting.is_empty()
        });
        self.rotation.retain(|owner| self.owners.contains_key(owner));
    }

    fn is_full_for(&self, owner: Owner) -> bool {
        let of_owner = self.owners.get(&owner).map_or(0, VecDeque::len);
        of_owner >= MOST_OF_OWNER || self.owners.values().map(VecDeque::len).sum::<usize>() >= MOST
    }
}

impl<N, G> Queue<N, G> {
    fn state(&self) -> MutexGuard<'_, State<N, G>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters the queue. Whoever drops the receiver leaves it. `begun`: he is in the middle of a run, of which there are
    /// only so many, and is not refused.
    pub(super) fn enter(&self, owner: Owner, needs: N, begun: bool) -> Result<oneshot::Receiver<G>, Full> {
        let mut state = self.state();
        if !begun && state.is_full_for(owner) {
            state.tidy();
            if state.is_full_for(owner) {
                return Err(Full);
            }
        }
        let (sender, receiver) = oneshot::channel();
        let waiting = state.owners.entry(owner).or_default();
        let is_new = waiting.is_empty();
        waiting.push_back(Waiter { needs, sender });
        if is_new {
            state.rotation.push_back(owner);
        }
        Ok(receiver)
    }

    /// The first, in turn, whom `give` has something for: what to tell him, and by whom. Not told here, since this holds
    /// the lock.
    pub(super) fn next(&self, mut give: impl FnMut(Owner, &N) -> Option<G>) -> Option<(oneshot::Sender<G>, G)> {
        let mut state = self.state();
        let State { owners, rotation } = &mut *state;
        // Those for whom there is nothing stay where they are.
        let mut at = 0;
        while let Some(&owner) = rotation.get(at) {
            let Some(waiting) = owners.get_mut(&owner) else {
                rotation.remove(at);
                continue;
            };
            waiting.retain(|waiter| !waiter.sender.is_closed());
            let mut found = waiting.iter().enumerate().map(|(n, waiter)| (n, give(owner, &waiter.needs)));
            let found = found.find_map(|(n, given)| Some((n, given?)));
            let next = found.and_then(|(n, given)| Some((waiting.remove(n)?.sender, given)));
            let is_empty = waiting.is_empty();
            if is_empty {
                owners.remove(&owner);
            }
            if is_empty || next.is_some() {
                rotation.remove(at);
            } else {
                at += 1;
            }
            if next.is_some() {
                if !is_empty {
                    rotation.push_back(owner);
                }
                return next;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ONE: Owner = Owner(Uuid::from_u128(1));
    const OTHER: Owner = Owner(Uuid::from_u128(2));

    #[test]
    fn owners_are_served_in_turn() {
        let queue = Queue::<u8, Owner>::default();
        let _ones: Vec<_> = (0..5).map(|_| queue.enter(ONE, 0, false).unwrap()).collect();
        let _others: Vec<_> = (0..2).map(|_| queue.enter(OTHER, 0, false).unwrap()).collect();
        let served: Vec<_> =
            std::iter::from_fn(|| queue.next(|owner, _| Some(owner))).map(|(_, owner)| owner).collect();
        assert_eq!(served, [ONE, OTHER, ONE, OTHER, ONE, ONE, ONE]);
        let state = queue.state();
        assert_eq!((state.owners.len(), state.rotation.len()), (0, 0));
    }

    #[test]
    fn who_cannot_be_served_holds_up_nobody() {
        let queue = Queue::<u8, u8>::default();
        let _first = queue.enter(ONE, 1, false).unwrap();
        let mut second = queue.enter(ONE, 2, false).unwrap();
        let mut third = queue.enter(OTHER, 2, false).unwrap();
        for _ in 0..2 {
            let (sender, given) = queue.next(|_, needs| (*needs == 2).then_some(7)).unwrap();
            sender.send(given).unwrap();
        }
        assert_eq!((second.try_recv().unwrap(), third.try_recv().unwrap()), (7, 7));
        assert!(queue.next(|_, needs| (*needs == 2).then_some(7)).is_none());
    }

    #[test]
    fn who_could_not_be_served_is_still_first() {
        let queue = Queue::<u8, u8>::default();
        let mut first = queue.enter(ONE, 1, false).unwrap();
        let _others = [queue.enter(OTHER, 2, false).unwrap(), queue.enter(OTHER, 2, false).unwrap()];
        assert!(queue.next(|_, needs| (*needs == 2).then_some(7)).is_some());
        let (sender, given) = queue.next(|_, _| Some(8)).unwrap();
        sender.send(given).unwrap();
        assert_eq!(first.try_recv().unwrap(), 8);
    }

    #[test]
    fn the_queue_ends_somewhere_and_who_gives_up_leaves_it() {
        let queue = Queue::<u8, u8>::default();
        let enter = |owner| queue.enter(owner, 0, false);
        let mut held: Vec<_> = (0..MOST_OF_OWNER).map(|_| enter(ONE).unwrap()).collect();
        assert!(enter(ONE).is_err(), "so many of one");
        assert!(queue.enter(ONE, 0, true).is_ok(), "but who has begun is not refused");
        held.pop();
        held.push(enter(ONE).unwrap());
        let others = (2_u128..).flat_map(|n| std::iter::repeat_n(Owner(Uuid::from_u128(n)), 100));
        held.extend(others.take(MOST - MOST_OF_OWNER).map(|owner| enter(owner).unwrap()));
        assert!(enter(Owner(Uuid::from_u128(99))).is_err(), "so many of all");
        held.clear();
        assert!(queue.next(|_, _| Some(0)).is_none());
        let state = queue.state();
        assert_eq!((state.owners.len(), state.rotation.len()), (0, 0));
    }
}
