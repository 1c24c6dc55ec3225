//! A private certificate authority, and the certificate of a server on loopback.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority that nobody trusts but those who are told to.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

/// Files of a server: its certificate, and its private key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("authority.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    /// The file of its certificate, for those who trust it.
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    /// Makes the files of a server on loopback in a folder of its own.
    pub fn identify(&self, folder: &Path) -> Identity {
        self.identify_as(folder, &["localhost", "127.0.0.1"])
    }

    /// The same for other names.
    pub fn identify_as(&self, folder: &Path, names: &[&str]) -> Identity {
        self.identify_for(folder, names, &[ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// The same for these purposes alone, or, if there are none, for whatever others make of that.
    pub fn identify_for(&self, folder: &Path, names: &[&str], purposes: &[ExtendedKeyUsagePurpose]) -> Identity {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = purposes.to_vec();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let identity = Identity { certificate: folder.join("server.pem"), key: folder.join("server.key") };
        std::fs::write(&identity.certificate, certificate.pem()).unwrap();
        std::fs::write(&identity.key, key.serialize_pem()).unwrap();
        identity
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
