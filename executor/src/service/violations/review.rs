//! Looking at violations: lists, evidence, what reviewers do, the feed, and the text of a rule where it must be seen.

use uuid::Uuid;

use crate::domain::at::At;
use crate::domain::audit::Chain;
use crate::domain::caller::TenantId;
use crate::domain::review::{Filter, KeptViolation, Position, Review, SecurityEvent};
use crate::domain::rule::RuleName;
use crate::service::{Operator, Service, ServiceError, page};

/// Characters of the longest note, and of the longest reason.
pub const NOTE_CHARS: usize = 1_000;

/// Refuses a note that says nothing, or that a log cannot take.
///
/// # Errors
/// [`ServiceError::BadText`].
pub fn check_note(what: &str, text: &str) -> Result<(), ServiceError> {
    let control = |c: char| c.is_control() && c != '\n';
    if text.trim().is_empty() || text.chars().count() > NOTE_CHARS || text.contains(control) {
        let said = format!("a {what} has 1 to {NOTE_CHARS} characters, and no control characters but new lines");
        return Err(ServiceError::BadText(said));
    }
    Ok(())
}

impl Service {
    /// A page of violations from the newest on, and whether there are more: a tenant's, or those of all tenants for the
    /// platform.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn violations(
        &self,
        owner: Chain,
        filter: &Filter,
        after: Option<(At, Uuid)>,
        limit: u32,
    ) -> Result<(Vec<KeptViolation>, bool), ServiceError> {
        let found = self.store.violations(owner, filter, after, limit.saturating_add(1)).await?;
        Ok(page(found, limit))
    }

    /// A violation with all its evidence.
    ///
    /// # Errors
    /// No such violation, or another tenant's.
    pub async fn violation(&self, owner: Chain, id: Uuid) -> Result<KeptViolation, ServiceError> {
        Ok(self.store.violation(owner, id).await?)
    }

    /// Notes that a reviewer has seen a violation, or is done with it.
    ///
    /// # Errors
    /// No such violation; it is resolved; a note that is too long.
    pub async fn review(&self, operator: &Operator, id: Uuid, review: &Review) -> Result<KeptViolation, ServiceError> {
        if let Review::Resolve { note } = review {
            check_note("note", note)?;
            // What happened until now is of this one. What cannot be written now is of the next.
            if let Err(error) = self.flush_repeats().await {
                tracing::warn!(%error, "repeats of violations are not written before one is resolved");
            }
        }
        let change = self.change_by(&operator.actor, &operator.marks, None);
        let reviewed = self.store.review(id, review, &change).await?;
        if matches!(review, Review::Resolve { .. }) {
            self.repeats.forget(id);
        }
        self.news.come();
        Ok(reviewed)
    }

    /// Events of the feed behind a place.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn feed(&self, owner: Chain, after: Position, limit: u32) -> Result<Vec<SecurityEvent>, ServiceError> {
        Ok(self.store.feed(owner, after, limit).await?)
    }

    /// Where the feed ends now.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn feed_end(&self, owner: Chain) -> Result<Position, ServiceError> {
        Ok(self.store.feed_end(owner).await?)
    }

    /// The text of a version of any tenant's, for a reviewer who says why. That he reads it is in the tenant's audit log
    /// and the platform's before he does. `None` for a module that was not compiled here.
    ///
    /// # Errors
    /// No such rule or version; a reason that is too long.
    pub async fn break_glass(
        &self,
        operator: &Operator,
        tenant: TenantId,
        name: &RuleName,
        version: u32,
        reason: &str,
    ) -> Result<Option<String>, ServiceError> {
        check_note("reason", reason)?;
        let change = self.change_by(&operator.actor, &operator.marks, None);
        self.store.break_glass(tenant, name, version, reason, &change).await?;
        self.changed(Chain(Some(tenant)));
        tracing::warn!(%tenant, rule = %name, version, actor = %operator.actor.name, "a reviewer reads the text of a rule");
        Ok(self.store.source(tenant, name, version).await?)
    }
}
