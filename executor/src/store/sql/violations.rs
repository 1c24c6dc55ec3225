//! Violations. Repeats within a minute are one row with a count, so that a hot loop cannot flood the table.

use uuid::Uuid;

use super::row::signed;
use super::{Connection, query, query_scalar};
use crate::domain::caller::TenantId;
use crate::domain::rule::RuleName;
use crate::domain::violation::NewViolation;
use crate::store::StoreError;

const REPEAT_MS: i64 = 60_000;

pub(super) async fn record(
    db: &mut Connection,
    tenant: TenantId,
    violation: &NewViolation,
) -> Result<Uuid, StoreError> {
    let repeated: Option<Uuid> = query_scalar(
        "update violations set count = count + 1, last_at = $5
         where tenant_id = $1 and rule is not distinct from $2 and version is not distinct from $3 and kind = $4 and at > $6
         returning id",
    )
    .bind(tenant.uuid())
    .bind(violation.rule.as_ref().map(RuleName::as_str))
    .bind(violation.version.map(i64::from))
    .bind(violation.kind)
    .bind(violation.at.0)
    .bind(violation.at.0 - REPEAT_MS)
    .fetch_optional(&mut *db)
    .await?;
    if let Some(id) = repeated {
        return Ok(id);
    }
    let id = Uuid::now_v7();
    query(
        "insert into violations (id, tenant_id, rule, version, digest, kind, severity, trap, fuel_used, fuel_limit,
         memory_peak, memory_limit, elapsed_us, request_id, trace_id, key_id, at, last_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17)",
    )
    .bind(id)
    .bind(tenant.uuid())
    .bind(violation.rule.as_ref().map(RuleName::as_str))
    .bind(violation.version.map(i64::from))
    .bind(violation.digest.as_ref().map(|d| d.0.as_slice()))
    .bind(violation.kind)
    .bind(violation.severity.name())
    .bind(violation.trap)
    .bind(signed(violation.fuel_used))
    .bind(signed(violation.fuel_limit))
    .bind(signed(violation.memory_peak))
    .bind(signed(violation.memory_limit))
    .bind(signed(violation.elapsed_us))
    .bind(&violation.marks.request_id)
    .bind(&violation.marks.trace_id)
    .bind(violation.actor.0)
    .bind(violation.at.0)
    .execute(db)
    .await?;
    Ok(id)
}
