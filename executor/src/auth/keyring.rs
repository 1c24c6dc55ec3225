//! From a key to whom it belongs.

use std::sync::Arc;

use rand::RngCore;
use secrecy::{ExposeSecret, SecretBox};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::key::ApiKey;
use super::oidc::{IssuerError, Issuers};
use super::secret::{Derived, Secrets};
use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::caller::{Actor, KeyId, Role};
use crate::domain::key::{KeyRecord, NewKey};
use crate::invalidation::{Generations, Remembered};
use crate::store::{PlatformStore, StoreError};

/// Keys that are remembered.
const REMEMBERED: u64 = 10_000;

/// Checks keys against the store.
pub struct Keyring {
    store: Arc<dyn PlatformStore>,
    /// The one in force first.
    peppers: Vec<Derived>,
    /// By hash: who has that has the key.
    remembered: Remembered<[u8; 32], Arc<KeyRecord>>,
    /// Tells the time by which keys and tokens end.
    generations: Arc<Generations>,
    /// Whose tokens are taken beside keys.
    issuers: Option<Issuers>,
}

/// Who is calling, and what he may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The tenant that he speaks for, or the platform.
    pub chain: Chain,
    /// Who.
    pub actor: Actor,
    /// What he may do.
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
    #[error("the key may not do this (`{permission}`): it takes the role {}", roles_of(roles))]
    Forbidden {
        /// What it lacks.
        permission: &'static str,
        /// Who has that.
        roles: &'static [Role],
    },
    /// The issuer of a token could not be asked.
    #[error("the issuer of the token cannot be asked now")]
    Issuer(#[source] IssuerError),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn roles_of(roles: &[Role]) -> String {
    roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(" or ")
}

/// What a key is made of, if it can be made again: for a request that is repeated.
#[derive(Debug)]
pub struct KeySeed(SecretBox<[u8; 32]>);

impl KeySeed {
    /// A new one.
    pub fn generate() -> Self {
        let mut bytes = Box::new([0; 32]);
        rand::rng().fill_bytes(bytes.as_mut());
        Self(SecretBox::new(bytes))
    }

    /// One that was written down.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut bytes = Box::new([0; 32]);
        let pairs = text.as_bytes().chunks(2);
        if text.len() != 64 {
            return None;
        }
        for (to, pair) in bytes.iter_mut().zip(pairs) {
            *to = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(SecretBox::new(bytes)))
    }

    /// To be written down: without the master secret it is of no use.
    pub fn text(&self) -> String {
        Seed(self.0.expose_secret()).to_string()
    }
}

struct Seed<'a>(&'a [u8; 32]);

impl std::fmt::Display for Seed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Keyring {
    /// Keys of this store, hashed with the pepper of these secrets.
    pub fn new(store: Arc<dyn PlatformStore>, secrets: &Secrets, generations: Arc<Generations>) -> Self {
        let remembered = Remembered::new(REMEMBERED, Arc::clone(&generations));
        Self { store, peppers: secrets.derive("key pepper"), remembered, generations, issuers: None }
    }

    /// Takes the tokens of these issuers too.
    #[must_use]
    pub fn with_issuers(self, issuers: Issuers) -> Self {
        Self { issuers: Some(issuers), ..self }
    }

    /// Whether there is a tenant.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn has_tenant(&self) -> Result<bool, StoreError> {
        self.store.has_tenant().await
    }

    /// A key that a seed makes, the same each time under one master secret.
    pub fn from_seed(&self, seed: &KeySeed) -> ApiKey {
        self.peppers.first().map_or_else(ApiKey::generate, |pepper| ApiKey::derived(pepper, seed.0.expose_secret()))
    }

    /// The key that a seed made before, by its record: also if the master secret has been replaced since.
    pub fn made_from(&self, seed: &KeySeed, record: &KeyRecord) -> Option<ApiKey> {
        self.peppers.iter().find_map(|pepper| {
            let key = ApiKey::derived(pepper, seed.0.expose_secret());
            bool::from(key.hash(pepper).ct_eq(&record.hash)).then_some(key)
        })
    }

    /// What is kept of a key.
    pub fn record(&self, key: &ApiKey, name: String, roles: Vec<Role>, expires_at: Option<At>) -> NewKey {
        let hash = self.peppers.first().map(|pepper| key.hash(pepper)).unwrap_or_default();
        NewKey { id: KeyId(Uuid::now_v7()), name, prefix: key.prefix().to_owned(), hash, roles, expires_at }
    }

    /// Whose key or token this is.
    ///
    /// # Errors
    /// [`Denied::Invalid`], or the store's.
    pub async fn authenticate(&self, text: &str) -> Result<Authenticated, Denied> {
        match &self.issuers {
            // A key has no dots, and a token has two.
            Some(issuers) if text.contains('.') => issuers.authenticate(text, self.generations.now()).await,
            _ => self.authenticate_key(text).await,
        }
    }

    async fn authenticate_key(&self, text: &str) -> Result<Authenticated, Denied> {
        let Some(key) = ApiKey::parse(text) else {
            tracing::info!(reason = "not a key, or mistyped", "a key was refused");
            return Err(Denied::Invalid);
        };
        let refused = |reason| tracing::info!(prefix = key.prefix(), reason, "a key was refused");
        let hashes: Vec<_> = self.peppers.iter().map(|pepper| key.hash(pepper)).collect();
        let first = hashes.first().copied().unwrap_or_default();
        let whose = |record: &Arc<KeyRecord>| Chain(record.tenant);
        let found = self.remembered.get(first, whose, self.find(key.prefix(), &hashes)).await;
        let found = found.inspect_err(|error| {
            if matches!(error, Denied::Invalid) {
                refused("unknown, or its tenant is suspended");
            }
        })?;
        if !found.is_valid(self.generations.now()) {
            refused(if found.revoked_at.is_some() { "revoked" } else { "expired" });
            return Err(Denied::Invalid);
        }
        Ok(Authenticated {
            chain: Chain(found.tenant),
            actor: Actor::key(found.id, &found.prefix),
            // What is of the platform has no tenant, and the other way round.
            roles: found.roles.iter().copied().filter(|role| role.is_platform() == found.tenant.is_none()).collect(),
        })
    }

    async fn find(&self, prefix: &str, hashes: &[[u8; 32]]) -> Result<Arc<KeyRecord>, Denied> {
        let is = |record: &KeyRecord| hashes.iter().any(|hash| bool::from(record.hash.ct_eq(hash)));
        let found = self.store.keys(prefix).await?.into_iter().find(is);
        found.map(Arc::new).ok_or(Denied::Invalid)
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}
