//! Something that is read from the store again and again, and rarely changes.

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::generations::Generations;
use crate::domain::audit::Chain;

/// Nothing is remembered for longer, in case that somebody changes the tables by hand.
const LONGEST: Duration = Duration::from_mins(1);

/// Values of the store by key. Cheap to clone.
#[derive(Clone)]
pub struct Remembered<K, V> {
    values: Cache<K, (u64, Chain, V)>,
    generations: Arc<Generations>,
}

impl<K, V> Remembered<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// At most so many.
    pub fn new(most: u64, generations: Arc<Generations>) -> Self {
        Self { values: Cache::builder().max_capacity(most).time_to_live(LONGEST).build(), generations }
    }

    /// The value of a key, as it was not longer than a second or two ago; `load` reads it, and `chain` says whose it is.
    ///
    /// # Errors
    /// Those of `load`, which are not remembered.
    pub async fn get<E>(
        &self,
        key: K,
        chain: impl FnOnce(&V) -> Chain + Send,
        load: impl Future<Output = Result<V, E>> + Send,
    ) -> Result<V, E> {
        let trusted = self.generations.is_trusted();
        if trusted
            && let Some((generation, owner, value)) = self.values.get(&key)
            && generation == self.generations.of(owner)
        {
            return Ok(value);
        }
        let before = self.generations.count();
        let value = load.await?;
        let owner = chain(&value);
        let generation = self.generations.of(owner);
        // A change while it was read may or may not be in it.
        if trusted && before == self.generations.count() {
            self.values.insert(key, (generation, owner, value.clone()));
        }
        Ok(value)
    }
}

impl<K, V> std::fmt::Debug for Remembered<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remembered").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Instant;

    use uuid::Uuid;

    use super::*;
    use crate::domain::at::At;
    use crate::domain::caller::TenantId;

    fn chain(n: u128) -> Chain {
        Chain(Some(TenantId::from_store(Uuid::from_u128(n))))
    }

    struct Reader {
        remembered: Remembered<u32, u32>,
        generations: Arc<Generations>,
        loads: std::sync::atomic::AtomicU32,
    }

    impl Reader {
        fn new() -> Self {
            let generations = Arc::new(Generations::new());
            let remembered = Remembered::new(10, Arc::clone(&generations));
            Self { remembered, generations, loads: 0.into() }
        }

        /// Which load the value is of.
        async fn get(&self) -> u32 {
            let load = async { Ok::<_, Infallible>(self.loads.fetch_add(1, std::sync::atomic::Ordering::SeqCst)) };
            self.remembered.get(1, |_| chain(7), load).await.unwrap()
        }
    }

    #[tokio::test]
    async fn a_value_is_read_again_after_a_change_of_its_tenant_and_not_of_another() {
        let reader = Reader::new();
        reader.generations.heard(Instant::now(), At::now());
        assert_eq!((reader.get().await, reader.get().await), (0, 0));
        let other = (1..10_000).map(chain).find(|other| !reader.generations.share_a_slot(*other, chain(7))).unwrap();
        reader.generations.changed(other);
        assert_eq!(reader.get().await, 0);
        reader.generations.changed(chain(7));
        assert_eq!((reader.get().await, reader.get().await), (1, 1));
        reader.generations.everything_changed();
        assert_eq!((reader.get().await, reader.get().await), (2, 2));
    }

    #[tokio::test]
    async fn nothing_is_remembered_while_the_store_is_not_heard_of() {
        let reader = Reader::new();
        assert_eq!((reader.get().await, reader.get().await), (0, 1));
    }

    #[tokio::test]
    async fn what_changes_while_it_is_read_is_not_remembered() {
        let reader = Reader::new();
        reader.generations.heard(Instant::now(), At::now());
        let load = async {
            reader.generations.changed(chain(7));
            Ok::<_, Infallible>(99)
        };
        assert_eq!(reader.remembered.get(1, |_| chain(7), load).await.unwrap(), 99);
        assert_eq!(reader.get().await, 0, "the raced value was not kept");
    }
}
