//! Settings of issuers of tokens.

use serde::Deserialize;

/// An `OpenID` Connect issuer whose tokens are taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Issuer {
    /// Its name, as the tokens have it in `iss`: an https address. Where its keys are is found below it, in
    /// `/.well-known/openid-configuration`.
    pub issuer: String,
    /// Audiences: a token has one of them in `aud`.
    pub audience: Vec<String>,
    /// Signatures that are taken.
    pub algorithms: Vec<String>,
    /// The claim with the name of the tenant.
    pub tenant_claim: String,
    /// The claim with the roles: a text with blanks between them, or a list.
    pub roles_claim: String,
    /// Names of the tenants that it may speak for; `*` is any.
    pub tenants: Vec<String>,
    /// Whether a token without a tenant is of the platform, and its roles may be `security` and `admin`.
    pub platform: bool,
    /// Seconds after which its keys are read anew.
    pub refresh_seconds: u64,
}

impl Default for Issuer {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: Vec::new(),
            algorithms: vec!["RS256".to_owned(), "ES256".to_owned(), "EdDSA".to_owned()],
            tenant_claim: "tenant".to_owned(),
            roles_claim: "roles".to_owned(),
            tenants: Vec::new(),
            platform: false,
            refresh_seconds: 300,
        }
    }
}
