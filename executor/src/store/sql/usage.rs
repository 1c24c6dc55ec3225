//! What tenants used.

use sqlx::FromRow;

use super::row::{number, signed};
use super::{Connection, query, query_as};
use crate::domain::at::At;
use crate::domain::caller::TenantId;
use crate::domain::usage::{PeriodUsage, Reading, Span, Usage};
use crate::store::{StoreError, Unavailable};

/// Writes readings of counters. One that is older than what is there comes from a transaction that was overtaken, and
/// changes nothing. Of two readings of a counter no count of the later is less, so that the order of the rows is that of
/// the readings.
pub(super) async fn keep(db: &mut Connection, readings: &[Reading]) -> Result<(), StoreError> {
    for Reading { tenant, hour, counter, used } in readings {
        query(
            "insert into usage (tenant_id, hour, counter, requests, refused, evaluations, bars, fuel)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (tenant_id, hour, counter) do update
             set requests = excluded.requests, refused = excluded.refused, evaluations = excluded.evaluations,
                 bars = excluded.bars, fuel = excluded.fuel
             where (excluded.requests, excluded.refused, excluded.evaluations, excluded.bars, excluded.fuel)
                 > (usage.requests, usage.refused, usage.evaluations, usage.bars, usage.fuel)",
        )
        .bind(tenant.uuid())
        .bind(hour.0)
        .bind(*counter)
        .bind(signed(used.requests))
        .bind(signed(used.refused))
        .bind(signed(used.evaluations))
        .bind(signed(used.bars))
        .bind(signed(used.fuel))
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// A sum in two halves of 32 bits, since the databases refuse one that does not fit into 64.
#[derive(FromRow)]
struct SumRow {
    period: i64,
    requests_high: i64,
    requests_low: i64,
    refused_high: i64,
    refused_low: i64,
    evaluations_high: i64,
    evaluations_low: i64,
    bars_high: i64,
    bars_low: i64,
    fuel_high: i64,
    fuel_low: i64,
}

fn sum(high: i64, low: i64) -> u64 {
    let sum = (i128::from(high) << 32) + i128::from(low);
    u64::try_from(sum.max(0)).unwrap_or(u64::MAX)
}

impl From<SumRow> for PeriodUsage {
    fn from(row: SumRow) -> Self {
        let used = Usage {
            requests: sum(row.requests_high, row.requests_low),
            refused: sum(row.refused_high, row.refused_low),
            evaluations: sum(row.evaluations_high, row.evaluations_low),
            bars: sum(row.bars_high, row.bars_low),
            fuel: sum(row.fuel_high, row.fuel_low),
        };
        Self { from: At(row.period), used }
    }
}

/// A counter as it was kept.
#[derive(Default, FromRow)]
struct CounterRow {
    requests: i64,
    refused: i64,
    evaluations: i64,
    bars: i64,
    fuel: i64,
}

impl TryFrom<CounterRow> for Usage {
    type Error = Unavailable;

    fn try_from(row: CounterRow) -> Result<Self, Unavailable> {
        Ok(Self {
            requests: number(row.requests, "usage.requests")?,
            refused: number(row.refused, "usage.refused")?,
            evaluations: number(row.evaluations, "usage.evaluations")?,
            bars: number(row.bars, "usage.bars")?,
            fuel: number(row.fuel, "usage.fuel")?,
        })
    }
}

/// All statements see the same rows.
pub(super) async fn sums(
    db: &mut Connection,
    tenant: TenantId,
    span: &Span,
    readings: &[Reading],
) -> Result<Vec<PeriodUsage>, StoreError> {
    let rows: Vec<SumRow> = query_as(
        "select hour - hour % $4 as period,
             cast(sum(requests >> 32) as bigint) as requests_high,
             cast(sum(requests & 4294967295) as bigint) as requests_low,
             cast(sum(refused >> 32) as bigint) as refused_high,
             cast(sum(refused & 4294967295) as bigint) as refused_low,
             cast(sum(evaluations >> 32) as bigint) as evaluations_high,
             cast(sum(evaluations & 4294967295) as bigint) as evaluations_low,
             cast(sum(bars >> 32) as bigint) as bars_high,
             cast(sum(bars & 4294967295) as bigint) as bars_low,
             cast(sum(fuel >> 32) as bigint) as fuel_high,
             cast(sum(fuel & 4294967295) as bigint) as fuel_low
         from usage where tenant_id = $1 and hour >= $2 and hour < $3
         group by 1 order by 1",
    )
    .bind(tenant.uuid())
    .bind(span.from().0)
    .bind(span.to().0)
    .bind(span.period().length())
    .fetch_all(&mut *db)
    .await?;
    let mut sums: Vec<PeriodUsage> = rows.into_iter().map(Into::into).collect();
    for reading in readings.iter().filter(|reading| reading.tenant == tenant && span.has(reading.hour)) {
        let kept: Option<CounterRow> = query_as(
            "select requests, refused, evaluations, bars, fuel from usage
             where tenant_id = $1 and hour = $2 and counter = $3",
        )
        .bind(tenant.uuid())
        .bind(reading.hour.0)
        .bind(reading.counter)
        .fetch_optional(&mut *db)
        .await?;
        sums.push(PeriodUsage { from: reading.hour, used: reading.used.since(kept.unwrap_or_default().try_into()?) });
    }
    Ok(sums)
}
