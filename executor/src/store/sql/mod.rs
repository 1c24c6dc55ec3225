//! The SQL that both stores speak, and what is made of its rows.
//!
//! This folder is compiled twice, as a part of `sqlite` and of `postgres`: `super::dialect` is theirs. It has what
//! differs: the types of the connection, whether statements are kept prepared, locks, and the next number of a
//! sequence. Functions here are given a connection within a transaction, and never begin or end one.

mod audit;
mod events;
mod keys;
mod outbox;
mod outbox_store;
mod platform_store;
mod quarantines;
mod requests;
mod retention;
mod review;
mod review_store;
mod row;
mod rule_store;
mod rules;
mod service;
mod stored;
mod tenancy_store;
mod tenants;
mod usage;
mod versions;
mod violations;
mod webhook_store;
mod webhooks;

use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{Database, FromRow};

use super::dialect::{self, Connection, Db, PERSISTENT};

type Arguments = <Db as Database>::Arguments;

/// Every statement goes through these three: whether it stays prepared is the dialect's to say.
fn query<'q>(sql: &'static str) -> Query<'q, Db, Arguments> {
    sqlx::query(sql).persistent(PERSISTENT)
}

fn query_as<'q, O>(sql: &'static str) -> QueryAs<'q, Db, O, Arguments>
where
    O: for<'r> FromRow<'r, <Db as Database>::Row>,
{
    sqlx::query_as(sql).persistent(PERSISTENT)
}

fn query_scalar<'q, O>(sql: &'static str) -> QueryScalar<'q, Db, O, Arguments>
where
    (O,): for<'r> FromRow<'r, <Db as Database>::Row>,
{
    sqlx::query_scalar(sql).persistent(PERSISTENT)
}
