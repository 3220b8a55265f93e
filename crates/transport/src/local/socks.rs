//! SOCKS5 on the local port.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use rozaneh_net::pool::Slice;
use rozaneh_net::stream::Io;
use rozaneh_wire::socks5::server::{Demand, Event};
use rozaneh_wire::socks5::{Address, Code, Command, Server};

use super::udp::Association;
use super::{Auth, Limits, LocalIo};
use crate::next::{Next, Refusal, Reply};
use crate::target::Target;

/// The destination that a SOCKS5 address names; `None` for a name that cannot be one.
pub(super) fn target(address: Address) -> Option<Target> {
    match address {
        Address::Ip(addr) => Some(Target::Addr(addr)),
        Address::Name(name, port) => Target::host(std::str::from_utf8(&name).ok()?, port),
    }
}

pub(super) async fn serve(mut io: LocalIo, first: Slice, auth: &Auth, limits: &Limits) -> io::Result<Next> {
    let demand = if auth.wants_password() { Demand::Password } else { Demand::Nothing };
    let mut server = Server::new(demand);
    let mut chunk = first;
    loop {
        let (taken, event) = match server.feed(&chunk) {
            Ok(step) => step,
            Err(_) => {
                io.close(&server.out()).await;
                return Ok(Next::Done);
            }
        };
        chunk.advance(taken);
        match event {
            Some(Event::Credentials { user, password }) => {
                let good = auth.allows(&user, &password);
                server.verdict(good)?;
                if !good {
                    io.close(&server.out()).await;
                    return Ok(Next::Done);
                }
            }
            Some(Event::Request { command, address }) => {
                io.write(&server.out()).await?;
                return match command {
                    Command::Connect => Ok(connect(io, server, chunk, address).await),
                    Command::UdpAssociate => associate(io, server, address, limits).await,
                };
            }
            None => {
                io.write(&server.out()).await?;
                chunk = io.read().await?;
                if chunk.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }
}

async fn connect(io: LocalIo, server: Server, early: Slice, address: Address) -> Next {
    let reply = SocksReply { io, server, early };
    match target(address) {
        Some(target) => Next::Tcp { target, user: None, reply: Box::new(reply) },
        None => {
            reply.end(Code::HostUnreachable).await;
            Next::Done
        }
    }
}

async fn associate(mut io: LocalIo, mut server: Server, asked: Address, limits: &Limits) -> io::Result<Next> {
    let association = match io.addresses() {
        // Datagrams need an address that only this machine's programs reach; a Unix socket has none.
        None => Err(Code::CommandNotSupported),
        Some(ends) => Association::bind(ends, &asked, limits.source_check).map_err(|_| Code::GeneralFailure),
    };
    match association {
        Ok((association, bound)) => {
            server.reply(Code::Succeeded, &Address::Ip(bound))?;
            io.write(&server.out()).await?;
            Ok(Next::Udp { target: None, user: None, packets: Box::new(association.held_by(io)) })
        }
        Err(code) => {
            server.reply(code, &Address::UNSPECIFIED)?;
            io.close(&server.out()).await;
            Ok(Next::Done)
        }
    }
}

/// Waits for the dial; then the connection is the stream.
struct SocksReply {
    io: LocalIo,
    server: Server,
    early: Slice,
}

impl SocksReply {
    async fn end(mut self, code: Code) {
        // A reply is due exactly once, and this is it.
        if self.server.reply(code, &Address::UNSPECIFIED).is_ok() {
            self.io.close(&self.server.out()).await;
        }
    }
}

const fn code(why: Refusal) -> Code {
    match why {
        Refusal::Policy => Code::NotAllowed,
        Refusal::Name => Code::HostUnreachable,
        Refusal::Unreachable | Refusal::Upstream => Code::NetworkUnreachable,
        Refusal::Refused => Code::Refused,
        Refusal::Timeout => Code::TtlExpired,
        Refusal::Busy | Refusal::Failed => Code::GeneralFailure,
    }
}

impl Reply for SocksReply {
    fn accept(mut self: Box<Self>, bound: Option<SocketAddr>) -> Pin<Box<dyn Future<Output = io::Result<Io>> + Send>> {
        Box::pin(async move {
            let bound = bound.map_or(Address::UNSPECIFIED, Address::Ip);
            self.server.reply(Code::Succeeded, &bound)?;
            self.io.write(&self.server.out()).await?;
            Ok(self.io.into_io(self.early))
        })
    }

    fn refuse(self: Box<Self>, why: Refusal) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.end(code(why)))
    }
}
