//! seccomp: which system calls a process may make.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

use super::calls::{self, Calls};
use super::report::Layer;
use super::{Profile, Starts};

/// Refuses all calls that the profile does not name.
pub(super) fn restrict(profile: &Profile) -> Layer {
    let mut filters = Vec::with_capacity(3);
    // The strictest answer of all filters counts: death before an error, an error before leave.
    if profile.starts == Starts::Nothing {
        filters.push((calls::deadly(), SeccompAction::Allow, SeccompAction::KillProcess));
    }
    // Its arguments are in memory, where no filter looks: who is told that there is no such call makes the older one.
    let clone3 = Calls::of(&[libc::SYS_clone3]);
    filters.push((clone3, SeccompAction::Allow, SeccompAction::Errno(errno(libc::ENOSYS))));
    // Last, since it does not allow to install another.
    filters.push((calls::allowed(profile), SeccompAction::Errno(errno(libc::EPERM)), SeccompAction::Allow));
    for (calls, otherwise, action) in filters {
        if let Err(error) = install(calls, otherwise, action) {
            return Layer::missing(error);
        }
    }
    Layer::WHOLE
}

fn errno(code: i32) -> u32 {
    code.unsigned_abs()
}

fn install(calls: Calls, otherwise: SeccompAction, action: SeccompAction) -> Result<(), seccompiler::Error> {
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    let program: BpfProgram = SeccompFilter::new(calls.rules()?, otherwise, action, machine)?.try_into()?;
    apply_filter(&program)
}
