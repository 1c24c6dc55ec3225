//! What steps run: each command of each workflow is read by bash and shellcheck, and calls scripts that are there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rulebox_tests::root;
use rulebox_tests::tools::{run, tried};
use serde_json::Value;

use super::{WORKFLOWS, jobs, steps, write};
use crate::{changed, read, yaml};

/// The commands of a workflow: where they stand, and the text.
fn commands(text: &str) -> Vec<(String, String)> {
    let workflow = yaml(text);
    let of_job = |(name, job): (&String, &Value)| {
        let runs = steps(job).iter().filter_map(|step| Some((step["name"].as_str()?, step["run"].as_str()?)));
        runs.map(|(step, run)| (format!("{name}: {step}"), run.to_owned())).collect::<Vec<_>>()
    };
    jobs(&workflow).iter().flat_map(of_job).collect()
}

/// What bash and shellcheck say of a command, as the shell of the workflows runs it.
fn judged(directory: &Path, text: &str) -> Result<(), String> {
    let file = directory.join("step");
    write(&file, &format!("#!/usr/bin/env bash\nset -eo pipefail\n{text}"));
    for program in [&["bash", "-n"][..], &["shellcheck", "--enable=check-set-e-suppressed"]] {
        let (output, said) = tried(Command::new(program[0]).args(&program[1..]).arg(&file));
        if !output.status.success() {
            return Err(said);
        }
    }
    Ok(())
}

#[test]
fn every_command_is_sound() {
    let directory = tempfile::tempdir().unwrap();
    let mut count = 0;
    for file in WORKFLOWS {
        let text = read(file);
        assert_eq!(yaml(&text)["defaults"]["run"]["shell"], "bash", "{file}: else a pipe hides what fails");
        let all = yaml(&text);
        let with_run = jobs(&all).values().flat_map(steps).filter(|step| step["run"].is_string()).count();
        let commands = commands(&text);
        assert_eq!(commands.len(), with_run, "{file}: a command has no name");
        for (place, command) in commands {
            assert_eq!(judged(directory.path(), &command), Ok(()), "{file}: {place}");
            count += 1;
        }
    }
    println!("commands of workflows: {count} read by bash and shellcheck");
    let release = read(".github/workflows/release.yml");
    for (from, to) in [("\"$COMMAND\"", "\"$COMMAND"), ("\"$NAME\" \"${trial[@]}\"", "$NAME \"${trial[@]}\"")] {
        let broken = commands(&changed(&release, from, to));
        assert!(broken.iter().any(|(_, text)| judged(directory.path(), text).is_err()), "{to} was not found");
    }
}

/// Scripts that a text names and that cannot be run.
fn missing(text: &str) -> Vec<String> {
    let words = text.split(|letter: char| letter.is_whitespace() || "\"'`();$".contains(letter));
    let scripts = words.filter(|word| word.starts_with("deploy/ci/") && !word.contains('.') && !word.ends_with('/'));
    let can_run = |script: &str| {
        fs::metadata(root().join(script)).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    scripts.filter(|script| !can_run(script)).map(str::to_owned).collect()
}

#[test]
fn scripts_are_there_and_say_what_they_do() {
    let mut called = String::new();
    for file in WORKFLOWS {
        let text = read(file);
        assert_eq!(missing(&text), Vec::<String>::new(), "{file}");
        called += &text;
    }
    assert_eq!(missing("run: deploy/ci/sing \"$IMAGE\""), ["deploy/ci/sing"]);
    let (mut count, readme) = (0, read("deploy/ci/README.md"));
    for entry in fs::read_dir(root().join("deploy/ci")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.contains('.') {
            continue;
        }
        let path = root().join("deploy/ci").join(&name);
        let said = run(Command::new(&path).arg("--help"));
        assert!(said.starts_with(&format!("usage: {name}")), "{name}: {said}");
        // What is wrong is said, and nothing is done.
        let (output, said) = tried(Command::new(&path).arg("--no-such-thing").current_dir("/"));
        assert!(output.status.code() == Some(2) && said.contains("usage: "), "{name}: {said}");
        assert!(readme.contains(&format!("`{name}`")), "README.md says nothing of {name}");
        count += 1;
    }
    println!("deploy/ci: {count} scripts");
}
