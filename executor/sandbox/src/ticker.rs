//! The clock of deadlines: a thread that advances the engine's epoch.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use wasmtime::Engine;

/// Ticks until it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    /// Dropping it ends the thread's wait at once.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// A tick of nothing would keep a core busy: at least a millisecond.
    pub(crate) fn start(engine: Engine, tick: Duration) -> std::io::Result<Self> {
        let tick = tick.max(Duration::from_millis(1));
        let (alive, dropped) = channel::<()>();
        let thread = Builder::new().name("sandbox-epoch".to_owned()).spawn(move || {
            while dropped.recv_timeout(tick) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        })?;
        Ok(Self { alive: Some(alive), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            // It does nothing that could panic, and there is nobody to tell.
            let _ = thread.join();
        }
    }
}
