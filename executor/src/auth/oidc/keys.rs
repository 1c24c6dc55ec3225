//! The keys of an issuer, as they were not long ago.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{DecodingKey, Header};
use tokio::sync::{Mutex, OwnedMutexGuard};

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
    asking: Arc<Mutex<Option<Instant>>>,
}

type Turn = OwnedMutexGuard<Option<Instant>>;

#[derive(Clone, Debug)]
struct Known {
    keys: Arc<JwkSet>,
    at: Instant,
}

impl Keys {
    pub(super) fn new(fetcher: Fetcher, refresh_seconds: u64) -> Self {
        let refresh = Duration::from_secs(refresh_seconds);
        Self { fetcher, refresh, known: std::sync::RwLock::new(None), asking: Arc::default() }
    }

    /// The key of a token; `None` if the issuer has no such key. Of those who find the keys too old one asks, and the
    /// others go on with them: an issuer that hangs holds up nobody else.
    pub(super) async fn find(&self, header: &Header) -> Result<Option<DecodingKey>, FetchError> {
        let Some(known) = self.known().filter(|known| known.at.elapsed() < STALE) else {
            let turn = Arc::clone(&self.asking).lock_owned().await;
            return Ok(choose(&self.ask(turn).await?.keys, header));
        };
        let found = choose(&known.keys, header);
        if found.is_some() && known.at.elapsed() < self.refresh {
            return Ok(found);
        }
        let turn = match found {
            Some(_) => Arc::clone(&self.asking).try_lock_owned().ok(),
            // Perhaps it is new: worth waiting for.
            None => Some(Arc::clone(&self.asking).lock_owned().await),
        };
        match turn {
            Some(turn) => Ok(choose(&self.ask(turn).await?.keys, header)),
            None => Ok(found),
        }
    }

    fn known(&self) -> Option<Known> {
        self.known.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Asks the issuer, unless somebody just did.
    async fn ask(&self, mut asked: Turn) -> Result<Known, FetchError> {
        let rests = asked.is_some_and(|at| at.elapsed() < REST);
        if rests {
            return self.known().filter(|known| known.at.elapsed() < STALE).ok_or(FetchError::Rests);
        }
        // Before: whoever goes away meanwhile has asked all the same.
        *asked = Some(Instant::now());
        let fetched = self.fetcher.keys().await;
        match fetched {
            Ok(keys) => {
                let known = Known { keys: Arc::new(keys), at: Instant::now() };
                *self.known.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(known.clone());
                Ok(known)
            }
            Err(error) => {
                tracing::warn!(error = crate::telemetry::chain(&error), "the keys of an issuer cannot be had");
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
    signs && !shared && same && is_long_enough(&key.algorithm)
}

/// RFC 7518, 3.3: RSA with less than 2048 bits must not be used.
fn is_long_enough(key: &AlgorithmParameters) -> bool {
    let AlgorithmParameters::RSA(rsa) = key else { return true };
    let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).unwrap_or_default();
    modulus.iter().skip_while(|byte| **byte == 0).count() >= 256
}
