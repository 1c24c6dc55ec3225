//! Requests that create something and may be sent again: the second time gives what the first one made.

use uuid::Uuid;

use super::audit::Chain;

/// A request under a caller's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// SHA-256 of the caller's `Idempotency-Key`.
    pub key: [u8; 32],
    /// SHA-256 of method, address and body.
    pub request: [u8; 32],
}

/// A request that was begun: whoever holds the token may end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose request it is: a tenant's, or the platform's.
    pub owner: Chain,
    /// The request.
    pub request: IdempotentRequest,
    /// Tells this try from another.
    pub token: Uuid,
}

/// What beginning a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nobody has sent it: go on.
    Claimed(Claim),
    /// It was done: this was made.
    Done(Made),
    /// Another try is not over yet.
    InFlight,
    /// The key was used for another request.
    Differs,
}

/// What a request made, as much as is needed to answer it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Name or id of what was made.
    pub subject: String,
    /// Number of the version, if it has one.
    pub number: Option<u32>,
    /// What the answer has beside it: JSON text.
    pub detail: String,
}
