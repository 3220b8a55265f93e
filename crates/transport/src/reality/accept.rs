//! One connection: who is it, and what becomes of it.
//!
//! Until a hello is whole and judged, the visitor's bytes go to the cover as they come. From then on a friend's
//! connection can become a stranger's at any point (the cover's flight is of no use, a record of the client's does not
//! open), and that shows nowhere: whatever we have not answered goes on to the cover, whose own reaction is then seen.
//! The cover's end is ours, too: as long as a handshake is open no deadline runs but the cover's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rozaneh_net::dial::prepare;
use rozaneh_net::relay::Control;
use rozaneh_tls::Progress;
use rozaneh_tls::reality::flight::{Flight, Read};
use rozaneh_tls::reality::server::{Friend, Server, Verdict, judge};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::inner::{self, Protocol};
use super::learn::Lesson;
use super::pair::{Heard, Pair};
use super::{Edge, Event, now_s, seen};
use crate::cover::http1::Timeouts;
use crate::h2::server::Gate;
use crate::next::Next;
use crate::tls::drive::Ready;
use crate::tls::engine_client::Records;
use crate::tls::{Established, Facts, HEAD, Version};

/// How long a friend waits for the first lesson, just after a start. Past it, the cover answers.
const FIRST_LESSON: Duration = Duration::from_secs(3);
/// How long records of the cover's flight that were seen in a lesson may lag behind the others.
const STRAGGLERS: Duration = Duration::from_millis(100);
/// What a client may send between our flight and the end of its Finished: that is 100 bytes, and any number of dummy
/// records that a middlebox added.
const MAX_SECOND: usize = 16 * 1_024;
/// Tag and content type (RFC 8446 section 5.2).
const EXPANSION: usize = 17;

/// What the connection turned out to be.
enum Met {
    /// A friend, whose handshake is done.
    Friend(Box<(TcpStream, Established, Vec<u8>, Arc<Lesson>)>),
    /// The cover's, with what is still to be passed on.
    Stranger(Pair),
    /// Reset.
    Broken(Pair),
    /// A friend who left with the last word.
    Gone,
}

impl Edge {
    /// Serves one connection to its end. `control` is what a stranger's relay is told.
    pub async fn serve(self: Arc<Self>, client: TcpStream, gate: Arc<dyn Gate>, control: Control) {
        // A kernel that asks after a silent visitor would be one that the cover's is not.
        let _ = socket2::SockRef::from(&client).set_keepalive(false);
        // As a TCP proxy in front of a dead server: the connection is taken, and closed when the dial has failed.
        let dialled = self.dialler.connect("", &[self.cover]).await;
        self.dialled(dialled.is_ok());
        let Ok(cover) = dialled else { return };
        match Box::pin(self.meet(Pair::new(client, cover))).await {
            Met::Stranger(pair) => {
                gate.next(Next::Fallback);
                drop(gate);
                drop(self);
                pair.relay(control).await;
            }
            Met::Broken(pair) => {
                gate.next(Next::Fallback);
                pair.abort();
            }
            Met::Gone => {}
            Met::Friend(friend) => {
                let (client, established, rest, lesson) = *friend;
                let ready = Ready { established, rest };
                if let Ok((client, ready, protocol)) = Box::pin(self.greet(client, ready, &lesson)).await {
                    drop((self, lesson));
                    inner::serve(client, ready, protocol, gate).await;
                }
            }
        }
    }

    async fn meet(&self, mut pair: Pair) -> Met {
        let (mut first, mut answer) = (Vec::new(), Vec::new());
        let friend = loop {
            match pair.heard(&mut first, &mut answer).await {
                Heard::Broken => return Met::Broken(pair),
                Heard::ClientEnd | Heard::CoverEnd => return Met::Stranger(pair),
                Heard::Cover(_) => {
                    pair.to_client = answer;
                    return Met::Stranger(pair);
                }
                Heard::Client(n) => {
                    pair.to_cover.extend_from_slice(first.get(first.len() - n..).unwrap_or_default());
                    pair.nudge();
                }
            }
            match judge(&first, &self.keys, now_s()) {
                Verdict::More => {}
                Verdict::Stranger => return Met::Stranger(pair),
                // A client says nothing behind its hello until it is answered; whoever added that is answered by the
                // cover.
                Verdict::Friend(friend) if friend.taken == first.len() => break friend,
                Verdict::Friend(_) => return Met::Stranger(pair),
            }
        };
        drop(first);
        match self.seen.admit(&friend.session_id, u64::from(friend.stamp.time), now_s()) {
            seen::Verdict::Fresh => {}
            seen::Verdict::Replayed | seen::Verdict::Forgotten => return Met::Stranger(pair),
            seen::Verdict::Full | seen::Verdict::Broken(_) => {
                self.tell(Event::FilterRefuses);
                return Met::Stranger(pair);
            }
        }
        let Some(lesson) = self.shapes.get(&friend.server_name, friend.alpn, FIRST_LESSON).await else {
            return Met::Stranger(pair);
        };
        self.answer(pair, answer, &friend, lesson).await
    }

    /// Waits for the cover's flight, answers with our own, and takes the client's Finished.
    async fn answer(&self, mut pair: Pair, mut answer: Vec<u8>, friend: &Friend, lesson: Arc<Lesson>) -> Met {
        // What came from the client and was not answered by us, as it came.
        let mut second = Vec::new();
        let mut whole: Option<(Instant, Box<Flight>)> = None;
        let flight = loop {
            let next = pair.heard(&mut second, &mut answer);
            let heard = match &whole {
                None => next.await,
                Some((until, _)) => match (timeout_at(*until, next).await, whole.take()) {
                    (Err(_), Some((_, flight))) => break flight,
                    (Err(_), None) => continue,
                    (Ok(heard), was) => {
                        whole = was;
                        heard
                    }
                },
            };
            match heard {
                Heard::Broken => return Met::Broken(pair),
                Heard::ClientEnd | Heard::CoverEnd => return strange(pair, answer, second),
                Heard::Client(_) if second.len() > MAX_SECOND => return strange(pair, answer, second),
                Heard::Client(_) => {}
                Heard::Cover(_) => match Flight::read(&answer, friend, Some(lesson.flight)) {
                    Read::More => {}
                    Read::Unusable => return strange(pair, answer, second),
                    Read::Flight(flight) if flight.more.len() >= lesson.behind => break flight,
                    Read::Flight(flight) => {
                        let until = whole.map_or_else(|| Instant::now() + STRAGGLERS, |(until, _)| until);
                        whole = Some((until, flight));
                    }
                },
            }
        };
        let manners = lesson.manners(flight.more.len());
        let Ok((mut server, flight)) = Server::new(friend, &flight, &self.identity, &manners) else {
            self.tell(Event::CoverUnusable);
            return strange(pair, answer, second);
        };
        drop(answer);
        pair.to_client = flight;
        let (mut input, mut out, mut surplus) = (second.clone(), Vec::new(), Vec::new());
        let mut fresh = !input.is_empty();
        loop {
            if fresh {
                match server.step(&mut input, &mut out) {
                    Ok(Progress::Done) => break,
                    Ok(Progress::NeedMore) if second.len() <= MAX_SECOND => {}
                    // The alert stays with us: the cover has its own.
                    _ => return strange(pair, surplus, second),
                }
            }
            let before = second.len();
            fresh = false;
            match pair.heard(&mut second, &mut surplus).await {
                Heard::Broken => return Met::Broken(pair),
                Heard::ClientEnd | Heard::CoverEnd => return strange(pair, surplus, second),
                Heard::Cover(_) if surplus.len() > MAX_SECOND => return strange(pair, surplus, second),
                Heard::Cover(_) => {}
                Heard::Client(_) => {
                    input.extend_from_slice(second.get(before..).unwrap_or_default());
                    fresh = true;
                }
            }
        }
        let Pair { mut client, cover, mut to_client, .. } = pair;
        drop(cover);
        to_client.append(&mut out);
        let Ok(connected) = server.finish() else { return Met::Gone };
        let mut traffic = connected.traffic;
        // What the cover's application says unasked is said by our own protocol, in records as long.
        let mut greeting = lesson.greeting.clone().into_iter();
        traffic.set_padding(Box::new(move |len| {
            greeting.next().and_then(|wire| wire.checked_sub(HEAD + EXPANSION + len)).unwrap_or(0)
        }));
        let established = Established {
            traffic: Box::new(Records { inner: traffic, tickets: None }),
            facts: Facts { version: Version::Tls13, alpn: None, cover: false },
            early: Vec::new(),
        };
        if client.write_all(&to_client).await.is_err() {
            return Met::Gone;
        }
        Met::Friend(Box::new((client, established, input, lesson)))
    }

    /// Finds out what a friend speaks.
    async fn greet(
        &self,
        mut client: TcpStream,
        mut ready: Ready,
        lesson: &Lesson,
    ) -> io::Result<(TcpStream, Ready, Protocol)> {
        prepare((&client).into())?;
        let sniff = inner::sniff(&mut client, &mut ready, self.protocols);
        let protocol = timeout(Timeouts::default().header, sniff).await??;
        if protocol == Protocol::Vless {
            // It has nothing of its own to say unasked.
            let mut out = Vec::new();
            for wire in &lesson.greeting {
                let mut room = vec![0; wire + crate::tls::TAIL + HEAD];
                let n = ready.established.traffic.seal(&mut room, 0)?;
                out.extend_from_slice(room.get(..n).unwrap_or_default());
            }
            client.write_all(&out).await?;
        }
        Ok((client, ready, protocol))
    }
}

/// A friend's connection that is the cover's after all.
fn strange(mut pair: Pair, answer: Vec<u8>, second: Vec<u8>) -> Met {
    pair.to_client.extend(answer);
    pair.to_cover.extend(second);
    Met::Stranger(pair)
}
