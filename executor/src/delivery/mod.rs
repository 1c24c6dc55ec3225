//! Telling others what happened: webhooks of tenants, and whoever is on call, from the outbox of the store.
//!
//! ```text
//! store (outbox) -> outbox  -> webhook -> signature, address, names
//!                                       tunnel
//!                           -> turns
//!                -> on_call -> alertmanager
//! ```

pub mod address;
pub mod alertmanager;
pub mod names;
pub mod on_call;
pub mod outbox;
pub mod signature;
pub mod tunnel;
mod turns;
pub mod webhook;

use std::error::Error;

use address::BadAddress;
use names::{LookUpError, NotPublic};
use tunnel::NoTunnel;

impl From<LookUpError> for NotTaken {
    fn from(error: LookUpError) -> Self {
        match error {
            LookUpError::NotPublic(_) => Self::NotPublic,
            LookUpError::Unknown(error) => Self::Away(error.into()),
        }
    }
}

impl From<NoTunnel> for NotTaken {
    fn from(error: NoTunnel) -> Self {
        if error.is_of_the_proxy() { Self::NoWayOut(error.into()) } else { Self::Away(error.into()) }
    }
}

/// What the secrets of webhooks are closed for.
pub const SECRETS_PURPOSE: &str = "webhooks";

/// Why something was not taken. The texts are for tenants too: they tell nothing of the network that they cannot know.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// The URL is not one that may be connected to.
    #[error("{0}")]
    Address(#[from] BadAddress),
    /// The name stands for an address that may not be connected to. It reads as one that stands for none, so that nobody
    /// learns by it which names there are inside.
    #[error("no connection to a public address")]
    NotPublic,
    /// Nothing came in time.
    #[error("no answer in time")]
    Slow,
    /// No connection.
    #[error("no connection to a public address")]
    Away(#[source] Box<dyn Error + Send + Sync>),
    /// The proxy by which all goes out is away: it was not tried, and its receiver has no part in that.
    #[error("not tried")]
    NoWayOut(#[source] Box<dyn Error + Send + Sync>),
    /// The connection ended, or what came is no HTTP.
    #[error("no answer that could be read")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// Sent elsewhere.
    #[error("answered {0}: redirects are not followed")]
    Redirected(u16),
    /// An answer that is no success.
    #[error("answered {0}")]
    Answered(u16),
}

impl NotTaken {
    /// Whether it wants to hear no more of it: 410.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Answered(410))
    }

    fn of(error: reqwest::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(it) = cause {
            if it.is::<NotPublic>() {
                return Self::NotPublic;
            }
            cause = it.source();
        }
        if error.is_timeout() {
            Self::Slow
        } else if error.is_connect() {
            Self::Away(error.into())
        } else {
            Self::broken(error)
        }
    }

    fn broken(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Broken(error.into())
    }

    /// What a status says. The rest of the answer is not read.
    fn unless_success(status: u16) -> Result<(), Self> {
        match status {
            200..=299 => Ok(()),
            300..=399 => Err(Self::Redirected(status)),
            _ => Err(Self::Answered(status)),
        }
    }
}
