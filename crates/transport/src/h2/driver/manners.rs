//! How a client's carrier behaves where that can be seen: records, the question whether the peer lives, the end.

use std::time::Duration;

use tokio::time::Instant;

use super::super::carrier::{Closing, Shared};
use super::{Driver, Piece, Requests};

/// Chromium asks whether a connection still lives when it opens a stream and has read nothing for 10 s, and gives it up
/// when 10 s bring no answer (kDefaultConnectionAtRiskOfLossSeconds and kHungIntervalSeconds in net/spdy; the first was
/// seen in a capture). Firefox asks by a timer only, after 58 s.
const RISK: Duration = Duration::from_secs(10);
pub(super) const HUNG: Duration = Duration::from_secs(10);
/// A record's worth of DATA with its frame's head: what Chromium writes in one go.
pub(super) const RECORD: usize = 16_384;
pub(super) const FRAME_HEAD: usize = 9;
/// Frame types (RFC 9113 section 6).
const HEADERS: u8 = 1;
const WINDOW_UPDATE: u8 = 8;
/// What a browser does with an HTTP/2 connection, as far as it can be seen from outside. Captured from Chromium 156 and
/// Firefox 153 against a local server (`lab/browser`): both end a connection with a bare FIN, without GOAWAY or
/// `close_notify`, and write every frame in records of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// Bytes of the opening (preface, SETTINGS, WINDOW_UPDATE), which goes in one record.
    pub opening: usize,
    /// Window of a stream, as it is right behind the request: some raise it there, in the request's record.
    pub window: u32,
    /// A connection without streams is closed after this.
    pub idle: Option<Duration>,
    /// Flights that are still filled up.
    pub flights: u8,
}

/// How many flights with requests or payload a carrier's beginning has, and the least bytes of each; the rest is filled.
///
/// A TLS handshake inside shows as four bursts in turn, whose sizes are known (Xue et al., USENIX Security 2024; nDPI 5
/// has it): 1,850, 4,903, 785 and 1,051 bytes from Chrome, and others. nDPI starts at a client's burst of at most three
/// packets, within 25 packets. So none is that short at first: 4,600 bytes are four packets of 1,460 (RFC 9293
/// section 3.7.1 with an MTU of 1,500), and eight times four are more than 25. The first requests are no exception: with
/// their answers, their 252, 1,061, 174 and 472 bytes were taken for TLS 1.2. Costs some 40 KB once a carrier.
pub(in crate::h2) const FLIGHTS: u8 = 8;
const FLIGHT: usize = 4_600;
/// On top, at random, so that no length is common to all.
const SPREAD: u16 = 1_400;

impl<R: Requests> Driver<R> {
    /// Fills up a flight of the carrier's beginning. Only those with requests or payload: what a browser says about the
    /// connection itself has its lengths.
    pub(super) fn fill_up(&mut self, shared: &mut Shared) {
        let speaks = self.plan.iter().any(|piece| match piece {
            Piece::Payload(_) => true,
            Piece::Control(frame) => frame.get(3) == Some(&HEADERS),
            Piece::Head(_) => false,
        });
        let Some(manners) = &mut self.manners else { return };
        let Some(left) = manners.flights.checked_sub(1).filter(|_| speaks) else { return };
        manners.flights = left;
        let mut random = [0; 2];
        // Only lengths vary by it: should randomness fail, a constant is no secret told.
        let _ = aws_lc_rs::rand::fill(&mut random);
        let least = FLIGHT + usize::from(u16::from_be_bytes(random) % SPREAD);
        let Some(missing) = least.checked_sub(self.planned + FRAME_HEAD) else { return };
        shared.conn.filler(missing);
        let filler = std::mem::take(shared.conn.out());
        self.planned += filler.len();
        self.plan_control(filler);
    }

    /// As Chromium: behind a request on a connection that was silent for long, so that a dead one is known soon.
    pub(super) fn ask_whether_it_lives(&mut self, shared: &mut Shared) {
        let Some(manners) = self.manners else { return };
        let speaks = !shared.queue.is_empty() || !shared.conn.out().is_empty();
        // Before the opening is out there is nothing to be unsure of.
        let opened = manners.opening == 0;
        if opened && speaks && self.pinged.is_none() && self.heard.elapsed() >= RISK {
            self.ping(shared);
        }
    }

    pub(super) fn ping(&mut self, shared: &mut Shared) {
        // As Chromium counts them: 1, 3, 5.
        shared.conn.ping((self.pings * 2 + 1).to_be_bytes());
        self.pings += 1;
        self.pinged = Some(Instant::now());
        self.timer.as_mut().reset(Instant::now() + HUNG);
    }

    /// Control frames, each a piece of its own where that shows: the opening first, and the window of a new stream with
    /// its request.
    pub(super) fn plan_control(&mut self, control: Vec<u8>) {
        let Some(manners) = &mut self.manners else { return self.plan.push(Piece::Control(control)) };
        let mut rest = control.as_slice();
        if manners.opening > 0 {
            let (opening, others) = rest.split_at_checked(manners.opening).unwrap_or((rest, b""));
            self.plan.push(Piece::Control(opening.to_vec()));
            rest = others;
            manners.opening = 0;
        }
        let mut request: Option<[u8; 4]> = None;
        while let [a, b, c, kind, _, stream @ ..] = rest {
            let whole = FRAME_HEAD + u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let stream = stream.first_chunk::<4>().copied().unwrap_or_default();
            let (frame, others) = rest.split_at_checked(whole).unwrap_or((rest, b""));
            match self.plan.last_mut() {
                Some(Piece::Control(before)) if *kind == WINDOW_UPDATE && request == Some(stream) => {
                    before.extend_from_slice(frame);
                }
                _ => self.plan.push(Piece::Control(frame.to_vec())),
            }
            request = (*kind == HEADERS).then_some(stream);
            rest = others;
        }
        if !rest.is_empty() {
            self.plan.push(Piece::Control(rest.to_vec()));
        }
    }

    /// How long a client's carrier without streams is still kept; `None` where it has some, or is kept for good.
    pub(super) fn idle_left(&self) -> Option<Duration> {
        let idle = self.manners?.idle?;
        let shared = self.carrier.lock();
        if !shared.streams.is_empty() || shared.closing != Closing::No {
            return None;
        }
        Some((self.heard.max(self.said) + idle).saturating_duration_since(Instant::now()))
    }
}
