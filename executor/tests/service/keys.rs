//! Keys: who is let in.

use std::os::unix::fs::PermissionsExt;

use reqwest::Method;
use rulebox::app::{App, StartError};
use rulebox::auth::first_key::FirstKeyError;

use crate::harness::{Server, config, send};

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
async fn two_keys_at_once_are_none() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", server.key);
    let twice = server.anonymous(Method::GET, "/v1/rules").header("authorization", &bearer);
    send(twice.header("authorization", bearer)).await.problem(401, "unauthenticated");
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
    let file = directory.path().join("first.key");
    let app = App::start(config(directory.path())).await.unwrap();
    assert_eq!((app.first_key().is_none(), app.first_key_file()), (true, Some(file.as_path())));
    drop(app);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{key}\n"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::remove_file(&file).unwrap();
    let app = App::start(config(directory.path())).await.unwrap();
    assert!(app.first_key().is_none() && app.first_key_file().is_none());
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()));
    }
}

#[tokio::test]
async fn a_start_that_fails_does_not_lose_the_key() {
    let directory = tempfile::tempdir().unwrap();
    // More address space than a process has.
    let mut settings = config(directory.path());
    settings.evaluation.threads = 100_000;
    let error = App::start(settings).await.unwrap_err();
    assert!(matches!(error, StartError::Sandbox(_)), "{error}");
    // The file cannot be written.
    let file = directory.path().join("first.key");
    std::fs::create_dir(&file).unwrap();
    let error = App::start(config(directory.path())).await.unwrap_err();
    assert!(matches!(error, StartError::FirstKey(FirstKeyError::File { .. })), "{error}");
    assert!(error.to_string().contains("first.key"), "{error}");
    std::fs::remove_dir(&file).unwrap();
    // The file was written, and the process ended before the key was stored.
    let unstored = rulebox::auth::key::ApiKey::generate();
    std::fs::write(&file, secrecy::ExposeSecret::expose_secret(unstored.text())).unwrap();
    let settings = config(directory.path());
    let server = Server::over(directory, settings, None).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{}\n", server.key));
    server.get("/v1/rules").await.ok();
}

#[tokio::test]
async fn a_file_with_another_key_is_not_called_the_first_key() {
    let server = Server::start().await;
    let (directory, _) = server.stop().await;
    let file = directory.path().join("first.key");
    let other = rulebox::auth::key::ApiKey::generate();
    for text in [secrecy::ExposeSecret::expose_secret(other.text()), "", "not a key"] {
        std::fs::write(&file, text).unwrap();
        let app = App::start(config(directory.path())).await.unwrap();
        assert!(app.first_key_file().is_none(), "{text}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}

#[tokio::test]
async fn a_lost_or_another_master_secret_is_refused() {
    let server = Server::start().await;
    let (directory, key) = server.stop().await;
    let refusal = async |secret: Option<&str>| {
        let mut settings = config(directory.path());
        settings.master_secret = secret.map(Into::into);
        let error = App::start(settings).await.unwrap_err();
        assert!(matches!(error, StartError::Secret(_)), "{error}");
        error.to_string()
    };
    let said = refusal(Some("another secret of at least 32 bytes")).await;
    assert!(said.contains("RULEBOX_MASTER_SECRET is not the one"), "{said}");

    let file = directory.path().join("master.key");
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = refusal(None).await;
    assert!(said.contains("master.key is not there") && said.contains("backup"), "{said}");
    assert!(!file.exists(), "a new secret would hide that the old one is lost");
    std::fs::write(&file, [7; 32]).unwrap();
    let said = refusal(None).await;
    assert!(said.contains("master.key is not the one"), "{said}");

    std::fs::write(&file, kept).unwrap();
    let settings = config(directory.path());
    let server = Server::over(directory, settings, Some(key)).await;
    server.get("/v1/rules").await.ok();
}
