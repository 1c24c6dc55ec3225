//! Seals: keyed hashes with the id of their key, so that a secret can be replaced without breaking what it sealed.

use hmac::Mac;
use subtle::ConstantTimeEq;

use super::secret::Derived;
use crate::domain::audit::{Seal, Sealer};

/// Keys of one purpose: the first seals, any of them is known again.
#[derive(Debug)]
pub struct SealKeys(Vec<(u8, Derived)>);

impl SealKeys {
    /// Of these keys, the one in force first.
    pub fn new(keys: Vec<Derived>) -> Self {
        Self(keys.into_iter().map(|key| (id(&key), key)).collect())
    }
}

/// Tells a key from the others, and nothing more of it. Two keys may share an id: both are tried then.
fn id(key: &Derived) -> u8 {
    let hash = tag(key, b"rulebox key id");
    hash.first().copied().unwrap_or_default()
}

fn tag(key: &Derived, bytes: &[u8]) -> [u8; 32] {
    let mut mac = key.mac();
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

impl Sealer for SealKeys {
    fn seal(&self, bytes: &[u8]) -> Seal {
        // There is always one: it is made of the secret in force.
        let Some((id, key)) = self.0.first() else { return Seal::NONE };
        let mut seal = [*id; Seal::BYTES];
        for (to, from) in seal.iter_mut().skip(1).zip(tag(key, bytes)) {
            *to = from;
        }
        Seal(seal)
    }

    fn is_sealed(&self, bytes: &[u8], seal: &Seal) -> bool {
        let Some((by, given)) = seal.0.split_first() else { return false };
        let keys = self.0.iter().filter(|(id, _)| id == by);
        keys.into_iter().any(|(_, key)| bool::from(tag(key, bytes).as_slice().ct_eq(given)))
    }

    fn has_key_of(&self, seal: &Seal) -> bool {
        seal.0.first().is_some_and(|by| self.0.iter().any(|(id, _)| id == by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::secret::MasterSecret;

    fn key(byte: u8) -> Derived {
        MasterSecret::from_bytes(&[byte; 32]).unwrap().derive("a purpose")
    }

    #[test]
    fn what_the_key_before_sealed_still_holds_and_what_a_third_sealed_does_not() {
        let before = SealKeys::new(vec![key(1)]).seal(b"bytes");
        let now = SealKeys::new(vec![key(2), key(1)]);
        assert!(now.is_sealed(b"bytes", &before) && now.is_sealed(b"bytes", &now.seal(b"bytes")));
        assert!(!now.is_sealed(b"bytes", &SealKeys::new(vec![key(3)]).seal(b"bytes")));
        assert!(now.has_key_of(&before) && !SealKeys::new(vec![key(2)]).has_key_of(&before));
        assert!(!now.is_sealed(b"other", &before) && !now.is_sealed(b"bytes", &Seal::NONE));
        for at in 0..Seal::BYTES {
            let mut forged = before;
            forged.0[at] ^= 1;
            assert!(!now.is_sealed(b"bytes", &forged), "byte {at}");
        }
    }
}
