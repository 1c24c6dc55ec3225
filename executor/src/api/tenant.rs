//! The authenticated caller as an argument of a handler.

use std::marker::PhantomData;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::client_address::client_address;
use super::context::{KnownCaller, Marks};
use super::params::tenant_name;
use super::problem::{Code, Problem};
use super::rate_limits::RateLimits;
use crate::auth::permission::Permission;
use crate::auth::{Authenticated, Denied};
use crate::domain::audit::Chain;
use crate::domain::caller::{Actor, TenantId};
use crate::execution::fair::Owner;
use crate::service::{Caller, Operator, Service};

/// A caller of a tenant who may do `P`. The only way from a request to a tenant's id.
#[derive(Clone, Debug)]
pub struct Tenant<P> {
    id: TenantId,
    actor: Actor,
    permission: PhantomData<P>,
}

impl<P> Tenant<P> {
    /// The tenant.
    pub const fn id(&self) -> TenantId {
        self.id
    }

    /// On whose behalf, and in which request.
    pub fn caller(&self, marks: Marks) -> Caller {
        Caller { tenant: self.id, actor: self.actor.clone(), marks: marks.0 }
    }
}

/// A caller of a tenant or of the platform who may do `P` to what is his: the tenant's, or the platform's.
#[derive(Clone, Debug)]
pub struct Member<P> {
    chain: Chain,
    actor: Actor,
    permission: PhantomData<P>,
}

impl<P> Member<P> {
    /// What is his.
    pub const fn chain(&self) -> Chain {
        self.chain
    }

    /// Who, and in which request.
    pub fn operator(&self, marks: Marks) -> Operator {
        Operator { actor: self.actor.clone(), marks: marks.0 }
    }
}

/// A caller of the platform who may do `P`, to any tenant.
#[derive(Clone, Debug)]
pub struct Platform<P> {
    actor: Actor,
    permission: PhantomData<P>,
}

impl<P> Platform<P> {
    /// Who, and in which request.
    pub fn operator(&self, marks: Marks) -> Operator {
        Operator { actor: self.actor.clone(), marks: marks.0 }
    }
}

/// Whose key these headers show.
async fn shown(headers: &HeaderMap, service: &Service) -> Result<Authenticated, Denied> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let header = values.next().ok_or(Denied::Missing)?;
    if values.next().is_some() {
        // Somebody on the way might go by the other one.
        return Err(Denied::Invalid);
    }
    let text = header.to_str().map_err(|_| Denied::Invalid)?;
    let (scheme, token) = text.split_once(' ').ok_or(Denied::Invalid)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Denied::Missing);
    }
    service.keyring().authenticate(token.trim()).await
}

/// Whether the caller of a request that goes on may still do `P`. It counts as no request.
///
/// # Errors
/// As for a new one.
pub async fn may_still<P: Permission>(headers: &HeaderMap, chain: Chain, service: &Service) -> Result<(), Problem> {
    let caller = shown(headers, service).await?;
    if caller.chain != chain {
        return Err(Denied::Invalid.into());
    }
    if let Some(tenant) = chain.0 {
        service.limits_of(tenant).await?;
    }
    let may = P::ROLES.iter().any(|role| caller.roles.contains(role));
    if may { Ok(()) } else { Err(forbidden::<P>().into()) }
}

/// Who is calling, if he may do `P`.
async fn authenticate<P: Permission>(parts: &mut Parts, service: &Service) -> Result<Authenticated, Problem> {
    let caller = match shown(&parts.headers, service).await {
        Ok(caller) => caller,
        Err(denied) => {
            if matches!(denied, Denied::Invalid)
                && let Some(address) = client_address(parts, &service.settings().api.trusted_proxies)
                && let Some(Marks(marks)) = parts.extensions.get::<Marks>()
            {
                service.bad_key(address, marks).await;
            }
            return Err(denied.into());
        }
    };
    tracing::Span::current().record("actor", &*caller.actor.name);
    if let Some(known) = parts.extensions.get::<KnownCaller>() {
        known.is(caller.actor.id);
    }
    // Who holds what the request takes from here on.
    parts.extensions.insert(caller.chain.0.map_or(Owner::NOBODY, Owner::from));
    if let Some(tenant) = caller.chain.0 {
        tracing::Span::current().record("tenant", tracing::field::display(tenant));
        let told = parts.extensions.get::<RateLimits>().cloned().unwrap_or_default();
        let admitted = service.admit(tenant).await.inspect_err(|error| told.refused(error))?;
        told.admitted(&admitted);
    }
    if P::ROLES.iter().any(|role| caller.roles.contains(role)) { Ok(caller) } else { Err(forbidden::<P>().into()) }
}

/// The tenant of a name whose things a caller asks to see, if he names one. Whoever is of a tenant knows of no other.
///
/// # Errors
/// If there is none of that name, for him.
pub async fn tenant_to_see(service: &Service, chain: Chain, name: Option<&str>) -> Result<Option<TenantId>, Problem> {
    let Some(name) = name else { return Ok(None) };
    let name = tenant_name(name)?;
    match chain.0 {
        None => Ok(Some(service.tenant_named(&name).await?.id)),
        Some(own) if service.tenant_of(own).await?.name == name => Ok(Some(own)),
        Some(_) => Err(Problem::new(Code::TENANT_NOT_FOUND, format!("there is no tenant `{name}`"))),
    }
}

fn forbidden<P: Permission>() -> Denied {
    Denied::Forbidden { permission: P::NAME, roles: P::ROLES }
}

impl<S, P> FromRequestParts<S> for Tenant<P>
where
    S: Send + Sync,
    P: Permission,
    Service: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = authenticate::<P>(parts, &Service::from_ref(state)).await?;
        // A role of the platform has no tenant whose things it could mean.
        let id = caller.chain.0.ok_or_else(forbidden::<P>)?;
        Ok(Self { id, actor: caller.actor, permission: PhantomData })
    }
}

impl<S, P> FromRequestParts<S> for Member<P>
where
    S: Send + Sync,
    P: Permission,
    Service: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = authenticate::<P>(parts, &Service::from_ref(state)).await?;
        Ok(Self { chain: caller.chain, actor: caller.actor, permission: PhantomData })
    }
}

impl<S, P> FromRequestParts<S> for Platform<P>
where
    S: Send + Sync,
    P: Permission,
    Service: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = authenticate::<P>(parts, &Service::from_ref(state)).await?;
        if caller.chain.0.is_some() {
            return Err(forbidden::<P>().into());
        }
        Ok(Self { actor: caller.actor, permission: PhantomData })
    }
}
