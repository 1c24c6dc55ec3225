//! A private nginx.

use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use tempfile::TempDir;

use super::{Guarded, free_port, wait_until};

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    process: Guarded,
    port: u16,
    directory: TempDir,
}

impl Nginx {
    /// Starts one with what `http` makes of its port: the inside of `http { … }`.
    pub fn start(http: impl FnOnce(u16) -> String) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths = paths.map(|path| format!("{path}_temp_path {path};\n")).concat();
        // One process: the kernel ends it with the test, and no worker stays behind.
        let settings = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\n\
             events {{ worker_connections 8192; }}\nhttp {{\naccess_log off;\n{paths}{}\n}}\n",
            http(port)
        );
        std::fs::write(directory.path().join("nginx.conf"), settings).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(directory.path()).args(["-c", "nginx.conf", "-e", "error.log"]);
        let mut process = Guarded::spawn(&command);
        wait_until(&mut process, "nginx", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        Self { process, port, directory }
    }

    /// Base of what it serves, `http://127.0.0.1:…`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it wrote to its log of errors.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("error.log")).unwrap()
    }
}
