//! Settings of executors, and of the API that uses them.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::variable;
use super::list::list;
use super::{Config, ConfigError};
use crate::executors::address::{Address, Listen};
use crate::executors::tls::Files;

/// What a process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The API, and the modules in the same process.
    #[default]
    All,
    /// The API; modules run in executors.
    Api,
    /// Runs modules for APIs; holds no credentials and reaches nothing.
    Executor,
}

/// Settings of executors, and of the API that uses them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Executors {
    /// Of the API: where its executors are, `https://host:port` or `unix:/path`. A name may stand for many.
    /// As a variable, with commas between them.
    #[serde(deserialize_with = "list")]
    pub addresses: Vec<Address>,
    /// Of the API: runs that one executor is given at a time.
    pub runs: usize,
    /// Of the API: threads that hand runs to executors and wait for them.
    pub threads: usize,
    /// Of the API: milliseconds to connect to one, and to wait for one if there is none.
    pub connect_ms: u64,
    /// Of the API: seconds between two looks at what a name stands for.
    pub resolve_seconds: u64,
    /// Of an executor: where it listens, `address:port` or `unix:/path`.
    pub listen: Listen,
    /// Of an executor: connections at a time.
    pub connections: usize,
    /// Of an executor: whether it starts if the system lacks some of what it gives up.
    pub confinement: crate::confinement::Policy,
    /// The certificate of the authority that signs the other side's, in PEM. Not needed on Unix sockets.
    pub ca_file: Option<PathBuf>,
    /// One's own certificate.
    pub certificate_file: Option<PathBuf>,
    /// The key of it.
    pub key_file: Option<PathBuf>,
}

impl Default for Executors {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            runs: 64,
            threads: 64,
            connect_ms: 1_000,
            resolve_seconds: 5,
            listen: Listen::Tls(([127, 0, 0, 1], 7443).into()),
            connections: 256,
            confinement: crate::confinement::Policy::Require,
            ca_file: None,
            certificate_file: None,
            key_file: None,
        }
    }
}

impl Executors {
    /// Time to connect to one, and to wait for one if there is none.
    pub const fn connect_time(&self) -> Duration {
        Duration::from_millis(self.connect_ms)
    }

    /// Between two looks at what a name stands for.
    pub const fn resolve_time(&self) -> Duration {
        Duration::from_secs(self.resolve_seconds)
    }

    /// The files for mutual TLS, if they are named.
    pub fn files(&self) -> Option<Files> {
        Some(Files {
            authority: self.ca_file.clone()?,
            certificate: self.certificate_file.clone()?,
            key: self.key_file.clone()?,
        })
    }

    /// Refuses what does not go together.
    pub(super) fn check(&self, config: &Config) -> Result<(), ConfigError> {
        let wrong = |name: &str, value: &str, reason: &str| {
            Err(ConfigError::Invalid { variable: variable(name), value: value.to_owned(), reason: reason.to_owned() })
        };
        let twice =
            (0..).zip(&self.addresses).find(|(n, address)| self.addresses.iter().take(*n).any(|one| one == *address));
        if let Some((_, address)) = twice {
            return wrong("executors.addresses", &address.to_string(), "it is there twice: name each address once");
        }
        let needs_files = match config.role {
            Role::All if !self.addresses.is_empty() => {
                return wrong(
                    "executors.addresses",
                    "set",
                    "with the role `all`, rules run in this process; RULEBOX_ROLE=api has executors run them",
                );
            }
            Role::All => false,
            Role::Api if self.addresses.is_empty() => {
                return wrong(
                    "executors.addresses",
                    "empty",
                    "with the role `api`, executors run the rules: say where",
                );
            }
            Role::Api => self.addresses.iter().any(|address| matches!(address, Address::Tls { .. })),
            Role::Executor => {
                let held = [
                    ("master_secret", config.master_secret.is_some()),
                    ("previous_master_secret", config.previous_master_secret.is_some()),
                    ("database.url", config.database.url.is_some()),
                    ("database.platform_url", config.database.platform_url.is_some()),
                    ("database.migrate_url", config.database.migrate_url.is_some()),
                    ("redis.url", config.redis.url.is_some()),
                ];
                if let Some((name, _)) = held.iter().find(|(_, is_set)| *is_set) {
                    return wrong(name, "set", "an executor runs tenants' code and holds no credentials: unset it");
                }
                matches!(self.listen, Listen::Tls(_))
            }
        };
        if needs_files && self.files().is_none() {
            let all = [
                ("executors.ca_file", &self.ca_file),
                ("executors.certificate_file", &self.certificate_file),
                ("executors.key_file", &self.key_file),
            ];
            if let Some((name, _)) = all.iter().find(|(_, file)| file.is_none()) {
                return wrong(
                    name,
                    "not set",
                    "the API and its executors show each other certificates; only a Unix socket (`unix:/path`) needs none",
                );
            }
        }
        Ok(())
    }
}
