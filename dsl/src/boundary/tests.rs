use super::*;
use crate::check_source;
use crate::limits::Limits;

fn rule(source: &str) -> Rule {
    check_source(source, &Limits::DEFAULT).unwrap().rule
}

fn made(rule: &Rule, most: usize) -> Bars {
    bars(rule, &Calendar::new(&rule.clock.zone, rule.clock.day_start).unwrap(), most)
}

fn column(bars: &Bars, input: usize) -> Vec<u64> {
    bars.view().columns().inputs[input].iter().map(|value| value.to_bits()).collect()
}

#[test]
fn each_number_is_there_with_what_is_one_bit_beside_it() {
    let rule = rule(
        "rule r(x: num in 0..1e9, y: num?) { param p: num = 7 in 1..9 if x > 50000 * p { warn \"x\" } if (y ?? 3) < 2 { warn \"y\" } }",
    );
    let bars = made(&rule, 1_000);
    for input in [0, 1] {
        let there = column(&bars, input);
        for number in [50_000.0_f64, 7.0, 1.0, 9.0, 3.0, 2.0] {
            for value in [number, number.next_up(), number.next_down()] {
                assert!(there.contains(&value.to_bits()), "{value:e} of input {input}");
            }
        }
        for value in [0.0, -0.0, f64::from_bits(1), f64::INFINITY, f64::NEG_INFINITY, rulebox_abi::MISSING] {
            assert!(there.contains(&value.to_bits()), "{value:e} of input {input}");
        }
    }
    let ends = [1e9, 1e9_f64.next_up(), 1e9_f64.next_down(), 0.0_f64.next_down()];
    assert!(ends.iter().all(|value| column(&bars, 0).contains(&value.to_bits())));
    assert!(!column(&bars, 0).contains(&f64::MAX.to_bits()), "outside of the range, where one bit is enough");
    let extremes = [f64::MAX, f64::MIN, f64::MIN_POSITIVE];
    assert!(extremes.iter().all(|value| column(&bars, 1).contains(&value.to_bits())));
}

#[test]
fn numbers_of_every_place_are_found() {
    let rule = rule(
        "rule r(x, b: bool) { param n: int = 3 in 1..5 let y = sma(x + 11, n) let z = streak(x > 12) var v = 13
         out o = if b then 14 else 15 if known(x[6]) { v := 16 } if x > 17 and not b { breach reduce(0.18) for 19 bars \"m\" }
         else if min(x, 20) < 21 { warn for 22m \"m\" } if y ?? 23 > 24 and z == 25 and time_of_day > 15:25 { warn \"m\" } }",
    );
    let found = Constants::of(&rule);
    let wanted = [11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 0.18, 20.0, 21.0, 23.0, 24.0, 25.0, 3.0, 1.0, 5.0];
    for number in wanted {
        assert!(found.numbers.contains(&number), "{number}");
    }
    assert_eq!((found.longest, &*found.spans), (19, &[22 * 60_000][..]));
    assert_eq!(found.minutes, [15 * 60 + 25, 0]);
}

#[test]
fn bars_are_bounded_and_the_same_each_time() {
    let names: Vec<_> = (0..60).map(|n| format!("x{n}")).collect();
    let tests: Vec<_> =
        names.iter().map(|name| format!("if {name} > 1{name_len} {{ warn \"\" }}", name_len = name.len())).collect();
    let rule = rule(&format!("rule r({}) {{ {} }}", names.join(", "), tests[..30].join(" ")));
    for most in [0, 1, 2, 3, 10, 100, 700] {
        let bars = made(&rule, most);
        assert!(bars.rows() <= most, "{} of {most}", bars.rows());
        let bits = |bars: &Bars| (0..60).map(|input| column(bars, input)).collect::<Vec<_>>();
        assert_eq!(bits(&bars), bits(&made(&rule, most)));
    }
}

#[test]
fn times_are_on_both_sides_of_minutes_and_holds_and_go_wrong_in_the_end() {
    let rule = rule(
        "clock \"America/New_York\" day 17:00 rule r(x) { if time_of_day >= 15:25 and x > 1 { warn for 2h \"\" } if new_day { warn \"\" } }",
    );
    let bars = made(&rule, 700);
    let view = bars.view();
    let time = view.columns().time.unwrap();
    for minute in [15 * 60 + 24, 15 * 60 + 25, 16 * 60 + 59, 17 * 60] {
        assert!(time.minute_of_day.contains(&minute), "{minute}");
    }
    let steps: Vec<i64> = time.time.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    let (good, bad) = steps.split_at(steps.len() - 2);
    assert!(good.iter().all(|step| *step >= 0));
    assert_eq!((bad[0], *time.time.last().unwrap()), (-1, rulebox_abi::TIME_MISSING));
    for step in [0, 1, 2 * 3_600_000 - 1, 2 * 3_600_000, 2 * 3_600_000 + 1] {
        assert!(steps.contains(&step), "{step}");
    }
    let offsets = time
        .time
        .iter()
        .zip(time.minute_of_day)
        .map(|(time, minute)| (time / 60_000 - i64::from(*minute)).rem_euclid(60 * 24));
    let offsets: std::collections::BTreeSet<_> = offsets.take(bars.rows() - 2).collect();
    assert_eq!(offsets.len(), 2, "the clocks change: {offsets:?}");
}

#[test]
fn params_are_tried_at_their_ends_one_at_a_time() {
    let rule = rule(
        "rule r(x) { param a: num = 2 in 1..3 param b: bool = true param n: int = 4 if b and x > a + n { warn \"\" } }",
    );
    let sets = params(&rule);
    assert_eq!(sets, [[2.0, 1.0, 4.0], [1.0, 1.0, 4.0], [3.0, 1.0, 4.0], [2.0, 0.0, 4.0], [2.0, 1.0, 5.0]]);
}
