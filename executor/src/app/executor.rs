//! `rulebox serve --role executor`: a process that runs modules for APIs, and gives up all else before the first.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use super::{HEALTH_CONNECTIONS, StartError, engine};
use crate::api::executor_health::{self, ExecutorHealth};
use crate::config::Config;
use crate::confinement::{self, Confinement, Profile};
use crate::execution::workers::Workers;
use crate::executors::address::Listen;
use crate::executors::server::{self as executors, Executor, Listener};
use crate::executors::tls::Identity;
use crate::server;
use crate::telemetry::metrics::Metrics;

/// An executor, confined: it listens, and nothing has been run yet.
#[derive(Debug)]
pub struct ExecutorApp {
    config: Config,
    listener: Listener,
    health: TcpListener,
    identity: Option<Arc<Identity>>,
    confinement: Confinement,
    workers: Workers,
    metrics: Metrics,
}

impl ExecutorApp {
    /// Does all that needs rights, and gives them up. The process must have no other thread, and no runtime.
    ///
    /// # Errors
    /// If a port is taken, a certificate cannot be read, or the system does not confine as it must.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let identity = engine::identity(&config)?;
        let listener = Listener::bind(&config.executors.listen)?;
        let health = listen(config.health.listen)?;
        // What they read of the process and its control group is not to be opened afterwards.
        let metrics = Metrics::new()?;
        let readable = identity.as_ref().map(|identity| identity.directories()).unwrap_or_default();
        // Afterwards no process can be started.
        let workers = engine::workers(&config);
        workers.start()?;
        confinement::give_up_capabilities();
        confinement::prepare().map_err(StartError::Prepare)?;
        let confinement = confinement::confine(&Profile::executor(readable), config.executors.confinement)?;
        // What it may read must be enough to read it again when it changes.
        if let Some(identity) = &identity {
            identity.reload()?;
        }
        Ok(Self { config, listener, health, identity, confinement, workers, metrics })
    }

    /// What the process has given up.
    pub const fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// Where it takes runs.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self) -> io::Result<Listen> {
        self.listener.address(&self.config.executors.listen)
    }

    /// Address of health and metrics.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn health_address(&self) -> io::Result<SocketAddr> {
        self.health.local_addr()
    }

    /// Runs modules until `stop` is ready; then takes no new runs, and lets those that it has end, for as long as
    /// [`crate::config::Api::drain_seconds`].
    ///
    /// # Errors
    /// If the engine cannot start, or a listener cannot be used.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), StartError> {
        let Self { config, listener, health, identity, confinement, workers, metrics } = self;
        if let Some(identity) = &identity {
            tokio::spawn(engine::show_expiry(Arc::clone(identity), metrics.clone()));
        }
        let executor = Executor::new(engine::in_process(&config, workers.clone())?, &config, metrics);
        let draining = Arc::new(AtomicBool::new(false));
        let (stopping, stopped) = (CancellationToken::new(), CancellationToken::new());
        let state =
            ExecutorHealth { executor: executor.clone(), confinement, workers, draining: Arc::clone(&draining) };
        let limits = server::Limits {
            connections: HEALTH_CONNECTIONS,
            header_time: config.api.header_time(),
            untaken_time: config.api.body_time(),
            unwanted_bytes: config.api.small_body_bytes,
        };
        let health = tokio::net::TcpListener::from_std(health).map_err(StartError::Prepare)?;
        let health = tokio::spawn(server::serve(health, executor_health::router(state), limits, stopped.clone()));
        if let Some(identity) = &identity {
            tokio::spawn(Arc::clone(identity).watch(stopped.clone()));
        }
        let drain = config.api.drain();
        tokio::spawn({
            let stopping = stopping.clone();
            async move {
                stop.await;
                tracing::info!(seconds = drain.as_secs(), "stopping: what runs may end in this time");
                draining.store(true, Ordering::Relaxed);
                stopping.cancel();
            }
        });
        let late = async {
            stopping.cancelled().await;
            tokio::time::sleep(drain).await;
        };
        let limits = executors::Limits { connections: config.executors.connections };
        tokio::select! {
            served = executors::serve(listener, identity, executor.clone(), limits, stopping.clone()) => {
                served.map_err(StartError::Prepare)?;
            }
            () = late => tracing::warn!(seconds = drain.as_secs(), "runs were still there when the time to drain was over"),
        }
        executor.end_runs();
        stopped.cancel();
        health.abort();
        tracing::info!("stopped");
        Ok(())
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| StartError::Listen { address, setting: "RULEBOX_HEALTH__LISTEN", source })
}
