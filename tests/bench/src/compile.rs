//! From a rule's text to a module that runs, stage by stage; and the same module from the cache of machine code.

use std::hint::black_box;

use rulebox_sandbox::{CodeKey, CodeSealer};

use crate::measure::{all_in_turn, try_nanoseconds_each};
use crate::report::{Figure, Report, Target};
use crate::rules::{R1, R5, R6};
use crate::subject::{Compiled, MODULE_LIMITS, Subject, load, sandbox};
use crate::{Bench, Error};

/// A small rule, one with a window, and a large one.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    let sandbox = sandbox()?;
    let sealer = CodeSealer::new(sandbox.clone(), &MODULE_LIMITS, CodeKey::new(&[7; 32]));
    let times = if bench.quick { 2 } else { 20 };
    for rule in [R1, R5, R6] {
        let subject = Subject::load(&sandbox, &rule)?;
        let bytes = &subject.compiled.module;
        let digest = subject.module.digest();
        let entry = sealer.seal(&subject.module)?;

        let emit = || Compiled::new(black_box(rule.source));
        let validate = || sandbox.check(black_box(bytes), &MODULE_LIMITS).map_err(|refusal| refusal.detail.into());
        let load = || load(&sandbox, black_box(bytes));
        let reload = || Ok(sealer.load(digest, black_box(&entry))?);
        let [emit, validate, load, reload] = all_in_turn(
            bench.rounds(),
            [
                Box::new(|| turn(times, emit)),
                Box::new(|| turn(times, validate)),
                Box::new(|| turn(times, load)),
                Box::new(|| turn(times, reload)),
            ],
        )
        .map(|sample| sample.map(|ns| ns / 1e6));
        let line = |what: &str, sample| Figure::new(format!("{} {what}", rule.name), "ms", sample);
        report.add(line("parse, check, emit", &emit));
        report.add(line("validate", &validate));
        report.add(line("validate, compile, link", &load));
        report.add(
            line("reload of sealed code", &reload)
                .over("compile", &reload, &load)
                .value_target(Target::AtMost { must: 0.2, aim: Some(0.1) }),
        );
    }
    Ok(())
}

/// Nanoseconds that work takes which is done as many times. What it makes is dropped within them.
fn turn<T>(times: usize, work: impl Fn() -> Result<T, Error>) -> f64 {
    try_nanoseconds_each(times, || {
        (0..times).try_for_each(|_| {
            black_box(work()?);
            Ok(())
        })
    })
}
