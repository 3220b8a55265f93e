//! The engine's records behind the seam.

use rozaneh_tls::traffic::{self, Opened as Engine};
use rozaneh_tls::{Error, LocalError};

use crate::tls::{Opened, TlsError, Traffic};

pub(super) struct Records(pub traffic::Traffic);

fn remote(error: Error) -> TlsError {
    match error {
        Error::Peer(_) => TlsError::PeerAlert,
        Error::Local(_) => TlsError::Internal,
        Error::Remote(_) => TlsError::Protocol,
    }
}

fn local(_: LocalError) -> TlsError {
    TlsError::Internal
}

impl Traffic for Records {
    fn open(&mut self, buffer: &mut [u8]) -> Result<Opened, TlsError> {
        self.0.open(buffer).map_err(remote).map(|opened| match opened {
            Engine::Data { wire, plain } => Opened::Data { wire, plain },
            Engine::Quiet { wire } => Opened::Quiet { wire },
            Engine::Closed { wire } => Opened::Closed { wire },
            Engine::Partial => Opened::Partial,
        })
    }

    fn seal(&mut self, room: &mut [u8], len: usize) -> Result<usize, TlsError> {
        self.0.seal(room, len).map_err(local)
    }

    fn pending(&mut self) -> &mut Vec<u8> {
        self.0.pending()
    }

    fn close(&mut self) {
        self.0.close();
    }
}
