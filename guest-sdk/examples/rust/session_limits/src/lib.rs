//! Limits of a trading day, with several messages: a warning, a block for the rest of the day, and less exposure. The
//! same rule: `examples/dsl/session_limits.rule`.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![forbid(unsafe_code)]

use rulebox_guest::compare::{above, at_least, maximum};

rulebox_guest::rule! {
    rule session_limits;
    clock "America/New_York" day 17:00;
    inputs {
        equity: num in 1.0..=1e15,
        exposure: num in 0.0..=1000.0,
        stop_exits: num in 0.0..=1e6 or missing,
    }
    params {
        loss: num = 0.02 in 0.001..=1.0,
        leverage: num = 1 in 0.1..=100,
        warnings: bool = true,
    }
    outs { lost: num, calm: bool }
    statements {
        near(lost: num, at: clock) => warn "lost {lost:.1%} of the day's start by {at}";
        over(lost: num, opened: num) => breach(block for day) "lost {lost:.2%} of {opened:.2} today";
        large(exposure: num, keep: num) => breach(reduce) "exposure {exposure:.3}, keep {keep:.0%}";
        stopped(exits: num) => breach(block for 3 bars) "{exits} stops hit";
    }
    /// Equity at the end of the day before, and on the last bar.
    state Session { opened: f64 = 0.0, before: f64 = 0.0 }
}

impl Session {
    fn judge(&mut self, bar: &Bar) -> Verdict {
        if bar.moment.index == 0 {
            self.before = bar.equity;
        }
        if bar.moment.index == 0 || bar.moment.new_day {
            self.opened = self.before;
        }
        self.before = bar.equity;

        let lost = 1.0 - bar.equity / self.opened;
        let mut verdict = Verdict::ok();
        verdict.outs.lost = Some(lost);
        verdict.outs.calm = bar.stop_exits.map(|exits| !above(exits, 0.0));
        if bar.params.warnings && at_least(lost, bar.params.loss / 2.0) {
            verdict.near(lost, bar.moment.minute_of_day);
        }
        if at_least(lost, bar.params.loss) {
            verdict.over(lost, self.opened);
        }
        let keep = bar.params.leverage / maximum(bar.exposure, bar.params.leverage);
        if above(bar.exposure, bar.params.leverage) {
            verdict.large(keep, bar.exposure, keep);
        }
        if let Some(exits) = bar.stop_exits.filter(|exits| above(*exits, 0.0)) {
            verdict.stopped(exits);
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use rulebox_guest::{Misuse, Moment, Runner, abi};

    use super::Session;

    fn at(minutes: i64, local_day: i32) -> Moment {
        Moment { time: minutes * 60_000, local_day, minute_of_day: 600, ..Moment::default() }
    }

    #[test]
    fn a_loss_blocks_until_the_next_day_with_the_message_of_its_bar() -> Result<(), Misuse> {
        let mut run = Runner::<Session>::new(&[])?;
        assert_eq!(run.bar_at(at(0, 1), &[1000.0, 0.5, 0.0])?.verdict, abi::Verdict::Ok);
        let near = run.bar_at(at(1, 1), &[989.0, 0.5, 0.0])?;
        assert_eq!((near.verdict, near.fired), (abi::Verdict::Warn, vec!["near"]));
        let over = run.bar_at(at(2, 1), &[975.0, 0.5, f64::NAN])?;
        assert_eq!((over.verdict, over.fired), (abi::Verdict::Breach, vec!["near", "over"]));
        assert!(over.outs[1].is_nan(), "whether it is calm is not known");
        let held = run.bar_at(at(3, 1), &[1000.0, 0.5, 0.0])?;
        assert_eq!((held.fired, held.values[2], held.values[3]), (vec!["over"], over.values[2], 1000.0));
        assert_eq!(run.bar_at(at(4, 2), &[1000.0, 0.5, 0.0])?.verdict, abi::Verdict::Ok);
        Ok(())
    }

    #[test]
    fn too_much_exposure_is_reduced_and_a_stop_rests_three_bars() -> Result<(), Misuse> {
        let mut run = Runner::<Session>::new(&[("leverage", 2.0)])?;
        assert_eq!(run.bar_at(at(0, 1), &[1000.0, 8.0, 1.0])?.keep, Some(0.25));
        for fired in [vec!["stopped"], vec!["stopped"], vec![]] {
            assert_eq!(run.bar_at(at(1, 1), &[1000.0, 1.0, 0.0])?.fired, fired);
        }
        assert_eq!(run.bar_at(at(0, 1), &[1000.0, 1.0, 0.0])?.verdict, abi::Verdict::Fault, "time goes back");
        assert_eq!(run.bar(&[1000.0, 1.0, 0.0]), Err(Misuse::Columns));
        Ok(())
    }
}
