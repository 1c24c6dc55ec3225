//! The stable codes. A code never changes its meaning and is never used again for another.

mod semantic;
mod syntax;

use super::Level;

/// One code: its name, a title, and a page of explanation for `rulebox explain`.
#[derive(Debug, PartialEq, Eq)]
pub struct CodeInfo {
    /// `E0312`, or `W0001` for a warning.
    pub name: &'static str,
    /// A few words.
    pub title: &'static str,
    /// Why it is refused and what to write instead, with a wrong and a right example.
    pub explanation: &'static str,
}

/// A diagnostic code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(&'static CodeInfo);

impl Code {
    /// `E0312`.
    pub const fn as_str(self) -> &'static str {
        self.0.name
    }

    /// A few words.
    pub const fn title(self) -> &'static str {
        self.0.title
    }

    /// The page of `rulebox explain`.
    pub const fn explanation(self) -> &'static str {
        self.0.explanation
    }

    /// Codes that begin with W are warnings.
    pub const fn level(self) -> Level {
        if matches!(self.0.name.as_bytes().first(), Some(b'W')) { Level::Warning } else { Level::Error }
    }

    /// The code of a name, in any case of letters.
    pub fn find(name: &str) -> Option<Self> {
        Self::all().find(|code| code.as_str().eq_ignore_ascii_case(name))
    }

    /// Every code, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        syntax::ALL.iter().chain(semantic::ALL).copied()
    }
}

/// Declares codes as associated constants of [`Code`] and lists them.
macro_rules! codes {
    ($($constant:ident = $name:literal, $title:literal, $explanation:literal;)*) => {
        impl super::Code {$(
            #[doc = concat!("`", $name, "`: ", $title, ".")]
            pub const $constant: Self = Self(&super::CodeInfo { name: $name, title: $title, explanation: $explanation });
        )*}
        /// Every code of this file, in order.
        pub(super) const ALL: &[super::Code] = &[$(super::Code::$constant),*];
    };
}
use codes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_sorted_and_explained() {
        let names: Vec<_> = Code::all().map(Code::as_str).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names.len(), sorted.len());
        for code in Code::all() {
            assert!(code.explanation().len() > 40, "{} needs an explanation", code.as_str());
        }
        assert_eq!(Code::find("e0312"), Some(Code::MAY_BE_MISSING));
    }
}
