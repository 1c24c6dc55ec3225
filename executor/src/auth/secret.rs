//! The master secret and what is derived from it: HKDF-SHA256 (RFC 5869), one key for each purpose.

use std::io::Write;
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use rand::RngCore;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;

/// Bytes of the shortest master secret.
const MIN_BYTES: usize = 32;

/// The secret that all others come from.
#[derive(Debug)]
pub struct MasterSecret(SecretBox<[u8; 32]>);

/// A key for one purpose.
#[derive(Debug)]
pub struct Derived(SecretBox<[u8; 32]>);

/// Why there is no master secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Too few bytes to be one.
    #[error("the master secret has fewer than {MIN_BYTES} bytes")]
    Short,
    /// Its file cannot be read or made.
    #[error("cannot read or make the master secret {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl MasterSecret {
    /// Name of the file that a secret made at the first start is kept in.
    pub const FILE: &str = "master.key";

    /// The configured secret; without one, that of the data directory, which is made if it is not there.
    ///
    /// # Errors
    /// If it is too short, or its file cannot be used.
    pub fn load(configured: Option<&SecretString>, directory: &Path) -> Result<Self, SecretError> {
        if let Some(text) = configured {
            return Self::from_bytes(text.expose_secret().as_bytes());
        }
        let path = directory.join(Self::FILE);
        let failed = |source| SecretError::File { path: path.clone(), source };
        match std::fs::read(&path) {
            Ok(bytes) => Self::from_bytes(&bytes),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let mut bytes = [0; MIN_BYTES];
                rand::rng().fill_bytes(&mut bytes);
                make(&path, &bytes).map_err(failed)?;
                Self::from_bytes(&bytes)
            }
            Err(e) => Err(failed(e)),
        }
    }

    /// A secret of these bytes.
    ///
    /// # Errors
    /// If they are fewer than 32.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        if bytes.len() < MIN_BYTES {
            return Err(SecretError::Short);
        }
        // HKDF-Extract.
        Ok(Self(SecretBox::new(Box::new(hmac(b"rulebox master secret", &[bytes])))))
    }

    /// The key for a purpose.
    pub fn derive(&self, purpose: &str) -> Derived {
        // HKDF-Expand, first block.
        Derived(SecretBox::new(Box::new(hmac(self.0.expose_secret(), &[purpose.as_bytes(), &[1]]))))
    }
}

impl Derived {
    /// A MAC with this key.
    pub(super) fn mac(&self) -> Hmac<Sha256> {
        keyed(self.0.expose_secret())
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length; the block-sized key of the other constructor takes them as they are.
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    <Hmac<Sha256> as hmac::digest::KeyInit>::new(&block)
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Writes the file whole or not at all, readable by its owner alone.
fn make(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let part = path.with_extension("part");
    let mut file = options.open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(part, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivation_is_hkdf() {
        // By Python's hmac and hashlib:
        // prk = hmac(b"rulebox master secret", ikm); okm = hmac(prk, b"key pepper\x01")
        let derived = MasterSecret::from_bytes(&[7; 32]).unwrap().derive("key pepper");
        let expected = [
            0x3e, 0x4c, 0xaa, 0x75, 0xe2, 0x8a, 0xfb, 0xba, 0xdb, 0x56, 0x61, 0x9b, 0xeb, 0xfb, 0x4f, 0xb8, 0x44, 0x83,
            0x00, 0x73, 0x02, 0x87, 0xd6, 0xed, 0x1d, 0x79, 0xb9, 0xb0, 0xa8, 0x01, 0x84, 0x0a,
        ];
        assert_eq!(derived.0.expose_secret(), &expected);
    }

    #[test]
    fn a_secret_is_made_once_kept_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let first = MasterSecret::load(None, directory.path()).unwrap();
        let again = MasterSecret::load(None, directory.path()).unwrap();
        assert_eq!(first.0.expose_secret(), again.0.expose_secret());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(directory.path().join(MasterSecret::FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn short_secrets_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let short = SecretString::from("too short");
        assert!(matches!(MasterSecret::load(Some(&short), directory.path()), Err(SecretError::Short)));
        std::fs::write(directory.path().join(MasterSecret::FILE), b"cut off").unwrap();
        assert!(matches!(MasterSecret::load(None, directory.path()), Err(SecretError::Short)));
    }
}
