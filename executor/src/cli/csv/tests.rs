use super::*;

fn read_for(rule: &str, bytes: &[u8]) -> Result<Table, DataError> {
    let checked = rulebox_dsl::check_source(rule, &rulebox_dsl::Limits::DEFAULT).unwrap();
    read(bytes, &rulebox_dsl::manifest::describe(&checked.rule, rule))
}

const RULE: &str = "rule r(equity: num, open: num?, live: bool?) = equity < 5 and (open ?? 1) > 0 and (live ?? true)";
const ONE: &str = "rule r(equity: num?) = (equity ?? 1) < 5";
const TIMED: &str = "rule r(equity) = equity < 5 and time_of_day < 10:00";

fn error(rule: &str, text: &str) -> String {
    read_for(rule, text.as_bytes()).unwrap_err().to_string()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn columns_are_found_by_name_and_others_are_ignored() {
    let text = "note,live,equity,time\r\n\"a, \"\"b\"\"\",true,1.5,2026-01-05T15:00Z\r\nx,,,\r\n,maybe,inf,\"a,b\"";
    let table = read_for(RULE, text.as_bytes()).unwrap();
    assert_eq!(table.rows, 3);
    assert_eq!(bits(&table.inputs[0]), bits(&[1.5, MISSING, f64::INFINITY]));
    assert_eq!(bits(&table.inputs[1]), bits(&[MISSING; 3]), "an absent optional column");
    assert_eq!(bits(&table.inputs[2]), bits(&[1.0, MISSING, f64::INFINITY]));
    let times: Vec<_> = (0..4).map(|bar| table.raw_times.get(bar)).collect();
    assert_eq!(times, ["2026-01-05T15:00Z", "", "a,b", ""]);
    assert_eq!(table.times, None, "the rule does not use time");
}

#[test]
fn time_is_time_else_ts() {
    let times = |text: &str| read_for(TIMED, text.as_bytes()).unwrap().times.unwrap();
    assert_eq!(times("ts,equity\n5,1\nsoon,1\n,1\n"), [5, TIME_MISSING, TIME_MISSING]);
    assert_eq!(times("ts,time,equity\n5,6,1\n"), [6]);
    assert!(error(TIMED, "Time,equity\n5,1\n").contains("(is `Time` meant?"));
    assert!(error(TIMED, "date,equity\n5,1\n").contains("(is `date` meant?"));
    assert!(read_for("rule r(ts) = ts < 5", b"ts\n1\n").is_ok());
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_name() {
    assert_eq!(read_for(RULE, b"\xef\xbb\xbfequity\n1\n").unwrap().rows, 1);
}

#[test]
fn what_is_no_table_is_refused_with_its_line() {
    for (text, expected) in [
        ("", "the file is empty"),
        (" \n\n", "the file is empty"),
        ("\u{feff}", "the file is empty"),
        ("equity\n", "no rows under the header"),
        ("1,2,3\n4,5,6\n", "there is no header: the first line begins with `1`"),
        ("2026-01-05T15:00Z,2,2\n", "there is no header"),
        ("time;equity\n1;2\n", "separated by semicolons"),
        ("equity,x,equity\n1,2,3\n", "names column `equity` twice, as columns 1 and 3"),
        ("Equity,open\n1,2\n", "(is `Equity` meant?"),
        ("equty,open\n1,2\n", "(is `equty` meant?"),
        ("balance,open\n1,2\n", "no column `equity`, which the rule needs; the columns are `balance`, `open`"),
        ("equity,open\n1,2\n3\n", "line 3 has 1 cells where the header has 2"),
        ("equity,open\n1,2\n\n3,4,5\n", "line 4 has 3 cells"),
        ("equity,open\r\n1,2\r\n\r\n3,4,5\r\n", "line 4 has 3 cells"),
        ("equity,open\n1,2\n3,\"4", "line 4, column 2"),
        ("equity\n1\nn/a\n", "line 3, column 1 (`equity`): `n/a` is not a number"),
        ("note,equity\n\"a\nb\",1\nc,10%\n", "line 4, column 2 (`equity`): `10%` is not a number"),
        ("equity,open\n1,2\n1,-1e400\n", "line 3, column 2 (`open`): `-1e400` is too large for a number"),
        ("open,equity\n1,true\n", "line 2, column 2 (`equity`): `true` is not a number"),
    ] {
        if text.ends_with("\"4") {
            // An open quote takes the rest of the file as its cell.
            assert_eq!(read_for(RULE, text.as_bytes()).unwrap().rows, 2);
            continue;
        }
        let error = error(RULE, text);
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    assert!(read_for(RULE, b"equity\n1\n\xff\n").unwrap_err().to_string().contains("line 3: byte 0xff"));
    assert!(read_for(RULE, b"\xff\xfee\0q\0").unwrap_err().to_string().contains("UTF-16"));
}

#[test]
fn in_a_file_of_one_column_a_blank_line_is_a_bar_without_its_value() {
    for (text, values) in [
        ("equity\n1\n\n2\n", &[1.0, MISSING, 2.0][..]),
        ("equity\r\n1\r\n\r\n\r\n2\r\n", &[1.0, MISSING, MISSING, 2.0]),
        ("equity\n\n2", &[MISSING, 2.0]),
        ("equity\n1\n\n", &[1.0, MISSING]),
        ("equity\r\n1\r\n\"\"\r\n2\r\n\r\n", &[1.0, MISSING, 2.0, MISSING]),
        ("equity\n\n", &[MISSING]),
    ] {
        assert_eq!(bits(&read_for(ONE, text.as_bytes()).unwrap().inputs[0]), bits(values), "{text:?}");
    }
    // Elsewhere it is nothing.
    assert_eq!(read_for(RULE, b"equity,open\n1,2\n\n3,4\n\n").unwrap().rows, 2);
}
