//! Mutual TLS between the API and its executors: one private authority signs both sides' certificates, and neither
//! talks to anybody whom it has not signed. Files that change are read anew.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::telemetry::chain;

mod purpose;

/// What both sides speak inside TLS.
const HTTP2: &[u8] = b"h2";
/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// Where a certificate is, the key of it, and the certificate of the authority that signs the other side's. PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Of the authority. It should sign for nothing else.
    pub authority: PathBuf,
    /// One's own, with those between it and the authority behind it.
    pub certificate: PathBuf,
    /// One's own.
    pub key: PathBuf,
}

/// The files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// One does not hold what it should.
    #[error("{path} does not hold {what} in PEM: {source}")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        source: rustls::pki_types::pem::Error,
    },
    /// They do not fit each other.
    #[error("{certificate} and {key} cannot be used together, or with {authority}: {source}")]
    Unfit {
        /// One's own.
        certificate: PathBuf,
        /// One's own.
        key: PathBuf,
        /// Of the authority.
        authority: PathBuf,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What the files hold, as bytes, to see whether they have changed.
#[derive(PartialEq, Eq)]
struct Contents([Vec<u8>; 3]);

/// Both sides' configurations, from files that may change.
pub struct Identity {
    files: Files,
    current: Mutex<Current>,
    renewed: Notify,
}

struct Current {
    contents: Contents,
    expires_at: i64,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads the files.
    ///
    /// # Errors
    /// If one is not there or does not hold what it should, or they do not fit.
    pub fn open(files: Files) -> Result<Self, TlsError> {
        let current = Mutex::new(files.read()?.current(&files)?);
        Ok(Self { files, current, renewed: Notify::new() })
    }

    /// To connect with.
    pub fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.lock().client)
    }

    /// To accept with.
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.lock().server)
    }

    /// When the first of its certificates is over, the authority's among them: seconds since 1970.
    pub fn expires_at(&self) -> i64 {
        self.lock().expires_at
    }

    /// The directories of the files, which must stay readable.
    pub fn directories(&self) -> Vec<PathBuf> {
        let Files { authority, certificate, key } = &self.files;
        let mut directories: Vec<_> =
            [authority, certificate, key].iter().filter_map(|file| file.parent()).map(directory).collect();
        directories.sort_unstable();
        directories.dedup();
        directories
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the files have been read anew, and were others.
    pub async fn renewed(&self) {
        self.renewed.notified().await;
    }

    /// Until [`Identity::server`] is another than this.
    pub async fn replaced(&self, server: &Arc<ServerConfig>) {
        loop {
            let mut renewed = std::pin::pin!(self.renewed.notified());
            // Before the look, so that nothing comes between.
            renewed.as_mut().enable();
            if !Arc::ptr_eq(&self.server(), server) {
                return;
            }
            renewed.await;
        }
    }

    /// Reads the files again; whether they had changed. Those that cannot be used leave all as it was.
    ///
    /// # Errors
    /// As [`Identity::open`].
    pub fn reload(&self) -> Result<bool, TlsError> {
        let contents = self.files.read()?;
        if contents == self.lock().contents {
            return Ok(false);
        }
        let new = contents.current(&self.files)?;
        *self.lock() = new;
        self.renewed.notify_waiters();
        Ok(true)
    }

    /// Reads the files again and again until `stop`. Connections that are made from then on have what they hold.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut said = String::new();
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            let identity = Arc::clone(&self);
            let Ok(reloaded) = tokio::task::spawn_blocking(move || identity.reload()).await else { return };
            match reloaded {
                Ok(changed) => {
                    said.clear();
                    if changed {
                        tracing::info!(certificate = %self.files.certificate.display(), "new certificates are in use");
                    }
                }
                Err(error) => {
                    // A file that is being written is not whole for a moment.
                    let error = chain(&error);
                    if error != said {
                        tracing::warn!(error, "certificates cannot be read anew; those before stay in use");
                        said = error;
                    }
                }
            }
        }
    }
}

/// A file without a directory in its name is in this one.
fn directory(parent: &Path) -> PathBuf {
    if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_path_buf() }
}

impl Files {
    fn read(&self) -> Result<Contents, TlsError> {
        let read =
            |path: &Path| std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_path_buf(), source });
        Ok(Contents([read(&self.authority)?, read(&self.certificate)?, read(&self.key)?]))
    }
}

impl Contents {
    fn current(self, files: &Files) -> Result<Current, TlsError> {
        let pem = |path: &Path, what| {
            let path = path.to_path_buf();
            move |source| TlsError::Pem { path, what, source }
        };
        let certificates = |bytes: &[u8], path: &Path| -> Result<Vec<_>, TlsError> {
            let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
            let none = rustls::pki_types::pem::Error::NoItemsFound;
            all.and_then(|all| if all.is_empty() { Err(none) } else { Ok(all) }).map_err(pem(path, "certificates"))
        };
        let unfit = |source: Box<dyn std::error::Error + Send + Sync>| TlsError::Unfit {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            authority: files.authority.clone(),
            source,
        };
        let Self([authority, certificate, key]) = &self;
        let authorities = certificates(authority, &files.authority)?;
        let chain = certificates(certificate, &files.certificate)?;
        let mut expires_at = i64::MAX;
        for certificate in authorities.iter().chain(&chain) {
            let (_, read) = X509Certificate::from_der(certificate).map_err(|error| unfit(error.into()))?;
            expires_at = expires_at.min(read.validity().not_after.timestamp());
        }
        let mut roots = RootCertStore::empty();
        for root in authorities {
            roots.add(root).map_err(|error| unfit(error.into()))?;
        }
        let roots = Arc::new(roots);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(pem(&files.key, "a private key"))?;
        let of_executors = purpose::Executors::new(&roots).map_err(|error| unfit(error.into()))?;
        let mut client = ClientConfig::builder_with_protocol_versions(&[&TLS13])
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(of_executors))
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(|error| unfit(error.into()))?;
        client.alpn_protocols = vec![HTTP2.to_vec()];
        let of_apis = purpose::Apis::new(&roots).map_err(|error| unfit(error.into()))?;
        let mut server = ServerConfig::builder_with_protocol_versions(&[&TLS13])
            .with_client_cert_verifier(Arc::new(of_apis))
            .with_single_cert(chain, key)
            .map_err(|error| unfit(error.into()))?;
        server.alpn_protocols = vec![HTTP2.to_vec()];
        // Whoever connects shows its certificate, also the second time: the authority may have changed since.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Current { client: Arc::new(client), server: Arc::new(server), contents: self, expires_at })
    }
}
