//! Webhooks: made, changed, given other secrets, tried, and what they were sent.

use rulebox_sandbox::Severity;
use secrecy::SecretString;
use uuid::Uuid;

use super::{Caller, Service, ServiceError, page};
use crate::delivery::address::Policy;
use crate::delivery::outbox::owner;
use crate::delivery::signature::SigningSecret;
use crate::domain::audit::Chain;
use crate::domain::caller::{TenantId, is_hidden};
use crate::domain::idempotency::{IdempotentRequest, Made};
use crate::domain::outbox::Delivery;
use crate::domain::violation::Kind;
use crate::domain::webhook::{NewWebhook, Webhook, WebhookChange};

/// A webhook that is asked for.
#[derive(Clone, Debug)]
pub struct WebhookRequest {
    /// Where events are posted to.
    pub url: String,
    /// What its owner says of it.
    pub description: String,
    /// The kinds of violations that are told; none: all.
    pub kinds: Vec<Kind>,
    /// The least that is told.
    pub severity: Severity,
}

/// A webhook with its secret, which is shown this once.
#[derive(Debug)]
pub struct MadeWebhook {
    /// As it is kept.
    pub webhook: Webhook,
    /// What signs.
    pub secret: SecretString,
}

impl Service {
    /// Makes a webhook.
    ///
    /// # Errors
    /// [`ServiceError::BadUrl`], [`ServiceError::BadText`]; the tenant has as many as it may have.
    pub async fn create_webhook(
        &self,
        caller: &Caller,
        asked: &WebhookRequest,
        request: Option<IdempotentRequest>,
    ) -> Result<MadeWebhook, ServiceError> {
        let tenant = caller.tenant;
        let url = self.webhook_url(&asked.url)?;
        check_description(&asked.description)?;
        let work = async |claim| {
            let (id, secret) = (Uuid::now_v7(), SigningSecret::generate());
            let new = NewWebhook {
                id,
                url,
                description: asked.description.clone(),
                kinds: asked.kinds.clone(),
                severity: asked.severity,
                secret: self.vault.close(&owner(tenant, id), secret.bytes())?,
            };
            let most = self.settings.webhooks.per_tenant;
            let webhook = self.store.create_webhook(tenant, &new, most, &self.change(caller, claim)).await?;
            Ok(MadeWebhook { webhook, secret: secret.text() })
        };
        self.once(Chain(Some(tenant)), request, work, async |made: Made| self.made_before(tenant, &made).await).await
    }

    /// Gives a webhook another secret. The one before signs as well for a while, so that a receiver can change over.
    ///
    /// # Errors
    /// No such webhook.
    pub async fn rotate_webhook(
        &self,
        caller: &Caller,
        id: Uuid,
        request: Option<IdempotentRequest>,
    ) -> Result<MadeWebhook, ServiceError> {
        let tenant = caller.tenant;
        let work = async |claim| {
            let secret = SigningSecret::generate();
            let closed = self.vault.close(&owner(tenant, id), secret.bytes())?;
            let keep = self.settings.webhooks.rotation();
            let change = self.change(caller, claim);
            let webhook = self.store.rotate_webhook(tenant, id, &closed, keep, &change).await?;
            Ok(MadeWebhook { webhook, secret: secret.text() })
        };
        self.once(Chain(Some(tenant)), request, work, async |made: Made| self.made_before(tenant, &made).await).await
    }

    /// What the first of two same requests made: the secret is kept, and so can be shown to who sends it again. One that
    /// somebody else has had made since is none of his.
    async fn made_before(&self, tenant: TenantId, made: &Made) -> Result<MadeWebhook, ServiceError> {
        let lost = || ServiceError::BadText("the secret of the first request can no longer be shown".to_owned());
        let id: Uuid = made.subject.parse().map_err(|_| lost())?;
        let webhook = self.store.webhook(tenant, id).await?;
        let detail: serde_json::Value = serde_json::from_str(&made.detail).map_err(|_| lost())?;
        let closed = detail
            .get("secret")
            .and_then(|mark| mark.as_str())
            .and_then(|mark| webhook.secret_of(mark))
            .ok_or_else(lost)?;
        let secret = SigningSecret::of(self.vault.open(&owner(tenant, id), closed)?);
        Ok(MadeWebhook { webhook, secret: secret.text() })
    }

    /// A webhook.
    ///
    /// # Errors
    /// No such webhook.
    pub async fn webhook(&self, tenant: TenantId, id: Uuid) -> Result<Webhook, ServiceError> {
        Ok(self.store.webhook(tenant, id).await?)
    }

    /// A page of webhooks in the order in which they were made, and whether there are more.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn webhooks(
        &self,
        tenant: TenantId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<(Vec<Webhook>, bool), ServiceError> {
        Ok(page(self.store.webhooks(tenant, after, limit.saturating_add(1)).await?, limit))
    }

    /// Changes a webhook.
    ///
    /// # Errors
    /// As for a new one; no such webhook.
    pub async fn change_webhook(
        &self,
        caller: &Caller,
        id: Uuid,
        mut asked: WebhookChange,
    ) -> Result<Webhook, ServiceError> {
        if let Some(url) = &mut asked.url {
            *url = self.webhook_url(url)?;
        }
        if let Some(description) = &asked.description {
            check_description(description)?;
        }
        Ok(self.store.change_webhook(caller.tenant, id, &asked, &self.change(caller, None)).await?)
    }

    /// Removes a webhook; what waits for it is given up.
    ///
    /// # Errors
    /// No such webhook.
    pub async fn delete_webhook(&self, caller: &Caller, id: Uuid) -> Result<(), ServiceError> {
        Ok(self.store.delete_webhook(caller.tenant, id, &self.change(caller, None)).await?)
    }

    /// Has a webhook sent an event that tells of nothing.
    ///
    /// # Errors
    /// No such webhook.
    pub async fn test_webhook(&self, caller: &Caller, id: Uuid) -> Result<Delivery, ServiceError> {
        Ok(self.store.test_webhook(caller.tenant, id, &self.change(caller, None)).await?)
    }

    /// A page of what a webhook was sent, or will be, from the newest on; and whether there is more.
    ///
    /// # Errors
    /// No such webhook.
    pub async fn deliveries(
        &self,
        tenant: TenantId,
        webhook: Uuid,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<(Vec<Delivery>, bool), ServiceError> {
        self.store.webhook(tenant, webhook).await?;
        Ok(page(self.store.deliveries(tenant, webhook, after, limit.saturating_add(1)).await?, limit))
    }

    /// Has a delivery sent again now.
    ///
    /// # Errors
    /// No such webhook, or no such delivery.
    pub async fn replay_delivery(&self, caller: &Caller, webhook: Uuid, id: Uuid) -> Result<Delivery, ServiceError> {
        self.store.webhook(caller.tenant, webhook).await?;
        Ok(self.store.replay_delivery(caller.tenant, webhook, id, &self.change(caller, None)).await?)
    }

    /// The URL of a text, in the one form in which it is kept.
    fn webhook_url(&self, text: &str) -> Result<String, ServiceError> {
        let policy = Policy { allow_loopback: self.settings.webhooks.allow_loopback };
        Ok(policy.check(text)?.into())
    }
}

fn check_description(text: &str) -> Result<(), ServiceError> {
    let most = Webhook::DESCRIPTION_CHARS;
    if text.chars().count() > most || text.chars().any(is_hidden) {
        let said = format!("the description of a webhook has at most {most} characters, in one line");
        return Err(ServiceError::BadText(said));
    }
    Ok(())
}
