//! The audit log: who did what to which of a tenant's things.
//!
//! The entries of a tenant are a chain: each is sealed with a keyed hash over itself and the seal before it, so that
//! an entry that is changed, removed or moved shows. What belongs to no tenant is a chain of its own.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::at::At;
use super::caller::{Actor, ActorId, TenantId};

/// A chain of entries: a tenant's, or the platform's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chain(pub Option<TenantId>);

impl Chain {
    /// Its key in the tables. The platform's is the nil id, which no tenant has.
    pub fn uuid(self) -> Uuid {
        self.0.map_or(Uuid::nil(), TenantId::uuid)
    }

    /// The chain of a key in the tables.
    pub(crate) fn from_store(id: Uuid) -> Self {
        Self((!id.is_nil()).then(|| TenantId::from_store(id)))
    }
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(tenant) => tenant.fmt(f),
            None => f.write_str("platform"),
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Action {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in the log.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

actions! {
    /// A rule and its version 1 were made.
    RuleCreate = "rule.create";
    /// A version was added.
    RuleVersion = "rule.version";
    /// A version was made the active one.
    RuleActivate = "rule.activate";
    /// A rule was archived.
    RuleArchive = "rule.archive";
    /// A module was stopped, by hand or by what it did.
    RuleQuarantine = "rule.quarantine";
    /// A stopped module was let go.
    RuleRelease = "rule.release";
    /// Somebody of the platform reads the text of a version.
    RuleBreakGlass = "rule.break_glass";
    /// A reviewer has seen a violation.
    ViolationAcknowledge = "violation.acknowledge";
    /// A reviewer is done with a violation.
    ViolationResolve = "violation.resolve";
    /// A key was made.
    KeyCreate = "key.create";
    /// A key was revoked.
    KeyRevoke = "key.revoke";
    /// A webhook was made.
    WebhookCreate = "webhook.create";
    /// A webhook was changed.
    WebhookChange = "webhook.change";
    /// A webhook was given another secret.
    WebhookRotate = "webhook.rotate";
    /// A webhook was sent an event to try it.
    WebhookTest = "webhook.test";
    /// Something was sent to a webhook again.
    WebhookReplay = "webhook.replay";
    /// Somebody wrote down that a backup had succeeded.
    BackupRecord = "backup.record";
    /// Somebody wrote down that a backup was restored on trial, and held.
    BackupRestored = "backup.restored";
    /// Somebody wrote down that a backup did not.
    BackupFailed = "backup.failed";
    /// A webhook was removed.
    WebhookDelete = "webhook.delete";
    /// A tenant was made.
    TenantCreate = "tenant.create";
    /// Limits of a tenant were changed.
    TenantLimits = "tenant.limits";
    /// A tenant's callers are refused from now on.
    TenantSuspend = "tenant.suspend";
    /// A tenant's callers are let in again.
    TenantResume = "tenant.resume";
}

/// An entry that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEntry {
    /// What was done.
    pub action: Action,
    /// To what: the name of a rule, the id of a key, the name of a tenant.
    pub object: String,
    /// More of it; never rule text, inputs or secrets.
    pub detail: Value,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The chain that it is of.
    pub chain: Chain,
    /// From 1 up by one.
    pub seq: u64,
    /// When; never before the entry before it.
    pub at: At,
    /// Who.
    pub actor: Actor,
    /// What was done.
    pub action: String,
    /// To what.
    pub object: String,
    /// JSON text, as it was sealed.
    pub detail: String,
    /// Of the request; empty for the command line.
    pub request_id: String,
    /// Over everything above and the seal before.
    pub seal: Seal,
}

/// A keyed hash, and in front of it a byte that tells which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal(pub [u8; Seal::BYTES]);

impl Seal {
    /// Bytes of a seal: the key's id and HMAC-SHA256.
    pub const BYTES: usize = 33;
    /// What stands before the first entry.
    pub const NONE: Self = Self([0; Self::BYTES]);

    /// A seal of these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where a chain ends, and where it begins since retention removed what was before.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The chain.
    pub chain: Chain,
    /// Of the last entry.
    pub seq: u64,
    /// Of the last entry.
    pub seal: Seal,
    /// Of the last entry that was removed; 0 if none was.
    pub removed_seq: u64,
    /// Of the last entry that was removed.
    pub removed_seal: Seal,
    /// Over the two, so that nobody else removes entries; [`Seal::NONE`] if none was.
    pub removed_proof: Seal,
}

impl Entry {
    /// What is sealed: every field with its length, and the seal before.
    pub fn sealed_bytes(&self, before: &Seal) -> Vec<u8> {
        let ActorId(actor) = self.actor.id;
        let mut bytes = b"rulebox audit entry 1".to_vec();
        let mut add = |part: &[u8]| {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        };
        add(self.chain.uuid().as_bytes());
        add(&self.seq.to_le_bytes());
        add(&self.at.0.to_le_bytes());
        add(actor.as_bytes());
        for text in [&*self.actor.name, &self.action, &self.object, &self.detail, &self.request_id] {
            add(text.as_bytes());
        }
        add(&before.0);
        bytes
    }
}

impl Head {
    /// The head of a chain that has none.
    pub const fn none(chain: Chain) -> Self {
        let none = Seal::NONE;
        Self { chain, seq: 0, seal: none, removed_seq: 0, removed_seal: none, removed_proof: none }
    }

    /// What the proof of a removal is over.
    pub fn removal_bytes(chain: Chain, seq: u64, seal: &Seal) -> Vec<u8> {
        let mut bytes = b"rulebox audit removal 1".to_vec();
        bytes.extend_from_slice(chain.uuid().as_bytes());
        bytes.extend_from_slice(&seq.to_le_bytes());
        bytes.extend_from_slice(&seal.0);
        bytes
    }
}

/// Seals entries with a key that only the service has.
pub trait Sealer: Send + Sync + std::fmt::Debug {
    /// The seal of these bytes.
    fn seal(&self, bytes: &[u8]) -> Seal;
    /// Whether a seal is of these bytes, by a key that is accepted.
    fn is_sealed(&self, bytes: &[u8], seal: &Seal) -> bool;
    /// Whether there is a key that may have made it.
    fn has_key_of(&self, seal: &Seal) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_tells_every_field_from_every_other() {
        let entry = Entry {
            chain: Chain(None),
            seq: 1,
            at: At(2),
            actor: Actor::command_line(),
            action: "ab".to_owned(),
            object: "c".to_owned(),
            detail: "{}".to_owned(),
            request_id: String::new(),
            seal: Seal::NONE,
        };
        let of = |change: fn(&mut Entry)| {
            let mut other = entry.clone();
            change(&mut other);
            other.sealed_bytes(&Seal::NONE)
        };
        let all = [
            of(|_| {}),
            of(|e| e.chain = Chain(Some(TenantId::from_store(Uuid::from_u128(7))))),
            of(|e| e.seq = 2),
            of(|e| e.at = At(3)),
            of(|e| e.actor = Actor::service()),
            of(|e| e.action = "a".to_owned()),
            of(|e| (e.action, e.object) = ("a".to_owned(), "bc".to_owned())),
            of(|e| e.detail = "[]".to_owned()),
            of(|e| e.request_id = "r".to_owned()),
            entry.sealed_bytes(&Seal([1; Seal::BYTES])),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|b| a != b), "{i}");
        }
    }
}
