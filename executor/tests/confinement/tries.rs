//! Everything that a confined process might try. Raw system calls where no library offers the call.

#![expect(unsafe_code, reason = "system calls with arguments that the kernel refuses before it looks at them")]

use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::child::Known;

/// What came of it: `allowed`, or the name of the error.
pub(crate) fn try_it(what: &str, known: &Known) -> String {
    match attempt(what, known) {
        Ok(()) => "allowed".to_owned(),
        Err(error) => match error.raw_os_error() {
            Some(libc::EPERM) => "EPERM".to_owned(),
            Some(libc::EACCES) => "EACCES".to_owned(),
            _ => error.to_string(),
        },
    }
}

fn attempt(what: &str, known: &Known) -> io::Result<()> {
    let at = |name: &str| known.place.join(name);
    match what {
        "read outside" => drop(std::fs::read(at("file"))?),
        "read upwards" => drop(std::fs::read(at("inside/../file"))?),
        "read its own environment" => drop(std::fs::read("/proc/self/environ")?),
        "list outside" => drop(std::fs::read_dir(&known.place)?),
        "read inside" => drop(std::fs::read(at("inside/file"))?),
        "list inside" => drop(std::fs::read_dir(at("inside"))?.collect::<io::Result<Vec<_>>>()?),
        "write outside" => std::fs::write(at("new"), "")?,
        "write inside" => std::fs::write(at("inside/file"), "")?,
        "create inside" => std::fs::write(at("inside/new"), "")?,
        "remove inside" => std::fs::remove_file(at("inside/file"))?,
        "rename inside" => std::fs::rename(at("inside/file"), at("inside/new"))?,
        "connect by TCP" => drop(TcpStream::connect(known.tcp)?),
        "send by UDP" => drop(UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", known.udp)?),
        "connect by Unix socket" => drop(UnixStream::connect(at("socket"))?),
        "connect by abstract socket" => drop(UnixStream::connect_addr(&known.abstract_unix)?),
        "bind TCP" => drop(TcpListener::bind("127.0.0.1:0")?),
        "bind UDP" => drop(UdpSocket::bind("127.0.0.1:0")?),
        "make a pair of sockets" => drop(UnixStream::pair()?),
        "exec" => return Err(Command::new("/bin/true").exec()),
        "start a program" => drop(Command::new("/bin/true").status()?),
        "start a thread" => drop(std::thread::Builder::new().spawn(|| ())?.join()),
        "abort" => std::process::abort(),
        "be without new rights" => return is(rustix::thread::no_new_privs()?),
        "be without dumps" => {
            let core = rustix::process::getrlimit(rustix::process::Resource::Core);
            let dumpable = rustix::process::dumpable_behavior()?;
            return is(dumpable == rustix::process::DumpableBehavior::NotDumpable && core.maximum == Some(0));
        }
        "be of few threads" => return is(std::thread::available_parallelism().is_ok()),
        other => return call(other, known),
    }
    Ok(())
}

fn is(it: bool) -> io::Result<()> {
    it.then_some(()).ok_or_else(|| io::Error::other("it is not"))
}

/// The calls for which there is no safe function. What is not refused fails for want of sense in its arguments.
fn call(what: &str, known: &Known) -> io::Result<()> {
    let parent = i64::from(known.parent);
    let (number, arguments) = match what {
        "fork" => (libc::SYS_clone, [i64::from(libc::SIGCHLD), 0, 0, 0, 0]),
        "fork by clone3" => (libc::SYS_clone3, [0; 5]),
        "kill its parent" => (libc::SYS_kill, [parent, 0, 0, 0, 0]),
        "signal a thread of its parent" => (libc::SYS_tgkill, [parent, parent, 0, 0, 0]),
        "step back" => (libc::SYS_setpriority, [libc::PRIO_PROCESS.into(), 0, 10, 0, 0]),
        "put its parent back" => (libc::SYS_setpriority, [libc::PRIO_PROCESS.into(), parent, 10, 0, 0]),
        "trace its parent" => (libc::SYS_ptrace, [i64::from(libc::PTRACE_ATTACH), parent, 0, 0, 0]),
        "read its parent's memory" => (libc::SYS_process_vm_readv, [parent, 0, 0, 0, 0]),
        "open its parent" => (libc::SYS_pidfd_open, [parent, 0, 0, 0, 0]),
        "mount" => (libc::SYS_mount, [0; 5]),
        "unshare" => (libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0, 0]),
        "setns" => (libc::SYS_setns, [0; 5]),
        "use keys" => (libc::SYS_keyctl, [0, -1, 0, 0, 0]),
        "load BPF" => (libc::SYS_bpf, [0; 5]),
        "use io_uring" => (libc::SYS_io_uring_setup, [1, 0, 0, 0, 0]),
        "handle page faults" => (libc::SYS_userfaultfd, [0; 5]),
        "count events" => (libc::SYS_perf_event_open, [0; 5]),
        "load a module" => (libc::SYS_finit_module, [-1, 0, 0, 0, 0]),
        "change its limits" => {
            // Lower, which takes no right. Static, since the call comes after this arm.
            static LOWER: libc::rlimit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
            let limit = std::ptr::from_ref(&LOWER).expose_provenance();
            (libc::SYS_prlimit64, [0, libc::RLIMIT_NPROC.into(), i64::try_from(limit).unwrap(), 0, 0])
        }
        "send with an address" => (libc::SYS_sendto, [0, 0, 0, 0, 1]),
        "send and connect" => (libc::SYS_sendto, [0, 0, 0, libc::MSG_FASTOPEN.into(), 0]),
        "pass descriptors" => (libc::SYS_sendmsg, [0; 5]),
        "map writable code" => {
            let both = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
            (libc::SYS_mmap, [0, 4096, both.into(), (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS).into(), -1])
        }
        "make machine code" => {
            let both = libc::PROT_READ | libc::PROT_EXEC;
            (libc::SYS_mprotect, [0, 0, both.into(), 0, 0])
        }
        other => panic!("no try `{other}`"),
    };
    let [first, second, third, fourth, fifth] = arguments;
    // SAFETY: none of these calls writes to memory of this process with these arguments; what it makes of the process
    // is over with the process, which ends after the try.
    match unsafe { libc::syscall(number, first, second, third, fourth, fifth, 0) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
