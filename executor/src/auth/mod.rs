//! Who is calling: API keys, the secret behind them, and what their roles permit. Knows nothing of HTTP.

pub mod first_key;
pub mod key;
pub mod keyring;
pub mod oidc;
pub mod permission;
mod private_file;
pub mod seal;
pub mod secret;
pub mod vault;

pub use keyring::{Authenticated, Denied, Keyring};
