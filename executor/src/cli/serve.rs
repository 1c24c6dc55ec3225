//! `rulebox serve`: the HTTP API, until a signal to stop.

use std::io::{Write, stdout};
use std::path::PathBuf;

use clap::Args;
use secrecy::ExposeSecret;

use super::failure::Failure;
use super::{open_files, signal};
use crate::app::executor::ExecutorApp;
use crate::app::{App, tables};
use crate::config::{Config, Role};
use crate::confinement::begin_anew;
use crate::telemetry::logs;
use crate::telemetry::traces::Traces;

/// Serve rules over HTTP
#[derive(Debug, Args)]
#[command(after_help = SETTINGS)]
pub(super) struct Arguments {
    /// Settings in TOML; the environment overrides them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What this process does: the API and the rules, the API alone, or rules alone (all)
    #[arg(long)]
    role: Option<Role>,
    /// First do what `rulebox migrate` does
    #[arg(long)]
    migrate: bool,
}

/// What `--help` says of the settings.
const SETTINGS: &str = "\
Settings, as environment variables; in a file, RULEBOX_API__LISTEN is `listen` under `[api]`:
  RULEBOX_CONFIG                       the settings file, if not --config
  RULEBOX_ROLE                         all, api or executor, if not --role
  RULEBOX_DATA_DIR                     directory of the store (rulebox-data)
  RULEBOX_MASTER_SECRET                32 bytes or more; made and kept in the directory if not set
  RULEBOX_PREVIOUS_MASTER_SECRET       those before it, one a line: keys and audit entries of their time
                                       hold for as long as they are given
  RULEBOX_TENANT__REQUESTS_PER_SECOND  requests a second of a tenant, over all replicas
  RULEBOX_TENANT__FUEL_PER_SECOND      fuel a second of a tenant, over all replicas
  RULEBOX_TENANT__RULES                rules of a tenant
  RULEBOX_TENANT__VERSIONS             versions of all rules of a tenant
  RULEBOX_TENANT__STORED_BYTES         bytes of these versions
  RULEBOX_TENANT__MODULES              whether modules may be uploaded (false)
  RULEBOX_API__LISTEN                  address and port of the API (127.0.0.1:8080)
  RULEBOX_API__BODY_BYTES              bytes of a request with bars
  RULEBOX_API__SMALL_BODY_BYTES        bytes of any other request
  RULEBOX_API__BODIES_IN_FLIGHT_BYTES  bytes of all requests at a time
  RULEBOX_API__BODY_SECONDS            time to send a request
  RULEBOX_API__BODY_STALL_SECONDS      time in which something of a request must come
  RULEBOX_API__CONNECTIONS             connections at a time
  RULEBOX_API__HEADER_SECONDS          time to send the head of a request, or to be idle
  RULEBOX_API__DRAIN_SECONDS           time for requests in flight to end at a stop
  RULEBOX_API__PAGE_ENTRIES            entries of a page of a list
  RULEBOX_API__TRUSTED_PROXIES         proxies whose X-Forwarded-For is believed, with commas between
                                       them: 10.0.0.0/8
  RULEBOX_API__BAD_KEYS                bad keys from one address in a minute that are a violation
  RULEBOX_HEALTH__LISTEN               address and port of health and metrics (127.0.0.1:9090)
  RULEBOX_STORE__CONNECTIONS           connections to the store
  RULEBOX_STORE__BUSY_MS               time to wait for the store: turn, connection, lock
  RULEBOX_STORE__DURABILITY            what an answered write survives: power, process
  RULEBOX_DATABASE__URL                PostgreSQL in the place of that store, or DATABASE_URL:
                                       postgresql://login:password@host:port/database?sslmode=verify-full
  RULEBOX_DATABASE__PLATFORM_URL       the login for what must cross tenants
  RULEBOX_DATABASE__MIGRATE_URL        the login that owns the tables, for migrations
  RULEBOX_DATABASE__CONNECTIONS        connections of the service's login
  RULEBOX_DATABASE__PLATFORM_CONNECTIONS  connections of the platform's login
  RULEBOX_DATABASE__ACQUIRE_MS         time to wait for a connection, and for a lock
  RULEBOX_DATABASE__STATEMENT_MS       time of a statement
  RULEBOX_COMPILE__THREADS             threads that compile
  RULEBOX_COMPILE__QUEUE               requests that may wait for one
  RULEBOX_COMPILE__SOURCE_BYTES        bytes of a rule's text
  RULEBOX_COMPILE__BAR_FUEL            worst-case fuel of one bar
  RULEBOX_COMPILE__WORKERS             processes that compile modules of tenants
  RULEBOX_COMPILE__TENANT_WORKERS      modules of a tenant that are compiled at a time (half of these)
  RULEBOX_COMPILE__WORKER_MEMORY_BYTES  memory to compile a module
  RULEBOX_COMPILE__WORKER_CPU_SECONDS  processor time to compile a module
  RULEBOX_COMPILE__WORKER_SECONDS      time by the clock to compile a module; of the API as of its
                                       executors
  RULEBOX_COMPILE__WORKER_CONFINEMENT  what to do where the system cannot confine that process
                                       wholly: require, best-effort
  RULEBOX_EVALUATION__THREADS          threads that run rules
  RULEBOX_EVALUATION__QUEUE            requests that may wait for one
  RULEBOX_EVALUATION__ROWS             bars of a request
  RULEBOX_EVALUATION__COLUMNS          columns of a request
  RULEBOX_EVALUATION__CELLS            bars times columns of a request
  RULEBOX_EVALUATION__RULES            rules of a request
  RULEBOX_EVALUATION__FUEL             fuel of a request, all its rules together
  RULEBOX_EVALUATION__DEADLINE_MS      time of one call into a module
  RULEBOX_EVALUATION__MEMORY_BYTES     memory of a module
  RULEBOX_EVALUATION__CHUNK_ROWS       bars of one call into a module
  RULEBOX_EVALUATION__ANSWERS_IN_FLIGHT_BYTES  bytes of all results and answers at a time
  RULEBOX_EVALUATION__EVENTS           changes of verdict in an answer
  RULEBOX_EVALUATION__LOADED_MODULES   compiled modules kept in memory
  RULEBOX_EVALUATION__LOADED_BYTES     bytes of these modules
  RULEBOX_EVALUATION__STREAMS          streams at a time
  RULEBOX_EVALUATION__TENANT_STREAMS   streams of a tenant at a time
  RULEBOX_EVALUATION__STREAM_ROWS      bars of a stream
  RULEBOX_EVALUATION__STREAM_BATCH_BYTES  bytes of a record batch of a stream
  RULEBOX_EXECUTORS__ADDRESSES         with the role api: where executors are, with commas between them,
                                       https://host:port or unix:/path; a name may stand for many
  RULEBOX_EXECUTORS__RUNS              batches that one executor is given at a time; a tenant has
                                       half of them at most
  RULEBOX_EXECUTORS__THREADS           threads that hand runs to executors and wait for them
  RULEBOX_EXECUTORS__CONNECT_MS        time to connect to one, and to wait for one if there is none
  RULEBOX_EXECUTORS__RESOLVE_SECONDS   time between two looks at what a name stands for
  RULEBOX_EXECUTORS__LISTEN            of an executor: address:port or unix:/path (127.0.0.1:7443)
  RULEBOX_EXECUTORS__CONNECTIONS       of an executor: connections at a time
  RULEBOX_EXECUTORS__CONFINEMENT       of an executor, if the system lacks what confines it: require, best-effort
  RULEBOX_EXECUTORS__CA_FILE           certificate of the authority that signs the other side's
  RULEBOX_EXECUTORS__CERTIFICATE_FILE  one's own certificate
  RULEBOX_EXECUTORS__KEY_FILE          the key of it
  RULEBOX_CODE_CACHE__DIRECTORY        directory that compiled code is kept in, with role all; it is this
                                       user's alone, and made if it is not there
  RULEBOX_CODE_CACHE__BYTES            bytes of all files in it
  RULEBOX_CODE_CACHE__REDIS_BYTES      bytes of compiled code in Redis; 0: none
  RULEBOX_SESSIONS__IDLE_SECONDS       time without a bar after which a session ends
  RULEBOX_SESSIONS__BARS               bars of one call
  RULEBOX_SESSIONS__STATE_BYTES        bytes of the states of a session's rules
  RULEBOX_SESSIONS__ANSWERS            bars whose answers are kept to be given again
  RULEBOX_SESSIONS__ANSWER_BYTES       bytes of these answers
  RULEBOX_SESSIONS__TENANT_BYTES       bytes of all sessions of a tenant
  RULEBOX_SESSIONS__SOCKETS            WebSockets at a time
  RULEBOX_SESSIONS__TENANT_SOCKETS     WebSockets of a tenant at a time
  RULEBOX_SESSIONS__MESSAGE_BYTES      bytes of a message on a WebSocket
  RULEBOX_SESSIONS__PING_SECONDS       time between two pings on a WebSocket
  RULEBOX_SESSIONS__SOCKET_IDLE_SECONDS  time without a message after which one is closed
  RULEBOX_SESSIONS__SLOW_SECONDS       time to take an answer on a WebSocket
  RULEBOX_SESSIONS__IN_PROCESS_BYTES   bytes of all sessions, without Redis
  RULEBOX_REDIS__URL                   address of Redis, `redis://host:6379`, or REDIS_URL; without
                                       it there may be one process only
  RULEBOX_REDIS__KEY_PREFIX            what the names of all keys begin with (rulebox:)
  RULEBOX_REDIS__TIMEOUT_MS            time of a call
  RULEBOX_REDIS__BREAKER_FAILURES      failures in a row after which Redis is asked no more
  RULEBOX_REDIS__BREAKER_REST_MS       time between two tries to reach it again
  RULEBOX_REDIS__REPLICAS              replicas to assume until Redis says how many there are
  RULEBOX_USAGE__FLUSH_SECONDS         time between two writes of what tenants use
  RULEBOX_QUARANTINE__VIOLATIONS       violations of a module that stop it
  RULEBOX_QUARANTINE__DEATHS           executors that die while they run a module, and stop it
  RULEBOX_QUARANTINE__MINUTES          time in which so many stop it
  RULEBOX_DIFFERENTIAL__ONE_IN         one in so many evaluations is interpreted as well, behind
                                       its answer, and held against it; 0: none
  RULEBOX_DIFFERENTIAL__QUEUE          checks of modules against their texts that may wait
  RULEBOX_WEBHOOKS__ALLOW_LOOPBACK     whether webhooks may be on this machine, without TLS: for tests
                                       (false)
  RULEBOX_WEBHOOKS__PER_TENANT         webhooks of a tenant
  RULEBOX_WEBHOOKS__TIMEOUT_MS         time of one try to deliver
  RULEBOX_WEBHOOKS__TRIES              tries until a delivery is given up
  RULEBOX_WEBHOOKS__AT_A_TIME          deliveries that are tried at a time
  RULEBOX_WEBHOOKS__ROTATION_HOURS     how long the secret before signs beside a new one
  RULEBOX_WEBHOOKS__PROXY              a proxy, http://host:port, by which webhooks go: it is asked to
                                       CONNECT to the addresses that Rulebox has checked
  RULEBOX_ALERTMANAGER__URLS           addresses of Alertmanager, with commas between them; each is
                                       told of what is high or critical: http://alertmanager:9093
  RULEBOX_ALERTMANAGER__TIMEOUT_MS     time of one push
  RULEBOX_ALERTMANAGER__RESEND_SECONDS  time until an alert that lasts is sent again
  RULEBOX_RETENTION__EVERY_MINUTES     time between two looks for what is old
  RULEBOX_RETENTION__VIOLATIONS_DAYS   how long violations are kept
  RULEBOX_RETENTION__AUDIT_DAYS        how long the audit log is kept; 0: for ever
  RULEBOX_RETENTION__REQUESTS_HOURS    how long a request with an Idempotency-Key may be repeated
  RULEBOX_RETENTION__KEYS_DAYS         how long keys are kept that expired or were revoked
  RULEBOX_RETENTION__USAGE_DAYS        how long it is kept what tenants used
  RULEBOX_RETENTION__EVENTS_DAYS       how long events of the security feed are kept
  RULEBOX_RETENTION__OUTBOX_DAYS       how long it is kept what webhooks and alerts tell
  RULEBOX_TELEMETRY__OTLP_ENDPOINT     where traces go, by OTLP over HTTP: http://host:4318/v1/traces;
                                       without it, nowhere
  RULEBOX_TELEMETRY__OTLP_HEADERS      headers of these requests, one a line: name: value
  RULEBOX_TELEMETRY__SAMPLE_PER_THOUSAND  traces kept of a thousand that begin here
  RULEBOX_TELEMETRY__QUEUE_SPANS       spans that wait to be sent; more are dropped
  RULEBOX_TELEMETRY__EXPORT_MS         time between two sendings
  RULEBOX_TELEMETRY__TIMEOUT_MS        time of one, and of the last at a stop
  RULEBOX_TELEMETRY__SERVICE_NAME      service.name of the traces (rulebox)
  RULEBOX_TELEMETRY__RESOURCE          more of what they come from, with commas
                                       between them: name=value
  RULEBOX_LOG__FORMAT                  auto, json, pretty
  RULEBOX_LOG__FILTER                  what to log (info)

A secret (RULEBOX_MASTER_SECRET, RULEBOX_PREVIOUS_MASTER_SECRET, RULEBOX_DATABASE__URL,
RULEBOX_DATABASE__PLATFORM_URL, RULEBOX_DATABASE__MIGRATE_URL, RULEBOX_REDIS__URL,
RULEBOX_TELEMETRY__OTLP_HEADERS) may be in a file instead: the same variable with _FILE
names it.

Tokens of OpenID Connect issuers are taken beside keys: in the file, once for each issuer,
  [[oidc]] with issuer, audience = [...], tenants = [...] (`*` is any), and, where
  they differ from what is in brackets, tenant_claim (tenant), roles_claim (roles), algorithms
  (RS256, ES256, EdDSA), platform (false), refresh_seconds (300).

The first start makes a key, prints it, and leaves it in `first.key`, in the directory of the
store: keep it elsewhere and delete that file. The store has its hash alone: nothing can show
it again.";

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = Config::load(arguments.config.as_deref(), arguments.role)?;
    config.check_role()?;
    if config.role == Role::Executor {
        return serve_executor(config);
    }
    // Its exporter has a thread of its own, and may not be made or ended on one that serves.
    let traces = Traces::start(&config.telemetry)?;
    logs::start(&config.log, traces.as_ref())?;
    open_files::take_more();
    let served = signal::block_on(serve(config, arguments.migrate));
    if let Some(traces) = traces {
        traces.stop();
    }
    served
}

/// Gives up all rights, and only then starts threads.
fn serve_executor(config: Config) -> Result<(), Failure> {
    begin_anew()?;
    // It reaches nothing: its runs are in the traces of those who ask for them.
    logs::start(&config.log, None)?;
    open_files::take_more();
    let app = ExecutorApp::start(config)?;
    tracing::info!(confinement = %app.confinement(), "confined");
    signal::block_on(async {
        let stop = signal::stop().map_err(Failure::Runtime)?;
        {
            let mut out = stdout().lock();
            writeln!(out, "executor {}", app.address().map_err(Failure::Runtime)?)?;
            writeln!(out, "health   http://{}/readyz", app.health_address().map_err(Failure::Runtime)?)?;
            writeln!(out, "confined {}", app.confinement())?;
            writeln!(out, "serving until Ctrl-C")?;
            out.flush()?;
        }
        Ok(app.serve(stop).await?)
    })
}

async fn serve(config: Config, migrate: bool) -> Result<(), Failure> {
    // Before anything is said: whoever reads that it serves may stop it at once.
    let stop = signal::stop().map_err(Failure::Runtime)?;
    // The address of a database has a password in it.
    let store = match config.database.url {
        Some(_) => "PostgreSQL".to_owned(),
        None => config.data_dir.display().to_string(),
    };
    if migrate {
        for step in tables::migrate(&config).await?.missing {
            tracing::info!(%step, "migrated");
        }
    }
    let app = App::start(config).await?;
    {
        let mut out = stdout().lock();
        writeln!(out, "API     http://{}, documented at /docs", app.api_address().map_err(Failure::Runtime)?)?;
        writeln!(out, "health  http://{}/readyz", app.health_address().map_err(Failure::Runtime)?)?;
        writeln!(out, "store   {store}")?;
        if let Some(key) = app.first_key() {
            writeln!(out, "key     {} (the only time it is shown)", key.expose_secret())?;
        }
        if let Some(file) = app.first_key_file() {
            writeln!(out, "        The first key is in {}: keep it elsewhere and delete the file", file.display())?;
        }
        writeln!(out, "serving until Ctrl-C")?;
        out.flush()?;
    }
    Box::pin(app.serve(stop)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_in_the_help() {
        let config = Config::on_free_ports(std::path::Path::new("d")).unwrap();
        let sections = [
            ("TENANT", serde_json::to_value(&config.tenant).unwrap()),
            ("RETENTION", serde_json::to_value(&config.retention).unwrap()),
            ("QUARANTINE", serde_json::to_value(&config.quarantine).unwrap()),
            ("DIFFERENTIAL", serde_json::to_value(&config.differential).unwrap()),
            ("WEBHOOKS", serde_json::to_value(&config.webhooks).unwrap()),
            ("ALERTMANAGER", serde_json::to_value(&config.alertmanager).unwrap()),
            ("API", serde_json::to_value(&config.api).unwrap()),
            ("HEALTH", serde_json::to_value(&config.health).unwrap()),
            ("STORE", serde_json::to_value(&config.store).unwrap()),
            ("DATABASE", serde_json::to_value(&config.database).unwrap()),
            ("COMPILE", serde_json::to_value(&config.compile).unwrap()),
            ("EVALUATION", serde_json::to_value(&config.evaluation).unwrap()),
            ("EXECUTORS", serde_json::to_value(&config.executors).unwrap()),
            ("CODE_CACHE", serde_json::to_value(&config.code_cache).unwrap()),
            ("SESSIONS", serde_json::to_value(&config.sessions).unwrap()),
            ("REDIS", serde_json::to_value(&config.redis).unwrap()),
            ("USAGE", serde_json::to_value(&config.usage).unwrap()),
            ("TELEMETRY", serde_json::to_value(&config.telemetry).unwrap()),
            ("LOG", serde_json::to_value(&config.log).unwrap()),
        ];
        // Secrets are not written.
        let secrets = [
            "REDIS__URL",
            "DATABASE__URL",
            "DATABASE__PLATFORM_URL",
            "DATABASE__MIGRATE_URL",
            "TELEMETRY__OTLP_HEADERS",
        ];
        assert!(secrets.iter().all(|secret| SETTINGS.contains(&format!("  RULEBOX_{secret} "))));
        let mut listed = secrets.len();
        for (section, settings) in &sections {
            for name in settings.as_object().unwrap().keys() {
                let variable = format!("  RULEBOX_{section}__{} ", name.to_uppercase());
                assert!(SETTINGS.contains(&variable), "{variable}");
                listed += 1;
            }
        }
        assert_eq!(
            SETTINGS.lines().filter(|line| line.starts_with("  RULEBOX_") && line.contains("__")).count(),
            listed,
            "a setting that is gone, or not counted"
        );
    }
}
