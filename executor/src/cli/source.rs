//! Rule files: reading them, compiling them, and saying what is wrong with them.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;

use rulebox_dsl::diagnostic::{Diagnostic, Diagnostics, render};
use rulebox_dsl::{Compiled, Limits};

use super::failure::Failure;
use super::terminal;
use crate::domain::caller::is_hidden;
use crate::execution::compile::compile_rule;

/// More than this of a file is not even looked at.
const MOST_BYTES: u64 = 64 << 20;

/// A rule file.
#[derive(Clone, Debug)]
pub(super) struct RuleFile {
    /// As the user named it, `<stdin>` for `-`.
    pub(super) name: String,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

impl RuleFile {
    /// Reads a file, standard input for `-`.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let name = display_name(path);
        let bytes = read(path, MOST_BYTES + 1).map_err(|source| Failure::Read { file: name.clone(), source })?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(Failure::TooLong { file: name, most: MOST_BYTES });
        }
        Ok(Self { name, bytes })
    }

    /// Whether it is WebAssembly.
    pub(super) fn is_module(&self) -> bool {
        self.bytes.starts_with(b"\0asm")
    }

    /// Its text.
    pub(super) fn text(&self) -> Result<&str, Diagnostics> {
        rulebox_dsl::source::text(&self.bytes, &Limits::DEFAULT)
    }

    /// Compiles it.
    pub(super) fn compile(&self) -> Result<Compiled, Diagnostics> {
        compile_rule(self.text()?, &Limits::DEFAULT)
    }

    /// Compiles it, or says what is wrong with it.
    pub(super) fn compile_or_tell(&self) -> Result<Compiled, Failure> {
        self.compile().map_err(|diagnostics| self.tell(&diagnostics))
    }

    /// Shows diagnostics on standard error.
    pub(super) fn tell(&self, diagnostics: &Diagnostics) -> Failure {
        if self.is_module() {
            eprintln!("error: {0} is WebAssembly, not a text; `rulebox guest check {0}` looks at modules", self.name);
            return Failure::Told;
        }
        // Without a text there is nothing to point into.
        let text = self.text().unwrap_or_default();
        eprintln!("{}\n", render::render(diagnostics, text, &self.name, terminal::stderr_colors()));
        Failure::Told
    }

    /// Shows warnings on standard error.
    pub(super) fn warn(&self, warnings: &[Diagnostic]) {
        if !warnings.is_empty() {
            self.tell(&Diagnostics(warnings.to_vec()));
        }
    }
}

/// Whether a path means standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A path as messages name it: it may be anybody's, and must not speak to the terminal.
pub(super) fn display_name(path: &Path) -> String {
    if is_stdin(path) {
        return "<stdin>".to_owned();
    }
    let mut name = String::new();
    for c in path.display().to_string().chars() {
        if is_hidden(c) { name.extend(c.escape_default()) } else { name.push(c) }
    }
    name
}

/// The bytes of a file, `most` at most; of standard input for `-`.
pub(super) fn read(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if is_stdin(path) {
        stdin().lock().take(most).read_to_end(&mut bytes)?;
    } else {
        let file = File::open(path)?;
        // A hint, to read large files at once; a directory or a pipe has another size than it says.
        let size = file.metadata()?.len().min(most);
        bytes.reserve(usize::try_from(size).unwrap_or(0));
        file.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
