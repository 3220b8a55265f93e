//! Connecting to the first of several addresses that answers: Happy Eyeballs (RFC 8305) over addresses that were
//! already resolved and already allowed.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// RFC 8305 section 5: the recommended delay between two attempts.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Longer than any resolver's honest answer needs; bounds what a name of a thousand addresses can make us do.
const MOST_ADDRESSES: usize = 16;
/// Winners remembered. RFC 8305 section 4 lets history order the addresses; ten minutes is the order of magnitude
/// that its predecessor recommends for such a memory (RFC 6555 section 4.2).
const WINNERS: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");
const WINNER_LIFE: Duration = Duration::from_secs(600);
/// What Chrome sets on its sockets (45 s idle, 45 s between probes): below the idle times at which address
/// translators forget a mapping, and, on a way's own carrier, what a censor sees from browsers anyway.
const KEEPALIVE: Duration = Duration::from_secs(45);

/// What a dialler does alike for every destination.
#[derive(Clone, Debug)]
pub struct Options {
    /// Between the starts of two attempts.
    pub attempt_delay: Duration,
    /// For the whole of it.
    pub timeout: Duration,
    /// Source address of IPv4 connections.
    pub egress_v4: Option<Ipv4Addr>,
    /// Source address of IPv6 connections.
    pub egress_v6: Option<Ipv6Addr>,
    /// TCP_NOTSENT_LOWAT: keeps what waits unsent in the kernel short, where more may have to overtake it. Costs
    /// throughput on very fast paths, so plain relays leave it alone.
    pub unsent_low_water: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            attempt_delay: ATTEMPT_DELAY,
            timeout: Duration::from_secs(30),
            egress_v4: None,
            egress_v6: None,
            unsent_low_water: None,
        }
    }
}

/// Why no connection came about. Says nothing about the destination.
#[derive(Debug)]
pub enum DialError {
    /// There was no address to try.
    NoAddress,
    /// The time was over before any attempt was decided in our favour.
    TimedOut,
    /// Every attempt failed; this failure says most.
    Failed(io::Error),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("no address to connect to"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Failed(error) => write!(f, "connecting failed: {}", error.kind()),
        }
    }
}

impl std::error::Error for DialError {}

impl From<DialError> for io::Error {
    fn from(error: DialError) -> Self {
        match error {
            DialError::NoAddress => io::ErrorKind::AddrNotAvailable.into(),
            DialError::TimedOut => io::ErrorKind::TimedOut.into(),
            DialError::Failed(error) => error,
        }
    }
}

struct Winner {
    address: IpAddr,
    since: Instant,
}

/// Opens connections, and remembers for a while which address answered first.
pub struct Dialler {
    options: Options,
    hasher: RandomState,
    /// By keyed hash: names of destinations are not kept.
    winners: Mutex<LruCache<u64, Winner>>,
}

impl Default for Dialler {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl Dialler {
    /// A dialler that remembers nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, hasher: RandomState::new(), winners: Mutex::new(LruCache::new(WINNERS)) }
    }

    /// What it does alike for everybody.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Connects to one of `addresses`, which belong to what `key` names. Attempts overlap; the first to succeed
    /// wins and the others are closed.
    ///
    /// # Errors
    /// When no address answers, or none in time.
    pub async fn connect(&self, key: &str, addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
        let key = self.hasher.hash_one(key);
        let order = order(addresses, self.winner(key));
        if order.is_empty() {
            return Err(DialError::NoAddress);
        }
        let several = order.len() > 1;
        let race = race(order, self.options.attempt_delay, |address| attempt(address, self.options.clone()));
        let (address, stream) = match timeout(self.options.timeout, race).await {
            Ok(outcome) => outcome.map_err(DialError::Failed)?,
            Err(_) => return Err(DialError::TimedOut),
        };
        if several {
            self.winners.lock().put(key, Winner { address: address.ip(), since: Instant::now() });
        }
        Ok(stream)
    }

    fn winner(&self, key: u64) -> Option<IpAddr> {
        let mut winners = self.winners.lock();
        let fresh = winners.get(&key).filter(|winner| winner.since.elapsed() < WINNER_LIFE).map(|w| w.address);
        if fresh.is_none() {
            winners.pop(&key);
        }
        fresh
    }
}

/// RFC 8305 section 4: the families take turns, in the order given within each; who won last time goes first, and
/// where it is gone its family does.
fn order(addresses: &[SocketAddr], winner: Option<IpAddr>) -> VecDeque<SocketAddr> {
    let mut unique: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        if !unique.contains(address) {
            unique.push(*address);
        }
    }
    let first = winner.and_then(|winner| unique.iter().copied().find(|address| address.ip() == winner));
    if let Some(first) = first {
        unique.retain(|address| *address != first);
        unique.insert(0, first);
    }
    let v6_first = match winner {
        Some(winner) => winner.is_ipv6(),
        None => unique.first().is_some_and(SocketAddr::is_ipv6),
    };
    let (v6, v4): (Vec<_>, Vec<_>) = unique.into_iter().partition(SocketAddr::is_ipv6);
    let (lead, follow) = if v6_first { (v6, v4) } else { (v4, v6) };
    let (mut lead, mut follow) = (lead.into_iter(), follow.into_iter());
    let mut ordered = VecDeque::new();
    loop {
        let before = ordered.len();
        ordered.extend(lead.next());
        ordered.extend(follow.next());
        if ordered.len() == before || ordered.len() >= MOST_ADDRESSES {
            ordered.truncate(MOST_ADDRESSES);
            return ordered;
        }
    }
}

/// How much a failure says about the destination: that it refused says more than that one address of several could
/// not be reached from here.
fn weight(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => 3,
        io::ErrorKind::TimedOut => 2,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => 1,
        _ => 0,
    }
}

/// RFC 8305 section 5: a further attempt starts when the delay is over, or at once when one fails.
async fn race<T, F>(
    mut waiting: VecDeque<SocketAddr>,
    delay: Duration,
    attempt: impl Fn(SocketAddr) -> F,
) -> io::Result<(SocketAddr, T)>
where
    F: Future<Output = io::Result<T>> + Send,
{
    let mut running: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::with_capacity(waiting.len());
    let mut failure: Option<io::Error> = None;
    let mut next = Box::pin(sleep(Duration::ZERO));
    let mut due = true;
    poll_fn(|cx| {
        loop {
            if due || running.is_empty() {
                if let Some(address) = waiting.pop_front() {
                    running.push((address, Box::pin(attempt(address))));
                    next.as_mut().reset(Instant::now() + delay);
                }
                due = false;
            }
            let mut index = 0;
            while let Some((address, future)) = running.get_mut(index) {
                match future.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok((*address, stream))),
                    Poll::Ready(Err(error)) => {
                        drop(running.swap_remove(index));
                        if failure.as_ref().is_none_or(|known| weight(&error) > weight(known)) {
                            failure = Some(error);
                        }
                        due = true;
                    }
                    Poll::Pending => index += 1,
                }
            }
            if waiting.is_empty() {
                if running.is_empty() {
                    let error = failure.take().unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
                    return Poll::Ready(Err(error));
                }
                return Poll::Pending;
            }
            due = due || next.as_mut().poll(cx).is_ready();
            if !due {
                return Poll::Pending;
            }
        }
    })
    .await
}

async fn attempt(address: SocketAddr, options: Options) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let source = match address {
        SocketAddr::V4(_) => options.egress_v4.map(IpAddr::V4),
        SocketAddr::V6(_) => options.egress_v6.map(IpAddr::V6),
    };
    if let Some(source) = source {
        // The port is chosen when the destination is known, so that one source address carries more than 28,000
        // connections (ip(7)).
        #[cfg(target_os = "linux")]
        crate::sys::set_bind_without_port(&socket)?;
        socket.bind(SocketAddr::new(source, 0))?;
    }
    prepare(SockRef::from(&socket))?;
    #[cfg(target_os = "linux")]
    if let Some(bytes) = options.unsent_low_water {
        crate::sys::set_unsent_low_water(&socket, i32::try_from(bytes).unwrap_or(i32::MAX))?;
    }
    socket.connect(address).await
}

/// What every TCP socket of ours gets, accepted or dialled: no waiting for more before sending (RFC 9293 section
/// 3.7.4), and probes of silent peers.
///
/// # Errors
/// Whatever the system says against it.
pub fn prepare(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
