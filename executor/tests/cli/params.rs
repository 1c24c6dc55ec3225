//! `--param`: what a rule does not take is refused before anything runs.

use crate::harness::Room;

const RULE: &str = r#"rule p(x) {
  param limit: num = 10% in 1%..50%
  param n: int = 3 in 1..5
  param strict: bool = true
  if strict and x > limit * n { breach "over {limit}" }
}
"#;

fn verdict(params: &[&str]) -> String {
    let given: Vec<&str> = params.iter().flat_map(|param| ["--param", *param]).collect();
    let out = Room::new().run(RULE, "x\n0.4\n", &given).ok();
    out.lines().nth(1).unwrap().to_owned()
}

#[test]
fn values_are_written_as_in_a_rule() {
    assert_eq!(verdict(&[]), "0,,breach,,over 0.1");
    assert_eq!(verdict(&["limit=20%"]), "0,,ok,,");
    assert_eq!(verdict(&["limit=0.2"]), "0,,ok,,");
    assert_eq!(verdict(&["limit=1%", "n=5"]), "0,,breach,,over 0.01");
    assert_eq!(verdict(&["n=5"]), "0,,ok,,");
    assert_eq!(verdict(&["strict=false"]), "0,,ok,,");
    // Both ends belong to a range.
    assert_eq!(verdict(&["limit=50%"]), "0,,ok,,");
    // The nearest double to 0.071, not 7.1 / 100.
    assert_eq!(verdict(&["limit=7.1%"]), "0,,breach,,over 0.071");
}

#[test]
fn what_a_rule_does_not_take_is_refused() {
    for (params, named) in [
        (&["limt=5%"][..], "did you mean `limit`?"),
        (&["other=5"], "its params are `limit`, `n`, `strict`"),
        (&["limit=51%"], "0.01 to 0.5"),
        (&["limit=-1%"], "0.01 to 0.5"),
        (&["limit=ten"], "`ten` is not a number"),
        (&["limit="], "is not a number"),
        (&["limit=nan"], "is not a number"),
        (&["limit=inf"], "is not a number"),
        (&["limit=1e999"], "is not a number"),
        (&["limit=0x10"], "is not a number"),
        (&["limit=true"], "is not a number"),
        (&["n=2.5"], "is not a whole number"),
        (&["n=6"], "1 to 5"),
        (&["strict=1"], "`true` or `false`"),
        (&["strict=yes"], "`true` or `false`"),
        (&["n=2", "n=3"], "twice"),
    ] {
        let given: Vec<&str> = params.iter().flat_map(|param| ["--param", *param]).collect();
        let err = Room::new().run(RULE, "x\n0.4\n", &given).refused(2);
        assert!(err.contains(named), "{params:?}: {err}");
    }
}
