//! Recording violations: repeats within a minute are one row with a count, so that a hot loop cannot flood the table.
//!
//! Locks are taken in this order: the count of the module, the window, the violation, the tenant's audit chain.

use rulebox_sandbox::{Digest, Severity};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::review::{find, severity as severity_of};
use super::row::{number, signed};
use super::{Connection, dialect, events, quarantines, query, query_as, query_scalar};
use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::quarantine::{Quarantine, Thresholds};
use crate::domain::review::Topic;
use crate::domain::rule::RuleName;
use crate::domain::violation::{Kind, NewViolation, Stage, Stops};
use crate::store::{Change, Occurrences, Recorded, StoreError};

/// The first refusal of a kind in so much time is a high one.
const FIRST_MS: i64 = 24 * 3_600_000;

/// The row that a violation is in.
struct Row {
    id: Uuid,
    severity: Severity,
    at: At,
    opened: bool,
}

pub(super) async fn record(
    db: &mut Connection,
    owner: Chain,
    violation: &NewViolation,
    occurrences: Occurrences,
    thresholds: &Thresholds,
    change: &Change,
) -> Result<Recorded, StoreError> {
    let counts = counting(owner, violation);
    if let Some((_, digest)) = counts {
        // Two that are recorded at a time must not both be the last but one.
        lock(db, owner, digest, violation.at).await?;
    }
    let times = occurrences.times;
    let known = match occurrences.of {
        Some(id) => {
            lock_window(db, owner, violation).await?;
            add(db, owner, id, violation, times).await?
        }
        None => None,
    };
    let row = match known {
        Some(row) => row,
        None => in_window(db, owner, violation, times).await?,
    };
    let told = find(db, owner, row.id).await?.told();
    let topic = if row.opened { Topic::Opened } else { Topic::Repeated };
    let about = events::About { owner, violation: Some((row.id, violation.kind.name())), severity: row.severity };
    events::write(db, &about, topic, &told).await?;
    let (counted, quarantined) = match counts {
        Some((tenant, digest)) => stop(db, tenant, digest, violation, thresholds, change).await?,
        None => (0, false),
    };
    Ok(Recorded { id: row.id, severity: row.severity, at: row.at, opened: row.opened, counted, quarantined })
}

/// Whose count of which module it is added to, if it is: a module that is only tried has no version yet.
fn counting(owner: Chain, violation: &NewViolation) -> Option<(TenantId, Digest)> {
    if violation.kind.counts() && violation.version.is_some() { owner.0.zip(violation.digest) } else { None }
}

fn key(of: &str, what: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(format!("rulebox {of} 1\0")).chain_update(what).finalize().into()
}

/// Makes whoever else counts violations of the module wait until the transaction is over.
async fn lock(db: &mut Connection, owner: Chain, digest: Digest, at: At) -> Result<(), StoreError> {
    query(
        "insert into violation_windows (owner, key, violation_id, at) values ($1, $2, $3, $4)
         on conflict (owner, key) do update set at = excluded.at",
    )
    .bind(owner.uuid())
    .bind(key("count of a module", &digest.0).as_slice())
    .bind(Uuid::nil())
    .bind(at.0)
    .execute(db)
    .await?;
    Ok(())
}

/// Makes whoever else records the same wait until the transaction is over.
async fn lock_window(db: &mut Connection, owner: Chain, violation: &NewViolation) -> Result<(), StoreError> {
    query("update violation_windows set at = at where owner = $1 and key = $2")
        .bind(owner.uuid())
        .bind(violation.key().as_slice())
        .execute(db)
        .await?;
    Ok(())
}

/// Adds to a violation; nothing if a reviewer is done with it, or has let its module go.
async fn add(
    db: &mut Connection,
    owner: Chain,
    id: Uuid,
    violation: &NewViolation,
    times: u64,
) -> Result<Option<Row>, StoreError> {
    let added: Option<(String, i64)> = query_as(
        "update violations
         set count = count + $3, last_at = case when last_at < $4 then $4 else last_at end
         where id = $2 and tenant_id is not distinct from $1 and status <> 'resolved' and counts = $5
         returning severity, at",
    )
    .bind(owner.0.map(TenantId::uuid))
    .bind(id)
    .bind(signed(times))
    .bind(violation.at.0)
    .bind(counting(owner, violation).is_some())
    .fetch_optional(db)
    .await?;
    let row = added.map(|(severity, at)| Ok(Row { id, severity: severity_of(&severity)?, at: At(at), opened: false }));
    row.transpose()
}

/// Opens a window, if there is none that began less than `length` before. Whoever else does so waits for this
/// transaction. Says whether it did.
async fn open_window(
    db: &mut Connection,
    owner: Chain,
    key: &[u8; 32],
    id: Uuid,
    at: At,
    length: i64,
) -> Result<bool, StoreError> {
    // One that begins in the future was opened before a clock was set back.
    let opened: Option<Uuid> = query_scalar(
        "insert into violation_windows (owner, key, violation_id, at) values ($1, $2, $3, $4)
         on conflict (owner, key) do update set violation_id = excluded.violation_id, at = excluded.at
         where violation_windows.at <= excluded.at - $5 or violation_windows.at >= excluded.at + $5
         returning violation_id",
    )
    .bind(owner.uuid())
    .bind(key.as_slice())
    .bind(id)
    .bind(at.0)
    .bind(length)
    .fetch_optional(db)
    .await?;
    Ok(opened.is_some())
}

async fn in_window(db: &mut Connection, owner: Chain, violation: &NewViolation, times: u64) -> Result<Row, StoreError> {
    let (id, window) = (Uuid::now_v7(), violation.key());
    if !open_window(db, owner, &window, id, violation.at, NewViolation::REPEAT_MS).await? {
        let open: Uuid = query_scalar("select violation_id from violation_windows where owner = $1 and key = $2")
            .bind(owner.uuid())
            .bind(window.as_slice())
            .fetch_one(&mut *db)
            .await?;
        if let Some(row) = add(db, owner, open, violation, times).await? {
            return Ok(row);
        }
        query("update violation_windows set violation_id = $3, at = $4 where owner = $1 and key = $2")
            .bind(owner.uuid())
            .bind(window.as_slice())
            .bind(id)
            .bind(violation.at.0)
            .execute(&mut *db)
            .await?;
    }
    let severity = as_bad_as(db, owner, violation, id).await?;
    insert(db, owner, id, violation, severity, times).await?;
    Ok(Row { id, severity, at: violation.at, opened: true })
}

/// A refused upload is high the first time in a day, for its tenant and kind. After that it is a habit.
async fn as_bad_as(
    db: &mut Connection,
    owner: Chain,
    violation: &NewViolation,
    id: Uuid,
) -> Result<Severity, StoreError> {
    let of_upload = violation.refused || violation.kind.info().stage == Stage::Upload;
    if !of_upload || violation.severity <= Severity::Low {
        return Ok(violation.severity);
    }
    let first = key("first refusal", violation.kind.name().as_bytes());
    let is_first = open_window(db, owner, &first, id, violation.at, FIRST_MS).await?;
    Ok(if is_first { violation.severity } else { Severity::Low })
}

async fn insert(
    db: &mut Connection,
    owner: Chain,
    id: Uuid,
    violation: &NewViolation,
    severity: Severity,
    times: u64,
) -> Result<(), StoreError> {
    query(
        "insert into violations (id, tenant_id, rule, version, digest, kind, severity, trap, fuel_used, fuel_limit,
         memory_peak, memory_limit, elapsed_us, request_id, trace_id, key_id, at, last_at, count, subject, detail, counts)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17, $18, $19, $20, $21)",
    )
    .bind(id)
    .bind(owner.0.map(TenantId::uuid))
    .bind(violation.rule.as_ref().map(RuleName::as_str))
    .bind(violation.version.map(i64::from))
    .bind(violation.digest.as_ref().map(|d| d.0.as_slice()))
    .bind(violation.kind.name())
    .bind(severity.name())
    .bind(violation.trap)
    .bind(signed(violation.fuel_used))
    .bind(signed(violation.fuel_limit))
    .bind(signed(violation.memory_peak))
    .bind(signed(violation.memory_limit))
    .bind(signed(violation.elapsed_us))
    .bind(&violation.marks.request_id)
    .bind(&violation.marks.trace_id)
    .bind(violation.actor.map(|actor| actor.0))
    .bind(violation.at.0)
    .bind(signed(times))
    .bind(&violation.subject)
    .bind(violation.detail.to_string())
    .bind(counting(owner, violation).is_some())
    .execute(db)
    .await?;
    Ok(())
}

/// Stops the module, if this was one too many. Says how many count, and whether it did.
async fn stop(
    db: &mut Connection,
    tenant: TenantId,
    digest: Digest,
    violation: &NewViolation,
    thresholds: &Thresholds,
    change: &Change,
) -> Result<(u64, bool), StoreError> {
    let counted = sum(db, tenant, digest, None, thresholds.since(violation.at)).await?;
    let reason = match violation.kind.info().stops {
        Stops::Never | Stops::Counted => None,
        Stops::AtOnce => Some(format!("`{}`, which stops a module at once", violation.kind.name())),
        Stops::Deaths => {
            let deaths = sum(db, tenant, digest, Some(violation.kind), thresholds.since(violation.at)).await?;
            (deaths >= thresholds.deaths)
                .then(|| format!("{deaths} executors died while they ran it, within {:?}", thresholds.within))
        }
    };
    let too_many =
        || format!("{counted} violations within {:?}, the last of them `{}`", thresholds.within, violation.kind.name());
    let reason = reason.or_else(|| (counted >= thresholds.violations).then(too_many));
    // Without a name there is nothing that a reviewer could let go.
    let (Some(reason), Some((rule, version))) = (reason, violation.rule.clone().zip(violation.version)) else {
        return Ok((counted, false));
    };
    let made = Quarantine { digest, rule, version, reason, at: dialect::now(db).await?, by: change.actor.id };
    Ok((counted, quarantines::put(db, tenant, &made, change).await?.is_none()))
}

/// How often the module broke a limit that counts since then, in all or of one kind.
async fn sum(
    db: &mut Connection,
    tenant: TenantId,
    digest: Digest,
    kind: Option<Kind>,
    since: At,
) -> Result<u64, StoreError> {
    let sum: i64 = query_scalar(
        "select cast(coalesce(sum(count), 0) as bigint) from violations
         where tenant_id = $1 and digest = $2 and counts and last_at > $3 and (cast($4 as text) is null or kind = $4)",
    )
    .bind(tenant.uuid())
    .bind(digest.0.as_slice())
    .bind(since.0)
    .bind(kind.map(Kind::name))
    .fetch_one(db)
    .await?;
    Ok(number(sum, "violations.count")?)
}
