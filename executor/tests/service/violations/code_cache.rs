//! Compiled code that somebody changed between two starts.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rulebox::app::App;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::list;
use crate::harness::{DRAWDOWN, Server, config};

const TAMPERED: &str = "rulebox_sandbox_violations_total{kind=\"cache_tampered\",severity=\"critical\"}";

/// A look into the directory of compiled code ended so.
fn looked(result: &str) -> String {
    format!("rulebox_module_cache_requests_total{{result=\"{result}\",tier=\"disk\"}}")
}

fn directory_of(data: &Path) -> PathBuf {
    data.join("code")
}

/// Starts over a directory that an earlier start has left.
async fn over((directory, key): (TempDir, String)) -> Server {
    let mut settings = config(directory.path());
    settings.code_cache.directory = Some(directory_of(directory.path()));
    Server::over(directory, settings, Some(key)).await
}

/// The file of the rule's compiled code, of its form for columns. The form for single bars is kept by another name once
/// the upload has been checked, which happens behind its answer: that is waited for.
async fn kept(server: &Server) -> PathBuf {
    let version = server.get("/v1/rules/drawdown/versions/1").await.ok();
    let digest = version["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let began = Instant::now();
    loop {
        let files = fs::read_dir(directory_of(server.directory.path())).unwrap();
        let files: Vec<_> = files.map(|entry| entry.unwrap()).collect();
        if files.len() == 2 {
            let of_columns = |file: &&DirEntry| file.file_name().to_str().unwrap().starts_with(&digest);
            return files.iter().find(of_columns).unwrap().path();
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{files:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What the rule says of some bars, by its form for columns.
async fn verdicts(server: &Server) -> Value {
    let body = json!({"columns": {"equity": [1, 1, 1], "drawdown": [0.0, 0.085, 0.25]}});
    server.post("/v1/rules/drawdown/evaluate?series=verdict,out", &body).await.ok()
}

#[tokio::test]
async fn changed_code_is_recorded_counted_deleted_and_compiled_anew() {
    let (server, _, security) = Server::with_platform_keys(|config| {
        config.code_cache.directory = Some(directory_of(&config.data_dir));
    })
    .await;
    server.upload(DRAWDOWN).await;
    let right = verdicts(&server).await;
    let file = kept(&server).await;
    assert_eq!(server.metric(&looked("miss")).await, Some(2.0));
    assert_eq!(server.metric(TAMPERED).await, Some(0.0));

    // What is as it was left is taken as it is.
    let server = over(server.stop().await).await;
    assert_eq!(verdicts(&server).await, right);
    assert_eq!(server.metric(&looked("hit")).await, Some(1.0));
    let left = server.stop().await;

    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&file, &bytes).unwrap();
    let server = over(left).await;
    assert_eq!(verdicts(&server).await, right);
    assert_eq!(server.metric(TAMPERED).await, Some(1.0));
    let results = ["tampered", "hit", "failed"].map(looked);
    let mut counts = Vec::new();
    for result in &results {
        counts.push(server.metric(result).await);
    }
    assert_eq!(counts, [Some(1.0), Some(0.0), Some(0.0)]);
    let found = list(&server, &security, "?kind=cache_tampered").await;
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0]["severity"], &found[0]["tenant"]), (&json!("critical"), &json!(null)));
    assert_eq!(found[0]["detail"], json!({"tier": "disk"}));
    let version = server.get("/v1/rules/drawdown/versions/1").await.ok();
    assert!(found[0]["digest"].is_string());
    assert_eq!(found[0]["digest"], version["digest"]);
    // It is the service's, and no tenant's to see.
    assert_eq!(list(&server, &server.key, "").await.len(), 0);
    assert_eq!(kept(&server).await, file);
    assert_ne!(fs::read(&file).unwrap(), bytes, "it was written anew");

    let server = over(server.stop().await).await;
    assert_eq!(verdicts(&server).await, right);
    assert_eq!(server.metric(&looked("hit")).await, Some(1.0));
    assert_eq!(server.metric(TAMPERED).await, Some(0.0));
}

#[tokio::test]
async fn code_that_is_cut_off_raises_no_alarm() {
    let (server, _, security) = Server::with_platform_keys(|config| {
        config.code_cache.directory = Some(directory_of(&config.data_dir));
    })
    .await;
    server.upload(DRAWDOWN).await;
    let right = verdicts(&server).await;
    let file = kept(&server).await;
    let left = server.stop().await;
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let server = over(left).await;
    assert_eq!(verdicts(&server).await, right);
    assert_eq!(server.metric(&looked("miss")).await, Some(1.0));
    assert_eq!(list(&server, &security, "").await.len(), 0);
}

#[tokio::test]
async fn a_place_that_cannot_be_used_stops_the_start() {
    let start = async |data: &TempDir, directory: Option<PathBuf>, redis_bytes: u64| {
        let mut settings = config(data.path());
        settings.code_cache.directory = directory;
        settings.code_cache.redis_bytes = redis_bytes;
        App::start(settings).await.err().unwrap().to_string()
    };
    let data = tempfile::tempdir().unwrap();
    let said = start(&data, None, 1 << 20).await;
    assert!(said.contains("RULEBOX_REDIS__URL is not set"), "{said}");
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("a file");
    fs::write(&file, b"").unwrap();
    let said = start(&data, Some(file), 0).await;
    assert!(said.contains("RULEBOX_CODE_CACHE__DIRECTORY"), "{said}");
}
