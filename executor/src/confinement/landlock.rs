//! Landlock: which files and addresses a process may name.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd,
    PathFdError, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::ConfinementError;
use super::report::{Holds, Layer};

/// What a whole layer has: files with truncation and devices, TCP, abstract sockets and signals. Linux 6.12.
const WHOLE: ABI = ABI::V6;

/// Refuses all files but these, for reading, all of TCP, and abstract sockets and signals of others.
pub(super) fn restrict(readable: &[PathBuf]) -> Result<Layer, ConfinementError> {
    let readable = readable.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>()?;
    Ok(match restrict_to(readable) {
        Ok(status) => layer(&status),
        Err(error) => Layer::missing(error),
    })
}

/// What a rule is made of.
fn open(path: &Path) -> Result<(PathFd, BitFlags<AccessFs>), ConfinementError> {
    let failed = |source| ConfinementError::Readable { path: path.to_owned(), source };
    let is_dir = path.metadata().map_err(failed)?.is_dir();
    let opened = PathFd::new(path).map_err(|error| match error {
        PathFdError::OpenCall { source, .. } => failed(source),
        other => failed(std::io::Error::other(other)),
    })?;
    let file = AccessFs::ReadFile.into();
    Ok((opened, if is_dir { file | AccessFs::ReadDir } else { file }))
}

fn restrict_to(readable: Vec<(PathFd, BitFlags<AccessFs>)>) -> Result<RestrictionStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(WHOLE))?
        .handle_access(AccessNet::from_all(WHOLE))?
        .scope(Scope::from_all(WHOLE))?
        .create()?;
    for (path, access) in readable {
        rules = rules.add_rule(PathBeneath::new(path, access))?;
    }
    let status = rules.restrict_self()?;
    // Sockets in the file system, where the kernel has rules for them (ABI 9). seccomp refuses the call, with or without.
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::ResolveUnix)?
        .create()?
        .restrict_self()?;
    Ok(status)
}

fn layer(status: &RestrictionStatus) -> Layer {
    let (abi, missing) = match status.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            let abi = kernel_abi.unwrap_or(effective_abi as i32);
            (Some(abi), format!("the kernel has ABI {abi}, and ABI {} has all of it", WHOLE as i32))
        }
        LandlockStatus::NotEnabled => (None, "it is in the kernel, and not turned on at its start (`lsm=`)".to_owned()),
        LandlockStatus::NotImplemented => (None, "the kernel does not have it".to_owned()),
    };
    match status.ruleset {
        RulesetStatus::FullyEnforced => Layer { abi, ..Layer::WHOLE },
        RulesetStatus::PartiallyEnforced => Layer { holds: Holds::Part, abi, reason: Some(missing) },
        RulesetStatus::NotEnforced => Layer { abi, ..Layer::missing(missing) },
    }
}
