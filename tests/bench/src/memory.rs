//! Resident memory of loaded rules: what the sandbox keeps of each, machine code included. What the service keeps beside
//! it (the manifest, the row of its cache) is not in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rulebox_sandbox::{CodeKey, CodeSealer, Digest, Sandbox};

use crate::measure::{Sample, float};
use crate::report::{Figure, Report, Target};
use crate::rules;
use crate::subject::{self, Compiled, MODULE_LIMITS, sandbox};
use crate::{Bench, Error};

/// Seals for the child and for nobody else.
const KEY: [u8; 32] = [7; 32];

/// Rules are compiled here and loaded in a process of their own, as a service does that lets workers compile: so that
/// nothing that a compiler leaves behind is counted, or hides what is.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let count = if bench.quick { 60 } else { 2_000 };
    let directory = tempfile::tempdir()?;
    let bytes = seal(&sandbox()?, count, directory.path())?;
    let children = (0..bench.rounds().div_ceil(3)).map(|_| child(directory.path()));
    let kept = Sample::new(children.collect::<Result<_, _>>()?);
    let line = Figure::new(format!("each of {count} rules"), "KiB", &kept);
    report.add(line.target(Target::AtMost { must: 24.0, aim: Some(20.0) }));
    let sealed = Sample::new(vec![float(bytes) / float(count) / 1024.0]);
    report.add(Figure::new("its sealed code, on disk", "KiB", &sealed));
    Ok(())
}

/// Compiles as many rules, each another, and writes each one's digest and sealed code; how many bytes of code.
fn seal(sandbox: &Sandbox, count: usize, directory: &Path) -> Result<usize, Error> {
    let sealer = CodeSealer::new(sandbox.clone(), &MODULE_LIMITS, CodeKey::new(&KEY));
    let mut bytes = 0;
    for (number, rule) in rules::ALL.iter().cycle().take(count).enumerate() {
        // Rules of another name are other modules.
        let source = rule.source.replacen('(', &format!("_{number}("), 1);
        let module = subject::load(sandbox, &Compiled::new(&source)?.module)?;
        let entry = sealer.seal(&module)?;
        bytes += entry.len();
        fs::write(directory.join(number.to_string()), [module.digest().0.as_slice(), &entry].concat())?;
    }
    Ok(bytes)
}

fn child(directory: &Path) -> Result<f64, Error> {
    let output = Command::new(std::env::current_exe()?).arg("--load").arg(directory).output()?;
    if !output.status.success() {
        return Err(format!("the process that loads rules: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// The other process: loads every rule of a directory, and prints the KiB that each took.
pub fn load(directory: &Path) -> Result<(), Error> {
    let sandbox = sandbox()?;
    let sealer = CodeSealer::new(sandbox, &MODULE_LIMITS, CodeKey::new(&KEY));
    let files = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, Error>>()?;
    let mut modules = Vec::with_capacity(files.len());
    let load = |file: &PathBuf| -> Result<_, Error> {
        let bytes = fs::read(file)?;
        let (digest, entry) = bytes.split_first_chunk().ok_or("a file without a digest")?;
        Ok(sealer.load(Digest(*digest), entry)?)
    };
    // What the first one alone needs is there before.
    let (first, others) = files.split_first().ok_or("no rules")?;
    modules.push(load(first)?);
    let before = resident()?;
    for file in others {
        modules.push(load(file)?);
    }
    println!("{}", (resident()? - before) / float(others.len()));
    Ok(())
}

/// KiB of memory that this process has.
fn resident() -> Result<f64, Error> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
