//! The client's end of a way: at most a few carriers, kept and replaced, and tunnels opened through them.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use rozaneh_net::pool::Slice;
use rozaneh_net::stream::{Io, Stream};
use rozaneh_wire::h2::{Field, LocalProtocolError, find};
use rozaneh_wire::padding::Kind;
use tokio::time::Instant;

use super::carrier::{Carrier, Ending};
use super::driver::{Driver, NoRequests, Patience};
use super::packets::CapsulePackets;
use super::padded::Padded;
use super::request::{self, Answer, Credentials};
use super::stream::H2Stream;
use crate::next::{PacketIo, Refusal};
use crate::outer::{Failed, Outer, Stage};
use crate::target::Target;

/// Silence on a carrier that is waited for before it is asked whether it lives. Long enough for a phone's radio to
/// wake, short enough that a frozen carrier is replaced before a person gives up.
const SILENCE: Duration = Duration::from_secs(15);
/// A server that does not answer a CONNECT in this time will not.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a stream waits for a place on a full carrier.
const ROOM: Duration = Duration::from_secs(10);
/// The edge opens extended CONNECT right behind its first authenticated answer.
const SETTINGS: Duration = Duration::from_secs(10);

/// A name that only edges answer, inside themselves: the roster, and the proof that credentials are good. Reserved by
/// RFC 6761 section 6.4, so no resolver ever sees it answered.
pub const RESERVED: &str = "roster.rozaneh.invalid:443";

/// What happened to a carrier; never where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarrierEvent {
    Open { handshake: Duration },
    Lost,
    Failed(Stage),
}

/// What a probe found.
#[derive(Clone, Debug)]
pub struct Probe {
    pub stage: Stage,
    /// In words, without addresses.
    pub reason: String,
    pub rtt: Option<Duration>,
    /// The `date` the edge's answer carried, as sent.
    pub date: Option<String>,
    /// The body of the reserved answer.
    pub body: Vec<u8>,
}

/// Everything a way needs to be dialled.
pub struct Config {
    /// How to reach the edge.
    pub outer: Outer,
    pub credentials: Credentials,
    /// Most carriers at a time.
    pub carriers: usize,
    /// Time for TCP and TLS together.
    pub deadline: Duration,
    pub watch: Box<dyn Fn(CarrierEvent) + Send + Sync>,
}

/// One carrier's place.
#[derive(Default)]
struct Slot {
    live: Mutex<Option<Arc<Carrier>>>,
    /// Held while a carrier is being made, so that a hundred waiting streams make one.
    making: tokio::sync::Mutex<()>,
}

/// The client's end of one way.
pub struct Way {
    config: Config,
    slots: Vec<Slot>,
    /// The edge pads with type 1 (as far as we know): payload may follow its request at once.
    pads: AtomicBool,
    known: AtomicBool,
    tunnels: AtomicU64,
}

impl Way {
    #[must_use]
    pub fn new(config: Config) -> Arc<Self> {
        let slots = (0..config.carriers.max(1)).map(|_| Slot::default()).collect();
        Arc::new(Self {
            config,
            slots,
            pads: AtomicBool::new(false),
            known: AtomicBool::new(false),
            tunnels: AtomicU64::new(0),
        })
    }

    /// Carriers that stand.
    #[must_use]
    pub fn carriers(&self) -> usize {
        self.slots.iter().filter(|slot| slot.usable().is_some()).count()
    }

    /// Closes all carriers; streams that run on them finish first.
    pub fn close(&self) {
        for slot in &self.slots {
            if let Some(carrier) = slot.live.lock().take() {
                carrier.close();
            }
        }
    }

    /// A byte stream to `target`. Where the edge's habits are known it is returned at once, and a refusal shows as an
    /// error of the first read (Fast CONNECT).
    ///
    /// # Errors
    /// A [`Refusal`]: [`Refusal::Upstream`] if there is no carrier, what the edge said otherwise.
    pub async fn open(self: &Arc<Self>, target: &Target) -> Result<Io, Refusal> {
        let fast = self.known.load(Ordering::Relaxed);
        let stream = self.request(&request::connect(target, &self.config.credentials, fast)).await?;
        let kind = if self.pads.load(Ordering::Relaxed) { Kind::FIRST_EIGHT } else { Kind::NONE };
        let mut tunnel = Tunnel { state: State::Waiting(stream), kind, way: Arc::clone(self) };
        if fast {
            tunnel.begin();
            return Ok(Io::Dyn(Box::new(tunnel)));
        }
        let answered = poll_fn(|cx| tunnel.poll_answer(cx));
        match tokio::time::timeout(ANSWER, answered).await {
            Ok(Ok(())) => Ok(Io::Dyn(Box::new(tunnel))),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(Refusal::Timeout),
        }
    }

    /// Datagrams to `target`.
    ///
    /// # Errors
    /// As [`Way::open`].
    pub async fn open_udp(self: &Arc<Self>, target: &Target) -> Result<Box<dyn PacketIo>, Refusal> {
        let carrier = self.standing().await?;
        if !extended(&carrier) {
            // The edge announces it only to who has authenticated: so do that.
            self.ask(&carrier).await?;
            let waiting = poll_fn(|cx| {
                let mut shared = carrier.lock();
                if shared.conn.peer_setting(0x8) == Some(1) {
                    return Poll::Ready(Ok(()));
                }
                if shared.ending != Ending::No {
                    return Poll::Ready(Err(Refusal::Upstream));
                }
                shared.settings_wakers.push(cx.waker().clone());
                Poll::Pending
            });
            tokio::time::timeout(SETTINGS, waiting).await.map_err(|_| Refusal::Upstream)??;
        }
        let mut fields = request::connect_udp(target, &self.config.outer.authority, &self.config.credentials);
        self.config.outer.look.order(&mut fields);
        let mut stream = carrier.open_when_free(&fields, false, Instant::now() + ROOM).await.map_err(busy)?;
        let head = tokio::time::timeout(ANSWER, poll_fn(|cx| stream.poll_head(cx)));
        let head = head.await.map_err(|_| Refusal::Timeout)?.map_err(|_| Refusal::Upstream)?;
        match request::answer(&head) {
            Answer::Open(_) => Ok(Box::new(CapsulePackets::new(stream, target.clone()))),
            Answer::Refused(why) => Err(why),
            Answer::Stranger => Err(Refusal::Upstream),
        }
    }

    /// Makes sure that a carrier stands and that the edge knows us, by asking for the reserved document (at most
    /// `limit` bytes of it).
    pub async fn probe(self: &Arc<Self>, limit: usize) -> Probe {
        let began = Instant::now();
        let failed =
            |stage, reason: &str| Probe { stage, reason: reason.to_owned(), rtt: None, date: None, body: Vec::new() };
        let carrier = match self.standing_or_why().await {
            Ok(carrier) => carrier,
            Err(Failed { stage, reason, date }) => return Probe { date, ..failed(stage, &reason) },
        };
        match self.reserved(&carrier, limit).await {
            Ok((date, body)) => {
                Probe { stage: Stage::Ok, reason: String::new(), rtt: Some(began.elapsed()), date, body }
            }
            Err(Asked::Stranger) => {
                (self.config.watch)(CarrierEvent::Failed(Stage::Auth));
                failed(Stage::Auth, "the edge answers as it answers strangers")
            }
            Err(Asked::Refused) => failed(Stage::Auth, "the edge knows these credentials and has no roster for them"),
            Err(Asked::Broken) => failed(Stage::Tls, "the connection broke before the edge answered"),
        }
    }

    async fn ask(self: &Arc<Self>, carrier: &Arc<Carrier>) -> Result<(), Refusal> {
        match self.reserved(carrier, 1 << 20).await {
            Ok(_) | Err(Asked::Refused) => Ok(()),
            Err(Asked::Stranger | Asked::Broken) => Err(Refusal::Upstream),
        }
    }

    async fn reserved(
        self: &Arc<Self>,
        carrier: &Arc<Carrier>,
        limit: usize,
    ) -> Result<(Option<String>, Vec<u8>), Asked> {
        let target = Target::parse(RESERVED).ok_or(Asked::Broken)?;
        let fields = request::connect(&target, &self.config.credentials, false);
        let until = Instant::now() + ROOM;
        let mut stream = carrier.open_when_free(&fields, true, until).await.map_err(|_| Asked::Broken)?;
        let asking = async {
            let head = poll_fn(|cx| stream.poll_head(cx)).await.map_err(|_| Asked::Broken)?;
            let kind = match request::answer(&head) {
                Answer::Open(kind) => kind,
                Answer::Refused(_) => return Err(Asked::Refused),
                Answer::Stranger => return Err(Asked::Stranger),
            };
            self.learn(kind);
            let date = find(&head, "date").map(|date| String::from_utf8_lossy(date).into_owned());
            let mut padded = Padded::new(stream, kind);
            let mut body = Vec::new();
            while let Some(chunk) = poll_fn(|cx| padded.poll_recv(cx, usize::MAX)).await.map_err(|_| Asked::Broken)? {
                body.extend_from_slice(&chunk);
                if body.len() > limit {
                    return Err(Asked::Broken);
                }
            }
            Ok((date, body))
        };
        tokio::time::timeout(ANSWER, asking).await.map_err(|_| Asked::Broken)?
    }

    fn learn(&self, kind: Kind) {
        self.pads.store(kind == Kind::FIRST_EIGHT, Ordering::Relaxed);
        self.known.store(true, Ordering::Relaxed);
    }

    /// Opens a stream on the first carrier that has room, on a new one where all are full and manners allow it, and
    /// waits a while otherwise.
    async fn request(self: &Arc<Self>, fields: &[Field]) -> Result<H2Stream, Refusal> {
        let until = Instant::now() + ROOM;
        loop {
            for carrier in self.slots.iter().filter_map(Slot::usable) {
                match carrier.open(fields, false) {
                    Ok(stream) => {
                        self.tunnels.fetch_add(1, Ordering::Relaxed);
                        return Ok(stream);
                    }
                    // Full, or it ended between the look and the use.
                    Err(
                        LocalProtocolError::Busy
                        | LocalProtocolError::GoingAway
                        | LocalProtocolError::Dead
                        | LocalProtocolError::Exhausted,
                    ) => {}
                    Err(_) => return Err(Refusal::Failed),
                }
            }
            let standing = self.carriers() > 0;
            if let Some(free) = self.slots.iter().find(|slot| slot.usable().is_none()) {
                match self.fill(free, if standing { Duration::ZERO } else { self.config.deadline }).await {
                    Ok(_) => continue,
                    Err(failed) if !standing => return Err(refusal(&failed)),
                    Err(_) => {}
                }
            }
            tokio::time::timeout_at(until, self.room()).await.map_err(|_| Refusal::Busy)?;
        }
    }

    /// Until a carrier may have room, or none stands.
    async fn room(&self) {
        poll_fn(|cx| {
            let mut standing = false;
            for carrier in self.slots.iter().filter_map(Slot::usable) {
                if carrier.poll_room(cx).is_ready() {
                    return Poll::Ready(());
                }
                standing = true;
            }
            if standing { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    async fn standing(self: &Arc<Self>) -> Result<Arc<Carrier>, Refusal> {
        self.standing_or_why().await.map_err(|failed| refusal(&failed))
    }

    /// A carrier that stands: any, or a new one.
    async fn standing_or_why(self: &Arc<Self>) -> Result<Arc<Carrier>, Failed> {
        if let Some(carrier) = self.slots.iter().find_map(Slot::usable) {
            return Ok(carrier);
        }
        let slot = self.slots.first().ok_or_else(|| Failed::new(Stage::Connect, "a way without carriers"))?;
        self.fill(slot, self.config.deadline).await
    }

    /// The carrier of a slot, made if there is none. `patience` is how long to wait where a browser would not open
    /// another connection yet.
    async fn fill(self: &Arc<Self>, slot: &Slot, patience: Duration) -> Result<Arc<Carrier>, Failed> {
        let _making = slot.making.lock().await;
        if let Some(carrier) = slot.usable() {
            return Ok(carrier);
        }
        let began = Instant::now();
        let made = tokio::time::timeout(self.config.deadline, self.make(began + patience)).await;
        match made.unwrap_or_else(|_| Err(Failed::new(Stage::Connect, "no answer in time"))) {
            Ok(carrier) => {
                (self.config.watch)(CarrierEvent::Open { handshake: began.elapsed() });
                *slot.live.lock() = Some(Arc::clone(&carrier));
                Ok(carrier)
            }
            Err(failed) => {
                if failed.stage != Stage::Busy {
                    (self.config.watch)(CarrierEvent::Failed(failed.stage));
                }
                Err(failed)
            }
        }
    }

    async fn make(self: &Arc<Self>, patience: Instant) -> Result<Arc<Carrier>, Failed> {
        let (tcp, ready) = self.config.outer.connect(patience).await?;
        if self.config.outer.tls.negotiates() && !ready.established.facts.is_h2() {
            return Err(Failed::new(Stage::Tls, "the edge does not speak HTTP/2"));
        }
        let carrier = Carrier::client(&self.config.outer.look, true);
        let driver = Driver::new(
            tcp,
            ready,
            Arc::clone(&carrier),
            NoRequests,
            Patience::Ping(SILENCE),
            Arc::new(AtomicBool::new(true)),
        );
        let way = Arc::downgrade(self);
        tokio::spawn(async move {
            driver.run().await;
            if let Some(way) = way.upgrade() {
                (way.config.watch)(CarrierEvent::Lost);
            }
        });
        Ok(carrier)
    }
}

enum Asked {
    Stranger,
    Refused,
    Broken,
}

impl Slot {
    fn usable(&self) -> Option<Arc<Carrier>> {
        let live = self.live.lock();
        live.as_ref().filter(|carrier| carrier.ending() == Ending::No).cloned()
    }
}

fn extended(carrier: &Carrier) -> bool {
    carrier.lock().conn.peer_setting(0x8) == Some(1)
}

fn busy(error: LocalProtocolError) -> Refusal {
    match error {
        LocalProtocolError::Busy => Refusal::Busy,
        _ => Refusal::Upstream,
    }
}

fn refusal(failed: &Failed) -> Refusal {
    if failed.stage == Stage::Busy { Refusal::Busy } else { Refusal::Upstream }
}

enum State {
    /// The answer has not come; nothing was sent.
    Waiting(H2Stream),
    /// Payload flows; the answer may still be on its way.
    Open { stream: Padded<H2Stream>, answered: bool },
    /// Refused or broken.
    Over,
}

/// A tunnel as the relay sees it.
struct Tunnel {
    state: State,
    kind: Kind,
    way: Arc<Way>,
}

impl Tunnel {
    /// Starts sending before the answer.
    fn begin(&mut self) {
        if let State::Waiting(stream) = std::mem::replace(&mut self.state, State::Over) {
            self.state = State::Open { stream: Padded::new(stream, self.kind), answered: false };
        }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        let head = match &mut self.state {
            State::Waiting(stream) => ready!(stream.poll_head(cx)),
            State::Open { answered: true, .. } => return Poll::Ready(Ok(())),
            State::Open { stream, .. } => ready!(stream.inner_mut().poll_head(cx)),
            State::Over => return Poll::Ready(Err(Refusal::Failed)),
        };
        let Ok(head) = head else {
            self.state = State::Over;
            return Poll::Ready(Err(Refusal::Upstream));
        };
        match request::answer(&head) {
            Answer::Open(kind) => {
                match &mut self.state {
                    State::Open { answered, .. } if kind == self.kind => *answered = true,
                    State::Open { .. } => {
                        // The edge changed its mind about padding: this tunnel cannot be read, the next one can.
                        self.way.learn(kind);
                        self.state = State::Over;
                        return Poll::Ready(Err(Refusal::Failed));
                    }
                    _ => {
                        self.kind = kind;
                        self.way.learn(kind);
                        self.begin();
                        if let State::Open { answered, .. } = &mut self.state {
                            *answered = true;
                        }
                    }
                }
                Poll::Ready(Ok(()))
            }
            Answer::Refused(why) => {
                self.state = State::Over;
                Poll::Ready(Err(why))
            }
            Answer::Stranger => {
                self.state = State::Over;
                (self.way.config.watch)(CarrierEvent::Failed(Stage::Auth));
                Poll::Ready(Err(Refusal::Upstream))
            }
        }
    }

    fn open(&mut self) -> io::Result<&mut Padded<H2Stream>> {
        match &mut self.state {
            State::Open { stream, .. } => Ok(stream),
            _ => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl Stream for Tunnel {
    fn poll_recv(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<io::Result<Option<Slice>>> {
        if let State::Open { answered: false, .. } = self.state {
            if let Err(why) = ready!(self.poll_answer(cx)) {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, why.name())));
            }
        }
        self.open()?.poll_recv(cx, max)
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_ready(cx)
    }

    fn send(&mut self, chunk: Slice) {
        if let Ok(stream) = self.open() {
            stream.send(chunk);
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_flush(cx)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_finish(cx)
    }

    fn abort(&mut self) {
        if let Ok(stream) = self.open() {
            stream.abort();
        }
    }
}
