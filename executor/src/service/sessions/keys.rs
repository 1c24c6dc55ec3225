//! Names of sessions, which no other tenant can use, and seals on their states, which nobody else can make.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::auth::seal::SealKeys;
use crate::auth::secret::{Derived, Secrets};
use crate::domain::audit::{Seal, Sealer};
use crate::domain::caller::TenantId;

/// What the name of a session begins with.
const PREFIX: &str = "ses_";
/// Bytes of a tag in a name. It need not hold for ever: what it names is asked for by its tenant alone.
const TAG_BYTES: usize = 12;
/// The first byte of a state: how it is sealed and written.
const FORM: u8 = 1;

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
    pub(super) fn name(&self, tenant: TenantId, id: Uuid) -> String {
        let mut bytes = id.as_bytes().to_vec();
        bytes.extend(self.names.first().map(|key| name_tag(key, tenant, id)).unwrap_or_default());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The session of a name, if it is one of this tenant's.
    pub(super) fn read_name(&self, tenant: TenantId, name: &str) -> Option<Uuid> {
        let bytes: [u8; 16 + TAG_BYTES] = URL_SAFE_NO_PAD.decode(name.strip_prefix(PREFIX)?).ok()?.try_into().ok()?;
        let (id, tag) = bytes.split_at_checked(16)?;
        let id = Uuid::from_slice(id).ok()?;
        let is_ours = |key: &Derived| bool::from(name_tag(key, tenant, id).ct_eq(tag));
        self.names.iter().any(is_ours).then_some(id)
    }

    /// A state under its seal, which holds for this session of this tenant at this revision and nowhere else.
    pub(super) fn seal(&self, tenant: TenantId, id: Uuid, revision: u64, state: &[u8]) -> Bytes {
        let seal = self.states.seal(&sealed_text(tenant, id, revision, state));
        [&[FORM], &seal.0[..], state].concat().into()
    }

    /// The state under a seal, if nobody has changed it.
    pub(super) fn open<'s>(&self, tenant: TenantId, id: Uuid, revision: u64, sealed: &'s [u8]) -> Option<&'s [u8]> {
        let (seal, state) = sealed.strip_prefix(&[FORM])?.split_first_chunk()?;
        self.states.is_sealed(&sealed_text(tenant, id, revision, state), &Seal(*seal)).then_some(state)
    }
}

fn name_tag(key: &Derived, tenant: TenantId, id: Uuid) -> [u8; TAG_BYTES] {
    let tag = key.tag(&[tenant.uuid().as_bytes(), id.as_bytes()]);
    std::array::from_fn(|i| tag.get(i).copied().unwrap_or_default())
}

/// What is sealed. All before the state has one length, so that no two of these are one text.
fn sealed_text(tenant: TenantId, id: Uuid, revision: u64, state: &[u8]) -> Vec<u8> {
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

    #[test]
    fn a_name_is_read_by_its_tenant_alone_and_only_as_it_was_written() {
        let (other_keys, keys, id) = (keys(2), keys(1), Uuid::from_u128(5));
        let name = keys.name(tenant(1), id);
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
    fn a_seal_holds_for_one_state_of_one_session() {
        let (keys, id) = (keys(1), Uuid::from_u128(5));
        let sealed = keys.seal(tenant(1), id, 7, b"state");
        assert_eq!(keys.open(tenant(1), id, 7, &sealed), Some(&b"state"[..]));
        assert_eq!(keys.open(tenant(2), id, 7, &sealed), None);
        assert_eq!(keys.open(tenant(1), Uuid::from_u128(6), 7, &sealed), None);
        assert_eq!(keys.open(tenant(1), id, 8, &sealed), None);
        for at in 0..sealed.len() {
            let mut other = sealed.to_vec();
            other[at] ^= 1;
            assert_eq!(keys.open(tenant(1), id, 7, &other), None, "{at}");
            assert_eq!(keys.open(tenant(1), id, 7, &sealed[..at]), None, "cut at {at}");
        }
    }
}
