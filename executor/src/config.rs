//! Settings: built-in defaults, then a TOML file, then the environment.
//!
//! Every setting has a default, so that the service starts with none. A variable is the path of the setting in
//! capitals behind `RULEBOX_`, with `__` between the parts: `RULEBOX_API__LISTEN=0.0.0.0:8080`,
//! `RULEBOX_EVALUATION__FUEL=1000000`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// All settings of the service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Directory of the embedded store, its lock and, unless [`Config::master_secret`] is set, the master secret.
    pub data_dir: PathBuf,
    /// The secret that every other secret of the service is derived from: at least 32 bytes. Made at the first start
    /// and kept in the data directory if it is not set.
    #[serde(default)]
    pub master_secret: Option<SecretString>,
    /// The HTTP API.
    pub api: Api,
    /// Health and metrics, on a port of their own.
    pub health: Health,
    /// The embedded store.
    pub store: Store,
    /// Compiling rules.
    pub compile: Compile,
    /// Running rules.
    pub evaluation: Evaluation,
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
    /// Bytes of all request bodies in memory at a time; past them the answer is 503.
    pub bodies_in_flight_bytes: usize,
    /// Seconds that a client may take to send a body.
    pub body_seconds: u64,
    /// Seconds that requests in flight have to end after the signal to stop.
    pub drain_seconds: u64,
    /// Entries of a page of a list, and the most that a caller may ask for.
    pub page_entries: u32,
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
    /// Milliseconds to wait for a lock that another process holds.
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

/// Settings of the compiler.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compile {
    /// Threads that compile.
    pub threads: usize,
    /// Requests that may wait for one; past them the answer is 503.
    pub queue: usize,
    /// Bytes of source text.
    pub source_bytes: usize,
    /// Worst-case fuel of one bar: a rule that may need more is refused.
    pub bar_fuel: u64,
}

/// Settings of runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Threads that run rules.
    pub threads: usize,
    /// Requests that may wait for one; past them the answer is 503.
    pub queue: usize,
    /// Rows of a request.
    pub rows: usize,
    /// Columns of a request.
    pub columns: usize,
    /// Cells of a request: rows times columns.
    pub cells: usize,
    /// Rules of a request.
    pub rules: usize,
    /// Fuel of one rule in a request.
    pub fuel: u64,
    /// Milliseconds that one call into a module may take (it runs at most [`Evaluation::chunk_rows`] bars).
    pub deadline_ms: u64,
    /// Bytes of a module's memory.
    pub memory_bytes: usize,
    /// Bars passed to a module at a time, at most 4,096.
    pub chunk_rows: usize,
    /// Bytes that results and the answers made of them may take, over all requests.
    pub answers_in_flight_bytes: usize,
    /// Changes of verdict in an answer; past them it says `events_truncated`.
    pub events: usize,
    /// Compiled modules kept in memory.
    pub loaded_modules: usize,
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

/// The settings could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting is unknown, or its value cannot be read.
    #[error("settings: {0}")]
    Unreadable(#[from] Box<figment::Error>),
    /// A value is outside its bounds.
    #[error("setting {name}: {reason}")]
    Invalid {
        /// Path of the setting, `evaluation.chunk_rows`.
        name: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
}

/// The sections that have defaults, which is all but the secret: it is never serialised.
#[derive(Serialize)]
struct Defaults {
    data_dir: PathBuf,
    api: Api,
    health: Health,
    store: Store,
    compile: Compile,
    evaluation: Evaluation,
    log: Log,
}

impl Default for Defaults {
    fn default() -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            data_dir: PathBuf::from("rulebox-data"),
            api: Api {
                listen: SocketAddr::new(loopback, 8080),
                body_bytes: 64 << 20,
                small_body_bytes: 1 << 20,
                bodies_in_flight_bytes: 512 << 20,
                body_seconds: 60,
                drain_seconds: 30,
                page_entries: 100,
            },
            health: Health { listen: SocketAddr::new(loopback, 9090) },
            store: Store { connections: 4, busy_ms: 5_000, durability: Durability::Power },
            compile: Compile { threads: cores.div_ceil(2), queue: 64, source_bytes: 64 << 10, bar_fuel: 1_000_000 },
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
            },
            log: Log { format: LogFormat::Auto, filter: "info".to_owned() },
        }
    }
}

impl Config {
    /// The settings of the process: defaults, then `file` or else the file that `RULEBOX_CONFIG` names, then the
    /// environment.
    ///
    /// # Errors
    /// If the file cannot be read, a setting is unknown or a value is out of bounds.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut sources = Figment::from(Serialized::defaults(Defaults::default()));
        let named = std::env::var_os("RULEBOX_CONFIG").map(PathBuf::from);
        if let Some(path) = file.map(Path::to_path_buf).or(named) {
            sources = sources.merge(Toml::file_exact(path));
        }
        Self::read(&sources.merge(Env::prefixed("RULEBOX_").ignore(&["CONFIG"]).split("__")))
    }

    /// The defaults with another data directory and free ports: what tests and the demo start from.
    ///
    /// # Errors
    /// Never, as long as the defaults are within their own bounds.
    pub fn on_free_ports(data_dir: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::read(&Figment::from(Serialized::defaults(Defaults::default())))?;
        config.data_dir = data_dir.to_path_buf();
        config.api.listen.set_port(0);
        config.health.listen.set_port(0);
        Ok(config)
    }

    fn read(sources: &Figment) -> Result<Self, ConfigError> {
        let config: Self = sources.extract().map_err(Box::new)?;
        config.checked()
    }

    fn checked(self) -> Result<Self, ConfigError> {
        let positive = [
            ("api.body_bytes", self.api.body_bytes),
            ("api.small_body_bytes", self.api.small_body_bytes),
            ("api.page_entries", self.api.page_entries as usize),
            ("store.connections", self.store.connections as usize),
            ("compile.threads", self.compile.threads),
            ("compile.source_bytes", self.compile.source_bytes),
            ("evaluation.threads", self.evaluation.threads),
            ("evaluation.rows", self.evaluation.rows),
            ("evaluation.columns", self.evaluation.columns),
            ("evaluation.cells", self.evaluation.cells),
            ("evaluation.rules", self.evaluation.rules),
            ("evaluation.chunk_rows", self.evaluation.chunk_rows),
            ("evaluation.loaded_modules", self.evaluation.loaded_modules),
        ];
        for (name, value) in positive {
            if value == 0 {
                return Err(ConfigError::Invalid { name, reason: "must be at least 1".to_owned() });
            }
        }
        let max_rows = rulebox_abi::MAX_ROWS as usize;
        if self.evaluation.chunk_rows > max_rows {
            let reason = format!("must be at most {max_rows}");
            return Err(ConfigError::Invalid { name: "evaluation.chunk_rows", reason });
        }
        if self.api.bodies_in_flight_bytes < self.api.body_bytes.max(self.api.small_body_bytes) {
            let reason = "must be at least api.body_bytes, or the largest request could never be read".to_owned();
            return Err(ConfigError::Invalid { name: "api.bodies_in_flight_bytes", reason });
        }
        let largest = self.evaluation.cells.saturating_mul(Evaluation::RESULT_BYTES);
        if self.evaluation.answers_in_flight_bytes < largest {
            let reason = format!("must be at least {largest}, or the largest answer could never be made");
            return Err(ConfigError::Invalid { name: "evaluation.answers_in_flight_bytes", reason });
        }
        if self.evaluation.deadline_ms < 250 {
            let reason = "must be at least 250: the deadline is a backstop, fuel decides".to_owned();
            return Err(ConfigError::Invalid { name: "evaluation.deadline_ms", reason });
        }
        Ok(self)
    }
}

impl Evaluation {
    /// Bytes that are set aside for a value of a result: eight as a double, and up to twenty-four as text.
    pub const RESULT_BYTES: usize = 32;
}

impl Api {
    /// How long a client may take to send a body.
    pub const fn body_time(&self) -> Duration {
        Duration::from_secs(self.body_seconds)
    }

    /// How long requests in flight have to end.
    pub const fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(toml: &str) -> Result<Config, ConfigError> {
        Config::read(&Figment::from(Serialized::defaults(Defaults::default())).merge(Toml::string(toml)))
    }

    #[test]
    fn without_settings_the_service_is_on_loopback_and_takes_a_million_rows() {
        let config = with("").unwrap();
        assert!(config.api.listen.ip().is_loopback() && config.health.listen.ip().is_loopback());
        assert_eq!((config.api.listen.port(), config.health.listen.port()), (8080, 9090));
        assert!(config.evaluation.rows >= 1_000_000 && config.api.body_bytes >= 60_000_000);
    }

    #[test]
    fn a_file_changes_one_setting_and_leaves_the_others() {
        let config = with("[evaluation]\nfuel = 7").unwrap();
        assert_eq!(config.evaluation.fuel, 7);
        assert_eq!(config.evaluation.chunk_rows, 4_096);
    }

    #[test]
    fn unknown_settings_and_values_out_of_bounds_are_refused_by_name() {
        assert!(with("[evaluation]\nfule = 7").unwrap_err().to_string().contains("fule"));
        assert!(with("[evaluation]\nchunk_rows = 5000").unwrap_err().to_string().contains("4096"));
        assert!(with("[evaluation]\nrows = 0").unwrap_err().to_string().contains("evaluation.rows"));
        assert!(with("[evaluation]\ndeadline_ms = 1").is_err());
        assert!(with("[api]\nbodies_in_flight_bytes = 10").is_err());
    }

    #[test]
    fn the_master_secret_is_not_shown() {
        let config = with("master_secret = 'a very secret secret of 32 bytes'").unwrap();
        assert!(!format!("{config:?}").contains("very secret"));
    }
}
