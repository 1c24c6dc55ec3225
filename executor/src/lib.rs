//! Rulebox: compiles tenants' trading rules to WebAssembly, keeps them as immutable versions, and runs them over
//! account bars inside a sandbox, behind an HTTP API.
//!
//! ```text
//! request -> api -> service -> {store, shared, execution} -> domain
//! ```
//!
//! `axum` appears only in [`api`], [`server`] and [`app`]; `sqlx` only in [`store`]; `redis` only in [`shared`];
//! `wasmtime` nowhere: it is the sandbox crate's.

#![forbid(unsafe_code)]

pub mod api;
pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod confinement;
pub mod delivery;
pub mod demo;
pub mod domain;
pub mod execution;
pub mod executors;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod invalidation;
pub mod jobs;
pub mod metering;
pub mod server;
pub mod service;
pub mod shared;
pub mod store;
pub mod telemetry;
