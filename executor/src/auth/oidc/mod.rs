//! Tokens of `OpenID` Connect issuers: JWTs that are signed with a key which the issuer publishes.
//!
//! An issuer speaks for the tenants that it is bound to, and for no other. Only asymmetric signatures are taken: with a
//! shared secret, whoever can verify a token could make one.

mod fetch;
mod issuer;
mod keys;

use std::collections::HashMap;
use std::sync::Arc;

use jsonwebtoken::decode_header;
use serde::Deserialize;
use serde_json::Value;

pub use fetch::FetchError;
use issuer::Issuer;
pub use issuer::IssuerError;

use crate::config;
use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::caller::{Actor, Role};
use crate::domain::tenant::{Tenant, TenantName};
use crate::invalidation::{Generations, Remembered};
use crate::store::{PlatformStore, StoreError};

use super::keyring::{Authenticated, Denied};

/// Bytes of the longest token.
const MOST_BYTES: usize = 8 << 10;
/// Tenants that are remembered.
const TENANTS: u64 = 10_000;

/// The issuers whose tokens are taken.
#[derive(Debug)]
pub struct Issuers {
    by_name: HashMap<String, Arc<Issuer>>,
    store: Arc<dyn PlatformStore>,
    tenants: Remembered<TenantName, Arc<Tenant>>,
}

/// Why a token is not taken. For the log: the caller hears that it is not valid.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Longer than any token.
    #[error("the token is too long")]
    TooLong,
    /// No issuer of that name is configured.
    #[error("no such issuer is configured")]
    UnknownIssuer,
    /// The algorithm is not one that this issuer may use.
    #[error("the algorithm is not one of this issuer's")]
    Algorithm,
    /// A token for something else, or with an extension that must be understood.
    #[error("the token is not one for this")]
    Kind,
    /// It is nobody's.
    #[error("the token names no subject")]
    Subject,
    /// The issuer publishes no such key.
    #[error("the issuer publishes no such key")]
    UnknownKey,
    /// It has ended, has not begun, or says its time in no way that can be read.
    #[error("it is too late for the token, or too early")]
    Time,
    /// The signature or the audience does not hold.
    #[error("the token does not hold: {0}")]
    Invalid(#[from] jsonwebtoken::errors::Error),
    /// It says nothing of a tenant that the issuer may speak for.
    #[error("the issuer does not speak for that tenant")]
    Tenant,
    /// The keys of the issuer cannot be had.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
}

impl Issuers {
    /// Those of the settings.
    ///
    /// # Errors
    /// If one of them cannot be used as it is written.
    pub fn new(
        settings: &[config::Issuer],
        store: Arc<dyn PlatformStore>,
        generations: Arc<Generations>,
    ) -> Result<Self, IssuerError> {
        let mut by_name = HashMap::new();
        for issuer in settings {
            let name = issuer.issuer.clone();
            if by_name.insert(name.clone(), Arc::new(Issuer::new(issuer)?)).is_some() {
                return Err(IssuerError::Setting { issuer: name, reason: "it is there twice".to_owned() });
            }
        }
        Ok(Self { by_name, store, tenants: Remembered::new(TENANTS, generations) })
    }

    /// Whose token this is, at this time.
    ///
    /// # Errors
    /// [`Denied::Invalid`], or the store's.
    pub(super) async fn authenticate(&self, token: &str, now: At) -> Result<Authenticated, Denied> {
        let claims = match self.verify(token, now).await {
            Ok(verified) => verified,
            Err(error) => {
                tracing::info!(error = crate::telemetry::chain(&error), "a token was refused");
                return Err(match error {
                    // Not the caller's fault: he may try again.
                    TokenError::Issuer(error) if error.is_passing() => Denied::Issuer(error),
                    _ => Denied::Invalid,
                });
            }
        };
        let chain = match &claims.tenant {
            None => Chain(None),
            Some(name) => {
                let load = async { self.store.tenant_named(name).await.map(Arc::new) };
                let whose = |tenant: &Arc<Tenant>| Chain(Some(tenant.id));
                let found = self.tenants.get(name.clone(), whose, load).await;
                let tenant = found.map_err(|error| match error {
                    StoreError::NoTenant => Denied::Invalid,
                    other => Denied::Store(other),
                })?;
                if tenant.suspended_at.is_some() {
                    return Err(Denied::Invalid);
                }
                Chain(Some(tenant.id))
            }
        };
        Ok(Authenticated { chain, actor: Actor::user(&claims.issuer, &claims.subject), roles: claims.roles })
    }

    async fn verify(&self, token: &str, now: At) -> Result<Verified, TokenError> {
        if token.len() > MOST_BYTES {
            return Err(TokenError::TooLong);
        }
        let header = decode_header(token)?;
        let issuer = self.by_name.get(&claimed_issuer(token)?).ok_or(TokenError::UnknownIssuer)?;
        issuer.verify(token, &header, now).await
    }
}

/// What the token says of its issuer, before anything of it is believed: it tells whose keys to try.
fn claimed_issuer(token: &str) -> Result<String, TokenError> {
    #[derive(Deserialize)]
    struct Claimed {
        iss: String,
    }
    Ok(jsonwebtoken::dangerous::insecure_decode_claims::<Claimed>(token)?.iss)
}

/// What a token that holds says.
#[derive(Debug)]
struct Verified {
    issuer: String,
    subject: String,
    /// None: the platform.
    tenant: Option<TenantName>,
    roles: Vec<Role>,
}

/// Names in a claim: a text with blanks between them, or a list of texts.
fn names(claim: Option<&Value>) -> Vec<&str> {
    match claim {
        Some(Value::String(text)) => text.split(' ').filter(|name| !name.is_empty()).collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
