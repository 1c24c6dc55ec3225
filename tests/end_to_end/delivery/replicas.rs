//! Deliveries of several replicas over one `PostgreSQL`, and of one over `SQLite`: each is told once, and again if whoever
//! told it was killed before it could say so.

use std::collections::BTreeMap;

use rulebox_tests::Server;
use rulebox_tests::receiver::{Answering, Receiver};
use rulebox_tests::servers::postgres::Postgres;

use super::{LOOPBACK, delivery, hook, metric, test_event, until};
use crate::replicas::{Replica, database};

const EVENTS: usize = 200;
const DELIVERED: &str = "rulebox_webhook_deliveries_total{result=\"delivered\"}";
const IMPATIENT: (&str, &str) = ("RULEBOX_WEBHOOKS__TIMEOUT_MS", "1000");

/// How often each event came.
fn times(receiver: &Receiver) -> BTreeMap<String, usize> {
    receiver.received().iter().fold(BTreeMap::new(), |mut times, sent| {
        *times.entry(sent.header("webhook-id").to_owned()).or_default() += 1;
        times
    })
}

#[test]
fn two_replicas_tell_each_once() {
    let postgres = Postgres::start();
    let database = database(&postgres);
    let first = Replica::start_with(&database, &[LOOPBACK]);
    let key = first.server.key.clone().unwrap();
    let replicas = [first, Replica::start_with(&database, &[LOOPBACK])];
    let receivers: Vec<_> = (0..4).map(|_| Receiver::start(Answering::Status(200))).collect();
    let hooks: Vec<_> = receivers.iter().map(|one| hook(&replicas[0].server, &key, one).0).collect();
    let began = std::time::Instant::now();
    for n in 0..EVENTS {
        test_event(&replicas[n % 2].server, &key, &hooks[n % 4]);
    }
    let waiting = || metric(&replicas[0].server, "rulebox_outbox_backlog");
    let told = || receivers.iter().map(Receiver::count).sum::<usize>();
    until("all are told", || told() >= EVENTS);
    let took = began.elapsed();
    until("nothing waits", || waiting() == 0);
    for receiver in &receivers {
        assert!(times(receiver).values().all(|times| *times == 1), "{:?}", times(receiver));
    }
    assert_eq!(told(), EVENTS);
    let each = replicas.map(|replica| metric(&replica.server, DELIVERED));
    println!("{EVENTS} events of 4 webhooks in {took:.1?}, by two replicas: {each:?}");
    assert_eq!(each.iter().sum::<usize>(), EVENTS);
}

/// An event whose receiver has it and does not answer.
fn under_way(server: &Server, key: &str, receiver: &Receiver) -> (String, String) {
    let (hook, _) = hook(server, key, receiver);
    let id = test_event(server, key, &hook);
    receiver.wait("the first try", |sent| sent.header("webhook-id") == id);
    (hook, id)
}

#[test]
fn what_a_killed_process_was_telling_is_told_again_under_the_same_id() {
    let postgres = Postgres::start();
    let database = database(&postgres);
    // Its try is not over when it is killed.
    let victim = Replica::start_with(&database, &[LOOPBACK]);
    let key = victim.server.key.clone().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let alone = Server::try_start(directory.path(), &[LOOPBACK, IMPATIENT]).unwrap();
    let own_key = alone.key.clone().unwrap();
    let receivers = [Receiver::start(Answering::Never), Receiver::start(Answering::Never)];
    let of_two = under_way(&victim.server, &key, &receivers[0]);
    let other = Replica::start_with(&database, &[LOOPBACK]);
    let of_one = under_way(&alone, &own_key, &receivers[1]);
    let killed = std::time::Instant::now();
    for server in [&victim.server, &alone] {
        server.signal("KILL");
    }
    drop((victim, alone));
    let alone = Server::try_start(directory.path(), &[LOOPBACK, IMPATIENT]).unwrap();
    for receiver in &receivers {
        receiver.answer(Answering::Status(200));
    }
    let ends = [(&alone, &own_key, of_one, &receivers[1]), (&other.server, &key, of_two, &receivers[0])];
    for (name, (server, key, (hook, id), receiver)) in ["SQLite", "PostgreSQL"].into_iter().zip(ends) {
        delivery(server, key, &hook, &id, |one| one["state"] == "delivered");
        let received = receiver.received();
        let again = received.last().unwrap();
        println!("{name}: told again {:.1?} after the kill", again.at.saturating_duration_since(killed));
        assert_eq!(times(receiver), BTreeMap::from([(id, received.len())]));
        assert!(received.len() >= 2 && received.iter().all(|sent| sent.body == again.body));
    }
}
