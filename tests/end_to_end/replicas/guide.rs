//! The operators' guide to the database: its commands run, as they are written there.

use std::process::{Command, Stdio};

use rulebox_tests::servers::pgbouncer::PgBouncer;
use rulebox_tests::{binary, root};

use super::*;

#[test]
fn every_command_of_the_guide_runs() {
    let guide = std::fs::read_to_string(root().join("deploy/postgres/README.md")).unwrap();
    let blocks: Vec<_> = guide.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 3, "{blocks:?}");
    let server = Postgres::start();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", binary().parent().unwrap().display());
    let directory = tempfile::tempdir().unwrap();
    // What the guide calls by a host's name is this server, and the pooler in front of it.
    let passwords = [("OWNER_PASSWORD", "one"), ("SERVICE_PASSWORD", "two"), ("PLATFORM_PASSWORD", "three")];
    let pooler = PgBouncer::start_for(&server, 4, ["two", "three"]);
    let secret = directory.path().join("master.secret").display().to_string();
    for block in blocks {
        let block = block
            .replace("db.example.com:5432", &format!("127.0.0.1:{}", server.port()))
            .replace("pooler.example.com:6432", &format!("127.0.0.1:{}", pooler.port()))
            .replace("?sslmode=verify-full", "");
        let stays = block.contains("rulebox serve");
        // It serves until it is stopped: here, until it says that it does.
        let block = if stays {
            block.replace("rulebox serve", "timeout 10 rulebox serve").replace("master.secret", &secret)
        } else {
            block
        };
        let mut shell = Command::new("bash");
        shell.args(["-e", "-c", &block]).current_dir(root()).stdin(Stdio::null()).env("PATH", &path);
        // Nobody has made the directory of the first key.
        shell.envs(server.superuser()).envs(passwords).env("RULEBOX_DATA_DIR", directory.path().join("rulebox-data"));
        shell.env("RULEBOX_API__LISTEN", "127.0.0.1:0").env("RULEBOX_HEALTH__LISTEN", "127.0.0.1:0");
        let output = shell.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if stays {
            assert!(said.contains("serving until"), "{block}\n{said}");
        } else {
            assert!(output.status.success(), "{block}\n{said}");
        }
    }
}
