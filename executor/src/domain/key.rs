//! API keys as they are kept and listed.

use super::at::At;
use super::caller::{ActorId, KeyId, Role, TenantId};

/// A key as it is kept. The key itself is nowhere: this has its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its public id.
    pub id: KeyId,
    /// The tenant that it speaks for; `None` for one of the platform.
    pub tenant: Option<TenantId>,
    /// What its owner calls it.
    pub name: String,
    /// What lists show.
    pub prefix: String,
    /// HMAC-SHA256 of the key.
    pub hash: [u8; 32],
    /// What it may do.
    pub roles: Vec<Role>,
    /// When it was made.
    pub created_at: At,
    /// Who made it.
    pub created_by: ActorId,
    /// It is refused from then on.
    pub expires_at: Option<At>,
    /// It is refused from then on.
    pub revoked_at: Option<At>,
}

impl KeyRecord {
    /// Characters of the longest name.
    pub const NAME_CHARS: usize = 100;

    /// Whether it lets in at this time.
    pub fn is_valid(&self, now: At) -> bool {
        let over = |end: Option<At>| end.is_some_and(|end| end <= now);
        !over(self.expires_at) && self.revoked_at.is_none()
    }
}

/// A key to be kept.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its public id.
    pub id: KeyId,
    /// What its owner calls it.
    pub name: String,
    /// What lists show.
    pub prefix: String,
    /// HMAC-SHA256 of the key.
    pub hash: [u8; 32],
    /// What it may do.
    pub roles: Vec<Role>,
    /// It is refused from then on.
    pub expires_at: Option<At>,
}
