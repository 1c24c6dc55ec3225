//! Settings: built-in defaults, then a TOML file, then the environment.
//!
//! Every setting has a default, so that the service starts with none. A variable is the path of the setting in
//! capitals behind `RULEBOX_`, with `__` between the parts: `RULEBOX_API__LISTEN=0.0.0.0:8080`,
//! `RULEBOX_EVALUATION__FUEL=1000000`.

mod bounds;
mod code_cache;
mod compile;
pub mod database;
mod delivery;
mod differential;
mod error;
mod evaluation;
mod executors;
mod list;
mod network;
mod oidc;
mod quarantine;
mod retention;
mod sharing;
mod telemetry;
#[cfg(test)]
mod tests;
mod usage;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use code_cache::CodeCache;
pub use compile::Compile;
use database::Database;
pub use delivery::{Alertmanager, Webhooks};
pub use differential::Differential;
pub use error::ConfigError;
use error::{SECRETS, variable};
pub use evaluation::Evaluation;
pub use executors::{Executors, Role};
use list::list;
pub use network::Network;
pub use oidc::Issuer;
pub use quarantine::Quarantine;
pub use retention::Retention;
pub use sharing::{Redis, Sessions};
pub use telemetry::Telemetry;
pub use usage::Usage;

/// All settings of the service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What this process does.
    pub role: Role,
    /// Directory of the embedded store, its lock, the first key until somebody deletes it and, unless
    /// [`Config::master_secret`] is set, the master secret.
    pub data_dir: PathBuf,
    /// The secret that every other secret of the service is derived from: at least 32 bytes. Made at the first start
    /// and kept in the data directory if it is not set.
    #[serde(default)]
    pub master_secret: Option<SecretString>,
    /// The secrets before that, one a line: keys, and entries of the audit log, that were made with one hold for as
    /// long as it is given.
    #[serde(default)]
    pub previous_master_secret: Option<SecretString>,
    /// What a tenant may use, unless it has limits of its own.
    pub tenant: TenantDefaults,
    /// Issuers of tokens that are taken beside API keys. In a file: `[[oidc]]`, once for each.
    #[serde(default)]
    pub oidc: Vec<Issuer>,
    /// The HTTP API.
    pub api: Api,
    /// Health and metrics, on a port of their own.
    pub health: Health,
    /// The embedded store.
    pub store: Store,
    /// The store of many replicas, in the place of the embedded one.
    pub database: Database,
    /// Compiling rules.
    pub compile: Compile,
    /// Running rules.
    pub evaluation: Evaluation,
    /// Other processes that run rules, or being one.
    pub executors: Executors,
    /// Where compiled code is kept.
    pub code_cache: CodeCache,
    /// Sessions.
    pub sessions: Sessions,
    /// Redis, which replicas share.
    pub redis: Redis,
    /// Counting what tenants use.
    pub usage: Usage,
    /// When a module is stopped by itself.
    pub quarantine: Quarantine,
    /// The second opinion on compiled rules.
    pub differential: Differential,
    /// Where tenants are told of what their modules did.
    pub webhooks: Webhooks,
    /// Who is told of what cannot wait.
    pub alertmanager: Alertmanager,
    /// How long what is over is kept.
    pub retention: Retention,
    /// Traces.
    pub telemetry: Telemetry,
    /// Logs.
    pub log: Log,
}

/// Settings of the HTTP API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Bytes of a request that carries bars. A million rows of JSON columns are about 55 MB.
    pub body_bytes: usize,
    /// Bytes of any other request.
    pub small_body_bytes: usize,
    /// Bytes of all request bodies, and of the bars read from them, in memory at a time; past them the answer is 503.
    /// The requests of one tenant have half of it at most, but a single one may have all that is free. Bodies up to 64 KiB have room of their own, an eighth of this.
    pub bodies_in_flight_bytes: usize,
    /// Seconds that a client may take to send a body.
    pub body_seconds: u64,
    /// Seconds of these without anything of it: the room of what has come is for others.
    pub body_stall_seconds: u64,
    /// Connections at a time that have sent a request; more wait. Of those that have sent none yet there are half as many
    /// beside them, and the oldest makes room for the next.
    pub connections: usize,
    /// Seconds that a connection may be without a request: to send the head of one (10 at most for the first), or idle.
    pub header_seconds: u64,
    /// Seconds that requests in flight have to end after the signal to stop.
    pub drain_seconds: u64,
    /// Entries of a page of a list, and the most that a caller may ask for.
    pub page_entries: u32,
    /// Addresses of proxies, `10.0.0.0/8`: what one of these says in `X-Forwarded-For` of who called it is believed.
    /// As a variable, with commas between them.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<Network>,
    /// Bad keys from one address within a minute that are a violation.
    pub bad_keys: u32,
}

/// Settings of the health and metrics port.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// Settings of the embedded store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Connections to the store.
    pub connections: u32,
    /// Milliseconds that an operation may wait for its turn, a connection and a lock of another process together.
    pub busy_ms: u64,
    /// How long what was acknowledged survives.
    pub durability: Durability,
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The loss of power: every commit waits for the disk.
    Power,
    /// The death of the process, not that of the machine.
    Process,
}

/// What a tenant may use, unless it has limits of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantDefaults {
    /// Requests a second, over all replicas.
    pub requests_per_second: u64,
    /// Units of fuel a second, over all replicas.
    pub fuel_per_second: u64,
    /// Rules that are not archived.
    pub rules: u64,
    /// Versions of all rules, archived ones too: none is ever deleted.
    pub versions: u64,
    /// Bytes of the texts, modules and manifests of these versions.
    pub stored_bytes: u64,
    /// Whether modules may be uploaded, and not the texts of rules alone.
    pub modules: bool,
}

/// Settings of logs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `auto` is `pretty` on a terminal, else `json`.
    pub format: LogFormat,
    /// What to log, as `tracing` filters are written: `info,sqlx=warn`.
    pub filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// The sections that have defaults, which is all but the secret: it is never serialised.
#[derive(Serialize)]
struct Defaults {
    role: Role,
    data_dir: PathBuf,
    tenant: TenantDefaults,
    api: Api,
    health: Health,
    store: Store,
    database: Database,
    compile: Compile,
    evaluation: Evaluation,
    executors: Executors,
    code_cache: CodeCache,
    sessions: Sessions,
    redis: Redis,
    usage: Usage,
    quarantine: Quarantine,
    differential: Differential,
    webhooks: Webhooks,
    alertmanager: Alertmanager,
    retention: Retention,
    telemetry: Telemetry,
    log: Log,
}

impl Default for Defaults {
    fn default() -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let cores = std::thread::available_parallelism().map_or(2, usize::from).min(Config::MOST_THREADS);
        Self {
            role: Role::All,
            data_dir: PathBuf::from("rulebox-data"),
            tenant: TenantDefaults {
                requests_per_second: 10_000,
                fuel_per_second: 20_000_000_000,
                rules: 1_000,
                versions: 10_000,
                stored_bytes: 1 << 30,
                modules: false,
            },
            api: Api {
                listen: SocketAddr::new(loopback, 8080),
                body_bytes: 64 << 20,
                small_body_bytes: 1 << 20,
                bodies_in_flight_bytes: 512 << 20,
                body_seconds: 60,
                body_stall_seconds: 10,
                connections: 1_024,
                header_seconds: 75,
                drain_seconds: 30,
                page_entries: 100,
                trusted_proxies: Vec::new(),
                bad_keys: 10,
            },
            health: Health { listen: SocketAddr::new(loopback, 9090) },
            store: Store { connections: 4, busy_ms: 5_000, durability: Durability::Power },
            database: Database::default(),
            compile: Compile::of_cores(cores),
            evaluation: Evaluation {
                threads: cores,
                queue: 256,
                rows: 1_000_000,
                columns: 256,
                cells: 16_000_000,
                rules: 100,
                fuel: 20_000_000_000,
                deadline_ms: 2_000,
                memory_bytes: 16 << 20,
                chunk_rows: 4_096,
                answers_in_flight_bytes: 1 << 30,
                events: 1_000,
                loaded_modules: 1_000,
                loaded_bytes: 512 << 20,
                streams: 64,
                tenant_streams: 16,
                stream_rows: 100_000_000,
                stream_batch_bytes: 32 << 20,
            },
            executors: Executors::default(),
            code_cache: CodeCache::default(),
            sessions: Sessions::default(),
            redis: Redis::default(),
            usage: Usage::default(),
            quarantine: Quarantine::default(),
            differential: Differential::default(),
            webhooks: Webhooks::default(),
            alertmanager: Alertmanager::default(),
            retention: Retention::default(),
            telemetry: Telemetry::default(),
            log: Log { format: LogFormat::Auto, filter: "info".to_owned() },
        }
    }
}

/// What the name of every variable begins with.
const PREFIX: &str = "RULEBOX_";

/// Settings that are text whatever it looks like: a secret `[...]` is no list, and a directory `2026` no number.
const TEXTS: [&str; 13] = [
    "data_dir",
    "master_secret",
    "previous_master_secret",
    "database.url",
    "database.platform_url",
    "database.migrate_url",
    "redis.url",
    "redis.key_prefix",
    "telemetry.otlp_endpoint",
    "telemetry.otlp_headers",
    "telemetry.service_name",
    "telemetry.resource",
    "log.filter",
];

/// Variables without the prefix, as platforms set them, and the settings that they are, unless those are set.
const ALIASES: [(&str, &str); 2] = [("REDIS_URL", "redis.url"), ("DATABASE_URL", "database.url")];

/// The variable that names the file of a secret: `RULEBOX_MASTER_SECRET_FILE`.
fn file_variable(path: &str) -> String {
    format!("{}_FILE", variable(path))
}

/// A secret from its file, if a variable names one: how Kubernetes and Docker hand secrets over. The end of the last
/// line does not belong to it.
fn secret_of_file(path: &str) -> Result<Option<String>, ConfigError> {
    let variable = file_variable(path);
    let Some(file) = std::env::var_os(&variable).map(PathBuf::from) else { return Ok(None) };
    if std::env::var_os(error::variable(path)).is_some() {
        let reason = format!("{} is set as well: set one of them", error::variable(path));
        return Err(ConfigError::Invalid { variable, value: file.display().to_string(), reason });
    }
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(source) => Err(ConfigError::SecretFile { variable, path: file, source }),
    }
}

/// The settings file: this one, or the one that `RULEBOX_CONFIG` names.
fn settings_file(named: Option<&Path>) -> Option<PathBuf> {
    named.map(Path::to_path_buf).or_else(|| std::env::var_os("RULEBOX_CONFIG").map(PathBuf::from))
}

impl Config {
    /// Threads of a pool.
    const MOST_THREADS: usize = 256;

    /// The settings of the process: defaults, then `file` or else the file that `RULEBOX_CONFIG` names, then the
    /// environment, then `role`.
    ///
    /// # Errors
    /// If the file cannot be read, a setting is unknown or a value is out of bounds.
    pub fn load(file: Option<&Path>, role: Option<Role>) -> Result<Self, ConfigError> {
        let mut sources = Figment::from(Serialized::defaults(Defaults::default()));
        if let Some(path) = settings_file(file) {
            sources = sources.merge(Toml::file_exact(path));
        }
        let texts = TEXTS.map(|path| variable(path).trim_start_matches(PREFIX).to_owned());
        let files = SECRETS.map(|path| file_variable(path).trim_start_matches(PREFIX).to_owned());
        let others: Vec<_> = texts.iter().chain(&files).map(String::as_str).chain(["CONFIG"]).collect();
        sources = sources.merge(Env::prefixed(PREFIX).ignore(&others).split("__"));
        let aliases = ALIASES.map(|(name, path)| (name.to_owned(), path));
        for (name, path) in aliases.into_iter().chain(TEXTS.map(|path| (variable(path), path))) {
            let Some(value) = std::env::var_os(&name) else { continue };
            let value = value.into_string().map_err(|_| ConfigError::Invalid {
                variable: name,
                value: "not UTF-8".to_owned(),
                reason: "it must be text".to_owned(),
            })?;
            sources = sources.merge(Serialized::default(path, value));
        }
        for path in SECRETS {
            if let Some(secret) = secret_of_file(path)? {
                sources = sources.merge(Serialized::default(path, secret));
            }
        }
        if let Some(role) = role {
            sources = sources.merge(Serialized::default("role", role));
        }
        Self::read(&sources)
    }

    /// Where health and metrics are, by the settings of the process: for who asks from beside it. Reads no other setting,
    /// so that none can be wrong, and no secret.
    ///
    /// # Errors
    /// If the file cannot be read, or the address is none.
    pub fn health_address(file: Option<&Path>) -> Result<SocketAddr, ConfigError> {
        let defaults = Serialized::default("health", Defaults::default().health);
        let mut sources = Figment::from(defaults);
        if let Some(path) = settings_file(file) {
            sources = sources.merge(Toml::file_exact(path));
        }
        let sources = sources.merge(Env::prefixed(PREFIX).only(&["HEALTH__LISTEN"]).split("__"));
        Ok(sources.extract_inner("health.listen")?)
    }

    /// Refuses what does not go together in a process that serves. Commands beside it take the same settings, without
    /// the role.
    ///
    /// # Errors
    /// Which setting does not go with the role.
    pub fn check_role(&self) -> Result<(), ConfigError> {
        self.executors.check(self)
    }

    /// The settings of a service that has none of its own.
    ///
    /// # Errors
    /// Never, as long as the defaults are within their own bounds.
    pub fn defaults() -> Result<Self, ConfigError> {
        Self::read(&Figment::from(Serialized::defaults(Defaults::default())))
    }

    /// The defaults with another data directory and free ports: what tests and the demo start from.
    ///
    /// # Errors
    /// Never, as long as the defaults are within their own bounds.
    pub fn on_free_ports(data_dir: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::defaults()?;
        config.data_dir = data_dir.to_path_buf();
        config.api.listen.set_port(0);
        config.health.listen.set_port(0);
        Ok(config)
    }

    fn read(sources: &Figment) -> Result<Self, ConfigError> {
        let config: Self = sources.extract()?;
        bounds::check(&config)?;
        Ok(config)
    }
}

impl Api {
    /// How long a client may take to send a body.
    pub const fn body_time(&self) -> Duration {
        Duration::from_secs(self.body_seconds)
    }

    /// How long nothing of a body may come.
    pub const fn body_stall_time(&self) -> Duration {
        Duration::from_secs(self.body_stall_seconds)
    }

    /// How long a connection may be without a request.
    pub const fn header_time(&self) -> Duration {
        Duration::from_secs(self.header_seconds)
    }

    /// How long requests in flight have to end.
    pub const fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}
