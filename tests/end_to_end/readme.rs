//! Every command of the README runs, as it is written there.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use rulebox_tests::{Server, binary, root, signal};

/// The lines of all `sh` blocks.
fn commands() -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut commands = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line.trim_end() {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside && !line.is_empty() => commands.push(line.to_owned()),
            _ => {}
        }
    }
    commands
}

fn shell(command: &str) -> Command {
    let mut shell = Command::new("bash");
    shell.args(["-c", command]).current_dir(root()).stdin(Stdio::null());
    // What the runner says of this test's package is none of a reader's: build scripts that look at it would run anew,
    // and everything behind them would be built a second time.
    let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(|name| of_package(name)) {
        shell.env_remove(name);
    }
    shell
}

#[test]
fn every_command_of_the_readme_exits_0() {
    let commands = commands();
    assert!(commands.len() >= 8, "{commands:?}");
    let mut ran = 0;
    for command in commands {
        match command.as_str() {
            // This test is part of what that command runs.
            "./tests/run" => assert!(root().join("tests/run").is_file()),
            // It serves until Ctrl-C: the test below.
            "cargo run --release -- demo" => {}
            _ => {
                let output = shell(&command).output().unwrap();
                let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
                assert!(output.status.success(), "{command}\n{out}\n{err}");
                ran += 1;
            }
        }
    }
    assert!(ran >= 6, "{ran}");
}

/// The `bash` blocks: scripts against a running service.
fn scripts() -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = readme.split("```bash\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_script_of_the_readme_runs_against_a_service() {
    let directory = tempfile::tempdir().unwrap();
    // As the README says for whoever uploads modules.
    let settings = [("RULEBOX_TENANT__MODULES", "true")];
    let server = Server::try_start(directory.path(), &settings).unwrap();
    let run = |script: &str, key: &str| {
        let mut bash = shell(&format!("set -eo pipefail\n{script}"));
        let output = bash.env("RULEBOX", &server.api).env("KEY", key).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.into_owned())
    };
    let scripts = scripts();
    let mut breaches = Vec::new();
    for script in &scripts {
        let (succeeded, text) = run(script, server.key.as_deref().unwrap());
        assert!(succeeded, "{script}\n{text}");
        breaches.extend(
            text.lines().filter(|line| line.starts_with("{\"seq\":1,") && line.contains("breach")).map(str::to_owned),
        );
    }
    assert!(breaches.len() == 2 && breaches[0] == breaches[1], "not the same answer twice: {breaches:#?}");
}

#[test]
fn the_demo_shows_everything_serves_and_ends_at_ctrl_c() {
    assert!(commands().iter().any(|command| command == "cargo run --release -- demo"));
    // `exec`, so that the signal below reaches it as it would from a terminal.
    let demo = format!("cargo build --release --quiet && exec {} demo", binary().display());
    let mut demo = shell(&demo).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    for line in lines.by_ref() {
        let line = line.unwrap();
        text.push_str(&line);
        text.push('\n');
        if line.contains("serving until Ctrl-C") {
            break;
        }
    }
    for part in [
        "check_custom_rule",
        "ftmo_daily_loss",
        "first breach",
        "liquidate",
        "bars/s",
        "drawdown",
        "fuel_exhausted",
        "curl",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colours in a pipe");
    // The chart fits a terminal; the line to paste need not.
    let wide = text.lines().filter(|line| !line.contains("curl")).map(|line| line.chars().count()).max();
    assert!(wide.unwrap() <= 100, "{wide:?} columns in\n{text}");

    let curl = text.lines().find(|line| line.trim_start().starts_with("curl ")).unwrap();
    let answer = shell(curl).output().unwrap();
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    let json: serde_json::Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{curl}\n{answer}"));
    assert_eq!(json["verdict"], "warn", "{json}");

    signal(demo.id(), "INT");
    let status = demo.wait().unwrap();
    let mut err = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(status.code(), Some(0), "{err}");
}

#[test]
fn the_demo_once_exits_by_itself() {
    let output = shell("cargo run --release --quiet -- demo --once").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
