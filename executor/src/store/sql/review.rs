//! Violations as they are kept, and what reviewers do to them.

use rulebox_sandbox::{Digest, Severity};
use serde_json::json;
use sqlx::FromRow;
use uuid::Uuid;

use super::row::{self, digest, name as rule_name, number, own};
use super::{Connection, audit, dialect, events, query, query_as};
use crate::domain::at::At;
use crate::domain::audit::{Action, Chain, NewEntry};
use crate::domain::caller::{ActorId, TenantId};
use crate::domain::review::{Filter, KeptViolation, Review, Status, Topic, Totals};
use crate::domain::rule::RuleName;
use crate::domain::violation::{Kind, find_severity};
use crate::store::{Change, StoreError, Unavailable};

#[derive(FromRow)]
struct ViolationRow {
    id: Uuid,
    tenant_id: Option<Uuid>,
    tenant_name: Option<String>,
    rule: Option<String>,
    version: Option<i64>,
    digest: Option<Vec<u8>>,
    kind: String,
    severity: String,
    trap: Option<String>,
    fuel_used: i64,
    fuel_limit: i64,
    memory_peak: i64,
    memory_limit: i64,
    elapsed_us: i64,
    request_id: String,
    trace_id: String,
    key_id: Option<Uuid>,
    at: i64,
    last_at: i64,
    count: i64,
    subject: String,
    detail: String,
    status: String,
    changed_at: Option<i64>,
    changed_by: Option<String>,
    note: Option<String>,
}

/// A statement that reads violations.
macro_rules! violations_where {
    ($condition:literal) => {
        concat!(
            "select v.id, v.tenant_id, t.name as tenant_name, v.rule, v.version, v.digest, v.kind, v.severity, v.trap,
                 v.fuel_used, v.fuel_limit, v.memory_peak, v.memory_limit, v.elapsed_us, v.request_id, v.trace_id,
                 v.key_id, v.at, v.last_at, v.count, v.subject, v.detail, v.status, v.changed_at, v.changed_by, v.note
             from violations v left join tenants t on t.id = v.tenant_id
             where ",
            $condition
        )
    };
}

/// The severity of a column.
pub(super) fn severity(name: &str) -> Result<Severity, Unavailable> {
    find_severity(name).ok_or_else(|| Unavailable::Row(format!("a severity is {name:?}")))
}

impl ViolationRow {
    fn kept(self, owner: Chain) -> Result<KeptViolation, StoreError> {
        if let Some(tenant) = owner.0 {
            own(tenant, self.tenant_id.unwrap_or_default(), "violations")?;
        }
        let status = Status::find(&self.status);
        Ok(KeptViolation {
            id: self.id,
            tenant: self.tenant_id.map(TenantId::from_store),
            tenant_name: self.tenant_name,
            rule: self.rule,
            version: self.version.map(|n| number(n, "violations.version")).transpose()?,
            digest: self.digest.as_deref().map(digest).transpose()?,
            kind: self.kind,
            severity: severity(&self.severity)?,
            trap: self.trap,
            fuel_used: number(self.fuel_used, "violations.fuel_used")?,
            fuel_limit: number(self.fuel_limit, "violations.fuel_limit")?,
            memory_peak: number(self.memory_peak, "violations.memory_peak")?,
            memory_limit: number(self.memory_limit, "violations.memory_limit")?,
            elapsed_us: number(self.elapsed_us, "violations.elapsed_us")?,
            request_id: self.request_id,
            trace_id: self.trace_id,
            actor: self.key_id.map(ActorId),
            at: At(self.at),
            last_at: At(self.last_at),
            count: number(self.count, "violations.count")?,
            subject: self.subject,
            detail: row::value(&self.detail, "violations.detail")?,
            status: status.ok_or_else(|| Unavailable::Row(format!("violations.status is {:?}", self.status)))?,
            changed_at: self.changed_at.map(At),
            changed_by: self.changed_by,
            note: self.note,
        })
    }
}

pub(super) async fn find(db: &mut Connection, owner: Chain, id: Uuid) -> Result<KeptViolation, StoreError> {
    let row: Option<ViolationRow> =
        query_as(violations_where!("v.id = $2 and (cast($1 as uuid) is null or v.tenant_id = $1)"))
            .bind(owner.0.map(TenantId::uuid))
            .bind(id)
            .fetch_optional(db)
            .await?;
    row.ok_or(StoreError::NoViolation)?.kept(owner)
}

pub(super) async fn list(
    db: &mut Connection,
    owner: Chain,
    filter: &Filter,
    after: Option<(At, Uuid)>,
    limit: u32,
) -> Result<Vec<KeptViolation>, StoreError> {
    let tenant = owner.0.or(filter.tenant);
    let rows: Vec<ViolationRow> = query_as(violations_where!(
        "(cast($1 as uuid) is null or v.tenant_id = $1)
           and (cast($2 as text) is null or v.kind = $2)
           and (cast($3 as text) is null or v.severity = $3)
           and (cast($4 as text) is null or v.rule = $4)
           and (cast($5 as text) is null or v.status = $5)
           and v.at >= $6 and v.at < $7 and (v.at, v.id) < ($8, $9)
         order by v.at desc, v.id desc limit $10"
    ))
    .bind(tenant.map(TenantId::uuid))
    .bind(filter.kind.map(Kind::name))
    .bind(filter.severity.map(Severity::name))
    .bind(filter.rule.as_ref().map(RuleName::as_str))
    .bind(filter.status.map(Status::name))
    .bind(filter.from.map_or(i64::MIN, |at| at.0))
    .bind(filter.to.map_or(i64::MAX, |at| at.0))
    .bind(after.map_or(i64::MAX, |(at, _)| at.0))
    .bind(after.map_or(Uuid::max(), |(_, id)| id))
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| row.kept(owner)).collect()
}

pub(super) async fn review(
    db: &mut Connection,
    id: Uuid,
    review: &Review,
    change: &Change,
) -> Result<KeptViolation, StoreError> {
    let (status, note, action, topic) = match review {
        Review::Acknowledge => (Status::Acknowledged, None, Action::ViolationAcknowledge, Topic::Acknowledged),
        Review::Resolve { note } => (Status::Resolved, Some(note), Action::ViolationResolve, Topic::Resolved),
    };
    let now = dialect::now(db).await?;
    // Of two reviewers at a time, the second finds what the first has made of it.
    let changed = query(
        "update violations set status = $2, changed_at = $3, changed_by = $4, note = coalesce($5, note)
         where id = $1 and (status = 'open' or (status = 'acknowledged' and $2 = 'resolved'))",
    )
    .bind(id)
    .bind(status.name())
    .bind(now.0)
    .bind(&*change.actor.name)
    .bind(note)
    .execute(&mut *db)
    .await?;
    let kept = find(db, Chain(None), id).await?;
    if changed.rows_affected() == 0 {
        return if kept.status == status { Ok(kept) } else { Err(StoreError::Resolved) };
    }
    let owner = Chain(kept.tenant);
    // What reviewers tell one another is not the tenant's to read.
    let tenant = kept.tenant.map(|tenant| tenant.to_string());
    let detail = json!({"kind": kept.kind, "tenant": tenant, "rule": kept.rule, "version": kept.version, "note": note});
    audit::write(db, Chain(None), &NewEntry { action, object: id.to_string(), detail }, change).await?;
    if owner.0.is_some() {
        let detail = json!({"kind": kept.kind, "rule": kept.rule, "version": kept.version});
        audit::write(db, owner, &NewEntry { action, object: id.to_string(), detail }, change).await?;
    }
    let about = events::About { owner, violation: None, severity: kept.severity };
    let about = events::About { violation: Kind::find(&kept.kind).map(|kind| (id, kind.name())), ..about };
    events::write(db, &about, topic, &kept.told()).await?;
    Ok(kept)
}

pub(super) async fn totals(db: &mut Connection) -> Result<Totals, StoreError> {
    let open: Vec<(String, i64)> =
        query_as("select severity, count(*) from violations where status = 'open' group by severity order by severity")
            .fetch_all(&mut *db)
            .await?;
    let quarantined: Vec<(Uuid, i64)> =
        query_as("select tenant_id, count(*) from quarantines group by tenant_id order by 2 desc, 1")
            .fetch_all(db)
            .await?;
    let open = open.into_iter().map(|(severity, n)| Ok((severity, number(n, "violations")?)));
    let quarantined = quarantined.into_iter().map(|(id, n)| Ok((TenantId::from_store(id), number(n, "quarantines")?)));
    Ok(Totals {
        open: open.collect::<Result<_, Unavailable>>()?,
        quarantined: quarantined.collect::<Result<_, Unavailable>>()?,
    })
}

pub(super) async fn version_of(
    db: &mut Connection,
    tenant: TenantId,
    module: Digest,
) -> Result<Option<(RuleName, u32)>, StoreError> {
    let row: Option<(String, i64)> = query_as(
        "select r.name, v.number from versions v join rules r on r.tenant_id = v.tenant_id and r.id = v.rule_id
         where v.tenant_id = $1 and v.digest = $2 order by v.created_at desc, v.rule_id desc, v.number desc limit 1",
    )
    .bind(tenant.uuid())
    .bind(module.0.as_slice())
    .fetch_optional(db)
    .await?;
    let named = |(name, version): (String, i64)| Ok((rule_name(&name)?, number(version, "versions.number")?));
    row.map(named).transpose()
}

pub(super) async fn break_glass(
    db: &mut Connection,
    tenant: TenantId,
    name: &RuleName,
    version: u32,
    reason: &str,
    change: &Change,
) -> Result<(), StoreError> {
    let digest = super::versions::find(db, tenant, name, version).await?.digest.to_string();
    let detail = json!({"tenant": tenant.uuid(), "version": version, "digest": digest, "reason": reason});
    let entry = NewEntry { action: Action::RuleBreakGlass, object: name.as_str().to_owned(), detail };
    audit::write(db, Chain(None), &entry, change).await?;
    audit::write(db, Chain(Some(tenant)), &entry, change).await
}
