//! What else runs rules: expression engines, `LuaJIT`, Python and numpy, each as its users would use it.
//!
//! None of them has tolerant comparisons or checks every value; each must still say the same of each of these bars.

mod expression;
mod lua;
mod python;

use std::hint::black_box;

use crate::answer::Answer;
use crate::measure::{Contestant, Sample, in_turn, said, try_nanoseconds_each};
use crate::report::{Figure, Report, Target};
use crate::rows::Rows;
use crate::rules::{self, Rule};
use crate::subject::{Subject, sandbox};
use crate::{Bench, Error};

/// Another program that knows a rule.
pub struct Peer<'a> {
    name: &'static str,
    /// It gets the first rows, as many.
    bars: usize,
    /// Writes the verdict of each bar; says how many nanoseconds a bar took.
    run: Box<Run<'a>>,
}

type Run<'a> = dyn FnMut(&mut [u8]) -> Result<f64, Error> + 'a;

/// Each beside Rulebox.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let sandbox = sandbox()?;
    let rows = Rows::new(bench.rows());
    let python = python::Process::start(&rows)?;
    for rule in rules::ALL {
        let subject = Subject::load(&sandbox, &rule)?;
        let mut answer = Answer::new(rows.bars());
        subject.run(&rows, &mut answer)?;

        let mut peers = expression::peers(&rule, &rows)?;
        peers.extend(lua::peers(&rule, &rows)?);
        peers.extend(python.peers(&rule));
        let mut verdicts: Vec<_> = peers.iter().map(|peer| vec![u8::MAX; peer.bars]).collect();
        for (peer, verdicts) in peers.iter_mut().zip(&mut verdicts) {
            (peer.run)(verdicts)?;
            answer.must_begin_with(verdicts, peer.name)?;
        }

        let names: Vec<_> = peers.iter().map(|peer| peer.name).collect();
        let mine = || try_nanoseconds_each(rows.bars(), || subject.run(black_box(&rows), black_box(&mut answer)));
        let mut contestants: Vec<Contestant<'_>> = vec![Box::new(mine)];
        for (peer, verdicts) in peers.iter_mut().zip(&mut verdicts) {
            contestants.push(Box::new(|| (peer.run)(verdicts).unwrap_or_else(|error| said(&error))));
        }
        let samples = in_turn(bench.rounds(), &mut contestants);
        if let Some((mine, theirs)) = samples.split_first() {
            for (name, theirs) in names.into_iter().zip(theirs) {
                report.add(line(&rule, name, mine, theirs));
            }
        }
    }
    Ok(())
}

fn line(rule: &Rule, name: &'static str, mine: &Sample, theirs: &Sample) -> Figure {
    let figure = Figure::new(format!("{}, times faster than {name}", rule.name), "ns/bar", mine);
    let figure = figure.times_better_than(name, mine, theirs);
    match (rule.name, name) {
        ("R1", "cel") => figure.target(Target::AtLeast { must: 100.0, aim: Some(200.0) }),
        ("R2" | "R3", "LuaJIT") => figure.target(Target::AtLeast { must: 3.0, aim: Some(6.0) }),
        ("R2" | "R3", "numpy") => figure.target(Target::AtLeast { must: 3.0, aim: Some(5.0) }),
        _ => figure,
    }
}
