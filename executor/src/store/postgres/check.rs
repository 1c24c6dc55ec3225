//! Whether the store can be used now.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::migrate::MIGRATOR;
use super::{PostgresStore, dialect};
use crate::store::migrations::latest;
use crate::store::scope::Scope;
use crate::store::{StoreError, Unavailable};

/// The longest that readiness waits.
const PATIENCE: Duration = Duration::from_secs(2);
/// An answer so old is still one: who asks often gets the answer of the one before.
const FRESH: Duration = Duration::from_secs(1);

/// In the same round trip: with which programs the tables work. A later version may have changed them since the start.
const BEAT: &str = "update service set heartbeat_at = $1 where id = 1
                    returning (select oldest_program from compatibility)";

impl PostgresStore {
    /// Writes and commits one row as the application, and asks as the platform's login. Fails for good when a later
    /// version has taken away what this one needs.
    pub(super) async fn check_now(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + PATIENCE;
        timeout_at(deadline, self.check_by()).await.unwrap_or(Err(Unavailable::Busy.into()))
    }

    async fn check_by(&self) -> Result<(), StoreError> {
        let mut checked = self.checked.lock().await;
        if checked.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        let mut tx = self.write(Scope::Nobody).await?;
        let limit = tx.limit();
        let now = limit.hold(dialect::now(tx.db())).await?;
        let beat = sqlx::query_scalar::<_, Option<i64>>(BEAT).persistent(false).bind(now.0).fetch_optional(tx.db());
        let oldest = limit.hold(beat).await;
        let oldest = tx.end(oldest).await?.flatten();
        let latest = latest(&MIGRATOR);
        if let Some(oldest) = oldest.filter(|oldest| *oldest > latest) {
            return Err(Unavailable::Outgrown { oldest, latest }.into());
        }
        // That it begins is the answer.
        let tx = self.read(Scope::Platform).await?;
        tx.end(Ok(())).await?;
        *checked = Some(Instant::now());
        Ok(())
    }
}
