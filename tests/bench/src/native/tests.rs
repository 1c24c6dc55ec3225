use super::*;
use crate::subject::{Subject, sandbox};

/// What both sides say, of each rule.
fn both(rows: &Rows) -> Vec<(Answer, Answer)> {
    let sandbox = sandbox().unwrap();
    let of = |(rule, twin): &(rules::Rule, Twin)| {
        let (mut mine, mut theirs) = (Answer::new(rows.bars()), Answer::new(rows.bars()));
        Subject::load(&sandbox, rule).unwrap().run(rows, &mut mine).unwrap();
        twin(rows, &mut theirs);
        (mine, theirs)
    };
    TWINS.iter().map(of).collect()
}

#[test]
fn both_sides_say_the_same_of_every_bar() {
    for (mine, theirs) in both(&Rows::new(20_000)) {
        assert_eq!(mine, theirs);
    }
}

#[test]
fn both_sides_fault_on_the_same_bar_and_from_there_on() {
    let spoil: [fn(&mut Rows); 5] = [
        |rows| rows.equity[5_000] = f64::NAN,
        |rows| rows.equity[5_000] = f64::INFINITY,
        |rows| (rows.equity[4_999], rows.equity[5_000]) = (1.7e308, -1.7e308),
        |rows| rows.drawdown[5_000] = f64::NAN,
        |rows| rows.drawdown[5_000] = 1.5,
    ];
    for spoil in spoil {
        let mut rows = Rows::new(9_000);
        spoil(&mut rows);
        for (mine, theirs) in both(&rows) {
            assert_eq!((mine.verdicts, mine.counts), (theirs.verdicts, theirs.counts));
        }
    }
}
