//! Hearing of what others change.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::generations::Generations;
use crate::domain::audit::Chain;
use crate::shared::{Change, Shared};
use crate::store::{PlatformStore, StoreError};

/// How often the store is asked.
const EVERY: Duration = Duration::from_millis(500);
/// How far back it is asked each time: a change that was under way gets its number before it can be seen.
const OVERLAP: i64 = 1_000;
/// How long the store may take to tell.
const PATIENCE: Duration = Duration::from_secs(2);
/// Chains that are known before the oldest are forgotten.
const KNOWN: usize = 10_000;

/// Asks the store what has changed, and hears what others tell, until `stop`.
pub async fn watch(
    store: Arc<dyn PlatformStore>,
    generations: Arc<Generations>,
    shared: &Shared,
    stop: CancellationToken,
) {
    let hear = hear(shared.invalidations.subscribe(), Arc::clone(&generations));
    tokio::select! {
        () = stop.cancelled() => {}
        () = hear => {}
        () = poll(store, generations) => {}
    }
}

/// What others tell comes at once, or not at all.
async fn hear(mut told: Receiver<Change>, generations: Arc<Generations>) {
    loop {
        match told.recv().await {
            Ok(Change { tenant: Some(tenant) }) => generations.changed(Chain(Some(tenant))),
            Ok(Change { tenant: None }) | Err(RecvError::Lagged(_)) => generations.everything_changed(),
            // Nobody will tell any more: the store is asked all the same.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// What the store tells comes within its interval.
async fn poll(store: Arc<dyn PlatformStore>, generations: Arc<Generations>) {
    let mut watcher = Watcher { store, generations, last: None, known: HashMap::new() };
    let mut failing = false;
    loop {
        // An answer that is lost on its way must not be waited for.
        let asked = tokio::time::timeout(PATIENCE, watcher.ask()).await;
        let error = match asked {
            Ok(told) => told.err().map(|error| error.to_string()),
            Err(_) => Some(format!("there was no answer in {PATIENCE:?}")),
        };
        match error {
            None if failing => tracing::info!("the store tells of changes again"),
            None => {}
            Some(error) if failing => tracing::debug!(error, "the store does not tell of changes"),
            Some(error) => tracing::warn!(error, "the store does not tell of changes: nothing is remembered"),
        }
        failing = !watcher.generations.is_trusted();
        tokio::time::sleep(EVERY).await;
    }
}

struct Watcher {
    store: Arc<dyn PlatformStore>,
    generations: Arc<Generations>,
    /// The largest number that was seen; none before the first answer.
    last: Option<i64>,
    known: HashMap<Chain, i64>,
}

impl Watcher {
    async fn ask(&mut self) -> Result<(), StoreError> {
        let asked = Instant::now();
        let from = self.last.map_or(0, |last| last.saturating_sub(OVERLAP));
        let (changed, at) = self.store.changed_since(from).await?;
        for (chain, number) in changed {
            if self.known.insert(chain, number) != Some(number) && self.last.is_some() {
                self.generations.changed(chain);
            }
            self.last = Some(self.last.map_or(number, |last| last.max(number)));
        }
        // A store without any change has number 0.
        self.last.get_or_insert(0);
        if self.known.len() > KNOWN {
            let from = self.last.map_or(0, |last| last.saturating_sub(OVERLAP));
            self.known.retain(|_, number| *number >= from);
        }
        self.generations.heard(asked, at);
        Ok(())
    }
}
