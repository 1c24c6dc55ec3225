//! Runs rule modules that nobody trusts, and gives each no more than its limits.
//!
//! A [`Sandbox`] is the engine. [`Sandbox::load`] checks a module's bytes, bounds what it costs to compile, and
//! compiles it to a [`Module`]. [`Module::start`] makes an [`Instance`] in a fresh store; [`Instance::eval`] runs bars
//! through it. What a module does against its limits is a [`Violation`] (or, before it ever runs, a [`Refusal`]): typed,
//! and after it the process is as it was before.
//!
//! This crate knows no rules, no tenants and no network, and is the only one that knows Wasmtime. All of it is
//! synchronous: call it from threads that may be busy for a while, with at least a MiB of stack.

mod account;
mod bar;
mod engine;
mod instance;
mod limiter;
mod limits;
mod memory;
mod message;
mod module;
mod outcome;
mod outline;
mod precompile;
mod run;
mod sealed;
pub mod selftest;
mod setup;
mod ticker;
mod trap;
mod validate;
pub mod worker;

pub use bar::{BarForm, BarInstance, BarModule};
pub use engine::{Sandbox, SandboxError, prepare};
pub use instance::{Instance, RunReport, Shape};
pub use limits::{Limits, Messages, ModuleLimits, PAGE_BYTES, SandboxConfig};
pub use message::clean_message;
pub use module::{Digest, Module};
pub use outcome::{InputError, Refusal, RunError, Severity, Violation, ViolationKind};
pub use outline::{Outline, with_manifest};
pub use sealed::{CodeKey, CodeSealer, NotLoaded, NotSealed};
pub use trap::TrapCode;
