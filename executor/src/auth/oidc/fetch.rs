//! Getting what an issuer publishes: where its keys are, and the keys.

use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::config;

/// Time of a request.
const TIME: Duration = Duration::from_secs(5);
/// Bytes of the longest answer.
const MOST_BYTES: usize = 1 << 20;
/// Keys of the largest set.
const MOST_KEYS: usize = 100;

/// Why they could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// An address that is none, or is not safe to ask.
    #[error("{0:?} is not an https address (http is taken for loopback addresses alone)")]
    Address(String),
    /// The issuer does not answer, or not with success.
    #[error("the issuer does not answer as it should")]
    Request(#[from] reqwest::Error),
    /// The answer is too large.
    #[error("the answer of the issuer is larger than {MOST_BYTES} bytes")]
    TooLarge,
    /// The answer is not what it should be.
    #[error("the answer of the issuer cannot be read")]
    Json(#[from] serde_json::Error),
    /// The answer is another issuer's.
    #[error("the issuer calls itself by another name")]
    Name,
    /// More keys than an issuer has.
    #[error("the issuer publishes more than {MOST_KEYS} keys")]
    TooMany,
    /// It was asked a moment ago, and did not answer.
    #[error("the issuer did not answer a moment ago")]
    Rests,
}

/// Asks one issuer.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    issuer: String,
    discovery: Url,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Fetcher {
    pub(super) fn new(settings: &config::Issuer) -> Result<Self, FetchError> {
        let discovery =
            address(&format!("{}/.well-known/openid-configuration", settings.issuer.trim_end_matches('/')))?;
        // An issuer that sends elsewhere would choose whom the service asks.
        let client = Client::builder().timeout(TIME).redirect(redirect::Policy::none()).no_proxy().build()?;
        Ok(Self { client, issuer: settings.issuer.clone(), discovery })
    }

    /// The keys as they are now.
    pub(super) async fn keys(&self) -> Result<JwkSet, FetchError> {
        let found: Discovery = self.json(self.discovery.clone()).await?;
        if found.issuer != self.issuer {
            return Err(FetchError::Name);
        }
        let keys: JwkSet = self.json(address(&found.jwks_uri)?).await?;
        if keys.keys.len() > MOST_KEYS { Err(FetchError::TooMany) } else { Ok(keys) }
    }

    async fn json<T: DeserializeOwned>(&self, address: Url) -> Result<T, FetchError> {
        let mut response = self.client.get(address).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// An address that may be asked.
fn address(text: &str) -> Result<Url, FetchError> {
    let wrong = || FetchError::Address(text.to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    let loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err(wrong()),
    }
}
