//! Requests that may be sent again.

use std::time::Duration;

use sqlx::FromRow;
use uuid::Uuid;

use super::row::number;
use super::{Connection, dialect, query, query_as};
use crate::domain::audit::Chain;
use crate::domain::idempotency::{Begun, Claim, IdempotentRequest, Made};
use crate::store::{Change, StoreError};

/// Milliseconds that a transaction may wait for another.
const AT_ONCE_MS: i64 = 30_000;

#[derive(FromRow)]
struct RequestRow {
    request: Vec<u8>,
    lease_until: i64,
    subject: Option<String>,
    number: Option<i64>,
    detail: Option<String>,
}

pub(super) async fn begin(
    db: &mut Connection,
    owner: Chain,
    request: IdempotentRequest,
    lease: Duration,
) -> Result<Begun, StoreError> {
    let claim = Claim { owner, request, token: Uuid::now_v7() };
    let now = dialect::now(db).await?;
    let (now, until) = (now.0, now.plus(lease).0);
    let inserted = query(
        "insert into requests (owner, key, request, token, begun_at, lease_until) values ($1, $2, $3, $4, $5, $6)
         on conflict (owner, key) do nothing",
    )
    .bind(owner.uuid())
    .bind(request.key.as_slice())
    .bind(request.request.as_slice())
    .bind(claim.token)
    .bind(now)
    .bind(until)
    .execute(&mut *db)
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok(Begun::Claimed(claim));
    }
    let row: Option<RequestRow> =
        query_as("select request, lease_until, subject, number, detail from requests where owner = $1 and key = $2")
            .bind(owner.uuid())
            .bind(request.key.as_slice())
            .fetch_optional(&mut *db)
            .await?;
    // Abandoned between the two: the caller tries again, as he does for one in flight.
    let Some(row) = row else { return Ok(Begun::InFlight) };
    if row.request != request.request {
        return Ok(Begun::Differs);
    }
    if let Some(subject) = row.subject {
        let number = row.number.map(|n| number(n, "requests.number")).transpose()?;
        return Ok(Begun::Done(Made { subject, number, detail: row.detail.unwrap_or_default() }));
    }
    // One that ends later than a lease can was begun before the clock was set back. A little later is one that was begun
    // at the same time: this one's clock was read before it waited for the other.
    if row.lease_until > now && row.lease_until <= until.saturating_add(AT_ONCE_MS) {
        return Ok(Begun::InFlight);
    }
    // Whoever began it is gone.
    let taken = query(
        "update requests set token = $4, lease_until = $5
         where owner = $1 and key = $2 and subject is null and lease_until = $3",
    )
    .bind(owner.uuid())
    .bind(request.key.as_slice())
    .bind(row.lease_until)
    .bind(claim.token)
    .bind(until)
    .execute(db)
    .await?;
    Ok(if taken.rows_affected() == 1 { Begun::Claimed(claim) } else { Begun::InFlight })
}

/// Keeps what the request of this change made, if it is one that may be sent again.
pub(super) async fn end(db: &mut Connection, made: &Made, change: &Change) -> Result<(), StoreError> {
    let Some(claim) = change.claim else { return Ok(()) };
    let ended = query(
        "update requests set subject = $4, number = $5, detail = $6
         where owner = $1 and key = $2 and token = $3 and subject is null",
    )
    .bind(claim.owner.uuid())
    .bind(claim.request.key.as_slice())
    .bind(claim.token)
    .bind(&made.subject)
    .bind(made.number.map(i64::from))
    .bind(&made.detail)
    .execute(db)
    .await?;
    if ended.rows_affected() == 1 { Ok(()) } else { Err(StoreError::ClaimLost) }
}

pub(super) async fn abandon(db: &mut Connection, claim: Claim) -> Result<(), StoreError> {
    query("delete from requests where owner = $1 and key = $2 and token = $3 and subject is null")
        .bind(claim.owner.uuid())
        .bind(claim.request.key.as_slice())
        .bind(claim.token)
        .execute(db)
        .await?;
    Ok(())
}
