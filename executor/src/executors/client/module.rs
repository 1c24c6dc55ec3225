//! A module that runs in executors.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rulebox_sandbox::{Digest, Outline, Refusal, RunError};

use super::Shared;
use super::believed;
use super::exchange::{self, Lost};
use super::peer::Held;
use super::run::RemoteRun;
use super::tried::Tried;
use crate::execution::engine::{Module, Run, Setup, Unloaded};
use crate::execution::fair::Owner;
use crate::execution::modules::LoadError;
use crate::execution::threads::owner_of_work;

/// A module, and the bytes of it for executors that do not have it.
#[derive(Clone, Debug)]
pub(super) struct RemoteModule {
    pub(super) shared: Arc<Shared>,
    pub(super) digest: Digest,
    pub(super) bytes: Bytes,
    /// By our compiler.
    pub(super) compiled: bool,
    pub(super) has_state: bool,
}

impl RemoteModule {
    pub(super) fn new(shared: Arc<Shared>, unloaded: Unloaded<'_>) -> Self {
        let Unloaded { digest, bytes, compiled } = unloaded;
        // What passed the gate can be read.
        let has_state = Outline::read(bytes).is_ok_and(|outline| outline.has_state);
        Self { shared, digest, bytes: Bytes::copy_from_slice(bytes), compiled, has_state }
    }

    /// Has an executor load it, to learn whether it is taken.
    pub(super) async fn load(&self) -> Result<(), LoadError> {
        let (mut tried, owner) = (Tried::default(), owner_of_work());
        // What one has said, until another one has been asked.
        let mut doubted = None;
        let within = self.shared.options.patience.load;
        loop {
            let failed = match self.shared.pick(owner, tried.peers()).await {
                Ok((mut held, _batching)) => match self.put(&mut held, owner, within).await {
                    Ok(Ok(())) => {
                        tried.done();
                        return Ok(());
                    }
                    // What our compiler makes is taken.
                    Ok(Err(refused)) => {
                        if self.compiled && tried.doubts(&self.shared, held) {
                            doubted = Some(refused);
                            continue;
                        }
                        return Err(refused);
                    }
                    Err(lost) => tried.after(self, owner, Some(held), lost).await,
                },
                Err(error) => Err(error),
            };
            if let Err(error) = failed {
                return Err(doubted.unwrap_or(LoadError::Away(error)));
            }
        }
    }

    /// Hands it to an executor that does not have it.
    pub(super) async fn put(
        &self,
        held: &mut Held,
        owner: Owner,
        within: Duration,
    ) -> Result<Result<(), LoadError>, Lost> {
        match exchange::put_module(held, self, owner, within).await? {
            Ok(()) => Ok(Ok(())),
            Err(refusal) => {
                let refusal: Refusal = postcard::from_bytes(&refusal).map_err(|error| Lost::Nonsense(error.into()))?;
                Ok(Err(LoadError::Refused(believed::refusal(&refusal)?)))
            }
        }
    }
}

impl Module for RemoteModule {
    fn begin(&self, setup: Setup<'_>, state: Option<&[u8]>, keeps: bool) -> Result<Box<dyn Run>, RunError> {
        Ok(Box::new(RemoteRun::new(self.clone(), setup, state, keeps)))
    }
}
