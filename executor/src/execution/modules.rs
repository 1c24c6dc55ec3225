//! Loaded modules: a bounded cache by digest, so that equal modules are compiled once, whoever uploaded them.

use std::sync::Arc;
use std::time::Instant;

use rulebox_dsl::manifest::Manifest;
use rulebox_sandbox::worker::WorkerError;
use rulebox_sandbox::{Digest, Refusal, RunError};
use tracing::Span;

use super::cache::{Bounds, Cache};
use super::engine::{Engine, Unloaded};
use super::fair::Owner;
use super::prepared::Prepared;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::spans;

/// Why a module is not ready.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The gate refused it.
    #[error("the module was refused: {0:?}")]
    Refused(Refusal),
    /// Its clock is of a zone that the bundled database does not have.
    #[error("the rule's time zone `{0}` is not in this version's database")]
    Zone(String),
    /// What would compile it is away, or has no room.
    #[error("the module cannot be loaded now")]
    Away(#[source] RunError),
    /// The bytes are not the ones that the digest was made of.
    #[error("the module's bytes have digest {found}, not {expected}")]
    Digest {
        /// Of the version.
        expected: Digest,
        /// Of the bytes.
        found: Digest,
    },
    /// There is nobody to compile it now, which says nothing of the module. Try again.
    #[error("no compile worker could compile the module: {0}")]
    NoWorker(#[source] WorkerError),
}

/// What is counted for a module beside its code and its bytes: its manifest, and what the engine keeps of it.
pub const ENTRY_BYTES: usize = 16 << 10;

/// The cache and what fills it.
#[derive(Clone, Debug)]
pub struct Modules {
    engine: Arc<dyn Engine>,
    loaded: Cache<Arc<Prepared>>,
    metrics: Metrics,
}

impl Modules {
    /// Keeps so many.
    pub fn new(engine: Arc<dyn Engine>, bounds: Bounds, metrics: Metrics) -> Self {
        Self { engine, loaded: Cache::new(bounds), metrics }
    }

    /// A module that is loaded already.
    pub fn get(&self, owner: impl Into<Owner>, digest: Digest) -> Option<Arc<Prepared>> {
        let found = self.loaded.get(owner.into(), &digest.0);
        let result = if found.is_some() { "hit" } else { "miss" };
        self.metrics.module_cache.with_label_values(&["memory", result]).inc();
        found
    }

    /// Loads a module and keeps it. Compiles, once for all that ask at the same time: not for async threads.
    ///
    /// # Errors
    /// If the gate refuses it, or the bytes are not those of the digest.
    pub fn load(
        &self,
        owner: impl Into<Owner>,
        digest: Digest,
        bytes: &[u8],
        manifest: &Manifest,
    ) -> Result<Arc<Prepared>, Arc<LoadError>> {
        self.loaded.get_or_make(owner.into(), digest.0, || {
            let prepared = self.load_anew(digest, bytes, manifest)?;
            let size = prepared.module.code_bytes().saturating_add(bytes.len()).saturating_add(ENTRY_BYTES);
            Ok((prepared, size))
        })
    }

    fn load_anew(&self, digest: Digest, bytes: &[u8], manifest: &Manifest) -> Result<Arc<Prepared>, LoadError> {
        let found = Digest::of(bytes);
        if found != digest {
            return Err(LoadError::Digest { expected: digest, found });
        }
        let began = Instant::now();
        let compiled = manifest.cost.is_some();
        let stage = if compiled { "load" } else { "worker" };
        let span = spans::compile(&Span::current(), stage);
        let _within = span.enter();
        let module = self.engine.load(Unloaded { digest, bytes, compiled });
        let result = match &module {
            Ok(_) => "ok",
            Err(LoadError::Refused(refusal)) => {
                self.metrics.compile_rejected.with_label_values(&[refusal.kind.name()]).inc();
                "refused"
            }
            Err(_) => "failed",
        };
        self.metrics.compile_duration.with_label_values(&[stage, result]).observe(began.elapsed().as_secs_f64());
        spans::compiled(result);
        let module = module?;
        let zone = manifest.clock.zone.clone();
        Ok(Arc::new(Prepared::new(module, manifest.clone()).ok_or(LoadError::Zone(zone))?))
    }
}
