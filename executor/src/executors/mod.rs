//! Runs of modules in other processes, which hold no credentials and reach nothing: `rulebox serve --role executor`.
//!
//! [`client`] is an [`Engine`](crate::execution::engine::Engine) for `--role api`, which hands runs to executors, and
//! [`server`] is what an executor does with them. Between them are [`wire`]'s messages, in HTTP/2 over mutual TLS
//! ([`tls`]) or a Unix socket ([`address`]).
//!
//! Neither trusts the other further than it must: an executor runs tenants' code, so what it answers is held against
//! what it was asked, as if a module had said it itself; and runs are pure, so one that was lost with its executor is
//! done again by another.

pub mod address;
pub mod client;
pub mod server;
pub mod tls;
pub mod wire;
