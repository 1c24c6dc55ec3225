//! What migrations may do to programs of earlier versions (`migrations/README.md`), read from the files; with `squawk` as
//! a second judge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use rulebox_tests::{root, tools};

/// The step from which on tables say with which programs they work: those before are what they are.
const COMPATIBILITY: u32 = 7;

/// What `squawk` is not asked, since the program that migrates sets the times, and steps are whole or not at all.
const NOT_ASKED: &str = "require-lock-timeout,require-statement-timeout,require-timeout-settings,prefer-robust-stmts";

/// One statement: in lower case, one blank between words, without comments and what is quoted; and whether its author says
/// that earlier programs do not notice it.
#[derive(Debug, PartialEq, Eq)]
struct Statement {
    text: String,
    excused: bool,
}

/// Splits a file. Quoted text and bodies of functions become `''`.
fn statements(file: &str) -> Vec<Statement> {
    let (mut all, mut text, mut excused) = (Vec::new(), String::new(), false);
    let mut rest = file;
    while let Some(c) = rest.chars().next() {
        let mut skipped = c.len_utf8();
        if let Some(comment) = rest.strip_prefix("--") {
            let comment = comment.lines().next().unwrap_or_default();
            excused |=
                text.trim().is_empty() && comment.trim().strip_prefix("expands:").is_some_and(|why| why.len() > 10);
            skipped = 2 + comment.len();
            text.push(' ');
        } else if c == '\'' {
            skipped = 2 + rest[1..].find('\'').expect("a quote that is closed");
            text.push_str("''");
        } else if let Some(body) = rest.strip_prefix("$$") {
            skipped = 4 + body.find("$$").expect("a body that is closed");
            text.push_str("''");
        } else if c == ';' && !in_trigger(&text) {
            all.push(Statement { text: plain(&text), excused });
            (text, excused) = (String::new(), false);
        } else {
            text.push(c);
        }
        rest = &rest[skipped..];
    }
    all.push(Statement { text: plain(&text), excused });
    all.retain(|statement| !statement.text.is_empty());
    all
}

/// A trigger of `SQLite` has statements in it, to its `end`.
fn in_trigger(text: &str) -> bool {
    let text = plain(text);
    text.starts_with("create trigger ") && text.contains(" begin ") && !text.ends_with(" end")
}

fn plain(text: &str) -> String {
    text.to_lowercase().replace('(', " (").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a statement takes away from a program that was made before it, if it does. `own` are tables of the same file.
fn takes(statement: &str, own: &BTreeSet<&str>) -> Option<&'static str> {
    let words: Vec<_> = statement.split(' ').collect();
    let has = |what: &str| format!(" {statement} ").contains(&format!(" {what} "));
    let first = words.first().copied().unwrap_or_default();
    let table = match words.as_slice() {
        ["alter", "table", "if", "exists", name, ..] | ["alter", "table", name, ..] => Some(*name),
        _ => words.iter().position(|word| *word == "on").and_then(|on| words.get(on + 1)).copied(),
    };
    if table.is_some_and(|table| own.contains(table)) {
        return None;
    }
    match first {
        "drop" if words.get(1) == Some(&"index") => None,
        "drop" => Some("drops"),
        "truncate" | "delete" => Some("removes rows"),
        "revoke" => Some("takes a right"),
        "alter" if has("rename") => Some("renames"),
        "alter" if words.get(1) != Some(&"table") => Some("alters what is no table"),
        "alter" if has("drop") => Some("drops"),
        "alter" if has("type") => Some("changes a type"),
        "alter" if has("set not null") => Some("wants a value"),
        "alter" if has("add column") || has("add") => adds(statement),
        "alter" => Some("alters a table"),
        "create" if has("unique index") => Some("refuses rows"),
        "create" if has("trigger") => Some("runs when earlier programs write"),
        "create" if has("or replace") => Some("replaces"),
        "create" if words.get(1) == Some(&"policy") && has("restrictive") => Some("hides rows"),
        "create" | "grant" | "insert" | "update" | "select" | "comment" | "do" | "lock" | "set" => None,
        _ => Some("is none of those that only add"),
    }
}

/// Each part of an `alter table` that adds.
fn adds(statement: &str) -> Option<&'static str> {
    let parts = statement.split("add ").skip(1);
    for part in parts {
        let column = part.strip_prefix("column ");
        match column {
            Some(column) if column.contains("not null") && !column.contains("default") => return Some("wants a value"),
            Some(column) if column.contains("unique") || column.contains("references") => return Some("refuses rows"),
            Some(_) => {}
            None => return Some("refuses rows"),
        }
    }
    None
}

/// The number that a statement raises the oldest program to.
fn raises(statement: &str) -> Option<u32> {
    let to = statement.strip_prefix("update compatibility set oldest_program = ")?;
    to.split(' ').next()?.parse().ok()
}

/// Files of a store by number: name and text.
type Steps = BTreeMap<u32, (String, String)>;

/// What is wrong with the steps of a store.
fn wrong(steps: &Steps) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut oldest = COMPATIBILITY;
    for (number, (name, text)) in steps.range(COMPATIBILITY + 1..) {
        let mut found = |what: String| wrong.push(format!("{name}: {what}"));
        let all = statements(text);
        let own = all.iter().filter_map(|one| one.text.strip_prefix("create table ")?.split(' ').next()).collect();
        let taken = all.iter().filter(|one| !one.excused).filter_map(|one| Some((takes(&one.text, &own)?, &one.text)));
        let taken: Vec<_> = taken.collect();
        let raised: Vec<_> = all.iter().filter_map(|one| raises(&one.text)).collect();
        let says = all.iter().filter(|one| one.text.contains("compatibility")).count();
        match raised.as_slice() {
            [] => taken.iter().for_each(|(what, text)| found(format!("{what}, and does not say for whom: {text}"))),
            [to] if *to > oldest && to < number => oldest = *to,
            [to] => found(format!("says {to}, which must be more than {oldest} and less than its own number")),
            _ => found("says several times with what it works".to_owned()),
        }
        if says != raised.len() {
            found("does something else with `compatibility`".to_owned());
        }
        if text.starts_with("-- no-transaction") && (all.len() != 1 || !all[0].text.contains("index concurrently")) {
            found("is in no transaction, and is more than one index".to_owned());
        }
    }
    wrong
}

fn steps(store: &str) -> Steps {
    let files = std::fs::read_dir(root().join("migrations").join(store)).unwrap();
    let step = |file: PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let (number, _) = name.split_once('_').unwrap();
        assert!(number.len() == 4 && file.extension().is_some_and(|e| e == "sql"), "{name}: NNNN_about.sql");
        (number.parse().unwrap(), (name, std::fs::read_to_string(file).unwrap()))
    };
    let steps: Vec<(u32, _)> = files.map(|file| step(file.unwrap().path())).collect();
    let by_number: Steps = steps.iter().cloned().collect();
    assert_eq!(steps.len(), by_number.len(), "{store}: two of one number");
    by_number
}

#[test]
fn both_stores_take_the_same_steps() {
    let [postgres, sqlite] = ["postgres", "sqlite"].map(steps);
    let names = |steps: &Steps| steps.values().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&postgres), names(&sqlite));
    assert!(postgres.keys().copied().eq(1..=postgres.len().try_into().unwrap()), "a number is missing");
    for (number, (name, text)) in postgres.range(COMPATIBILITY + 1..) {
        let raised = |text: &str| statements(text).iter().find_map(|one| raises(&one.text));
        assert_eq!(raised(text), raised(&sqlite[number].1), "{name}: of one store alone");
    }
}

#[test]
fn no_step_takes_anything_from_earlier_programs_without_saying_so() {
    for store in ["postgres", "sqlite"] {
        let steps = steps(store);
        assert_eq!(wrong(&steps), Vec::<String>::new(), "{store}");
        println!("{store}: {} of {} steps are held to it", steps.range(COMPATIBILITY + 1..).count(), steps.len());
        // The steps before did, as this judge sees: it is no judge that finds nothing.
        let before = steps.values().take(COMPATIBILITY as usize - 1).flat_map(|(_, text)| statements(text));
        let taken = before.filter(|one| takes(&one.text, &BTreeSet::new()).is_some()).count();
        assert!(taken > 5, "{store}: {taken}");
    }
}

/// A step 9 after one that only adds, as it would be found.
fn planted(text: &str) -> Vec<String> {
    let step = |number: u32, text: &str| (number, (format!("{number:04}_planted.sql"), text.to_owned()));
    wrong(&[step(8, "alter table rules add column color text;"), step(9, text)].into_iter().collect())
}

/// What takes something away, and what `squawk` calls it, if it does.
const FAULTS: [(&str, &str); 26] = [
    ("drop table rules", "ban-drop-table"),
    ("DROP TABLE IF EXISTS rules CASCADE", "ban-drop-table"),
    ("alter table rules drop column name", "ban-drop-column"),
    ("alter table rules\n    -- no more\n    drop column name", "ban-drop-column"),
    ("alter table rules add column a text, drop column name", "ban-drop-column"),
    ("alter table rules rename column name to title", "renaming-column"),
    ("alter table rules rename to ruleset", "renaming-table"),
    ("alter table rules alter column name type varchar", "changing-column-type"),
    ("alter table rules alter column name set data type varchar", "changing-column-type"),
    ("alter table rules alter column active_version set not null", "adding-not-nullable-field"),
    ("alter table rules alter column revision drop default", "ban-drop-default"),
    ("alter table rules alter column name drop not null", "ban-drop-not-null"),
    ("alter table rules add column color text not null", "adding-required-field"),
    ("alter table rules add column a text, add column b text not null", "adding-required-field"),
    ("alter table rules add column color text unique", "disallowed-unique-constraint"),
    ("alter table rules add constraint named check (name <> '')", "constraint-missing-not-valid"),
    ("alter table violations drop constraint violations_status_check", "ban-drop-constraint"),
    ("create unique index rules_by_name on rules (name)", "require-concurrent-index-creation"),
    ("drop function keys_by_prefix (text)", "ban-drop-function"),
    ("create or replace function refuse_change() returns trigger language sql as $$ select; drop $$", ""),
    ("create trigger t before insert on rules for each row execute function refuse_change('no')", ""),
    ("revoke select on rules from rulebox_app", ""),
    ("drop policy app on rules", ""),
    ("create policy p on rules as restrictive to rulebox_app using (false)", ""),
    ("alter policy app on rules using (false)", ""),
    ("truncate security_events", ""),
];

#[test]
fn what_takes_something_away_is_found_and_what_adds_is_not() {
    for (fault, _) in FAULTS {
        assert_eq!(planted(&format!("{fault};")).len(), 1, "{fault}");
        assert_eq!(planted(&format!("{fault}; update compatibility set oldest_program = 8;")), Vec::<String>::new());
        assert_eq!(planted(&format!("-- expands: nobody uses it by now\n{fault};")), Vec::<String>::new());
        assert_eq!(planted(&format!("-- expands:\n{fault};")).len(), 1, "no reason: {fault}");
    }
    for sound in [
        "alter table service add column restore_tested_at bigint; grant select (id) on service to rulebox_platform",
        "alter table rules add column a text, add column b bigint not null default 7",
        "create table hues (a text not null unique); alter table hues enable row level security; \
         create policy app on hues to rulebox_app using (true); create unique index h on hues (a)",
        "insert into hues (a) values ('drop table rules; it''s')",
        "-- drop table rules;\nselect 1",
        "do $$ begin execute 'x'; end $$",
        "drop index rules_by_color",
        "update rules set color = 'red' where color is null",
        "-- no-transaction\ncreate index concurrently if not exists i on rules (color)",
    ] {
        assert_eq!(planted(sound), Vec::<String>::new(), "{sound}");
    }
    for (text, said) in [
        ("update compatibility set oldest_program = 9", "says 9"),
        ("update compatibility set oldest_program = 7", "says 7"),
        ("update compatibility set oldest_program = 8; update compatibility set oldest_program = 8", "several times"),
        ("update compatibility set oldest_program = oldest_program + 1", "something else"),
        ("insert into compatibility (id, oldest_program) values (2, 8)", "something else"),
        ("-- no-transaction\ncreate index i on rules (color)", "no transaction"),
        ("-- no-transaction\ncreate index concurrently i on rules (color); select 1", "no transaction"),
    ] {
        let found = planted(text);
        assert!(found.iter().any(|one| one.contains(said)), "{text}: {found:?}");
    }
}

/// What `squawk` says of files, each in a transaction unless it says otherwise.
fn squawk(files: &[PathBuf], in_transaction: bool) -> Result<(), String> {
    let program = tools::from_pypi("squawk", &["squawk-cli==2.70.0"], true).join("bin/squawk");
    let mut squawk = Command::new(program);
    squawk.args(["--pg-version", "15", "--reporter", "gcc", "--exclude", NOT_ASKED]);
    squawk.args(in_transaction.then_some("--assume-in-transaction")).args(files);
    let (output, said) = tools::tried(&mut squawk);
    if output.status.success() { Ok(()) } else { Err(said) }
}

#[test]
fn squawk_finds_nothing_in_steps_and_what_is_planted() {
    let place = tempfile::tempdir().unwrap();
    let folder = root().join("migrations/postgres");
    let mut asked = 0;
    for (name, text) in steps("postgres").range(COMPATIBILITY + 1..).map(|(_, step)| step) {
        assert_eq!(squawk(&[folder.join(name)], !text.starts_with("-- no-transaction")), Ok(()));
        asked += 1;
    }
    let file = place.path().join("0009_planted.sql");
    let mut found = 0;
    for (fault, rule) in FAULTS.iter().filter(|(_, rule)| !rule.is_empty()) {
        std::fs::write(&file, format!("{fault};\n")).unwrap();
        let said = squawk(std::slice::from_ref(&file), true).expect_err(fault);
        assert!(said.contains(rule), "{fault}: {said}");
        found += 1;
    }
    // Of locks, which the other judge says nothing of.
    std::fs::write(&file, "create index rules_by_color on rules (color);\n").unwrap();
    assert!(squawk(std::slice::from_ref(&file), true).unwrap_err().contains("require-concurrent-index-creation"));
    std::fs::write(&file, "-- no-transaction\ncreate index concurrently if not exists i on rules (color);\n").unwrap();
    assert_eq!(squawk(&[file], false), Ok(()));
    println!("squawk: {asked} steps, {found} planted faults found");
}
