//! What the modules in `fixtures/` must say, as `verify.mjs` compares it: bars and the interpreter's results.

use rulebox_abi::MISSING;
use rulebox_dsl::outcome::normalise;
use serde_json::{Value, json};

use super::bars::Bars;
use super::three_rules::{IN_C_ALONE, InDsl, RULES, sdk};

const PARAMS: [(&str, &[(&str, f64)]); 4] = [
    ("drawdown_guard", &[("limit", 0.02)]),
    ("trailing_stop", &[("n", 40.0), ("distance", 0.03)]),
    ("session_limits", &[("loss", 0.01), ("leverage", 0.55)]),
    (IN_C_ALONE, &[("n", 4.0)]),
];

/// Numbers as JSON, null for what is missing.
fn numbers(bits: &[u64]) -> Vec<Value> {
    bits.iter().map(|bits| json!(f64::from_bits(*bits))).collect()
}

fn expected(name: &str, params: &[(&str, f64)]) -> Value {
    let dsl = InDsl::read(name);
    let mut bars = Bars::of_account("goog_daily", &dsl.manifest).part(250..450);
    if name == "session_limits" {
        for (row, exits) in [(20, 2.0), (50, MISSING), (51, 1.0), (52, 3.0)] {
            bars.inputs[2][row] = exits;
        }
    }
    // The last bars are faults.
    bars.inputs[0][197] = MISSING;
    let mut said = bars.with(|bars| dsl.run(params, bars));
    normalise(&mut said, &dsl.manifest);
    let columns = |columns: &[Vec<u64>]| columns.iter().map(|column| numbers(column)).collect::<Vec<_>>();
    let inputs: Vec<_> = bars.inputs.iter().map(|c| c.iter().map(|x| json!(x)).collect::<Vec<_>>()).collect();
    let time = json!([bars.time, bars.local_day, bars.minute_of_day, bars.weekday]);
    json!({
        "rows": bars.rows(),
        "params": dsl.params(params),
        "inputs": inputs,
        "time": if dsl.manifest.uses_time { time } else { Value::Null },
        "verdicts": said.verdicts,
        "fired": said.fired,
        "outs": columns(&said.outs),
        "values": columns(&said.message_values),
        "keep": numbers(&said.keep),
    })
}

/// After a change of a rule: `RULEBOX_WRITE_EXPECTED=1 cargo test -p rulebox-guest expected`.
#[test]
fn what_modules_are_compared_with_is_what_the_rules_say() {
    for (name, params) in PARAMS {
        assert!(RULES.contains(&name) || name == IN_C_ALONE);
        let path = sdk(&format!("fixtures/expected/{name}.json"));
        let expected = expected(name, params);
        let verdicts = expected["verdicts"].as_array().unwrap();
        for verdict in [0, 2, 3] {
            assert!(verdicts.iter().filter(|v| **v == verdict).count() > 2, "{name} never says {verdict}");
        }
        if std::env::var_os("RULEBOX_WRITE_EXPECTED").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, expected.to_string() + "\n").unwrap();
        }
        let committed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(committed, expected, "{name}");
    }
}
