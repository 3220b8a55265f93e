//! UDP in batches: equal datagrams to one address leave in one call (GSO), and trains of them arrive in one (GRO).

use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::pool::{Buf, Slice};

/// Datagrams a batch is meant to hold.
pub const BATCH: usize = 64;
/// UDP_GRO_CNT_MAX of the Linux kernel: datagrams that one receive call can bring at most.
const TRAIN: usize = 64;
/// Segments of a train that fit an Ethernet frame (1,500 bytes less IPv4 or IPv6 and UDP header, RFC 768, 791, 8200).
/// The kernel refuses a train of longer ones, where a single datagram may still be fragmented.
const SEGMENT_V4: usize = 1472;
const SEGMENT_V6: usize = 1452;
/// All segments of a train together are at most one IP packet's worth.
const TRAIN_BYTES: usize = 65_000;
/// A single datagram no longer than this is copied out of the receive buffer, so that it does not pin 64 KiB.
const COPY_OUT: usize = 2048;

/// Datagrams, each with the address it goes to or comes from.
///
/// Receiving stops at [`BATCH`]; the last train that a call brings may exceed it, up to 127.
#[derive(Debug, Default)]
pub struct Batch {
    items: Vec<(SocketAddr, Slice)>,
}

impl Batch {
    /// An empty batch that owns no memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a datagram; `false`, and nothing added, when the batch is full.
    pub fn push(&mut self, address: SocketAddr, datagram: Slice) -> bool {
        let room = self.items.len() < BATCH;
        if room {
            self.items.push((address, datagram));
        }
        room
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, (SocketAddr, Slice)> {
        self.items.iter()
    }

    /// Takes all datagrams out, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, (SocketAddr, Slice)> {
        self.items.drain(..)
    }

    pub fn clear(&mut self) {
        self.items.clear();
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = &'a (SocketAddr, Slice);
    type IntoIter = std::slice::Iter<'a, (SocketAddr, Slice)>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

/// What a port did; only ever grows.
#[derive(Debug, Default)]
pub struct Counters {
    /// Send calls that carried several datagrams, and how many those were.
    pub trains_out: AtomicU64,
    pub train_datagrams_out: AtomicU64,
    /// Datagrams sent one by one.
    pub single_out: AtomicU64,
    /// Receive calls that brought several datagrams.
    pub trains_in: AtomicU64,
    pub datagrams_in: AtomicU64,
    /// Datagrams the system refused to send (too long, unreachable).
    pub refused: AtomicU64,
}

/// A bound UDP socket. Idle, it holds no buffer.
pub struct UdpPort {
    socket: UdpSocket,
    state: UdpSocketState,
    counters: Counters,
}

impl UdpPort {
    /// Binds a socket.
    ///
    /// # Errors
    /// Whatever the system says against it.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        Self::from_std(socket)
    }

    /// Takes a bound socket over.
    ///
    /// # Errors
    /// Whatever the system says against it.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Ok(Self { socket, state, counters: Counters::default() })
    }

    /// Fixes the other end: datagrams from elsewhere are not heard any more.
    ///
    /// # Errors
    /// Whatever the system says against it.
    pub fn connect(&self, address: SocketAddr) -> io::Result<()> {
        socket2::SockRef::from(&self.socket).connect(&address.into())
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// Whatever the system says against it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Asks for larger kernel buffers; the system may give less.
    pub fn set_buffers(&self, bytes: usize) {
        let socket = UdpSockRef::from(&self.socket);
        let _ = self.state.set_send_buffer_size(socket, bytes);
        let _ = self.state.set_recv_buffer_size(UdpSockRef::from(&self.socket), bytes);
    }

    /// What this port did so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Waits for datagrams and appends them; says how many came.
    ///
    /// # Errors
    /// Whatever the system says; errors that only tell of an earlier datagram's fate are passed over.
    pub async fn recv(&self, batch: &mut Batch) -> io::Result<usize> {
        poll_fn(|cx| self.poll_recv(cx, batch)).await
    }

    /// As [`UdpPort::recv`].
    ///
    /// # Errors
    /// As [`UdpPort::recv`].
    pub fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<usize>> {
        let before = batch.items.len();
        if before >= BATCH {
            return Poll::Ready(Ok(0));
        }
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            let mut buf = Buf::large();
            let mut errors = 0;
            while batch.items.len() < BATCH {
                match self.socket.try_io(Interest::READABLE, || self.receive(&mut buf)) {
                    Ok(meta) => buf = self.unpack(buf, &meta, batch),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // The report of a datagram that did not arrive (RFC 1122 section 4.1.3.3).
                    Err(error) if about_the_past(&error) && errors < BATCH => errors += 1,
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            let got = batch.items.len() - before;
            if got > 0 {
                self.counters.datagrams_in.fetch_add(got as u64, Ordering::Relaxed);
                return Poll::Ready(Ok(got));
            }
        }
    }

    fn receive(&self, buf: &mut [u8]) -> io::Result<RecvMeta> {
        let mut meta = [RecvMeta::default()];
        let mut slices = [IoSliceMut::new(buf)];
        self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut meta)?;
        Ok(meta[0])
    }

    /// Adds what one call brought; gives back a buffer for the next.
    fn unpack(&self, buf: Buf, meta: &RecvMeta, batch: &mut Batch) -> Buf {
        if meta.stride == 0 || meta.stride >= meta.len {
            if meta.len <= COPY_OUT {
                batch.items.push((meta.addr, Slice::copy_from(&buf[..meta.len])));
                return buf;
            }
            batch.items.push((meta.addr, buf.freeze(0..meta.len)));
            return Buf::large();
        }
        self.counters.trains_in.fetch_add(1, Ordering::Relaxed);
        let mut train = buf.freeze(0..meta.len);
        while !train.is_empty() {
            batch.items.push((meta.addr, train.split_to(meta.stride)));
        }
        Buf::large()
    }

    /// Sends all of the batch and empties it, waiting for room where there is none. Datagrams that the system
    /// refuses are counted and dropped, as networks do.
    ///
    /// # Errors
    /// Only where the socket itself is broken.
    pub async fn send(&self, batch: &mut Batch) -> io::Result<()> {
        poll_fn(|cx| self.poll_send(cx, batch)).await
    }

    /// As [`UdpPort::send`]. While pending, the batch holds what was not sent yet.
    ///
    /// # Errors
    /// As [`UdpPort::send`].
    pub fn poll_send(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        let mut sent = 0;
        while let Some(rest) = batch.items.get(sent..).filter(|rest| !rest.is_empty()) {
            let run = self.run(rest);
            let result = self.socket.try_io(Interest::WRITABLE, || self.transmit(&rest[..run]));
            match result {
                Ok(()) => sent += run,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.socket.poll_send_ready(cx) {
                    Poll::Ready(Ok(())) => {}
                    other => {
                        batch.items.drain(..sent);
                        return other;
                    }
                },
                Err(error) if run > 1 => {
                    // This path takes no trains after all: quinn-udp has noted so where that is the reason, and
                    // the datagrams go one by one.
                    let _ = error;
                    sent += self.one_by_one(&rest[..run]);
                }
                Err(_) => {
                    self.counters.refused.fetch_add(1, Ordering::Relaxed);
                    sent += run;
                }
            }
        }
        batch.items.clear();
        Poll::Ready(Ok(()))
    }

    /// Sends singly until there is no room; says how many are dealt with.
    fn one_by_one(&self, run: &[(SocketAddr, Slice)]) -> usize {
        for (index, item) in run.iter().enumerate() {
            match self.socket.try_io(Interest::WRITABLE, || self.transmit(std::slice::from_ref(item))) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return index,
                Err(_) => {
                    self.counters.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        run.len()
    }

    /// How many of the first datagrams can leave as one train: the same address, equal lengths, and a last one that
    /// may be shorter.
    fn run(&self, items: &[(SocketAddr, Slice)]) -> usize {
        let Some((address, first)) = items.first() else { return 0 };
        let limit = if address.is_ipv4() { SEGMENT_V4 } else { SEGMENT_V6 };
        let segment = first.len();
        if segment == 0 || segment > limit {
            return 1;
        }
        let most = self.state.max_gso_segments().min(TRAIN).min(TRAIN_BYTES / segment).max(1);
        let mut count = 1;
        for (other, datagram) in items.iter().take(most).skip(1) {
            // An empty datagram would vanish in a train.
            if other != address || datagram.len() > segment || datagram.is_empty() {
                break;
            }
            count += 1;
            if datagram.len() < segment {
                break;
            }
        }
        count
    }

    fn transmit(&self, run: &[(SocketAddr, Slice)]) -> io::Result<()> {
        let Some((destination, first)) = run.first() else { return Ok(()) };
        let socket = UdpSockRef::from(&self.socket);
        if run.len() == 1 {
            let single =
                Transmit { destination: *destination, ecn: None, contents: first, segment_size: None, src_ip: None };
            self.state.try_send(socket, &single)?;
            self.counters.single_out.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let mut buf = Buf::large();
        let mut length = 0;
        for (_, datagram) in run {
            let end = length + datagram.len();
            buf[length..end].copy_from_slice(datagram);
            length = end;
        }
        let train = Transmit {
            destination: *destination,
            ecn: None,
            contents: &buf[..length],
            segment_size: Some(first.len()),
            src_ip: None,
        };
        self.state.try_send(socket, &train)?;
        self.counters.trains_out.fetch_add(1, Ordering::Relaxed);
        self.counters.train_datagrams_out.fetch_add(run.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

fn about_the_past(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
#[path = "udp_tests.rs"]
mod tests;
