//! A fresh sandbox for one bar: what every request for the newest bar pays.

use std::hint::black_box;
use std::thread;

use rulebox_sandbox::Limits;

use crate::answer::Answer;
use crate::measure::{Sample, all_in_turn, said, try_nanoseconds_each};
use crate::report::{Figure, Report, Target};
use crate::rows::Rows;
use crate::rules::{R1, R4, R5};
use crate::subject::{Subject, sandbox};
use crate::{Bench, Error};

/// Store, limits, fuel, deadline, instance, params, buffers, reset, one bar, and all of it dropped.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let sandbox = sandbox()?;
    let times = if bench.quick { 200 } else { 20_000 };
    let row = Rows::new(1);
    for rule in [R1, R4, R5] {
        let subject = Subject::load(&sandbox, &rule)?;
        let [whole, start, each_of_two] = all_in_turn(
            bench.rounds(),
            [
                Box::new(|| try_nanoseconds_each(times, || runs(&subject, &row, times))),
                Box::new(|| try_nanoseconds_each(times, || starts(&subject, times))),
                Box::new(|| two_at_once(&subject, &row, times)),
            ],
        )
        .map(|sample| sample.map(|ns| ns / 1e3));
        let line = |what: &str, sample: &Sample| Figure::new(format!("{} {what}", rule.name), "us", sample);
        report.add(line("one bar", &whole).target(Target::AtMost { must: 10.0, aim: Some(5.0) }));
        report.add(line("start and drop, no bar", &start).over("one bar", &start, &whole));
        report.add(line("one bar, on each of two threads", &each_of_two).over("one thread", &each_of_two, &whole));
    }
    Ok(())
}

fn runs(subject: &Subject, row: &Rows, times: usize) -> Result<(), Error> {
    let mut answer = Answer::new(1);
    (0..times).try_for_each(|_| subject.run(black_box(row), black_box(&mut answer)))
}

fn starts(subject: &Subject, times: usize) -> Result<(), Error> {
    let limits = Limits::default();
    for _ in 0..times {
        black_box(subject.module.start(&subject.compiled.shape, &subject.compiled.params, &limits)?);
    }
    Ok(())
}

/// Nanoseconds of a run while another thread does the same: as many as of one alone, if they do not meet.
fn two_at_once(subject: &Subject, row: &Rows, times: usize) -> f64 {
    thread::scope(|scope| {
        let turn = || try_nanoseconds_each(times, || runs(subject, row, times));
        let other = scope.spawn(turn);
        let mine = turn();
        other.join().map_or_else(|_| said(&"a thread panicked".into()), |theirs| mine.max(theirs))
    })
}
