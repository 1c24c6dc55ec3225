//! Use cases: what the service does for a tenant, without a word of HTTP.

pub mod admission;
pub mod audit;
mod differential;
pub mod error;
pub mod evaluate;
mod fuel;
mod idempotency;
pub mod keys;
mod memory;
pub mod modules;
mod overrun;
pub mod quarantine;
pub mod rules;
mod runs;
pub mod sessions;
mod settle;
pub mod sockets;
pub mod stream;
pub mod tenant_limits;
pub mod tenants;
mod usage;
pub mod violations;
pub mod webhooks;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use rulebox_sandbox::Limits;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Keyring;
use crate::auth::vault::Vault;
use crate::config::{Config, Role};
use crate::domain::at::At;
use crate::domain::audit::{Chain, Sealer};
use crate::domain::caller::{Actor, RequestMarks, TenantId};
use crate::domain::idempotency::Claim;
use crate::execution::cache::Bounds;
use crate::execution::compile::Compiler;
use crate::execution::engine::Engine;
use crate::execution::modules::Modules;
use crate::execution::pool::Pool;
use crate::execution::room::Rooms;
use crate::execution::shares::Shares;
use crate::invalidation::Generations;
use crate::metering::Meter;
use crate::shared::{self, Shared};
use crate::store::{Change, Store, StoreError};
use crate::telemetry::metrics::Metrics;
use differential::Checks;
use memory::Memory;

pub use error::ServiceError;
pub use sessions::keys::SessionKeys;
use sockets::Sockets;
use violations::{BadKeys, News, Repeats};

/// On whose behalf something is done, and in which request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The tenant.
    pub tenant: TenantId,
    /// Who it is.
    pub actor: Actor,
    /// Of the request.
    pub marks: RequestMarks,
}

/// Who does something for the platform, and in which request.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Who it is.
    pub actor: Actor,
    /// Of the request.
    pub marks: RequestMarks,
}

/// What a service is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// What replicas share.
    pub shared: Shared,
    /// Who is who.
    pub keyring: Arc<Keyring>,
    /// Seals the audit log.
    pub sealer: Arc<dyn Sealer>,
    /// Seals the cursors of lists.
    pub cursors: Arc<dyn Sealer>,
    /// Names and seals sessions.
    pub session_keys: Arc<SessionKeys>,
    /// Closes the secrets of webhooks.
    pub vault: Arc<Vault>,
    /// What runs modules.
    pub engine: Arc<dyn Engine>,
    /// What is remembered of the store, and no longer true.
    pub generations: Arc<Generations>,
    /// Counts what tenants use.
    pub meter: Arc<Meter>,
    /// The settings in force.
    pub settings: Arc<Config>,
    /// The metrics.
    pub metrics: Metrics,
}

/// How long runs have to end when the service stops. A call into a module is over at its deadline, if not before.
const STOP_TIME: Duration = Duration::from_secs(5);

/// The use cases. Cheap to clone: each request does, more than once.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

impl Deref for Service {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// Everything that use cases need.
pub struct Inner {
    store: Arc<dyn Store>,
    shared: Shared,
    keyring: Arc<Keyring>,
    sealer: Arc<dyn Sealer>,
    cursors: Arc<dyn Sealer>,
    generations: Arc<Generations>,
    remembered: Memory,
    session_keys: Arc<SessionKeys>,
    vault: Arc<Vault>,
    /// Of open WebSockets.
    sockets: Sockets,
    /// Of violations that are open.
    repeats: Arc<Repeats>,
    /// In the security feed.
    news: News,
    bad_keys: BadKeys,
    compiler: Compiler,
    engine: Arc<dyn Engine>,
    /// Whether modules run in this process.
    runs_here: bool,
    modules: Modules,
    /// Modules of tenants, which wait for a compile worker: the texts of rules do not wait behind them.
    module_uploads: Pool,
    runs: Pool,
    texts: Pool,
    bar_runs: Pool,
    stream_turns: Pool,
    stream_shares: Shares,
    /// Of modules against their texts.
    checks: Arc<Checks>,
    rooms: Rooms,
    stopping: CancellationToken,
    streams_ending: CancellationToken,
    tasks: TaskTracker,
    limits: Limits,
    meter: Arc<Meter>,
    settings: Arc<Config>,
    metrics: Metrics,
}

impl Service {
    /// A service of these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            store,
            shared,
            keyring,
            sealer,
            cursors,
            session_keys,
            vault,
            engine,
            generations,
            meter,
            settings,
            metrics,
        } = parts;
        let (compile, evaluation) = (&settings.compile, &settings.evaluation);
        let limits = evaluation.of_run();
        let modules = Modules::new(
            Arc::clone(&engine),
            Bounds { entries: evaluation.loaded_modules, bytes: evaluation.loaded_bytes },
            metrics.clone(),
        );
        let refused = |queue| metrics.refused.with_label_values(&[queue]);
        // Those that hand runs to executors wait most of their time.
        let threads = if settings.role == Role::Api { settings.executors.threads } else { evaluation.threads };
        let runs = Pool::new("evaluation", threads, evaluation.queue).counting(refused("evaluation_queue"));
        // But texts of requests and answers keep a processor busy.
        let texts = match settings.role {
            Role::Api => Pool::new("text", evaluation.threads, evaluation.queue),
            _ => runs.clone(),
        };
        let bar_runs = Pool::new("bar", threads, evaluation.queue).counting(refused("bar_queue"));
        let stream_turns = Pool::new("stream", evaluation.streams, 0).counting(refused("streams"));
        let stopping = CancellationToken::new();
        Self(Arc::new(Inner {
            store,
            shared,
            keyring,
            sealer,
            cursors,
            remembered: Memory::new(&generations),
            generations,
            session_keys,
            vault,
            sockets: Sockets::new(
                settings.sessions.sockets,
                settings.sessions.tenant_sockets,
                settings.api.connections,
            ),
            repeats: Arc::default(),
            news: News::default(),
            bad_keys: BadKeys::default(),
            compiler: Compiler::new(&settings.compile, metrics.clone()),
            runs_here: engine.executors().is_none(),
            engine,
            modules,
            module_uploads: Pool::new("module", compile.workers, compile.queue)
                .strict()
                .of_each_owner(compile.of_tenant()),
            runs,
            texts,
            bar_runs,
            stream_turns,
            stream_shares: Shares::new(evaluation.tenant_streams),
            checks: Arc::new(Checks::new(&settings.differential, metrics.clone())),
            rooms: Rooms::new(evaluation.answers_in_flight_bytes),
            streams_ending: stopping.child_token(),
            stopping,
            tasks: TaskTracker::new(),
            limits,
            meter,
            settings,
            metrics,
        }))
    }

    /// What replicas share.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// What time it is, by the store's clock, which all replicas share.
    pub fn now(&self) -> At {
        self.generations.now()
    }

    /// Who is who.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// What seals the cursors of lists.
    pub fn cursors(&self) -> &dyn Sealer {
        &*self.cursors
    }

    /// Something of a tenant or of the platform was changed here: what is remembered of it no longer holds.
    /// Other replicas hear of it at once, if there is somebody to tell them.
    fn changed(&self, chain: Chain) {
        self.generations.changed(chain);
        let invalidations = Arc::clone(&self.shared.invalidations);
        let change = shared::Change { tenant: chain.0 };
        self.tasks.spawn(async move { invalidations.publish(change).await });
    }

    /// Who changes something for a tenant.
    fn change(&self, caller: &Caller, claim: Option<Claim>) -> Change {
        self.change_by(&caller.actor, &caller.marks, claim)
    }

    fn change_by(&self, actor: &Actor, marks: &RequestMarks, claim: Option<Claim>) -> Change {
        let sealer = Arc::clone(&self.sealer);
        Change { actor: actor.clone(), request_id: marks.request_id.clone(), sealer, claim }
    }

    /// Open WebSockets, and the word to close them.
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// The settings in force.
    pub fn settings(&self) -> &Config {
        &self.settings
    }

    /// The same, for work that outlives its request.
    pub fn shared_settings(&self) -> Arc<Config> {
        Arc::clone(&self.settings)
    }

    /// The compiler's limits.
    pub fn compiler_limits(&self) -> &rulebox_dsl::Limits {
        self.compiler.limits()
    }

    /// The limits of a run.
    pub fn run_limits(&self) -> &Limits {
        &self.limits
    }

    /// The pool that compiles texts, and loads what was made of them.
    pub fn compiles(&self) -> &Pool {
        self.compiler.pool()
    }

    /// The pool that runs rules; reading and writing large requests belongs there too.
    pub fn runs(&self) -> &Pool {
        &self.runs
    }

    /// The pool that reads and writes what is large.
    pub fn texts(&self) -> &Pool {
        &self.texts
    }

    /// The pool that runs rules over single bars: a live engine does not wait behind others' backtests.
    pub fn bar_runs(&self) -> &Pool {
        &self.bar_runs
    }

    /// Ends the runs in flight, and waits until what they leave behind is recorded.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP_TIME, self.tasks.wait()).await.is_err() {
            tracing::warn!(runs = self.tasks.len(), "runs did not end when they were told to");
        }
    }

    /// Executors that are connected, and how many are known; `None` if rules run in this process.
    pub fn executors(&self) -> Option<(usize, usize)> {
        self.engine.executors()
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether the store can be read and written; sets its gauge.
    ///
    /// # Errors
    /// If it cannot.
    pub async fn check_store(&self) -> Result<(), StoreError> {
        let checked = self.store.check().await;
        self.metrics.dependency_up.with_label_values(&["store"]).set(i64::from(checked.is_ok()));
        checked
    }

    /// Sets the gauges that are read rather than counted.
    pub fn measure(&self) {
        let depth = |waiting: usize| i64::try_from(waiting).unwrap_or(i64::MAX);
        if let Some(up) = self.shared.health.up() {
            self.metrics.dependency_up.with_label_values(&["redis"]).set(i64::from(up));
        }
        if let Some((connected, _)) = self.executors() {
            self.metrics.dependency_up.with_label_values(&["executors"]).set(i64::from(connected > 0));
        }
        self.metrics.load.compile_queue.set(depth(self.compiler.waiting() + self.module_uploads.waiting()));
        self.metrics.load.evaluation_queue.set(depth(self.runs.waiting() + self.bar_runs.waiting()));
        let in_flight = self.runs.in_flight() + self.bar_runs.in_flight();
        self.metrics.load.evaluations_in_flight.set(depth(in_flight));
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

/// Cuts a page that was read with one entry more, which tells whether there are more.
fn page<T>(mut entries: Vec<T>, limit: u32) -> (Vec<T>, bool) {
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    (entries, more)
}
