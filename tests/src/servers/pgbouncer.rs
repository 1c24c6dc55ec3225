//! A private `PgBouncer` in transaction mode.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::postgres::{PASSWORD, Postgres, other_user, own, userlist};
use super::{Guarded, free_port, wait_until};
use crate::root;

/// A running pooler.
#[derive(Debug)]
pub struct PgBouncer {
    process: Guarded,
    port: u16,
    directory: TempDir,
}

impl PgBouncer {
    /// Starts one in front of a server, as `deploy/postgres/pgbouncer.ini` says but for addresses and numbers: the
    /// server gets at most this many connections, one of them for what must cross tenants.
    pub fn start(server: &Postgres, connections: u32) -> Self {
        Self::start_for(server, connections, [PASSWORD, PASSWORD])
    }

    /// The same, and an exporter may ask it, with this login and password.
    pub fn start_watched(server: &Postgres, connections: u32, login: &str, password: &str) -> Self {
        let more = std::fs::read_to_string(root().join("deploy/monitoring/exporters/pgbouncer.ini")).unwrap();
        let users = format!("\"{login}\" \"{password}\"\n");
        Self::start_with(server, connections, [PASSWORD, PASSWORD], [&more, &users])
    }

    /// The same, for logins with other passwords: that of the service, and that for what must cross tenants.
    pub fn start_for(server: &Postgres, connections: u32, passwords: [&str; 2]) -> Self {
        Self::start_with(server, connections, passwords, ["", ""])
    }

    /// With more settings, and more users.
    fn start_with(server: &Postgres, connections: u32, passwords: [&str; 2], more: [&str; 2]) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        own(directory.path());
        let ini = root().join("deploy/postgres/pgbouncer.ini");
        let ini = std::fs::read_to_string(ini).unwrap();
        let settings = format!(
            "{ini}\nauth_file = {0}/userlist.txt\nlisten_port = {port}\nunix_socket_dir =\nlogfile = {0}/log\n\
             default_pool_size = {1}\n{3}\n\
             [databases]\nrulebox = host=127.0.0.1 port={2}\n[users]\nrulebox_review = max_user_connections=1\n",
            directory.path().display(),
            connections - 1,
            server.port(),
            more[0]
        );
        std::fs::write(directory.path().join("pgbouncer.ini"), settings).unwrap();
        std::fs::write(directory.path().join("userlist.txt"), userlist(passwords) + more[1]).unwrap();
        let process = start(port, directory.path());
        Self { process, port, directory }
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Kills it, with the connections of everybody, and starts it again on the same port.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = start(self.port, self.directory.path());
    }
}

fn start(port: u16, directory: &Path) -> Guarded {
    let mut command = Command::new("pgbouncer");
    command.arg(directory.join("pgbouncer.ini")).current_dir(directory);
    let mut process = Guarded::spawn_as(&command, other_user(), "KILL");
    wait_until(&mut process, "pgbouncer", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    process
}
