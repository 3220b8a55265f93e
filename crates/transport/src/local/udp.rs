//! A UDP association of SOCKS5 (RFC 1928 section 7): one socket for one program, for as long as its TCP connection.
//!
//! The socket is bound to the listener's own address. It hears one source only: the first that sends a well-formed
//! datagram from the TCP connection's own address (and from the port named in the request, where one was), and whose
//! owner passes the same-user check where that is on. Everybody else is ignored.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use rozaneh_net::pool::Slice;
use rozaneh_net::udp::{Batch, UdpPort};
use rozaneh_wire::socks5::{Address, udp};

use super::{LocalIo, SourceCheck, socks};
use crate::next::PacketIo;
use crate::target::Target;

/// Most batches looked at in one turn, so that a flood of what is dropped cannot keep a worker for itself.
const TURN: usize = 4;

/// Longest header in front of an address; a name's is longer, and then the buffer grows once.
const MAX_HEAD: usize = 3 + 1 + 16 + 2;

/// The association before it is tied to its TCP connection.
pub(super) struct Association {
    port: UdpPort,
    bound: SocketAddr,
    /// The only address that may send, and the only port where the request named one.
    peer: SocketAddr,
    check: Option<SourceCheck>,
    source: Option<SocketAddr>,
}

impl Association {
    /// Binds a socket beside a TCP connection with these two ends; returns its address too.
    pub(super) fn bind(
        ends: (SocketAddr, SocketAddr),
        asked: &Address,
        check: Option<SourceCheck>,
    ) -> io::Result<(Self, SocketAddr)> {
        let (own, program) = ends;
        let socket = UdpPort::bind(SocketAddr::new(own.ip(), 0))?;
        let bound = socket.local_addr()?;
        // A program names the port it will send from, or zero (RFC 1928 section 4). Its address is the connection's.
        let named = match asked {
            Address::Ip(addr) => addr.port(),
            Address::Name(..) => 0,
        };
        let peer = SocketAddr::new(program.ip(), named);
        Ok((Self { port: socket, bound, peer, check, source: None }, bound))
    }

    /// Ties its life to the TCP connection it was asked for on.
    pub(super) fn held_by(self, io: LocalIo) -> Held {
        Held { association: self, io, inbox: Batch::new() }
    }

    /// Whether datagrams from there are the program's.
    fn hears(&mut self, from: SocketAddr) -> bool {
        if let Some(source) = self.source {
            return source == from;
        }
        let place = from.ip() == self.peer.ip() && (self.peer.port() == 0 || self.peer.port() == from.port());
        // Where it cannot be found out whose socket it is, it is nobody's.
        let ours = place && self.check.is_none_or(|check| check(self.bound, from).unwrap_or(false));
        if ours {
            self.source = Some(from);
        }
        ours
    }
}

/// The association as the relay sees it.
pub(super) struct Held {
    association: Association,
    io: LocalIo,
    /// Received, and not yet asked for.
    inbox: Batch,
}

impl Held {
    /// A datagram of the program's without its header; `None` for everything that is to be dropped.
    fn open(&mut self, from: SocketAddr, mut datagram: Slice) -> Option<(Target, Slice)> {
        let (address, start) = udp::decode(&datagram).ok()?;
        let target = socks::target(address)?;
        if !self.association.hears(from) {
            return None;
        }
        datagram.advance(start);
        Some((target, datagram))
    }
}

impl PacketIo for Held {
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<(Target, Slice)>) -> Poll<io::Result<usize>> {
        if self.io.poll_end(cx).is_ready() {
            return Poll::Ready(Ok(0));
        }
        let room = into.capacity().saturating_sub(into.len()).max(1);
        let mut found = 0;
        for _ in 0..TURN {
            let mut inbox = std::mem::take(&mut self.inbox);
            let mut items = inbox.drain();
            while found < room {
                let Some((from, datagram)) = items.next() else { break };
                if let Some(opened) = self.open(from, datagram) {
                    into.push(opened);
                    found += 1;
                }
            }
            for (from, datagram) in items {
                self.inbox.push(from, datagram);
            }
            if found > 0 {
                return Poll::Ready(Ok(found));
            }
            ready!(self.association.port.poll_recv(cx, &mut self.inbox))?;
        }
        // Nothing but what is dropped, turn after turn: let others run.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, batch: &mut Vec<(Target, Slice)>) -> Poll<io::Result<()>> {
        let Some(source) = self.association.source else {
            batch.clear();
            return Poll::Ready(Ok(()));
        };
        let mut outbox = Batch::new();
        for (target, payload) in batch.drain(..) {
            let address = match target {
                Target::Addr(addr) => Address::Ip(addr),
                Target::Name(name, port) => Address::Name(name.into_bytes(), port),
            };
            let mut datagram = Vec::with_capacity(MAX_HEAD + payload.len());
            if udp::encode_head(&address, &mut datagram).is_err() {
                continue;
            }
            datagram.extend_from_slice(&payload);
            let datagram = Slice::from_vec(datagram);
            if !outbox.push(source, datagram.clone()) {
                // Full: this much goes first. Datagrams may be lost; what finds no room now, is.
                let _ = self.association.port.poll_send(cx, &mut outbox);
                outbox.clear();
                outbox.push(source, datagram);
            }
        }
        let _ = self.association.port.poll_send(cx, &mut outbox);
        Poll::Ready(Ok(()))
    }
}
