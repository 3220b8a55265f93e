//! How connections of a listener are served, from the document.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rozaneh_net::peer;
use rozaneh_transport::cover::Cover;
use rozaneh_transport::h2::server::Edge;
use rozaneh_transport::local;
use rozaneh_transport::tls::rustls_server::Server;

use crate::config::{self, Auth, ConfigError, Listener};
use crate::core::Services;
use crate::dispatch::Route;
use crate::lifecycle::EngineError;
use crate::listener::{Kind, Serving};

pub(crate) fn read(at: &str, path: &Path) -> Result<Vec<u8>, EngineError> {
    fs::read(path).map_err(|e| EngineError::Io(at.to_owned(), e))
}

/// The documents of a listener, decoded.
pub(crate) fn documents(i: usize, services: &[config::Service]) -> Result<Services, ConfigError> {
    let mut documents = Services::new();
    for service in services {
        let decoded = service.documents.iter().map(|(compartment, text)| {
            let bytes = STANDARD.decode(text);
            bytes
                .map(|bytes| (compartment.clone(), bytes))
                .map_err(|_| ConfigError::new(format!("listeners[{i}].services"), "documents are base64"))
        });
        documents.insert(service.authority.clone(), decoded.collect::<Result<_, _>>()?);
    }
    Ok(documents)
}

pub(crate) fn serving(i: usize, wanted: &Listener) -> Result<Serving, EngineError> {
    let at = |field: &str| format!("listeners[{i}].{field}");
    let (kind, services) = match wanted {
        Listener::Proxy { auth, .. } => {
            let (auth, same_user, peer_cred) = match auth {
                Auth::SameUser => (local::Auth::None, true, false),
                Auth::PeerCred => (local::Auth::None, false, true),
                Auth::Password { user, password_sha256 } => {
                    let auth = local::Auth::Password { user: user.clone(), password_sha256: password_sha256.0 };
                    (auth, false, false)
                }
            };
            let source_check: Option<local::SourceCheck> = if same_user { Some(peer::same_user_udp) } else { None };
            let limits = local::Limits { source_check, ..local::Limits::default() };
            (Kind::Proxy { auth, limits, same_user, peer_cred }, Services::new())
        }
        Listener::H2 { cert_file, key_file, cover, services, .. } => {
            let chain = read(&at("cert_file"), cert_file)?;
            let key = read(&at("key_file"), key_file)?;
            let tls = Server::new(&chain, &key).map_err(|reason| ConfigError::new(at("cert_file"), reason))?;
            let cover = match cover {
                // A page as old as the key: differs between edges, stays the same on one.
                config::Cover::Stock => {
                    let made = fs::metadata(key_file).and_then(|meta| meta.modified());
                    Cover::stock(made.map_err(|e| EngineError::Io(at("key_file"), e))?)
                }
                config::Cover::Directory { path } => Cover::directory(path),
                config::Cover::Proxy { url } => {
                    Cover::proxy(url).map_err(|why| ConfigError::new(at("cover.url"), why))?
                }
            };
            (Kind::H2(Edge::new(tls, cover)), documents(i, services)?)
        }
        Listener::Reality { .. } => return Err(EngineError::State("a REALITY listener needs its cover's address")),
    };
    Ok(Serving { route: Route { upstream: wanted.upstream().into(), services: Arc::new(services) }, kind })
}
