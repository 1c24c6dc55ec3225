//! Keys: who is let in.

use reqwest::Method;

use crate::harness::{Server, send};

#[tokio::test]
async fn without_a_valid_key_nothing_is_told() {
    let server = Server::start().await;
    let mut typo = server.key.clone();
    let last = typo.pop().unwrap();
    typo.push(if last == 'a' { 'b' } else { 'a' });
    let unknown = rulebox::auth::key::ApiKey::generate();
    let unknown = secrecy::ExposeSecret::expose_secret(unknown.text()).to_owned();
    for header in [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some(format!("Basic {}", server.key)),
        Some(server.key.clone()),
        Some(format!("Bearer {typo}")),
        Some(format!("Bearer {unknown}")),
        Some(format!("Bearer {}", "x".repeat(5_000))),
    ] {
        let mut request = server.anonymous(Method::GET, "/v1/rules");
        if let Some(header) = &header {
            request = request.header("authorization", header);
        }
        let answer = send(request).await;
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"rulebox\"", "{header:?}");
        answer.problem(401, "unauthenticated");
    }
    for (method, path) in [
        (Method::POST, "/v1/rules/check"),
        (Method::POST, "/v1/rules"),
        (Method::DELETE, "/v1/rules/a"),
        (Method::POST, "/v1/rules/a/evaluate"),
        (Method::POST, "/v1/evaluate"),
        (Method::GET, "/v1/limits"),
        (Method::GET, "/v1/rules/a/versions/1/module"),
    ] {
        send(server.anonymous(method, path)).await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case() {
    let server = Server::start().await;
    let request = server.anonymous(Method::GET, "/v1/limits").header("authorization", format!("bearer {}", server.key));
    send(request).await.ok();
}

#[tokio::test]
async fn the_key_is_made_once_and_kept_as_a_hash() {
    let server = Server::start().await;
    let (directory, key) = server.stop().await;
    let app = rulebox::app::App::start(crate::harness::config(directory.path())).await.unwrap();
    assert!(app.first_key().is_none());
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()));
    }
}

#[tokio::test]
async fn another_secret_makes_every_key_invalid() {
    let server = Server::start().await;
    let (directory, key) = server.stop().await;
    let mut settings = crate::harness::config(directory.path());
    settings.master_secret = Some("another secret of at least 32 bytes".into());
    let server = Server::over(directory, settings, Some(key)).await;
    server.get("/v1/rules").await.problem(401, "unauthenticated");
}
