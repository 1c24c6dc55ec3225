//! The database, or the pooler in front of it, goes away under load and comes back.

use rulebox_tests::servers::pgbouncer::PgBouncer;

use super::*;

#[test]
fn nothing_acknowledged_is_lost_when_the_database_crashes_and_comes_back() {
    let mut server = Postgres::start_with(Sync::Disk);
    let (replicas, key) = replicas(&database(&server));
    let said = upload_during(&replicas, &key, "crash", || {
        server.crash();
        // Long enough for requests to be refused.
        std::thread::sleep(Duration::from_secs(2));
        server.start_again();
    });
    println!("PostgreSQL crashed: {said}");
}

#[test]
fn nothing_acknowledged_is_lost_when_the_pooler_is_killed_and_comes_back() {
    let server = Postgres::start();
    let mut pooler = PgBouncer::start(&server, 4);
    let (replicas, key) = replicas(&database(&server).by_port(pooler.port()));
    let said = upload_during(&replicas, &key, "pooler", || pooler.restart());
    println!("PgBouncer killed: {said}");
}

#[test]
fn nothing_acknowledged_is_lost_when_the_database_behind_a_pooler_crashes() {
    let mut server = Postgres::start_with(Sync::Disk);
    let pooler = PgBouncer::start(&server, 4);
    let (replicas, key) = replicas(&database(&server).by_port(pooler.port()));
    let said = upload_during(&replicas, &key, "behind", || {
        server.crash();
        std::thread::sleep(Duration::from_secs(1));
        server.start_again();
    });
    println!("PostgreSQL behind PgBouncer crashed: {said}");
}
