//! The service over HTTP, in process: a real server on a loopback port, a store in a temporary directory.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod access;
mod administration;
mod bad_input;
mod compressed;
mod connections;
mod described;
mod evaluate;
mod evaluate_rules;
mod harness;
mod health;
mod keys;
mod limits;
mod modules;
mod openapi;
mod receiver;
mod redis;
mod rule_life;
mod rules;
mod runs;
mod sessions;
mod start;
mod streams;
mod tokens;
mod upkeep;
mod usage;
mod violations;
mod webhooks;
