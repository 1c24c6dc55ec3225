//! The authenticated caller as an argument of a handler.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::context::Marks;
use super::problem::Problem;
use crate::auth::permission::Permission;
use crate::auth::{Denied, Keyring};
use crate::domain::caller::{KeyId, TenantId};
use crate::service::Caller;

/// A caller who may do `P`. The only way from a request to a tenant's id.
#[derive(Clone, Debug)]
pub struct Tenant<P> {
    id: TenantId,
    key: KeyId,
    permission: PhantomData<P>,
}

impl<P> Tenant<P> {
    /// The tenant.
    pub const fn id(&self) -> TenantId {
        self.id
    }

    /// On whose behalf, and in which request.
    pub fn caller(&self, marks: Marks) -> Caller {
        Caller { tenant: self.id, key: self.key, marks: marks.0 }
    }
}

impl<S, P> FromRequestParts<S> for Tenant<P>
where
    S: Send + Sync,
    P: Permission,
    Arc<Keyring>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let keyring = Arc::<Keyring>::from_ref(state);
        let header = parts.headers.get(AUTHORIZATION).ok_or(Denied::Missing)?;
        let text = header.to_str().map_err(|_| Denied::Invalid)?;
        let (scheme, token) = text.split_once(' ').ok_or(Denied::Invalid)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Denied::Missing.into());
        }
        let caller = keyring.authenticate(token.trim()).await?;
        if !P::ROLES.iter().any(|role| caller.roles.contains(role)) {
            return Err(Denied::Forbidden(P::NAME).into());
        }
        tracing::Span::current().record("tenant", tracing::field::display(caller.tenant));
        Ok(Self { id: caller.tenant, key: caller.key, permission: PhantomData })
    }
}
