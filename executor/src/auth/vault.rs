//! Secrets that must be had again, and so cannot be kept as hashes: encrypted (ChaCha20-Poly1305) with keys of the
//! master secret, each for what it belongs to.

use rand::RngCore;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::SecretSlice;

use super::secret::{Derived, Secrets};

/// What stands before everything that is closed: how it was.
const FORM: u8 = 1;

/// Closes and opens secrets of one purpose.
#[derive(Debug)]
pub struct Vault {
    /// The one in force first.
    keys: Vec<LessSafeKey>,
}

/// It cannot be closed or opened: no key of ours did it, it was changed, or it is something else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret that is kept cannot be opened: was it closed with a master secret that is not given any more?")]
pub struct VaultError;

impl Vault {
    /// For a purpose.
    ///
    /// # Errors
    /// Never, as long as keys have 32 bytes.
    pub fn new(secrets: &Secrets, purpose: &str) -> Result<Self, VaultError> {
        let key = |derived: &Derived| {
            let bytes = derived.tag(&[b"chacha20-poly1305"]);
            UnboundKey::new(&CHACHA20_POLY1305, &bytes).map(LessSafeKey::new).map_err(|_| VaultError)
        };
        let keys = secrets.derive(purpose).iter().map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// Closes a secret of `owner`: it opens for nobody else.
    ///
    /// # Errors
    /// If it is too long to be a secret.
    pub fn close(&self, owner: &[u8], secret: &[u8]) -> Result<Vec<u8>, VaultError> {
        let key = self.keys.first().ok_or(VaultError)?;
        // Random: a key closes far fewer than the 2^32 secrets that would make a repeat likely.
        let mut nonce = [0; NONCE_LEN];
        rand::rng().fill_bytes(&mut nonce);
        let mut text = secret.to_vec();
        let sealed = key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(owner), &mut text);
        sealed.map_err(|_| VaultError)?;
        Ok([[FORM].as_slice(), &nonce, &text].concat())
    }

    /// Opens what was closed for `owner`.
    ///
    /// # Errors
    /// If it was not closed for it, by a key that is accepted.
    pub fn open(&self, owner: &[u8], closed: &[u8]) -> Result<SecretSlice<u8>, VaultError> {
        let (form, rest) = closed.split_first().ok_or(VaultError)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(VaultError)?;
        if *form != FORM {
            return Err(VaultError);
        }
        for key in &self.keys {
            let mut text = text.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            if let Ok(secret) = key.open_in_place(nonce, Aad::from(owner), &mut text) {
                return Ok(SecretSlice::from(secret.to_vec()));
            }
        }
        Err(VaultError)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::auth::secret::MasterSecret;

    fn vault(byte: u8) -> Vault {
        let master = MasterSecret::from_bytes(&[byte; 32]).unwrap();
        Vault::new(&Secrets::only(master), "a purpose").unwrap()
    }

    #[test]
    fn what_was_closed_opens_for_its_owner_alone_and_unchanged() {
        let closed = vault(1).close(b"owner", b"a secret").unwrap();
        assert_eq!(vault(1).open(b"owner", &closed).unwrap().expose_secret(), b"a secret");
        assert!(!closed.windows(6).any(|window| window == b"secret"));
        assert_ne!(closed, vault(1).close(b"owner", b"a secret").unwrap(), "one nonce is used twice");
        assert!(vault(1).open(b"other", &closed).is_err());
        assert!(vault(2).open(b"owner", &closed).is_err());
        for at in 0..closed.len() {
            let mut changed = closed.clone();
            changed[at] ^= 1;
            assert!(vault(1).open(b"owner", &changed).is_err(), "byte {at}");
            assert!(vault(1).open(b"owner", &closed[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn what_the_key_before_closed_still_opens() {
        let closed = vault(1).close(b"owner", b"a secret").unwrap();
        let keys = [vault(2), vault(1)].into_iter().flat_map(|vault| vault.keys).collect();
        assert_eq!(Vault { keys }.open(b"owner", &closed).unwrap().expose_secret(), b"a secret");
    }
}
