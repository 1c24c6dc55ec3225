//! What is to be told elsewhere, and how far that has come.

use uuid::Uuid;

use super::at::At;
use super::caller::TenantId;

/// Deliveries that may wait for one webhook. What comes beyond them is given up at once, and may be replayed: a receiver
/// that takes nothing must not hold up those of others.
pub const MOST_WAITING: u32 = 1_000;

/// To whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryKind {
    /// An endpoint of a tenant's.
    Webhook,
    /// Whoever is on call.
    Alert,
}

impl DeliveryKind {
    /// Its name in stores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Alert => "alert",
        }
    }
}

/// How far a delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is tried again.
    Pending,
    /// It was taken.
    Delivered,
    /// It was given up.
    Dead,
}

impl DeliveryState {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// Its name in stores and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// The state of a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Something that is to be told to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The same at every try.
    pub id: Uuid,
    /// Whose it is; `None` for what is of the platform.
    pub tenant: Option<TenantId>,
    /// The webhook; `None` for an alert.
    pub endpoint: Option<Uuid>,
    /// What it is about, if it is one.
    pub violation: Option<Uuid>,
    /// Type of the event.
    pub topic: String,
    /// JSON: type, timestamp, data.
    pub payload: String,
    /// When it happened.
    pub created_at: At,
    /// It is not tried before.
    pub due_at: At,
    /// Tries that failed.
    pub tries: u32,
    /// How far it has come.
    pub state: DeliveryState,
    /// Of the latest try that failed.
    pub last_error: Option<String>,
    /// When it was taken or given up.
    pub done_at: Option<At>,
}

/// A delivery that somebody tries now; nobody else does until the lease is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// What to tell.
    pub delivery: Delivery,
    /// Proves the lease.
    pub token: Uuid,
}
