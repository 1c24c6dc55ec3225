//! Somebody with the disk in his hands, but without the master secret.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The file of the compiled code of a module, in its form for columns, once it is there.
pub fn code_file(code: &Path, digest: &str) -> Option<PathBuf> {
    let digest = digest.trim_start_matches("sha256:");
    let mut files = std::fs::read_dir(code).unwrap().map(|entry| entry.unwrap());
    files.find(|file| file.file_name().to_str().unwrap().starts_with(digest)).map(|file| file.path())
}

/// Changes a bit in the middle of a file.
pub fn change_a_bit(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(file, bytes).unwrap();
}

fn sqlite(directory: &Path, script: &str) {
    let mut shell = Command::new("sqlite3")
        .args(["-batch", "-bail"])
        .arg(directory.join("rulebox.db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("sqlite3: {error}; `./tests/run` installs it"));
    // The service may be writing.
    let script = format!(".timeout 30000\n{script}");
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// Changes a version, which the tables forbid.
fn change_version(directory: &Path, rule: &str, change: &str) {
    sqlite(
        directory,
        &format!(
            "begin;
             create temp table kept as select sql from main.sqlite_schema where name = 'versions_are_immutable';
             drop trigger versions_are_immutable;
             update versions set {change} where rule_id = (select id from rules where name = '{rule}');
             pragma writable_schema = on;
             insert into main.sqlite_schema (type, name, tbl_name, rootpage, sql)
             select 'trigger', 'versions_are_immutable', 'versions', 0, sql from kept;
             pragma writable_schema = off;
             commit;"
        ),
    );
}

/// Has a rule proved to cost less than it does.
pub fn weaken_proof(directory: &Path, rule: &str) {
    change_version(directory, rule, "manifest = json_set(manifest, '$.cost.bar', 1, '$.cost.call', 0)");
}

/// Puts the module of another rule in the place of a rule's.
pub fn exchange_module(directory: &Path, rule: &str, other: &str) {
    let of = |column: &str| {
        format!("(select v.{column} from versions v join rules r on r.id = v.rule_id where r.name = '{other}')")
    };
    change_version(directory, rule, &format!("module = {}, digest = {}", of("module"), of("digest")));
}

/// Has the table of webhooks answer with one that is another tenant's, now and then: a view says whose it is anew each
/// time that it is asked, so what is asked for and what is answered may differ.
pub fn mix_webhooks(directory: &Path, description: &str) {
    sqlite(
        directory,
        &format!(
            "begin immediate;
             alter table webhooks rename to webhooks_kept;
             create view webhooks as
             select id, case when description = '{description}' and random() & 1 then zeroblob(16) else tenant_id end
                 as tenant_id, url, description, kinds, severity, secret, previous_secret, previous_until, created_at,
                 created_by, disabled_at from webhooks_kept;
             commit;"
        ),
    );
}

/// Puts the table back.
pub fn unmix_webhooks(directory: &Path) {
    sqlite(directory, "begin immediate; drop view webhooks; alter table webhooks_kept rename to webhooks; commit;");
}
