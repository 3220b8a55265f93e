//! What the cover does besides answering: learned from real handshakes with it, at the start and ever again.
//!
//! Each lesson is a handshake of our own: how many records the cover's flight has, what it sends behind its flight and
//! behind our Finished, and how many dummy ChangeCipherSpec records it takes. The cover's operator can tell these
//! handshakes from a browser's; nobody who watches the edge's readers sees them where the cover stands beside the edge.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rozaneh_tls::Progress;
use rozaneh_tls::certificate::SignatureOnly;
use rozaneh_tls::client::{Client, Config};
use rozaneh_tls::hello::plain::Plain;
use rozaneh_tls::reality::answer::Manners;
use rozaneh_tls::reality::shape::{self, Alpn, Learner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{Event, now_ms};

/// A lesson takes no longer; the note waits as long for what comes behind a handshake.
const LESSON: Duration = Duration::from_secs(5);
/// Silence after which nothing more is expected: some round trips, and not less than a busy server's pause.
const QUIET: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// The same behind the cover's flight, where only records of the same write can still come.
const BEHIND: (Duration, Duration) = (Duration::from_millis(30), Duration::from_millis(500));
/// After a failure: doubled every time, up to the most.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));
/// Every so many rounds the dummy records are tried again: servers are seldom replaced, and the trial is an odd sight.
const SPECS_EVERY: u64 = 24;

/// What was learned for one name and kind of hello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// Protected records of the cover's flight.
    pub flight: usize,
    /// Records behind them in the same flight: a server that does not wait for our Finished sends its tickets so.
    pub behind: usize,
    /// Lengths on the wire of what its TLS sends, those of `behind` first.
    pub tickets: Vec<usize>,
    /// The same of what its application says unasked (HTTP/2 SETTINGS).
    pub greeting: Vec<usize>,
    /// Dummy ChangeCipherSpec records it takes; none for any number.
    pub specs: Option<u32>,
}

impl Lesson {
    /// What is left to send behind the client's Finished when `sent` records went with the flight.
    #[must_use]
    pub fn manners(&self, sent: usize) -> Manners {
        Manners { after: self.tickets.get(sent..).unwrap_or_default().to_vec(), specs: self.specs }
    }
}

/// None where the cover gave no lesson so far: friends of that kind meet it, and need not wait.
type Lessons = HashMap<(String, Alpn), Option<Arc<Lesson>>>;

/// All that is known of a cover.
pub struct Shapes {
    known: watch::Sender<Lessons>,
}

impl Shapes {
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { known: watch::Sender::new(HashMap::new()) })
    }

    /// What is known for this name and kind of hello; waits until it is, for so long.
    pub async fn get(&self, name: &str, alpn: Alpn, patience: Duration) -> Option<Arc<Lesson>> {
        let key = (name.to_owned(), alpn);
        let mut known = self.known.subscribe();
        let found = timeout(patience, known.wait_for(|lessons| lessons.contains_key(&key))).await.ok()?.ok()?;
        found.get(&key).cloned().flatten()
    }

    /// Learns until nobody is interested any more. `every` is the pause between two rounds, give or take a fifth.
    pub async fn study(
        self: Arc<Self>,
        cover: SocketAddr,
        names: Vec<String>,
        every: Duration,
        tell: impl Fn(Event) + Send,
    ) {
        let this = Arc::downgrade(&self);
        drop(self);
        let (mut round, mut pause, mut well) = (0_u64, RETRY.0, None);
        while this.strong_count() > 0 {
            let learned = learn_all(cover, &names, round % SPECS_EVERY == 0, &this).await;
            let good = learned != Learned::Nothing;
            if well != Some(good) {
                well = Some(good);
                tell(if good { Event::CoverLearned } else { Event::CoverUnusable });
            }
            let most = match learned {
                Learned::All => Duration::ZERO,
                // A handshake that took too long comes again soon, one that the cover always refuses ever more seldom.
                Learned::Some => every,
                Learned::Nothing => RETRY.1,
            };
            let next = if learned == Learned::All {
                pause = RETRY.0;
                round = round.wrapping_add(1);
                jitter(every)
            } else {
                let now = pause.min(most);
                pause = pause.saturating_mul(2).min(most);
                now
            };
            sleep(next).await;
        }
    }
}

/// Four to six fifths of it.
fn jitter(every: Duration) -> Duration {
    let mut byte = [128];
    // Without randomness the pause is what was asked for.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    every.mul_f64(0.8 + f64::from(byte[0]) / 640.0)
}

/// How much of a round succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Learned {
    All,
    Some,
    /// For at least one name, nothing.
    Nothing,
}

async fn learn_all(cover: SocketAddr, names: &[String], specs: bool, shapes: &std::sync::Weak<Shapes>) -> Learned {
    let mut all = Learned::All;
    for name in names {
        let learned = tokio::join!(
            learn(cover, name, Alpn::None, specs, shapes),
            learn(cover, name, Alpn::Other, specs, shapes),
            learn(cover, name, Alpn::H2, specs, shapes),
        );
        // One kind that the cover refuses leaves the others usable; friends of that kind meet the cover's refusal.
        all = match (learned, all) {
            ((Err(_), Err(_), Err(_)), _) | (_, Learned::Nothing) => Learned::Nothing,
            ((Ok(()), Ok(()), Ok(())), all) => all,
            _ => Learned::Some,
        };
    }
    all
}

async fn learn(
    cover: SocketAddr,
    name: &str,
    alpn: Alpn,
    specs: bool,
    shapes: &std::sync::Weak<Shapes>,
) -> io::Result<()> {
    let key = (name.to_owned(), alpn);
    let observed = handshake(cover, name, alpn, 0).await.inspect_err(|_| {
        if let Some(shapes) = shapes.upgrade() {
            // What was known stays: a cover that is away for a moment comes back as it was.
            shapes.known.send_if_modified(|lessons| {
                let news = !lessons.contains_key(&key);
                lessons.entry(key.clone()).or_default();
                news
            });
        }
    })?;
    let known = |shapes: &Shapes| shapes.known.borrow().get(&key).and_then(|lesson| Some(lesson.as_ref()?.specs));
    let before = shapes.upgrade().and_then(|shapes| known(&shapes));
    let lesson = |specs| {
        let of = |data| observed.after.iter().filter(|after| after.data == data).map(|after| after.wire).collect();
        let (flight, behind) = (observed.flight, observed.behind);
        Arc::new(Lesson { flight, behind, tickets: of(false), greeting: of(true), specs })
    };
    let publish = |specs| {
        if let Some(shapes) = shapes.upgrade() {
            shapes.known.send_modify(|lessons| {
                lessons.insert(key.clone(), Some(lesson(specs)));
            });
        }
    };
    // Known at once with what most servers take, so that friends need not wait for the odder trials.
    publish(before.unwrap_or(Manners::default().specs));
    if specs || before.is_none() {
        let mut taken = [false; 3];
        for (count, taken) in shape::TRIED.into_iter().zip(&mut taken) {
            *taken = handshake(cover, name, alpn, count.saturating_sub(1)).await.is_ok_and(|observed| observed.alive);
            if !*taken {
                break;
            }
        }
        publish(shape::tolerance(taken));
    }
    Ok(())
}

struct Observed {
    flight: usize,
    behind: usize,
    after: Vec<shape::After>,
    /// Whether the cover still listened at the end.
    alive: bool,
}

/// One real handshake, with so many dummies in front of our Finished.
async fn handshake(cover: SocketAddr, name: &str, alpn: Alpn, dummies: u32) -> io::Result<Observed> {
    let end = Instant::now() + LESSON;
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let mut tcp = timeout_at(end, TcpStream::connect(cover)).await.map_err(late)??;
    tcp.set_nodelay(true)?;
    let author = Plain { alpn: alpn.protocols(), ..Plain::default() };
    let config = Arc::new(Config::new(Arc::new(author), Arc::new(SignatureOnly)));
    let (mut client, mut out) = Client::start(config, name, now_ms()).map_err(io::Error::other)?;
    let (mut sent, mut input, mut room) = (Vec::new(), Vec::new(), vec![0; 16 * 1_024]);
    let asked = Instant::now();
    let mut answered = None;
    tcp.write_all(&out).await?;
    out.clear();
    loop {
        if client.step(&mut input, &mut out).map_err(io::Error::other)? == Progress::Done {
            break;
        }
        if !out.is_empty() {
            // A second hello was asked for: friends are not answered by such a cover.
            return Err(io::ErrorKind::Unsupported.into());
        }
        let n = timeout_at(end, tcp.read(&mut room)).await.map_err(late)??;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answered.get_or_insert_with(|| asked.elapsed());
        let new = room.get(..n).unwrap_or_default();
        sent.extend_from_slice(new);
        input.extend_from_slice(new);
    }
    let flight = shape::flight_records(&sent, input.len());
    let connected = client.finish().map_err(io::Error::other)?;
    if connected.facts.retried {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut traffic = connected.traffic;
    let mut learner = Learner::default();
    let pause = |(least, most): (Duration, Duration)| answered.unwrap_or_default().saturating_mul(4).clamp(least, most);

    let mut listen = async |learner: &mut Learner, tcp: &mut TcpStream, pause: Duration| -> bool {
        loop {
            if learner.take(&mut traffic, &mut input).is_err() || learner.closed {
                return false;
            }
            match timeout_at(end.min(Instant::now() + pause), tcp.read(&mut room)).await {
                Err(_) => return true,
                Ok(Ok(n)) if n > 0 => input.extend_from_slice(room.get(..n).unwrap_or_default()),
                Ok(_) => return false,
            }
        }
    };
    let mut alive = listen(&mut learner, &mut tcp, pause(BEHIND)).await;
    let behind = learner.seen().len();
    if alive {
        let mut last = shape::dummies(dummies);
        last.append(&mut out);
        tcp.write_all(&last).await?;
        alive = listen(&mut learner, &mut tcp, pause(QUIET)).await;
    }
    traffic.close();
    // A goodbye that does not arrive is not missed.
    let _ = tcp.write_all(traffic.pending()).await;
    Ok(Observed { flight, behind, after: learner.seen().to_vec(), alive })
}
