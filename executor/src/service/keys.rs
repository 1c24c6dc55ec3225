//! API keys: made, listed, revoked.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Operator, Service, ServiceError};
use crate::auth::keyring::KeySeed;
use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::caller::{KeyId, Role, is_hidden};
use crate::domain::idempotency::IdempotentRequest;
use crate::domain::key::KeyRecord;

/// A key that is asked for.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub roles: Vec<Role>,
    /// It is refused from then on.
    pub expires_at: Option<At>,
}

/// A key that was made: its text is shown this once.
#[derive(Clone, Debug)]
pub struct MadeKey {
    /// As it is kept.
    pub record: KeyRecord,
    /// The key.
    pub text: SecretString,
}

/// What makes the same key again for a request that is repeated. It is removed with the record of the request, and of
/// no use without the master secret.
#[derive(Serialize, Deserialize)]
struct Again {
    seed: String,
}

impl Service {
    /// Makes a key of `owner`, a tenant or the platform, by a request of `by`.
    ///
    /// # Errors
    /// [`ServiceError::BadRoles`], [`ServiceError::BadText`], no such tenant.
    pub async fn create_key(
        &self,
        operator: &Operator,
        owner: Chain,
        by: Chain,
        asked: &KeyRequest,
        request: Option<IdempotentRequest>,
    ) -> Result<MadeKey, ServiceError> {
        asked.check(owner, self.generations.now())?;
        let work = async |claim| {
            let seed = KeySeed::generate();
            let key = self.keyring.from_seed(&seed);
            let new = self.keyring.record(&key, asked.name.clone(), asked.roles.clone(), asked.expires_at);
            let change = self.change_by(&operator.actor, &operator.marks, claim);
            let detail = serde_json::json!(Again { seed: seed.text() }).to_string();
            let record = self.store.create_key(owner, &new, &detail, &change).await?;
            Ok(MadeKey { record, text: key.text().clone() })
        };
        let again = async |made: crate::domain::idempotency::Made| {
            let lost = || ServiceError::BadText("the key of the first request can no longer be shown".to_owned());
            let id = made.subject.parse().map(KeyId).map_err(|_| lost())?;
            let record = self.store.key(owner, id).await?;
            let again: Again = serde_json::from_str(&made.detail).map_err(|_| lost())?;
            let seed = KeySeed::from_text(&again.seed).ok_or_else(lost)?;
            let key = self.keyring.made_from(&seed, &record).ok_or_else(lost)?;
            Ok(MadeKey { record, text: key.text().clone() })
        };
        self.once(by, request, work, again).await
    }

    /// A page of keys in the order in which they were made, and whether there are more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn list_keys(
        &self,
        owner: Chain,
        after: Option<KeyId>,
        limit: u32,
    ) -> Result<(Vec<KeyRecord>, bool), ServiceError> {
        let page = self.store.list_keys(owner, after, limit.saturating_add(1)).await?;
        Ok(super::page(page, limit))
    }

    /// Revokes a key; once more changes nothing. Within a second no replica takes it.
    ///
    /// # Errors
    /// No such key.
    pub async fn revoke_key(&self, operator: &Operator, owner: Chain, id: KeyId) -> Result<KeyRecord, ServiceError> {
        let change = self.change_by(&operator.actor, &operator.marks, None);
        let revoked = self.store.revoke_key(owner, id, &change).await?;
        self.changed(owner);
        Ok(revoked)
    }
}

impl KeyRequest {
    /// Refuses what cannot be kept.
    ///
    /// # Errors
    /// [`ServiceError::BadRoles`], [`ServiceError::BadText`].
    pub fn check(&self, owner: Chain, now: At) -> Result<(), ServiceError> {
        let of_platform = owner.0.is_none();
        let fits = self.roles.iter().all(|role| role.is_platform() == of_platform);
        if self.roles.is_empty() || !fits {
            let (owner, roles) = if of_platform {
                ("the platform", "`security`, `admin`")
            } else {
                ("a tenant", "`author`, `engine`, `tenant-admin`")
            };
            return Err(ServiceError::BadRoles { owner, roles });
        }
        let chars = self.name.chars().count();
        if chars > KeyRecord::NAME_CHARS || self.name.chars().any(is_hidden) {
            let most = KeyRecord::NAME_CHARS;
            return Err(ServiceError::BadText(format!("the name of a key has at most {most} characters, in one line")));
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(ServiceError::BadText("`expires_at` is in the past".to_owned()));
        }
        Ok(())
    }
}
