//! Room in memory for results and the answers made of them, over all requests at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pool::PoolError;
use crate::config::Evaluation;

/// Permits are of this many bytes, so that their number fits.
const UNIT_BYTES: usize = 1024;

/// So many bytes.
#[derive(Clone, Debug)]
pub struct Rooms(Arc<Semaphore>);

/// Some of them, until it is dropped.
#[derive(Debug)]
pub struct Room(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Rooms {
    /// Room for this many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS))))
    }

    /// Room for this many values of results.
    ///
    /// # Errors
    /// [`PoolError::Full`] if others have it.
    pub fn take(&self, values: usize) -> Result<Room, PoolError> {
        let full = || PoolError::Full { pool: "answer", retry_after: Duration::from_secs(1) };
        let units = values.saturating_mul(Evaluation::RESULT_BYTES).div_ceil(UNIT_BYTES);
        let units = u32::try_from(units).map_err(|_| full())?;
        Arc::clone(&self.0).try_acquire_many_owned(units).map(Room).map_err(|_| full())
    }
}

impl Room {
    /// Text that keeps the room until the last of it is sent.
    pub fn keep(self, text: Vec<u8>) -> Bytes {
        struct Kept(Vec<u8>, #[expect(dead_code, reason = "held, not read")] Room);
        impl AsRef<[u8]> for Kept {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Bytes::from_owner(Kept(text, self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_comes_back_when_the_last_byte_is_gone() {
        let rooms = Rooms::new(100 * Evaluation::RESULT_BYTES);
        let room = rooms.take(100).unwrap();
        assert!(matches!(rooms.take(1), Err(PoolError::Full { pool: "answer", .. })));
        let text = room.keep(b"text".to_vec());
        let rest = text.slice(2..);
        drop(text);
        assert_eq!(rest.as_ref(), b"xt");
        assert!(rooms.take(1).is_err());
        drop(rest);
        assert!(rooms.take(100).is_ok());
        assert!(rooms.take(usize::MAX).is_err());
    }
}
