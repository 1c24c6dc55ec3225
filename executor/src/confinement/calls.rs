//! The system calls of each profile, and of some of them the arguments.
//!
//! What is not here is refused. To allow one, say what needs it, and what else it would allow.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

use super::{Profile, Sockets, Starts};

/// Calls, each with what its arguments must be: one of several ways, or any.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<c_long, Vec<Vec<Argument>>>);

/// What one argument of a call must be.
#[derive(Clone, Copy, Debug)]
struct Argument {
    /// From 0.
    number: u8,
    size: Size,
    /// The bits that count.
    mask: u64,
    /// What they must be.
    value: u64,
}

/// How much of a register the kernel reads.
#[derive(Clone, Copy, Debug)]
enum Size {
    Int,
    Long,
}

const fn int(number: u8, value: c_long) -> Argument {
    int_bits(number, -1, value)
}

#[expect(clippy::cast_sign_loss, reason = "bits")]
const fn int_bits(number: u8, mask: c_long, value: c_long) -> Argument {
    Argument { number, size: Size::Int, mask: mask as u64 & 0xffff_ffff, value: value as u64 & 0xffff_ffff }
}

#[expect(clippy::cast_sign_loss, reason = "bits")]
const fn long_bits(number: u8, mask: c_long, value: c_long) -> Argument {
    Argument { number, size: Size::Long, mask: mask as u64, value: value as u64 }
}

impl Calls {
    /// These calls, whatever their arguments.
    pub(super) fn of(calls: &[c_long]) -> Self {
        let mut made = Self::default();
        made.any(calls);
        made
    }

    fn any(&mut self, calls: &[c_long]) {
        self.0.extend(calls.iter().map(|call| (*call, Vec::new())));
    }

    /// One more way in which the arguments of a call may be. All of them must be so.
    fn with(&mut self, call: c_long, arguments: &[Argument]) {
        self.0.entry(call).or_default().push(arguments.to_vec());
    }

    /// As the library wants them.
    pub(super) fn rules(self) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
        let condition = |argument: &Argument| {
            let size = match argument.size {
                Size::Int => SeccompCmpArgLen::Dword,
                Size::Long => SeccompCmpArgLen::Qword,
            };
            SeccompCondition::new(argument.number, size, SeccompCmpOp::MaskedEq(argument.mask), argument.value)
        };
        let rule =
            |arguments: &Vec<Argument>| SeccompRule::new(arguments.iter().map(condition).collect::<Result<_, _>>()?);
        self.0.iter().map(|(call, ways)| Ok((*call, ways.iter().map(rule).collect::<Result<_, _>>()?))).collect()
    }
}

/// Memory, locks, time, signals of its own, reading and writing what is open: every program.
const COMMON: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_ppoll,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Answered by a filter of its own.
    libc::SYS_clone3,
];

/// The same, where they have older names.
#[cfg(target_arch = "x86_64")]
const COMMON_OLD: &[c_long] = &[libc::SYS_poll, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const COMMON_OLD: &[c_long] = &[];

/// A server with the listeners that it has.
const ACCEPTING: &[c_long] = &[
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    // How many descriptors it has, by a directory that it opened before.
    libc::SYS_getdents64,
    // Of the processes that it had before: they are not to stay as zombies.
    libc::SYS_wait4,
    libc::SYS_waitid,
];

#[cfg(target_arch = "x86_64")]
const ACCEPTING_OLD: &[c_long] = &[libc::SYS_epoll_wait];
#[cfg(not(target_arch = "x86_64"))]
const ACCEPTING_OLD: &[c_long] = &[];

/// Reading files. Which, Landlock says.
const READING: &[c_long] = &[libc::SYS_statx, libc::SYS_newfstatat, libc::SYS_readlinkat];

/// To start a process of the same program, to hear of its end or bring it about, and to confine it further.
const FORKS: &[c_long] = &[
    libc::SYS_pipe2,
    libc::SYS_dup3,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_kill,
    // What it forks aborts by its own number.
    libc::SYS_tgkill,
    libc::SYS_prctl,
    // Each copy gives up what there may be once more; nothing is had by it.
    libc::SYS_capset,
    libc::SYS_prlimit64,
    libc::SYS_seccomp,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
];

#[cfg(target_arch = "x86_64")]
const FORKS_OLD: &[c_long] = &[libc::SYS_dup2];
#[cfg(not(target_arch = "x86_64"))]
const FORKS_OLD: &[c_long] = &[];

/// What no compiler does: programs, processes, sockets, and the memory of others.
const DEADLY: &[c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_clone,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_mount,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
];

#[cfg(target_arch = "x86_64")]
const DEADLY_OLD: &[c_long] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const DEADLY_OLD: &[c_long] = &[];

/// The calls that kill a process which may start nothing.
pub(super) fn deadly() -> Calls {
    let mut calls = Calls::of(DEADLY);
    calls.any(DEADLY_OLD);
    calls
}

/// The calls that a profile allows.
pub(super) fn allowed(profile: &Profile) -> Calls {
    let mut calls = Calls::of(COMMON);
    calls.any(COMMON_OLD);
    own(&mut calls);
    match profile.starts {
        Starts::Nothing => memory(&mut calls, false),
        Starts::Forks => {
            memory(&mut calls, false);
            calls.any(FORKS);
            calls.any(FORKS_OLD);
            fork(&mut calls);
        }
        Starts::Threads => {
            memory(&mut calls, true);
            threads(&mut calls);
        }
    }
    if profile.sockets == Sockets::Accepting {
        calls.any(ACCEPTING);
        calls.any(ACCEPTING_OLD);
        sockets(&mut calls);
    }
    if profile.readable.is_empty() {
        // Of what is open, and not by name.
        calls.with(libc::SYS_statx, &[int_bits(2, libc::AT_EMPTY_PATH.into(), libc::AT_EMPTY_PATH.into())]);
        calls.with(libc::SYS_newfstatat, &[int_bits(3, libc::AT_EMPTY_PATH.into(), libc::AT_EMPTY_PATH.into())]);
    } else {
        calls.any(READING);
        let writing = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;
        calls.with(libc::SYS_openat, &[int_bits(2, writing.into(), libc::O_RDONLY.into())]);
    }
    calls
}

/// What is about the process itself, and of descriptors it has.
fn own(calls: &mut Calls) {
    // To abort. The number is that of the process which installs the filter.
    let own = std::process::id();
    calls.with(libc::SYS_tgkill, &[int(0, own.into())]);
    for option in [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_GET_DUMPABLE, libc::PR_GET_NO_NEW_PRIVS] {
        calls.with(libc::SYS_prctl, &[int(0, option.into())]);
    }
    // To read limits, not to set them.
    calls.with(libc::SYS_prlimit64, &[int(0, 0), long_bits(2, -1, 0)]);
    for command in [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL, libc::F_DUPFD_CLOEXEC] {
        calls.with(libc::SYS_fcntl, &[int(1, command.into())]);
    }
    // Terminals are asked whether they are; the engine asks which pages of a memory were written to.
    for request in [libc::FIONBIO, libc::FIONREAD, libc::TCGETS, PAGEMAP_SCAN] {
        #[expect(clippy::cast_possible_wrap, reason = "bits")]
        calls.with(libc::SYS_ioctl, &[int(1, request as c_long)]);
    }
}

/// `_IOWR('f', 16, struct pm_scan_arg)`, of Linux 6.7.
const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;

/// Memory; of machine code only what cannot be written at the same time, and nothing out of files.
fn memory(calls: &mut Calls, machine_code: bool) {
    let (write, exec) = (c_long::from(libc::PROT_WRITE), c_long::from(libc::PROT_EXEC));
    calls.with(libc::SYS_mmap, &[int_bits(2, exec, 0)]);
    calls.with(libc::SYS_mprotect, &[int_bits(2, exec, 0)]);
    if machine_code {
        calls.with(libc::SYS_mprotect, &[int_bits(2, write | exec, exec)]);
    }
}

/// What makes a process or a thread live in a world of its own.
const NAMESPACES: c_long = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as c_long;

fn threads(calls: &mut Calls) {
    let thread = c_long::from(libc::CLONE_THREAD);
    calls.with(libc::SYS_clone, &[long_bits(0, NAMESPACES | thread, thread)]);
    // A thread may step back behind the others; not put others back.
    calls.with(libc::SYS_setpriority, &[int(0, c_long::from(libc::PRIO_PROCESS)), int(1, 0)]);
}

fn fork(calls: &mut Calls) {
    let shared = c_long::from(libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_PTRACE | libc::CLONE_PARENT);
    calls.with(libc::SYS_clone, &[long_bits(0, NAMESPACES | shared, 0)]);
}

fn sockets(calls: &mut Calls) {
    // Without an address, and not the data that opens a connection, both of which would be a `connect`.
    calls.with(libc::SYS_sendto, &[int_bits(3, libc::MSG_FASTOPEN.into(), 0), long_bits(4, -1, 0)]);
    for level in [libc::SOL_SOCKET, libc::IPPROTO_TCP] {
        calls.with(libc::SYS_setsockopt, &[int(1, level.into())]);
    }
}
