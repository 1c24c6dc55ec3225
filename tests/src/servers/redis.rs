//! A private Redis.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::authority::Authority;
use super::{Guarded, free_port, wait_until};
use crate::signal;

/// A running `redis-server` that keeps nothing on disk.
#[derive(Debug)]
pub struct Redis {
    process: Guarded,
    port: u16,
    directory: TempDir,
}

impl Redis {
    /// Starts one on a free port.
    pub fn start() -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let process = start(port, &directory);
        Self { process, port, directory }
    }

    /// Starts one that does not know a command.
    pub fn start_without(command: &str) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut server = self::command(port, &directory);
        server.args(["--rename-command", command, ""]);
        let mut process = Guarded::spawn(&server);
        wait_until(&mut process, "redis-server", || answers(port));
        Self { process, port, directory }
    }

    /// Starts one that speaks TLS, by a certificate of the authority, and asks for a password.
    pub fn start_with_tls(authority: &Authority, password: &str) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let identity = authority.identify(directory.path());
        let mut command = command(0, &directory);
        command.args(["--tls-port", &port.to_string(), "--tls-auth-clients", "no", "--requirepass", password]);
        command.arg("--tls-cert-file").arg(identity.certificate).arg("--tls-key-file").arg(identity.key);
        command.arg("--tls-ca-cert-file").arg(authority.certificate());
        let mut process = Guarded::spawn(&command);
        wait_until(&mut process, "redis-server", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        Self { process, port, directory }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Kills it, as by `kill -9`: connections are refused from then on.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same port, with nothing of what it held.
    pub fn start_again_empty(&mut self) {
        self.process.kill();
        self.process = start(self.port, &self.directory);
    }

    /// Stops its process: connections stay, and nobody answers.
    pub fn freeze(&self) {
        signal(self.process.id(), "STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        signal(self.process.id(), "CONT");
    }
}

fn start(port: u16, directory: &TempDir) -> Guarded {
    let mut process = Guarded::spawn(&command(port, directory));
    wait_until(&mut process, "redis-server", || answers(port));
    process
}

fn command(port: u16, directory: &TempDir) -> Command {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"]).arg(directory.path());
    command
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let mut pong = [0; 5];
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut pong).is_ok() && &pong == b"+PONG"
}
