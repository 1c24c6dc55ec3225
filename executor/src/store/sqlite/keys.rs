//! Tenants and their keys.

use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::domain::at::At;
use crate::domain::caller::{KeyId, Role, TenantId};
use crate::store::{KeyRecord, NewKey, StoreError, Unavailable};

pub(super) async fn create_first_tenant(
    db: &mut SqliteConnection,
    name: &str,
    key: &NewKey,
) -> Result<bool, StoreError> {
    let tenants: i64 = sqlx::query_scalar("select count(*) from tenants").fetch_one(&mut *db).await?;
    if tenants > 0 {
        return Ok(false);
    }
    let tenant = Uuid::now_v7();
    let now = At::now().0;
    sqlx::query("insert into tenants (id, name, created_at) values ($1, $2, $3)")
        .bind(tenant)
        .bind(name)
        .bind(now)
        .execute(&mut *db)
        .await?;
    let roles: Vec<_> = key.roles.iter().map(|role| role.name()).collect();
    sqlx::query(
        "insert into api_keys (id, tenant_id, prefix, hash, roles, created_at) values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(Uuid::now_v7())
    .bind(tenant)
    .bind(&key.prefix)
    .bind(key.hash.as_slice())
    .bind(roles.join(" "))
    .bind(now)
    .execute(db)
    .await?;
    Ok(true)
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: Uuid,
    tenant_id: Uuid,
    hash: Vec<u8>,
    roles: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl TryFrom<KeyRow> for KeyRecord {
    type Error = Unavailable;

    fn try_from(row: KeyRow) -> Result<Self, Unavailable> {
        let hash = row.hash.try_into().map_err(|_| Unavailable::Row("api_keys.hash is not 32 bytes".to_owned()))?;
        Ok(Self {
            id: KeyId(row.id),
            tenant: TenantId::from_store(row.tenant_id),
            hash,
            // A role that this version does not know grants nothing.
            roles: row.roles.split(' ').filter_map(Role::find).collect(),
            expires_at: row.expires_at.map(At),
            revoked_at: row.revoked_at.map(At),
        })
    }
}

pub(super) async fn by_prefix(db: &mut SqliteConnection, prefix: &str) -> Result<Vec<KeyRecord>, StoreError> {
    let rows: Vec<KeyRow> = sqlx::query_as(
        "select id, tenant_id, hash, roles, expires_at, revoked_at from api_keys where prefix = $1 limit 16",
    )
    .bind(prefix)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok(KeyRecord::try_from(row)?)).collect()
}
