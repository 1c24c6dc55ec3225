//! What delivers, of these settings.

use std::sync::Arc;
use std::time::Duration;

use super::StartError;
use crate::auth::vault::Vault;
use crate::config::Config;
use crate::delivery::address::Policy;
use crate::delivery::alertmanager::{Alertmanager, AlertmanagerError};
use crate::delivery::names::SystemNames;
use crate::delivery::outbox::{Deliverer, Parts};
use crate::delivery::webhook::Poster;
use crate::domain::audit::Sealer;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;

/// A lease lasts so much longer than a try: the store is asked before and behind it.
const BESIDE_THE_TRY: Duration = Duration::from_secs(30);

pub(super) fn deliverer(
    config: &Config,
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    sealer: Arc<dyn Sealer>,
    metrics: Metrics,
) -> Result<Deliverer, StartError> {
    let (webhooks, alerts) = (&config.webhooks, &config.alertmanager);
    let policy = Policy { allow_loopback: webhooks.allow_loopback };
    let poster = Poster::new(policy, Arc::new(SystemNames), webhooks.timeout()).map_err(AlertmanagerError::Client)?;
    let alertmanager =
        alerts.url.as_deref().map(|url| Alertmanager::new(url, alerts.timeout(), alerts.resend())).transpose()?;
    if webhooks.allow_loopback {
        tracing::warn!("RULEBOX_WEBHOOKS__ALLOW_LOOPBACK is set: tenants may have this machine connect to itself");
    }
    Ok(Deliverer::new(Parts {
        store,
        vault,
        sealer,
        poster,
        alertmanager,
        tries: webhooks.tries,
        at_a_time: webhooks.at_a_time,
        lease: webhooks.timeout().max(alerts.timeout()).saturating_add(BESIDE_THE_TRY),
        metrics,
    }))
}
