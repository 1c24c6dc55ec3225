//! Permissions: types, so that a handler's signature says what its caller must be allowed to do.

use crate::domain::caller::Role;

/// Something that a caller may do in its tenant.
pub trait Permission: Send + Sync + 'static {
    /// Its name in answers.
    const NAME: &'static str;
    /// The roles that have it.
    const ROLES: &'static [Role];
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal: $($role:ident)|+;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Permission for $name {
            const NAME: &'static str = $text;
            const ROLES: &'static [Role] = &[$(Role::$role),+];
        }
    )*};
}

permissions! {
    /// To read rules, their versions, sources and modules, and to try rules without storing them.
    RulesRead = "rules:read": Author | Engine;
    /// To make rules and versions, to activate and to archive them.
    RulesWrite = "rules:write": Author;
    /// To run rules.
    Evaluate = "evaluate": Author | Engine;
    /// To see the limits in force.
    LimitsRead = "limits:read": Author | Engine | TenantAdmin;
    /// To make, list and revoke the keys of the caller's tenant, or of the platform.
    KeysManage = "keys:manage": TenantAdmin | Admin;
    /// To make, change and remove the webhooks of the caller's tenant, and to see what they were sent.
    WebhooksManage = "webhooks:manage": TenantAdmin;
    /// To read the audit log of the caller's tenant, or of the platform.
    AuditRead = "audit:read": TenantAdmin | Admin | Security;
    /// To read what the caller's tenant used.
    UsageRead = "usage:read": TenantAdmin;
    /// To make tenants, and to change their limits and keys.
    TenantsManage = "tenants:manage": Admin;
    /// To read the audit log of any tenant.
    PlatformAuditRead = "platform-audit:read": Admin | Security;
    /// To read what any tenant used.
    PlatformUsageRead = "platform-usage:read": Admin;
    /// To stop modules of any tenant, and to let them go.
    Quarantine = "quarantine": Security;
    /// To read what modules of the caller's tenant did, or, of the platform, those of any tenant.
    ViolationsRead = "violations:read": Author | TenantAdmin | Security;
    /// To acknowledge and resolve violations of any tenant.
    ViolationsReview = "violations:review": Security;
    /// To read the text of a rule of any tenant, which is written down.
    BreakGlass = "break-glass": Security;
}
