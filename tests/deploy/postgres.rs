//! `PostgreSQL`'s parameters: a server that was started with them says where it has each from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rulebox_tests::servers::postgres::{Postgres, other_user, own, program};
use rulebox_tests::servers::{Guarded, free_port, wait_until};
use rulebox_tests::tools::{run, tried};

use crate::{changed, read};

const PARAMETERS: &str = "deploy/data/postgresql.conf";

/// The parameters that the file sets, each with its line.
fn written() -> Vec<(String, usize)> {
    let text = read(PARAMETERS);
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    lines.filter_map(|(at, line)| Some((line.split_once(" = ")?.0.to_owned(), at + 1))).collect()
}

/// The data of a server of its own, which has ended, and which includes this text.
fn data_with(server: &mut Postgres, text: &str) -> PathBuf {
    let data = PathBuf::from(server.psql("postgres", "show data_directory"));
    server.crash();
    let included = data.join("rulebox.conf");
    fs::write(&included, text).unwrap();
    own(&included);
    let own_file = data.join("postgresql.conf");
    let main = fs::read_to_string(&own_file).unwrap();
    fs::write(&own_file, format!("{main}\ninclude = 'rulebox.conf'\n")).unwrap();
    data
}

/// The server's own check of its configuration.
fn parameter(data: &Path, name: &str) -> Command {
    let mut command = Command::new("setpriv");
    if let Some((user, group)) = other_user() {
        command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    }
    command.arg(program("postgres")).arg("-D").arg(data).args(["-C", name]).current_dir(data);
    command
}

#[test]
fn postgresql_has_what_its_file_says() {
    let mut server = Postgres::start();
    let data = data_with(&mut server, &read(PARAMETERS));
    let port = free_port();
    let mut command = Command::new(program("postgres"));
    command.current_dir(&data).arg("-D").arg(&data).args(["-p", &port.to_string()]);
    // Less memory than a server in production has: it is the one that is not tried.
    for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=64MB", "fsync=off"] {
        command.args(["-c", setting]);
    }
    let mut process = Guarded::spawn_as(&command, other_user(), "QUIT");
    let mut ready = Command::new(program("pg_isready"));
    ready.args(["--quiet", "--host=127.0.0.1", &format!("--port={port}")]);
    wait_until(&mut process, "postgres", || ready.status().unwrap().success());
    let ask = |sql: &str| {
        let mut psql = Command::new(program("psql"));
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--dbname=postgres", "--command", sql]);
        psql.envs(server.superuser()).env("PGPORT", port.to_string());
        run(&mut psql).trim().to_owned()
    };
    assert_eq!(
        ask("select name, error from pg_file_settings where error is not null and name <> 'shared_buffers'"),
        ""
    );
    let written = written();
    assert!(written.len() > 30, "{written:?}");
    let mut from_the_file = 0;
    for (name, line) in &written {
        let said = ask(&format!("select source, sourceline, pending_restart from pg_settings where name = '{name}'"));
        let expected = if name == "shared_buffers" {
            "command line||f".to_owned()
        } else {
            format!("configuration file|{line}|f")
        };
        assert_eq!(said, expected, "{name}");
        from_the_file += 1;
    }
    // What the file stands for, in the words of the server.
    for (name, value) in [
        ("synchronous_commit", "on"),
        ("synchronous_standby_names", "ANY 1 (*)"),
        ("archive_timeout", "1min"),
        ("idle_in_transaction_session_timeout", "1min"),
        ("log_parameter_max_length", "0"),
        ("log_parameter_max_length_on_error", "0"),
        ("max_slot_wal_keep_size", "20GB"),
    ] {
        assert_eq!(ask(&format!("show {name}")), value, "{name}");
    }
    // Without a standby that agrees, no commit is answered, but for who asks for less.
    let is_answered = |synchronous_commit: &str| {
        let mut psql = Command::new("timeout");
        psql.arg("3").arg(program("psql")).args(["--no-psqlrc", "--dbname=postgres"]);
        psql.args([
            "--command",
            "create table lost ()",
            "--command",
            "drop table lost",
            "--command",
            "select 'answered'",
        ]);
        psql.env("PGOPTIONS", format!("-c synchronous_commit={synchronous_commit}"));
        tried(psql.envs(server.superuser()).env("PGPORT", port.to_string())).1.contains("answered")
    };
    assert!(is_answered("local") && !is_answered("on"), "a commit did not wait for a standby");
    println!("PostgreSQL: {from_the_file} parameters from the file, none with an error");
    rulebox_tests::signal(process.id(), "QUIT");
    process.wait();

    let broken = changed(&read(PARAMETERS), "work_mem = '8MB'", "work_mem = '8 megabytes'");
    fs::write(data.join("rulebox.conf"), broken).unwrap();
    let (output, said) = tried(&mut parameter(&data, "work_mem"));
    assert!(!output.status.success() && said.contains("work_mem"), "{said}");
    fs::write(data.join("rulebox.conf"), read(PARAMETERS)).unwrap();
    assert_eq!(run(&mut parameter(&data, "shared_buffers")).trim(), "524288", "4 GiB in pages of 8 KiB");
}
