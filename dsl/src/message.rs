//! Messages of verdict statements: the pieces of the manifest and the values of a bar, as text.

use std::fmt::Write as _;

use crate::manifest::{MessagePart, ValueFormat, ValueType};

/// A message with the values of a bar. `value` gives the value of a column; NaN is missing.
///
/// Numbers are decimal, without an exponent: the shortest digits that read back the same, or a number of decimals
/// rounded from the exact value, ties to even. Values that a guest module made up print as numbers, whatever they are.
pub fn render(parts: &[MessagePart], value: impl Fn(u32) -> f64) -> String {
    let mut text = String::new();
    for part in parts {
        match part {
            MessagePart::Text(piece) => text.push_str(piece),
            MessagePart::Value { column, ty, format, .. } => push_value(&mut text, *ty, *format, value(*column)),
        }
    }
    text
}

fn push_value(text: &mut String, ty: ValueType, format: ValueFormat, value: f64) {
    // Writing to a string cannot fail.
    let _ = match (ty, format) {
        _ if value.is_nan() => write!(text, "missing"),
        (ValueType::Bool, _) => write!(text, "{}", value != 0.0),
        (ValueType::Clock, _) if (0.0..1440.0).contains(&value) => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1439")]
            let minutes = value as u32;
            write!(text, "{:02}:{:02}", minutes / 60, minutes % 60)
        }
        (_, ValueFormat::Plain) => write!(text, "{value}"),
        (_, ValueFormat::Decimals(decimals)) => write!(text, "{value:.*}", usize::from(decimals)),
        (_, ValueFormat::Percent(decimals)) => write!(text, "{:.*}%", usize::from(decimals), value * 100.0),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(ty: ValueType, format: ValueFormat, value: f64) -> String {
        let part = MessagePart::Value { column: 0, name: "x".to_owned(), ty, format };
        render(&[part], |_| value)
    }

    fn plain(value: f64) -> String {
        one(ValueType::Num, ValueFormat::Plain, value)
    }

    fn decimals(count: u8, value: f64) -> String {
        one(ValueType::Num, ValueFormat::Decimals(count), value)
    }

    fn percent(count: u8, value: f64) -> String {
        one(ValueType::Num, ValueFormat::Percent(count), value)
    }

    #[test]
    fn plain_numbers_are_the_shortest_digits_without_exponent() {
        assert_eq!(plain(92000.0), "92000");
        assert_eq!(plain(0.1), "0.1");
        assert_eq!(plain(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(plain(-1.5), "-1.5");
        assert_eq!(plain(0.0), "0");
        assert_eq!(plain(-0.0), "-0");
        assert_eq!(plain(1e22), "10000000000000000000000");
        assert_eq!(plain(1e-7), "0.0000001");
        assert_eq!(plain(5e-324), format!("0.{}5", "0".repeat(323)));
        for value in [1.0 / 3.0, f64::MAX, f64::MIN_POSITIVE, 123_456_789.123_456_78] {
            let text = plain(value);
            assert!(!text.contains('e'), "{text}");
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }

    #[test]
    fn decimals_round_the_exact_value_and_ties_to_even() {
        assert_eq!(decimals(2, 0.125), "0.12");
        assert_eq!(decimals(2, 0.375), "0.38");
        assert_eq!(decimals(0, 0.5), "0");
        assert_eq!(decimals(0, 1.5), "2");
        assert_eq!(decimals(0, 2.5), "2");
        assert_eq!(decimals(0, -2.5), "-2");
        assert_eq!(decimals(0, 3.5), "4");
        assert_eq!(decimals(1, 0.25), "0.2");
        assert_eq!(decimals(1, 0.75), "0.8");
        // The double nearest to 1.005 is under it, that nearest to 0.145 is not a tie either.
        assert_eq!(decimals(2, 1.005), "1.00");
        assert_eq!(decimals(2, 0.145), "0.14");
        assert_eq!(decimals(2, 99.995), "100.00");
        assert_eq!(decimals(3, 1e22), "10000000000000000000000.000");
        assert_eq!(decimals(4, 5e-324), "0.0000");
        assert_eq!(decimals(2, 90000.0), "90000.00");
        assert_eq!(decimals(20, 0.1), "0.10000000000000000555");
    }

    #[test]
    fn percent_is_a_hundred_times_the_value() {
        assert_eq!(percent(2, 0.08), "8.00%");
        assert_eq!(percent(0, 0.125), "12%");
        assert_eq!(percent(0, 0.135), "14%");
        assert_eq!(percent(1, -0.0005), "-0.1%");
        assert_eq!(percent(2, 12.5), "1250.00%");
    }

    #[test]
    fn bools_clocks_and_missing_values() {
        assert_eq!(one(ValueType::Bool, ValueFormat::Plain, 1.0), "true");
        assert_eq!(one(ValueType::Bool, ValueFormat::Plain, 0.0), "false");
        assert_eq!(one(ValueType::Clock, ValueFormat::Plain, 0.0), "00:00");
        assert_eq!(one(ValueType::Clock, ValueFormat::Plain, 925.0), "15:25");
        assert_eq!(one(ValueType::Clock, ValueFormat::Plain, 1439.0), "23:59");
        for ty in [ValueType::Num, ValueType::Bool, ValueType::Clock] {
            assert_eq!(one(ty, ValueFormat::Plain, f64::NAN), "missing");
        }
        assert_eq!(percent(2, f64::NAN), "missing");
    }

    #[test]
    fn values_of_a_hostile_module_are_harmless() {
        assert_eq!(one(ValueType::Clock, ValueFormat::Plain, 1440.0), "1440");
        assert_eq!(one(ValueType::Clock, ValueFormat::Plain, -1.0), "-1");
        assert_eq!(plain(f64::INFINITY), "inf");
        assert_eq!(percent(0, f64::MAX), "inf%");
        assert_eq!(decimals(255, 1.0).len(), 257);
    }

    #[test]
    fn pieces_come_in_order() {
        let parts = [
            MessagePart::Text("equity ".to_owned()),
            MessagePart::Value {
                column: 3,
                name: "equity".to_owned(),
                ty: ValueType::Num,
                format: ValueFormat::Decimals(2),
            },
            MessagePart::Text(" {under}".to_owned()),
        ];
        assert_eq!(render(&parts, |column| f64::from(column) + 0.5), "equity 3.50 {under}");
        assert_eq!(render(&[], |_| 0.0), "");
    }
}
