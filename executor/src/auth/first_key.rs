//! The key of the first tenant. It is in a file before it is valid, so that whatever fails after that, it is not lost:
//! only its hash is in the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::key::ApiKey;
use super::keyring::{Denied, Keyring};
use super::private_file;
use crate::domain::audit::Sealer;
use crate::domain::caller::{Actor, Role};
use crate::domain::tenant::TenantName;
use crate::store::{Change, PlatformStore, StoreError};

/// The first key and the file that it is in, until somebody deletes that.
#[derive(Debug)]
pub struct FirstKey {
    /// The file.
    pub path: PathBuf,
    /// The key, if it was made just now.
    pub made: Option<SecretString>,
}

/// The first key could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FirstKeyError {
    /// Its file cannot be written.
    #[error("the first key cannot be kept in {}: {source}; make the data directory writable", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store fails.
    #[error("the first key cannot be stored: {0}")]
    Store(#[from] StoreError),
}

impl FirstKey {
    /// Name of the file in the data directory.
    pub const FILE: &str = "first.key";

    /// Makes the first tenant and its key if the store has no tenant. Else finds the file, if it is there still and
    /// the key in it is valid.
    ///
    /// # Errors
    /// If the file cannot be written, or the store fails. Nothing is lost by trying again.
    pub async fn ensure(
        keyring: &Keyring,
        store: &dyn PlatformStore,
        sealer: Arc<dyn Sealer>,
        directory: &Path,
    ) -> Result<Option<Self>, FirstKeyError> {
        let path = directory.join(Self::FILE);
        if keyring.has_tenant().await? {
            // Gone, or anything else: it has served its purpose.
            let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
            return match keyring.authenticate(text.trim()).await {
                Ok(_) => Ok(Some(Self { path, made: None })),
                Err(Denied::Store(error)) => Err(error.into()),
                Err(Denied::Missing | Denied::Invalid | Denied::Forbidden { .. } | Denied::Issuer(_)) => Ok(None),
            };
        }
        let failed = |source| FirstKeyError::File { path: path.clone(), source };
        // A store that is no file has made no directory.
        private_file::make_directory(directory).map_err(failed)?;
        let key = ApiKey::generate();
        let line = SecretString::from(format!("{}\n", key.text().expose_secret()));
        private_file::write(&path, line.expose_secret().as_bytes()).map_err(failed)?;
        let record = keyring.record(&key, "first".to_owned(), Role::OF_TENANT.to_vec(), None);
        let change = Change { actor: Actor::service(), request_id: String::new(), sealer, claim: None };
        let made = store.create_first_tenant(&TenantName::default(), &record, &change).await?;
        if !made {
            // Another replica was quicker, and has shown its key. In a directory that both have, this may be its file.
            let ours = std::fs::read(&path).is_ok_and(|bytes| bytes == line.expose_secret().as_bytes());
            if ours && let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(%error, path = %path.display(), "a key that is not valid is left there");
            }
            return Ok(None);
        }
        Ok(Some(Self { path, made: Some(key.text().clone()) }))
    }
}
