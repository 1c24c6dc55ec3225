//! Finds out who a key belongs to.

use std::sync::Arc;

use subtle::ConstantTimeEq;

use super::key::ApiKey;
use super::secret::{Derived, MasterSecret};
use crate::domain::at::At;
use crate::domain::caller::{KeyId, Role, TenantId};
use crate::store::{NewKey, PlatformStore, StoreError};

/// Checks keys against the store.
pub struct Keyring {
    store: Arc<dyn PlatformStore>,
    pepper: Derived,
}

/// Whose key it is, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The tenant that it speaks for.
    pub tenant: TenantId,
    /// The key.
    pub key: KeyId,
    /// What it may do.
    pub roles: Vec<Role>,
}

/// Why a caller was not let in.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// No `Authorization: Bearer`.
    #[error("no key was sent")]
    Missing,
    /// Not a key, mistyped, unknown, expired or revoked. Which of them is not the caller's to know.
    #[error("the key is not valid")]
    Invalid,
    /// A valid key whose roles do not permit this.
    #[error("the key has no permission `{0}`")]
    Forbidden(&'static str),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Keyring {
    /// Keys of this store, hashed with the pepper of this secret.
    pub fn new(store: Arc<dyn PlatformStore>, secret: &MasterSecret) -> Self {
        Self { store, pepper: secret.derive("key pepper") }
    }

    /// Whether there is a tenant.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn has_tenant(&self) -> Result<bool, StoreError> {
        self.store.has_tenant().await
    }

    /// Makes the first tenant, with this key for all its roles, unless there is a tenant. Says whether it did.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn create_first(&self, key: &ApiKey) -> Result<bool, StoreError> {
        let kept = NewKey { prefix: key.prefix().to_owned(), hash: key.hash(&self.pepper), roles: Role::ALL.to_vec() };
        self.store.create_first_tenant("default", &kept).await
    }

    /// Whose key this is.
    ///
    /// # Errors
    /// [`Denied::Invalid`], or the store's.
    pub async fn authenticate(&self, text: &str) -> Result<Authenticated, Denied> {
        let key = ApiKey::parse(text).ok_or(Denied::Invalid)?;
        let hash = key.hash(&self.pepper);
        let now = At::now();
        let kept = self.store.keys(key.prefix()).await?;
        let found = kept.into_iter().find(|record| bool::from(record.hash.ct_eq(&hash))).ok_or(Denied::Invalid)?;
        let over = |end: Option<At>| end.is_some_and(|end| end <= now);
        if over(found.expires_at) || over(found.revoked_at) {
            return Err(Denied::Invalid);
        }
        Ok(Authenticated { tenant: found.tenant, key: found.id, roles: found.roles })
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}
