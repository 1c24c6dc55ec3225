//! What holds of every state that comes back, for the fuzz target.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "an oracle says what is wrong by a panic")]

use super::keys::SessionKeys;
use super::state::State;
use crate::auth::secret::Secrets;
use crate::shared::SessionId;

/// Bytes behind a seal: no state, or one that is written as it was read and answers whatever is asked of it.
pub(crate) fn state_is_read(bytes: &[u8]) {
    let Some(state) = State::read(bytes) else { return };
    let written = state.write().unwrap();
    let again = State::read(&written).unwrap();
    assert_eq!(again.write().unwrap(), written);
    assert!(state.oldest_seq() <= state.next_seq && state.runnables().is_some());
    for seq in [0, state.oldest_seq(), state.next_seq.saturating_sub(1), state.next_seq, u64::MAX] {
        if let Ok(known) = state.known(seq, &[[0; 16]; 3]) {
            assert!(known <= 3);
            assert!(state.answers(seq, known).len() >= known);
        }
    }
    let states = state.rules.iter().map(|rule| rule.state.clone()).collect();
    let next = state.after(states, Vec::new(), 0, 2, 100);
    assert_eq!(next.next_seq, state.next_seq);
    assert!(next.oldest_seq() >= state.oldest_seq());
}

/// A seal holds for these bytes of this session at this revision; nobody else's bytes have one.
pub(crate) fn state_is_sealed(secrets: &Secrets, id: SessionId, bytes: &[u8]) {
    let keys = SessionKeys::of(secrets);
    assert_eq!(keys.open(id, 1, bytes), None, "forged");
    assert_eq!(keys.read_name(id.tenant, &String::from_utf8_lossy(bytes)), None, "a name that was never given");
    let sealed = keys.seal(id, 1, bytes);
    assert_eq!(keys.open(id, 1, &sealed), Some(bytes));
    assert_eq!(keys.open(id, 2, &sealed), None, "another revision");
    assert_eq!(keys.open(SessionId { id: id.tenant.uuid(), ..id }, 1, &sealed), None, "another session");
    let at = bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % sealed.len();
    let mut changed = sealed.to_vec();
    changed[at] ^= 1 << (bytes.len() % 8);
    assert_eq!(keys.open(id, 1, &changed), None, "changed at {at}");
    assert_eq!(keys.open(id, 1, &sealed[..at]), None, "cut at {at}");
}
