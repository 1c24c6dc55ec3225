//! `rulebox fmt`: lays rules out in the one way.

use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use clap::Args;
use rulebox_dsl::Limits;

use super::failure::Failure;
use super::source::{self, RuleFile};

/// Lay rules out in the one way, comments kept
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Rules, rewritten in place; `-` reads standard input and writes standard output
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change nothing; name the files that would change, and fail if there are any
    #[arg(long)]
    check: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut all_right = true;
    for path in &arguments.files {
        let file = RuleFile::read(path)?;
        let formatted = file.text().and_then(|text| rulebox_dsl::format::format(text, &Limits::DEFAULT));
        let formatted = match formatted {
            Ok(formatted) => formatted,
            Err(diagnostics) => {
                file.tell(&diagnostics);
                all_right = false;
                continue;
            }
        };
        let same = formatted.as_bytes() == file.bytes;
        if arguments.check {
            if !same {
                writeln!(stdout(), "{}: would be laid out anew", file.name)?;
                all_right = false;
            }
        } else if source::is_stdin(path) {
            stdout().write_all(formatted.as_bytes())?;
        } else if !same {
            save(path, &formatted).map_err(|source| Failure::Save { file: file.name.clone(), source })?;
        }
    }
    if all_right { Ok(()) } else { Err(Failure::Told) }
}

/// Puts a new file in the place of the old one, so that nobody finds half of it, whatever happens.
fn save(path: &Path, text: &str) -> std::io::Result<()> {
    // The file itself, not the link to it.
    let path = fs::canonicalize(path)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(fs::metadata(&path)?.permissions())?;
    new.as_file().sync_all()?;
    new.persist(&path)?;
    Ok(())
}
