//! Tenants as answers show them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::tenant::{Tenant, TenantLimits};
use crate::service::tenant_limits::InForce;

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; since then its callers are refused.
    pub suspended_at: Option<String>,
    /// Where it differs from the defaults.
    pub limits: LimitsOfTenant,
    /// What it comes to.
    pub limits_in_force: LimitsInForce,
}

impl TenantView {
    /// A tenant with what its limits come to.
    pub fn new(tenant: &Tenant, in_force: &InForce) -> Self {
        Self {
            id: tenant.id.to_string(),
            name: tenant.name.as_str().to_owned(),
            created_at: tenant.created_at.to_string(),
            suspended_at: tenant.suspended_at.map(|at| at.to_string()),
            limits: tenant.limits.into(),
            limits_in_force: LimitsInForce::from(*in_force),
        }
    }
}

/// A page of tenants.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantList {
    /// By name.
    pub tenants: Vec<TenantView>,
    /// `cursor` of the next page, if there is one; also as `Link: rel="next"`.
    pub next: Option<String>,
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $own:ty => $type:ty;)*) => {
        /// Limits of a tenant; one that is not there is the service's default. No limit goes past what the service can
        /// do at all.
        #[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
        #[schema(as = TenantLimits)]
        #[serde(deny_unknown_fields)]
        pub struct LimitsOfTenant {
            $(
                $(#[$doc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $name: Option<$own>,
            )*
        }

        impl From<TenantLimits> for LimitsOfTenant {
            fn from(limits: TenantLimits) -> Self {
                Self { $($name: limits.$name),* }
            }
        }

        impl From<LimitsOfTenant> for TenantLimits {
            fn from(limits: LimitsOfTenant) -> Self {
                Self { $($name: limits.$name),* }
            }
        }

        /// The limits in force for a tenant.
        #[derive(Clone, Copy, Debug, Serialize, ToSchema)]
        pub struct LimitsInForce {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl From<InForce> for LimitsInForce {
            fn from(limits: InForce) -> Self {
                Self { $($name: limits.$name),* }
            }
        }
    };
}

limits! {
    /// Requests a second, over all replicas.
    requests_per_second: u64 => u64;
    /// Units of fuel a second, over all replicas.
    fuel_per_second: u64 => u64;
    /// Units of fuel of a request, all its rules together.
    fuel_per_call: u64 => u64;
    /// Bytes of a module's memory.
    memory_bytes: u64 => usize;
    /// Rules that are not archived.
    rules: u64 => u64;
    /// Versions of all rules, archived ones too.
    versions: u64 => u64;
    /// Bytes of the texts, modules and manifests of these versions.
    stored_bytes: u64 => u64;
    /// Bytes of the state of a rule.
    state_bytes: u64 => usize;
    /// Rows of a request that is no stream.
    rows_per_call: u64 => usize;
    /// Bytes of a rule's text or module.
    upload_bytes: u64 => usize;
    /// Whether modules may be uploaded; those that are there run in any case.
    modules: bool => bool;
}
