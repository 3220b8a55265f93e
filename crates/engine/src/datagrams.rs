//! Datagrams between a listener's association and an upstream: one loop for each association.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use rozaneh_net::pool::Slice;
use rozaneh_net::udp::{Batch, UdpPort};
use rozaneh_transport::next::{PacketIo, Refusal};
use rozaneh_transport::target::Target;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::core::{Core, Services};
use crate::counters::Open;
use crate::direct::Direct;
use crate::dispatch::Route;
use crate::policy::Transport;
use crate::upstream::Upstream;
use crate::users::User;

/// An association without traffic ends (RFC 4787 section 4.3: not below two minutes).
const IDLE: Duration = Duration::from_secs(120);
/// Destinations of one association that are remembered; a resolver or a call uses a handful.
const MAX_TARGETS: usize = 256;
/// Destinations of one association through a way: each is a stream of its own there.
const MAX_FLOWS: usize = 64;
/// Datagrams of one flow that wait for its stream; more are lost, as in any queue.
const FLOW_QUEUE: usize = 64;

type Datagram = (Target, Slice);

/// Serves one association to its end.
pub(crate) async fn serve(
    core: &Arc<Core>,
    route: &Route,
    target: Option<Target>,
    user: Option<Arc<User>>,
    mut packets: Box<dyn PacketIo>,
) {
    let busy = user
        .as_ref()
        .is_some_and(|user| user.tally.tunnels_open.load(Relaxed) >= core.routing.load().limits.tunnels_per_user);
    let upstream = core.upstream(&route.upstream);
    let refuse = |packets: &mut Box<dyn PacketIo>, why| {
        core.counters.refused(why);
        packets.decide(Err(why));
    };
    if busy {
        return refuse(&mut packets, Refusal::Busy);
    }
    let user_open = user.as_ref().map(|user| Open::new(&user.tally.tunnels_open));
    let open = Open::new(&core.counters.tunnels_open);
    let cut = user.as_ref().map_or_else(|| core.cut.clone(), |user| user.cut.clone());
    let count = Count { core: Arc::clone(core), user: user.clone() };
    let work = async {
        let Some(upstream) = upstream else { return refuse(&mut packets, Refusal::Upstream) };
        match &*upstream {
            Upstream::Direct(direct) => {
                let far = match Far::new(direct, target.as_ref(), &route.services).await {
                    Ok(far) => far,
                    Err(why) => return refuse(&mut packets, why),
                };
                packets.decide(Ok(()));
                core.counters.tunnels_total.fetch_add(1, Relaxed);
                // An association that breaks is over, like one that ends.
                let _ = exchange(&mut *packets, far, &count).await;
            }
            Upstream::H2(_) | Upstream::Vless(_) => {
                packets.decide(Ok(()));
                core.counters.tunnels_total.fetch_add(1, Relaxed);
                let _ = through(&mut *packets, &upstream, &count).await;
            }
            Upstream::Socks(_) => refuse(&mut packets, Refusal::Upstream),
        }
    };
    tokio::select! {
        () = cut.cancelled() => {}
        () = work => {}
    }
    drop((open, user_open));
}

/// Counts payload both ways.
struct Count {
    core: Arc<Core>,
    user: Option<Arc<User>>,
}

impl Count {
    fn up(&self, batch: &[Datagram]) {
        let bytes: usize = batch.iter().map(|(_, payload)| payload.len()).sum();
        self.core.counters.bytes.up.fetch_add(bytes as u64, Relaxed);
        if let Some(user) = &self.user {
            user.tally.meter.up.fetch_add(bytes as u64, Relaxed);
        }
    }

    fn down(&self, batch: &[Datagram]) {
        let bytes: usize = batch.iter().map(|(_, payload)| payload.len()).sum();
        self.core.counters.bytes.down.fetch_add(bytes as u64, Relaxed);
        if let Some(user) = &self.user {
            user.tally.meter.down.fetch_add(bytes as u64, Relaxed);
        }
    }
}

/// The sockets of one association on the open internet.
struct Far<'a> {
    direct: &'a Direct,
    v4: Option<UdpPort>,
    v6: Option<UdpPort>,
    /// Where targets lead; `None` = nowhere (denied, or no such name).
    known: HashMap<Target, Option<SocketAddr>>,
    /// The other way round: answers come back under the name that was asked for.
    names: HashMap<SocketAddr, Target>,
    /// With one fixed target, answers of anybody else are dropped (RFC 9298 section 5).
    fixed: bool,
}

impl<'a> Far<'a> {
    async fn new(direct: &'a Direct, target: Option<&Target>, services: &Services) -> Result<Self, Refusal> {
        let mut far =
            Self { direct, v4: None, v6: None, known: HashMap::new(), names: HashMap::new(), fixed: target.is_some() };
        if let Some(target) = target {
            if services.contains_key(&target.authority()) {
                return Err(Refusal::Name);
            }
            let address = direct.resolve(target, Transport::Udp).await?.first().copied();
            far.learn(target.clone(), address);
        }
        Ok(far)
    }

    fn learn(&mut self, target: Target, address: Option<SocketAddr>) {
        if self.known.len() >= MAX_TARGETS {
            // An association this wide is no conversation; start over rather than grow.
            self.known.clear();
            self.names.clear();
        }
        if let Some(address) = address {
            self.names.insert(address, target.clone());
        }
        self.known.insert(target, address);
    }

    async fn address(&mut self, target: &Target) -> Option<SocketAddr> {
        if let Some(known) = self.known.get(target) {
            return *known;
        }
        let resolved = self.direct.resolve(target, Transport::Udp).await;
        let address = resolved.ok().and_then(|all| all.first().copied());
        self.learn(target.clone(), address);
        address
    }

    fn port(&mut self, v4: bool) -> Option<&UdpPort> {
        let place = if v4 { &mut self.v4 } else { &mut self.v6 };
        if place.is_none() {
            let any = if v4 { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
            let source = self.direct.egress.iter().copied().find(|ip| ip.is_ipv4() == v4).unwrap_or(any);
            *place = UdpPort::bind(SocketAddr::new(source, 0)).ok();
        }
        place.as_ref()
    }

    /// Sends what may be sent; the rest is dropped, as a network would.
    async fn send(&mut self, batch: &mut Vec<Datagram>) {
        for v4 in [true, false] {
            let mut out = Batch::new();
            for (target, payload) in batch.iter() {
                if let Some(address) = self.address(target).await.filter(|address| address.is_ipv4() == v4) {
                    if !out.push(address, payload.clone()) {
                        break;
                    }
                }
            }
            if !out.is_empty() {
                if let Some(port) = self.port(v4) {
                    // Refused or unreachable: datagrams get lost.
                    let _ = port.send(&mut out).await;
                }
            }
        }
        batch.clear();
    }

    /// Datagrams from either socket. A socket that has nothing, or does not exist yet, stays pending.
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut Vec<Datagram>) -> Poll<()> {
        let mut any = false;
        for port in [&self.v4, &self.v6].into_iter().flatten() {
            let mut batch = Batch::new();
            // ICMP errors surface here; they end nothing.
            while let Poll::Ready(Err(_)) = port.poll_recv(cx, &mut batch) {}
            for (source, payload) in batch.drain() {
                let known = self.names.get(&source).cloned();
                if let Some(target) = known.or_else(|| (!self.fixed).then_some(Target::Addr(source))) {
                    into.push((target, payload));
                    any = true;
                }
            }
        }
        if any { Poll::Ready(()) } else { Poll::Pending }
    }
}

enum Moved {
    Near(io::Result<usize>),
    Far,
}

async fn exchange(near: &mut dyn PacketIo, mut far: Far<'_>, count: &Count) -> io::Result<()> {
    let mut up: Vec<Datagram> = Vec::with_capacity(rozaneh_net::udp::BATCH);
    let mut down: Vec<Datagram> = Vec::new();
    let mut until = Instant::now() + IDLE;
    loop {
        let moved = poll_fn(|cx| {
            if let Poll::Ready(came) = near.poll_recv(cx, &mut up) {
                return Poll::Ready(Moved::Near(came));
            }
            far.poll_recv(cx, &mut down).map(|()| Moved::Far)
        });
        match tokio::time::timeout_at(until, moved).await {
            Err(_) => return Ok(()),
            Ok(Moved::Near(came)) => {
                if came? == 0 {
                    return Ok(());
                }
                count.up(&up);
                far.send(&mut up).await;
            }
            Ok(Moved::Far) => {
                count.down(&down);
                poll_fn(|cx| near.poll_send(cx, &mut down)).await?;
            }
        }
        until = Instant::now() + IDLE;
    }
}

/// An association over a way: a stream for each destination.
async fn through(near: &mut dyn PacketIo, way: &Arc<Upstream>, count: &Count) -> io::Result<()> {
    let (back, mut answers) = mpsc::channel::<Vec<Datagram>>(FLOW_QUEUE);
    let mut flows: HashMap<Target, mpsc::Sender<Slice>> = HashMap::new();
    let mut up: Vec<Datagram> = Vec::with_capacity(rozaneh_net::udp::BATCH);
    let mut tasks = tokio::task::JoinSet::new();
    let mut until = Instant::now() + IDLE;
    loop {
        enum Came {
            Near(io::Result<usize>),
            Back(Option<Vec<Datagram>>),
        }
        let came = poll_fn(|cx| {
            if let Poll::Ready(came) = near.poll_recv(cx, &mut up) {
                return Poll::Ready(Came::Near(came));
            }
            answers.poll_recv(cx).map(Came::Back)
        });
        match tokio::time::timeout_at(until, came).await {
            Err(_) | Ok(Came::Back(None)) => return Ok(()),
            Ok(Came::Near(came)) => {
                if came? == 0 {
                    return Ok(());
                }
                count.up(&up);
                flows.retain(|_, flow| !flow.is_closed());
                for (target, payload) in up.drain(..) {
                    if !flows.contains_key(&target) {
                        if flows.len() >= MAX_FLOWS {
                            continue;
                        }
                        let (sender, receiver) = mpsc::channel(FLOW_QUEUE);
                        tasks.spawn(flow(Arc::clone(way), target.clone(), receiver, back.clone()));
                        flows.insert(target.clone(), sender);
                    }
                    if let Some(flow) = flows.get(&target) {
                        // A full queue loses the datagram.
                        let _ = flow.try_send(payload);
                    }
                }
            }
            Ok(Came::Back(Some(mut batch))) => {
                count.down(&batch);
                poll_fn(|cx| near.poll_send(cx, &mut batch)).await?;
            }
        }
        while tasks.try_join_next().is_some() {}
        until = Instant::now() + IDLE;
    }
}

/// One destination of an association over a way.
async fn flow(way: Arc<Upstream>, target: Target, mut out: mpsc::Receiver<Slice>, back: mpsc::Sender<Vec<Datagram>>) {
    let Ok(mut packets) = way.open_udp(&target).await else { return };
    let mut received: Vec<Datagram> = Vec::with_capacity(rozaneh_net::udp::BATCH);
    loop {
        enum Came {
            Out(Option<Slice>),
            Back(io::Result<usize>),
        }
        let came = poll_fn(|cx| {
            if let Poll::Ready(payload) = out.poll_recv(cx) {
                return Poll::Ready(Came::Out(payload));
            }
            packets.poll_recv(cx, &mut received).map(Came::Back)
        });
        match tokio::time::timeout(IDLE, came).await {
            Err(_) | Ok(Came::Out(None) | Came::Back(Err(_) | Ok(0))) => return,
            Ok(Came::Out(Some(payload))) => {
                let mut batch = vec![(target.clone(), payload)];
                while batch.len() < rozaneh_net::udp::BATCH {
                    match out.try_recv() {
                        Ok(payload) => batch.push((target.clone(), payload)),
                        Err(_) => break,
                    }
                }
                if poll_fn(|cx| packets.poll_send(cx, &mut batch)).await.is_err() {
                    return;
                }
            }
            Ok(Came::Back(Ok(_))) => {
                // A reader that does not read loses datagrams.
                let _ = back.try_send(std::mem::take(&mut received));
                received.reserve(rozaneh_net::udp::BATCH);
            }
        }
    }
}
