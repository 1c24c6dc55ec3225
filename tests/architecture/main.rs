//! The rules of the architecture: which crate may depend on which, where a library may appear, how long a file may be.
//!
//! Each rule is a function from what is there to the list of what breaks it, tried on a tree that breaks it too.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod dependencies;
mod fuzzing;
mod sources;

use std::path::{Path, PathBuf};

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
