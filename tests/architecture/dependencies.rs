//! Which crate depends on which.

use std::process::Command;

use serde_json::Value;

use crate::root;

/// A dependency of a package, and whether only its tests have it.
type Dependency = (String, bool);

/// Packages that a package's own code must not depend on.
const FORBIDDEN: [(&str, &[&str]); 3] = [
    ("rulebox-dsl", &["tokio", "wasmtime", "sqlx", "axum", "redis", "reqwest", "rulebox-sandbox", "rulebox"]),
    ("rulebox-sandbox", &["tokio", "sqlx", "axum", "redis", "reqwest", "rulebox-dsl", "rulebox"]),
    ("rulebox", &["wasmtime", "wasm-encoder", "rulebox-tests"]),
];

fn broken(packages: &[(String, Vec<Dependency>)]) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, dependencies) in packages {
        let own = || dependencies.iter().filter(|(_, tests)| !tests).map(|(name, _)| name.as_str());
        if name == "rulebox-abi" {
            broken.extend(own().map(|d| format!("{name} has no dependencies, but depends on {d}")));
        }
        for (_, forbidden) in FORBIDDEN.iter().filter(|(package, _)| package == name) {
            broken.extend(own().filter(|d| forbidden.contains(d)).map(|d| format!("{name} depends on {d}")));
        }
        // The benchmark has an engine without fuel and epochs beside the sandbox's, which must have none.
        let may_run = ["rulebox-sandbox", "rulebox-bench"].contains(&name.as_str());
        if !may_run && dependencies.iter().any(|(d, _)| d == "wasmtime") {
            broken.push(format!("{name} depends on wasmtime, which only rulebox-sandbox may"));
        }
    }
    broken
}

fn packages() -> Vec<(String, Vec<Dependency>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let dependencies = package["dependencies"].as_array().unwrap();
        let dependencies = dependencies.iter().map(|d| (text(&d["name"]), d["kind"] == "dev")).collect();
        (text(&package["name"]), dependencies)
    });
    packages.collect()
}

#[test]
fn crates_depend_in_one_direction() {
    let packages = packages();
    assert!(packages.len() >= 5, "{packages:?}");
    assert_eq!(broken(&packages), Vec::<String>::new());
}

#[test]
fn a_wrong_dependency_is_found() {
    let one = |package: &str, dependency: &str, tests| {
        broken(&[(package.to_owned(), vec![(dependency.to_owned(), tests)])]).len()
    };
    assert_eq!(one("rulebox-abi", "serde", false), 1);
    assert_eq!(one("rulebox-dsl", "tokio", false), 1);
    assert_eq!(one("rulebox-sandbox", "rulebox-dsl", false), 1);
    assert_eq!(one("rulebox-sandbox", "rulebox-dsl", true), 0);
    assert_eq!(one("rulebox-tests", "wasmtime", true), 1);
    assert_eq!(one("rulebox-sandbox", "wasmtime", false), 0);
}
