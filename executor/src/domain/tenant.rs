//! Tenants and what they may use.

use serde::{Deserialize, Serialize};

use super::at::At;
use super::caller::TenantId;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name; no two tenants share one.
    pub name: TenantName,
    /// When it was made.
    pub created_at: At,
    /// From when on its callers are refused.
    pub suspended_at: Option<At>,
    /// Where it differs from the service's defaults.
    pub limits: TenantLimits,
}

/// The name of a tenant: a small letter or digit, then at most 62 small letters, digits or `-`. It may stand in
/// addresses, in metrics and in the claim of a token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantName(String);

/// A text that cannot name a tenant.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a tenant is a small letter or digit, then at most 62 small letters, digits or `-`")]
pub struct BadTenantName;

impl TenantName {
    /// Regular expression of all names.
    pub const PATTERN: &str = "^[a-z0-9][a-z0-9-]{0,62}$";

    /// Reads a name.
    ///
    /// # Errors
    /// If it is empty, too long, or has another character.
    pub fn new(name: &str) -> Result<Self, BadTenantName> {
        let first = matches!(name.bytes().next(), Some(b'a'..=b'z' | b'0'..=b'9'));
        let rest = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if first && rest && name.len() <= 63 { Ok(Self(name.to_owned())) } else { Err(BadTenantName) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TenantName {
    /// The name of the tenant that a new embedded store begins with.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl std::fmt::Display for TenantName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        /// The limits of a tenant, where they differ from the service's defaults; `None` is the default. What the
        /// service can do at all is a setting, and no tenant's limit goes past it.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct TenantLimits {
            $(
                $(#[$doc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $name: Option<$type>,
            )*
        }

        impl TenantLimits {
            /// Names of all limits.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// These, and where they say nothing, others.
            #[must_use]
            pub fn or(self, others: Self) -> Self {
                Self { $($name: self.$name.or(others.$name)),* }
            }

            /// Each limit with its name, as it is written.
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
                [$((stringify!($name), self.$name.as_ref().map(<$type>::to_string))),*].into_iter()
            }
        }
    };
}

limits! {
    /// Requests a second, over all replicas.
    requests_per_second: u64;
    /// Units of fuel a second, over all replicas.
    fuel_per_second: u64;
    /// Units of fuel of a request, all its rules together; ten seconds' worth if nothing is said.
    fuel_per_call: u64;
    /// Bytes of a module's memory; at least 1 MiB.
    memory_bytes: u64;
    /// Rules that are not archived.
    rules: u64;
    /// Versions of all rules, archived ones too.
    versions: u64;
    /// Bytes of the texts, modules and manifests of these versions.
    stored_bytes: u64;
    /// Bytes of the state of a rule.
    state_bytes: u64;
    /// Rows of a request that is no stream.
    rows_per_call: u64;
    /// Bytes of a rule's text or module.
    upload_bytes: u64;
    /// Whether modules may be uploaded; those that are there run in any case.
    modules: bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "0", "acme", "acme-2", &"a".repeat(63)] {
            assert_eq!(TenantName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "A", "a_b", "a b", "a/b", "é", "a\0", &"a".repeat(64)] {
            assert_eq!(TenantName::new(bad), Err(BadTenantName), "{bad:?}");
        }
    }

    #[test]
    fn a_limit_of_the_tenant_goes_before_the_default() {
        let own = TenantLimits { rules: Some(3), ..TenantLimits::default() };
        let defaults = TenantLimits { rules: Some(7), memory_bytes: Some(9), ..TenantLimits::default() };
        let both = own.or(defaults);
        assert_eq!((both.rules, both.memory_bytes, both.state_bytes), (Some(3), Some(9), None));
        assert_eq!(serde_json::to_string(&own).unwrap(), r#"{"rules":3}"#);
    }
}
