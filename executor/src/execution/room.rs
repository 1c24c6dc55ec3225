//! Room in memory for results and the answers made of them, over all requests at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pool::PoolError;
use crate::config::Evaluation;
use crate::domain::caller::TenantId;

/// Permits are of this many bytes, so that their number fits.
const UNIT_BYTES: usize = 1024;

/// So many bytes.
#[derive(Clone, Debug)]
pub struct Rooms {
    free: Arc<Semaphore>,
    /// Of a tenant that holds some already: so nobody who does not take his answers takes the room of all.
    most_of_tenant: u32,
    held: Arc<Mutex<HashMap<TenantId, u32>>>,
}

/// Some of them, until it is dropped.
#[derive(Debug)]
pub struct Room {
    of: Rooms,
    tenant: TenantId,
    units: u32,
    _permit: OwnedSemaphorePermit,
}

impl Rooms {
    /// Room for this many bytes.
    pub fn new(bytes: usize) -> Self {
        let units = bytes.div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(units)),
            most_of_tenant: u32::try_from(units / 2).unwrap_or(u32::MAX),
            held: Arc::default(),
        }
    }

    /// Room for this many values of results: any that there is for a tenant that holds none, and else up to half of all.
    ///
    /// # Errors
    /// [`PoolError::Full`] if others have it, or the tenant has its part.
    pub fn take(&self, tenant: TenantId, values: usize) -> Result<Room, PoolError> {
        let full = || PoolError::Full { pool: "answer", retry_after: Duration::from_secs(1) };
        let units = values.saturating_mul(Evaluation::RESULT_BYTES).div_ceil(UNIT_BYTES);
        let units = u32::try_from(units).map_err(|_| full())?;
        let mut held = self.held();
        let before = held.get(&tenant).copied().unwrap_or_default();
        let after = before.checked_add(units).filter(|after| before == 0 || *after <= self.most_of_tenant);
        let after = after.ok_or_else(full)?;
        let permit = Arc::clone(&self.free).try_acquire_many_owned(units).map_err(|_| full())?;
        held.insert(tenant, after);
        Ok(Room { of: self.clone(), tenant, units, _permit: permit })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<TenantId, u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut held = self.of.held();
        let rest = held.get(&self.tenant).copied().unwrap_or_default().saturating_sub(self.units);
        match rest {
            0 => drop(held.remove(&self.tenant)),
            rest => drop(held.insert(self.tenant, rest)),
        }
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
        let [one, other] = [1, 2].map(|n| TenantId::from_store(uuid::Uuid::from_u128(n)));
        let room = rooms.take(one, 100).unwrap();
        assert!(matches!(rooms.take(other, 1), Err(PoolError::Full { pool: "answer", .. })));
        let text = room.keep(b"text".to_vec());
        let rest = text.slice(2..);
        drop(text);
        assert_eq!(rest.as_ref(), b"xt");
        assert!(rooms.take(other, 1).is_err());
        drop(rest);
        assert!(rooms.take(other, 100).is_ok());
        assert!(rooms.take(other, usize::MAX).is_err());
    }

    #[test]
    fn a_tenant_that_holds_some_may_have_half() {
        let values = UNIT_BYTES / Evaluation::RESULT_BYTES;
        let rooms = Rooms::new(10 * UNIT_BYTES);
        let [one, other] = [1, 2].map(|n| TenantId::from_store(uuid::Uuid::from_u128(n)));
        let mut held: Vec<_> = (0..5).map(|_| rooms.take(one, values).unwrap()).collect();
        assert!(rooms.take(one, values).is_err());
        assert!(rooms.take(other, 5 * values).is_ok());
        held.pop();
        assert!(rooms.take(one, values).is_ok());
        drop(held);
        assert!(rooms.take(one, 10 * values).is_ok() && rooms.held().is_empty());
    }
}
