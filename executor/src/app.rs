//! Puts the service together and runs it: store, key, pools, both ports, and the way it stops.

mod code_cache;
mod deliver;
pub mod engine;
pub mod executor;
pub mod opened;
pub mod tables;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api;
use crate::api::state::{ApiState, HealthState};
use crate::auth::Keyring;
use crate::auth::first_key::{FirstKey, FirstKeyError};
use crate::auth::oidc::{IssuerError, Issuers};
use crate::auth::secret::SecretError;
use crate::auth::vault::{Vault, VaultError};
use crate::config::Config;
use crate::confinement::ConfinementError;
use crate::delivery::SECRETS_PURPOSE;
use crate::delivery::alertmanager::AlertmanagerError;
use crate::delivery::webhook::NoClient;
use crate::domain::audit::Sealer;
use crate::execution::code_cache::{DirectoryError, alarms};
use crate::execution::engine::Engine;
use crate::execution::selftest::NotHeld;
use crate::executors::client::deaths;
use crate::executors::server::ListenError;
use crate::executors::tls::TlsError;
use crate::invalidation::{Generations, watch};
use crate::jobs;
use crate::metering::Meter;
use crate::server;
use crate::service::{Parts, Service, SessionKeys};
use crate::shared::Shared;
use crate::shared::in_process::InProcess;
use crate::shared::redis::{OpenError as RedisError, RedisShared};
use crate::store::sqlite::OpenError;
use crate::store::{PlatformStore, Store, postgres};
use crate::telemetry::metrics::{Metrics, MetricsError};
use code_cache::Kept;
use opened::Opened;

/// Why the service could not start. The text is for the operator: what was wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is taken or may not be had.
    #[error("cannot listen on {address}: {source}; is another process using the port? {setting} sets another")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// The variable that sets it.
        setting: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store of many replicas cannot be opened.
    #[error(transparent)]
    Database(#[from] postgres::OpenError),
    /// Its tables cannot be brought to this version's form.
    #[error(transparent)]
    Migration(#[from] postgres::MigrationError),
    /// A setting is missing that another one needs.
    #[error("{setting} is not set: {reason}")]
    Unset {
        /// The variable.
        setting: &'static str,
        /// Why it is needed.
        reason: &'static str,
    },
    /// The first key cannot be kept.
    #[error(transparent)]
    FirstKey(#[from] FirstKeyError),
    /// The master secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// An issuer of tokens cannot be used as it is written.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// A process that compiles modules cannot start.
    #[error(transparent)]
    Worker(#[from] rulebox_sandbox::worker::WorkerError),
    /// The sandbox cannot start.
    #[error("the sandbox cannot start: {0}")]
    Sandbox(#[from] rulebox_sandbox::SandboxError),
    /// A limit of the sandbox does not hold.
    #[error(transparent)]
    SelfTest(#[from] NotHeld),
    /// Certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An executor cannot listen.
    #[error(transparent)]
    Executor(#[from] ListenError),
    /// An executor cannot give up what it must.
    #[error(transparent)]
    Confinement(#[from] ConfinementError),
    /// The system refuses what an executor needs before it gives up its rights.
    #[error("the system refuses what an executor needs: {0}")]
    Prepare(#[source] std::io::Error),
    /// The address of Redis is none, or its connections have no thread.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Secrets cannot be closed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Webhooks cannot be sent.
    #[error(transparent)]
    Webhooks(#[from] NoClient),
    /// There is no Alertmanager to push to.
    #[error(transparent)]
    Alertmanager(#[from] AlertmanagerError),
    /// Compiled code cannot be kept where it is to be.
    #[error(transparent)]
    CodeCache(#[from] DirectoryError),
    /// Two metrics have one name.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// What goes on beside requests.
#[derive(Debug)]
struct Background {
    store: Arc<dyn PlatformStore>,
    generations: Arc<Generations>,
    shared: Shared,
    retention: jobs::Retention,
    upkeep: jobs::Upkeep,
    usage: jobs::FlushUsage,
    violations: jobs::Violations,
    deliver: jobs::Deliver,
}

impl Background {
    /// Runs all of it until `stop`.
    async fn run(self, stop: CancellationToken) {
        let Self { store, generations, shared, retention, upkeep, usage, violations, deliver } = self;
        let tasks = TaskTracker::new();
        let watched = stop.clone();
        tasks.spawn(async move { watch(store, generations, &shared, watched).await });
        tasks.spawn(retention.run(stop.clone()));
        tasks.spawn(upkeep.run(stop.clone()));
        tasks.spawn(violations.run(stop.clone()));
        tasks.spawn(deliver.run(stop.clone()));
        tasks.spawn(usage.run(stop));
        tasks.close();
        tasks.wait().await;
    }
}

/// Connections to the health port: probes and scrapers.
const HEALTH_CONNECTIONS: usize = 64;
/// The part of the time to drain that streams have to come to their end by themselves.
const STREAMS_PART: f64 = 0.75;

/// The service, started: both ports are bound, the store is open, no request has been answered yet.
#[derive(Debug)]
pub struct App {
    api: TcpListener,
    health: TcpListener,
    first_key: Option<FirstKey>,
    api_router: Router,
    health_router: Router,
    draining: Arc<AtomicBool>,
    drain: Duration,
    limits: server::Limits,
    store: Arc<dyn Store>,
    service: Service,
    background: Background,
}

impl App {
    /// Binds the ports and opens the store; makes the tenant and its key if the store is new.
    ///
    /// # Errors
    /// If a port is taken, the store is locked, read-only or not ours, or the master secret is not the store's.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Box::pin(Self::start_around(config, std::convert::identity)).await
    }

    /// The same, with something around what runs modules: for tests of what watches it.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_around(
        config: Config,
        around: impl FnOnce(Arc<dyn Engine>) -> Arc<dyn Engine>,
    ) -> Result<Self, StartError> {
        // For all TLS of the process. It fails if that has been said before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let api = listen(config.api.listen, "RULEBOX_API__LISTEN").await?;
        let health = listen(config.health.listen, "RULEBOX_HEALTH__LISTEN").await?;
        let Opened { store, secrets } = Opened::new(&config).await?;
        let platform = Arc::clone(&store) as Arc<dyn PlatformStore>;
        let generations = Arc::new(Generations::new());
        let keyring = Keyring::new(Arc::clone(&platform), &secrets, Arc::clone(&generations));
        let keyring = if config.oidc.is_empty() {
            keyring
        } else {
            keyring.with_issuers(Issuers::new(&config.oidc, Arc::clone(&platform), Arc::clone(&generations))?)
        };
        let keyring = Arc::new(keyring);
        let sealer: Arc<dyn Sealer> = Arc::new(secrets.sealer("audit"));
        let drain = config.api.drain();
        let limits = server::Limits {
            connections: config.api.connections,
            header_time: config.api.header_time(),
            untaken_time: config.api.body_time(),
            unwanted_bytes: config.api.body_bytes.saturating_mul(2),
        };
        let metrics = Metrics::new()?;
        metrics.dependency_up.with_label_values(&["store"]).set(1);
        let config = Arc::new(config);
        let (shared, redis) = share(&config)?;
        let (alarms, raised) = alarms();
        let code = Kept::new(&config, &secrets, redis.as_ref(), alarms, &metrics)?;
        let meter = Arc::new(Meter::new(Arc::clone(&generations)));
        let (deaths, heard) = deaths();
        let vault = Arc::new(Vault::new(&secrets, SECRETS_PURPOSE)?);
        let deliverer =
            deliver::deliverer(&config, Arc::clone(&store), Arc::clone(&vault), Arc::clone(&sealer), metrics.clone())?;
        let on_call = deliver::on_call(&config, Arc::clone(&store), metrics.clone())?;
        let service = Service::new(Parts {
            store: Arc::clone(&store),
            shared: shared.clone(),
            keyring: Arc::clone(&keyring),
            sealer: Arc::clone(&sealer),
            cursors: Arc::new(secrets.sealer("cursors")),
            session_keys: Arc::new(SessionKeys::of(&secrets)),
            vault: Arc::clone(&vault),
            engine: around(engine::of_role(&config, deaths, code, &metrics)?),
            generations: Arc::clone(&generations),
            meter: Arc::clone(&meter),
            settings: Arc::clone(&config),
            metrics: metrics.clone(),
        });
        // Last, after all else that may fail.
        let first_key = FirstKey::ensure(&keyring, &*platform, Arc::clone(&sealer), &config.data_dir).await?;
        let draining = Arc::new(AtomicBool::new(false));
        let background = Background {
            store: Arc::clone(&platform),
            generations,
            shared,
            upkeep: jobs::Upkeep::new(Arc::clone(&store), Arc::clone(&sealer), config.retention.every(), metrics),
            retention: jobs::Retention::new(Arc::clone(&platform), Arc::clone(&sealer), &config.retention),
            usage: jobs::FlushUsage::new(Arc::clone(&platform), meter, &config.usage),
            violations: jobs::Violations::new(service.clone(), heard, raised),
            deliver: jobs::Deliver::new(deliverer, on_call, config.webhooks.at_a_time, service.news()),
        };
        let health_state = HealthState::new(service.clone(), platform, Arc::clone(&draining));
        let (api_router, _) = api::router(ApiState::new(service.clone()));
        let health_router = api::health::router(health_state);
        Ok(Self {
            api,
            health,
            first_key,
            api_router,
            health_router,
            draining,
            drain,
            limits,
            store,
            service,
            background,
        })
    }

    /// The key, if this start made it. The store keeps its hash alone.
    pub fn first_key(&self) -> Option<&SecretString> {
        self.first_key.as_ref()?.made.as_ref()
    }

    /// The file that the first key is in, until somebody deletes it.
    pub fn first_key_file(&self) -> Option<&Path> {
        Some(&self.first_key.as_ref()?.path)
    }

    /// Address of the HTTP API.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn api_address(&self) -> std::io::Result<SocketAddr> {
        self.api.local_addr()
    }

    /// Address of health and metrics.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn health_address(&self) -> std::io::Result<SocketAddr> {
        self.health.local_addr()
    }

    /// Answers requests until `stop` is ready. Then says that it is not ready, takes no new connections, and lets the
    /// requests in flight end, for as long as [`crate::config::Api::drain_seconds`].
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) {
        let background_stopping = CancellationToken::new();
        let background = tokio::spawn(self.background.run(background_stopping.clone()));
        let (stopping, health_stopping) = (CancellationToken::new(), CancellationToken::new());
        let requests = server::serve(self.api, self.api_router, self.limits, stopping.clone());
        let sockets = self.service.sockets().clone();
        let api = async {
            requests.await;
            // Sockets are no requests any more.
            sockets.ended().await;
        };
        let health_limits = server::Limits { connections: HEALTH_CONNECTIONS, ..self.limits };
        let health = server::serve(self.health, self.health_router, health_limits, health_stopping.clone());
        // The health port outlives the API, so that its last word is "draining" and not a refused connection.
        let health = tokio::spawn(health);
        let (draining, drain) = (self.draining, self.drain);
        tokio::spawn({
            let (stopping, sockets) = (stopping.clone(), self.service.sockets().clone());
            async move {
                stop.await;
                tracing::info!(seconds = drain.as_secs(), "stopping: what runs may end in this time");
                draining.store(true, Ordering::Relaxed);
                stopping.cancel();
                sockets.drain();
            }
        });
        let streams = self.service.clone();
        let late = async {
            stopping.cancelled().await;
            // A stream has its last words to say while there is somebody to hear them.
            tokio::time::sleep(drain.mul_f64(STREAMS_PART)).await;
            streams.end_streams();
            tokio::time::sleep(drain.mul_f64(1.0 - STREAMS_PART)).await;
        };
        tokio::select! {
            () = api => {}
            () = late => {
                tracing::warn!(seconds = drain.as_secs(), "requests were still running when the time to drain was over");
            }
        }
        health_stopping.cancel();
        health.abort();
        // What still runs has nobody left to answer; what it tried is recorded all the same.
        self.service.stop().await;
        background_stopping.cancel();
        // Nothing is counted any more: it writes what was used, and ends. If it panicked, it has said so.
        let _ = background.await;
        self.store.close().await;
        tracing::info!("stopped");
    }
}

/// Through Redis if there is an address of it, which is given too, else within this process.
fn share(config: &Config) -> Result<(Shared, Option<Arc<RedisShared>>), RedisError> {
    if let Some(url) = &config.redis.url {
        let redis = RedisShared::open(&config.redis, url.expose_secret(), config.sessions.tenant_bytes)?;
        let redis = Arc::new(redis);
        return Ok((Shared::of(&redis), Some(redis)));
    }
    if config.database.url.is_some() {
        tracing::warn!(
            "without RULEBOX_REDIS__URL, sessions and limits are those of this process: run no other beside it"
        );
    }
    let own = InProcess::new(config.sessions.in_process_bytes, config.sessions.tenant_bytes);
    Ok((Shared::of(&Arc::new(own)), None))
}

async fn listen(address: SocketAddr, setting: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, setting, source })
}
