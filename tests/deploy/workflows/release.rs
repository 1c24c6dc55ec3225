//! What a release is made by: programs by checksum, the arguments of a build, notes and tags, signatures.

use std::fs;
use std::path::Path;
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::{run, tried};

use super::job::{DIGEST, World};
use super::write;
use crate::{changed, read};

/// git, as somebody, in a directory.
pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args([
        "-c",
        "user.name=Somebody",
        "-c",
        "user.email=somebody@example.com",
        "-c",
        "commit.gpgSign=false",
        "-c",
        "tag.gpgSign=false",
    ]);
    run(git.args(["-c", "init.defaultBranch=main"]).args(arguments).current_dir(directory)).trim().to_owned()
}

/// Commits a file with some text.
fn commit(directory: &Path, file: &str, subject: &str) {
    write(&directory.join(file), subject);
    git(directory, &["add", "--all"]);
    git(directory, &["commit", "--quiet", "--message", subject]);
}

fn notes(directory: &Path, arguments: &[&str]) -> String {
    run(Command::new(root().join("deploy/ci/release-notes")).args(arguments).current_dir(directory))
}

#[test]
fn notes_of_the_real_history_have_every_commit_once() {
    let history = tried(Command::new("git").args(["rev-parse", "--is-shallow-repository"]).current_dir(root())).1;
    assert_eq!(history.trim(), "false", "the history is not whole here: `git fetch --unshallow`, or fetch-depth: 0");
    let whole = notes(&root(), &["--from", "", "--to", "HEAD"]);
    let commits = git(&root(), &["log", "--no-merges", "--format=(%h)"]);
    let named = |commit: &str| whole.lines().filter(|line| line.starts_with("- ") && line.ends_with(commit)).count();
    assert!(commits.lines().count() > 200);
    assert!(commits.lines().all(|commit| named(commit) == 1), "a commit is missing or there twice");
    assert_eq!(whole.lines().filter(|line| line.starts_with("- ")).count(), commits.lines().count());
    let parts = [
        "## The language",
        "## The service",
        "## Rules as modules",
        "## Deployment and operations",
        "## Tests and the rest",
    ];
    assert!(whole.lines().filter(|line| line.starts_with("## ")).eq(parts));
    // Of what is about one part, some of each are known.
    for (subject, part) in
        [("Hold the table of settings against the defaults themselves", 1), ("Set the formatting and lint rules", 0)]
    {
        let place = whole.find(subject).unwrap_or_else(|| panic!("there is no {subject}"));
        let heading = whole[..place].lines().rfind(|line| line.starts_with("## ")).unwrap();
        assert_eq!(heading, parts[part], "{subject}");
    }
    let last = notes(&root(), &["--from", "HEAD~20"]);
    assert_eq!(last.lines().filter(|line| line.starts_with("- ") && line.ends_with(')')).count(), 20, "{last}");
    println!("release notes: {} commits of the real history, each once", commits.lines().count());
}

#[test]
fn notes_begin_at_the_last_tag_and_show_subjects_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    git(here, &["init", "--quiet"]);
    commit(here, "dsl/a.rs", "First");
    git(here, &["tag", "v0.1.0"]);
    commit(here, "executor/a.rs", "Answer `409` to @somebody <b>");
    commit(here, "migrations/postgres/0002_more.sql", "Keep more");
    git(here, &["tag", "nightly"]);
    commit(here, "deploy/chart/values.yaml", "Give values");
    git(here, &["tag", "v0.2.0"]);
    let said = notes(here, &["--to", "v0.2.0"]);
    assert!(!said.contains("First"), "{said}");
    assert!(said.contains("- Answer \\`409\\` to @<!-- -->somebody &lt;b> ("), "{said}");
    assert!(
        said.starts_with(
            "## Before the upgrade\n\nThe store is migrated, by:\n\n- `migrations/postgres/0002_more.sql`\n"
        ),
        "{said}"
    );
    assert!(said.contains("Values of the chart have changed"), "{said}");
    // Where nothing is, nothing is said; and a revision or a tag that is not there is refused.
    commit(here, "README", "Say more");
    let said = notes(here, &[]);
    assert!(said.starts_with("## Tests and the rest\n\n- Say more (") && said.contains("`git log v0.2.0.."), "{said}");
    for arguments in [["--to", "v9"], ["--from", "v9"]] {
        let (output, said) =
            tried(Command::new(root().join("deploy/ci/release-notes")).args(arguments).current_dir(here));
        assert!(!output.status.success(), "{said}");
    }
    git(here, &["clone", "--quiet", "--depth", "1", &format!("file://{}", here.display()), "shallow"]);
    let (output, said) = tried(Command::new(root().join("deploy/ci/release-notes")).current_dir(here.join("shallow")));
    assert!(!output.status.success() && said.contains("the history is not whole here"), "{said}");
}

/// The repository in a world, committed, with a remote that has its main.
pub fn repository(world: &World) {
    let here = world.path("");
    write(&here.join(".gitignore"), "*\n!/deploy/\n!/deploy/**\n!/Cargo.toml\n!.gitignore\n");
    git(&here, &["init", "--quiet"]);
    commit(&here, "deploy/a", "First");
    git(&here, &["clone", "--quiet", "--bare", ".", "origin.git"]);
    git(&here, &["remote", "add", "origin", "origin.git"]);
}

fn tag(world: &World, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(world.path("deploy/ci/tag"));
    for (name, value) in [("NAME", "Somebody"), ("EMAIL", "somebody@example.com")] {
        command.env(format!("GIT_COMMITTER_{name}"), value);
    }
    let (output, said) = tried(command.args(arguments).current_dir("/"));
    (output.status.success(), said)
}

#[test]
fn a_tag_is_of_main_and_of_its_version() {
    let world = World::new();
    repository(&world);
    let here = world.path("");
    let tags = || git(&here, &["tag"]);
    let (done, said) = tag(&world, &["0.1.0", "--dry-run"]);
    assert!(done && said.contains("v0.1.0 would be ") && said.contains("- First (") && tags().is_empty(), "{said}");
    for (version, why) in [("0.2.0", "its version is 0.1.0"), ("0.1", "usage:")] {
        let (done, said) = tag(&world, &[version]);
        assert!(!done && said.contains(why), "{version}: {said}");
    }
    fs::write(here.join("deploy/b"), "").unwrap();
    let (done, said) = tag(&world, &["0.1.0"]);
    assert!(!done && said.contains("not committed"), "{said}");
    commit(&here, "deploy/b", "Second");
    let (done, said) = tag(&world, &["0.1.0"]);
    assert!(!done && said.contains("not of the main"), "{said}");
    git(&here, &["push", "--quiet", "origin", "main"]);
    git(&here, &["tag", "v0.10.0", "HEAD~1"]);
    let (done, said) = tag(&world, &["0.1.0"]);
    assert!(!done && said.contains("v0.10.0, which is above"), "{said}");
    git(&here, &["tag", "--delete", "v0.10.0"]);
    let (done, said) = tag(&world, &["0.1.0", "--push"]);
    assert!(done, "{said}");
    let message = git(&here, &["cat-file", "tag", "v0.1.0"]);
    assert!(
        message.contains("Rulebox 0.1.0")
            && message.contains("## Deployment and operations")
            && message.contains("- Second ("),
        "{message}"
    );
    assert_eq!(git(&here.join("origin.git"), &["tag"]), "v0.1.0");
    let (done, said) = tag(&world, &["0.1.0"]);
    assert!(!done && said.contains("v0.1.0 is there"), "{said}");
}

#[test]
fn bases_and_versions_are_read_or_refused() {
    let world = World::new();
    repository(&world);
    let arguments =
        || tried(Command::new(world.path("deploy/ci/build-arguments")).args(["v0.1.0", "HEAD"]).current_dir("/"));
    let (output, said) = arguments();
    assert!(output.status.success(), "{said}");
    let words: Vec<_> = said.lines().collect();
    assert_eq!(words.iter().filter(|word| **word == "--build-arg").count() * 2, words.len());
    for word in [
        format!("RUST_DIGEST={DIGEST}"),
        format!("POSTGRES_DIGEST={DIGEST}"),
        "VERSION=0.1.0".to_owned(),
        "REVISION=HEAD".to_owned(),
    ] {
        assert!(words.contains(&word.as_str()), "there is no {word}: {said}");
    }
    let time = git(&world.path(""), &["log", "-1", "--pretty=%ct"]);
    assert!(words.contains(&format!("SOURCE_DATE_EPOCH={time}").as_str()), "{said}");
    for (file, from, to, why) in [
        (
            "deploy/image/bases",
            format!("DEBIAN_DIGEST={DIGEST}"),
            "DEBIAN_DIGEST=",
            "is no digest: run deploy/image/pin",
        ),
        ("deploy/image/bases", format!("DEBIAN_DIGEST={DIGEST}\n"), "", "there is no DEBIAN_DIGEST"),
        (
            "Cargo.toml",
            "version = \"0.1.0\"".to_owned(),
            "version = \"0.1.1\"",
            "its version is 0.1.1, and the tag says 0.1.0",
        ),
        (
            "deploy/chart/Chart.yaml",
            "appVersion: \"0.1.0\"".to_owned(),
            "appVersion: \"0.2.0\"",
            "its appVersion is 0.2.0",
        ),
    ] {
        let before = fs::read_to_string(world.path(file)).unwrap();
        write(&world.path(file), &changed(&before, &from, to));
        let (output, said) = arguments();
        assert!(
            !output.status.success() && said.contains(&format!("::error file={file}::")) && said.contains(why),
            "{said}"
        );
        write(&world.path(file), &before);
    }
}

#[test]
fn programs_are_installed_by_their_checksum_alone() {
    let world = World::new();
    let names: Vec<_> = read("deploy/ci/tools.list")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["cosign", "helm", "kubectl", "trivy"]);
    let path = format!("{}:{}", world.path("bin").display(), std::env::var("PATH").unwrap());
    let install = |name: &str| {
        let mut tools = Command::new(world.path("deploy/ci/tools"));
        tools.arg("--to").arg(world.path("tools")).arg(name);
        tried(tools.env("PATH", &path).env("WORLD", world.path("")).env_remove("GITHUB_PATH"))
    };
    for name in &names {
        let (output, said) = install(name);
        assert!(output.status.success() && world.path("tools").join(name).is_file(), "{said}");
        fs::remove_file(world.path("tools").join(name)).unwrap();
    }
    // Another's archive in the place of it, as it was with Trivy's in March 2026.
    for entry in fs::read_dir(world.path("fetched")).unwrap() {
        let file = entry.unwrap().path();
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(file, bytes).unwrap();
    }
    for name in &names {
        let (output, said) = install(name);
        assert!(!output.status.success() && said.contains("is not what it was"), "{said}");
        assert!(!world.path("tools").join(name).exists(), "{name} was installed");
    }
    let (output, said) = install("nothing");
    assert!(!output.status.success() && said.contains("tools.list has no nothing"), "{said}");
    println!("tools: {} programs by checksum", names.len());
}

#[test]
fn a_release_is_scanned_pushed_signed_and_published() {
    let mut world = World::new();
    repository(&world);
    for (name, value) in
        [("image", "rulebox"), ("file", "deploy/image/Dockerfile"), ("target", "rulebox"), ("try", "selftest")]
    {
        world.context.names.insert(format!("matrix.{name}"), value.to_owned());
    }
    let done = world.run("release", "images");
    assert!(!world.context.failure, "{}", done.said);
    let at = |words: &str| {
        done.calls.iter().position(|call| call.contains(words)).unwrap_or_else(|| panic!("{words}: {:?}", done.calls))
    };
    let image = format!("registry.example.com/team/rulebox@{DIGEST}");
    let order = [
        "--load --tag rulebox .",
        "docker run --rm --read-only",
        "--severity CRITICAL --format table --exit-code 1 rulebox",
        "docker login --username robot --password-stdin",
        "push=true",
        &format!("--severity CRITICAL --format table --exit-code 1 {image}"),
        &format!("cosign sign --yes {image}"),
        "cosign attest --yes --type cyclonedx",
    ];
    assert!(order.map(at).is_sorted(), "{:?}", done.calls);
    assert!(
        done.calls[at("push=true")].contains(&format!("RUST_DIGEST={DIGEST}"))
            && done.calls[at("push=true")].contains("--sbom=true")
    );
    assert!(done.summary.contains(&format!("registry.example.com/team/rulebox:0.1.0@{DIGEST}")), "{}", done.summary);
    let kept = fs::read_to_string(world.path("runner/release/rulebox.image")).unwrap();
    assert_eq!(kept, format!("rulebox {image}\n"));

    // What has a critical vulnerability is not pushed; what was pushed and has one is not signed.
    for (trouble, never) in [("--exit-code 1 rulebox", "push=true"), ("--exit-code 1 registry", "cosign sign")] {
        let mut world = World::new();
        repository(&world);
        world.context.names.extend(
            [("image", "rulebox"), ("file", "f"), ("target", "t"), ("try", "a")]
                .map(|(name, value)| (format!("matrix.{name}"), value.to_owned())),
        );
        world.fail(trouble);
        let done = world.run("release", "images");
        assert!(
            world.context.failure && !done.calls.iter().any(|call| call.contains(never)),
            "{trouble}: {:?}",
            done.calls
        );
    }

    let mut world = World::new();
    repository(&world);
    for name in ["rulebox", "rulebox-backup"] {
        write(
            &world.path(&format!("release/{name}.image")),
            &format!("{name} registry.example.com/team/{name}@{DIGEST}\n"),
        );
        write(&world.path(&format!("release/{name}.cdx.json")), "{}");
    }
    let done = world.run("release", "publish");
    let calls: Vec<_> = done.calls.iter().map(String::as_str).collect();
    assert!(calls[1].starts_with("gh release create v0.1.0 --verify-tag --prerelease "), "{calls:?}\n{}", done.said);
    assert!(
        calls[2].starts_with("gh release upload v0.1.0 --clobber release/images.txt release/rulebox-backup.cdx.json "),
        "{calls:?}"
    );
    assert_eq!(calls[3], "gh workflow run deploy.yml --ref v0.1.0");
    assert_eq!(fs::read_to_string(world.path("release/images.txt")).unwrap().lines().count(), 2);
    assert!(fs::read_to_string(world.path("notes.md")).unwrap().contains("- First ("));
}

#[test]
fn only_images_of_the_release_itself_are_verified() {
    let world = World::new();
    let path = format!("{}:{}", world.path("made").display(), std::env::var("PATH").unwrap());
    let good = fs::read_to_string(world.path("images.txt")).unwrap();
    let verify = |images: &str, tag: &str| {
        write(&world.path("images.txt"), images);
        write(&world.path("calls"), "");
        let mut command = Command::new(world.path("deploy/ci/verify"));
        command.arg("--images").arg(world.path("images.txt")).args(["--registry", "registry.example.com/team"]);
        command.args(["--repository", "team/rulebox", "--tag", tag, "--values"]).arg(world.path("values.yaml"));
        tried(command.env("PATH", format!("{}:{path}", world.path("bin").display())).env("WORLD", world.path("")))
    };
    let (output, said) = verify(&good, "v0.1.0");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout) == format!("{DIGEST}\n"), "{said}");
    let values = crate::yaml(&fs::read_to_string(world.path("values.yaml")).unwrap());
    assert_eq!(values["backup"]["image"]["repository"], "team/rulebox-backup");
    assert!(["image", "pgbouncer"].iter().all(|of| values[of].to_string().contains(DIGEST)), "{values}");
    for (images, tag, why) in [
        (
            changed(&good, "registry.example.com/team/rulebox@", "registry.example.com/other/rulebox@"),
            "v0.1.0",
            "is no image of",
        ),
        (
            changed(&good, "registry.example.com/team/rulebox-backup@", "registry.example.com/team/rulebox@"),
            "v0.1.0",
            "is no image of",
        ),
        (changed(&good, &format!("@{DIGEST}"), ":0.1.0"), "v0.1.0", "is no image of"),
        (good.lines().next().unwrap().to_owned() + "\n", "v0.1.0", "there is no rulebox-backup"),
        (good.clone() + good.lines().next().unwrap() + "\n", "v0.1.0", "there are two of rulebox"),
        (good.clone(), "main", "is no tag of a release"),
    ] {
        let (output, said) = verify(&images, tag);
        assert!(!output.status.success() && said.contains(why), "{why}: {said}");
        assert_eq!(fs::read_to_string(world.path("calls")).unwrap(), "", "{why}: it was asked for all the same");
    }
    let (output, said) = tried(
        Command::new(world.path("deploy/ci/sign")).args(["registry.example.com/team/rulebox:0.1.0", "/dev/null"]),
    );
    assert!(!output.status.success() && said.contains("is no image by digest"), "{said}");
}
