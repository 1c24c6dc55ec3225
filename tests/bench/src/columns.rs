//! Whole columns through a rule in its sandbox, beside the same rule in Rust.

use std::hint::black_box;

use crate::answer::Answer;
use crate::measure::{all_in_turn, nanoseconds_each, try_nanoseconds_each};
use crate::native::TWINS;
use crate::report::{Figure, Report, Target};
use crate::rows::Rows;
use crate::subject::{Subject, sandbox};
use crate::{Bench, Error};

/// Fuel and epochs are on; the start of an instance and copying in and out are in the time.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let sandbox = sandbox()?;
    let rows = Rows::new(bench.rows());
    for (rule, twin) in &TWINS {
        let subject = Subject::load(&sandbox, rule)?;
        let (mut mine, mut theirs) = (Answer::new(rows.bars()), Answer::new(rows.bars()));
        subject.run(&rows, &mut mine)?;
        twin(&rows, &mut theirs);
        if mine != theirs {
            mine.must_equal(&theirs.verdicts, "native")?;
            return Err(format!("{}: other statements fired in Rust", rule.name).into());
        }

        let [mine, theirs] = all_in_turn(
            bench.rounds(),
            [
                Box::new(|| try_nanoseconds_each(rows.bars(), || subject.run(black_box(&rows), black_box(&mut mine)))),
                Box::new(|| nanoseconds_each(rows.bars(), || twin(black_box(&rows), black_box(&mut theirs)))),
            ],
        );
        let must = if ["R1", "R2", "R3"].contains(&rule.name) { 2.0 } else { 2.5 };
        report.add(
            Figure::new(rule.name, "ns/bar", &mine)
                .over("native", &mine, &theirs)
                .target(Target::AtMost { must, aim: Some(1.6) }),
        );
    }
    Ok(())
}
