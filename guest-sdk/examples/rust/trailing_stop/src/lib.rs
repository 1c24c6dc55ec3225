//! Leave a position whose price falls too far under the highest of the last bars. The same rule:
//! `examples/dsl/trailing_stop.rule`.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![forbid(unsafe_code)]

use rulebox_guest::Window;
use rulebox_guest::compare::{above, below};

/// The most bars that the stop looks back.
const MOST: usize = 250;

rulebox_guest::rule! {
    rule trailing_stop;
    inputs { close: num in 0.00001..=1e9, position: num in -1e9..=1e9 }
    params {
        n: int = 20 in 2..=250,
        distance: num = 0.08 in 0.001..=0.5,
    }
    outs { stop: num }
    statements {
        hit(close: num, stop: num) => breach(liquidate) "{close:.4} is under the stop at {stop:.4}";
    }
    lookback 249;
    /// The last closes.
    state TrailingStop { closes: Window<MOST> = Window::new() }
}

impl TrailingStop {
    fn judge(&mut self, bar: &Bar) -> Verdict {
        self.closes.push(bar.close);
        let n = usize::try_from(bar.params.n).unwrap_or(MOST);
        let top = self.closes.last(n).highest().unwrap_or(bar.close);
        let stop = top * (1.0 - bar.params.distance);
        let mut verdict = Verdict::ok();
        verdict.outs.stop = Some(stop);
        if above(bar.position, 0.0) && below(bar.close, stop) {
            verdict.hit(bar.close, stop);
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use rulebox_guest::{Misuse, Runner, abi};

    use super::TrailingStop;

    #[test]
    fn the_stop_follows_the_highest_close_until_that_leaves_the_window() -> Result<(), Misuse> {
        let mut run = Runner::<TrailingStop>::new(&[("n", 3.0), ("distance", 0.1)])?;
        let mut stops = Vec::new();
        for close in [100.0, 110.0, 99.5, 98.0, 98.0] {
            let said = run.bar(&[close, 1.0])?;
            stops.push((said.outs[0].round(), said.verdict));
        }
        let (ok, breach) = (abi::Verdict::Ok, abi::Verdict::Breach);
        assert_eq!(stops, [(90.0, ok), (99.0, ok), (99.0, ok), (99.0, breach), (90.0, ok)]);
        Ok(())
    }

    #[test]
    fn a_flat_account_has_nothing_to_leave() -> Result<(), Misuse> {
        let mut run = Runner::<TrailingStop>::new(&[])?;
        for close in [100.0, 50.0, 10.0] {
            assert_eq!(run.bar(&[close, 0.0])?.verdict, abi::Verdict::Ok);
        }
        Ok(())
    }

    #[test]
    fn a_run_goes_on_in_another_instance() -> Result<(), Misuse> {
        let mut first = Runner::<TrailingStop>::new(&[])?;
        for close in [100.0, 120.0, 112.0] {
            first.bar(&[close, 1.0])?;
        }
        let mut second = Runner::<TrailingStop>::new(&[])?;
        second.restore(&first.save())?;
        assert_eq!(second.bar(&[110.0, 1.0])?.fired, ["hit"]);
        assert_eq!(second.restore(&[0; 8]), Err(Misuse::StateLength));
        Ok(())
    }
}
