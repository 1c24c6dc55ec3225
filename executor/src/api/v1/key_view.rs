//! API keys as answers show them, and as requests ask for them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::problem::{Code, Problem};
use crate::domain::at::At;
use crate::domain::caller::Role;
use crate::domain::key::KeyRecord;
use crate::service::keys::{KeyRequest, MadeKey};

/// A key, but for the key itself: the service has its hash alone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyView {
    /// Its id.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// How it begins.
    pub prefix: String,
    /// What it may do.
    pub roles: Vec<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; it is refused from then on.
    pub expires_at: Option<String>,
    /// RFC 3339; it is refused since then.
    pub revoked_at: Option<String>,
}

impl From<KeyRecord> for KeyView {
    fn from(key: KeyRecord) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            prefix: key.prefix,
            roles: key.roles.iter().map(|role| role.name().to_owned()).collect(),
            created_at: key.created_at.to_string(),
            expires_at: key.expires_at.map(|at| at.to_string()),
            revoked_at: key.revoked_at.map(|at| at.to_string()),
        }
    }
}

/// A key that was made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeKey)]
pub struct MadeKeyView {
    /// The key: shown this once.
    pub key: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub record: KeyView,
}

impl From<MadeKey> for MadeKeyView {
    fn from(made: MadeKey) -> Self {
        use secrecy::ExposeSecret;
        Self { key: made.text.expose_secret().to_owned(), record: made.record.into() }
    }
}

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyList {
    /// In the order in which they were made.
    pub keys: Vec<KeyView>,
    /// `cursor` of the next page, if there is one; also as `Link: rel="next"`.
    pub next: Option<String>,
}

/// A key that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKeyRequest {
    /// What its owner calls it.
    #[serde(default)]
    #[schema(max_length = 100)]
    pub name: String,
    /// What it may do: of a tenant, `author`, `engine`, `tenant-admin`; of the platform, `security`, `admin`.
    #[schema(min_items = 1)]
    pub roles: Vec<RoleName>,
    /// RFC 3339; it is refused from then on.
    #[serde(default)]
    pub expires_at: Option<String>,
}

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    /// Writes rules.
    Author,
    /// Evaluates and reads rules.
    Engine,
    /// Administers the keys of its tenant, and reads its audit log and what it used.
    TenantAdmin,
    /// Of the platform: stops modules.
    Security,
    /// Of the platform: administers tenants.
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Author => Self::Author,
            RoleName::Engine => Self::Engine,
            RoleName::TenantAdmin => Self::TenantAdmin,
            RoleName::Security => Self::Security,
            RoleName::Admin => Self::Admin,
        }
    }
}

impl NewKeyRequest {
    /// What tells one such request from another.
    pub fn marks(&self) -> String {
        format!("{:?}", (&self.name, &self.roles, &self.expires_at))
    }
}

impl TryFrom<NewKeyRequest> for KeyRequest {
    type Error = Problem;

    fn try_from(request: NewKeyRequest) -> Result<Self, Problem> {
        let mut roles: Vec<Role> = Vec::new();
        for role in request.roles {
            if !roles.contains(&role.into()) {
                roles.push(role.into());
            }
        }
        let unreadable = || {
            let detail = "`expires_at` is a time in RFC 3339: `2027-01-31T00:00:00Z`";
            Problem::new(Code::INVALID_TEXT, detail).at("expires_at")
        };
        let expires_at = request.expires_at.map(|text| At::parse(&text).ok_or_else(unreadable)).transpose()?;
        Ok(Self { name: request.name, roles, expires_at })
    }
}
