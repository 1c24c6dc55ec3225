//! Cells: numbers and truth values.

use rulebox_abi::MISSING;

/// Why a cell has no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// It is none.
    NoNumber,
    /// Digits of a number that no double is near to. JSON that has one is refused as well.
    TooLarge,
}

/// The nearest double; missing if the cell is empty or NaN, an infinity if it says so (the rule faults), as in a stream
/// of Arrow.
pub(super) fn number(cell: &[u8]) -> Result<f64, NotTaken> {
    if cell.is_empty() {
        return Ok(MISSING);
    }
    let value: f64 = fast_float2::parse(cell).map_err(|_| NotTaken::NoNumber)?;
    // One NaN means missing, whatever the sign of the one that was written.
    if value.is_nan() {
        return Ok(MISSING);
    }
    if value.is_infinite() && cell.iter().any(u8::is_ascii_digit) { Err(NotTaken::TooLarge) } else { Ok(value) }
}

/// 1 or 0; missing if the cell is empty or NaN. Any other text is an infinity, on which the rule faults.
pub(super) fn bool(cell: &[u8]) -> f64 {
    match cell {
        b"true" | b"1" => 1.0,
        b"false" | b"0" => 0.0,
        b"" => MISSING,
        nan if nan.eq_ignore_ascii_case(b"nan") => MISSING,
        _ => f64::INFINITY,
    }
}

/// A cell as messages show it: short, and without control characters.
pub(super) fn shown(cell: &[u8]) -> String {
    const MOST: usize = 40;
    let text = String::from_utf8_lossy(cell);
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_nearest_doubles() {
        for (text, value) in [
            ("0.1", 0.1),
            ("-12", -12.0),
            ("1e3", 1000.0),
            ("1.7976931348623157e308", f64::MAX),
            ("4.9e-324", 5e-324),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("Infinity", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("", MISSING),
            ("NaN", MISSING),
            ("-nan", MISSING),
        ] {
            assert_eq!(number(text.as_bytes()).unwrap().to_bits(), value.to_bits(), "{text}");
        }
        for text in ["x", "1,5", "10%", "true", " 1", "1 ", "0x10", "1_000", "-", "1e", "n/a", "１"] {
            assert_eq!(number(text.as_bytes()), Err(NotTaken::NoNumber), "{text}");
        }
        for text in ["1e999", "-1e400", "1.8e308"] {
            assert_eq!(number(text.as_bytes()), Err(NotTaken::TooLarge), "{text}");
        }
    }

    #[test]
    fn only_four_texts_are_truth_values() {
        let bits = |text: &str| bool(text.as_bytes()).to_bits();
        assert_eq!((bits("true"), bits("1")), (1.0_f64.to_bits(), 1.0_f64.to_bits()));
        assert_eq!((bits("false"), bits("0")), (0, 0));
        assert_eq!((bits(""), bits("NaN")), (MISSING.to_bits(), MISSING.to_bits()));
        for text in ["True", "yes", "1.0", "2", "-0", " 1"] {
            assert_eq!(bits(text), f64::INFINITY.to_bits(), "{text}");
        }
    }

    #[test]
    fn cells_are_shown_short_and_harmless() {
        assert_eq!(shown(b"\x1b[31m"), "\\u{1b}[31m");
        assert_eq!(shown("é".repeat(41).as_bytes()).chars().count(), 41);
    }
}
