//! The gateway: a real nginx with `deploy/gateway/nginx.conf`, in front of real services. Changed are only its addresses,
//! its paths, its upstreams and its certificate; what a test changes beside, it says.

mod answers;
mod clients;
mod flows;
mod install;
mod tracks;

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rulebox_tests::servers::{Guarded, free_port, wait_until};
use rulebox_tests::tools::run;
use rulebox_tests::{Server, root, signal};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use tempfile::TempDir;

use crate::changed;

/// A connection to the gateway.
type Tls = StreamOwned<ClientConnection, TcpStream>;

/// The name in the configuration.
const HOST: &str = "rulebox.example.com";
/// A page that may call the API, as `origins.conf` has it.
const ORIGIN: &str = "https://app.example.com";
const RULE: &str = "dsl/examples/check_custom_rule.rule";

/// A change of one thing in a file of the configuration: the file, what is there, and what comes in its place.
type Change<'a> = (&'a str, &'a str, &'a str);

/// The configuration in a directory of its own, for ports of its own.
struct Files {
    directory: TempDir,
    https: u16,
    http: u16,
}

impl Files {
    /// Writes it, for upstreams by their groups (`stable`, `canary`) and with changes.
    fn new(upstreams: &[(&str, Vec<String>)], changes: &[Change<'_>]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        // Workers are another user, and write their temporary files here.
        open_to_all(here);
        let (https, http) = (free_port(), free_port());
        for entry in fs::read_dir(root().join("deploy/gateway")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, here.join(path.file_name().unwrap())).unwrap();
        }
        for folder in ["tls", "log"] {
            fs::create_dir(here.join(folder)).unwrap();
        }
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
        openssl.args(["-subj", "/CN=rulebox", "-addext", &format!("subjectAltName=DNS:{HOST}")]);
        openssl.args([
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "tls/tls.key",
            "-out",
            "tls/tls.crt",
        ]);
        run(openssl.current_dir(here));
        let edit = |file: &str, of: &dyn Fn(String) -> String| {
            let file = here.join(file);
            fs::write(&file, of(fs::read_to_string(&file).unwrap())).unwrap();
        };
        let log = format!("{}/log/", here.display());
        edit("nginx.conf", &|text| {
            // The second address of each pair is IPv6, which not every machine has.
            let text = text.replace("listen [::]:443", &format!("listen 127.0.0.2:{https}"));
            let text = text.replace("listen 443", &format!("listen 127.0.0.1:{https}"));
            let text = text.replace("listen [::]:80", &format!("listen 127.0.0.2:{http}"));
            let text = text.replace("listen 80", &format!("listen 127.0.0.1:{http}"));
            let text = changed(&text, "/run/nginx.pid", &format!("{}/nginx.pid", here.display()));
            let text = changed(&text, "/var/log/nginx/", &log);
            let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
            let paths = paths.map(|path| format!("{path}_temp_path {}/{path};\n", here.display())).concat();
            changed(&text, "http {\n", &format!("http {{\n{paths}"))
        });
        edit("log.conf", &|text| changed(&text, "/var/log/nginx/", &log));
        edit("upstreams.conf", &|text| {
            let (mut group, mut lines) = ("", Vec::new());
            for line in text.lines() {
                if let Some(rest) = line.strip_prefix("upstream ") {
                    group = rest.trim_end_matches(" {").trim_end_matches("_streams");
                }
                if !line.contains("server 127.0.0.1:8080") {
                    lines.push(line.to_owned());
                    continue;
                }
                let (_, servers) = upstreams.iter().find(|(name, _)| *name == group).unwrap_or(&upstreams[0]);
                lines.extend(servers.iter().map(|server| line.replace("127.0.0.1:8080", server)));
            }
            lines.join("\n") + "\n"
        });
        for (file, from, to) in changes {
            edit(file, &|text| changed(&text, from, to));
        }
        Self { directory, https, http }
    }

    /// `nginx` with these arguments.
    fn nginx(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("nginx");
        command.arg("-c").arg(self.path("nginx.conf")).arg("-e").arg(self.path("log/error.log")).args(arguments);
        command
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }
}

fn open_to_all(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A running gateway. It ends by its signal, with its workers.
struct Gateway {
    master: Guarded,
    files: Files,
}

impl Gateway {
    fn start(upstreams: &[(&str, Vec<String>)], changes: &[Change<'_>]) -> Self {
        let files = Files::new(upstreams, changes);
        let mut master = Guarded::spawn_as(&files.nginx(&["-g", "daemon off;"]), None, "TERM");
        // It listens before it writes its number, which whoever reloads it reads.
        let numbered = || fs::read_to_string(files.path("nginx.pid")).is_ok_and(|number| number.ends_with('\n'));
        wait_until(&mut master, "nginx", || {
            numbered() && TcpStream::connect((Ipv4Addr::LOCALHOST, files.https)).is_ok()
        });
        Self { master, files }
    }

    /// In front of one service.
    fn before(server: &Server, changes: &[Change<'_>]) -> Self {
        Self::start(&[("stable", vec![address(server)])], changes)
    }

    /// What is asked of it at a path, with more arguments of curl.
    fn curl(&self, path: &str, arguments: &[&str]) -> Answer {
        let output = self.command(path, &[&["--max-time", "120"], arguments].concat()).output().unwrap();
        Answer::read(&String::from_utf8_lossy(&output.stdout))
    }

    /// curl at a path of it, which trusts its certificate alone. (With a limit of time it does not read what it sends piece
    /// by piece.)
    fn command(&self, path: &str, arguments: &[&str]) -> Command {
        let port = self.files.https;
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--path-as-is", "--noproxy", "*"]);
        curl.args(["--resolve", &format!("{HOST}:{port}:127.0.0.1"), "--header", "expect:", "--cacert"]);
        curl.arg(self.files.path("tls/tls.crt")).args(arguments).arg(format!("https://{HOST}:{port}{path}"));
        curl
    }

    /// A connection over TLS, for what curl does not send.
    fn tls(&self) -> Tls {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.files.path("tls/tls.crt")).unwrap()).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let name = HOST.to_owned().try_into().unwrap();
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.files.https)).unwrap();
        Tls::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
    }

    /// Its lines of the log, once there is one that does so. A line is written when its request has ended.
    fn logged(&self, has: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        wait_for("a line of the log", || {
            found = self.log().into_iter().rev().find(&has);
            found.is_some()
        });
        found.unwrap()
    }

    fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.files.path("log/access.log")).unwrap();
        // It may be read between two of nginx's writes of one line.
        let ended = text.rfind('\n').map_or(0, |end| end + 1);
        text[..ended]
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if !self.master.has_ended() {
            signal(self.master.id(), "TERM");
            self.master.wait();
        }
    }
}

/// An answer, as curl shows it.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }

    /// The one header of a name; it must not be there twice.
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert_eq!(values.next(), None, "{name} is there twice: {self:?}");
        value
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A service behind a proxy on loopback, with a rule, and its key.
fn service(directory: &Path) -> (Server, String) {
    let server = Server::try_start(directory, &[("RULEBOX_API__TRUSTED_PROXIES", "127.0.0.1")]).unwrap();
    let key = server.key.clone().unwrap();
    let source = fs::read_to_string(root().join(RULE)).unwrap();
    let rule = serde_json::json!({ "source": source });
    server.post(&key, "/v1/rules", &rule).unwrap().error_for_status().unwrap();
    (server, key)
}

fn address(server: &Server) -> String {
    server.api.trim_start_matches("http://").to_owned()
}

fn bearer(key: &str) -> String {
    format!("authorization: Bearer {key}")
}

/// Waits until something is so.
fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_mins(1), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
}
