//! A private proxy of another make.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::{Guarded, free_port, wait_until};

/// A running tinyproxy, which lets nobody out but by CONNECT.
#[derive(Debug)]
pub struct Tinyproxy {
    process: Guarded,
    port: u16,
    directory: TempDir,
}

impl Tinyproxy {
    /// Starts one on a free port.
    pub fn start() -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let (file, log) = (directory.path().join("tinyproxy.conf"), directory.path().join("log"));
        let settings = format!(
            "Listen 127.0.0.1\nPort {port}\nTimeout 60\nMaxClients 50\nLogLevel Connect\nLogFile \"{}\"\n",
            log.display()
        );
        std::fs::write(&file, settings).unwrap();
        Self { process: run(&file, port), port, directory }
    }

    /// Starts it again, on the same port.
    pub fn start_again(&mut self) {
        self.process.kill();
        self.process = run(&self.directory.path().join("tinyproxy.conf"), self.port);
    }

    /// Its address, as a setting has it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The requests that it wrote down: `CONNECT 127.0.0.1:443 HTTP/1.1`.
    pub fn requests(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap();
        let requests = log.lines().filter_map(|line| line.split_once("Request (file descriptor ")?.1.split_once(": "));
        requests.map(|(_, request)| request.to_owned()).collect()
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}

fn run(settings: &Path, port: u16) -> Guarded {
    let mut command = Command::new("tinyproxy");
    command.arg("-d").arg("-c").arg(settings);
    let mut process = Guarded::spawn(&command);
    wait_until(&mut process, "tinyproxy", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    process
}
