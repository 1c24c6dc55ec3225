//! How far the tables of a store are, against what this program brings.

use sqlx::migrate::Migrator;

/// A step from one form of the tables to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub number: i64,
    /// What it is about.
    pub about: String,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04} {}", self.number, self.about)
    }
}

/// Tables that this program cannot bring to its own form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A later version of the program has been here.
    #[error(
        "migration {0:04} is there, which this version does not know; run the version that made it, or a later one"
    )]
    Newer(i64),
    /// A step is not the one that this program has under its number.
    #[error("migration {0:04} is there in another form than this version's: it was changed after it ran")]
    Changed(i64),
}

/// The steps that are missing, where these (number and checksum) are done.
pub(super) fn missing(migrator: &Migrator, done: &[(i64, Vec<u8>)]) -> Result<Vec<Step>, Misfit> {
    for (number, checksum) in done {
        match migrator.iter().find(|migration| migration.version == *number) {
            None => return Err(Misfit::Newer(*number)),
            Some(known) if *known.checksum != **checksum => return Err(Misfit::Changed(*number)),
            Some(_) => {}
        }
    }
    let missing = migrator.iter().filter(|migration| done.iter().all(|(number, _)| *number != migration.version));
    Ok(missing.map(|migration| Step { number: migration.version, about: migration.description.to_string() }).collect())
}
