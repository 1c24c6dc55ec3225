//! Images: what goes into their builds, and one built and started.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rulebox_tests::tools::{run, tried};
use rulebox_tests::{binary, root};

use crate::{changed, full, read};

/// The sources that a Dockerfile copies from the repository, each of which must be let through.
fn copied(dockerfile: &str) -> Vec<String> {
    let lines = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    let own = lines.filter(|line| !line.starts_with("--from"));
    own.map(|line| line.split(' ').next().unwrap().to_owned()).filter(|source| source != ".").collect()
}

/// Whether a path is in the context of a build: the last line of `.dockerignore` that fits decides.
fn is_in_the_context(path: &str, ignore: &str) -> bool {
    let mut is_in = true;
    for line in ignore.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (pattern, lets_in) = line.strip_prefix('!').map_or((line, false), |pattern| (pattern, true));
        let fits = match pattern.strip_prefix("**/") {
            Some(name) => path.split('/').any(|part| part == name),
            None => pattern == "*" || path == pattern || path.starts_with(&format!("{pattern}/")),
        };
        if fits {
            is_in = lets_in;
        }
    }
    is_in
}

#[test]
fn the_context_has_what_is_copied_and_nothing_of_this_machine() {
    let ignore = read(".dockerignore");
    let copied = copied(&read("deploy/image/Dockerfile"));
    assert!(copied.len() >= 5, "{copied:?}");
    for source in &copied {
        assert!(root().join(source).exists(), "there is no {source}");
        assert!(is_in_the_context(source, &ignore), "{source} is not let through");
    }
    for path in [
        ".git/config",
        "target/release/rulebox",
        "executor/target/a",
        "deploy/compose/secrets/owner_password",
        "rulebox-data/master.key",
        ".env",
    ] {
        assert!(!is_in_the_context(path, &ignore), "{path} is let through");
    }
    assert!(!is_in_the_context("migrations/a", &changed(&ignore, "!migrations\n", "")));
    println!("the context of images: {} sources let through", copied.len());
}

/// What stands behind these words in a file, up to the end of its line.
fn behind(path: &str, words: &str) -> String {
    let text = read(path);
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(words));
    line.unwrap_or_else(|| panic!("{path} has no {words:?}")).trim_matches([' ', '"']).to_owned()
}

#[test]
fn versions_agree() {
    let tag = behind("deploy/image/Dockerfile", "ARG RUST_TAG=");
    let rust = tag.split('-').next().unwrap();
    assert_eq!(behind(".github/workflows/ci.yml", "RUST_VERSION:"), rust);
    assert!(rust.starts_with(&behind("Cargo.toml", "rust-version = ")), "{rust}");
    // Dumps are made by clients of the server's version.
    let postgres = behind("deploy/image/Dockerfile", "ARG POSTGRES_TAG=");
    assert_eq!(behind("deploy/compose/compose.yaml", "image: postgres:"), postgres);
    let debian = behind("deploy/image/pgbouncer.Dockerfile", "ARG DEBIAN_TAG=");
    let debian = debian.split('-').next().unwrap();
    assert!(tag.ends_with(debian) && postgres.ends_with(debian), "{tag}, {postgres}, {debian}");
    // Each base that a release begins with is one that `bases` fixes.
    let bases = read("deploy/image/bases");
    for file in ["deploy/image/Dockerfile", "deploy/image/pgbouncer.Dockerfile"] {
        for from in
            read(file).lines().filter(|line| line.starts_with("FROM ") && line.contains('/') | line.contains(':'))
        {
            let name = from.split("${").nth(1).unwrap().split("_TAG").next().unwrap();
            assert!(from.contains(&format!(":+@${{{name}_DIGEST}}")), "{file}: {from} goes by its tag alone");
            assert!(bases.contains(&format!("\n{name}_DIGEST=")), "{file}: {name} is not in bases");
        }
    }
    println!("versions: Rust {rust}, PostgreSQL {postgres}, Debian {debian}");
}

/// What dependencies are built of: a manifest that names a target that is not there would be found when images are built.
#[test]
fn the_skeleton_is_a_workspace() {
    let directory = tempfile::tempdir().unwrap();
    let skeleton = directory.path().join("skeleton");
    run(Command::new("sh").arg(root().join("deploy/image/skeleton")).arg(root()).arg(&skeleton));
    let metadata = |directory: &std::path::Path| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"]).current_dir(directory);
        let metadata: serde_json::Value = serde_json::from_str(&run(&mut cargo)).unwrap();
        let packages = metadata["packages"].as_array().unwrap().iter();
        let mut targets: Vec<_> = packages
            .flat_map(|package| package["targets"].as_array().unwrap())
            .filter(|target| ["lib", "bin", "cdylib", "bench"].iter().any(|kind| target["kind"][0] == *kind))
            .map(|target| format!("{} {}", target["kind"][0], target["name"]))
            .collect();
        targets.sort();
        targets
    };
    let targets = metadata(&skeleton);
    assert!(targets.len() > 8);
    assert_eq!(targets, metadata(&root()), "a target is lost");
    println!("the skeleton of images: {} targets", targets.len());
}

#[test]
fn bases_are_pinned_all_or_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for name in ["pin", "bases", "Dockerfile", "pgbouncer.Dockerfile"] {
        fs::copy(root().join("deploy/image").join(name), path(name)).unwrap();
    }
    // Docker's answer for a tag, made of it; the last tag is not known while `gone` is there.
    let docker = "#!/bin/sh\ncase $4 in debian:*) [ ! -e \"${0%/*}/gone\" ] || exit 1 ;; esac\n\
                  printf '\"sha256:%s\"' \"$(printf %s \"$4\" | sha256sum | cut -d' ' -f1)\"\n";
    fs::write(path("docker"), docker).unwrap();
    fs::set_permissions(path("docker"), fs::Permissions::from_mode(0o755)).unwrap();
    let search = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let pin = || tried(Command::new(path("pin")).env("PATH", &search)).0.status.success();
    let bases = || fs::read_to_string(path("bases")).unwrap();
    fs::write(path("gone"), "").unwrap();
    let before = bases();
    assert!(!pin() && bases() == before, "some are pinned and others are not");
    fs::remove_file(path("gone")).unwrap();
    assert!(pin());
    let pinned = bases();
    let is_pinned = |line: &str| {
        line.split_once("_DIGEST=sha256:").is_some_and(|(name, digest)| !name.contains(' ') && digest.len() == 64)
    };
    let lines: Vec<_> = pinned.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() == 3 && lines.iter().all(|line| is_pinned(line)), "{pinned}");
    assert_eq!(before.lines().filter(|line| line.starts_with('#')).count(), pinned.lines().count() - 3);
    println!("pin: {} bases, all or none", lines.len());
}

#[test]
fn the_images_are_built_and_serve() {
    if !full("the images, built of Debian's packages and started") {
        return;
    }
    let mut build = Command::new(root().join("deploy/image/build"));
    build.arg("--program").arg(binary());
    for target in ["rulebox", "backup", "pgbouncer"] {
        build.args(["--target", target]);
    }
    let said = run(&mut build);
    for line in said.lines().filter_map(|line| line.strip_prefix("image: ")) {
        println!("{line}");
    }
    assert!(said.contains("rulebox serves as 10001, with a root that cannot be written, without a shell"), "{said}");
    assert!(said.contains("and is alive, as its HEALTHCHECK says"), "{said}");
    assert!(said.contains("backup has what its scripts need") && said.contains("pgbouncer: PgBouncer"), "{said}");
}
