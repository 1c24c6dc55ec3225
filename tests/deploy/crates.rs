//! Crates of others: where they come from, by which licence, and that none is there that must not be.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rulebox_tests::tools::{run, tried};
use rulebox_tests::{binary, root};

use crate::{changed, full, read};

/// Crates of a lock file that are not from the one registry, or without a sum of what they are.
fn strangers(lock: &str) -> (usize, Vec<String>) {
    let crates: Vec<_> = lock.split("[[package]]").skip(1).collect();
    let others = crates.iter().filter(|one| one.contains("\nsource = "));
    let of_registry = |one: &str| {
        one.contains("\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n")
            && one.contains("\nchecksum = \"")
    };
    let strange = others.clone().filter(|one| !of_registry(one)).map(|one| one.trim().to_owned()).collect();
    (others.count(), strange)
}

#[test]
fn crates_are_of_one_registry() {
    for file in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let lock = read(file);
        let (count, strange) = strangers(&lock);
        assert!(count > 100);
        assert_eq!(strange, Vec::<String>::new(), "{file}");
        println!("{file}: {count} crates of one registry, each with its sum");
        let git =
            changed(&lock, "registry+https://github.com/rust-lang/crates.io-index", "git+https://example.com/a#1");
        assert_eq!(strangers(&git).1.len(), 1);
        assert!(!strangers(&changed(&lock, "checksum = ", "sum = ")).1.is_empty());
    }
}

const VERSION: &str = "0.20.2";

/// `cargo-deny` of this version, installed once beside what is built.
fn cargo_deny() -> PathBuf {
    let tools = binary().parent().unwrap().parent().unwrap().join("tools/cargo-deny");
    let program = tools.join("bin/cargo-deny");
    let is_there = || {
        program.is_file() && tried(Command::new(&program).arg("--version")).1.trim() == format!("cargo-deny {VERSION}")
    };
    if !is_there() {
        let mut install = Command::new(env!("CARGO"));
        install.args(["install", "--locked", "--force", "--version", VERSION, "--root"]).arg(&tools).arg("cargo-deny");
        // What it is built of is of no use to anybody else.
        run(install.arg("--target-dir").arg(tools.join("build")));
        fs::remove_dir_all(tools.join("build")).unwrap();
        assert!(is_there());
    }
    program
}

#[test]
fn licences_bans_sources_and_advisories() {
    if !full("cargo-deny: licences, banned crates, sources and advisories of all crates") {
        return;
    }
    let program = cargo_deny();
    let deny = |config: &str, checks: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("deny.toml");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(&program);
        command.args(["--locked", "--config"]).arg(&file).arg("check").args(checks).current_dir(root());
        let (output, said) = tried(&mut command);
        (output.status.success(), said)
    };
    let config = read("deny.toml");
    let checks = ["licenses", "bans", "sources"];
    let (passed, said) = deny(&config, &checks);
    assert!(passed && said.contains("bans ok, licenses ok, sources ok"), "{said}");
    println!("cargo-deny: {}", said.trim());
    for (from, to, found) in [
        ("    \"Unicode-3.0\",\n", "", "licenses FAILED"),
        ("{ crate = \"openssl-sys\" }", "{ crate = \"rustls\" }", "bans FAILED"),
        ("https://github.com/rust-lang/crates.io-index", "https://example.com/index", "sources FAILED"),
    ] {
        let (passed, said) = deny(&changed(&config, from, to), &checks);
        assert!(!passed && said.contains(found), "{found}: {said}");
    }
    let (passed, said) = deny(&config, &["advisories"]);
    if said.contains("failed to fetch advisory database") {
        // Where there is a network, as in the workflow, nothing passes without them.
        let required = std::env::var_os("TESTS_ADVISORIES").is_some_and(|word| word == "required");
        assert!(!required, "advisories were not checked: {said}");
        println!("ADVISORIES WERE NOT CHECKED: their database cannot be fetched from here");
    } else {
        assert!(passed && said.contains("advisories ok"), "{said}");
        println!("cargo-deny: {}", said.trim());
    }
}
