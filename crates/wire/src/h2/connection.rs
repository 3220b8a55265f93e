//! The connection: what it holds, and everything its owner may ask of it. Receiving is in `receive`.

use super::StreamId;
use super::error::{Code, LocalProtocolError, RemoteProtocolError};
use super::event::Event;
use super::flow::{DEFAULT_WINDOW, RecvWindow, SendWindow};
use super::frame::{self, PREFACE, kind};
use super::hpack::{Decoder, Encoder};
use super::limits::{Limits, Strain};
use super::look::Look;
use super::receive::{Block, Input, State};
use super::settings::{self, Change, Local, Peer};
use super::stream::{Ending, Phase, StreamState, Streams};

/// The largest stream identifier (RFC 9113 section 5.1.1).
pub(super) const MAX_ID: StreamId = 0x7fff_ffff;

/// One HTTP/2 connection, either end of it.
#[derive(Debug)]
pub struct Connection {
    pub(super) server: bool,
    pub(super) look: Look,
    pub(super) limits: Limits,
    pub(super) strain: Strain,
    pub(super) out: Vec<u8>,
    /// Set once; after that nothing is read or written.
    pub(super) dead: Option<RemoteProtocolError>,

    // Receiving (see `receive`).
    pub(super) state: State,
    pub(super) scratch: [u8; frame::HEAD],
    pub(super) have: u8,
    pub(super) block: Option<Box<Block>>,
    pub(super) decoder: Decoder,
    /// The peer's first SETTINGS frame was seen.
    pub(super) greeted: bool,

    pub(super) encoder: Encoder,
    pub(super) local: Local,
    pub(super) peer: Peer,
    pub(super) send: SendWindow,
    pub(super) recv: RecvWindow,
    pub(super) streams: Streams,
    /// Client: the next identifier to use.
    pub(super) next_id: StreamId,
    /// The highest identifier of the peer's that we have seen (client: in a refused push).
    pub(super) last_peer: StreamId,
    /// `last` of the GOAWAY we sent.
    pub(super) goaway_sent: Option<StreamId>,
    /// `last` of the GOAWAY we received.
    pub(super) goaway_received: Option<StreamId>,
}

impl Connection {
    /// The client's end. The preface, the look's SETTINGS and its WINDOW_UPDATE wait in `out()`.
    #[must_use]
    pub fn client(look: Look, limits: Limits) -> Self {
        Self::new(false, look, limits)
    }

    /// The server's end. The look's SETTINGS and its WINDOW_UPDATE wait in `out()`.
    #[must_use]
    pub fn server(look: Look, limits: Limits) -> Self {
        Self::new(true, look, limits)
    }

    fn new(server: bool, look: Look, limits: Limits) -> Self {
        let mut new = Self {
            server,
            strain: Strain::default(),
            out: Vec::with_capacity(128),
            dead: None,
            state: if server { State::Preface } else { State::Head },
            scratch: [0; frame::HEAD],
            have: 0,
            block: None,
            decoder: Decoder::new(limits.max_field_bytes),
            greeted: false,
            encoder: Encoder::new(look.hpack),
            local: Local::new(),
            peer: Peer::new(),
            send: SendWindow::new(DEFAULT_WINDOW),
            recv: RecvWindow::new(DEFAULT_WINDOW),
            streams: Streams::default(),
            // An even number or none at all would be a server's: such a look is read as the usual one.
            next_id: if look.first_stream % 2 == 1 { look.first_stream.min(MAX_ID) } else { 1 },
            last_peer: 0,
            goaway_sent: None,
            goaway_received: None,
            look,
            limits,
        };
        if !server {
            new.out.extend_from_slice(PREFACE);
        }
        let first = std::mem::take(&mut new.look.settings);
        new.announce(&first);
        new.look.settings = first;
        let increment = new.look.window_increment;
        if increment > 0 {
            let target = u32::try_from(DEFAULT_WINDOW).unwrap_or(0).saturating_add(increment);
            if let Some(increment) = new.recv.grow(target) {
                frame::put_window_update(&mut new.out, 0, increment);
            }
        }
        new
    }

    fn announce(&mut self, settings: &[(u16, u32)]) {
        frame::put_settings(&mut self.out, settings);
        let change = self.local.announce(settings);
        self.apply(change);
    }

    pub(super) fn apply(&mut self, change: Change) {
        if change.window_shift != 0 {
            for stream in self.streams.values_mut() {
                stream.recv.shift(change.window_shift);
            }
        }
        if let Some(size) = change.raise_table {
            self.decoder.raise_limit(size);
        }
        if let Some(size) = change.settle_table {
            self.decoder.settle_limit(size);
        }
    }

    /// Takes all of `input`, however it is cut, and reports what it means.
    ///
    /// # Errors
    /// The connection is over; GOAWAY waits in `out()`. Events before the fault have been reported. Every further call
    /// returns the same error and reads nothing.
    pub fn feed<'a>(&mut self, input: &'a [u8], on: &mut dyn FnMut(Event<'a>)) -> Result<(), RemoteProtocolError> {
        if let Some(dead) = &self.dead {
            return Err(dead.clone());
        }
        self.receive(&mut Input::new(input), on).inspect_err(|error| {
            self.goaway(error.code);
            self.block = None;
            self.dead = Some(error.clone());
        })
    }

    /// Control bytes waiting to be sent, to be drained by the owner before anything else goes out.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The receiver took `n` bytes of DATA; windows are opened again when half of them was taken. For a stream that is
    /// gone only the connection's window counts, so call it for every byte that was ever reported.
    pub fn consumed(&mut self, id: StreamId, n: usize) {
        if self.dead.is_some() {
            return;
        }
        self.give_connection(n);
        if let Some(stream) = self.streams.get_mut(id) {
            // Nobody sends DATA on a half that is closed.
            if stream.receiving != Phase::Done {
                if let Some(increment) = stream.recv.give(n) {
                    frame::put_window_update(&mut self.out, id, increment);
                }
            }
        }
    }

    pub(super) fn give_connection(&mut self, n: usize) {
        if let Some(increment) = self.recv.give(n) {
            frame::put_window_update(&mut self.out, 0, increment);
        }
    }

    /// Raises our receive window of one stream, or of the connection (id 0), to `target` bytes. Lower targets are left.
    pub fn grow(&mut self, id: StreamId, target: u32) {
        if self.dead.is_some() {
            return;
        }
        let window = if id == 0 {
            Some(&mut self.recv)
        } else {
            self.streams.get_mut(id).filter(|stream| stream.receiving != Phase::Done).map(|stream| &mut stream.recv)
        };
        if let Some(increment) = window.and_then(|window| window.grow(target)) {
            frame::put_window_update(&mut self.out, id, increment);
        }
    }

    /// A further SETTINGS frame.
    ///
    /// # Errors
    /// Nothing was sent: a value is out of its range.
    pub fn settings(&mut self, settings: &[(u16, u32)]) -> Result<(), LocalProtocolError> {
        self.alive()?;
        for (id, value) in settings {
            if let Some(rule) = settings::fault(*id, *value, self.server) {
                return Err(LocalProtocolError::Setting(rule));
            }
        }
        self.announce(settings);
        Ok(())
    }

    /// SETTINGS frames of ours that the peer has not acknowledged yet.
    #[must_use]
    pub fn unacked_settings(&self) -> usize {
        self.local.unacked()
    }

    /// Ends a stream in both directions. Does nothing for one that is over already.
    pub fn reset(&mut self, id: StreamId, code: Code) {
        if self.dead.is_none() && self.streams.get(id).is_some() {
            self.drop_stream(id, code);
        }
    }

    /// RST_STREAM for a stream that both ends have finished, where `reset` does nothing. RFC 9113 sees no use in it;
    /// nginx sends it behind an answer that did not need the rest of the request, and a cover has to.
    pub fn stop(&mut self, id: StreamId, code: Code) {
        if self.streams.get(id).is_some() {
            self.reset(id, code);
        } else if self.dead.is_none() {
            frame::put_reset(&mut self.out, id, code);
        }
    }

    /// RST_STREAM and out of the table, the DATA frame under way included.
    pub(super) fn drop_stream(&mut self, id: StreamId, code: Code) {
        frame::put_reset(&mut self.out, id, code);
        self.streams.close(id, Ending::ResetByUs);
        self.forget_data(id);
    }

    /// No more events for the DATA frame that is being received, if it is of this stream.
    pub(super) fn forget_data(&mut self, id: StreamId) {
        if let Some(rest) = self.state.forget(id) {
            self.give_connection(rest);
        }
    }

    /// Says that no new stream of the peer's is looked at any more; open ones go on. A client also opens no more.
    pub fn goaway(&mut self, code: Code) {
        if self.dead.is_none() {
            let last = self.goaway_sent.map_or(self.last_peer, |last| last.min(self.last_peer));
            frame::put_goaway(&mut self.out, last, code);
            self.goaway_sent = Some(last);
        }
    }

    /// Server: says that the end is near without refusing what is under way (RFC 9113 section 6.8). `goaway` follows a
    /// round trip later.
    pub fn drain(&mut self) {
        if self.dead.is_none() && self.goaway_sent.is_none() {
            frame::put_goaway(&mut self.out, MAX_ID, Code::NO_ERROR);
        }
    }

    /// A frame of a type nobody knows, full of zeros, which every peer ignores (RFC 9113 section 5.5): it makes what goes
    /// with it longer. At most the frame size that all peers take (section 4.2).
    pub fn filler(&mut self, len: usize) {
        if self.dead.is_none() {
            let zeros = vec![0; len.min(16_384)];
            frame::put(&mut self.out, kind::FILLER, 0, 0, &zeros);
        }
    }

    /// A PING; its answer is `Event::Pong` with the same bytes.
    pub fn ping(&mut self, opaque: [u8; 8]) {
        if self.dead.is_none() {
            frame::put(&mut self.out, kind::PING, 0, 0, &opaque);
        }
    }

    /// What the peer announced for a setting, if it did.
    #[must_use]
    pub fn peer_setting(&self, id: u16) -> Option<u32> {
        self.peer.get(id)
    }

    /// Streams open now.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// The state of a stream (RFC 9113 section 5.1).
    #[must_use]
    pub fn stream_state(&self, id: StreamId) -> StreamState {
        match self.streams.get(id) {
            Some(stream) => stream.state(),
            None if self.is_idle(id) => StreamState::Idle,
            None => StreamState::Closed,
        }
    }

    /// Bytes the peer may still send on a stream, or on the connection (id 0).
    #[must_use]
    pub fn receivable(&self, id: StreamId) -> usize {
        if id == 0 { self.recv.left() } else { self.streams.get(id).map_or(0, |stream| stream.recv.left()) }
    }

    /// A GOAWAY went either way, or the connection ended with an error.
    #[must_use]
    pub fn is_going_away(&self) -> bool {
        self.dead.is_some() || self.goaway_sent.is_some() || self.goaway_received.is_some()
    }

    /// Why the connection is over, if the peer's fault ended it.
    #[must_use]
    pub fn fault(&self) -> Option<&RemoteProtocolError> {
        self.dead.as_ref()
    }

    /// About a second went by: what was counted against the peer fades (see `Limits`).
    pub fn calm(&mut self) {
        self.strain.calm();
    }

    pub(super) fn alive(&self) -> Result<(), LocalProtocolError> {
        if self.dead.is_some() { Err(LocalProtocolError::Dead) } else { Ok(()) }
    }

    pub(super) fn is_idle(&self, id: StreamId) -> bool {
        let ours = (id % 2 == 1) != self.server;
        if ours { self.server || id >= self.next_id } else { id > self.last_peer }
    }

    pub(super) fn finish_receiving(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.receiving = Phase::Done;
            if stream.is_closed() {
                self.streams.close(id, Ending::Finished);
            }
        }
    }

    /// What the peer's HEADER_TABLE_SIZE means for our encoder.
    pub(super) fn set_encoder_limit(&mut self, size: u32) {
        self.encoder.set_peer_limit(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2::Field;

    #[test]
    fn identifiers_run_out() {
        let request = [Field::new(":method", "CONNECT"), Field::new(":authority", "a.example:443")];
        let mut conn = Connection::client(Look::plain(), Limits::default());
        conn.next_id = MAX_ID;
        assert_eq!(conn.open(&request, false), Ok(MAX_ID));
        assert_eq!(conn.open(&request, false), Err(LocalProtocolError::Exhausted));
        assert_eq!(conn.stream_state(MAX_ID), StreamState::Open);
    }

    /// What an idle connection costs apart from its streams and tables.
    #[test]
    fn a_connection_is_small() {
        assert!(std::mem::size_of::<Connection>() <= 1024, "{}", std::mem::size_of::<Connection>());
    }
}
