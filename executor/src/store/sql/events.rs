//! What is told of what happened: a row of the feed, one for every webhook that wants it, and one for an alert.

use rulebox_sandbox::Severity;
use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::review::severity;
use super::{Connection, dialect, outbox, query, query_as};
use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::outbox::{DeliveryKind, DeliveryState, MOST_WAITING};
use crate::domain::review::{Position, SecurityEvent, Topic};
use crate::store::StoreError;

/// What an event is about.
pub(super) struct About {
    /// Whose it is.
    pub(super) owner: Chain,
    /// The violation and its kind, if it is about one.
    pub(super) violation: Option<(Uuid, &'static str)>,
    /// How bad.
    pub(super) severity: Severity,
}

#[derive(FromRow)]
struct EndpointRow {
    id: Uuid,
    kinds: String,
    severity: String,
}

#[derive(FromRow)]
struct EventRow {
    turn: i64,
    seq: i64,
    at: i64,
    topic: String,
    body: String,
}

/// Writes the event, and what is to be told of it elsewhere.
pub(super) async fn write(db: &mut Connection, about: &About, topic: Topic, data: &Value) -> Result<(), StoreError> {
    let at = dialect::now(db).await?;
    let body = topic.event(at, data).to_string();
    let (tenant, violation) = (about.owner.0.map(TenantId::uuid), about.violation.map(|(id, _)| id));
    query("insert into security_events (tenant_id, topic, violation_id, at, body) values ($1, $2, $3, $4, $5)")
        .bind(tenant)
        .bind(topic.name())
        .bind(violation)
        .bind(at.0)
        .bind(&body)
        .execute(&mut *db)
        .await?;
    let told = Told { tenant, violation, topic, at, body: &body };
    if matches!(topic, Topic::Opened | Topic::Quarantined | Topic::Released)
        && let Some(tenant) = about.owner.0
    {
        for endpoint in wanting(db, tenant, about).await? {
            told.put(db, DeliveryKind::Webhook, Some(endpoint)).await?;
        }
    }
    if about.severity >= Severity::High {
        match topic {
            Topic::Opened => told.put(db, DeliveryKind::Alert, None).await?,
            Topic::Resolved => {
                // It is not told again, but told that it is over.
                query(
                    "update outbox set state = 'delivered', done_at = $2, lease_until = null, lease_token = null
                     where violation_id = $1 and kind = 'alert' and state = 'pending'",
                )
                .bind(violation)
                .bind(at.0)
                .execute(&mut *db)
                .await?;
                told.put(db, DeliveryKind::Alert, None).await?;
            }
            Topic::Repeated | Topic::Acknowledged | Topic::Quarantined | Topic::Released => {}
        }
    }
    Ok(())
}

/// The webhooks of the tenant that want to hear of it.
async fn wanting(db: &mut Connection, tenant: TenantId, about: &About) -> Result<Vec<Uuid>, StoreError> {
    let rows: Vec<EndpointRow> =
        query_as("select id, kinds, severity from webhooks where tenant_id = $1 and disabled_at is null order by id")
            .bind(tenant.uuid())
            .fetch_all(db)
            .await?;
    let mut wanting = Vec::new();
    for EndpointRow { id, kinds, severity: least } in rows {
        // A module that is stopped is of no kind: that is always told.
        let of_kind = about.violation.is_none_or(|(_, kind)| kinds.is_empty() || kinds.split(' ').any(|k| k == kind));
        if of_kind && about.severity >= severity(&least)? {
            wanting.push(id);
        }
    }
    Ok(wanting)
}

/// What is told, whoever is told it.
struct Told<'a> {
    tenant: Option<Uuid>,
    violation: Option<Uuid>,
    topic: Topic,
    at: At,
    body: &'a str,
}

impl Told<'_> {
    async fn put(&self, db: &mut Connection, kind: DeliveryKind, endpoint: Option<Uuid>) -> Result<(), StoreError> {
        let full = match endpoint {
            Some(endpoint) => outbox::is_full(db, endpoint).await?,
            None => false,
        };
        let state = if full { DeliveryState::Dead } else { DeliveryState::Pending };
        query(
            "insert into outbox (id, tenant_id, kind, endpoint_id, violation_id, topic, payload, created_at, due_at,
                 state, last_error, done_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11)",
        )
        .bind(Uuid::now_v7())
        .bind(self.tenant)
        .bind(kind.name())
        .bind(endpoint)
        .bind(self.violation)
        .bind(self.topic.name())
        .bind(self.body)
        .bind(self.at.0)
        .bind(state.name())
        .bind(full.then(|| format!("{MOST_WAITING} others wait: replay it when the receiver takes them")))
        .bind(full.then_some(self.at.0))
        .execute(db)
        .await?;
        Ok(())
    }
}

pub(super) async fn after(
    db: &mut Connection,
    owner: Chain,
    after: Position,
    limit: u32,
) -> Result<Vec<SecurityEvent>, StoreError> {
    let rows: Vec<EventRow> = query_as(dialect::FEED)
        .bind(owner.0.map(TenantId::uuid))
        .bind(after.turn)
        .bind(after.seq)
        .bind(i64::from(limit))
        .fetch_all(db)
        .await?;
    let event = |row: EventRow| SecurityEvent {
        position: Position { turn: row.turn, seq: row.seq },
        at: At(row.at),
        topic: row.topic,
        body: row.body,
    };
    Ok(rows.into_iter().map(event).collect())
}

pub(super) async fn end(db: &mut Connection) -> Result<Position, StoreError> {
    let (turn, seq): (i64, i64) = query_as(dialect::FEED_END).fetch_one(db).await?;
    Ok(Position { turn, seq })
}
