//! The audit log.

use sqlx::FromRow;
use uuid::Uuid;

use super::row::{bytes, number, signed};
use super::{Connection, dialect, query, query_as, query_scalar};
use crate::domain::at::At;
use crate::domain::audit::{Chain, Entry, Head, NewEntry, Seal};
use crate::domain::caller::{Actor, ActorId};
use crate::store::{Change, StoreError, Unavailable};

#[derive(FromRow)]
struct HeadRow {
    chain: Uuid,
    seq: i64,
    seal: Vec<u8>,
    at: i64,
    removed_seq: i64,
    removed_seal: Vec<u8>,
    removed_proof: Vec<u8>,
}

impl TryFrom<HeadRow> for Head {
    type Error = Unavailable;

    fn try_from(row: HeadRow) -> Result<Self, Unavailable> {
        Ok(Self {
            chain: Chain::from_store(row.chain),
            seq: number(row.seq, "audit_heads.seq")?,
            seal: Seal(bytes(&row.seal, "audit_heads.seal")?),
            removed_seq: number(row.removed_seq, "audit_heads.removed_seq")?,
            removed_seal: Seal(bytes(&row.removed_seal, "audit_heads.removed_seal")?),
            removed_proof: Seal(bytes(&row.removed_proof, "audit_heads.removed_proof")?),
        })
    }
}

#[derive(FromRow)]
struct EntryRow {
    seq: i64,
    at: i64,
    actor_id: Uuid,
    actor: String,
    action: String,
    object: String,
    detail: String,
    request_id: String,
    seal: Vec<u8>,
}

impl EntryRow {
    fn entry(self, chain: Chain) -> Result<Entry, Unavailable> {
        Ok(Entry {
            chain,
            seq: number(self.seq, "audit.seq")?,
            at: At(self.at),
            actor: Actor { id: ActorId(self.actor_id), name: self.actor.into() },
            action: self.action,
            object: self.object,
            detail: self.detail,
            request_id: self.request_id,
            seal: Seal(bytes(&self.seal, "audit.seal")?),
        })
    }
}

/// Makes whoever else writes to the chain wait until the transaction is over.
pub(super) async fn lock(db: &mut Connection, chain: Chain) -> Result<(), StoreError> {
    let change = dialect::next_change(db).await?;
    query(
        "insert into audit_heads (chain, seq, seal, at, change) values ($1, 0, $2, 0, $3)
         on conflict (chain) do nothing",
    )
    .bind(chain.uuid())
    .bind(Seal::NONE.0.as_slice())
    .bind(change)
    .execute(&mut *db)
    .await?;
    dialect::lock_chain(db, chain).await
}

/// Appends an entry. It is kept with the change that it is about, or neither is.
pub(super) async fn write(
    db: &mut Connection,
    chain: Chain,
    entry: &NewEntry,
    change: &Change,
) -> Result<(), StoreError> {
    lock(db, chain).await?;
    let head: HeadRow = query_as(
        "select chain, seq, seal, at, removed_seq, removed_seal, removed_proof from audit_heads where chain = $1",
    )
    .bind(chain.uuid())
    .fetch_one(&mut *db)
    .await?;
    // A clock that was set back does not turn the log around.
    let at = dialect::now(db).await?.max(At(head.at));
    let head = Head::try_from(head)?;
    let mut new = Entry {
        chain,
        seq: head.seq + 1,
        at,
        actor: change.actor.clone(),
        action: entry.action.name().to_owned(),
        object: entry.object.clone(),
        detail: entry.detail.to_string(),
        request_id: change.request_id.clone(),
        seal: Seal::NONE,
    };
    new.seal = change.sealer.seal(&new.sealed_bytes(&head.seal));
    query(
        "insert into audit (chain, seq, at, actor_id, actor, action, object, detail, request_id, seal)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(chain.uuid())
    .bind(signed(new.seq))
    .bind(new.at.0)
    .bind(new.actor.id.0)
    .bind(&*new.actor.name)
    .bind(&new.action)
    .bind(&new.object)
    .bind(&new.detail)
    .bind(&new.request_id)
    .bind(new.seal.0.as_slice())
    .execute(&mut *db)
    .await?;
    let number = dialect::next_change(db).await?;
    query("update audit_heads set seq = $2, seal = $3, at = $4, change = $5 where chain = $1")
        .bind(chain.uuid())
        .bind(signed(new.seq))
        .bind(new.seal.0.as_slice())
        .bind(new.at.0)
        .bind(number)
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn list(db: &mut Connection, chain: Chain, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
    let rows: Vec<EntryRow> = query_as(
        "select seq, at, actor_id, actor, action, object, detail, request_id, seal
         from audit where chain = $1 and seq > $2 order by seq limit $3",
    )
    .bind(chain.uuid())
    .bind(signed(after))
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok(row.entry(chain)?)).collect()
}

pub(super) async fn changed_since(db: &mut Connection, number: i64) -> Result<(Vec<(Chain, i64)>, At), StoreError> {
    let rows: Vec<(Uuid, i64)> = query_as("select chain, change from audit_heads where change > $1 order by change")
        .bind(number)
        .fetch_all(&mut *db)
        .await?;
    let changed = rows.into_iter().map(|(chain, change)| (Chain::from_store(chain), change)).collect();
    Ok((changed, dialect::now(db).await?))
}

pub(super) async fn heads(db: &mut Connection, after: Option<Chain>, limit: u32) -> Result<Vec<Head>, StoreError> {
    let rows: Vec<HeadRow> = query_as(
        "select chain, seq, seal, at, removed_seq, removed_seal, removed_proof from audit_heads
         where $1 or chain > $2 order by chain limit $3",
    )
    .bind(after.is_none())
    .bind(after.map_or(Uuid::nil(), Chain::uuid))
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok(Head::try_from(row)?)).collect()
}

pub(super) async fn before(db: &mut Connection, chain: Chain, time: At) -> Result<Option<(u64, Seal)>, StoreError> {
    // The last entry stays: a chain without any could not be told from one whose tail was cut.
    let row: Option<(i64, Vec<u8>)> = query_as(
        "select a.seq, a.seal from audit a join audit_heads h on h.chain = a.chain
         where a.chain = $1 and a.at < $2 and a.seq < h.seq order by a.seq desc limit 1",
    )
    .bind(chain.uuid())
    .bind(time.0)
    .fetch_optional(db)
    .await?;
    row.map(|(seq, seal)| Ok((number(seq, "audit.seq")?, Seal(bytes(&seal, "audit.seal")?)))).transpose()
}

pub(super) async fn remove(
    db: &mut Connection,
    chain: Chain,
    seq: u64,
    seal: &Seal,
    proof: &Seal,
) -> Result<u64, StoreError> {
    lock(db, chain).await?;
    let known: i64 = query_scalar("select removed_seq from audit_heads where chain = $1")
        .bind(chain.uuid())
        .fetch_one(&mut *db)
        .await?;
    // Another replica did it.
    if known >= signed(seq) {
        return Ok(0);
    }
    query("update audit_heads set removed_seq = $2, removed_seal = $3, removed_proof = $4 where chain = $1")
        .bind(chain.uuid())
        .bind(signed(seq))
        .bind(seal.0.as_slice())
        .bind(proof.0.as_slice())
        .execute(&mut *db)
        .await?;
    let removed = query("delete from audit where chain = $1 and seq <= $2")
        .bind(chain.uuid())
        .bind(signed(seq))
        .execute(db)
        .await?;
    Ok(removed.rows_affected())
}
