//! What a certificate is for. Executors run the code of tenants: one whose key is stolen must not pass for an API. So
//! both sides' certificates say what they are for, and one that does not is refused, where webpki by itself takes
//! that for "anything".

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};
use webpki::{EndEntityCert, KeyUsage};

/// `serverAuth` (RFC 5280, 4.2.1.12): 1.3.6.1.5.5.7.3.1.
const SERVER_AUTH: KeyUsage = KeyUsage::required(&[0x2b, 6, 1, 5, 5, 7, 3, 1]);
/// `clientAuth`: 1.3.6.1.5.5.7.3.2.
const CLIENT_AUTH: KeyUsage = KeyUsage::required(&[0x2b, 6, 1, 5, 5, 7, 3, 2]);

/// The certificate does not say that it is for this.
#[derive(Debug, thiserror::Error)]
#[error("the certificate does not say that it is for {purpose} (extendedKeyUsage)")]
struct NotFor {
    purpose: &'static str,
    source: webpki::Error,
}

/// Those who are trusted, and for what.
#[derive(Debug)]
struct Purpose {
    name: &'static str,
    usage: KeyUsage,
    roots: Arc<RootCertStore>,
    algorithms: &'static [&'static dyn SignatureVerificationAlgorithm],
}

impl Purpose {
    fn new(name: &'static str, usage: KeyUsage, roots: &Arc<RootCertStore>, provider: &CryptoProvider) -> Self {
        let algorithms = provider.signature_verification_algorithms.all;
        Self { name, usage, roots: Arc::clone(roots), algorithms }
    }

    /// Of a certificate that is good in all else.
    fn check(&self, own: &CertificateDer<'_>, between: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let certificate = EndEntityCert::try_from(own).map_err(|_| CertificateError::BadEncoding)?;
        let checked =
            certificate.verify_for_usage(self.algorithms, &self.roots.roots, between, now, self.usage, None, None);
        checked.map(|_| ()).map_err(|source| {
            let why = NotFor { purpose: self.name, source };
            CertificateError::Other(OtherError(Arc::new(why))).into()
        })
    }
}

fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()))
}

/// Takes the certificates of APIs.
#[derive(Debug)]
pub(super) struct Apis {
    inner: Arc<dyn ClientCertVerifier>,
    purpose: Purpose,
}

impl Apis {
    /// That these have signed.
    pub(super) fn new(roots: &Arc<RootCertStore>) -> Result<Self, VerifierBuilderError> {
        let provider = provider();
        let purpose = Purpose::new("clientAuth", CLIENT_AUTH, roots, &provider);
        let inner = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider).build()?;
        Ok(Self { inner, purpose })
    }
}

impl ClientCertVerifier for Apis {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(own, between, now)?;
        self.purpose.check(own, between, now)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, own, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, own, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Takes the certificates of executors.
#[derive(Debug)]
pub(super) struct Executors {
    inner: Arc<WebPkiServerVerifier>,
    purpose: Purpose,
}

impl Executors {
    /// That these have signed.
    pub(super) fn new(roots: &Arc<RootCertStore>) -> Result<Self, VerifierBuilderError> {
        let provider = provider();
        let purpose = Purpose::new("serverAuth", SERVER_AUTH, roots, &provider);
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider).build()?;
        Ok(Self { inner, purpose })
    }
}

impl ServerCertVerifier for Executors {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(own, between, name, ocsp, now)?;
        self.purpose.check(own, between, now)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, own, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, own, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
