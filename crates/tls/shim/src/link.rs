//! The connection to the runner.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};

use crate::flags::Config;

/// Bytes from and to the runner.
pub struct Link {
    stream: TcpStream,
    /// What was read and is not given out yet: only where bytes go one at a time.
    held: VecDeque<u8>,
    single: bool,
    pub input: Vec<u8>,
}

impl Link {
    /// Connects, and says which test this is for.
    pub fn open(config: &Config) -> std::io::Result<Self> {
        let address: SocketAddr = if config.ipv6 {
            (Ipv6Addr::LOCALHOST, config.port).into()
        } else {
            (Ipv4Addr::LOCALHOST, config.port).into()
        };
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.write_all(&config.shim_id.to_le_bytes())?;
        Ok(Self { stream, held: VecDeque::new(), single: config.single_bytes, input: Vec::new() })
    }

    /// Waits for more input; false at the end.
    pub fn more(&mut self) -> std::io::Result<bool> {
        if self.held.is_empty() {
            let mut chunk = vec![0; 20_000];
            let n = self.stream.read(&mut chunk)?;
            self.held.extend(&chunk[..n]);
        }
        let n = if self.single { 1.min(self.held.len()) } else { self.held.len() };
        self.input.extend(self.held.drain(..n));
        Ok(n > 0)
    }

    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }
}

impl Drop for Link {
    /// The runner must be able to read our last words, so nothing of its own may be left unread: a reset would
    /// overtake them.
    fn drop(&mut self) {
        let mut sink = [0; 4_096];
        if self.stream.shutdown(Shutdown::Write).is_ok() {
            while matches!(self.stream.read(&mut sink), Ok(1..)) {}
        }
    }
}
