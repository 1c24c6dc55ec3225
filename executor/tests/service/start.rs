//! What can be wrong at the start: each says what, and what to do.

use rulebox::app::{App, StartError};
use rulebox::store::sqlite::OpenError;

use crate::harness::config;

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = config(directory.path());
    settings.api.listen = taken.local_addr().unwrap();
    let error = App::start(settings).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }));
    let text = error.to_string();
    assert!(text.contains(&taken.local_addr().unwrap().to_string()) && text.contains("RULEBOX_API__LISTEN"), "{text}");
    assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing was made");
    let mut settings = config(directory.path());
    settings.health.listen = taken.local_addr().unwrap();
    assert!(App::start(settings).await.unwrap_err().to_string().contains("RULEBOX_HEALTH__LISTEN"));
}

#[tokio::test]
async fn two_services_on_one_directory_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = App::start(config(directory.path())).await.unwrap();
    let error = App::start(config(directory.path())).await.unwrap_err();
    assert!(matches!(error, StartError::Store(OpenError::InUse { .. })), "{error}");
    drop(first);
    let again = App::start(config(directory.path())).await.unwrap();
    assert!(again.first_key().is_none(), "the first start has made it");
}

#[tokio::test]
async fn a_file_that_is_no_store_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rulebox.db");
    let text = "a file of somebody else's, which is longer than a header and must not be overwritten\n".repeat(10);
    std::fs::write(&path, &text).unwrap();
    let error = App::start(config(directory.path())).await.unwrap_err();
    assert!(error.to_string().contains("rulebox.db"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_short_master_secret_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = config(directory.path());
    settings.master_secret = Some("short".into());
    assert!(App::start(settings).await.unwrap_err().to_string().contains("32 bytes"));
}
