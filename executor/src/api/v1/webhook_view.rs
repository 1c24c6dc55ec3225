//! Webhooks and deliveries as answers show them, and as requests ask for them.

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::params::shorten;
use crate::api::problem::{Code, Problem};
use crate::domain::at::At;
use crate::domain::outbox::{Delivery, DeliveryState};
use crate::domain::violation::{Kind, SEVERITIES, find_severity};
use crate::domain::webhook::{Webhook, WebhookChange};
use crate::service::webhooks::{MadeWebhook, WebhookRequest};

/// Where a tenant wants to be told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookView {
    /// Its id.
    pub id: String,
    /// Where events are posted to.
    pub url: String,
    /// What its owner says of it.
    pub description: String,
    /// The kinds of violations that are told; none: all.
    pub kinds: Vec<String>,
    /// The least that is told: `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; nothing is sent since then.
    pub disabled_at: Option<String>,
    /// RFC 3339; until then the secret before signs as well.
    pub previous_secret_until: Option<String>,
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        let text = |at: At| at.to_string();
        Self {
            id: webhook.id.to_string(),
            url: webhook.url,
            description: webhook.description,
            kinds: webhook.kinds,
            severity: webhook.severity.name().to_owned(),
            created_at: webhook.created_at.to_string(),
            disabled_at: webhook.disabled_at.map(text),
            previous_secret_until: webhook.previous.map(|(_, until)| text(until)),
        }
    }
}

/// A webhook with its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeWebhook)]
pub struct MadeWebhookView {
    /// What signs, as the libraries of Standard Webhooks take it: shown this once.
    pub secret: String,
    /// The webhook.
    #[serde(flatten)]
    pub webhook: WebhookView,
}

impl From<MadeWebhook> for MadeWebhookView {
    fn from(made: MadeWebhook) -> Self {
        Self { secret: made.secret.expose_secret().to_owned(), webhook: made.webhook.into() }
    }
}

/// A page of webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookList {
    /// In the order in which they were made.
    pub webhooks: Vec<WebhookView>,
    /// `cursor` of the next page, if there is one; also as `Link: rel="next"`.
    pub next: Option<String>,
}

/// Something that a webhook was sent, or will be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// Its id, which the receiver is sent as `webhook-id`.
    pub id: String,
    /// `violation.opened`, `rule.quarantined`, `rule.released` or `webhook.test`.
    #[serde(rename = "type")]
    pub topic: String,
    /// The violation that it tells of.
    pub violation_id: Option<String>,
    /// `pending`, `delivered` or `dead`, which was given up.
    pub state: String,
    /// Tries that failed.
    pub tries: u32,
    /// Why the latest of them did.
    pub last_error: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; of one that is pending: when it is tried next.
    pub due_at: Option<String>,
    /// RFC 3339; when it was delivered or given up.
    pub done_at: Option<String>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let is_pending = delivery.state == DeliveryState::Pending;
        Self {
            id: delivery.id.to_string(),
            topic: delivery.topic,
            violation_id: delivery.violation.map(|id| id.to_string()),
            state: delivery.state.name().to_owned(),
            tries: delivery.tries,
            last_error: delivery.last_error,
            created_at: delivery.created_at.to_string(),
            due_at: is_pending.then(|| delivery.due_at.to_string()),
            done_at: delivery.done_at.map(|at| at.to_string()),
        }
    }
}

/// A page of deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryList {
    /// From the newest on.
    pub deliveries: Vec<DeliveryView>,
    /// `cursor` of the next page, if there is one; also as `Link: rel="next"`.
    pub next: Option<String>,
}

/// A webhook that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhookRequest {
    /// Where events are posted to: an https address on the internet.
    pub url: String,
    /// What its owner says of it.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub description: String,
    /// The kinds of violations that are told, `fuel_exhausted`; none: all. That a rule is stopped or let go is always
    /// told.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The least that is told: `low`, `medium`, `high` or `critical`.
    #[serde(default = "least")]
    pub severity: String,
}

fn least() -> String {
    "low".to_owned()
}

impl NewWebhookRequest {
    /// What tells one such request from another.
    pub fn marks(&self) -> String {
        format!("{:?}", (&self.url, &self.description, &self.kinds, &self.severity))
    }
}

impl TryFrom<NewWebhookRequest> for WebhookRequest {
    type Error = Problem;

    fn try_from(request: NewWebhookRequest) -> Result<Self, Problem> {
        Ok(Self {
            url: request.url,
            description: request.description,
            kinds: kinds(&request.kinds)?,
            severity: severity(&request.severity)?,
        })
    }
}

/// What shall be otherwise; what is not there stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookChangeRequest {
    /// Where events are posted to.
    #[serde(default)]
    pub url: Option<String>,
    /// What its owner says of it.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub description: Option<String>,
    /// The kinds of violations that are told; none: all.
    #[serde(default)]
    pub kinds: Option<Vec<String>>,
    /// The least that is told.
    #[serde(default)]
    pub severity: Option<String>,
    /// Whether nothing is sent.
    #[serde(default)]
    pub disabled: Option<bool>,
}

impl TryFrom<WebhookChangeRequest> for WebhookChange {
    type Error = Problem;

    fn try_from(request: WebhookChangeRequest) -> Result<Self, Problem> {
        Ok(Self {
            url: request.url,
            description: request.description,
            kinds: request.kinds.as_deref().map(kinds).transpose()?,
            severity: request.severity.as_deref().map(severity).transpose()?,
            disabled: request.disabled,
        })
    }
}

fn kinds(names: &[String]) -> Result<Vec<Kind>, Problem> {
    let mut kinds = Vec::new();
    for name in names {
        let kind = Kind::find(name).ok_or_else(|| {
            let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            let detail = format!("there is no kind `{}`; there are: {}", shorten(name), known.join(", "));
            Problem::new(Code::INVALID_TEXT, detail).at("kinds")
        })?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

fn severity(name: &str) -> Result<rulebox_sandbox::Severity, Problem> {
    find_severity(name).ok_or_else(|| {
        let known = SEVERITIES.map(rulebox_sandbox::Severity::name).join(", ");
        let detail = format!("there is no severity `{}`; there are: {known}", shorten(name));
        Problem::new(Code::INVALID_TEXT, detail).at("severity")
    })
}
