//! Where libraries appear, and how long files are.

use std::path::Path;

use crate::root;

/// Lines of one file, tests included.
const MOST_LINES: usize = 500;

/// A library, and the places under `executor/src` where it may be named.
const ROOMS: [(&str, &[&str]); 6] = [
    ("axum", &["api/", "server/", "app.rs", "app/"]),
    ("sqlx", &["store/"]),
    ("redis", &["shared/"]),
    ("wasmtime", &[]),
    ("opentelemetry", &["telemetry/"]),
    ("utoipa", &["api/", "app.rs", "app/"]),
];

/// Folders under `executor/src` from the outside in: none names one that is before it.
const LAYERS: [&str; 8] = ["api", "service", "execution", "delivery", "auth", "store", "shared", "domain"];

/// What breaks a rule in a file, whose path is relative to the root.
fn broken(path: &str, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let lines = text.lines().count();
    if lines > MOST_LINES {
        broken.push(format!("{path} has {lines} lines, more than {MOST_LINES}"));
    }
    if let Some(inside) = path.strip_prefix("executor/src/") {
        for (library, rooms) in ROOMS {
            if names(text, library) && !rooms.iter().any(|room| inside.starts_with(room)) {
                broken.push(format!("{path} names {library}, which belongs to {rooms:?}"));
            }
        }
        let layer = LAYERS.iter().position(|layer| inside.starts_with(&format!("{layer}/")));
        for outer in LAYERS.iter().take(layer.unwrap_or(0)) {
            if text.contains(&format!("crate::{outer}::")) {
                broken.push(format!("{path} names {outer}, which is built on it"));
            }
        }
    }
    broken
}

/// Whether code, not a comment, names a crate.
fn names(text: &str, library: &str) -> bool {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let path = format!("{library}::");
    code.into_iter().any(|line| {
        line.match_indices(&path).any(|(at, _)| {
            // `rulebox_axum::` is another name.
            !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
        })
    })
}

fn rust_files(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let hidden = path.file_name().is_some_and(|n| n == "target" || n.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn libraries_stay_in_their_rooms_and_files_stay_short() {
    let mut files = Vec::new();
    rust_files(&root(), &mut files);
    assert!(files.len() > 60, "only {} files", files.len());
    let mut all = Vec::new();
    for file in files {
        let path = file.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        all.extend(broken(&path, &std::fs::read_to_string(&file).unwrap()));
    }
    assert_eq!(all, Vec::<String>::new());
}

#[test]
fn what_is_out_of_place_is_found() {
    assert_eq!(broken("executor/src/service/rules.rs", "use axum::Json;\nuse sqlx::query;").len(), 2);
    assert_eq!(broken("executor/src/store/sqlite/mod.rs", "use sqlx::query;").len(), 0);
    assert_eq!(broken("executor/src/cli/run.rs", "// axum::Json is elsewhere\nmy_sqlx::x();").len(), 0);
    assert_eq!(broken("executor/src/execution/engine.rs", "wasmtime::Engine::default()").len(), 1);
    assert_eq!(broken("executor/src/auth/keyring.rs", "use crate::api::problem::Problem;").len(), 1);
    assert_eq!(broken("executor/src/api/tenant.rs", "use crate::auth::Keyring;").len(), 0);
    assert_eq!(broken("dsl/src/a.rs", &"\n".repeat(501)).len(), 1);
}
