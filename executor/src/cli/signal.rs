//! Ctrl-C and the signal to stop, and the runtime that waits for them.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;

/// Stack of a thread. The compiler recurses as deep as its limits let a rule be, and needs a quarter of this at most.
const STACK_BYTES: usize = 4 << 20;

/// The runtime of commands that serve.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build().map_err(Failure::Runtime)
}

/// Ready at the first SIGINT or SIGTERM. From the call on neither ends the process by itself.
pub(super) fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
