//! A running `rulebox serve --role executor`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use crate::{Refused, binary, signal};

/// A process that runs modules for APIs.
#[derive(Debug)]
pub struct Executor {
    child: Child,
    /// Where it takes runs, as `RULEBOX_EXECUTORS__ADDRESSES` has it, but for the name in its certificate.
    pub listens: String,
    /// Base of health and metrics.
    pub health: String,
    /// What it says that it has given up.
    pub confined: String,
    log: Option<JoinHandle<String>>,
}

impl Executor {
    /// Starts one that listens on this place, `address:port` or `unix:/path`.
    ///
    /// # Errors
    /// If the process ends instead of serving.
    pub fn try_start(listen: &str, settings: &[(&str, &str)]) -> Result<Self, Refused> {
        Self::try_start_by(Command::new(binary()), listen, settings)
    }

    /// The same by a command that runs what follows it.
    ///
    /// # Errors
    /// If the process ends instead of serving.
    pub fn try_start_by(mut command: Command, listen: &str, settings: &[(&str, &str)]) -> Result<Self, Refused> {
        let mut child = command
            .args(["serve", "--role", "executor"])
            .env_clear()
            .env("RULEBOX_EXECUTORS__LISTEN", listen)
            .env("RULEBOX_HEALTH__LISTEN", "127.0.0.1:0")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            // What is not UTF-8 ends the log; the test then shows what there was.
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let (mut listens, mut health, mut confined) = (None, None, None);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some((word, rest)) = line.split_once(' ') else { continue };
            let rest = rest.trim().to_owned();
            match word {
                "executor" => listens = Some(rest),
                "health" => health = Some(rest.trim_end_matches("/readyz").to_owned()),
                "confined" => confined = Some(rest),
                "serving" => break,
                _ => {}
            }
        }
        let (Some(listens), Some(health), Some(confined)) = (listens, health, confined) else {
            let status = child.wait().unwrap();
            return Err(Refused { status, stderr: log.join().unwrap() });
        };
        Ok(Self { child, listens, health, confined, log: Some(log) })
    }

    /// The same, which must succeed.
    pub fn start(listen: &str, settings: &[(&str, &str)]) -> Self {
        Self::try_start(listen, settings).unwrap_or_else(|refused| panic!("the executor did not start: {refused:?}"))
    }

    /// Of the process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM` or `KILL`, to this process alone.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for the end; its status and its log.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.log.take().map(|log| log.join().unwrap()).unwrap_or_default())
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        // A process that has ended already cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
