//! Puts the service together and runs it: store, key, pools, both ports, and the way it stops.

use std::future::Future;
use std::net::SocketAddr;

use secrecy::SecretString;

use crate::config::Config;

/// Why the service could not start. The text is for the operator: what was wrong and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is taken or may not be had.
    #[error("cannot listen on {address} ({setting}): {source}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// The setting that names it.
        setting: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The service, started: both ports are bound, the store is open, no request has been answered yet.
#[derive(Debug)]
pub struct App {
    api: tokio::net::TcpListener,
    health: tokio::net::TcpListener,
    first_key: Option<SecretString>,
}

impl App {
    /// Binds the ports and opens the store; makes the tenant and its key if the store is new.
    ///
    /// # Errors
    /// If a port is taken, or the store is locked, read-only or not ours.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let api = listen(config.api.listen, "RULEBOX_API__LISTEN").await?;
        let health = listen(config.health.listen, "RULEBOX_HEALTH__LISTEN").await?;
        Ok(Self { api, health, first_key: None })
    }

    /// The key, if this start made it: shown once, only its hash is kept.
    pub fn first_key(&self) -> Option<&SecretString> {
        self.first_key.as_ref()
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

    /// Answers requests until `stop` is ready, then lets those in flight end.
    ///
    /// # Errors
    /// If a listener fails.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        stop.await;
        Ok(())
    }
}

async fn listen(address: SocketAddr, setting: &'static str) -> Result<tokio::net::TcpListener, StartError> {
    let bound = tokio::net::TcpListener::bind(address).await;
    bound.map_err(|source| StartError::Listen { address, setting, source })
}
