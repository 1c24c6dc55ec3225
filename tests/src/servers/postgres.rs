//! A private `PostgreSQL`, and databases in it as an operator makes them.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::authority::Authority;
use super::{Guarded, free_port, wait_until};
use crate::{root, signal};

/// Of the superuser, and of every login: the server is on loopback, and gone with the test.
pub const PASSWORD: &str = "pa ss/w@rd";
/// As it stands in a URL.
const PASSWORD_IN_URL: &str = "pa%20ss%2Fw%40rd";

/// What a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// The disk, as in earnest.
    Disk,
    /// Nothing: the data need not survive the machine.
    Nothing,
}

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    process: Guarded,
    port: u16,
    sync: Sync,
    directory: TempDir,
}

impl Postgres {
    /// Starts one that need not survive the machine.
    pub fn start() -> Self {
        Self::start_with(Sync::Nothing)
    }

    /// Starts one.
    pub fn start_with(sync: Sync) -> Self {
        let directory = tempfile::tempdir().unwrap();
        own(directory.path());
        copy(&template(), &directory.path().join("data"));
        let port = free_port();
        let process = start(port, sync, directory.path());
        Self { process, port, sync, directory }
    }

    /// Starts it again with TLS for those who ask for it, by a certificate of the authority.
    pub fn start_again_with_tls(&mut self, authority: &Authority) {
        let identity = authority.identify(self.directory.path());
        for file in [&identity.certificate, &identity.key] {
            own(file);
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let settings = format!(
            "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
            identity.certificate.display(),
            identity.key.display()
        );
        let file = self.directory.path().join("data/postgresql.auto.conf");
        std::fs::write(file, settings).unwrap();
        self.crash();
        self.start_again();
    }

    /// Starts it again with more settings, as `postgresql.conf` has them.
    pub fn start_again_with(&mut self, settings: &str) {
        std::fs::write(self.directory.path().join("data/postgresql.auto.conf"), settings).unwrap();
        self.crash();
        self.start_again();
    }

    /// A standby that follows it, over a slot of the name `standby`.
    #[must_use]
    pub fn standby(&self) -> Self {
        let directory = tempfile::tempdir().unwrap();
        own(directory.path());
        let mut copy = Command::new(program("pg_basebackup"));
        copy.args(["--write-recovery-conf", "--create-slot", "--slot=standby", "--checkpoint=fast", "--no-sync"]);
        copy.arg("--pgdata").arg(directory.path().join("data")).envs(self.superuser()).current_dir(directory.path());
        assert!(Guarded::spawn_as(&copy, other_user(), "KILL").wait(), "{copy:?}");
        let (port, sync) = (free_port(), self.sync);
        let process = start(port, sync, directory.path());
        Self { process, port, sync, directory }
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The directory of its data.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Makes the logins and a database, as `deploy/postgres/roles.sql` does; without tables.
    pub fn database(&self) -> Database {
        let mut psql = self.psql_command("postgres");
        for login in ["owner", "service", "platform"] {
            psql.arg(format!("--set={login}_password={PASSWORD}"));
        }
        psql.arg("--file").arg(root().join("deploy/postgres/roles.sql"));
        output(&mut psql);
        Database { server: self.port, port: self.port, name: "rulebox".to_owned() }
    }

    /// Runs SQL as the superuser: one line a row, columns behind one another with `|` between.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        output(self.psql_command(database).args(["--command", sql]))
    }

    /// Runs a file of SQL of the repository as the superuser, with these variables.
    pub fn psql_file(&self, database: &str, file: &str, variables: &[(&str, &str)]) {
        let mut psql = self.psql_command(database);
        psql.args(variables.iter().map(|(name, value)| format!("--set={name}={value}")));
        output(psql.arg("--file").arg(root().join(file)));
    }

    /// The environment of somebody who runs `psql` as the superuser.
    pub fn superuser(&self) -> Vec<(&'static str, String)> {
        let port = self.port.to_string();
        let texts = [("PGHOST", "127.0.0.1"), ("PGPORT", &port), ("PGUSER", "postgres"), ("PGPASSWORD", PASSWORD)];
        texts.map(|(name, value)| (name, value.to_owned())).to_vec()
    }

    fn psql_command(&self, database: &str) -> Command {
        let mut psql = Command::new(program("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]);
        psql.arg(format!("--dbname={database}")).envs(self.superuser());
        psql
    }

    /// Everything that it has written to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("data/log/postgres.log")).unwrap()
    }

    /// Stops it at once, as a crash would: connections are cut, and the next start recovers from the log.
    pub fn crash(&mut self) {
        signal(self.process.id(), "QUIT");
        self.process.wait();
    }

    /// Starts it again on the same port, over what it kept. Returns before it takes connections.
    pub fn begin_again(&mut self) {
        self.process = spawn(self.port, self.sync, self.directory.path());
    }

    /// Starts it again on the same port, over what it kept, and waits until it takes connections.
    pub fn start_again(&mut self) {
        self.begin_again();
        wait(&mut self.process, self.port);
    }
}

impl Drop for Postgres {
    /// A server that is killed leaves a segment of shared memory behind.
    fn drop(&mut self) {
        if !self.process.has_ended() {
            self.crash();
        }
    }
}

/// Of the replicas of tests.
const MASTER_SECRET: &str = "a master secret of tests, the same for all replicas";

/// A database of a server, and how to log in to it.
#[derive(Clone, Debug)]
pub struct Database {
    /// Of the server.
    server: u16,
    /// Of the server, or of a pooler in front of it.
    port: u16,
    /// Its name.
    pub name: String,
}

impl Database {
    /// The same, by another port: that of a pooler.
    #[must_use]
    pub fn by_port(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    /// `RULEBOX_DATABASE__URL`.
    pub fn url(&self) -> String {
        self.url_of("rulebox_service")
    }

    /// `RULEBOX_DATABASE__PLATFORM_URL`.
    pub fn platform_url(&self) -> String {
        self.url_of("rulebox_review")
    }

    /// `RULEBOX_DATABASE__MIGRATE_URL`: to the server itself.
    pub fn migrate_url(&self) -> String {
        self.by_port(self.server).url_of("rulebox_owner")
    }

    /// What a replica is told.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("RULEBOX_DATABASE__URL", self.url()),
            ("RULEBOX_DATABASE__PLATFORM_URL", self.platform_url()),
            ("RULEBOX_DATABASE__MIGRATE_URL", self.migrate_url()),
            ("RULEBOX_MASTER_SECRET", MASTER_SECRET.to_owned()),
        ]
    }

    /// As another login.
    pub fn url_of(&self, login: &str) -> String {
        format!("postgresql://{login}:{PASSWORD_IN_URL}@127.0.0.1:{}/{}", self.port, self.name)
    }
}

/// Logins that go through a pooler, with their passwords, as its file has them.
pub(super) fn userlist(passwords: [&str; 2]) -> String {
    let [service, review] = passwords;
    format!("\"rulebox_service\" \"{service}\"\n\"rulebox_review\" \"{review}\"\n")
}

/// A program of the server's package, which is not always on the path.
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<_> = debian.map(|entry| entry.unwrap().path().join("bin")).collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("`{name}` of PostgreSQL is missing: `./tests/run` installs it"))
}

/// Root may start no `PostgreSQL` and no `PgBouncer`: the user and group to be instead.
pub fn other_user() -> Option<(u32, u32)> {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut ids = line.split(':').skip(2).map(|id| id.parse().unwrap());
        Some((ids.next()?, ids.next()?))
    };
    Some(find("postgres").or_else(|| find("nobody")).expect("a user that is not root"))
}

/// Gives a directory to the user that the server runs as.
pub fn own(path: &Path) {
    if let Some((user, group)) = other_user() {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

/// A server's data as `initdb` leaves them: made once for all tests, since that takes seconds.
fn template() -> PathBuf {
    let version = output(Command::new(program("postgres")).arg("--version"));
    let number: String = version.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    let tests = std::env::current_exe().unwrap();
    let folder = tests.parent().and_then(Path::parent).unwrap().join("test-servers");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let template = folder.join(format!("postgres-{}", number.trim_matches('.')));
    if !template.is_dir() {
        // Elsewhere first: the other user may not come here, and what is half made must not stay.
        let directory = tempfile::tempdir().unwrap();
        own(directory.path());
        let (data, password) = (directory.path().join("data"), directory.path().join("password"));
        std::fs::write(&password, PASSWORD).unwrap();
        let mut initdb = Command::new(program("initdb"));
        initdb.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        initdb.arg("--pwfile").arg(&password).arg("--pgdata").arg(&data).current_dir(directory.path());
        assert!(Guarded::spawn_as(&initdb, other_user(), "KILL").wait(), "{initdb:?}");
        let part = folder.join("part");
        // Of a process that ended half-way.
        let _ = std::fs::remove_dir_all(&part);
        copy(&data, &part);
        std::fs::rename(&part, &template).unwrap();
    }
    template
}

fn copy(from: &Path, to: &Path) {
    output(Command::new("cp").arg("--archive").arg(from).arg(to));
}

/// What a command writes, without the last line's end.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn start(port: u16, sync: Sync, directory: &Path) -> Guarded {
    let mut process = spawn(port, sync, directory);
    wait(&mut process, port);
    process
}

fn spawn(port: u16, sync: Sync, directory: &Path) -> Guarded {
    let mut command = Command::new(program("postgres"));
    command.current_dir(directory).arg("-D").arg(directory.join("data")).args(["-p", &port.to_string()]);
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "shared_buffers=64MB",
        "max_connections=100",
        "logging_collector=on",
        "log_filename=postgres.log",
        if sync == Sync::Disk { "fsync=on" } else { "fsync=off" },
    ] {
        command.args(["-c", setting]);
    }
    Guarded::spawn_as(&command, other_user(), "QUIT")
}

fn wait(process: &mut Guarded, port: u16) {
    let mut ready = Command::new(program("pg_isready"));
    ready.args(["--quiet", "--host=127.0.0.1", &format!("--port={port}")]);
    wait_until(process, "postgres", || ready.status().unwrap().success());
}
