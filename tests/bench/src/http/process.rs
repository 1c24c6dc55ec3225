//! Servers: processes pinned to a core, that say where they listen and end with their owner.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::thread::CpuSet;

use crate::Error;

/// Some of the machine's cores.
#[derive(Clone, Copy, Debug)]
pub struct Cores(&'static [usize]);

impl Cores {
    /// Keeps this thread, and those that it starts from now on, on them.
    pub fn pin_this_thread(self) -> Result<(), Error> {
        let mut set = CpuSet::new();
        self.0.iter().for_each(|core| set.set(*core));
        Ok(rustix::thread::sched_setaffinity(None, &set)?)
    }
}

/// The core of whatever is measured.
pub const SERVED: Cores = Cores(&[0]);
/// The core of whatever loads it, and of what it needs beside it: Redis, the collector of traces.
pub const LOADING: Cores = Cores(&[1]);
/// Both, for what is made ready before anything is measured.
pub const BOTH: Cores = Cores(&[0, 1]);

/// A command on these cores.
pub fn pinned(cores: Cores, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    let list: Vec<_> = cores.0.iter().map(usize::to_string).collect();
    command.args(["-c", &list.join(",")]).arg(program);
    command
}

/// A process that runs until this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// What it said on standard output until it served, line by line.
    pub said: Vec<String>,
    /// Kept open: what it says later must not fail.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts it, its standard error in a file, and waits until it says the line that begins so.
    pub fn start(command: &mut Command, log: &Path, ready: &str) -> Result<Self, Error> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log)?).spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut said: Vec<String> = Vec::new();
        while !said.last().is_some_and(|line| line.contains(ready)) {
            let mut line = String::new();
            if stdout.read_line(&mut line)? == 0 {
                let status = child.wait()?;
                let why = std::fs::read_to_string(log)?;
                return Err(format!("{command:?} ended with {status} instead of serving: {why}").into());
            }
            said.push(line);
        }
        Ok(Self { child, said, _stdout: stdout })
    }

    /// The word behind this one, at the beginning of a line that it said.
    pub fn word(&self, before: &str) -> Result<String, Error> {
        let mut lines = self.said.iter().map(|line| line.split_whitespace());
        let word = lines.find_map(|mut words| (words.next() == Some(before)).then(|| words.next()).flatten());
        Ok(word.ok_or_else(|| format!("it did not say its {before}"))?.trim_end_matches(',').to_owned())
    }

    /// Bytes of its memory that are resident.
    pub fn resident_bytes(&self) -> Result<f64, Error> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
    }

    /// Its memory mappings, of which the kernel grants 65,530.
    pub fn mappings(&self) -> Result<usize, Error> {
        Ok(std::fs::read_to_string(format!("/proc/{}/maps", self.child.id()))?.lines().count())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
