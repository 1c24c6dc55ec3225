//! What a declaration may name, and what the names around it do not change.

use rulebox_abi::Verdict;
use rulebox_dsl::Limits;
use rulebox_dsl::check::is_name;
use rulebox_dsl::manifest::{HoldInfo, Manifest};
use rulebox_dsl::token::Word;
use rulebox_guest::{Misuse, Rule, Runner};

/// Constants of the author's that the macro could have of its own.
#[expect(clippy::cast_precision_loss, clippy::zero_prefixed_literal, reason = "what is tested")]
mod constants {
    const P: usize = 9;
    const O: usize = 20;
    const V: usize = 30;
    const N: usize = 4;
    const H: usize = 2;
    const DECLARED: f64 = 7.0;

    rulebox_guest::rule! {
        rule constants;
        inputs { x: num }
        params { n: int = 007 in -0_12..=0_900 }
        outs { top: num, held: num }
        state Machine {
            top: f64 = (O * V) as f64 + DECLARED,
            closes: rulebox_guest::Window<N> = rulebox_guest::Window::new(),
            more: [u64; P] = [H as u64; P],
        }
    }

    impl Machine {
        fn judge(&mut self, bar: &Bar) -> Verdict {
            self.closes.push(bar.x);
            let mut verdict = Verdict::ok();
            verdict.outs.top = Some(self.top);
            verdict.outs.held = Some(self.closes.last(99).total() + self.more.iter().sum::<u64>() as f64);
            verdict
        }
    }
}

#[test]
fn the_authors_constants_are_the_authors() {
    let mut run = Runner::<constants::Machine>::new(&[]).unwrap();
    let said = [1.0, 2.0, 3.0, 4.0, 5.0].map(|x| run.bar(&[x]).unwrap().outs);
    assert_eq!(said[4], [607.0, 32.0], "600 and 7; the last four, and nine twos");
    let manifest: Manifest = serde_json::from_slice(constants::Machine::MANIFEST).unwrap();
    assert_eq!((manifest.params[0].default, manifest.params[0].range), (7.0, Some([-12.0, 900.0])));
}

/// What gives values that are none.
mod wrong {
    rulebox_guest::rule! {
        rule wrong;
        clock "UTC";
        inputs { x: num, y: num }
        outs { ratio: num, perhaps: num }
        statements { low(ratio: num) => warn(for 3 days) "{ratio}"; }
        state Wrong { bars: u64 = 0 }
    }

    impl Wrong {
        fn judge(&mut self, bar: &Bar) -> Verdict {
            self.bars += 1;
            let mut verdict = Verdict::ok();
            let ratio = bar.x / bar.y;
            if bar.x < 0.0 {
                verdict.low(ratio + f64::NAN);
            } else {
                verdict.outs.ratio = Some(ratio);
            }
            verdict
        }
    }
}

#[test]
fn what_is_no_number_is_a_fault_and_what_is_missing_is_not() -> Result<(), Misuse> {
    let manifest: Manifest = serde_json::from_slice(wrong::Wrong::MANIFEST).unwrap();
    assert_eq!(manifest.statements[0].hold, Some(HoldInfo::Millis(3 * 86_400_000)));
    let mut run = Runner::<wrong::Wrong>::new(&[])?;
    for (bar, expected) in [([1.0, 2.0], None), ([0.0, 0.0], Some(())), ([-1.0, 2.0], Some(())), ([1.0, 0.0], Some(()))]
    {
        run.reset();
        let said = run.bar_at(rulebox_guest::Moment::default(), &bar)?;
        let reason = said.fault.map(|fault| manifest.spans[fault as usize].message.as_str());
        assert_eq!(reason, expected.map(|()| "the result is not finite"), "{bar:?}: {said:?}");
        assert_eq!(said.verdict == Verdict::Fault, expected.is_some());
        assert!(said.outs[1].is_nan(), "missing");
    }
    Ok(())
}

#[test]
fn a_rule_may_declare_the_names_that_the_language_may() {
    let words =
        Word::ALL.iter().map(|word| word.text()).chain(["time", "new_day", "weekday", "time_of_day", "bar_index"]);
    let long = "a".repeat(64);
    let longer = "a".repeat(65);
    for name in words.chain(["x", "_", "a1", "1a", "", "A", "aB", "é", "r#in", "moment", &*long, &*longer]) {
        assert_eq!(rulebox_guest::__private::is_name(name), is_name(name, &Limits::DEFAULT), "{name}");
    }
}

#[test]
fn the_limits_of_a_declaration_are_those_of_the_language() {
    let limits = Limits::DEFAULT;
    assert_eq!(
        (
            rulebox_abi::MAX_NAMES,
            rulebox_abi::MAX_MESSAGE_VALUES,
            rulebox_abi::MAX_NAME_BYTES,
            rulebox_abi::MAX_TEXT_BYTES
        ),
        (limits.names, limits.placeholders, limits.name_bytes, limits.message_bytes)
    );
}
