//! Starts the service and speaks HTTP to it.

use std::path::Path;
use std::sync::Arc;

use reqwest::{Method, RequestBuilder, Response};
use rulebox::app::App;
use rulebox::app::opened::Opened;
use rulebox::auth::Keyring;
use rulebox::auth::key::ApiKey;
use rulebox::config::Config;
use rulebox::domain::audit::Chain;
use rulebox::domain::caller::{Actor, Role};
use rulebox::execution::engine::Engine;
use rulebox::store::Change;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::described;

/// A rule that most tests use.
pub const DRAWDOWN: &str = r#"edition 1
rule drawdown(equity: num in 0..1e15, drawdown: num in 0..1) {
  param limit: num = 10% in 1%..50%
  param warn_at: num = 8% in 0%..50%
  out room = limit - drawdown
  if drawdown >= limit { breach liquidate "drawdown {drawdown:.2%}, limit {limit:.2%}" }
  else if drawdown >= warn_at { warn "drawdown {drawdown:.2%} near {limit:.2%}" }
}
test "limits are inclusive" {
  bar equity=92000 drawdown=8%   -> warn
  bar equity=90000 drawdown=10%  -> breach liquidate
  bar equity=90000 drawdown=12.5 -> fault
}
"#;

/// A running service.
pub struct Server {
    pub base: String,
    pub health: String,
    pub key: String,
    pub directory: TempDir,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

/// Status, headers and JSON of an answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub json: Value,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { status, headers, json }
    }

    /// The JSON of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status < 300, "{self:#?}");
        self.json
    }

    /// Asserts a problem with this status and code, complete and consistent; gives its JSON.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{self:#?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.json["status"], status);
        assert_eq!(self.json["type"], format!("/problems/{code}"));
        assert_eq!(self.json["request_id"], self.headers["x-request-id"].to_str().unwrap());
        for field in ["title", "detail", "instance", "trace_id"] {
            assert!(self.json[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {self:#?}");
        }
        self.json
    }
}

/// The settings of a test: free ports, a temporary directory.
pub fn config(directory: &Path) -> Config {
    let mut config = Config::on_free_ports(directory).unwrap();
    // A busy machine is not what is tried.
    config.store.busy_ms = 10_000;
    // This process is another program.
    config.compile.worker_program = Some(env!("CARGO_BIN_EXE_rulebox").into());
    config
}

/// Makes a key of the platform, as the command line does beside a service that does not run.
async fn platform_key(settings: &Config, role: Role) -> String {
    let Opened { store, secrets } = Opened::new(settings).await.unwrap();
    let keyring = Keyring::new(store.clone(), &secrets, Arc::default());
    let key = ApiKey::generate();
    let record = keyring.record(&key, String::new(), vec![role], None);
    let sealer = Arc::new(secrets.sealer("audit"));
    let change = Change { actor: Actor::command_line(), request_id: String::new(), sealer, claim: None };
    store.create_key(Chain(None), &record, "{}", &change).await.unwrap();
    store.close().await;
    key.text().expose_secret().to_owned()
}

impl Server {
    /// With the usual settings.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings of its own.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = config(directory.path());
        change(&mut settings);
        Self::over(directory, settings, None).await
    }

    /// With a key of the platform for each of its roles: the server, and the keys of `admin` and `security`.
    pub async fn with_platform_keys(change: impl FnOnce(&mut Config)) -> (Self, String, String) {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = config(directory.path());
        change(&mut settings);
        let admin = platform_key(&settings, Role::Admin).await;
        let security = platform_key(&settings, Role::Security).await;
        (Self::over(directory, settings, None).await, admin, security)
    }

    /// The same, with something around what runs modules.
    pub async fn around(
        change: impl FnOnce(&mut Config),
        around: impl FnOnce(Arc<dyn Engine>) -> Arc<dyn Engine>,
    ) -> (Self, String, String) {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = config(directory.path());
        change(&mut settings);
        let admin = platform_key(&settings, Role::Admin).await;
        let security = platform_key(&settings, Role::Security).await;
        let app = App::start_around(settings, around).await.unwrap();
        (Self::of(app, directory, None), admin, security)
    }

    /// Over a directory that may hold a store already.
    pub async fn over(directory: TempDir, settings: Config, key: Option<String>) -> Self {
        Self::of(App::start(settings).await.unwrap(), directory, key)
    }

    fn of(app: App, directory: TempDir, key: Option<String>) -> Self {
        let base = format!("http://{}", app.api_address().unwrap());
        let health = format!("http://{}", app.health_address().unwrap());
        let key = key.or_else(|| Some(app.first_key()?.expose_secret().to_owned())).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stop_signal = async {
            // An error is the end of the test: stop as well.
            let _ = stopped.await;
        };
        let served = tokio::spawn(async move { Box::pin(app.serve(stop_signal)).await });
        Self { base, health, key, directory, client: reqwest::Client::new(), stop: Some(stop), served }
    }

    /// Stops, drains, and gives the directory and the key back.
    pub async fn stop(mut self) -> (TempDir, String) {
        self.stop.take().unwrap().send(()).unwrap();
        self.served.await.unwrap();
        (self.directory, self.key)
    }

    /// A request with the key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    /// A request with another key.
    pub fn request_by(&self, key: &str, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(key)
    }

    /// Posts JSON with another key.
    pub async fn post_by(&self, key: &str, path: &str, body: &Value) -> Answer {
        send(self.request_by(key, Method::POST, path).json(body)).await
    }

    /// Gets with another key.
    pub async fn get_by(&self, key: &str, path: &str) -> Answer {
        send(self.request_by(key, Method::GET, path)).await
    }

    /// Makes a tenant and a key of it, with these roles; gives the key.
    pub async fn tenant(&self, admin: &str, name: &str, roles: &[&str]) -> String {
        self.post_by(admin, "/v1/tenants", &json!({ "name": name })).await.ok();
        self.tenant_key(admin, name, roles).await
    }

    /// Makes a key of a tenant.
    pub async fn tenant_key(&self, admin: &str, tenant: &str, roles: &[&str]) -> String {
        let made = self.post_by(admin, &format!("/v1/tenants/{tenant}/keys"), &json!({ "roles": roles })).await.ok();
        made["key"].as_str().unwrap().to_owned()
    }

    /// Sets the limits of a tenant; gives what the tenant is then.
    pub async fn set_limits(&self, admin: &str, tenant: &str, body: &Value) -> Value {
        let path = format!("/v1/tenants/{tenant}");
        send(self.request_by(admin, Method::PATCH, &path).json(body)).await.ok()
    }

    /// A request without the key.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    /// Whatever state it is in.
    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path).header("if-match", "*")).await
    }

    /// Where a change needs to know what it changes: whatever is there.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path);
        let request = if path.ends_with("/activate") { request.header("if-match", "*") } else { request };
        send(request.json(body)).await
    }

    /// A body as it is, labelled as JSON.
    pub async fn post_text(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        send(request.body(body)).await
    }

    /// Uploads a rule under the name in its text.
    pub async fn upload(&self, source: &str) -> Value {
        self.post("/v1/rules", &json!({ "source": source })).await.ok()
    }

    /// Text of the health port.
    pub async fn health(&self, path: &str) -> (u16, String) {
        let response = self.client.get(format!("{}{path}", self.health)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Value of a metric, by its name with labels.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.health("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok())
    }
}

/// Sends a request, and holds it and its answer against the description of the API.
pub async fn send(request: RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let sent = described::Sent::of(&request);
    let answer = Answer::read(client.execute(request).await.unwrap()).await;
    sent.check(&answer);
    answer
}
