//! Close everything once equity is too far under its highest value. The same rule: `examples/dsl/drawdown_guard.rule`.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![forbid(unsafe_code)]

use rulebox_guest::compare::{above, maximum};

rulebox_guest::rule! {
    rule drawdown_guard;
    inputs { equity: num in 1.0..=1e15 }
    params { limit: num = 0.1 in 0.001..=1.0 }
    outs { drawdown: num }
    statements {
        over(drawdown: num, peak: num) => breach(liquidate) "{drawdown:.2%} under {peak:.2}";
    }
    /// The highest equity so far.
    state Guard { peak: f64 = 0.0 }
}

impl Guard {
    fn judge(&mut self, bar: &Bar) -> Verdict {
        self.peak = maximum(self.peak, bar.equity);
        let drawdown = 1.0 - bar.equity / self.peak;
        let mut verdict = Verdict::ok();
        verdict.outs.drawdown = Some(drawdown);
        if above(drawdown, bar.params.limit) {
            verdict.over(drawdown, self.peak);
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use rulebox_guest::{Misuse, Runner, abi};

    use super::Guard;

    #[test]
    fn ten_percent_is_not_over_ten_percent() -> Result<(), Misuse> {
        let mut run = Runner::<Guard>::new(&[])?;
        let verdicts: Vec<_> = [1000.0, 1200.0, 1080.0, 1079.0, 1100.0]
            .map(|equity| run.bar(&[equity]).map(|said| said.verdict.name()))
            .into_iter()
            .collect::<Result<_, _>>()?;
        assert_eq!(verdicts, ["ok", "ok", "ok", "breach", "ok"]);
        Ok(())
    }

    #[test]
    fn equity_that_cannot_be_is_a_fault_to_the_end() -> Result<(), Misuse> {
        for wrong in [f64::NAN, f64::INFINITY, 0.5] {
            let mut run = Runner::<Guard>::new(&[("limit", 0.5)])?;
            assert_eq!(run.bar(&[1000.0])?.outs, [0.0]);
            assert_eq!(run.bar(&[wrong])?.verdict, abi::Verdict::Fault);
            assert_eq!(run.bar(&[1000.0])?.verdict, abi::Verdict::Fault);
            run.reset();
            assert_eq!(run.bar(&[1000.0])?.verdict, abi::Verdict::Ok);
        }
        assert_eq!(Runner::<Guard>::new(&[("limit", 2.0)]).err(), Some(Misuse::ParamsRefused));
        Ok(())
    }
}
