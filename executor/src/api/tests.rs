//! What goes wrong in the service itself: panics, full queues, a store that is away.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use http_body_util::BodyExt;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;
use crate::app;
use crate::auth::Keyring;
use crate::auth::key::ApiKey;
use crate::auth::secret::{MasterSecret, Secrets};
use crate::auth::vault::Vault;
use crate::config::Config;
use crate::domain::audit::{Chain, Sealer};
use crate::domain::caller::{Actor, Role};
use crate::domain::review::Filter;
use crate::domain::tenant::TenantName;
use crate::execution::fair::Owner;
use crate::invalidation::Generations;
use crate::service::{Parts, Service, SessionKeys};
use crate::shared::Shared;
use crate::shared::in_process::InProcess;
use crate::store::sqlite::{OpenOptions, SqliteStore};
use crate::store::{Change, PlatformStore, ReviewStore, StoreError};
use crate::telemetry::metrics::Metrics;

struct Fixture {
    state: ApiState,
    store: Arc<SqliteStore>,
    key: String,
    _directory: TempDir,
}

async fn fixture(configure: impl FnOnce(&mut Config)) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let options = OpenOptions {
        directory: directory.path().to_path_buf(),
        connections: 1,
        // A busy machine is no busy store.
        busy: std::time::Duration::from_secs(5),
        survives_power_loss: false,
    };
    let store = Arc::new(SqliteStore::open(&options).await.unwrap());
    let secrets = Secrets::only(MasterSecret::from_bytes(&[1; 32]).unwrap());
    let generations = Arc::new(Generations::new());
    let keyring = Arc::new(Keyring::new(store.clone(), &secrets, Arc::clone(&generations)));
    let key = ApiKey::generate();
    let sealer: Arc<dyn Sealer> = Arc::new(secrets.sealer("audit"));
    let record = keyring.record(&key, String::new(), Role::OF_TENANT.to_vec(), None);
    let change = Change { actor: Actor::service(), request_id: String::new(), sealer: sealer.clone(), claim: None };
    assert!(store.create_first_tenant(&TenantName::default(), &record, &change).await.unwrap());
    let key = key.text().expose_secret().to_owned();
    let mut config = Config::on_free_ports(directory.path()).unwrap();
    configure(&mut config);
    let parts = Parts {
        store: store.clone(),
        shared: Shared::of(&Arc::new(InProcess::new(1 << 20, 1 << 20))),
        keyring,
        sealer,
        cursors: Arc::new(secrets.sealer("cursors")),
        session_keys: Arc::new(SessionKeys::of(&secrets)),
        vault: Arc::new(Vault::new(&secrets, "webhooks").unwrap()),
        engine: app::engine::in_process(&config, app::engine::workers(&config)).unwrap(),
        generations,
        meter: Arc::default(),
        settings: Arc::new(config),
        metrics: Metrics::new().unwrap(),
    };
    Fixture { state: ApiState::new(Service::new(parts)), store, key, _directory: directory }
}

impl Fixture {
    async fn post(&self, path: &str, body: &str) -> Response {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        router(self.state.clone()).0.oneshot(request).await.unwrap()
    }
}

async fn json(response: Response) -> serde_json::Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

async fn panics() -> &'static str {
    panic!("the password is swordfish")
}

#[tokio::test]
async fn a_panic_is_a_problem_that_tells_nothing() {
    let fixture = fixture(|_| {}).await;
    let router = around(Router::new().route("/panics", get(panics)), fixture.state.clone());
    let response = router.oneshot(Request::get("/panics").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem = json(response).await;
    assert_eq!((&problem["code"], &problem["instance"]), (&"internal".into(), &"/panics".into()));
    assert!(!problem.to_string().contains("swordfish"), "{problem}");
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let fixture = fixture(|config| {
        (config.compile.threads, config.compile.queue) = (1, 0);
        (config.evaluation.threads, config.evaluation.queue) = (1, 0);
    })
    .await;
    let rule = r#"{"source": "rule floor(equity) = equity < 1"}"#;
    assert_eq!(fixture.post("/v1/rules", rule).await.status(), StatusCode::CREATED);
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let (began, has_begun) = tokio::sync::oneshot::channel();
    let runs = fixture.state.service.bar_runs().clone();
    let busy = tokio::spawn(async move {
        runs.run(Owner::NOBODY, move || {
            began.send(()).unwrap();
            gate.recv().unwrap();
        })
        .await
    });
    has_begun.await.unwrap();
    let bar = r#"{"inputs": {"equity": 2}}"#;
    let response = fixture.post("/v1/rules/floor/evaluate", bar).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(json(response).await["code"], "overloaded");
    assert_eq!(fixture.state.service.metrics().refused.with_label_values(&["bar_queue"]).get(), 1);
    assert_eq!(fixture.state.service.metrics().refused.with_label_values(&["evaluation_queue"]).get(), 0);
    // Runs do not keep texts from being compiled.
    assert_eq!(fixture.post("/v1/rules/check", rule).await.status(), StatusCode::OK);
    release.send(()).unwrap();
    busy.await.unwrap().unwrap();
    assert_eq!(fixture.post("/v1/rules/floor/evaluate", bar).await.status(), StatusCode::OK);
}

/// What is not loaded waits for those who compile, and holds up nobody whose module is.
#[tokio::test]
async fn a_cold_module_takes_no_turn_of_runs() {
    let fixture = fixture(|config| {
        config.compile.threads = 1;
        (config.evaluation.threads, config.evaluation.loaded_modules) = (1, 1);
    })
    .await;
    for (name, least) in [("cold", 1), ("warm", 2)] {
        let rule = format!(r#"{{"source": "rule {name}(equity) = equity < {least}"}}"#);
        assert_eq!(fixture.post("/v1/rules", &rule).await.status(), StatusCode::CREATED);
    }
    // What is checked behind an upload is loaded too, and would put the warm one out.
    let checks = fixture.state.service.metrics().differential_checks.with_label_values(&["upload", "same"]);
    while checks.get() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    // In the form for columns, whichever the checks left.
    let bar = r#"{"columns": {"equity": [2, 2]}}"#;
    assert_eq!(fixture.post("/v1/rules/warm/evaluate", bar).await.status(), StatusCode::OK);
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let (began, has_begun) = tokio::sync::oneshot::channel();
    let compiles = fixture.state.service.compiles().clone();
    let busy = tokio::spawn(async move {
        compiles
            .run(Owner::NOBODY, move || {
                began.send(()).unwrap();
                gate.recv().unwrap();
            })
            .await
    });
    has_begun.await.unwrap();
    let mut cold = std::pin::pin!(fixture.post("/v1/rules/cold/evaluate", bar));
    tokio::select! {
        _ = &mut cold => panic!("it was loaded on the pool of those who run"),
        () = async {
            while fixture.state.service.compiles().waiting() == 0 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    assert_eq!(fixture.post("/v1/rules/warm/evaluate", bar).await.status(), StatusCode::OK);
    release.send(()).unwrap();
    busy.await.unwrap().unwrap();
    assert_eq!(cold.await.status(), StatusCode::OK);
}

#[tokio::test]
async fn bodies_in_flight_are_bounded() {
    let fixture = fixture(|config| config.api.bodies_in_flight_bytes = config.api.body_bytes).await;
    let rule = r#"{"source": "rule floor(equity) = equity < 1"}"#;
    let large = format!("{}{rule}", " ".repeat(100_000));
    let mut held = fixture.state.body_room.none(Owner::NOBODY);
    held.resize(fixture.state.service.settings().api.body_bytes).unwrap();
    let response = fixture.post("/v1/rules/check", &large).await;
    assert_eq!(json(response).await["code"], "overloaded");
    assert_eq!(fixture.post("/v1/rules/check", rule).await.status(), StatusCode::OK);
    drop(held);
    assert_eq!(fixture.post("/v1/rules/check", &large).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_store_that_is_away_is_503_and_tells_nothing() {
    let fixture = fixture(|_| {}).await;
    fixture.store.close().await;
    let response = fixture.post("/v1/rules", r#"{"source": "rule floor(equity) = equity < 1"}"#).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    let problem = json(response).await;
    assert_eq!(problem["code"], "unavailable");
    assert!(!problem.to_string().contains("pool"), "{problem}");
}

#[tokio::test]
async fn an_answer_with_another_tenants_row_is_not_given_and_is_recorded_first() {
    let fixture = fixture(|_| {}).await;
    let tenant = fixture.store.keys(fixture.key.get(..17).unwrap()).await.unwrap()[0].tenant.unwrap();
    let leaks = move || async move {
        let error = StoreError::CrossTenant { table: "versions", asked: tenant };
        Err::<(), _>(Problem::from(crate::service::ServiceError::from(error)))
    };
    let router = around(Router::new().route("/leaks", get(leaks)), fixture.state.clone());
    let answer = router.oneshot(Request::get("/leaks").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&text).unwrap();
    assert!(text.contains("\"internal\"") && !text.contains("versions") && !text.contains("tenant"), "{text}");
    let owner = Chain(Some(tenant));
    let found = fixture.store.violations(owner, &Filter::default(), None, 10).await.unwrap();
    let [found] = found.try_into().unwrap();
    assert_eq!((found.kind.as_str(), found.severity.name(), found.count), ("cross_tenant", "critical", 1));
    assert_eq!(found.detail, serde_json::json!({"of": "versions"}));
    let counted = fixture.state.service.metrics().violations.with_label_values(&["cross_tenant", "critical"]).get();
    assert_eq!(counted, 1);
}
