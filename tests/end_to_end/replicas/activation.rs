//! Two replicas change one rule at the same time.

use std::sync::Barrier;

use super::*;

#[test]
fn of_two_activations_at_once_one_wins_and_both_replicas_agree() {
    let server = Postgres::start();
    let (replicas, key) = replicas(&database(&server));
    let [a, b] = &replicas;
    body(a.server.post(&key, "/v1/rules", &json!({"name": "raced", "source": rule(1)})), 201);
    for n in 2..=3 {
        body(b.server.post(&key, "/v1/rules/raced/versions", &json!({"source": rule(n)})), 201);
    }
    let mut wins = [0, 0];
    for round in 0..40 {
        let seen = a.server.get(&key, "/v1/rules/raced").unwrap();
        let tag = seen.headers()["etag"].to_str().unwrap().to_owned();
        let barrier = Barrier::new(2);
        let answers: Vec<(u16, Value)> = std::thread::scope(|scope| {
            let tries: Vec<_> = replicas
                .iter()
                .zip([2, 3])
                .map(|(replica, version)| {
                    let (barrier, tag, key) = (&barrier, &tag, &key);
                    scope.spawn(move || {
                        let url = format!("{}/v1/rules/raced/activate", replica.server.api);
                        let request = replica.server.client().post(url).bearer_auth(key).header("if-match", tag);
                        let request = request.json(&json!({"version": version}));
                        barrier.wait();
                        let answer = request.send().unwrap();
                        (answer.status().as_u16(), answer.json().unwrap())
                    })
                })
                .collect();
            tries.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let winner = match (answers[0].0, answers[1].0) {
            (200, 412) => 0,
            (412, 200) => 1,
            _ => panic!("round {round}: {answers:?}"),
        };
        wins[winner] += 1;
        assert_eq!(answers[1 - winner].1["code"], "precondition_failed", "{answers:?}");
        for replica in &replicas {
            let rule = body(replica.server.get(&key, "/v1/rules/raced"), 200);
            assert_eq!(rule["active_version"], winner + 2, "{rule}");
        }
    }
    println!("40 races: the first replica won {} times, the second {}", wins[0], wins[1]);
}

#[test]
fn of_many_creations_of_one_name_one_wins_and_the_others_are_told() {
    let server = Postgres::start();
    let (replicas, key) = replicas(&database(&server));
    for round in 0..10 {
        let barrier = Barrier::new(8);
        let answers: Vec<(u16, Value)> = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8)
                .map(|thread| {
                    let (barrier, key, server) = (&barrier, &key, &replicas[thread % 2].server);
                    scope.spawn(move || {
                        let new = json!({"name": format!("same_{round}"), "source": rule(thread + 1)});
                        barrier.wait();
                        let answer = server.post(key, "/v1/rules", &new).unwrap();
                        (answer.status().as_u16(), answer.json().unwrap())
                    })
                })
                .collect();
            tries.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let (made, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(status, _)| *status == 201);
        assert_eq!(made.len(), 1, "{others:?}");
        assert!(others.iter().all(|(status, answer)| *status == 409 && answer["code"] == "name_taken"), "{others:?}");
        let digests = replicas.each_ref().map(|replica| {
            let version = body(replica.server.get(&key, &format!("/v1/rules/same_{round}/versions/1")), 200);
            version["digest"].clone()
        });
        assert!(digests.iter().all(|digest| *digest == made[0].1["digest"]), "{digests:?}");
    }
}
