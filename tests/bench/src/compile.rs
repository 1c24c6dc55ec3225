//! From a rule's text to a module that runs, stage by stage; and the same module from the cache of machine code.

use std::hint::black_box;

use rulebox_sandbox::{CodeKey, CodeSealer, ModuleLimits};

use crate::measure::{all_in_turn, try_nanoseconds_each};
use crate::report::{Figure, Report, Target};
use crate::rules::{R1, R5, R6};
use crate::subject::{Compiled, Subject, sandbox};
use crate::{Bench, Error};

/// A small rule, one with a window, and a large one.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Error> {
    const LIMITS: ModuleLimits = ModuleLimits::DEFAULT;
    let sandbox = sandbox()?;
    let sealer = CodeSealer::new(sandbox.clone(), &LIMITS, CodeKey::new(&[7; 32]));
    let times = if bench.quick { 2 } else { 20 };
    let turn =
        |work: &dyn Fn() -> Result<(), Error>| try_nanoseconds_each(times, || (0..times).try_for_each(|_| work()));
    for rule in [R1, R5, R6] {
        let subject = Subject::load(&sandbox, &rule)?;
        let bytes = &subject.compiled.module;
        let digest = subject.module.digest();
        let sealed = sealer.seal(&subject.module)?;

        let emit = || Compiled::new(black_box(rule.source)).map(|compiled| drop(black_box(compiled)));
        let validate = || sandbox.check(black_box(bytes), &LIMITS).map_err(|refusal| refusal.detail.into());
        let load = || match sandbox.load(black_box(bytes), &LIMITS) {
            Ok(module) => Ok(drop(black_box(module))),
            Err(refusal) => Err(refusal.detail.into()),
        };
        let reload = || Ok(drop(black_box(sealer.load(digest, black_box(&sealed))?)));
        let [emit, validate, load, reload] = all_in_turn(
            bench.rounds(),
            [
                Box::new(|| turn(&emit)),
                Box::new(|| turn(&validate)),
                Box::new(|| turn(&load)),
                Box::new(|| turn(&reload)),
            ],
        )
        .map(|sample| sample.map(|ns| ns / 1e6));
        let mut line = |what: &str, sample| Figure::new(format!("{} {what}", rule.name), "ms", sample);
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
