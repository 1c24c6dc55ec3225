//! Exporters: programs that ask a store for numbers, and tell Prometheus.

use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use tempfile::TempDir;

use super::{Guarded, free_port, wait_until};
use crate::root;
use crate::tools::from_pypi;

/// The exporter of Debian is of a `PgBouncer` before 1.8 and fails with any later one. This one has the names of metrics
/// that the exporter of prometheus-community has, but for one.
const PGBOUNCER: [&str; 5] = [
    "prometheus-pgbouncer-exporter==2.1.2",
    "psycopg2-binary==2.9.10",
    "prometheus_client==0.21.1",
    "python-json-logger==2.0.7",
    "PyYAML==6.0.2",
];

/// A running exporter.
#[derive(Debug)]
pub struct Exporter {
    /// `127.0.0.1:…`
    pub address: String,
    _process: Guarded,
    _directory: TempDir,
}

impl Exporter {
    /// Of `PostgreSQL` at this place (`host:port/database`), with the queries of `deploy/monitoring/exporters`.
    pub fn of_postgresql(place: &str, login: &str, password: &str) -> Self {
        Self::start("prometheus-postgres-exporter", |directory, address| {
            let file = directory.path().join("password");
            std::fs::write(&file, password).unwrap();
            let mut command = Command::new("prometheus-postgres-exporter");
            command.arg(format!("--web.listen-address={address}")).arg("--disable-default-metrics");
            command.arg("--disable-settings-metrics").arg("--extend.query-path");
            command.arg(root().join("deploy/monitoring/exporters/queries.yaml"));
            command.env("DATA_SOURCE_URI", format!("{place}?sslmode=disable")).env("DATA_SOURCE_USER", login);
            command.env("DATA_SOURCE_PASS_FILE", file);
            command
        })
    }

    /// Of each `Redis` that it is asked for, with the password of each address: under both keys of the README, since from
    /// 1.69 on it looks for the address with the user in it.
    pub fn of_redis(passwords: &[(String, &str)], login: &str) -> Self {
        Self::start("prometheus-redis-exporter", |directory, address| {
            let file = directory.path().join("passwords.json");
            let passwords = passwords.iter().flat_map(|(address, password)| {
                let keys = [address.clone(), address.replacen("://", &format!("://{login}@"), 1)];
                keys.map(|key| (key, (*password).into()))
            });
            let passwords: serde_json::Map<_, _> = passwords.collect();
            std::fs::write(&file, serde_json::Value::Object(passwords).to_string()).unwrap();
            let mut command = Command::new("prometheus-redis-exporter");
            command.args(["-web.listen-address", address, "-redis.user", login, "-config-command", "-"]);
            command.args(["-redis.addr", "", "-redis.password-file"]).arg(file);
            command
        })
    }

    /// Of `PgBouncer` at this port.
    pub fn of_pgbouncer(port: u16, login: &str, password: &str) -> Self {
        let program = from_pypi("pgbouncer-exporter", &PGBOUNCER, true).join("bin/pgbouncer-exporter");
        Self::start("pgbouncer-exporter", |directory, address| {
            let (host, own) = address.split_once(':').unwrap();
            let file = directory.path().join("config.yaml");
            let dsn = format!("postgresql://{login}:{password}@127.0.0.1:{port}/pgbouncer");
            let text = format!("exporter_host: {host}\nexporter_port: {own}\npgbouncers: [{{dsn: \"{dsn}\"}}]\n");
            std::fs::write(&file, text).unwrap();
            let mut command = Command::new(program);
            command.arg("--config").arg(file);
            command
        })
    }

    fn start(name: &str, command: impl FnOnce(&TempDir, &str) -> Command) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let address = format!("127.0.0.1:{port}");
        let mut process = Guarded::spawn(&command(&directory, &address));
        wait_until(&mut process, name, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        Self { address, _process: process, _directory: directory }
    }
}
