//! The API in one process, and what runs its rules in others.

mod away;
mod confined;
mod cost;
mod deaths;
mod guide;
mod kill;
mod same_bits;
mod tls;
mod usage;
mod workers;

use std::path::Path;

use rulebox_tests::servers::authority::{Authority, Identity};
use rulebox_tests::servers::free_port;
use rulebox_tests::{Executor, Server, root};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The text of an example.
fn example(name: &str) -> String {
    std::fs::read_to_string(root().join(format!("dsl/examples/{name}.rule"))).unwrap()
}

/// Settings that name an identity's files.
fn files(authority: &Path, identity: &Identity) -> [(&'static str, String); 3] {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    [
        ("RULEBOX_EXECUTORS__CA_FILE", text(authority)),
        ("RULEBOX_EXECUTORS__CERTIFICATE_FILE", text(&identity.certificate)),
        ("RULEBOX_EXECUTORS__KEY_FILE", text(&identity.key)),
    ]
}

fn as_text<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// An API over executors on Unix sockets.
struct Near {
    api: Server,
    key: String,
    executors: Vec<Executor>,
    _directory: TempDir,
}

impl Near {
    fn start(executors: usize) -> Self {
        Self::with(executors, &[])
    }

    fn with(executors: usize, more: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = |n| format!("unix:{}/executor-{n}.sock", directory.path().display());
        let places: Vec<_> = (0..executors).map(place).collect();
        let executors = places.iter().map(|place| Executor::start(place, &[])).collect();
        let places = places.join(",");
        let mut settings = vec![("RULEBOX_ROLE", "api"), ("RULEBOX_EXECUTORS__ADDRESSES", places.as_str())];
        settings.extend(more);
        let api = Server::try_start(&directory.path().join("data"), &settings).unwrap();
        let key = api.key.clone().unwrap();
        Self { api, key, executors, _directory: directory }
    }
}

/// An API over executors that are reached by mutual TLS.
struct Far {
    api: Server,
    key: String,
    executors: Vec<Executor>,
    ports: Vec<u16>,
    authority: Authority,
    /// One folder for each executor, then that of the API.
    folders: Vec<TempDir>,
    identities: Vec<Identity>,
    _directory: TempDir,
}

impl Far {
    fn start(executors: usize) -> Self {
        let authority = Authority::new();
        let folders: Vec<_> = (0..=executors).map(|_| tempfile::tempdir().unwrap()).collect();
        let identities: Vec<_> = folders.iter().map(|folder| authority.identify(folder.path())).collect();
        let ports: Vec<_> = (0..executors).map(|_| free_port()).collect();
        let start = |n: usize| Self::executor(&authority, &identities[n], ports[n]);
        let running = (0..executors).map(start).collect();
        let addresses: Vec<_> = ports.iter().map(|port| format!("https://localhost:{port}")).collect();
        let addresses = addresses.join(",");
        let own = files(&authority.certificate(), &identities[executors]);
        let mut settings = as_text(&own);
        settings.extend([("RULEBOX_ROLE", "api"), ("RULEBOX_EXECUTORS__ADDRESSES", &addresses)]);
        // They are killed again and again, which is no fault of the rules.
        settings.extend([("RULEBOX_QUARANTINE__DEATHS", "1000000"), ("RULEBOX_QUARANTINE__VIOLATIONS", "1000000")]);
        let directory = tempfile::tempdir().unwrap();
        let api = Server::try_start(directory.path(), &settings).unwrap();
        let key = api.key.clone().unwrap();
        Self { api, key, executors: running, ports, authority, folders, identities, _directory: directory }
    }

    fn executor(authority: &Authority, identity: &Identity, port: u16) -> Executor {
        let settings = files(&authority.certificate(), identity);
        // `localhost` may be either.
        Executor::start(&format!("[::]:{port}"), &as_text(&settings))
    }

    fn restart(&mut self, n: usize) {
        self.executors[n] = Self::executor(&self.authority, &self.identities[n], self.ports[n]);
    }
}

/// The body of an answer that must have this status.
fn body(answer: reqwest::Result<reqwest::blocking::Response>, status: u16) -> Value {
    crate::replicas::body(answer, status)
}

/// Stores a rule.
fn upload(server: &Server, key: &str, source: &str) -> String {
    let made = body(server.post(key, "/v1/rules", &json!({ "source": source })), 201);
    made["rule"].as_str().unwrap().to_owned()
}

/// So many bars of an account: a slow wave with a fast one on it.
fn account(rows: u32) -> (Vec<f64>, Vec<f64>) {
    let bar = |row: u32| {
        let t = f64::from(row);
        let equity = 100_000.0 + 9_000.0 * (t / 500.0).sin() + 500.0 * (t / 7.7).sin();
        (equity, ((109_500.0 - equity) / 109_500.0).clamp(0.0, 1.0))
    };
    (0..rows).map(bar).unzip()
}
