//! Where compiled code is kept between processes. Nobody believes such a place: whoever reads from it holds what it
//! finds against a MAC.

use std::fmt::Debug;

/// A place that keeps compiled code: a directory, or Redis. It loses what it likes.
///
/// Synchronous: not for async threads.
pub trait CodeStore: Debug + Send + Sync {
    /// Its name in metrics and records.
    fn tier(&self) -> &'static str;

    /// Bytes of the longest entry that it keeps. A longer one is not there, whatever is found.
    fn longest(&self) -> usize;

    /// What is there under a name: at most [`CodeStore::longest`] bytes of anybody's.
    ///
    /// # Errors
    /// If it is away.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, CodeStoreError>;

    /// Keeps an entry, and makes room for it among those that have not been asked for the longest.
    ///
    /// # Errors
    /// If it is away or full.
    fn put(&self, name: &str, entry: &[u8]) -> Result<(), CodeStoreError>;

    /// Forgets an entry, if it is there.
    ///
    /// # Errors
    /// If it is away.
    fn remove(&self, name: &str) -> Result<(), CodeStoreError>;
}

/// A place that keeps compiled code cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum CodeStoreError {
    /// The system says so.
    #[error("the directory of compiled code fails")]
    Directory(#[from] std::io::Error),
    /// What replicas share is away.
    #[error("the shared state keeps no compiled code")]
    Shared(#[source] Box<dyn std::error::Error + Send + Sync>),
}
