//! How much of a tenant's versions is kept.

use super::row::{self, number, signed};
use super::{Connection, query_as};
use crate::domain::caller::TenantId;
use crate::domain::rule::{NewVersion, Storage};
use crate::store::{StoreError, Unavailable};

pub(super) async fn find(db: &mut Connection, tenant: TenantId) -> Result<Storage, StoreError> {
    let row = query_as("select versions, bytes from stored where tenant_id = $1")
        .bind(tenant.uuid())
        .fetch_optional(db)
        .await?;
    Ok(row.map(storage).transpose()?.unwrap_or_default())
}

/// Counts one more, and refuses it if that is past `most`: whoever comes at the same time waits for this transaction.
pub(super) async fn add(
    db: &mut Connection,
    tenant: TenantId,
    version: &NewVersion,
    most: &Storage,
) -> Result<(), StoreError> {
    let source = version.source.as_ref().map_or(0, String::len);
    let manifest = row::json(&version.manifest, "versions.manifest")?.len();
    let bytes = source.saturating_add(version.module.len()).saturating_add(manifest);
    let row = query_as(
        "insert into stored (tenant_id, versions, bytes) values ($1, 1, $2)
         on conflict (tenant_id) do update
         set versions = stored.versions + 1, bytes = stored.bytes + excluded.bytes
         returning versions, bytes",
    )
    .bind(tenant.uuid())
    .bind(signed(bytes as u64))
    .fetch_one(db)
    .await?;
    Ok(storage(row)?.within(most)?)
}

fn storage((versions, bytes): (i64, i64)) -> Result<Storage, Unavailable> {
    Ok(Storage { versions: number(versions, "stored.versions")?, bytes: number(bytes, "stored.bytes")? })
}
