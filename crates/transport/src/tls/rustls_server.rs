//! The edge's handshake by rustls with its own certificate: TLS 1.2 and 1.3, as any site speaks them to strangers.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::unbuffered::Shake;
use super::{Handshake, TlsError};

/// Certificate, key and habits of one listener.
#[derive(Clone)]
pub struct Server {
    config: Arc<ServerConfig>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server(…)")
    }
}

impl Server {
    /// A server with this PEM chain and key, offering what nginx offers: h2 and three versions of HTTP/1.
    ///
    /// # Errors
    /// A sentence on what is wrong with the files' content.
    pub fn new(chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain_pem)
            .collect::<Result<_, _>>()
            .map_err(|e| format!("the certificate file is not PEM: {e}"))?;
        if chain.is_empty() {
            return Err("there is no certificate in the certificate file".into());
        }
        let key = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|e| format!("there is no private key in the key file: {e}"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|e| e.to_string())?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|e| format!("certificate and key do not fit: {e}"))?;
        config.alpn_protocols = [&b"h2"[..], b"http/1.1", b"http/1.0", b"http/0.9"].map(<[u8]>::to_vec).to_vec();
        config.enable_secret_extraction = true;
        // As the cover: OpenSSL behind nginx sends two tickets, and Debian's nginx.conf prefers the server's order.
        config.send_tls13_tickets = 2;
        config.ignore_client_order = true;
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|e| e.to_string())?;
        Ok(Self { config: Arc::new(config) })
    }

    /// The application protocols it agrees to.
    #[must_use]
    pub fn protocols(&self) -> &[Vec<u8>] {
        &self.config.alpn_protocols
    }

    /// Starts one handshake.
    ///
    /// # Errors
    /// [`TlsError::Internal`] where rustls cannot start.
    pub fn start(&self) -> Result<Box<dyn Handshake>, TlsError> {
        let side = UnbufferedServerConnection::new(Arc::clone(&self.config)).map_err(|_| TlsError::Internal)?;
        Ok(Box::new(Shake::new(side)))
    }
}
