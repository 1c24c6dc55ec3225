//! State: saved and restored between any two bars, and hostile.

use rulebox_abi::columns::{InputColumns, OutputColumns, OutputRows, OutputSink};
use rulebox_dsl::bars::Bars;
use rulebox_dsl::generate::Choices;
use rulebox_dsl::outcome;
use rulebox_sandbox::RunError;

use crate::harness::{Case, SOURCES, assert_same};
use crate::walk::walk;

/// One bar of some bars.
fn bar(bars: &Bars, row: usize) -> impl Fn(&mut dyn FnMut(&InputColumns<'_>)) {
    move |run| {
        let view = bars.view();
        let all = view.columns();
        let inputs: Vec<&[f64]> = all.inputs.iter().map(|column| &column[row..=row]).collect();
        let time = all.time.map(|t| rulebox_abi::columns::TimeColumns {
            time: &t.time[row..=row],
            local_day: &t.local_day[row..=row],
            minute_of_day: &t.minute_of_day[row..=row],
            weekday: &t.weekday[row..=row],
        });
        run(&InputColumns { rows: 1, inputs: &inputs, time });
    }
}

#[test]
fn saving_and_restoring_between_any_two_bars_changes_nothing() {
    const ROWS: usize = 40;
    for (name, source) in SOURCES.iter() {
        let case = Case::new(source);
        let params = case.defaults();
        let bars = walk(&case.compiled.rule, &mut Choices::seeded(3), ROWS);
        let whole = case.wasm(&params, &bars.view().columns(), 4096).columns;

        let mut columns = OutputColumns::default();
        let mut state: Option<Vec<u8>> = None;
        for row in 0..ROWS {
            let mut instance = case.start(&params, 1);
            if let Some(state) = &state {
                instance.restore_state(state).unwrap();
            }
            bar(&bars, row)(&mut |input| instance.eval(input, row, &mut columns).unwrap());
            state = Some(instance.save_state().unwrap());
        }
        outcome::normalise(&mut columns, &case.compiled.manifest);
        assert_same(&whole, &columns, name);

        // The state does not depend on how the bars came, and a reset run starts from the same bytes.
        let mut instance = case.start(&params, 4096);
        let fresh = instance.save_state().unwrap();
        assert_eq!(fresh.len(), case.compiled.manifest.state_bytes as usize, "{name}");
        instance.eval(&bars.view().columns(), 0, &mut OutputColumns::default()).unwrap();
        assert_eq!(Some(instance.save_state().unwrap()), state, "{name}");
        assert_eq!(case.start(&params, 1).save_state().unwrap(), fresh, "{name}");
    }
}

#[test]
fn no_state_makes_a_bar_cost_more_than_was_proved() {
    let mut choices = Choices::seeded(99);
    for (name, source) in SOURCES.iter() {
        let case = Case::new(source);
        let params = case.defaults();
        let bars = walk(&case.compiled.rule, &mut choices, 10);
        let length = case.compiled.manifest.state_bytes as usize;
        for round in 0..200 {
            // All bits random, or all bytes one value: counters at their ends.
            let byte = u8::try_from(round % 256).unwrap();
            let state: Vec<u8> = (0..length)
                .map(|_| if round < 100 { u8::try_from(choices.below(256)).unwrap() } else { byte.wrapping_mul(85) })
                .collect();
            let mut instance = case.start(&params, 4);
            instance.restore_state(&state).unwrap();
            instance.eval(&bars.view().columns(), 0, &mut OutputColumns::default()).unwrap();
            let (used, proved) = (instance.report().fuel, case.cost().of_run(10, 4));
            assert!(used <= proved, "{name}: {used} used, {proved} proved, state {state:?}");
        }
    }
}

#[test]
fn calls_of_no_bars_and_of_too_many_are_refused() {
    let case = Case::new("rule r(x: num) = x > 1");
    let engine = wasmtime::Engine::default();
    let module = wasmtime::Module::new(&engine, &case.compiled.module).unwrap();
    let mut store = wasmtime::Store::new(&engine, ());
    let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
    let eval = instance.get_typed_func::<i32, i32>(&mut store, "rulebox_eval").unwrap();
    for rows in [0, -1, i32::MIN, 4097, i32::MAX] {
        assert_eq!(eval.call(&mut store, rows).unwrap(), -1, "{rows}");
    }
    assert_eq!(eval.call(&mut store, 4096).unwrap(), 0);

    let buffer = instance.get_typed_func::<(i32, i32, i32), i32>(&mut store, "rulebox_buffer").unwrap();
    let mut ask = |kind, index, bytes| buffer.call(&mut store, (kind, index, bytes)).unwrap();
    assert!(ask(1, 0, 4096 * 8) > 0);
    assert_eq!(ask(1, 0, 4096 * 8 + 1), -1);
    assert_eq!(ask(1, 0, -1), -1);
    assert_eq!(ask(1, 1, 8), 0, "one input");
    assert_eq!(ask(1, -1, 8), 0);
    assert_eq!(ask(2, 0, 8), 0, "no time");
    assert_eq!(ask(10, 0, 8), 0, "no reduce");
    assert_eq!(ask(0, 0, 8), 0, "no params");
    assert_eq!(ask(77, 0, 8), 0);
    assert_eq!(ask(1, 0, 8) % 8, 0);
}

#[test]
fn params_that_the_rule_does_not_allow_are_refused() {
    let case = Case::new(
        "rule r(x: num) { param n: int = 3 in 1..9 param b: bool = true if sum(x, n, min: 1) > 1 and b { warn \"\" } }",
    );
    for (n, b) in [(0.0, 1.0), (10.0, 1.0), (2.5, 1.0), (f64::NAN, 1.0), (3.0, 0.5), (3.0, f64::INFINITY)] {
        assert!(case.module.start(&case.shape, &[n, b], &Case::limits(1)).is_err(), "{n} {b}");
    }
    case.start(&[9.0, 0.0], 1);
}

/// Takes so many calls, then wants no more.
struct Few(usize);

impl OutputSink for Few {
    fn rows(&mut self, _: usize, _: &OutputRows<'_>) {
        self.0 -= 1;
    }

    fn wants_more(&mut self) -> bool {
        self.0 > 0
    }
}

#[test]
fn a_sink_that_wants_no_more_ends_the_run_before_the_next_call() {
    let case = Case::new("rule r(x: num) = x > 1");
    let column = vec![0.0; 100];
    let input = InputColumns { rows: 100, inputs: &[&column], time: None };
    let mut instance = case.start(&[], 10);
    let error = instance.eval(&input, 0, &mut Few(3)).unwrap_err();
    let RunError::Cancelled(report) = error else { panic!("{error:?}") };
    assert!(report.fuel > 0 && report.fuel <= case.cost().of_run(30, 10), "{report:?}");
    assert!(matches!(instance.eval(&input, 0, &mut Few(1)), Err(RunError::Stopped)));
}
