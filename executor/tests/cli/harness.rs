//! Runs the binary in a directory of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Two limits, two params.
pub const DRAWDOWN: &str = r#"rule check_custom_rule(equity: num in 0..1e15, drawdown: num in 0..1) {
  param limit: num = 10% in 1%..50%
  param warn_at: num = 8% in 0%..50%
  if drawdown >= limit { breach liquidate "drawdown {drawdown:.2%}, limit {limit:.2%}" }
  else if drawdown >= warn_at { warn "drawdown {drawdown:.2%} near {limit:.2%}" }
}
test "limits are inclusive" {
  bar equity=92000 drawdown=8% -> warn
  bar equity=90000 drawdown=10% -> breach liquidate
}
"#;

/// What a process said.
#[derive(Debug, PartialEq)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The standard output of a success that had nothing else to say.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// The standard error of a failure that wrote nothing to standard output.
    #[track_caller]
    pub fn refused(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.err
    }
}

/// A directory with files, and the binary in it.
pub struct Room(TempDir);

impl Room {
    /// With the rule [`DRAWDOWN`] in `r.rule`.
    pub fn new() -> Self {
        let room = Self(tempfile::tempdir().unwrap());
        room.write("r.rule", DRAWDOWN);
        room
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rulebox"));
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    pub fn rulebox(&self, arguments: &[&str]) -> Said {
        said(&self.command(arguments).output().unwrap())
    }

    /// With bytes on standard input.
    pub fn rulebox_reading(&self, input: &[u8], arguments: &[&str]) -> Said {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // One that fails before it reads closes its end: that is its right.
        let _ = stdin.write_all(input);
        drop(stdin);
        said(&child.wait_with_output().unwrap())
    }

    /// `run` of a rule over bars, as CSV, in both engines: they must say the same.
    #[track_caller]
    pub fn run(&self, rule: &str, bars: &str, more: &[&str]) -> Said {
        self.write("x.rule", rule);
        self.write("x.csv", bars);
        let in_engine = |engine| {
            let common = ["run", "x.rule", "--data", "x.csv", "--format", "csv", "--engine", engine];
            self.rulebox(&[&common, more].concat())
        };
        let wasm = in_engine("wasm");
        assert_eq!(wasm, in_engine("interp"), "the engines differ");
        wasm
    }
}

/// What a process said.
pub fn said(output: &std::process::Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A directory of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}
