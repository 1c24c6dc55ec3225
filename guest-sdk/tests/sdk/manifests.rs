//! What the macro writes is a manifest, and the same as the compiler of the rule language writes.

use rulebox_dsl::format::format;
use rulebox_dsl::interp::Interpreter;
use rulebox_dsl::manifest::{Manifest, StatementInfo};
use rulebox_dsl::{Limits, testing};

use super::three_rules::{InDsl, RULES, manifest_of};

fn statements(manifest: &Manifest) -> Vec<StatementInfo> {
    manifest.statements.iter().map(|statement| StatementInfo { line: None, ..statement.clone() }).collect()
}

#[test]
fn the_three_rules_have_the_manifests_of_their_twins() {
    for name in RULES {
        let (guest, dsl) = (manifest_of(name), InDsl::read(name).manifest);
        assert_eq!((guest.abi, &guest.name, guest.edition), (1, &dsl.name, None));
        assert_eq!(guest.inputs, dsl.inputs, "{name}");
        assert_eq!(guest.params, dsl.params, "{name}");
        assert_eq!(guest.outs, dsl.outs, "{name}");
        assert_eq!((guest.uses_time, &guest.clock), (dsl.uses_time, &dsl.clock), "{name}");
        assert_eq!((guest.reduces(), guest.message_values()), (dsl.reduces(), dsl.message_values()), "{name}");
        assert_eq!(statements(&guest), statements(&dsl), "{name}");
        assert!(guest.state_bytes > 0 && guest.cost.is_none());
    }
}

#[test]
fn the_rules_of_the_language_pass_their_tests_and_are_laid_out() {
    for name in RULES {
        let dsl = InDsl::read(name);
        assert_eq!(dsl.warnings, 0, "{name}");
        assert!(!dsl.rule.tests.is_empty(), "{name} has no test");
        let results = testing::run(&dsl.rule, &dsl.manifest, |params, bars, sink| {
            Interpreter::new(&dsl.rule, params).run(bars, 0, sink);
            Ok::<(), std::convert::Infallible>(())
        });
        assert!(results.iter().all(testing::TestResult::passed), "{name}");
        assert_eq!(format(&dsl.source, &Limits::DEFAULT).unwrap(), dsl.source, "{name}");
    }
}

/// Everything that a declaration can say, in one.
mod all {
    rulebox_guest::rule! {
        rule everything;
        clock "Europe/London" day 8:30;
        inputs { a: num in -1_000.5..=2e3 or missing, b: bool, c: bool or missing, d: num }
        params { n: int = 7 in -3..=9, x: num = -1., on: bool = false }
        outs { o: num, p: bool }
        statements {
            s0() => warn "plain \"quoted\" \\ {{braces}} and \u{e9}";
            s1(x: num, b: bool, t: clock) => breach(liquidate for 15 minutes) "{t}: {x:.12%}{b}{x}";
            s2(y: num) => warn(for 2 hours) "{y:.0}";
            s3(y: num) => breach(reduce forever) "{y}";
            s4() => warn(forever) "";
            s5() => breach(block for 3 days) "x";
        }
        faults { NoPrice => "the price is \"not\" known"; Other => "other"; }
        lookback 12;
        state All { seen: [u64; 3] = [0; 3], flag: rulebox_guest::Flag = rulebox_guest::Flag::ON }
    }

    impl All {
        fn judge(&mut self, bar: &Bar) -> Verdict {
            self.seen[0] += 1;
            let mut verdict = Verdict::ok();
            match (bar.a, bar.c, bar.b, bar.params.on && self.flag.is_on(), self.seen[0]) {
                (None, ..) => return Verdict::fault(Fault::NoPrice),
                (Some(a), ..) if a < 0.0 => verdict.s3(a, bar.d),
                (_, Some(true), ..) => verdict.s1(bar.params.x, bar.b, bar.moment.minute_of_day),
                (_, None, true, false, 5..) => return Verdict::fault(Fault::Other),
                _ => verdict.s0(),
            }
            if bar.params.n == 0 {
                verdict.s2(bar.d);
                verdict.s4();
                verdict.s5();
            }
            verdict
        }
    }
}

/// The least that is a rule.
mod least {
    rulebox_guest::rule! {
        rule least;
        inputs {}
        state Least { bars: u64 = 1 }
    }

    impl Least {
        fn judge(&mut self, bar: &Bar) -> Verdict {
            assert_eq!(self.bars, bar.moment.index + 1);
            self.bars += 1;
            Verdict::ok()
        }
    }
}

#[test]
fn a_rule_may_have_next_to_nothing() {
    let manifest: Manifest = serde_json::from_slice(<least::Least as rulebox_guest::Rule>::MANIFEST).unwrap();
    assert_eq!((manifest.inputs.len(), manifest.statements.len(), manifest.clock.zone.as_str()), (0, 0, "UTC"));
    let mut run = rulebox_guest::Runner::<least::Least>::new(&[]).unwrap();
    for _ in 0..2 {
        assert_eq!(run.bar(&[]).unwrap().verdict, rulebox_abi::Verdict::Ok);
    }
    assert_eq!(run.save().len(), manifest.state_bytes as usize);
}

#[test]
fn every_word_of_a_declaration_comes_out() {
    let json = <all::All as rulebox_guest::Rule>::MANIFEST;
    let manifest: Manifest = serde_json::from_slice(json).unwrap();
    let source = "edition 1\nclock \"Europe/London\" day 08:30\n\
        rule everything(a: num? in -1000.5..2000, b: bool, c: bool?, d: num) {\n\
        param n: int = 7 in -3..9\nparam x: num = -1\nparam on: bool = false\n\
        out o = d\nout p = b\nlet t = time_of_day\nlet y = d\n\
        warn \"plain\"\nbreach liquidate for 15m \"{t}: {x:.12%}{b}{x}\"\n\
        warn for 2h \"{y:.0}\"\nbreach reduce(1) forever \"{y}\"\nwarn forever \"\"\nbreach block for 3d \"x\"\n}";
    let dsl = InDsl::of(source).manifest;
    assert_eq!((&manifest.inputs, &manifest.params, &manifest.clock), (&dsl.inputs, &dsl.params, &dsl.clock));
    let without_messages = |manifest: &Manifest| {
        let statements = statements(manifest).into_iter();
        statements.map(|s| StatementInfo { message: Vec::new(), ..s }).collect::<Vec<_>>()
    };
    assert_eq!(without_messages(&manifest), without_messages(&dsl));
    let message = serde_json::to_value(&manifest.statements[1].message).unwrap();
    let columns: Vec<_> = message.as_array().unwrap().iter().map(|part| part["value"]["column"].as_u64()).collect();
    assert_eq!(columns, [Some(2), None, Some(0), Some(1), Some(0)]);
    assert_eq!(manifest.message_values(), 5);
    assert_eq!(manifest.lookback, 12);
    let text = serde_json::to_value(&manifest.statements[0].message).unwrap();
    assert_eq!(text[0]["text"], "plain \"quoted\" \\ {braces} and \u{e9}");
    let faults: Vec<_> = manifest.spans.iter().rev().take(2).map(|span| span.message.as_str()).collect();
    assert_eq!(faults, ["other", "the price is \"not\" known"]);
}

#[test]
fn an_authors_fault_is_the_one_of_that_name() {
    use rulebox_abi::columns::{InputColumns, OutputColumns, TimeColumns};
    let manifest: Manifest = serde_json::from_slice(<all::All as rulebox_guest::Rule>::MANIFEST).unwrap();
    let mut run = rulebox_guest::Runner::<all::All>::new(&[]).unwrap();
    let time = TimeColumns { time: &[0], local_day: &[0], minute_of_day: &[0], weekday: &[4] };
    let inputs: [&[f64]; 4] = [&[f64::NAN], &[1.0], &[1.0], &[1.0]];
    let mut kept = OutputColumns::default();
    run.eval(&InputColumns { rows: 1, inputs: &inputs, time: Some(time) }, 1, &mut kept).unwrap();
    assert_eq!(kept.verdicts, [3]);
    assert_eq!(manifest.spans[kept.fired[0] as usize].message, "the price is \"not\" known");
    // A fraction that is none.
    run.reset();
    let inputs: [&[f64]; 4] = [&[-2.0], &[1.0], &[1.0], &[1.0]];
    run.eval(&InputColumns { rows: 1, inputs: &inputs, time: Some(time) }, 1, &mut kept).unwrap();
    assert_eq!(manifest.spans[kept.fired[1] as usize].message, "the fraction to keep is outside 0 to 1");
}
