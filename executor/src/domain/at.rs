//! Points in time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970 in UTC; RFC 3339 text in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(pub i64);

impl At {
    /// Now, by the machine's clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// So much later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(by)))
    }

    /// So much earlier.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(milliseconds(by)))
    }

    /// How long ago another time was, if it was.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// A time in RFC 3339, to the millisecond.
    pub fn parse(text: &str) -> Option<Self> {
        let nanos = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
        Some(Self(i64::try_from(nanos.div_euclid(1_000_000)).ok()?))
    }
}

fn milliseconds(of: Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        let text = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().and_then(|at| at.format(&Rfc3339).ok());
        match text {
            Some(text) => f.write_str(&text),
            // A year beyond what RFC 3339 can write.
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_move_as_far_as_they_go() {
        let second = Duration::from_secs(1);
        assert_eq!((At(5).plus(second), At(1_005).minus(second)), (At(1_005), At(5)));
        assert_eq!((At(i64::MAX).plus(second), At(i64::MIN).minus(Duration::MAX)), (At(i64::MAX), At(i64::MIN)));
        assert_eq!((At(1_005).since(At(5)), At(5).since(At(1_005))), (second, Duration::ZERO));
        assert_eq!(At(i64::MAX).since(At(i64::MIN)), Duration::from_millis(i64::MAX as u64));
    }

    #[test]
    fn times_are_read_in_any_zone() {
        assert_eq!(At::parse("2026-01-05T16:00:00.25+01:00"), Some(At(1_767_625_200_250)));
        for bad in ["", "2026-01-05", "2026-01-05T15:00:00", "now", "2026-13-05T15:00:00Z"] {
            assert_eq!(At::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_written_in_utc_with_the_digits_they_need() {
        assert_eq!(At(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(At(1_767_625_200_250).to_string(), "2026-01-05T15:00:00.25Z");
        assert_eq!(At(i64::MAX).to_string(), i64::MAX.to_string());
    }
}
