//! Programs that the suite starts: found, or built into the target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;

/// The version that its JSON is read of.
const OHA: &str = "1.12.0";

/// `target/`, of this program.
pub fn target() -> Result<PathBuf, Error> {
    let program = std::env::current_exe()?;
    Ok(program.ancestors().nth(2).ok_or("this program is in no target directory")?.to_owned())
}

/// The binary that users run: built now, by the command that they build it with.
pub fn rulebox() -> Result<PathBuf, Error> {
    let target = target()?;
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let mut build = cargo();
    build.args(["build", "--release", "--bin", "rulebox", "--manifest-path"]).arg(manifest);
    succeed(build.arg("--target-dir").arg(&target))?;
    Ok(target.join("release/rulebox"))
}

/// An open-loop load: it sends at a fixed rate whether or not answers come, and counts from when it should have sent.
pub fn oha() -> Result<PathBuf, Error> {
    if let Ok(path) = program("oha", "") {
        return Ok(path);
    }
    let root = target()?.join("bench-tools");
    let path = root.join("bin/oha");
    if !path.is_file() {
        succeed(cargo().args(["install", "oha", "--locked", "--version", OHA, "--root"]).arg(&root))?;
    }
    Ok(path)
}

/// A program on the path, which a package of Debian has.
pub fn program(name: &str, package: &str) -> Result<PathBuf, Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| format!("{name} is missing: apt-get install {package}").into())
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Its output is for people who wait, not for the table.
fn succeed(command: &mut Command) -> Result<(), Error> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
