//! How far the tables of a store are, against what this program brings.
//!
//! A program takes steps that are missing. Steps that it does not know were taken by a later version; whether the tables
//! still work with this one, they say themselves: `compatibility.oldest_program` (`migrations/README.md`).

use sqlx::migrate::Migrator;

#[cfg(test)]
pub(super) mod tests;

/// The step that makes the table which says with which programs the tables work.
pub(super) const COMPATIBILITY: i64 = 7;
/// What that table says, in both stores. It should be one row.
pub(super) const OLDEST_PROGRAM: &str = "select oldest_program from compatibility";
/// The steps that were taken, in both stores.
pub(super) const TAKEN: &str = "select version, description, checksum, success from _sqlx_migrations order by version";

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

/// How the tables stand to this program, which can use them when nothing is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Steps that the tables lack.
    pub missing: Vec<Step>,
    /// Steps of a later version. The tables work with this one all the same.
    pub later: Vec<Step>,
}

/// Tables that this program cannot use, and cannot bring to its own form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A later version of the program has been here, and nothing says that the tables work with this one.
    #[error(
        "migration {0:04} is there, which this version does not know; run the version that made it, or a later one"
    )]
    Newer(i64),
    /// A later version has taken away what this one needs.
    #[error(
        "they work with versions that know migration {oldest:04}, and this version knows none after {latest:04}; run the \
         version that made it, or a later one"
    )]
    Outgrown {
        /// What a program must know.
        oldest: i64,
        /// What this one does.
        latest: i64,
    },
    /// A step that no version after this one can have made.
    #[error(
        "migration {0:04} is there, which this version does not know, though it knows later ones; run the version that \
         made it"
    )]
    Foreign(i64),
    /// A later version has been here that did not have one of this version's steps.
    #[error(
        "migration {missing:04} is not there, and {later:04} is, which this version does not know; run the version that made it"
    )]
    Skipped {
        /// What is missing.
        missing: i64,
        /// What is there.
        later: i64,
    },
    /// A step is not the one that this program has under its number.
    #[error("migration {0:04} is there in another form than this version's: it was changed after it ran")]
    Changed(i64),
    /// A step was begun, and is not done.
    #[error("migration {0:04} was begun and is not done; find out how far it came, and finish it by hand")]
    Unfinished(i64),
}

/// A step that was taken.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Taken {
    #[sqlx(rename = "version")]
    pub(super) number: i64,
    #[sqlx(rename = "description")]
    pub(super) about: String,
    pub(super) checksum: Vec<u8>,
    #[sqlx(rename = "success")]
    pub(super) done: bool,
}

/// Whether the tables say with which programs they work.
pub(super) fn says_with_what(taken: &[Taken]) -> bool {
    taken.iter().any(|step| step.number == COMPATIBILITY)
}

/// Writes to the log that the tables are of a later version.
pub(super) fn said(standing: &Standing) {
    if !standing.later.is_empty() {
        let steps: Vec<_> = standing.later.iter().map(Step::to_string).collect();
        tracing::warn!(
            steps = steps.join(", "),
            "the tables are of a later version, and work with this one: it does not know these steps"
        );
    }
}

/// The last step that a program knows.
pub(super) fn latest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|step| step.version).max().unwrap_or_default()
}

/// How the tables stand to a program. `oldest` is what they say of programs: one row, or else nothing is said.
pub(super) fn standing(migrator: &Migrator, taken: &[Taken], oldest: &[i64]) -> Result<Standing, Misfit> {
    let latest = latest(migrator);
    let mut later = Vec::new();
    for step in taken {
        match migrator.iter().find(|known| known.version == step.number) {
            None if step.number <= latest => return Err(Misfit::Foreign(step.number)),
            Some(known) if *known.checksum != *step.checksum => return Err(Misfit::Changed(step.number)),
            _ if !step.done => return Err(Misfit::Unfinished(step.number)),
            None => later.push(Step { number: step.number, about: step.about.clone() }),
            Some(_) => {}
        }
    }
    let missing = migrator.iter().filter(|known| taken.iter().all(|step| step.number != known.version));
    let missing: Vec<_> =
        missing.map(|step| Step { number: step.version, about: step.description.to_string() }).collect();
    match (oldest, later.first(), missing.first()) {
        ([oldest], ..) if *oldest > latest => Err(Misfit::Outgrown { oldest: *oldest, latest }),
        ([_], Some(later), Some(missing)) => Err(Misfit::Skipped { missing: missing.number, later: later.number }),
        ([_], ..) | (_, None, _) => Ok(Standing { missing, later }),
        (_, Some(later), _) => Err(Misfit::Newer(later.number)),
    }
}
