//! Another SOCKS5 proxy as an upstream: the plainest hop there is.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rozaneh_net::pool::Slice;
use rozaneh_net::stream::Io;
use rozaneh_transport::next::Refusal;
use rozaneh_transport::target::Target;
use rozaneh_wire::socks5::client::Answer;
use rozaneh_wire::socks5::{self, Code, Command};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Address and credentials of the proxy.
pub(crate) struct Socks {
    pub address: SocketAddr,
    pub user: String,
    pub password: String,
    pub timeout: Duration,
}

impl Socks {
    /// A stream to `target` through the proxy.
    pub async fn connect(&self, target: &Target) -> Result<Io, Refusal> {
        match tokio::time::timeout(self.timeout, self.converse(target)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Refusal::Upstream),
            Err(_) => Err(Refusal::Timeout),
        }
    }

    async fn converse(&self, target: &Target) -> io::Result<Result<Io, Refusal>> {
        let mut tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let destination = match target {
            Target::Name(name, port) => socks5::Address::Name(name.clone().into_bytes(), *port),
            Target::Addr(addr) => socks5::Address::Ip(*addr),
        };
        let credentials = Some((self.user.as_bytes(), self.password.as_bytes()));
        let mut client = socks5::Client::new(credentials, Command::Connect, &destination)?;
        let mut room = [0; 512];
        loop {
            let out = client.out();
            if !out.is_empty() {
                tcp.write_all(&out).await?;
            }
            let n = tcp.read(&mut room).await?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let (taken, answer) = client.feed(room.get(..n).unwrap_or_default())?;
            match answer {
                Some(Answer::Granted { .. }) => {
                    let early = room.get(taken..n).unwrap_or_default();
                    return Ok(Ok(Io::from(tcp).prefixed(Slice::copy_from(early))));
                }
                Some(Answer::Refused(code)) => return Ok(Err(refusal(code))),
                None => {}
            }
        }
    }
}

/// The refusal that a reply code stands for (RFC 1928 section 6).
fn refusal(code: Code) -> Refusal {
    match code {
        Code::NotAllowed => Refusal::Policy,
        Code::NetworkUnreachable | Code::TtlExpired => Refusal::Unreachable,
        Code::HostUnreachable => Refusal::Name,
        Code::Refused => Refusal::Refused,
        _ => Refusal::Failed,
    }
}
