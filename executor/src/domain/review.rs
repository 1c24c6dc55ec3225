//! Violations as they are kept, looked at by reviewers, and told of.

use rulebox_sandbox::{Digest, Severity};
use serde_json::{Value, json};
use uuid::Uuid;

use super::at::At;
use super::caller::{ActorId, TenantId};
use super::rule::RuleName;
use super::violation::Kind;

/// How far a violation has been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Nobody has.
    Open,
    /// Somebody has seen it.
    Acknowledged,
    /// Somebody is done with it.
    Resolved,
}

impl Status {
    /// Every one, in the order in which they come.
    pub const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Resolved];

    /// Its name in stores and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    /// The status of a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// A violation as it is kept, with all its evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptViolation {
    /// Its id.
    pub id: Uuid,
    /// Whose module it was; `None` for what was done to the service itself.
    pub tenant: Option<TenantId>,
    /// The tenant's name.
    pub tenant_name: Option<String>,
    /// The rule.
    pub rule: Option<String>,
    /// Its version.
    pub version: Option<u32>,
    /// Of the module.
    pub digest: Option<Digest>,
    /// Name of its kind.
    pub kind: String,
    /// How bad.
    pub severity: Severity,
    /// Name of the trap.
    pub trap: Option<String>,
    /// Units of fuel, of the first.
    pub fuel_used: u64,
    /// Units of fuel.
    pub fuel_limit: u64,
    /// Bytes, of the first.
    pub memory_peak: u64,
    /// Bytes.
    pub memory_limit: u64,
    /// Microseconds, of the first.
    pub elapsed_us: u64,
    /// Of the first request.
    pub request_id: String,
    /// Of the first request.
    pub trace_id: String,
    /// Who made the first request.
    pub actor: Option<ActorId>,
    /// Of the first.
    pub at: At,
    /// Of the latest repeat.
    pub last_at: At,
    /// How often.
    pub count: u64,
    /// What it is about, if that is not the rule.
    pub subject: String,
    /// More evidence.
    pub detail: Value,
    /// How far it has been looked at.
    pub status: Status,
    /// Since when.
    pub changed_at: Option<At>,
    /// By whom, for people.
    pub changed_by: Option<String>,
    /// Of the reviewer.
    pub note: Option<String>,
}

impl KeptViolation {
    /// The evidence that a tenant may see too: not where the platform runs what.
    pub fn evidence_for_all(&self) -> Value {
        let mut detail = self.detail.clone();
        if let Some(detail) = detail.as_object_mut() {
            detail.remove("executor");
        }
        detail
    }

    /// As those are told who listen: everything but the reviewer's own words, which may be of an investigation.
    pub fn told(&self) -> Value {
        json!({
            "id": self.id,
            "tenant": self.tenant_name,
            "rule": self.rule,
            "version": self.version,
            "digest": self.digest.map(|digest| digest.to_string()),
            "kind": self.kind,
            "severity": self.severity.name(),
            "status": self.status.name(),
            "trap": self.trap,
            "fuel_used": self.fuel_used,
            "fuel_limit": self.fuel_limit,
            "memory_peak": self.memory_peak,
            "memory_limit": self.memory_limit,
            "elapsed_us": self.elapsed_us,
            "request_id": self.request_id,
            "trace_id": self.trace_id,
            "key_id": self.actor.map(|actor| actor.0),
            "at": self.at,
            "last_at": self.last_at,
            "count": self.count,
            "detail": self.evidence_for_all(),
            "changed_at": self.changed_at,
        })
    }
}

/// Which violations to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// As bad as this.
    pub severity: Option<Severity>,
    /// Of rules of this name.
    pub rule: Option<RuleName>,
    /// Looked at so far.
    pub status: Option<Status>,
    /// That began then or later.
    pub from: Option<At>,
    /// That began before.
    pub to: Option<At>,
}

/// What a reviewer does to a violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Review {
    /// Has seen it.
    Acknowledge,
    /// Is done with it.
    Resolve {
        /// Why.
        note: String,
    },
}

/// What happened, for those who listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A violation that was not open.
    Opened,
    /// The same again.
    Repeated,
    /// Somebody has seen it.
    Acknowledged,
    /// Somebody is done with it.
    Resolved,
    /// A module is stopped.
    Quarantined,
    /// A module was let go.
    Released,
}

impl Topic {
    /// Its name: the type of the event.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "violation.opened",
            Self::Repeated => "violation.repeated",
            Self::Acknowledged => "violation.acknowledged",
            Self::Resolved => "violation.resolved",
            Self::Quarantined => "rule.quarantined",
            Self::Released => "rule.released",
        }
    }

    /// The event, as it is told in the feed and by webhooks.
    pub fn event(self, at: At, data: &Value) -> Value {
        json!({"type": self.name(), "timestamp": at, "data": data})
    }
}

/// A place in the feed: whoever has read up to there goes on behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Of the transaction, where the store tells them apart.
    pub turn: i64,
    /// Of the event.
    pub seq: i64,
}

/// How far somebody has read the feed, as he gives it back to go on: a place in it, and when that was its end or was
/// written. What comes behind it is there for as long as events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bookmark {
    /// The place.
    pub position: Position,
    /// The time.
    pub at: At,
}

impl std::fmt::Display for Bookmark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { position: Position { turn, seq }, at } = self;
        write!(f, "{turn}-{seq}-{}", at.0)
    }
}

impl std::str::FromStr for Bookmark {
    type Err = NoBookmark;

    /// In the one form in which it is written.
    fn from_str(text: &str) -> Result<Self, NoBookmark> {
        let mut numbers = text.split('-').map(|part| part.parse::<i64>().map_err(|_| NoBookmark));
        let mut number = || numbers.next().ok_or(NoBookmark)?;
        let bookmark = Self { position: Position { turn: number()?, seq: number()? }, at: At(number()?) };
        (bookmark.to_string() == text).then_some(bookmark).ok_or(NoBookmark)
    }
}

/// A text that is no place in the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("that is no place in the feed")]
pub struct NoBookmark;

/// An event of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityEvent {
    /// Where it is.
    pub position: Position,
    /// When it was written.
    pub at: At,
    /// Its type.
    pub topic: String,
    /// JSON: type, timestamp, data.
    pub body: String,
}

impl SecurityEvent {
    /// Who has read it goes on from here.
    pub const fn bookmark(&self) -> Bookmark {
        Bookmark { position: self.position, at: self.at }
    }
}

/// What gauges show of the review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Violations that nobody has looked at, by name of their severity.
    pub open: Vec<(String, u64)>,
    /// Modules in quarantine, by tenant; those with most first.
    pub quarantined: Vec<(TenantId, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bookmark_is_written_and_read_in_one_way() {
        let most = i64::MAX.to_string();
        for (text, turn, seq, at) in [
            ("0-0-0", 0, 0, 0),
            ("12-7-1700000000000", 12, 7, 1_700_000_000_000),
            (&format!("{most}-1-2"), i64::MAX, 1, 2),
        ] {
            let bookmark = Bookmark { position: Position { turn, seq }, at: At(at) };
            assert_eq!(text.parse(), Ok(bookmark));
            assert_eq!(bookmark.to_string(), text);
        }
        for bad in [
            "",
            "-",
            "1",
            "1-",
            "1-1",
            "1-1-",
            "-1",
            "-1-1-1",
            "1--1-1",
            "1--1",
            "01-1-1",
            "+1-1-1",
            "1-1-1-1",
            "1-1-1 ",
            "a-b-c",
            "9223372036854775808-1-1",
            "1_1-1-1",
        ] {
            assert_eq!(bad.parse::<Bookmark>(), Err(NoBookmark), "{bad}");
        }
        let order = [(1, 9), (2, 1), (2, 3)].map(|(turn, seq)| Position { turn, seq });
        assert!(order.is_sorted());
    }
}
