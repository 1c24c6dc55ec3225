//! What a tenant used: counts of an hour or a day, and which of them somebody asks for.

use uuid::Uuid;

use super::at::At;
use super::caller::TenantId;

/// What was used. A count that reaches its end stays there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests that were let in: calls, and messages on WebSockets.
    pub requests: u64,
    /// Requests that were refused because the tenant had taken the requests or the fuel of that second. One that was
    /// refused for its fuel had been let in before.
    pub refused: u64,
    /// Runs of a rule: over a bar, a series, the bars of a session's call, or a stream.
    pub evaluations: u64,
    /// Bars that rules have answered: a bar that two rules see is two.
    pub bars: u64,
    /// Units of fuel that runs used.
    pub fuel: u64,
}

impl Usage {
    /// A request that was let in.
    pub const REQUEST: Self = Self { requests: 1, ..Self::NONE };
    /// A request that was refused.
    pub const REFUSED: Self = Self { refused: 1, ..Self::NONE };
    /// Nothing.
    pub const NONE: Self = Self { requests: 0, refused: 0, evaluations: 0, bars: 0, fuel: 0 };

    /// Each count, made of those of both.
    fn each(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            requests: of(self.requests, other.requests),
            refused: of(self.refused, other.refused),
            evaluations: of(self.evaluations, other.evaluations),
            bars: of(self.bars, other.bars),
            fuel: of(self.fuel, other.fuel),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// What a counter has counted since an earlier reading. Since a later one, nothing.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        self.each(earlier, u64::saturating_sub)
    }

    /// Of two readings of a counter the later: counters do not go back.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        self.each(other, u64::max)
    }
}

/// A reading of a counter: what a tenant used in an hour, as far as one process has counted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whose.
    pub tenant: TenantId,
    /// When the hour began.
    pub hour: At,
    /// The counter: random, and of one process.
    pub counter: Uuid,
    /// Since the counter began.
    pub used: Usage,
}

/// What was used in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodUsage {
    /// When it began.
    pub from: At,
    /// By all processes.
    pub used: Usage,
}

/// How usage is summed. Periods are of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// As it is kept.
    Hour,
    /// From midnight to midnight.
    Day,
}

impl Period {
    /// Every period.
    pub const ALL: [Self; 2] = [Self::Hour, Self::Day];

    /// Its name in queries, answers and arguments.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Milliseconds.
    pub const fn length(self) -> i64 {
        match self {
            Self::Hour => 3_600_000,
            Self::Day => 24 * 3_600_000,
        }
    }

    /// Periods that can be asked for at once: 31 days, 366 days.
    pub const fn most(self) -> i64 {
        match self {
            Self::Hour => 31 * 24,
            Self::Day => 366,
        }
    }

    /// Periods that somebody gets who does not say from when on: a day, 30 days.
    pub const fn usual(self) -> i64 {
        match self {
            Self::Hour => 24,
            Self::Day => 30,
        }
    }

    /// The beginning of the period that a time is in.
    pub const fn start(self, at: At) -> At {
        At(at.0.saturating_sub(at.0.rem_euclid(self.length())))
    }
}

/// Periods one after the other.
///
/// INVARIANT: both ends are beginnings of periods, and there are 1 to [`Period::most`] between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    period: Period,
    from: At,
    to: At,
}

/// Why a span cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSpan {
    /// A time that nothing can have been used at.
    #[error("a time is one from 1970-01-01T00:00:00Z up to 9999-12-31T00:00:00Z")]
    OutOfTime,
    /// It ends before it begins.
    #[error("`from` must be before `to`, which is now if it is not given")]
    Empty,
    /// Too many periods.
    #[error(
        "from {from} to {to} there are {periods} {}s, and the most is {}; ask for them one part after the other{}",
        period.name(), period.most(), match period { Period::Hour => ", or by day", Period::Day => "" }
    )]
    TooLong {
        /// When they begin.
        from: At,
        /// When they end.
        to: At,
        /// How many there are.
        periods: i64,
        /// What they are.
        period: Period,
    },
}

/// The last midnight that can be written in RFC 3339.
const END_OF_TIME: At = At(253_402_214_400_000);

impl Span {
    /// The periods that these times touch. Without `to`, they end with the one that is now; without `from`, there are
    /// as many as [`Period::usual`].
    ///
    /// # Errors
    /// [`BadSpan`].
    pub fn new(period: Period, from: Option<At>, to: Option<At>, now: At) -> Result<Self, BadSpan> {
        let length = period.length();
        if [from, to].into_iter().flatten().any(|at| at < At(0) || at > END_OF_TIME) {
            return Err(BadSpan::OutOfTime);
        }
        let end = match to {
            // The first beginning that is not before it.
            Some(to) => period.start(At(to.0.saturating_add(length - 1))),
            None => At(period.start(now).0.saturating_add(length)),
        };
        let start = match from {
            Some(from) if from >= to.unwrap_or(end) => return Err(BadSpan::Empty),
            Some(from) => period.start(from),
            None => At(end.0.saturating_sub(period.usual().saturating_mul(length)).max(0)),
        };
        let periods = end.0.saturating_sub(start.0) / length;
        if periods < 1 {
            return Err(BadSpan::Empty);
        }
        if periods > period.most() {
            return Err(BadSpan::TooLong { from: start, to: end, periods, period });
        }
        Ok(Self { period, from: start, to: end })
    }

    /// What the periods are.
    pub const fn period(&self) -> Period {
        self.period
    }

    /// When the first begins.
    pub const fn from(&self) -> At {
        self.from
    }

    /// When the last ends.
    pub const fn to(&self) -> At {
        self.to
    }

    /// Whether a time is in one of them.
    pub fn has(&self, at: At) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// Every period in its order with all that was used in it, those without use as well.
    pub fn sums(&self, used: &[PeriodUsage]) -> Vec<PeriodUsage> {
        let mut all = Vec::new();
        let mut from = self.from;
        while from < self.to {
            all.push(PeriodUsage { from, used: Usage::NONE });
            from = At(from.0.saturating_add(self.period.length()));
        }
        for part in used {
            let at = usize::try_from(part.from.0.saturating_sub(self.from.0).div_euclid(self.period.length()));
            if let Some(period) = at.ok().and_then(|at| all.get_mut(at)) {
                period.used = period.used.plus(part.used);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> At {
        At::parse(text).unwrap()
    }

    fn span(period: Period, from: Option<&str>, to: Option<&str>) -> Result<(String, String), BadSpan> {
        let now = at("2026-11-21T16:40:00Z");
        let span = Span::new(period, from.map(at), to.map(at), now)?;
        Ok((span.from().to_string(), span.to().to_string()))
    }

    fn both(from: &str, to: &str) -> (String, String) {
        (from.to_owned(), to.to_owned())
    }

    #[test]
    fn without_times_it_is_the_last_day_by_hour_and_the_last_30_by_day() {
        let day = both("2026-11-20T17:00:00Z", "2026-11-21T17:00:00Z");
        assert_eq!(span(Period::Hour, None, None), Ok(day));
        let month = both("2026-10-23T00:00:00Z", "2026-11-22T00:00:00Z");
        assert_eq!(span(Period::Day, None, None), Ok(month));
        let now = at("2026-11-21T16:00:00Z");
        assert_eq!(Span::new(Period::Hour, None, None, now).unwrap().to(), at("2026-11-21T17:00:00Z"));
    }

    #[test]
    fn the_periods_that_the_times_touch_are_whole() {
        let touched = |from, to| span(Period::Hour, Some(from), Some(to)).unwrap();
        let expected = both("2026-01-05T10:00:00Z", "2026-01-05T12:00:00Z");
        assert_eq!(touched("2026-01-05T10:59:59.999Z", "2026-01-05T11:00:00.001Z"), expected);
        assert_eq!(touched("2026-01-05T10:00:00Z", "2026-01-05T12:00:00Z"), expected);
        assert_eq!(touched("2026-01-05T11:00:00+01:00", "2026-01-05T13:00:00+01:00"), expected);
        let day = span(Period::Day, Some("2026-01-05T10:00:00Z"), Some("2026-01-05T10:00:00.001Z")).unwrap();
        assert_eq!(day, both("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z"));
    }

    #[test]
    fn spans_that_cannot_be_are_refused() {
        for (from, to) in [
            (Some("2026-01-05T10:00:00Z"), Some("2026-01-05T10:00:00Z")),
            (Some("2026-01-05T10:30:00Z"), Some("2026-01-05T10:15:00Z")),
            (Some("2026-11-21T17:00:00Z"), None),
            (None, Some("1970-01-01T00:00:00Z")),
        ] {
            assert_eq!(span(Period::Hour, from, to), Err(BadSpan::Empty), "{from:?} {to:?}");
        }
        for (from, to) in [
            (Some("1969-12-31T23:59:59.999Z"), None),
            (None, Some("9999-12-31T23:30:00Z")),
            (Some("0000-01-01T00:00:00Z"), Some("2026-01-05T10:00:00Z")),
        ] {
            assert_eq!(span(Period::Hour, from, to), Err(BadSpan::OutOfTime), "{from:?} {to:?}");
        }
        let month = |to| span(Period::Hour, Some("2026-01-01T00:00:00Z"), Some(to));
        assert!(month("2026-02-01T00:00:00Z").is_ok());
        let error = month("2026-02-01T00:00:00.001Z").unwrap_err();
        assert!(matches!(error, BadSpan::TooLong { periods: 745, .. }));
        let said = "from 2026-01-01T00:00:00Z to 2026-02-01T01:00:00Z there are 745 hours, and the most is 744; ask for \
                    them one part after the other, or by day";
        assert_eq!(error.to_string(), said);
        let year = |to| span(Period::Day, Some("2026-01-01T00:00:00Z"), Some(to));
        assert!(year("2027-01-02T00:00:00Z").is_ok());
        assert!(matches!(year("2027-01-02T00:00:01Z"), Err(BadSpan::TooLong { periods: 367, .. })));
        assert!(span(Period::Day, Some("9999-12-01T00:00:00Z"), Some("9999-12-31T00:00:00Z")).is_ok());
    }

    #[test]
    fn every_period_is_there_with_all_that_was_used_in_it() {
        let span = Span::new(Period::Hour, Some(At(0)), Some(At(3 * 3_600_000)), At(0)).unwrap();
        let used = [7_200_000, -1, 10_800_000, 3_600_000, 7_199_999]
            .map(|at| PeriodUsage { from: At(at), used: Usage::REQUEST });
        let requests: Vec<_> = span.sums(&used).iter().map(|period| (period.from.0, period.used.requests)).collect();
        assert_eq!(requests, [(0, 0), (3_600_000, 2), (7_200_000, 1)]);
        let inside = used.map(|period| span.has(period.from));
        assert_eq!(inside, [true, false, false, true, true]);
    }

    #[test]
    fn counts_end_at_their_end() {
        let full = Usage { fuel: u64::MAX, ..Usage::REQUEST };
        assert_eq!(full.plus(full), Usage { requests: 2, ..full });
        assert_eq!(Usage::REQUEST.later(Usage::REFUSED), Usage { refused: 1, ..Usage::REQUEST });
        assert_eq!(Usage::REQUEST.plus(Usage::REFUSED).since(Usage::REFUSED), Usage::REQUEST);
        assert_eq!(Usage::REQUEST.since(full), Usage::NONE);
    }
}
