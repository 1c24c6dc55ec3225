//! Where a tenant wants to be told of what its modules did.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rulebox_sandbox::Severity;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::at::At;
use super::caller::{ActorId, TenantId};
use super::violation::Kind;

/// Type of the event that is sent to try a webhook.
pub const TEST_TOPIC: &str = "webhook.test";

/// A webhook as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where events are posted to.
    pub url: String,
    /// What its owner says of it.
    pub description: String,
    /// Names of the kinds of violations that are told; none: all.
    pub kinds: Vec<String>,
    /// The least that is told.
    pub severity: Severity,
    /// What signs, sealed.
    pub secret: Vec<u8>,
    /// The secret before, which signs as well until a time, sealed.
    pub previous: Option<(Vec<u8>, At)>,
    /// When it was made.
    pub created_at: At,
    /// Who made it.
    pub created_by: ActorId,
    /// Nothing is sent since then.
    pub disabled_at: Option<At>,
}

impl Webhook {
    /// Characters of the longest description.
    pub const DESCRIPTION_CHARS: usize = 200;

    /// Tells its secret from others, and nothing of it: SHA-256 of the sealed one, in base64.
    pub fn secret_mark(&self) -> String {
        mark(&self.secret)
    }

    /// The sealed secret that has this mark, if it is the one now or the one before.
    pub fn secret_of(&self, wanted: &str) -> Option<&[u8]> {
        let all = std::iter::once(&self.secret).chain(self.previous.as_ref().map(|(secret, _)| secret));
        all.map(Vec::as_slice).find(|secret| mark(secret) == wanted)
    }

    /// The event that tries it.
    pub fn test_event(id: Uuid, at: At) -> Value {
        json!({"type": TEST_TOPIC, "timestamp": at, "data": {"webhook_id": id}})
    }
}

fn mark(sealed: &[u8]) -> String {
    STANDARD_NO_PAD.encode(Sha256::digest(sealed))
}

/// A webhook that is to be kept.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Its id, which its secret is sealed for.
    pub id: Uuid,
    /// Where events are posted to.
    pub url: String,
    /// What its owner says of it.
    pub description: String,
    /// The kinds of violations that are told; none: all.
    pub kinds: Vec<Kind>,
    /// The least that is told.
    pub severity: Severity,
    /// Sealed.
    pub secret: Vec<u8>,
}

/// What shall be otherwise; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct WebhookChange {
    /// Where events are posted to.
    pub url: Option<String>,
    /// What its owner says of it.
    pub description: Option<String>,
    /// The kinds of violations that are told; none: all.
    pub kinds: Option<Vec<Kind>>,
    /// The least that is told.
    pub severity: Option<Severity>,
    /// Whether nothing is sent.
    pub disabled: Option<bool>,
}
