//! Settings of where compiled code is kept.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Settings of where compiled code is kept, so that it need not be compiled again: by a process that runs modules itself
/// and holds the master secret (role `all`). The others keep none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeCache {
    /// The directory, of this user alone. It is made if it is not there; without it no code is kept on disk.
    pub directory: Option<PathBuf>,
    /// Bytes of all files in it. What was not used for the longest makes room.
    pub bytes: u64,
    /// Bytes of compiled code in Redis, where replicas find what another has compiled; 0: none.
    pub redis_bytes: u64,
}

impl Default for CodeCache {
    fn default() -> Self {
        Self { directory: None, bytes: 1 << 30, redis_bytes: 0 }
    }
}
