//! How tables stand to programs, case by case; and programs of later versions, for the tests of both stores.

use super::*;

/// A version that has more steps than this one, after its last: each is SQL.
pub(in crate::store) async fn with_steps(store: &str, known: &Migrator, steps: &[&str]) -> Migrator {
    let directory = tempfile::tempdir().unwrap();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(store);
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), directory.path().join(file.file_name())).unwrap();
    }
    for (number, step) in (latest(known) + 1..).zip(steps) {
        std::fs::write(directory.path().join(format!("{number:04}_later.sql")), step).unwrap();
    }
    Migrator::new(directory.path()).await.unwrap()
}

/// Knows the steps up to `last`.
fn program(last: i64) -> Migrator {
    let step = |number: i64| {
        sqlx::migrate::Migration::new(
            number,
            "step".into(),
            sqlx::migrate::MigrationType::Simple,
            sqlx::SqlStr::from_static("select 1"),
            false,
        )
    };
    Migrator::with_migrations((1..=last).map(step).collect())
}

fn taken(numbers: impl IntoIterator<Item = i64>) -> Vec<Taken> {
    let checksum = program(1).iter().next().unwrap().checksum.to_vec();
    let step = |number| Taken { number, about: "step".to_owned(), checksum: checksum.clone(), done: true };
    numbers.into_iter().map(step).collect()
}

/// Missing and later numbers.
fn stands(last: i64, steps: &[Taken], oldest: &[i64]) -> Result<(Vec<i64>, Vec<i64>), Misfit> {
    let numbers = |steps: Vec<Step>| steps.into_iter().map(|step| step.number).collect();
    standing(&program(last), steps, oldest).map(|found| (numbers(found.missing), numbers(found.later)))
}

#[test]
fn a_program_takes_what_is_missing_and_goes_with_what_says_so() {
    assert_eq!(stands(8, &taken([]), &[]), Ok(((1..=8).collect(), vec![])));
    assert_eq!(stands(8, &taken(1..=6), &[]), Ok((vec![7, 8], vec![])));
    assert_eq!(stands(8, &taken(1..=8), &[7]), Ok((vec![], vec![])));
    assert_eq!(stands(8, &taken(1..=8), &[]), Ok((vec![], vec![])), "its own tables need not say it");
    assert_eq!(stands(8, &taken(1..=10), &[7]), Ok((vec![], vec![9, 10])));
    assert_eq!(stands(8, &taken(1..=10), &[8]), Ok((vec![], vec![9, 10])));
}

#[test]
fn a_program_refuses_what_it_cannot_be_sure_of() {
    let outgrown = |oldest| Err(Misfit::Outgrown { oldest, latest: 8 });
    assert_eq!(stands(8, &taken(1..=10), &[9]), outgrown(9));
    assert_eq!(stands(8, &taken(1..=10), &[11]), outgrown(11), "of no step that is there");
    assert_eq!(stands(8, &taken(1..=8), &[9]), outgrown(9), "though it knows every step");
    assert_eq!(stands(8, &taken(1..=7), &[i64::MAX]), outgrown(i64::MAX), "and will not add to such tables");
    for nothing in [&[][..], &[7, 7], &[7, 9]] {
        assert_eq!(stands(8, &taken(1..=9), nothing), Err(Misfit::Newer(9)), "{nothing:?}");
    }
    assert_eq!(stands(8, &taken((1..=7).chain([9])), &[7]), Err(Misfit::Skipped { missing: 8, later: 9 }));
    assert_eq!(stands(8, &taken((0..=8).chain([9])), &[7]), Err(Misfit::Foreign(0)));
    let mut changed = taken(1..=9);
    changed[2].checksum = vec![0; 48];
    assert_eq!(stands(8, &changed, &[7]), Err(Misfit::Changed(3)));
    for number in [3, 9] {
        let mut unfinished = taken(1..=9);
        unfinished[number - 1].done = false;
        assert_eq!(stands(8, &unfinished, &[7]), Err(Misfit::Unfinished(i64::try_from(number).unwrap())));
    }
}

#[test]
fn what_is_refused_says_what_to_do() {
    let all = [
        Misfit::Newer(9),
        Misfit::Outgrown { oldest: 9, latest: 8 },
        Misfit::Foreign(3),
        Misfit::Skipped { missing: 8, later: 9 },
        Misfit::Changed(3),
        Misfit::Unfinished(9),
    ];
    insta::assert_snapshot!(all.map(|misfit| misfit.to_string()).join("\n"));
}
