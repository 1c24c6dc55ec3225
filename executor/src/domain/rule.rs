//! Rules and their versions.

use rulebox_dsl::manifest::Manifest;
use rulebox_sandbox::Digest;

use super::at::At;

/// The name of a rule within its tenant: a small letter or `_`, then at most 63 small letters, digits, `_` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleName(String);

/// A text that cannot name a rule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRuleName {
    /// It is empty, too long, or has another character.
    #[error("a rule name is a small letter or `_`, then at most 63 small letters, digits, `_` or `-`")]
    Malformed,
    /// It is a word of the API's addresses.
    #[error("`{0}` is a word of the API's addresses; give the rule another name")]
    Reserved(RuleName),
}

impl RuleName {
    /// Bytes of the longest name.
    pub const MAX_BYTES: usize = 64;
    /// Regular expression of all names.
    pub const PATTERN: &str = "^[a-z_][a-z0-9_-]{0,63}$";
    /// Words of the API's addresses below `/v1/rules/`. A rule of such a name could not be reached.
    pub const RESERVED: [&str; 10] = [
        "activate",
        "break-glass",
        "check",
        "evaluate",
        "module",
        "quarantine",
        "release",
        "source",
        "test",
        "versions",
    ];

    /// Reads a name.
    ///
    /// # Errors
    /// If it is empty, too long, or has another character.
    pub fn new(name: &str) -> Result<Self, BadRuleName> {
        let first = matches!(name.bytes().next(), Some(b'a'..=b'z' | b'_'));
        let rest = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        let fits = name.len() <= Self::MAX_BYTES;
        if first && rest && fits { Ok(Self(name.to_owned())) } else { Err(BadRuleName::Malformed) }
    }

    /// The name, if a rule may be given it.
    ///
    /// # Errors
    /// If it is reserved.
    pub fn for_new_rule(self) -> Result<Self, BadRuleName> {
        if Self::RESERVED.contains(&self.as_str()) { Err(BadRuleName::Reserved(self)) } else { Ok(self) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for RuleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A rule: a name, and which of its versions is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: RuleName,
    /// When its first version was made.
    pub created_at: At,
    /// When it was archived, if it was: it then takes no new versions and runs only by version.
    pub archived_at: Option<At>,
    /// The highest version.
    pub latest_version: u32,
    /// The version that runs if a caller names none.
    pub active_version: Option<u32>,
    /// Counts its changes, from 1: who changes it says which one he has seen.
    pub revision: u64,
}

/// A version of a rule; nothing of it ever changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// The rule.
    pub rule: RuleName,
    /// From 1 up by one.
    pub number: u32,
    /// Of the module.
    pub digest: Digest,
    /// When it was made.
    pub created_at: At,
    /// What the module takes, gives and costs.
    pub manifest: Manifest,
}

/// What a new version is made of.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// The text that was compiled.
    pub source: Option<String>,
    /// The module.
    pub module: Vec<u8>,
    /// Of the module.
    pub digest: Digest,
    /// Of the module.
    pub manifest: Manifest,
}

/// A version that can be run: what must be known to find its module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runnable {
    /// The rule.
    pub rule: RuleName,
    /// The version.
    pub version: u32,
    /// Of its module.
    pub digest: Digest,
}

/// The module of a version and its manifest.
#[derive(Clone, Debug)]
pub struct StoredModule {
    /// WebAssembly.
    pub bytes: Vec<u8>,
    /// What it takes, gives and costs.
    pub manifest: Manifest,
}

/// How much a tenant keeps of its versions, or may keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// Versions of all its rules, archived ones too.
    pub versions: u64,
    /// Bytes of their texts, modules and manifests.
    pub bytes: u64,
}

/// A tenant would keep more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageLimit {
    /// Versions.
    #[error("the tenant has {0} versions of rules, and may have no more")]
    Versions(u64),
    /// Bytes of them.
    #[error("the versions of the tenant's rules would have more than the {0} bytes that they may have")]
    Bytes(u64),
}

impl Storage {
    /// Refuses what is more than `most`.
    ///
    /// # Errors
    /// [`StorageLimit`].
    pub const fn within(&self, most: &Self) -> Result<(), StorageLimit> {
        if self.versions > most.versions {
            return Err(StorageLimit::Versions(most.versions));
        }
        if self.bytes > most.bytes { Err(StorageLimit::Bytes(most.bytes)) } else { Ok(()) }
    }
}

/// How much a tenant may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Rules that are not archived.
    pub rules: u64,
    /// Versions, which nobody can delete.
    pub storage: Storage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "_", "check_custom_rule", "daily-loss-2", &"a".repeat(64)] {
            assert_eq!(RuleName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "1a", "-a", "a b", "a/b", "é", "a\0", &"a".repeat(65)] {
            assert_eq!(RuleName::new(bad), Err(BadRuleName::Malformed), "{bad:?}");
        }
    }
}
