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

/// For what a module is to run. One of our compiler has a form for each, unless its state is too large for the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any number of bars.
    Columns,
    /// One bar, or a few.
    Bar,
}

impl Form {
    /// What the form of a module is kept by: nothing else has the complement of a digest.
    fn key(self, digest: Digest) -> [u8; 32] {
        match self {
            Self::Columns => digest.0,
            Self::Bar => digest.0.map(|byte| !byte),
        }
    }
}

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
    pub fn get(&self, owner: impl Into<Owner>, digest: Digest, form: Form) -> Option<Arc<Prepared>> {
        let found = self.loaded.get(owner.into(), &form.key(digest));
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
        form: Form,
        bytes: &[u8],
        manifest: &Manifest,
    ) -> Result<Arc<Prepared>, Arc<LoadError>> {
        self.loaded.get_or_make(owner.into(), form.key(digest), || {
            let prepared = self.load_anew(digest, form, bytes, manifest)?;
            let size = prepared.module.code_bytes().saturating_add(bytes.len()).saturating_add(ENTRY_BYTES);
            Ok((prepared, size))
        })
    }

    fn load_anew(
        &self,
        digest: Digest,
        form: Form,
        bytes: &[u8],
        manifest: &Manifest,
    ) -> Result<Arc<Prepared>, LoadError> {
        let found = Digest::of(bytes);
        if found != digest {
            return Err(LoadError::Digest { expected: digest, found });
        }
        let began = Instant::now();
        let compiled = manifest.cost.is_some();
        let stage = if compiled { "load" } else { "worker" };
        let span = spans::compile(&Span::current(), stage);
        let _within = span.enter();
        let unloaded = Unloaded { digest, bytes, compiled };
        let bar = if form == Form::Bar { self.engine.load_bar(unloaded) } else { Ok(None) };
        let module = bar.and_then(|bar| bar.map_or_else(|| self.engine.load(unloaded), Ok));
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
