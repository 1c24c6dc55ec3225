//! Where compiled code is kept, by the settings.

use std::sync::Arc;

use rulebox_sandbox::{CodeKey, CodeSealer, ModuleLimits, Sandbox};
use tokio::sync::mpsc::Sender;

use super::StartError;
use crate::auth::secret::Secrets;
use crate::config::{Config, Role};
use crate::domain::compiled_code::CodeStore;
use crate::execution::code_cache::{Alarm, CodeCache, Directory};
use crate::shared::redis::{RedisCode, RedisShared};
use crate::telemetry::metrics::Metrics;

/// What the key of the seals is derived for.
const PURPOSE: &str = "code cache";

/// A cache that has no engine yet.
#[derive(Debug)]
pub(super) struct Kept {
    key: CodeKey,
    stores: Vec<Arc<dyn CodeStore>>,
    alarms: Sender<Alarm>,
    metrics: Metrics,
}

impl Kept {
    /// The places of the settings; nothing if there are none, or if this process compiles nothing. What goes on in them
    /// is told to `alarms` and `metrics`.
    ///
    /// # Errors
    /// If the directory cannot be used, or there is no Redis to use.
    pub fn new(
        config: &Config,
        secrets: &Secrets,
        redis: Option<&Arc<RedisShared>>,
        alarms: Sender<Alarm>,
        metrics: &Metrics,
    ) -> Result<Option<Self>, StartError> {
        let settings = &config.code_cache;
        if settings.directory.is_none() && settings.redis_bytes == 0 {
            return Ok(None);
        }
        if config.role != Role::All {
            // Executors hold no key to know the code by.
            tracing::warn!("executors compile what they run: RULEBOX_CODE_CACHE__* is of no use with this role");
            return Ok(None);
        }
        let mut stores: Vec<Arc<dyn CodeStore>> = Vec::new();
        if let Some(directory) = &settings.directory {
            stores.push(Arc::new(Directory::open(directory, settings.bytes)?));
        }
        if settings.redis_bytes > 0 {
            let redis = redis.ok_or(StartError::Unset {
                setting: "RULEBOX_REDIS__URL",
                reason: "RULEBOX_CODE_CACHE__REDIS_BYTES has compiled code kept in Redis",
            })?;
            stores.push(Arc::new(RedisCode::new(Arc::clone(redis), settings.redis_bytes)));
        }
        // The secret in force alone: what was sealed with one before it has another name, and is compiled anew.
        let Some(derived) = secrets.derive(PURPOSE).into_iter().next() else { return Ok(None) };
        let key = CodeKey::new(&derived.tag(&[b"machine code"]));
        Ok(Some(Self { key, stores, alarms, metrics: metrics.clone() }))
    }

    /// The cache of what passes the gate with these limits and runs in this sandbox.
    pub fn of(self, sandbox: &Sandbox, limits: &ModuleLimits) -> CodeCache {
        let sealer = CodeSealer::new(sandbox.clone(), limits, self.key);
        CodeCache::new(sealer, self.stores, self.alarms, self.metrics)
    }
}
