//! States of sessions, names of sessions and cursors: what callers and stores hand back, and may have changed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::api::cursor;
use crate::auth::secret::{MasterSecret, Secrets};
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::service::sessions::fuzzing::{state_is_read, state_is_sealed};
use crate::shared::SessionId;

/// The bytes as a state, as a sealed state, as what a seal is on, and as the place of a cursor.
pub fn session_state(bytes: &[u8]) {
    let secrets = Secrets::only(MasterSecret::from_bytes(&[7; 32]).unwrap());
    let tenant = TenantId::from_store(Uuid::from_u128(1));
    let id = SessionId { tenant, id: Uuid::from_u128(2) };
    state_is_read(bytes);
    state_is_sealed(&secrets, id, bytes);
    cursors(&secrets, tenant, bytes);
}

/// A cursor is read where it was written, and nowhere else; nobody else writes one.
fn cursors(secrets: &Secrets, tenant: TenantId, bytes: &[u8]) {
    const LIST: &str = "/v1/rules";
    let keys = secrets.sealer("cursors");
    let chain = Chain(Some(tenant));
    let forged = String::from_utf8_lossy(bytes);
    assert!(cursor::read(&keys, LIST, chain, &forged).is_err(), "forged: {forged:?}");
    assert!(cursor::read(&keys, LIST, chain, &URL_SAFE_NO_PAD.encode(bytes)).is_err(), "forged: {bytes:?}");
    let Ok(place) = std::str::from_utf8(bytes) else { return };
    let written = cursor::write(&keys, LIST, chain, place);
    if written.len() > cursor::MOST {
        return;
    }
    assert_eq!(cursor::read(&keys, LIST, chain, &written).unwrap(), place);
    let other = Chain(Some(TenantId::from_store(Uuid::from_u128(3))));
    assert!(cursor::read(&keys, LIST, other, &written).is_err(), "another tenant's");
    assert!(cursor::read(&keys, LIST, Chain(None), &written).is_err(), "the platform's");
    assert!(cursor::read(&keys, "/v1/keys", chain, &written).is_err(), "another list's");
    let at = bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % written.len();
    let mut changed = written.into_bytes();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    assert!(cursor::read(&keys, LIST, chain, &changed).is_err(), "changed at {at}");
}
