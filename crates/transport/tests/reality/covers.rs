//! Covers: TLS servers by rustls, and servers that follow a script.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a TLS cover says to whoever says something.
pub const WORD: &[u8] = b"the cover";

pub fn acceptor(versions: &[&'static rustls::SupportedProtocolVersion], group: Option<u16>) -> TlsAcceptor {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups.retain(|known| group.is_none_or(|wanted| u16::from(known.name()) == wanted));
    let provider = Arc::new(provider);
    // Ed25519's signatures have one length, so that two flights of one cover have the same.
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let params = rcgen::CertificateParams::new(vec![crate::rig::NAME.into()]).expect("parameters");
    let certificate = params.self_signed(&key).expect("signed");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key)
        .expect("fitting");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.send_tls13_tickets = 2;
    Arc::new(config).into()
}

/// Serves every connection by `how`, until the test ends.
pub async fn serve<F, R>(how: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(how(tcp));
        }
    });
    address
}

/// A web server of sorts: TLS, and an answer to whatever comes.
pub async fn tls(versions: &'static [&'static rustls::SupportedProtocolVersion]) -> SocketAddr {
    web(acceptor(versions, None)).await
}

/// The same with one group for the key agreement.
pub async fn of_group(group: u16) -> SocketAddr {
    web(acceptor(&BOTH, Some(group))).await
}

async fn web(acceptor: TlsAcceptor) -> SocketAddr {
    serve(move |tcp| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(tcp).await?;
            let mut room = [0; 1_024];
            while stream.read(&mut room).await? > 0 {
                stream.write_all(WORD).await?;
            }
            stream.shutdown().await
        }
    })
    .await
}

pub static BOTH: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
pub static OLD: [&rustls::SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
