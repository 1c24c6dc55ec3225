//! The Python of the suite: a virtual environment with pinned packages, made once beside what is built.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

const REQUIREMENTS: &str = include_str!("../python/requirements.txt");

/// The interpreter, with all that `python/requirements.txt` names.
pub fn interpreter() -> Result<PathBuf, Error> {
    // `target/bench-python`, for `target/release/rulebox-bench` and its tests in `target/release/deps`.
    let program = std::env::current_exe()?;
    let target = program.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file());
    let target = target.ok_or("the suite is not where cargo builds: there is no place for its Python")?;
    let directory = target.join("bench-python");
    // Of two processes, the second waits.
    let lock = File::create(target.join("bench-python.lock"))?;
    lock.lock()?;
    // Written when all is there.
    let whole = directory.join("requirements.txt");
    let python = directory.join("bin/python");
    if fs::read_to_string(&whole).ok().as_deref() != Some(REQUIREMENTS) {
        eprintln!("installing numpy and FastAPI into {}", directory.display());
        install(&directory, &python)?;
        fs::write(whole, REQUIREMENTS)?;
    }
    Ok(python)
}

fn install(directory: &Path, python: &Path) -> Result<(), Error> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    let given = std::env::var_os("TESTS_PYTHON").unwrap_or_else(|| "python3".into());
    run(Command::new(given).args(["-m", "venv"]).arg(directory))?;
    let list = directory.join("wanted.txt");
    fs::write(&list, REQUIREMENTS)?;
    let mut pip = Command::new(python);
    run(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(list))
}

fn run(command: &mut Command) -> Result<(), Error> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}
