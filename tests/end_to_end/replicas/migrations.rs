//! `rulebox migrate`, and starts over tables that are not this version's.

use super::*;

fn migrate(database: &Database, arguments: &[&str]) -> String {
    let (status, said) = output(&[&["migrate"], arguments].concat(), &database.settings());
    assert!(status.success(), "{said}");
    said
}

fn start(database: &Database, arguments: &[&str]) -> Result<Server, String> {
    let directory = tempfile::tempdir().unwrap();
    let settings = database.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Server::try_start_with(directory.path(), arguments, &settings).map_err(|refused| {
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert!(!refused.stderr.contains("pa ss") && !refused.stderr.contains("pa%20ss"), "{}", refused.stderr);
        refused.stderr
    })
}

#[test]
fn a_start_before_the_migrations_is_refused_and_one_that_may_make_them_is_not() {
    let server = Postgres::start();
    let database = server.database();
    let said = start(&database, &[]).unwrap_err();
    assert!(said.contains("rulebox migrate") && said.contains("--migrate"), "{said}");
    let count = std::fs::read_dir(rulebox_tests::root().join("migrations/postgres")).unwrap().count();
    assert!(migrate(&database, &["--dry-run"]).ends_with(&format!("\n{count} to do\n")));
    assert!(start(&database, &[]).is_err(), "to be told changes nothing");
    start(&database, &["--migrate"]).unwrap();
    assert!(migrate(&database, &[]).contains("the tables are this version's"));

    // Of a later version that does not say with which programs its tables work.
    let by_hand = "set session_replication_role = replica; delete from compatibility";
    server.psql(&database.name, by_hand);
    server.psql(&database.name, "insert into _sqlx_migrations values (9999, 'later', now(), true, '', 0)");
    for arguments in [&[][..], &["--migrate"]] {
        let said = start(&database, arguments).unwrap_err();
        assert!(said.contains("9999") && said.contains("later one"), "{said}");
    }
}

#[test]
fn replicas_that_start_while_migrations_run_serve_when_they_are_done() {
    let server = Postgres::start();
    let database = server.database();
    std::thread::scope(|scope| {
        let migrating = (0..2).map(|_| scope.spawn(|| migrate(&database, &[]))).collect::<Vec<_>>();
        let starting = (0..2).map(|_| scope.spawn(|| start(&database, &["--migrate"]))).collect::<Vec<_>>();
        // One that may not is refused until the tables are there: its supervisor starts it again.
        let mut refused = 0;
        let last = loop {
            match start(&database, &[]) {
                Ok(server) => break server,
                Err(said) if said.contains("rulebox migrate") => refused += 1,
                Err(said) => panic!("{said}"),
            }
        };
        println!("a replica that may not migrate was refused {refused} times, and then served");
        let replicas: Vec<_> = starting.into_iter().map(|one| one.join().unwrap().unwrap()).collect();
        let migrated: Vec<_> = migrating.into_iter().map(|one| one.join().unwrap()).collect();
        assert!(migrated.iter().filter(|said| said.contains(" done")).count() <= 1, "{migrated:?}");
        let keys: Vec<_> = replicas.iter().chain([&last]).filter_map(|server| server.key.clone()).collect();
        assert_eq!(keys.len(), 1, "one of them made the first tenant");
        for server in replicas.iter().chain([&last]) {
            body(server.get(&keys[0], "/v1/rules"), 200);
        }
    });
}

#[test]
fn a_store_in_a_file_migrates_by_the_same_command() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("RULEBOX_DATA_DIR", directory.path().display().to_string())];
    let run = |arguments: &[&str]| output(&[&["migrate"], arguments].concat(), &settings);
    assert!(run(&["--dry-run"]).1.contains("0001 rules"));
    assert!(!directory.path().join("rulebox.db").exists());
    assert!(run(&[]).1.contains(" done"));
    assert!(run(&["--dry-run"]).1.contains("the tables are this version's"));
    let _server = Server::start(directory.path());
    let (status, said) = run(&[]);
    assert!(!status.success() && said.contains("another rulebox uses"), "{said}");
}

#[test]
fn migrations_by_the_login_of_the_service_are_refused_without_a_word_of_its_password() {
    let server = Postgres::start();
    let database = server.database();
    let mut settings = database.settings();
    for setting in settings.iter_mut().filter(|(name, _)| *name == "RULEBOX_DATABASE__MIGRATE_URL") {
        setting.1 = database.url();
    }
    let (status, said) = output(&["migrate"], &settings);
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("RULEBOX_DATABASE__MIGRATE_URL must own"), "{said}");
    assert!(!said.contains("pa ss") && !said.contains("pa%20ss"), "{said}");
    let without: Vec<_> = settings.into_iter().filter(|(name, _)| !name.contains("MIGRATE")).collect();
    let (status, said) = output(&["migrate"], &without);
    assert!(status.code() == Some(2) && said.contains("RULEBOX_DATABASE__MIGRATE_URL is not set"), "{said}");
}
