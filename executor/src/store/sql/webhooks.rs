//! Webhooks of tenants.

use std::time::Duration;

use sqlx::FromRow;
use uuid::Uuid;

use super::review::severity;
use super::row::own;
use super::{Connection, audit, dialect, outbox, query, query_as, query_scalar, requests};
use crate::domain::at::At;
use crate::domain::audit::{Action, Chain, NewEntry};
use crate::domain::caller::{ActorId, TenantId};
use crate::domain::idempotency::Made;
use crate::domain::outbox::Delivery;
use crate::domain::violation::Kind;
use crate::domain::webhook::{NewWebhook, TEST_TOPIC, Webhook, WebhookChange};
use crate::store::{Change, StoreError};

#[derive(FromRow)]
struct WebhookRow {
    id: Uuid,
    tenant_id: Uuid,
    url: String,
    description: String,
    kinds: String,
    severity: String,
    secret: Vec<u8>,
    previous_secret: Option<Vec<u8>>,
    previous_until: Option<i64>,
    created_at: i64,
    created_by: Uuid,
    disabled_at: Option<i64>,
}

impl WebhookRow {
    fn of(self, tenant: TenantId) -> Result<Webhook, StoreError> {
        own(tenant, self.tenant_id, "webhooks")?;
        Ok(Webhook {
            id: self.id,
            tenant,
            url: self.url,
            description: self.description,
            kinds: self.kinds.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            severity: severity(&self.severity)?,
            secret: self.secret,
            previous: self.previous_secret.zip(self.previous_until.map(At)),
            created_at: At(self.created_at),
            created_by: ActorId(self.created_by),
            disabled_at: self.disabled_at.map(At),
        })
    }
}

fn names(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" ")
}

/// The address may have a token in its path or query: the log has its host alone.
fn entry(action: Action, webhook: &Webhook) -> NewEntry {
    let host = webhook.url.split('/').nth(2).unwrap_or_default();
    let detail = serde_json::json!({
        "host": host, "kinds": webhook.kinds, "severity": webhook.severity.name(),
        "disabled": webhook.disabled_at.is_some(),
    });
    NewEntry { action, object: webhook.id.to_string(), detail }
}

/// What a request made: the webhook with the secret that it had then, and with no later one.
fn outcome(made: &Webhook) -> Made {
    let detail = serde_json::json!({ "secret": made.secret_mark() });
    Made { subject: made.id.to_string(), number: None, detail: detail.to_string() }
}

pub(super) async fn create(
    db: &mut Connection,
    tenant: TenantId,
    new: &NewWebhook,
    most: u64,
    change: &Change,
) -> Result<Webhook, StoreError> {
    let chain = Chain(Some(tenant));
    // One at a time: two must not both be the last that may be made.
    audit::lock(db, chain).await?;
    let there: i64 = query_scalar("select count(*) from webhooks where tenant_id = $1")
        .bind(tenant.uuid())
        .fetch_one(&mut *db)
        .await?;
    if u64::try_from(there).unwrap_or(u64::MAX) >= most {
        return Err(StoreError::WebhooksLimit { limit: most });
    }
    let now = dialect::now(db).await?;
    query(
        "insert into webhooks (id, tenant_id, url, description, kinds, severity, secret, created_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(new.id)
    .bind(tenant.uuid())
    .bind(&new.url)
    .bind(&new.description)
    .bind(names(&new.kinds))
    .bind(new.severity.name())
    .bind(new.secret.as_slice())
    .bind(now.0)
    .bind(change.actor.id.0)
    .execute(&mut *db)
    .await?;
    let made = find(db, tenant, new.id).await?;
    audit::write(db, chain, &entry(Action::WebhookCreate, &made), change).await?;
    let outcome = outcome(&made);
    requests::end(db, &outcome, change).await?;
    Ok(made)
}

pub(super) async fn find(db: &mut Connection, tenant: TenantId, id: Uuid) -> Result<Webhook, StoreError> {
    let row: Option<WebhookRow> = query_as(
        "select id, tenant_id, url, description, kinds, severity, secret, previous_secret, previous_until, created_at,
             created_by, disabled_at
         from webhooks where tenant_id = $1 and id = $2",
    )
    .bind(tenant.uuid())
    .bind(id)
    .fetch_optional(db)
    .await?;
    row.ok_or(StoreError::NoWebhook)?.of(tenant)
}

pub(super) async fn list(
    db: &mut Connection,
    tenant: TenantId,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Webhook>, StoreError> {
    // Ids begin with the time at which they were made.
    let rows: Vec<WebhookRow> = query_as(
        "select id, tenant_id, url, description, kinds, severity, secret, previous_secret, previous_until, created_at,
             created_by, disabled_at
         from webhooks where tenant_id = $1 and id > $2 order by id limit $3",
    )
    .bind(tenant.uuid())
    .bind(after.unwrap_or(Uuid::nil()))
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| row.of(tenant)).collect()
}

pub(super) async fn change(
    db: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    asked: &WebhookChange,
    change: &Change,
) -> Result<Webhook, StoreError> {
    let chain = Chain(Some(tenant));
    audit::lock(db, chain).await?;
    let before = find(db, tenant, id).await?;
    let now = dialect::now(db).await?;
    let disabled_at = match asked.disabled {
        None => before.disabled_at,
        Some(false) => None,
        // Since the first time.
        Some(true) => before.disabled_at.or(Some(now)),
    };
    query(
        "update webhooks set url = $3, description = $4, kinds = $5, severity = $6, disabled_at = $7
         where tenant_id = $1 and id = $2",
    )
    .bind(tenant.uuid())
    .bind(id)
    .bind(asked.url.as_ref().unwrap_or(&before.url))
    .bind(asked.description.as_ref().unwrap_or(&before.description))
    .bind(asked.kinds.as_deref().map_or_else(|| before.kinds.join(" "), names))
    .bind(asked.severity.unwrap_or(before.severity).name())
    .bind(disabled_at.map(|at| at.0))
    .execute(&mut *db)
    .await?;
    let changed = find(db, tenant, id).await?;
    audit::write(db, chain, &entry(Action::WebhookChange, &changed), change).await?;
    Ok(changed)
}

pub(super) async fn rotate(
    db: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    secret: &[u8],
    keep: Duration,
    change: &Change,
) -> Result<Webhook, StoreError> {
    let chain = Chain(Some(tenant));
    audit::lock(db, chain).await?;
    let now = dialect::now(db).await?;
    // The right sides are what was there before.
    let done = query(
        "update webhooks set previous_secret = secret, previous_until = $4, secret = $3
         where tenant_id = $1 and id = $2",
    )
    .bind(tenant.uuid())
    .bind(id)
    .bind(secret)
    .bind(now.plus(keep).0)
    .execute(&mut *db)
    .await?;
    if done.rows_affected() != 1 {
        return Err(StoreError::NoWebhook);
    }
    let rotated = find(db, tenant, id).await?;
    audit::write(db, chain, &entry(Action::WebhookRotate, &rotated), change).await?;
    let outcome = outcome(&rotated);
    requests::end(db, &outcome, change).await?;
    Ok(rotated)
}

pub(super) async fn delete(db: &mut Connection, tenant: TenantId, id: Uuid, change: &Change) -> Result<(), StoreError> {
    let chain = Chain(Some(tenant));
    audit::lock(db, chain).await?;
    let webhook = find(db, tenant, id).await?;
    let now = dialect::now(db).await?;
    query("delete from webhooks where tenant_id = $1 and id = $2")
        .bind(tenant.uuid())
        .bind(id)
        .execute(&mut *db)
        .await?;
    query(
        "update outbox set state = 'dead', done_at = $3, lease_until = null, lease_token = null
         where tenant_id = $1 and endpoint_id = $2 and state = 'pending'",
    )
    .bind(tenant.uuid())
    .bind(id)
    .bind(now.0)
    .execute(&mut *db)
    .await?;
    audit::write(db, chain, &entry(Action::WebhookDelete, &webhook), change).await
}

pub(super) async fn test(
    db: &mut Connection,
    tenant: TenantId,
    id: Uuid,
    change: &Change,
) -> Result<Delivery, StoreError> {
    let webhook = find(db, tenant, id).await?;
    outbox::has_room(db, id).await?;
    let now = dialect::now(db).await?;
    let delivery = Uuid::now_v7();
    query(
        "insert into outbox (id, tenant_id, kind, endpoint_id, topic, payload, created_at, due_at)
         values ($1, $2, 'webhook', $3, $4, $5, $6, $6)",
    )
    .bind(delivery)
    .bind(tenant.uuid())
    .bind(id)
    .bind(TEST_TOPIC)
    .bind(Webhook::test_event(id, now).to_string())
    .bind(now.0)
    .execute(&mut *db)
    .await?;
    audit::write(db, Chain(Some(tenant)), &entry(Action::WebhookTest, &webhook), change).await?;
    outbox::find(db, tenant, id, delivery).await
}
