//! Tenants and their keys.

use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::domain::at::At;
use crate::domain::caller::{KeyId, Role, TenantId};
use crate::store::{KeyRecord, NewKey, StoreError, Unavailable};

pub(super) async fn has_tenant(db: &mut SqliteConnection) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("select exists (select 1 from tenants)").fetch_one(db).await?)
}

pub(super) async fn secret_check(db: &mut SqliteConnection) -> Result<Option<[u8; 32]>, StoreError> {
    let kept: Option<Option<Vec<u8>>> =
        sqlx::query_scalar("select secret_check from service where id = 1").fetch_optional(db).await?;
    let kept = kept.flatten().map(<[u8; 32]>::try_from).transpose();
    kept.map_err(|_| Unavailable::Row("service.secret_check is not 32 bytes".to_owned()).into())
}

pub(super) async fn keep_secret_check(db: &mut SqliteConnection, check: &[u8; 32]) -> Result<(), StoreError> {
    sqlx::query(
        "insert into service (id, secret_check) values (1, $1)
         on conflict (id) do update set secret_check = excluded.secret_check",
    )
    .bind(check.as_slice())
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn create_first_tenant(
    db: &mut SqliteConnection,
    name: &str,
    key: &NewKey,
) -> Result<bool, StoreError> {
    if has_tenant(db).await? {
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
