//! One issuer: what its tokens must be like.

use jsonwebtoken::{Algorithm, Header, Validation, decode};
use serde_json::{Map, Value};

use super::fetch::{FetchError, Fetcher};
use super::keys::Keys;
use super::{TokenError, Verified, names};
use crate::config;
use crate::domain::at::At;
use crate::domain::caller::Role;
use crate::domain::tenant::TenantName;

/// Seconds by which the clocks of an issuer and of the store may differ.
const LEEWAY: f64 = 30.0;

/// Why an issuer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// As it is written in the settings.
    #[error("the settings of the issuer {issuer}: {reason}")]
    Setting {
        /// Its name.
        issuer: String,
        /// What is wrong.
        reason: String,
    },
    /// Its keys cannot be had now.
    #[error("the keys of the issuer {issuer} cannot be had: {source}")]
    Fetch {
        /// Its name.
        issuer: String,
        /// What went wrong.
        source: FetchError,
    },
}

impl IssuerError {
    /// Whether trying again may help.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Fetch { .. })
    }
}

/// One issuer.
#[derive(Debug)]
pub(super) struct Issuer {
    name: String,
    algorithms: Vec<Algorithm>,
    validation: Validation,
    tenant_claim: String,
    roles_claim: String,
    tenants: Vec<String>,
    platform: bool,
    keys: Keys,
}

/// Types of tokens: of any, and of OAuth access tokens (RFC 9068).
const KINDS: [&str; 4] = ["JWT", "application/jwt", "at+jwt", "application/at+jwt"];

impl Issuer {
    pub(super) fn new(settings: &config::Issuer) -> Result<Self, IssuerError> {
        let wrong = |reason: String| IssuerError::Setting { issuer: settings.issuer.clone(), reason };
        if settings.audience.is_empty() {
            return Err(wrong(
                "`audience` names at least one audience: without it, any token of the issuer would do".to_owned(),
            ));
        }
        let algorithm = |name: &String| match name.parse() {
            Ok(Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) | Err(_) => Err(wrong(format!(
                "the algorithm {name} is none of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA"
            ))),
            Ok(algorithm) => Ok(algorithm),
        };
        let algorithms = settings.algorithms.iter().map(algorithm).collect::<Result<Vec<Algorithm>, _>>()?;
        if algorithms.is_empty() {
            return Err(wrong("`algorithms` names at least one".to_owned()));
        }
        let mut validation = Validation::default();
        validation.algorithms.clone_from(&algorithms);
        // By the clock that all replicas share, below: the library goes by the machine's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_audience(&settings.audience);
        validation.set_issuer(&[&settings.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let fetcher = Fetcher::new(settings).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            name: settings.issuer.clone(),
            algorithms,
            validation,
            tenant_claim: settings.tenant_claim.clone(),
            roles_claim: settings.roles_claim.clone(),
            tenants: settings.tenants.clone(),
            platform: settings.platform,
            keys: Keys::new(fetcher, settings.refresh_seconds),
        })
    }

    pub(super) async fn verify(&self, token: &str, header: &Header, now: At) -> Result<Verified, TokenError> {
        // Before a key is looked for: the token does not choose.
        if !self.algorithms.contains(&header.alg) {
            return Err(TokenError::Algorithm);
        }
        // RFC 7515, 4.1.11: what must be understood, and is not. RFC 8725, 3.11: a token for something else.
        let kind = header.typ.as_deref().unwrap_or("JWT");
        if header.crit.is_some() || !KINDS.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
            return Err(TokenError::Kind);
        }
        let fetch = |source| IssuerError::Fetch { issuer: self.name.clone(), source };
        let key = self.keys.find(header).await.map_err(fetch)?.ok_or(TokenError::UnknownKey)?;
        // One family at a time: the library refuses a key of another than those of the algorithms.
        let mut validation = self.validation.clone();
        validation.algorithms = vec![header.alg];
        let claims = decode::<Map<String, Value>>(token, &key, &validation)?.claims;
        check_time(&claims, now)?;
        let subject = claims.get("sub").and_then(Value::as_str).filter(|subject| !subject.is_empty());
        let subject = subject.ok_or(TokenError::Subject)?;
        let mut roles: Vec<_> = names(claims.get(&self.roles_claim)).into_iter().filter_map(Role::find).collect();
        let tenant = match claims.get(&self.tenant_claim) {
            None | Some(Value::Null) if self.platform => None,
            Some(Value::String(name)) if self.tenants.iter().any(|bound| bound == "*" || bound == name) => {
                Some(TenantName::new(name).map_err(|_| TokenError::Tenant)?)
            }
            _ => return Err(TokenError::Tenant),
        };
        // What is of the platform has no tenant, and the other way round.
        roles.retain(|role| role.is_platform() == tenant.is_none());
        Ok(Verified { issuer: self.name.clone(), subject: subject.to_owned(), tenant, roles })
    }
}

/// Whether it is not too late for a token, and not too early.
fn check_time(claims: &Map<String, Value>, now: At) -> Result<(), TokenError> {
    // Whole seconds, or a fraction too (RFC 7519, 2): a double has both to the microsecond.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
    let now = now.0 as f64 / 1_000.0;
    let number = |claim: &Value| claim.as_f64().ok_or(TokenError::Time);
    let until = number(claims.get("exp").ok_or(TokenError::Time)?)?;
    let from = claims.get("nbf").map(number).transpose()?.unwrap_or(f64::NEG_INFINITY);
    if now < until + LEEWAY && from <= now + LEEWAY { Ok(()) } else { Err(TokenError::Time) }
}
