//! Who is calling: API keys, what their roles permit, and the type that proves it to the rest of the service.

pub mod extract;
pub mod key;
pub mod keyring;
pub mod permission;
pub mod secret;

pub use extract::Tenant;
pub use keyring::{Denied, Keyring};
