//! Names of sessions, which no other tenant can use, and seals on their states, which nobody else can make.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::auth::seal::SealKeys;
use crate::auth::secret::{Derived, Secrets};
use crate::domain::audit::{Seal, Sealer};
use crate::domain::caller::TenantId;
use crate::shared::SessionId;

/// What the name of a session begins with.
const PREFIX: &str = "ses_";
/// Bytes of a tag in a name. It need not hold for ever: what it names is asked for by its tenant alone.
const TAG_BYTES: usize = 12;
/// The first byte of a state: how it is sealed and written.
const FORM: u8 = 1;

/// The session that a request with a key of its caller begins, however often it is sent. It is no secret: what names
/// a session to others is tagged.
pub(super) fn id_of(tenant: TenantId, key: &[u8; 32]) -> Uuid {
    let hash = Sha256::new().chain_update("session").chain_update(tenant.uuid()).chain_update(key).finalize();
    uuid::Builder::from_custom_bytes(std::array::from_fn(|i| hash.get(i).copied().unwrap_or_default())).into_uuid()
}

/// Keys for names and states.
#[derive(Debug)]
pub struct SessionKeys {
    /// The one in force first.
    names: Vec<Derived>,
    states: SealKeys,
}

impl SessionKeys {
    /// Of these secrets: what was made with the one before still holds.
    pub fn of(secrets: &Secrets) -> Self {
        Self { names: secrets.derive("session name"), states: secrets.sealer("session state") }
    }

    /// The name of a session. It tells its tenant, later, that there was such a session, and others nothing.
    pub(super) fn name(&self, id: SessionId) -> String {
        let mut bytes = id.id.as_bytes().to_vec();
        bytes.extend(self.names.first().map(|key| name_tag(key, id)).unwrap_or_default());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The session of a name, if it is one of this tenant's.
    pub(super) fn read_name(&self, tenant: TenantId, name: &str) -> Option<SessionId> {
        let bytes: [u8; 16 + TAG_BYTES] = URL_SAFE_NO_PAD.decode(name.strip_prefix(PREFIX)?).ok()?.try_into().ok()?;
        let (id, tag) = bytes.split_at_checked(16)?;
        let id = SessionId { tenant, id: Uuid::from_slice(id).ok()? };
        let is_ours = |key: &Derived| bool::from(name_tag(key, id).ct_eq(tag));
        self.names.iter().any(is_ours).then_some(id)
    }

    /// A state under its seal, which holds for this session of this tenant at this revision and nowhere else.
    pub(super) fn seal(&self, id: SessionId, revision: u64, state: &[u8]) -> Bytes {
        let seal = self.states.seal(&sealed_text(id, revision, state));
        [&[FORM], &seal.0[..], state].concat().into()
    }

    /// The state under a seal, if nobody has changed it.
    pub(super) fn open<'s>(&self, id: SessionId, revision: u64, sealed: &'s [u8]) -> Option<&'s [u8]> {
        let (seal, state) = sealed.strip_prefix(&[FORM])?.split_first_chunk()?;
        self.states.is_sealed(&sealed_text(id, revision, state), &Seal(*seal)).then_some(state)
    }
}

fn name_tag(key: &Derived, SessionId { tenant, id }: SessionId) -> [u8; TAG_BYTES] {
    let tag = key.tag(&[tenant.uuid().as_bytes(), id.as_bytes()]);
    std::array::from_fn(|i| tag.get(i).copied().unwrap_or_default())
}

/// What is sealed. All before the state has one length, so that no two of these are one text.
fn sealed_text(SessionId { tenant, id }: SessionId, revision: u64, state: &[u8]) -> Vec<u8> {
    [&[FORM], tenant.uuid().as_bytes().as_slice(), id.as_bytes(), &revision.to_le_bytes(), state].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::secret::MasterSecret;

    fn keys(byte: u8) -> SessionKeys {
        SessionKeys::of(&Secrets::only(MasterSecret::from_bytes(&[byte; 32]).unwrap()))
    }

    fn tenant(n: u128) -> TenantId {
        TenantId::from_store(Uuid::from_u128(n))
    }

    fn of(tenant: u128, n: u128) -> SessionId {
        SessionId { tenant: self::tenant(tenant), id: Uuid::from_u128(n) }
    }

    #[test]
    fn a_name_is_read_by_its_tenant_alone_and_only_as_it_was_written() {
        let (other_keys, keys, id) = (keys(2), keys(1), of(1, 5));
        let name = keys.name(id);
        assert_eq!(keys.read_name(tenant(1), &name), Some(id));
        assert_eq!(keys.read_name(tenant(2), &name), None);
        assert_eq!(other_keys.read_name(tenant(1), &name), None);
        for at in 0..name.len() {
            let mut other = name.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(keys.read_name(tenant(1), std::str::from_utf8(&other).unwrap()), None, "{at}");
        }
        for bad in ["", "ses_", "é", &name[4..], &format!("{name}="), &format!("{name}A"), &name[..name.len() - 1]] {
            assert_eq!(keys.read_name(tenant(1), bad), None, "{bad}");
        }
    }

    #[test]
    fn a_key_of_a_tenant_begins_one_session() {
        let id = id_of(tenant(1), &[7; 32]);
        assert_eq!(id, id_of(tenant(1), &[7; 32]));
        assert_ne!(id, id_of(tenant(2), &[7; 32]));
        assert_ne!(id, id_of(tenant(1), &[8; 32]));
    }

    #[test]
    fn a_seal_holds_for_one_state_of_one_session() {
        let (keys, id) = (keys(1), of(1, 5));
        let sealed = keys.seal(id, 7, b"state");
        assert_eq!(keys.open(id, 7, &sealed), Some(&b"state"[..]));
        assert_eq!(keys.open(of(2, 5), 7, &sealed), None);
        assert_eq!(keys.open(of(1, 6), 7, &sealed), None);
        assert_eq!(keys.open(id, 8, &sealed), None);
        for at in 0..sealed.len() {
            let mut other = sealed.to_vec();
            other[at] ^= 1;
            assert_eq!(keys.open(id, 7, &other), None, "{at}");
            assert_eq!(keys.open(id, 7, &sealed[..at]), None, "cut at {at}");
        }
    }
}
