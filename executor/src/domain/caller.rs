//! Who calls: tenants, keys and what a key may do.

use std::ops::RangeInclusive;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use uuid::Uuid;

/// A tenant. Values come from the store (with an authenticated key, or at the first start), never from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TenantId(Uuid);

impl TenantId {
    /// For the store alone.
    pub(crate) const fn from_store(id: Uuid) -> Self {
        Self(id)
    }

    /// Its id.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl std::fmt::Display for TenantId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An API key, by its public id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub Uuid);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Who acts, by a stable id: an API key, a user of an issuer, or the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ActorId(pub Uuid);

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// What records point to.
    pub id: ActorId,
    /// What people read: `key rbx_live_1a2b3c4d`, `user https://login.example.com alice`, `command line`.
    pub name: Arc<str>,
}

/// Whether a character is not seen, or breaks, joins or turns those around it: no name has one. These are the controls,
/// formats and separators of lines among Unicode's general categories, and what it says to leave out where it is not
/// supported.
pub fn is_hidden(c: char) -> bool {
    let category = c.general_category();
    matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || IGNORABLE.iter().any(|range| range.contains(&c))
}

/// `Default_Ignorable_Code_Point` of Unicode 16 that is no format character
/// (<https://www.unicode.org/Public/16.0.0/ucd/DerivedCoreProperties.txt>).
const IGNORABLE: [RangeInclusive<char>; 10] = [
    '\u{34f}'..='\u{34f}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{2065}'..='\u{2065}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fff8}',
    '\u{e0000}'..='\u{e0fff}',
];

impl Actor {
    /// A key, by its id and what lists show of it.
    pub fn key(id: KeyId, prefix: &str) -> Self {
        Self { id: ActorId(id.0), name: format!("key {prefix}").into() }
    }

    /// A user of an issuer. The id is made of both, so that it is the same in every record.
    pub fn user(issuer: &str, subject: &str) -> Self {
        // The lengths keep `("a", "bc")` and `("ab", "c")` apart.
        let text = format!("user {}:{issuer} {}:{subject}", issuer.len(), subject.len());
        let digest = Sha256::digest(text.as_bytes());
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        // RFC 9562, version 8: bits of our own.
        Self {
            id: ActorId(uuid::Builder::from_custom_bytes(id).into_uuid()),
            // An issuer may put anything into a subject; a database takes no NUL, and a log no new line.
            name: format!("user {issuer} {subject}").replace(is_hidden, "\u{fffd}").into(),
        }
    }

    /// Whoever may run commands beside the store.
    pub fn command_line() -> Self {
        Self { id: ActorId(Uuid::nil()), name: "command line".into() }
    }

    /// The service itself: the first start, and jobs.
    pub fn service() -> Self {
        Self { id: ActorId(Uuid::nil()), name: "service".into() }
    }
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Writes rules of its tenant.
    Author,
    /// Evaluates and reads rules of its tenant.
    Engine,
    /// Administers the keys of its tenant, and reads its audit log and what it used.
    TenantAdmin,
    /// Without a tenant: reviews what modules did, and stops them. Reads no rules.
    Security,
    /// Without a tenant: administers tenants, their keys and limits. Reads no rules.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Author, Self::Engine, Self::TenantAdmin, Self::Security, Self::Admin];
    /// Those of a tenant.
    pub const OF_TENANT: [Self; 3] = [Self::Author, Self::Engine, Self::TenantAdmin];

    /// Its name in stores, answers and tokens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Engine => "engine",
            Self::TenantAdmin => "tenant-admin",
            Self::Security => "security",
            Self::Admin => "admin",
        }
    }

    /// Whether it is of the platform, without a tenant.
    pub const fn is_platform(self) -> bool {
        matches!(self, Self::Security | Self::Admin)
    }

    /// The role of a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// Marks of one request, for records and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMarks {
    /// Issued by the server.
    pub request_id: String,
    /// Of the caller's `traceparent`, or a new one.
    pub trace_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_one_id_and_another_user_another() {
        let id = |issuer, subject| Actor::user(issuer, subject).id;
        assert_eq!(id("https://a", "b"), id("https://a", "b"));
        assert_ne!(id("https://a", "b"), id("https://a ", "b"));
        assert_ne!(id("https://a b", "c"), id("https://a", "b c"));
        assert_ne!(id("https://a", "b\0"), id("https://a", "b\n"));
        assert_eq!(&*Actor::user("https://a", "b\0\n").name, "user https://a b\u{fffd}\u{fffd}");
    }

    #[test]
    fn roles_are_of_a_tenant_or_of_the_platform() {
        for role in Role::ALL {
            assert_eq!(Role::find(role.name()), Some(role));
            assert_eq!(role.is_platform(), !Role::OF_TENANT.contains(&role));
        }
        assert_eq!(Role::find("root"), None);
    }

    #[test]
    fn what_is_not_seen_is_hidden_and_letters_of_all_scripts_are_not() {
        for c in "\0\n\u{7f}\u{85}\u{ad}\u{34f}\u{61c}\u{70f}\u{115f}\u{17b5}\u{180e}\u{200b}\u{200c}\u{200d}\u{200f}\u{2028}\u{202e}\
                  \u{2060}\u{2064}\u{2069}\u{206f}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{fffb}\u{110bd}\u{1d173}\u{e0001}\u{e0041}\u{e0100}"
            .chars()
        {
            assert!(is_hidden(c), "U+{:04X}", u32::from(c));
        }
        for c in "aZ09 -_äßéŁЖ日本한ﬁ€σ²\u{301}\u{fffd}😀".chars() {
            assert!(!is_hidden(c), "U+{:04X}", u32::from(c));
        }
    }
}
