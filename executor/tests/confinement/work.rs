//! What a confined process is for must go on: the engine with its pool, its traps and its ticker, and a server on a
//! listener that was there before.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use rulebox::confinement::{ConfinementError, Policy, Profile, confine};
use rulebox_sandbox::{Sandbox, SandboxConfig, selftest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::child::{Outside, line};

/// What a process has from before.
pub(crate) struct Before(TcpListener);

impl Before {
    pub(crate) fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// In the confined process.
    pub(crate) fn work(self, what: &str) {
        match what {
            "modules" => {
                for check in selftest::run(&Sandbox::new(SandboxConfig::default()).unwrap()) {
                    println!("{}: {} {}", check.name, check.got, if check.passed { "as expected" } else { "NOT" });
                    assert!(check.passed, "{check:?}");
                }
                println!("outcome done");
            }
            "serve" => self.serve(),
            other => panic!("no work `{other}`"),
        }
    }

    /// Takes one connection on the threads of a runtime, and says everything that it hears once more.
    fn serve(self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            self.0.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(self.0).unwrap();
            println!("address {}", listener.local_addr().unwrap());
            let (mut connection, _) = listener.accept().await.unwrap();
            connection.set_nodelay(true).unwrap();
            let echo = tokio::spawn(async move {
                let mut bytes = [0; 4];
                connection.read_exact(&mut bytes).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                connection.write_all(&bytes).await.unwrap();
            });
            echo.await.unwrap();
            assert_eq!(tokio::task::spawn_blocking(|| 2).await.unwrap(), 2);
            // Signals are heard, by the sockets from before.
            let heard = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
            assert!(heard.is_ok());
        });
        println!("outcome done");
    }
}

#[test]
fn the_engine_works_with_its_pool_its_traps_and_its_ticker() {
    let outside = Outside::new();
    assert_eq!(outside.tried("executor", "no_new_privs core landlock seccomp", "work modules"), "done");
}

#[test]
fn a_listener_from_before_takes_connections() {
    let outside = Outside::new();
    let (mut child, mut said) = outside.start("executor", "no_new_privs core landlock seccomp", "work serve");
    let address = line(&mut said, "address ").unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(b"echo").unwrap();
    let mut heard = [0; 4];
    connection.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"echo");
    assert_eq!(line(&mut said, "outcome ").as_deref(), Some("done"));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_process_of_several_threads_is_not_confined() {
    let (hold, end) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || end.recv());
    let refused = confine(&Profile::executor(Vec::new()), Policy::BestEffort);
    assert!(matches!(refused, Err(ConfinementError::Threads { threads: 2.. })), "{refused:?}");
    drop(hold);
    other.join().unwrap().unwrap_err();
}
