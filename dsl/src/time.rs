//! Times of bars: RFC 3339 text or an integer, to milliseconds since 1970.
//!
//! What the language reference leaves to the reader is decided here:
//!
//! - Seconds may be left out. Digits beyond the millisecond are dropped as text, also before 1970.
//! - `T` and `t`, `Z` and `z` are the same; a space may stand for `T`, as RFC 3339 allows and spreadsheets write.
//! - An offset is `Z` or `+hh:mm`; `-00:00` is `Z`. Without one the time is unreadable, and so it is with a zone in
//!   brackets, an hour 24 or any space around it.
//! - A leap second, 23:59:60 in UTC, is the last millisecond of its minute: order and day stay.
//! - An integer is digits after an optional `-`: no `+`, no fraction, no exponent.
//! - Years 0000 to 9999 in UTC, for integers as well ([`MIN`], [`MAX`]); anything outside is unreadable.

/// The earliest readable time, `0000-01-01T00:00Z`, in milliseconds since 1970.
pub const MIN: i64 = -62_167_219_200_000;

/// The latest readable time, `9999-12-31T23:59:59.999Z`, in milliseconds since 1970.
pub const MAX: i64 = 253_402_300_799_999;

const MINUTE: i64 = 60_000;
const DAY: i64 = 1440 * MINUTE;

/// Milliseconds since 1970 of a time as text; `None` if it is unreadable.
pub fn parse(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    // A date has its first `-` after four digits; a negative integer has it first.
    if bytes.get(4) == Some(&b'-') { rfc3339(bytes) } else { integer(bytes) }.and_then(from_millis)
}

/// The time itself if it is readable, between [`MIN`] and [`MAX`].
pub fn from_millis(millis: i64) -> Option<i64> {
    (MIN..=MAX).contains(&millis).then_some(millis)
}

fn integer(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for &digit in digits {
        value = value.checked_mul(10)?.checked_add(digit_value(digit)?)?;
    }
    Some(if negative { -value } else { value })
}

fn rfc3339(bytes: &[u8]) -> Option<i64> {
    let mut text = Reader { bytes };
    let year = text.digits(4)?;
    text.one_of(b"-")?;
    let month = text.digits(2)?;
    text.one_of(b"-")?;
    let day = text.digits(2)?;
    text.one_of(b"Tt ")?;
    let hour = text.digits(2)?;
    text.one_of(b":")?;
    let minute = text.digits(2)?;
    let (second, milli) = if text.one_of(b":").is_some() { (text.digits(2)?, text.fraction()?) } else { (0, 0) };
    let offset = text.offset()?;
    if !text.bytes.is_empty()
        || !(1..=12).contains(&month)
        || !(1..=days_in_month(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let start_of_minute = days_since_1970(year, month, day) * DAY + (hour * 60 + minute - offset) * MINUTE;
    if second == 60 {
        let last_of_a_day = start_of_minute.rem_euclid(DAY) == DAY - MINUTE;
        return last_of_a_day.then_some(start_of_minute + MINUTE - 1);
    }
    Some(start_of_minute + second * 1000 + milli)
}

/// What is left of the text to read.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    /// A number of exactly `count` digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.bytes.split_at_checked(count)?;
        let value = digits.iter().try_fold(0, |value, &digit| Some(value * 10 + digit_value(digit)?))?;
        self.bytes = rest;
        Some(value)
    }

    /// One of `choices`, if it is the next byte.
    fn one_of(&mut self, choices: &[u8]) -> Option<u8> {
        let (&first, rest) = self.bytes.split_first()?;
        choices.contains(&first).then(|| {
            self.bytes = rest;
            first
        })
    }

    /// Milliseconds of `.` and at least one digit; 0 if there is no `.`.
    fn fraction(&mut self) -> Option<i64> {
        if self.one_of(b".").is_none() {
            return Some(0);
        }
        let count = self.bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        let kept = count.min(3);
        let value = self.digits(kept)?;
        self.digits_dropped(count - kept);
        Some(match kept {
            1 => value * 100,
            2 => value * 10,
            _ => value,
        })
    }

    fn digits_dropped(&mut self, count: usize) {
        self.bytes = self.bytes.get(count..).unwrap_or_default();
    }

    /// Minutes that local time is ahead of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.digits(2)?;
        self.one_of(b":")?;
        let minutes = self.digits(2)?;
        (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
    }
}

fn digit_value(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `days_from_civil`): years begin in March, so that the leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn reads_rfc_3339_and_integers() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00Z", 0),
            ("1970-01-01t00:00z", 0),
            ("1970-01-01 00:00:01+00:00", 1000),
            ("2026-01-05T15:00Z", 1_767_625_200_000),
            ("2026-01-05T15:00:30.5+01:30", 1_767_619_830_500),
            ("2026-01-05T15:00-05:45", 1_767_645_900_000),
            ("2026-01-05T15:00-00:00", 1_767_625_200_000),
            ("1970-01-01T00:00:00.0019999999999999999999Z", 1),
            ("1969-12-31T23:59:59.9999Z", -1),
            ("1969-12-31T23:59:59.9Z", -100),
            ("1969-12-31T23:59:59.99Z", -10),
            ("2000-02-29T00:00Z", 951_782_400_000),
            ("0000-01-01T00:00Z", MIN),
            ("9999-12-31T23:59:59.999Z", MAX),
            ("0", 0),
            ("-0", 0),
            ("-1500", -1500),
            ("0017", 17),
            ("1767625200000", 1_767_625_200_000),
            ("-62167219200000", MIN),
            ("253402300799999", MAX),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_leap_second_is_the_end_of_its_minute() {
        let midnight = parse("2017-01-01T00:00Z").unwrap();
        assert_eq!(parse("2016-12-31T23:59:60Z"), Some(midnight - 1));
        assert_eq!(parse("2016-12-31T23:59:60.75Z"), Some(midnight - 1));
        assert_eq!(parse("2016-12-31T15:59:60-08:00"), Some(midnight - 1));
        assert_eq!(parse("2016-12-31T15:59:60Z"), None);
        assert_eq!(parse("2016-12-31T23:59:61Z"), None);
    }

    #[test]
    fn anything_else_is_unreadable() {
        for text in [
            "",
            "-",
            "+5",
            "1.0",
            "1e3",
            " 1",
            "1 ",
            "99999999999999999999",
            "-9223372036854775808",
            "253402300800000",
            "-62167219200001",
            "2026-01-05",
            "2026-01-05T15:00",
            "2026-01-05T15:00:00",
            "2026-01-05T15Z",
            "2026-01-05T15:0Z",
            "2026-01-05T15:00:Z",
            "2026-01-05T15:00:00.Z",
            "2026-01-05T15:00:00,5Z",
            "2026-01-05T15:00.5Z",
            "2026-01-05T24:00Z",
            "2026-01-05T15:60Z",
            "2026-00-05T15:00Z",
            "2026-13-05T15:00Z",
            "2026-01-00T15:00Z",
            "2026-01-32T15:00Z",
            "2026-02-29T15:00Z",
            "1900-02-29T15:00Z",
            "2026-04-31T15:00Z",
            "2026-1-05T15:00Z",
            "2026-01-05T15:00+0100",
            "2026-01-05T15:00+01",
            "2026-01-05T15:00+24:00",
            "2026-01-05T15:00+01:60",
            "2026-01-05T15:00Z ",
            " 2026-01-05T15:00Z",
            "2026-01-05T15:00Z[Europe/Prague]",
            "2026-01-05T15:00+01:00[Europe/Prague]",
            "2026-01-05T15:00ZZ",
            "02026-01-05T15:00Z",
            "-002026-01-05T15:00Z",
            "+002026-01-05T15:00Z",
            "0000-01-01T00:00+00:01",
            "9999-12-31T23:59-00:01",
            "2026-01-05\u{a0}15:00Z",
            "２026-01-05T15:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn agrees_with_jiff_over_the_calendar() {
        // A step of 13 days and some hours meets every month, leap days and both sides of 1970.
        let mut millis = -62_135_596_800_000_i64;
        while millis < 253_300_000_000_000 {
            let text = Timestamp::from_millisecond(millis).unwrap().to_string();
            assert_eq!(parse(&text), Some(millis), "{text}");
            millis += 13 * DAY + 12_345_678;
        }
    }
}
