//! Python: a function that is called with each bar, and numpy over whole columns. Both time themselves, in a process
//! that is kept for all rounds.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::NamedTempFile;

use super::Peer;
use crate::Error;
use crate::python::interpreter;
use crate::rows::Rows;
use crate::rules::Rule;

/// A Python that waits for what it shall run.
pub struct Process {
    child: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
    /// What it has loaded.
    bars: usize,
}

impl Process {
    /// Starts it with these rows.
    pub fn start(rows: &Rows) -> Result<Self, Error> {
        let mut file = NamedTempFile::new()?;
        for column in [&rows.equity, &rows.drawdown] {
            let bytes: Vec<u8> = column.iter().flat_map(|value| value.to_ne_bytes()).collect();
            file.write_all(&bytes)?;
        }
        let mut python = Command::new(interpreter()?);
        python.args(["-c", include_str!("../../python/peers.py")]).arg(file.path());
        let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a process without pipes".into());
        };
        let process = Self { child, pipes: RefCell::new((input, BufReader::new(output))), bars: rows.bars() };
        // It has read the file when it answers.
        process.turn("numpy", "R1", &mut [0])?;
        Ok(process)
    }

    /// What Python knows of a rule.
    pub fn peers(&self, rule: &Rule) -> Vec<Peer<'_>> {
        let (all, few) = (self.bars, self.bars / 10);
        let peer = |title, kind, name, bars| Peer {
            name: title,
            bars,
            run: Box::new(move |verdicts| self.turn(kind, name, verdicts)),
        };
        let python = |name| peer("Python", "plain", name, few);
        match rule.name {
            name @ ("R1" | "R2" | "R4") => vec![peer("numpy", "numpy", name, all), python(name)],
            "R3" => {
                // What keeps a sum says other things of other rows.
                let windows = peer("numpy", "numpy", "R3-windows", all);
                vec![windows, peer("numpy, running sum", "numpy", "R3", all), python("R3")]
            }
            _ => Vec::new(),
        }
    }

    /// Lets it run a rule over as many bars as there is room for verdicts. Nanoseconds a bar.
    fn turn(&self, kind: &str, name: &str, verdicts: &mut [u8]) -> Result<f64, Error> {
        let (input, output) = &mut *self.pipes.borrow_mut();
        writeln!(input, "{kind} {name} {}", verdicts.len())?;
        input.flush()?;
        let mut line = String::new();
        output.read_line(&mut line)?;
        output.read_exact(verdicts)?;
        Ok(line.trim().parse()?)
    }
}

impl Drop for Process {
    /// It is of no use any more, and nobody else would end it.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
