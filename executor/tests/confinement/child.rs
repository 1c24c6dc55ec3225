//! The process that is confined, and what its parent gives it to try things on.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use rulebox::confinement::{Holds, LayerName, OnlyThread, Profile, confine_in, prepare};
use rustix::process::WaitOptions;

use crate::{tries, work};

/// Names of variables, which are the child's arguments.
const PROFILE: &str = "CONFINED_PROFILE";
const LAYERS: &str = "CONFINED_LAYERS";
const TRY: &str = "CONFINED_TRY";
const PLACE: &str = "CONFINED_PLACE";

/// Everything that a confined process may try to reach. Alive for as long as this is.
pub(crate) struct Outside {
    pub(crate) place: tempfile::TempDir,
    tcp: TcpListener,
    udp: UdpSocket,
    _unix: UnixListener,
    _abstract_unix: UnixListener,
}

impl Outside {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("inside")).unwrap();
        std::fs::write(place.path().join("inside/file"), "may be read").unwrap();
        std::fs::write(place.path().join("file"), "may not be read").unwrap();
        let name = UnixAddr::from_abstract_name(abstract_name(place.path())).unwrap();
        let this = Self {
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            _unix: UnixListener::bind(place.path().join("socket")).unwrap(),
            _abstract_unix: UnixListener::bind_addr(&name).unwrap(),
            place,
        };
        let addresses = format!("{} {}", this.tcp.local_addr().unwrap(), this.udp.local_addr().unwrap());
        std::fs::write(this.place.path().join("addresses"), addresses).unwrap();
        this
    }

    /// Starts the child.
    pub(crate) fn start(&self, profile: &str, layers: &str, what: &str) -> (Child, BufReader<ChildStdout>) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::confined", "--nocapture"])
            .envs([(PROFILE, profile), (LAYERS, layers), (TRY, what)])
            .env(PLACE, self.place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        (child, said)
    }

    /// What came of a try: what the child said, or the signal that it died of.
    pub(crate) fn tried(&self, profile: &str, layers: &str, what: &str) -> String {
        let (mut child, mut said) = self.start(profile, layers, what);
        let outcome = line(&mut said, "outcome ");
        let status = child.wait().unwrap();
        outcome.unwrap_or_else(|| format!("nothing was said, {status}"))
    }
}

/// The first line with this beginning, without it.
pub(crate) fn line(said: &mut impl BufRead, beginning: &str) -> Option<String> {
    said.lines().map_while(Result::ok).find_map(|line| Some(line.split_once(beginning)?.1.to_owned()))
}

fn abstract_name(place: &std::path::Path) -> Vec<u8> {
    place.to_str().unwrap().bytes().collect()
}

/// What the child knows of the outside.
pub(crate) struct Known {
    pub(crate) place: PathBuf,
    pub(crate) tcp: SocketAddr,
    pub(crate) udp: SocketAddr,
    pub(crate) abstract_unix: UnixAddr,
    pub(crate) parent: u32,
}

impl Known {
    fn read() -> Self {
        let place = PathBuf::from(std::env::var_os(PLACE).unwrap());
        let addresses = std::fs::read_to_string(place.join("addresses")).unwrap();
        let (tcp, udp) = addresses.split_once(' ').unwrap();
        let abstract_unix = UnixAddr::from_abstract_name(abstract_name(&place)).unwrap();
        let parent = std::os::unix::process::parent_id();
        Self { tcp: tcp.parse().unwrap(), udp: udp.parse().unwrap(), place, abstract_unix, parent }
    }
}

/// The child. Of those who run all tests it wants nothing, and says so.
///
/// The harness runs a test on a second thread; a process that it forks has that one alone.
#[test]
fn confined() {
    let Ok(profile) = std::env::var(PROFILE) else {
        println!("started by the other tests, confined");
        return;
    };
    // SAFETY: the other thread waits for this one, and holds no lock that the child could want.
    #[expect(unsafe_code, reason = "no library offers it")]
    match unsafe { libc::fork() } {
        0 => {
            let done = std::panic::catch_unwind(|| confine_and_try(&profile));
            // Without the harness's own end, which is none of a confined process' business.
            std::process::exit(i32::from(done.is_err()));
        }
        child => {
            let child = rustix::process::Pid::from_raw(child).unwrap();
            let (_, status) = rustix::process::waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
            match status.terminating_signal() {
                Some(signal) => println!("outcome signal {signal}"),
                None => assert_eq!(status.exit_status(), Some(0)),
            }
        }
    }
}

fn confine_and_try(profile: &str) {
    let known = Known::read();
    let profile = match profile {
        "compile_worker" => Profile::compile_worker(),
        "executor" => Profile::executor(vec![known.place.join("inside")]),
        other => panic!("no profile {other}"),
    };
    let layers = std::env::var(LAYERS).unwrap();
    let layers: Vec<_> = LayerName::ALL.into_iter().filter(|name| layers.contains(&name.to_string())).collect();
    let what = std::env::var(TRY).unwrap();
    prepare().unwrap();
    let before = work::Before::new();
    let confinement = confine_in(&profile, &layers, &OnlyThread::of_process().unwrap()).unwrap();
    println!("layers {confinement}");
    for (name, layer) in confinement.layers() {
        // An older kernel's Landlock holds in part.
        let expected =
            if layers.contains(&name) { layer.holds != Holds::Nothing } else { layer.holds == Holds::Nothing };
        assert!(expected, "{name} {layer}");
    }
    match what.strip_prefix("work ") {
        Some(work) => before.work(work),
        None => println!("outcome {}", tries::try_it(&what, &known)),
    }
}
