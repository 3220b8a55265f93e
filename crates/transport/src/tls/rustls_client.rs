//! The client's handshake by rustls: TLS 1.3, X25519MLKEM768 first, the peer checked by pin or by public roots.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::unbuffered::Shake;
use super::{Handshake, TlsError};

/// How the edge's certificate is checked.
#[derive(Clone)]
pub enum Trust {
    /// SHA-256 of the certificate's SubjectPublicKeyInfo (RFC 7469 section 2.4). Dates and names do not count: the
    /// pin came with the invite, and a wrong clock must not lock a reader out.
    Pin([u8; 32]),
    /// The system's roots, name and dates included.
    SystemRoots,
    /// The roots of a PEM file.
    Roots(Arc<RootCertStore>),
}

impl Trust {
    /// Roots from PEM text.
    ///
    /// # Errors
    /// A sentence on what is wrong with it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|e| format!("not PEM: {e}"))?;
            roots.add(certificate).map_err(|e| format!("not a usable root certificate: {e}"))?;
        }
        if roots.is_empty() {
            return Err("there is no certificate in it".into());
        }
        Ok(Self::Roots(Arc::new(roots)))
    }
}

/// Everything that is the same for each connection of one upstream.
#[derive(Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(…)")
    }
}

impl Client {
    /// A client that says `server_name` and offers `alpn` in this order.
    ///
    /// # Errors
    /// A sentence on what is wrong with the parameters.
    pub fn new(server_name: &str, trust: &Trust, alpn: &[&[u8]]) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let name = ServerName::try_from(server_name.to_owned()).map_err(|_| "not a host name".to_owned())?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| e.to_string())?;
        let mut config = match trust {
            Trust::Pin(pin) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Pinned::new(*pin, &provider)))
                .with_no_client_auth(),
            Trust::Roots(roots) => builder.with_root_certificates(Arc::clone(roots)).with_no_client_auth(),
            Trust::SystemRoots => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err("this system has no root certificates; use a pin".into());
                }
                builder.with_root_certificates(roots).with_no_client_auth()
            }
        };
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        config.enable_secret_extraction = true;
        // A client that never resumes is visible; two tickets a server is what browsers keep.
        config.resumption = Resumption::in_memory_sessions(2);
        Ok(Self { config: Arc::new(config), name })
    }

    /// Starts one handshake.
    ///
    /// # Errors
    /// [`TlsError::Internal`] where rustls cannot start (no randomness).
    pub fn start(&self) -> Result<Box<dyn Handshake>, TlsError> {
        let side = UnbufferedClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .map_err(|_| TlsError::Internal)?;
        Ok(Box::new(Shake::new(side)))
    }
}

/// Accepts exactly one public key.
struct Pinned {
    pin: [u8; 32],
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    fn new(pin: [u8; 32], provider: &CryptoProvider) -> Self {
        Self { pin, algorithms: provider.signature_verification_algorithms }
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pinned(…)")
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = webpki::EndEntityCert::try_from(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let seen = digest(&SHA256, certificate.subject_public_key_info().as_ref());
        verify_slices_are_equal(seen.as_ref(), &self.pin)
            .map(|()| ServerCertVerified::assertion())
            .map_err(|_| Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
