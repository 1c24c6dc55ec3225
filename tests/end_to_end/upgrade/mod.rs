//! A later version has migrated the tables: what becomes of this one, which starts, runs and goes back over them. The later
//! version is played by its steps, which are real, and by what it would write.

mod backup;
mod file;
mod load;
mod servers;

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use ring::digest::{SHA384, digest};
use rulebox_tests::servers::postgres::{Database, program};
use rulebox_tests::{output, root, tools};

/// The last step of this version.
fn latest() -> usize {
    std::fs::read_dir(root().join("migrations/postgres")).unwrap().count()
}

/// What a later version would add: columns of tables that this one writes, a table of tenants, and an index.
const EXPAND: [&str; 3] = [
    "alter table rules add column later_color text;
     alter table versions add column later_weight bigint not null default 7;
     alter table violations add column later_note text not null default 'none';
     alter table service add column later_at bigint;",
    "create table later_hues (tenant_id uuid not null references tenants (id), hue text not null, primary key (tenant_id, hue));
     alter table later_hues enable row level security, force row level security;
     create policy app on later_hues to rulebox_app
         using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
         with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
     grant select, insert on later_hues to rulebox_app;",
    "-- no-transaction
     create index concurrently if not exists later_rules_by_color on rules (later_color)",
];

/// What a later version would take away: this one cannot write a rule without it.
fn contract(oldest: usize) -> String {
    format!(
        "alter table rules rename column revision to later_revision; update compatibility set oldest_program = {oldest};"
    )
}

/// A row of the library that migrates.
fn row(number: usize, step: &str, now: &str) -> String {
    let checksum = digest(&SHA384, step.as_bytes());
    let checksum = checksum.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    let checksum = if now == "now()" { format!("'\\x{checksum}'") } else { format!("x'{checksum}'") };
    format!("insert into _sqlx_migrations values ({number}, 'later', {now}, true, {checksum}, 0);")
}

/// Takes a step as a later version's `rulebox migrate` does: by the login that owns the tables, whole or not at all.
fn take(database: &Database, number: usize, step: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(format!("{number:04}_later.sql"));
    let (before, after) =
        if step.starts_with("-- no-transaction") { (";", "") } else { ("begin; set lock_timeout = '10s';", "commit;") };
    std::fs::write(&file, format!("{before}\n{step}\n;{}\n{after}", row(number, step, "now()"))).unwrap();
    let mut psql = Command::new(program("psql"));
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
    tools::run(psql.arg(format!("--dbname={}", database.migrate_url())).arg("--file").arg(file));
}

/// What `rulebox migrate` does: its exit code and all that it says.
fn migrate(settings: &[(&str, String)], arguments: &[&str]) -> (Option<i32>, String) {
    let (status, said) = output(&[&["migrate"], arguments].concat(), settings);
    (status.code(), said)
}

/// The same of a directory.
fn settings_of(directory: &Path) -> Vec<(&'static str, String)> {
    vec![("RULEBOX_DATA_DIR", directory.display().to_string())]
}

/// Numbers of steps change with every version: `NEXT` is the first that this one does not know.
fn without_numbers(said: &str) -> String {
    let mut said = said.to_owned();
    for (n, name) in ["LATEST", "NEXT", "SECOND", "THIRD", "FOURTH"].iter().enumerate() {
        said = said.replace(&format!("{:04}", latest() + n), name);
    }
    said
}
