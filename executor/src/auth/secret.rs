//! The master secret and what is derived from it: HKDF-SHA256 (RFC 5869), one key for each purpose.

use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use rand::RngCore;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::private_file;
use super::seal::SealKeys;
use crate::store::{PlatformStore, StoreError};

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
    #[error(
        "the master secret (RULEBOX_MASTER_SECRET, or {} in the data directory) has fewer than {MIN_BYTES} bytes",
        MasterSecret::FILE
    )]
    Short,
    /// Too few bytes to be one.
    #[error("RULEBOX_PREVIOUS_MASTER_SECRET has no secret of {MIN_BYTES} bytes or more")]
    ShortFormer,
    /// There is no data directory to keep one in.
    #[error(
        "RULEBOX_MASTER_SECRET is not set: replicas that share a database share a secret of 32 bytes or more; make one \
         with `openssl rand -base64 48`"
    )]
    NotSet,
    /// Its file cannot be read or made.
    #[error("cannot read or make the master secret {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is gone, and another would make every key of the store invalid.
    #[error(
        "RULEBOX_MASTER_SECRET is not set and {} is not there, but the keys of this store were made with a master \
         secret: set it or restore the file from a backup, or set RULEBOX_DATA_DIR to a new directory",
        path.display()
    )]
    Missing {
        /// The file that would hold it.
        path: PathBuf,
    },
    /// It is not the one that the keys of the store were made with.
    #[error(
        "the master secret of {origin} is not the one that the keys of this store were made with, and none of them \
         would be valid: give that one back, or beside the new one as RULEBOX_PREVIOUS_MASTER_SECRET"
    )]
    Different {
        /// A variable or a file.
        origin: String,
    },
    /// The store fails.
    #[error("the master secret cannot be checked: {0}")]
    Store(#[from] StoreError),
}

/// The secret in force, and those before it: what was made with them still holds.
#[derive(Debug)]
pub struct Secrets {
    current: MasterSecret,
    previous: Vec<MasterSecret>,
}

impl Secrets {
    /// The secrets of this store. The current one is the configured one, else that of the data directory, which is
    /// made with a new store; without a directory it must be configured. Each line of `previous` is one before it.
    ///
    /// # Errors
    /// If one is too short, a file cannot be used, or neither is the one that the store was made with.
    pub async fn of_store(
        store: &dyn PlatformStore,
        configured: Option<&SecretString>,
        previous: Option<&SecretString>,
        directory: Option<&Path>,
    ) -> Result<Self, SecretError> {
        let kept = store.secret_check().await?;
        let is_new = kept.is_none() && !store.has_tenant().await?;
        let current = MasterSecret::load(configured, directory, is_new)?;
        let previous = previous.map_or(Ok(Vec::new()), |text| former(text.expose_secret()))?;
        let secrets = Self { current, previous };
        let check = secrets.current.check();
        // Another replica may start at the same time: who comes second finds what the first one kept.
        let kept = match kept {
            None if store.keep_secret_check(None, &check).await? => return Ok(secrets),
            None => store.secret_check().await?.unwrap_or_default(),
            Some(kept) => kept,
        };
        let is = |secret: &MasterSecret| bool::from(kept.ct_eq(&secret.check()));
        if is(&secrets.current) {
            return Ok(secrets);
        }
        if secrets.previous.iter().any(is) {
            // Lost by one of two replicas that are started together, and then the other has done it.
            store.keep_secret_check(Some(&kept), &check).await?;
            return Ok(secrets);
        }
        let file = || directory.map_or_else(String::new, |d| d.join(MasterSecret::FILE).display().to_string());
        let origin = configured.map_or_else(file, |_| "RULEBOX_MASTER_SECRET".to_owned());
        Err(SecretError::Different { origin })
    }

    /// One secret alone: tests, and tools beside the service.
    pub const fn only(current: MasterSecret) -> Self {
        Self { current, previous: Vec::new() }
    }

    /// The keys for a purpose: what is made uses the first.
    pub fn derive(&self, purpose: &str) -> Vec<Derived> {
        let secrets = std::iter::once(&self.current).chain(&self.previous);
        secrets.map(|secret| secret.derive(purpose)).collect()
    }

    /// What seals things for a purpose, and knows its seals again.
    pub fn sealer(&self, purpose: &str) -> SealKeys {
        SealKeys::new(self.derive(purpose))
    }
}

/// The secrets of a text, one a line; and all of it, since a secret may have lines.
fn former(text: &str) -> Result<Vec<MasterSecret>, SecretError> {
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    let whole = (lines != [text]).then_some(text);
    let long = |text: &&str| text.len() >= MIN_BYTES;
    // A short line is a part of a secret, or a slip.
    if !lines.iter().any(long) && !whole.iter().any(long) {
        return Err(SecretError::ShortFormer);
    }
    lines.into_iter().chain(whole).filter(long).map(|text| MasterSecret::from_bytes(text.as_bytes())).collect()
}

impl MasterSecret {
    /// Name of the file that a secret made at the first start is kept in.
    pub const FILE: &str = "master.key";

    fn load(configured: Option<&SecretString>, directory: Option<&Path>, may_make: bool) -> Result<Self, SecretError> {
        if let Some(text) = configured {
            return Self::from_bytes(text.expose_secret().as_bytes());
        }
        let directory = directory.ok_or(SecretError::NotSet)?;
        let path = directory.join(Self::FILE);
        let failed = |source| SecretError::File { path: path.clone(), source };
        match std::fs::read(&path) {
            Ok(bytes) => Self::from_bytes(&bytes),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !may_make => Err(SecretError::Missing { path }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let mut bytes = [0; MIN_BYTES];
                rand::rng().fill_bytes(&mut bytes);
                private_file::write(&path, &bytes).map_err(failed)?;
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

    /// What tells this secret from another, and nothing more: it may be kept in the open.
    fn check(&self) -> [u8; 32] {
        *self.derive("check").0.expose_secret()
    }

    /// The key for a purpose.
    pub fn derive(&self, purpose: &str) -> Derived {
        // HKDF-Expand, first block.
        Derived(SecretBox::new(Box::new(hmac(self.0.expose_secret(), &[purpose.as_bytes(), &[1]]))))
    }
}

impl Derived {
    /// HMAC-SHA256 of some parts, each with its length before it, so that no two lists of parts are one text.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.mac();
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

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
        let missing = MasterSecret::load(None, Some(directory.path()), false);
        assert!(matches!(missing, Err(SecretError::Missing { .. })), "{missing:?}");
        let first = MasterSecret::load(None, Some(directory.path()), true).unwrap();
        let again = MasterSecret::load(None, Some(directory.path()), false).unwrap();
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
        assert!(matches!(MasterSecret::load(Some(&short), Some(directory.path()), true), Err(SecretError::Short)));
        std::fs::write(directory.path().join(MasterSecret::FILE), b"cut off").unwrap();
        assert!(matches!(MasterSecret::load(None, Some(directory.path()), true), Err(SecretError::Short)));
    }
}
