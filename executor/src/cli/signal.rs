//! Ctrl-C and the signal to stop, and the runtime that waits for them.

use std::io;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;

/// Stack of a thread. The compiler recurses as deep as its limits let a rule be, and needs a quarter of this at most.
const STACK_BYTES: usize = 4 << 20;

/// Exit code of a stop that did not wait: as of a process that SIGINT ended.
const EXIT_AT_ONCE: i32 = 130;
/// How long threads have to end when everything else has.
const THREADS_TIME: Duration = Duration::from_secs(2);

/// Does the work of a command that serves. It does not wait for threads that are stuck.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build();
    let runtime = runtime.map_err(Failure::Runtime)?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(THREADS_TIME);
    done
}

/// Ready at the first SIGINT or SIGTERM. From the call on neither ends the process by itself; the second one does, at
/// once.
pub(super) fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut next = async move || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    Ok(async move {
        next().await;
        tokio::spawn(async move {
            next().await;
            tracing::warn!("asked to stop a second time: requests in flight are cut");
            std::process::exit(EXIT_AT_ONCE);
        });
    })
}
