//! API keys.

use sqlx::FromRow;
use uuid::Uuid;

use super::row::{bytes, own};
use super::{Connection, audit, dialect, query, query_as, query_scalar, requests};
use crate::domain::at::At;
use crate::domain::audit::{Action, Chain, NewEntry};
use crate::domain::caller::{ActorId, KeyId, Role, TenantId};
use crate::domain::idempotency::Made;
use crate::domain::key::{KeyRecord, NewKey};
use crate::store::{Change, StoreError, Unavailable};

#[derive(FromRow)]
struct KeyRow {
    id: Uuid,
    tenant_id: Option<Uuid>,
    name: String,
    prefix: String,
    hash: Vec<u8>,
    roles: String,
    created_at: i64,
    created_by: Uuid,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl TryFrom<KeyRow> for KeyRecord {
    type Error = Unavailable;

    fn try_from(row: KeyRow) -> Result<Self, Unavailable> {
        Ok(Self {
            id: KeyId(row.id),
            tenant: row.tenant_id.map(TenantId::from_store),
            name: row.name,
            prefix: row.prefix,
            hash: bytes(&row.hash, "api_keys.hash")?,
            // A role that this version does not know grants nothing.
            roles: row.roles.split(' ').filter_map(Role::find).collect(),
            created_at: At(row.created_at),
            created_by: ActorId(row.created_by),
            expires_at: row.expires_at.map(At),
            revoked_at: row.revoked_at.map(At),
        })
    }
}

impl KeyRow {
    fn of(self, chain: Chain) -> Result<KeyRecord, StoreError> {
        if let Some(tenant) = chain.0 {
            own(tenant, self.tenant_id.unwrap_or_default(), "api_keys")?;
        }
        Ok(self.try_into()?)
    }
}

fn owner(chain: Chain) -> Option<Uuid> {
    chain.0.map(TenantId::uuid)
}

fn entry(action: Action, key: &KeyRecord) -> NewEntry {
    let roles: Vec<_> = key.roles.iter().map(|role| role.name()).collect();
    let detail = serde_json::json!({
        "prefix": key.prefix, "name": key.name, "roles": roles, "expires_at": key.expires_at,
    });
    NewEntry { action, object: key.id.to_string(), detail }
}

pub(super) async fn create(
    db: &mut Connection,
    chain: Chain,
    key: &NewKey,
    detail: &str,
    change: &Change,
) -> Result<KeyRecord, StoreError> {
    if let Some(tenant) = chain.0 {
        let there: bool = query_scalar("select exists (select 1 from tenants where id = $1)")
            .bind(tenant.uuid())
            .fetch_one(&mut *db)
            .await?;
        if !there {
            return Err(StoreError::NoTenant);
        }
    }
    let roles: Vec<_> = key.roles.iter().map(|role| role.name()).collect();
    let now = dialect::now(db).await?;
    query(
        "insert into api_keys (id, tenant_id, name, prefix, hash, roles, created_at, created_by, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(key.id.0)
    .bind(owner(chain))
    .bind(&key.name)
    .bind(&key.prefix)
    .bind(key.hash.as_slice())
    .bind(roles.join(" "))
    .bind(now.0)
    .bind(change.actor.id.0)
    .bind(key.expires_at.map(|at| at.0))
    .execute(&mut *db)
    .await?;
    let made = find(db, chain, key.id).await?;
    audit::write(db, chain, &entry(Action::KeyCreate, &made), change).await?;
    let outcome = Made { subject: key.id.to_string(), number: None, detail: detail.to_owned() };
    requests::end(db, &outcome, change).await?;
    Ok(made)
}

pub(super) async fn find(db: &mut Connection, chain: Chain, id: KeyId) -> Result<KeyRecord, StoreError> {
    let row: Option<KeyRow> = query_as(
        "select id, tenant_id, name, prefix, hash, roles, created_at, created_by, expires_at, revoked_at
         from api_keys where tenant_id is not distinct from $1 and id = $2",
    )
    .bind(owner(chain))
    .bind(id.0)
    .fetch_optional(db)
    .await?;
    row.ok_or(StoreError::NoKey)?.of(chain)
}

pub(super) async fn list(
    db: &mut Connection,
    chain: Chain,
    after: Option<KeyId>,
    limit: u32,
) -> Result<Vec<KeyRecord>, StoreError> {
    // Ids begin with the time at which they were made.
    let rows: Vec<KeyRow> = query_as(
        "select id, tenant_id, name, prefix, hash, roles, created_at, created_by, expires_at, revoked_at
         from api_keys where tenant_id is not distinct from $1 and id > $2 order by id limit $3",
    )
    .bind(owner(chain))
    .bind(after.map_or(Uuid::nil(), |id| id.0))
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| row.of(chain)).collect()
}

pub(super) async fn revoke(
    db: &mut Connection,
    chain: Chain,
    id: KeyId,
    change: &Change,
) -> Result<KeyRecord, StoreError> {
    audit::lock(db, chain).await?;
    let found = find(db, chain, id).await?;
    if found.revoked_at.is_some() {
        return Ok(found);
    }
    let now = dialect::now(db).await?;
    query("update api_keys set revoked_at = $2 where id = $1").bind(id.0).bind(now.0).execute(&mut *db).await?;
    let revoked = find(db, chain, id).await?;
    audit::write(db, chain, &entry(Action::KeyRevoke, &revoked), change).await?;
    Ok(revoked)
}

/// Before it is known whose it is: the dialect says how the rows may be seen.
pub(super) async fn by_prefix(db: &mut Connection, prefix: &str) -> Result<Vec<KeyRecord>, StoreError> {
    let rows: Vec<KeyRow> = query_as(dialect::KEYS_BY_PREFIX).bind(prefix).fetch_all(db).await?;
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}
