//! Deliveries: taken by a lease, tried, and ended.

use std::time::Duration;

use sqlx::FromRow;
use uuid::Uuid;

use super::row::number;
use super::{Connection, audit, dialect, query, query_as, query_scalar};
use crate::domain::at::At;
use crate::domain::audit::{Action, Chain, NewEntry};
use crate::domain::caller::TenantId;
use crate::domain::outbox::{Delivery, DeliveryKind, DeliveryState, Leased, MOST_WAITING};
use crate::store::{Change, StoreError, Taking, Unavailable};

#[derive(FromRow)]
struct DeliveryRow {
    id: Uuid,
    tenant_id: Option<Uuid>,
    endpoint_id: Option<Uuid>,
    violation_id: Option<Uuid>,
    topic: String,
    payload: String,
    created_at: i64,
    due_at: i64,
    tries: i64,
    state: String,
    last_error: Option<String>,
    done_at: Option<i64>,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = Unavailable;

    fn try_from(row: DeliveryRow) -> Result<Self, Unavailable> {
        let state = DeliveryState::find(&row.state);
        Ok(Self {
            id: row.id,
            tenant: row.tenant_id.map(TenantId::from_store),
            endpoint: row.endpoint_id,
            violation: row.violation_id,
            topic: row.topic,
            payload: row.payload,
            created_at: At(row.created_at),
            due_at: At(row.due_at),
            tries: number(row.tries, "outbox.tries")?,
            state: state.ok_or_else(|| Unavailable::Row(format!("outbox.state is {:?}", row.state)))?,
            last_error: row.last_error,
            done_at: row.done_at.map(At),
        })
    }
}

/// The columns of a delivery.
macro_rules! columns {
    () => {
        "id, tenant_id, endpoint_id, violation_id, topic, payload, created_at, due_at, tries, state, last_error, done_at"
    };
}

/// So far is looked ahead for other endpoints behind those that much waits for. Whoever passes over those that had
/// their turn gets to all.
const AHEAD: i64 = 1_000;

/// Takes alerts as [`dialect::LEASE`] takes webhooks. One that has not been told comes before all that are told again:
/// many that nobody resolves must not hold it up.
const LEASE_ALERTS: &str = concat!(
    "update outbox set lease_until = $3, lease_token = $4
     where id in (
         select id from outbox
         where kind = 'alert' and state = 'pending' and due_at <= $2 and (lease_until is null or lease_until <= $2)
         order by (due_at > created_at), due_at, id limit $1
     ) and state = 'pending' and (lease_until is null or lease_until <= $2)
     returning ",
    columns!()
);

/// Whether as much waits for a webhook as may wait.
pub(super) async fn is_full(db: &mut Connection, endpoint: Uuid) -> Result<bool, StoreError> {
    let waiting: i64 = query_scalar(
        "select count(*) from (
             select 1 as one from outbox where endpoint_id = $1 and state = 'pending' and kind = 'webhook' limit $2
         ) waiting",
    )
    .bind(endpoint)
    .bind(i64::from(MOST_WAITING))
    .fetch_one(db)
    .await?;
    Ok(waiting >= i64::from(MOST_WAITING))
}

/// Refuses to have more wait for a webhook than may.
pub(super) async fn has_room(db: &mut Connection, endpoint: Uuid) -> Result<(), StoreError> {
    if is_full(db, endpoint).await? { Err(StoreError::WebhookBacklog { limit: MOST_WAITING }) } else { Ok(()) }
}

pub(super) async fn lease(
    db: &mut Connection,
    kind: DeliveryKind,
    taking: &Taking,
    lease: Duration,
) -> Result<Vec<Leased>, StoreError> {
    let now = dialect::now(db).await?;
    let token = Uuid::now_v7();
    let until = now.plus(lease);
    if kind == DeliveryKind::Alert {
        let rows: Vec<DeliveryRow> = query_as(LEASE_ALERTS)
            .bind(i64::from(taking.limit))
            .bind(now.0)
            .bind(until.0)
            .bind(token)
            .fetch_all(db)
            .await?;
        return leased(rows, token);
    }
    let except: Vec<_> = taking.except.iter().map(|id| format!("{:X}", id.simple())).collect();
    let rows: Vec<DeliveryRow> = query_as(dialect::LEASE)
        .bind(i64::from(taking.limit))
        .bind(now.0)
        .bind(until.0)
        .bind(token)
        .bind(i64::from(taking.each))
        .bind(serde_json::json!(except).to_string())
        .bind(AHEAD.max(i64::from(taking.limit)))
        .fetch_all(db)
        .await?;
    leased(rows, token)
}

fn leased(rows: Vec<DeliveryRow>, token: Uuid) -> Result<Vec<Leased>, StoreError> {
    let mut leased = Vec::with_capacity(rows.len());
    for row in rows {
        leased.push(Leased { delivery: row.try_into()?, token });
    }
    leased.sort_by_key(|leased| (leased.delivery.due_at, leased.delivery.id));
    Ok(leased)
}

pub(super) async fn delivered(db: &mut Connection, id: Uuid, token: Uuid) -> Result<bool, StoreError> {
    let now = dialect::now(db).await?;
    let done = query(
        "update outbox set state = 'delivered', done_at = $3, lease_until = null, lease_token = null
         where id = $1 and lease_token = $2 and state = 'pending'",
    )
    .bind(id)
    .bind(token)
    .bind(now.0)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// It was told, and is to be told again then: what failed before counts no more.
pub(super) async fn deliver_again(db: &mut Connection, id: Uuid, token: Uuid, due: At) -> Result<bool, StoreError> {
    due_again(db, id, token, due, true).await
}

/// It was not its turn: nothing is counted.
pub(super) async fn postpone(db: &mut Connection, id: Uuid, token: Uuid, due: At) -> Result<bool, StoreError> {
    due_again(db, id, token, due, false).await
}

async fn due_again(db: &mut Connection, id: Uuid, token: Uuid, due: At, anew: bool) -> Result<bool, StoreError> {
    let done = query(
        "update outbox set due_at = $3, tries = case when $4 then 0 else tries end, lease_until = null,
             lease_token = null
         where id = $1 and lease_token = $2 and state = 'pending'",
    )
    .bind(id)
    .bind(token)
    .bind(due.0)
    .bind(anew)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn not_delivered(
    db: &mut Connection,
    id: Uuid,
    token: Uuid,
    error: &str,
    next: Option<At>,
) -> Result<bool, StoreError> {
    let now = dialect::now(db).await?;
    let done = query(
        "update outbox set tries = tries + 1, last_error = $3, due_at = coalesce($4, due_at),
             state = case when $4 is null then 'dead' else 'pending' end,
             done_at = case when $4 is null then $5 else null end,
             lease_until = null, lease_token = null
         where id = $1 and lease_token = $2 and state = 'pending'",
    )
    .bind(id)
    .bind(token)
    .bind(error)
    .bind(next.map(|at| at.0))
    .bind(now.0)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn list(
    db: &mut Connection,
    tenant: TenantId,
    endpoint: Uuid,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Delivery>, StoreError> {
    // Ids begin with the time at which they were made.
    let rows: Vec<DeliveryRow> = query_as(concat!(
        "select ",
        columns!(),
        " from outbox where tenant_id = $1 and endpoint_id = $2 and id < $3 order by id desc limit $4"
    ))
    .bind(tenant.uuid())
    .bind(endpoint)
    .bind(after.unwrap_or(Uuid::max()))
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok(row.try_into()?)).collect()
}

pub(super) async fn replay(
    db: &mut Connection,
    tenant: TenantId,
    endpoint: Uuid,
    id: Uuid,
    change: &Change,
) -> Result<Delivery, StoreError> {
    // As who removes the webhook does: the log first.
    audit::lock(db, Chain(Some(tenant))).await?;
    has_room(db, endpoint).await?;
    let now = dialect::now(db).await?;
    let row: Option<DeliveryRow> = query_as(concat!(
        "update outbox set state = 'pending', tries = 0, due_at = $4, done_at = null, lease_until = null,
                 lease_token = null
             where tenant_id = $1 and endpoint_id = $2 and id = $3
             returning ",
        columns!()
    ))
    .bind(tenant.uuid())
    .bind(endpoint)
    .bind(id)
    .bind(now.0)
    .fetch_optional(&mut *db)
    .await?;
    let delivery: Delivery = row.ok_or(StoreError::NoDelivery)?.try_into()?;
    let detail = serde_json::json!({ "delivery": id, "type": delivery.topic });
    let entry = NewEntry { action: Action::WebhookReplay, object: endpoint.to_string(), detail };
    audit::write(db, Chain(Some(tenant)), &entry, change).await?;
    Ok(delivery)
}

pub(super) async fn find(
    db: &mut Connection,
    tenant: TenantId,
    endpoint: Uuid,
    id: Uuid,
) -> Result<Delivery, StoreError> {
    let row: Option<DeliveryRow> =
        query_as(concat!("select ", columns!(), " from outbox where tenant_id = $1 and endpoint_id = $2 and id = $3"))
            .bind(tenant.uuid())
            .bind(endpoint)
            .bind(id)
            .fetch_optional(db)
            .await?;
    Ok(row.ok_or(StoreError::NoDelivery)?.try_into()?)
}

pub(super) async fn backlog(db: &mut Connection, alerts: bool) -> Result<u64, StoreError> {
    let waiting: i64 = query_scalar("select count(*) from outbox where state = 'pending' and (kind = 'webhook' or $1)")
        .bind(alerts)
        .fetch_one(db)
        .await?;
    Ok(number(waiting, "outbox")?)
}
