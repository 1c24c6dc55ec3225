//! What holds, layer by layer, and why what does not does not.

use std::fmt;

use serde::Serialize;

/// A layer of the confinement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerName {
    /// No program gives the process more rights.
    NoNewPrivs,
    /// What its user may do beyond his own.
    NoCapabilities,
    /// No core dumps, and no other process of the same user reads its memory.
    Core,
    /// Files and addresses.
    Landlock,
    /// System calls.
    Seccomp,
}

impl LayerName {
    /// Every layer.
    pub const ALL: [Self; 5] = [Self::NoNewPrivs, Self::NoCapabilities, Self::Core, Self::Landlock, Self::Seccomp];
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNewPrivs => "no_new_privs",
            Self::NoCapabilities => "no_capabilities",
            Self::Core => "core",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        })
    }
}

/// How much of a layer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// All of it.
    Whole,
    /// Some of it.
    Part,
    /// Nothing.
    Nothing,
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "holds",
            Self::Part => "holds in part",
            Self::Nothing => "does not hold",
        })
    }
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// How much of it holds.
    pub holds: Holds,
    /// Of Landlock: the version of the kernel's interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abi: Option<i32>,
    /// Why it is not whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Layer {
    /// All of it holds.
    pub(super) const WHOLE: Self = Self { holds: Holds::Whole, abi: None, reason: None };

    /// Nothing of it holds.
    pub(super) fn missing(reason: impl fmt::Display) -> Self {
        Self { holds: Holds::Nothing, abi: None, reason: Some(reason.to_string()) }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.holds)?;
        if let Some(abi) = self.abi {
            write!(f, " (ABI {abi})")?;
        }
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

/// What a process has given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confinement {
    /// No program gives the process more rights.
    pub no_new_privs: Layer,
    /// What its user may do beyond his own.
    pub no_capabilities: Layer,
    /// No core dumps, and no other process of the same user reads its memory.
    pub core: Layer,
    /// Files and addresses.
    pub landlock: Layer,
    /// System calls.
    pub seccomp: Layer,
}

impl Confinement {
    /// The layers by name.
    pub const fn layers(&self) -> [(LayerName, &Layer); 5] {
        [
            (LayerName::NoNewPrivs, &self.no_new_privs),
            (LayerName::NoCapabilities, &self.no_capabilities),
            (LayerName::Core, &self.core),
            (LayerName::Landlock, &self.landlock),
            (LayerName::Seccomp, &self.seccomp),
        ]
    }

    /// Whether all of every layer holds.
    pub fn is_whole(&self) -> bool {
        self.layers().iter().all(|(_, layer)| layer.holds == Holds::Whole)
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, layer)) in self.layers().into_iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{name} {layer}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_holds_and_why_not() {
        let landlock = Layer { holds: Holds::Part, abi: Some(3), reason: Some("no network rules".to_owned()) };
        let confinement = Confinement {
            no_new_privs: Layer::WHOLE,
            no_capabilities: Layer::WHOLE,
            core: Layer::WHOLE,
            landlock,
            seccomp: Layer::missing("not in this kernel"),
        };
        assert!(!confinement.is_whole());
        assert_eq!(
            confinement.to_string(),
            "no_new_privs holds; no_capabilities holds; core holds; landlock holds in part (ABI 3): no network rules; \
             seccomp does not hold: not in this kernel"
        );
        let expected = serde_json::json!({
            "no_new_privs": {"holds": "whole"},
            "no_capabilities": {"holds": "whole"},
            "core": {"holds": "whole"},
            "landlock": {"holds": "part", "abi": 3, "reason": "no network rules"},
            "seccomp": {"holds": "nothing", "reason": "not in this kernel"},
        });
        assert_eq!(serde_json::to_value(&confinement).unwrap(), expected);
    }
}
