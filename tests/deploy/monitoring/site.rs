//! The service with all that it may have, as in production but for the machine: an API and an executor with mutual TLS,
//! `PostgreSQL` with a standby and an archive, `PgBouncer`, Redis with a replica, exporters, Prometheus.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use rulebox_tests::receiver::{Answering, Receiver};
use rulebox_tests::servers::authority::{Authority, Identity};
use rulebox_tests::servers::exporters::Exporter;
use rulebox_tests::servers::pgbouncer::PgBouncer;
use rulebox_tests::servers::postgres::Postgres;
use rulebox_tests::servers::prometheus::Prometheus;
use rulebox_tests::servers::{Guarded, free_port, wait_until};
use rulebox_tests::{Executor, Server, output, root};
use tempfile::TempDir;

use super::RULES;
use crate::read;

/// Who asks the stores.
pub(super) const MONITOR: &str = "rulebox_monitor";
pub(super) const SECRET: &str = "secret-of-the-exporters";

/// All of it. Fields are dropped from the first to the last: who asks goes before who is asked.
pub(super) struct Site {
    pub(super) prometheus: Prometheus,
    _exporters: [Exporter; 3],
    executor: Option<Executor>,
    pub(super) api: Server,
    pub(super) key: String,
    /// Who is told: webhooks, and alerts.
    pub(super) told: Receiver,
    /// Settings of commands on the same database.
    pub(super) settings: Vec<(&'static str, String)>,
    executors: Executors,
    _stores: (PgBouncer, Postgres, Postgres, [Redis; 2]),
    _directory: TempDir,
}

/// Where the executor is, and what both sides show each other.
struct Executors {
    authority: Authority,
    folders: [TempDir; 2],
    identities: [Identity; 2],
    port: u16,
    health: u16,
}

impl Executors {
    fn new() -> Self {
        let (authority, folders) = (Authority::new(), [(); 2].map(|()| tempfile::tempdir().unwrap()));
        let identities = [0, 1].map(|n: usize| authority.identify(folders[n].path()));
        Self { authority, folders, identities, port: free_port(), health: free_port() }
    }

    fn files(&self, side: usize) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.display().to_string();
        let identity = &self.identities[side];
        assert!(identity.key.starts_with(self.folders[side].path()));
        vec![
            ("RULEBOX_EXECUTORS__CA_FILE", text(&self.authority.certificate())),
            ("RULEBOX_EXECUTORS__CERTIFICATE_FILE", text(&identity.certificate)),
            ("RULEBOX_EXECUTORS__KEY_FILE", text(&identity.key)),
        ]
    }
}

/// As `Server` takes them.
fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

impl Site {
    /// Starts all but the executor: what is asked for before it is there fails.
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut primary = Postgres::start();
        primary.start_again_with("archive_mode = on\narchive_command = 'true'\n");
        let database = primary.database();
        let (migrated, said) = output(&["migrate"], &database.settings());
        assert!(migrated.success(), "{said}");
        // Before the service starts, which looks once a minute.
        for record in
            [&["backup", "record"][..], &["backup", "record", "--restore-failed"], &["backup", "record", "--restored"]]
        {
            let (recorded, said) = output(record, &database.settings());
            assert!(recorded.success(), "{record:?}: {said}");
        }
        let login = "deploy/monitoring/exporters/login.sql";
        primary.psql_file("rulebox", login, &[("monitor_password", SECRET)]);
        let standby = primary.standby();
        primary.psql("postgres", "select pg_switch_wal()");
        let pooler = PgBouncer::start_watched(&primary, 10, MONITOR, SECRET);
        let first = Redis::start(None);
        let copy = Redis::start(Some(first.port));
        let redis = [first, copy];

        let told = Receiver::start(Answering::Status(200));
        let executors = Executors::new();
        let mut settings = database.by_port(pooler.port()).settings();
        let mut own = executors.files(0);
        own.extend([
            ("RULEBOX_ROLE", "api".to_owned()),
            ("RULEBOX_EXECUTORS__ADDRESSES", format!("https://localhost:{}", executors.port)),
            ("RULEBOX_EXECUTORS__CONNECT_MS", "50".to_owned()),
            ("RULEBOX_EXECUTORS__RESOLVE_SECONDS", "1".to_owned()),
            ("RULEBOX_REDIS__URL", format!("redis://rulebox:{SECRET}@127.0.0.1:{}", redis[0].port)),
            ("RULEBOX_ALERTMANAGER__URLS", told.url.clone()),
            ("RULEBOX_WEBHOOKS__ALLOW_LOOPBACK", "true".to_owned()),
            ("RULEBOX_TENANT__MODULES", "true".to_owned()),
            ("RULEBOX_DIFFERENTIAL__ONE_IN", "2".to_owned()),
        ]);
        own.append(&mut settings.clone());
        let api = Server::try_start(&directory.path().join("data"), &borrowed(&own)).unwrap();
        let key = api.key.clone().unwrap();
        settings.push(("RULEBOX_DATA_DIR", directory.path().join("data").display().to_string()));

        let exporters = [
            Exporter::of_postgresql(&format!("127.0.0.1:{}/rulebox", primary.port()), MONITOR, SECRET),
            Exporter::of_pgbouncer(pooler.port(), MONITOR, SECRET),
            Exporter::of_redis(&redis.each_ref().map(|one| (one.url(), SECRET)), MONITOR),
        ];
        let prometheus = Prometheus::start_with(&scraping(&api, &executors, &exporters, &redis));
        Self {
            prometheus,
            _exporters: exporters,
            executor: None,
            api,
            key,
            told,
            settings,
            executors,
            _stores: (pooler, standby, primary, redis),
            _directory: directory,
        }
    }

    /// Starts the executor.
    pub(super) fn start_executor(&mut self) {
        let mut settings = self.executors.files(1);
        settings.push(("RULEBOX_HEALTH__LISTEN", format!("127.0.0.1:{}", self.executors.health)));
        // `localhost` may be either.
        let listen = format!("[::]:{}", self.executors.port);
        self.executor = Some(Executor::start(&listen, &borrowed(&settings)));
    }

    /// The metrics of the API, and of the executor if it is there.
    pub(super) fn metrics(&self) -> String {
        let places = [Some(&self.api.health), self.executor.as_ref().map(|executor| &executor.health)];
        let ask = |place: &String| self.api.client().get(format!("{place}/metrics")).send().unwrap().text().unwrap();
        places.into_iter().flatten().map(ask).collect()
    }
}

/// What Prometheus is told: jobs and labels as the chart's `ServiceMonitors` make them, and all files of rules.
fn scraping(api: &Server, executors: &Executors, exporters: &[Exporter; 3], redis: &[Redis; 2]) -> String {
    let file = |name: &&str| root().join(format!("deploy/monitoring/{name}.yaml")).display().to_string();
    // A store that is asked for much at once, on a busy machine, may take its time.
    let slow = "scrape_interval: 5s, scrape_timeout: 5s";
    let job = |name: &str, target: &str| {
        format!("- {{job_name: {name}, {slow}, static_configs: [{{targets: [\"{target}\"]}}]}}\n")
    };
    let [postgresql, pgbouncer, of_redis] = exporters;
    let health = api.health.trim_start_matches("http://");
    let executor = format!("127.0.0.1:{}", executors.health);
    let stores = redis.each_ref().map(Redis::url).join("\", \"");
    [
        "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n".to_owned(),
        format!("rule_files: [\"{}\"]\n", RULES.each_ref().map(file).join("\", \"")),
        "scrape_configs:\n".to_owned(),
        format!(
            "- {{job_name: rulebox, static_configs: [{{targets: [\"{health}\"], labels: {{component: api}}}}, \
             {{targets: [\"{executor}\"], labels: {{component: executor}}}}]}}\n"
        ),
        job("rulebox-postgresql", &postgresql.address),
        job("rulebox-pgbouncer", &pgbouncer.address),
        // One exporter asks each that it is told of: the instance is that one, and not the exporter.
        format!(
            "- job_name: rulebox-redis\n  scrape_interval: 5s\n  scrape_timeout: 5s\n  metrics_path: /scrape\n  \
             static_configs: [{{targets: [\"{stores}\"]}}]\n  \
             relabel_configs:\n  - {{source_labels: [__address__], target_label: __param_target}}\n  \
             - {{source_labels: [__address__], target_label: instance}}\n  \
             - {{target_label: __address__, replacement: \"{}\"}}\n",
            of_redis.address
        ),
    ]
    .concat()
}

/// A Redis with the users that it has in production, which keeps a log.
pub(super) struct Redis {
    _process: Guarded,
    port: u16,
    _directory: TempDir,
}

impl Redis {
    /// Starts one, or a replica of the one at this port.
    pub(super) fn start(primary: Option<u16>) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let users = directory.path().join("users");
        std::fs::write(&users, self::users()).unwrap();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "yes"]);
        command.args(["--maxmemory", "256mb", "--repl-diskless-sync-delay", "0", "--aclfile"]).arg(users);
        command.arg("--dir").arg(directory.path());
        if let Some(primary) = primary {
            command.args(["--replicaof", "127.0.0.1", &primary.to_string()]);
            command.args(["--masteruser", "replication", "--masterauth", SECRET]);
        }
        let mut process = Guarded::spawn(&command);
        wait_until(&mut process, "redis-server", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        Self { _process: process, port, _directory: directory }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

/// The list of users that `deploy/data` and `deploy/monitoring/exporters` describe.
fn users() -> String {
    let user = |file: &str, name: &str| {
        let text = read(file);
        let commands: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("    +")).collect();
        let commands = format!("+{}", commands.join(" +"));
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("#   user {name} "))).unwrap();
        format!("user {name} {}\n", line.replace("PASSWORD", SECRET).replace("COMMANDS", &commands))
    };
    let data = "deploy/data/redis-commands";
    let replication = format!("user replication on >{SECRET} +psync +replconf +ping\n");
    [
        user(data, "default"),
        user(data, "rulebox"),
        user("deploy/monitoring/exporters/redis-commands", MONITOR),
        replication,
    ]
    .concat()
}
