//! What delivers, of these settings.

use std::sync::Arc;
use std::time::Duration;

use super::StartError;
use crate::auth::vault::Vault;
use crate::config::Config;
use crate::delivery::address::Policy;
use crate::delivery::alertmanager::Alertmanagers;
use crate::delivery::names::SystemNames;
use crate::delivery::on_call::OnCall;
use crate::delivery::outbox::{Deliverer, Parts};
use crate::delivery::webhook::Poster;
use crate::domain::audit::Sealer;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;

/// A lease lasts so much longer than a try: the store is asked before and behind it.
const BESIDE_THE_TRY: Duration = Duration::from_secs(30);
/// The same of alerts, which are pushed again sooner if their process was killed: Alertmanager does not mind one twice.
const BESIDE_THE_PUSH: Duration = Duration::from_secs(10);

pub(super) fn deliverer(
    config: &Config,
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    sealer: Arc<dyn Sealer>,
    metrics: Metrics,
) -> Result<Deliverer, StartError> {
    let webhooks = &config.webhooks;
    let policy = Policy { allow_loopback: webhooks.allow_loopback };
    let poster = Poster::new(policy, Arc::new(SystemNames), webhooks.timeout(), webhooks.proxy.clone())?;
    if webhooks.allow_loopback {
        tracing::warn!("RULEBOX_WEBHOOKS__ALLOW_LOOPBACK is set: tenants may have this machine connect to itself");
    }
    Ok(Deliverer::new(Parts {
        store,
        vault,
        sealer,
        poster,
        tries: webhooks.tries,
        at_a_time: webhooks.at_a_time,
        lease: webhooks.timeout().saturating_add(BESIDE_THE_TRY),
        metrics,
    }))
}

pub(super) fn on_call(config: &Config, store: Arc<dyn Store>, metrics: Metrics) -> Result<OnCall, StartError> {
    let alerts = &config.alertmanager;
    let alertmanagers = Alertmanagers::new(&alerts.urls, alerts.timeout(), alerts.resend(), metrics.clone())?;
    Ok(OnCall::new(store, alertmanagers, alerts.timeout().saturating_add(BESIDE_THE_PUSH), metrics))
}
