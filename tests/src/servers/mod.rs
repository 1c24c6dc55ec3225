//! Real servers, each private to its test: on a free loopback port, in a temporary directory, stopped by process id.

pub mod authority;
pub mod clock;
pub mod exporters;
pub mod idp;
pub mod nginx;
pub mod pgbouncer;
pub mod postgres;
pub mod prometheus;
pub mod redis;
pub mod standard_webhooks;
pub mod tinyproxy;

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// How long a server may take to start.
const START: Duration = Duration::from_secs(30);

/// Below it are ports of services that may run on the machine.
const FIRST_PORT: u64 = 10_000;

/// A process that ends with its owner, or with the test's process, however that ends.
#[derive(Debug)]
pub struct Guarded(Child);

impl Guarded {
    /// Starts `command`, which the kernel kills if this process dies.
    pub fn spawn(command: &Command) -> Self {
        Self::spawn_as(command, None, "KILL")
    }

    /// Starts `command` as a user and group, for what refuses to be root. The kernel sends it the signal if this
    /// process dies.
    pub fn spawn_as(command: &Command, user: Option<(u32, u32)>, signal: &str) -> Self {
        let mut guarded = Command::new("setpriv");
        if let Some((user, group)) = user {
            guarded.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
        }
        guarded.args(["--pdeathsig", signal, "--"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(name, value),
                None => guarded.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            guarded.current_dir(directory);
        }
        guarded.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(parent::spawn(guarded))
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Waits for its end; whether it went well.
    pub fn wait(&mut self) -> bool {
        self.0.wait().unwrap().success()
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        // A process that has ended already cannot be killed, and need not be.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The thread that starts all servers. The kernel kills a child when the *thread* that started it ends, and a thread of
/// a test, or of a runtime's pool, may end before the test does.
mod parent {
    use super::{Child, Command, LazyLock, Mutex, Sender, channel};

    type Order = (Command, Sender<std::io::Result<Child>>);

    static PARENT: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
        let (orders, received) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in received {
                // Nobody waits for it: then it ends here.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });

    pub(super) fn spawn(command: Command) -> Child {
        let program = format!("{command:?}");
        let (answer, answered) = channel();
        PARENT.lock().unwrap().send((command, answer)).unwrap();
        answered.recv().unwrap().unwrap_or_else(|error| panic!("{program}: {error}; `./tests/run` installs it"))
    }
}

/// A port of loopback that was free a moment ago, of those that the system gives to nobody who asks for any: a server
/// that is stopped for a while finds it free again.
///
/// # Panics
/// If none is free.
pub fn free_port() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let given: u64 = range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768);
    // Tests begin apart from one another.
    let from = RandomState::new().hash_one(std::process::id());
    let tries = (0..1_000).map(|n| FIRST_PORT + from.wrapping_add(n) % (given - FIRST_PORT));
    let mut tries = tries.map(|port| u16::try_from(port).unwrap());
    tries.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).unwrap()
}

/// Waits until a server does what it is for.
///
/// # Panics
/// If it ends, or does not within half a minute.
pub fn wait_until(server: &mut Guarded, name: &str, mut ready: impl FnMut() -> bool) {
    let began = Instant::now();
    while !ready() {
        assert!(!server.has_ended(), "{name} ended instead of starting");
        assert!(began.elapsed() < START, "{name} has not started in {START:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
