//! Rules of Rulebox in Rust: a struct of state, and one function from a bar to a verdict.
//!
//! [`rule!`] declares what the rule takes, gives and remembers, and makes the module around it: its exports, its
//! buffers, its manifest, and how a run is saved and resumed. A rule is written in safe Rust, without an allocator.
//!
//! # A complete rule
//!
//! ```
//! #![cfg_attr(target_arch = "wasm32", no_std)]
//! #![forbid(unsafe_code)]
//!
//! use rulebox_guest::compare::above;
//!
//! rulebox_guest::rule! {
//!     rule drawdown_guard;
//!     inputs { equity: num in 1.0..=1e15 }
//!     params { limit: num = 0.1 in 0.001..=1.0 }
//!     outs { drawdown: num }
//!     statements {
//!         over(drawdown: num, peak: num) => breach(liquidate) "{drawdown:.2%} under {peak:.2}";
//!     }
//!     /// The highest equity so far.
//!     state Guard { peak: f64 = 0.0 }
//! }
//!
//! impl Guard {
//!     fn judge(&mut self, bar: &Bar) -> Verdict {
//!         self.peak = self.peak.max(bar.equity);
//!         let drawdown = 1.0 - bar.equity / self.peak;
//!         let mut verdict = Verdict::ok();
//!         verdict.outs.drawdown = Some(drawdown);
//!         if above(drawdown, bar.params.limit) {
//!             verdict.over(drawdown, self.peak);
//!         }
//!         verdict
//!     }
//! }
//!
//! // In a test of the rule, natively:
//! # fn main() -> Result<(), rulebox_guest::Misuse> {
//! use rulebox_guest::{Runner, abi};
//! let mut run = Runner::<Guard>::new(&[("limit", 0.2)])?;
//! assert_eq!(run.bar(&[1000.0])?.verdict, abi::Verdict::Ok);
//! let said = run.bar(&[790.0])?;
//! assert_eq!((said.verdict, said.fired), (abi::Verdict::Breach, vec!["over"]));
//! assert_eq!(run.bar(&[f64::NAN])?.verdict, abi::Verdict::Fault);
//! # Ok(())
//! # }
//! ```
//!
//! # Building a module
//!
//! The crate of a rule is a `cdylib` (and an `rlib`, for its tests), one rule each:
//!
//! ```text
//! cargo build --release --target wasm32v1-none
//! ```
//!
//! (`rustup target add wasm32v1-none` brings the target.) There the crate must be `no_std`, as the example is by its first
//! line: this crate brings the panic handler, and the standard library would bring another one (E0152). On this target
//! no proposal is on that Rulebox has off. Use `lto = true`, `codegen-units = 1`, `strip = true`
//! and `panic = "abort"` in the profile, for a module of a few kB. Rust gives a module a MiB of stack;
//! `-C link-arg=-zstack-size=16384` is enough for a rule whose state is small.
//!
//! # Panics
//!
//! A panic in a rule traps: the run ends without a verdict, and the trap is held against the rule. What a rule cannot
//! judge is a fault instead: declare it, and answer `Verdict::fault`.

#![no_std]
#![expect(unsafe_code, reason = "exports, their one static, and the bytes of state; each place says why it is sound")]

#[cfg(not(target_arch = "wasm32"))]
extern crate std;

mod cell;
mod checked;
pub mod compare;
mod declared;
mod exports;
mod machine;
mod manifest;
mod memory;
mod module;
mod plain;
mod rule;
#[cfg(not(target_arch = "wasm32"))]
mod runner;
mod window;

pub use machine::Moment;
pub use plain::{Flag, Plain};
pub use rule::Rule;
pub use rulebox_abi as abi;
#[cfg(not(target_arch = "wasm32"))]
pub use runner::{Misuse, Runner, Said};
pub use window::{Last, Window};

/// What the macros name. Not for authors, and without promises.
#[doc(hidden)]
pub mod __private {
    pub use crate::cell::{FromCell, IntoCell};
    pub use crate::checked::is_name;
    pub use crate::declared::{Action, Arg, Clock, Declared, Hold, Input, Out, Param, Range, Statement, Type};
    pub use crate::machine::{Answer, Machine, NO_FRACTION, Program, Run, Start, fraction};
    pub use crate::manifest::Json;
    pub use crate::module::Module;
}

/// Traps. There is nobody to show a message to, and without it a module has no formatting code.
#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// The rule of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
