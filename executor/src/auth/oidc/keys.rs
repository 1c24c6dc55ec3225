//! The keys of an issuer, as they were not long ago.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{DecodingKey, Header};
use tokio::sync::Mutex;

use super::fetch::{FetchError, Fetcher};

/// An issuer is not asked again sooner, whatever keys tokens name: a token costs its sender nothing.
const REST: Duration = Duration::from_secs(5);
/// Keys that could not be had again are taken for so long after the last time that they were.
const STALE: Duration = Duration::from_hours(1);

/// The keys of an issuer.
#[derive(Debug)]
pub(super) struct Keys {
    fetcher: Fetcher,
    refresh: Duration,
    known: std::sync::RwLock<Option<Known>>,
    /// The turn to ask, and when somebody last did.
    asking: Mutex<Option<Instant>>,
}

#[derive(Clone, Debug)]
struct Known {
    keys: Arc<JwkSet>,
    at: Instant,
}

impl Keys {
    pub(super) fn new(fetcher: Fetcher, refresh_seconds: u64) -> Self {
        let refresh = Duration::from_secs(refresh_seconds);
        Self { fetcher, refresh, known: std::sync::RwLock::new(None), asking: Mutex::new(None) }
    }

    /// The key of a token; `None` if the issuer has no such key.
    pub(super) async fn find(&self, header: &Header) -> Result<Option<DecodingKey>, FetchError> {
        if let Some(known) = self.known()
            && known.at.elapsed() < self.refresh
            && let Some(key) = choose(&known.keys, header)
        {
            return Ok(Some(key));
        }
        // Too old, or a key that was not there: perhaps it is new.
        let known = self.ask().await?;
        Ok(choose(&known.keys, header))
    }

    fn known(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Asks the issuer, unless somebody just did.
    async fn ask(&self) -> Result<Known, FetchError> {
        let mut asked = self.asking.lock().await;
        let rests = asked.is_some_and(|at| at.elapsed() < REST);
        if rests {
            return self.known().filter(|known| known.at.elapsed() < STALE).ok_or(FetchError::Rests);
        }
        let fetched = self.fetcher.keys().await;
        *asked = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                let known = Known { keys: Arc::new(keys), at: Instant::now() };
                *self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(known.clone());
                Ok(known)
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the keys of an issuer cannot be had");
                self.known().filter(|known| known.at.elapsed() < STALE).ok_or(error)
            }
        }
    }
}

/// The key with the token's id; for a token without one, the only key there is for its algorithm.
fn choose(keys: &JwkSet, header: &Header) -> Option<DecodingKey> {
    let mut fitting = keys.keys.iter().filter(|key| fits(key, header));
    let key = match &header.kid {
        Some(kid) => fitting.find(|key| key.common.key_id.as_ref() == Some(kid)),
        None => fitting.next().filter(|_| fitting.next().is_none()),
    }?;
    DecodingKey::from_jwk(key).ok()
}

/// Whether a key may have signed with the token's algorithm.
fn fits(key: &Jwk, header: &Header) -> bool {
    let signs = !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
    let shared = matches!(key.algorithm, AlgorithmParameters::OctetKey(_));
    let same = key.common.key_algorithm.is_none_or(|algorithm| {
        algorithm.to_string().parse::<jsonwebtoken::Algorithm>().is_ok_and(|algorithm| algorithm == header.alg)
    });
    signs && !shared && same
}
