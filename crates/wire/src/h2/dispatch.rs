//! Every frame but DATA and those of header blocks: what it means in the state it meets (RFC 9113 section 6).

use super::StreamId;
use super::connection::{Connection, MAX_ID};
use super::error::Code;
use super::event::Event;
use super::frame::{self, Head, flag, kind};
use super::receive::{Ears, Fault, Input, State, skip};
use super::settings::id as setting;
use super::stream::{Ending, Phase};

impl Connection {
    // --- what things cost -------------------------------------------------------------------------------------------

    /// A frame moved nothing.
    pub(super) fn noise(&mut self) -> Result<(), Fault> {
        self.strain.noise += 1;
        if self.strain.noise > self.limits.max_noise {
            return Err(Fault::new(Code::ENHANCE_YOUR_CALM, "too many frames that move nothing"));
        }
        Ok(())
    }

    /// A frame has to be answered.
    fn reply(&mut self) -> Result<(), Fault> {
        if self.out.is_empty() {
            self.strain.replies = 0;
        }
        self.strain.replies += 1;
        if self.strain.replies > self.limits.max_replies {
            return Err(Fault::new(Code::ENHANCE_YOUR_CALM, "more to answer than is read"));
        }
        Ok(())
    }

    /// RST_STREAM for a stream that its owner has not heard of, or has heard the end of.
    pub(super) fn refuse(&mut self, id: StreamId, code: Code) -> Result<(), Fault> {
        self.reply()?;
        self.strain.errors += 1;
        if self.strain.errors > self.limits.max_stream_errors {
            return Err(Fault::on(Code::ENHANCE_YOUR_CALM, id, "too many broken streams"));
        }
        self.drop_stream(id, code);
        Ok(())
    }

    /// The peer broke a rule on a stream: RST_STREAM, and its owner is told.
    pub(super) fn stream_error(&mut self, id: StreamId, code: Code, on: Ears<'_, '_>) -> Result<(), Fault> {
        let known = self.streams.get(id).is_some();
        if !known && self.is_idle(id) {
            return Err(Fault::on(code, id, "a fault on an idle stream"));
        }
        self.refuse(id, code)?;
        if known {
            on(Event::Reset { id, code });
        }
        Ok(())
    }

    // --- SETTINGS ---------------------------------------------------------------------------------------------------

    pub(super) fn begin_settings(&mut self, head: Head, on: Ears<'_, '_>) -> Result<State, Fault> {
        if head.id != 0 {
            return Err(Fault::on(Code::PROTOCOL_ERROR, head.id, "SETTINGS on a stream"));
        }
        if head.has(flag::ACK) {
            if head.len != 0 {
                return Err(Fault::new(Code::FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS with a payload"));
            }
            match self.local.acked() {
                Some(change) => {
                    self.apply(change);
                    on(Event::SettingsAck);
                }
                None => self.noise()?,
            }
            return Ok(State::Head);
        }
        if head.len % 6 != 0 {
            return Err(Fault::new(Code::FRAME_SIZE_ERROR, "SETTINGS of a broken length"));
        }
        self.greeted = true;
        if head.len == 0 { self.end_settings(on) } else { Ok(State::Settings { left: head.len }) }
    }

    pub(super) fn setting(&mut self, id: u16, value: u32) -> Result<(), Fault> {
        // Each entry may walk all streams, so each counts.
        self.noise()?;
        let shift = self.peer.apply(id, value, !self.server)?;
        if shift != 0 {
            for stream in self.streams.values_mut() {
                if stream.send.shift(shift).is_none() {
                    let rule = "INITIAL_WINDOW_SIZE pushes a window beyond 2^31-1";
                    return Err(Fault::new(Code::FLOW_CONTROL_ERROR, rule));
                }
            }
        }
        if id == setting::HEADER_TABLE_SIZE {
            self.set_encoder_limit(value);
        }
        Ok(())
    }

    pub(super) fn end_settings(&mut self, on: Ears<'_, '_>) -> Result<State, Fault> {
        self.noise()?;
        self.reply()?;
        frame::put(&mut self.out, kind::SETTINGS, flag::ACK, 0, &[]);
        on(Event::Settings);
        Ok(State::Head)
    }

    // --- PRIORITY, RST_STREAM, PING, GOAWAY, WINDOW_UPDATE ----------------------------------------------------------

    /// Lengths and identifiers (RFC 9113 sections 6.3, 6.4, 6.7, 6.8, 6.9).
    pub(super) fn begin_fixed(&mut self, head: Head, on: Ears<'_, '_>) -> Result<State, Fault> {
        let size_ok = match head.kind {
            kind::PRIORITY => head.len == 5,
            kind::PING => head.len == 8,
            kind::GOAWAY => head.len >= 8,
            _ => head.len == 4,
        };
        let id_ok = match head.kind {
            kind::PING | kind::GOAWAY => head.id == 0,
            kind::PRIORITY | kind::RST_STREAM => head.id != 0,
            _ => true,
        };
        if !id_ok {
            return Err(Fault::on(Code::PROTOCOL_ERROR, head.id, "a frame on a stream where it cannot be"));
        }
        if size_ok {
            return Ok(State::Fixed(head));
        }
        if head.kind == kind::PRIORITY {
            // The one frame whose length is the stream's business (RFC 9113 section 6.3).
            self.stream_error(head.id, Code::FRAME_SIZE_ERROR, on)?;
            return Ok(skip(head.len));
        }
        Err(Fault::on(Code::FRAME_SIZE_ERROR, head.id, "a frame of a length it cannot have"))
    }

    /// `None` = the payload has not all arrived.
    pub(super) fn fixed<'a>(
        &mut self,
        head: Head,
        input: &mut Input<'a>,
        on: Ears<'_, 'a>,
    ) -> Result<Option<State>, Fault> {
        match head.kind {
            kind::PRIORITY => {
                let Some([d0, d1, d2, d3, _]) = self.gather::<5>(input) else { return Ok(None) };
                self.noise()?;
                let itself = u32::from_be_bytes([d0, d1, d2, d3]) & MAX_ID == head.id;
                if itself && (self.streams.get(head.id).is_some() || self.is_idle(head.id)) {
                    self.stream_error(head.id, Code::PROTOCOL_ERROR, on)?;
                }
            }
            kind::RST_STREAM => {
                let Some(code) = self.gather::<4>(input) else { return Ok(None) };
                self.reset_received(head.id, Code(u32::from_be_bytes(code)), on)?;
            }
            kind::WINDOW_UPDATE => {
                let Some(word) = self.gather::<4>(input) else { return Ok(None) };
                self.window_update(head.id, u32::from_be_bytes(word) & MAX_ID, on)?;
            }
            kind::PING => {
                let Some(opaque) = self.gather::<8>(input) else { return Ok(None) };
                if head.has(flag::ACK) {
                    self.noise()?;
                    on(Event::Pong(opaque));
                } else {
                    self.noise()?;
                    self.reply()?;
                    frame::put(&mut self.out, kind::PING, flag::ACK, 0, &opaque);
                }
            }
            _ => {
                let Some([l0, l1, l2, l3, c0, c1, c2, c3]) = self.gather::<8>(input) else { return Ok(None) };
                let last = u32::from_be_bytes([l0, l1, l2, l3]) & MAX_ID;
                self.goaway_received(last, Code(u32::from_be_bytes([c0, c1, c2, c3])), on)?;
                return Ok(Some(skip(head.len - 8)));
            }
        }
        Ok(Some(State::Head))
    }

    fn reset_received(&mut self, id: StreamId, code: Code, on: Ears<'_, '_>) -> Result<(), Fault> {
        let Some(stream) = self.streams.get(id) else {
            if self.is_idle(id) {
                return Err(Fault::on(Code::PROTOCOL_ERROR, id, "RST_STREAM on an idle stream"));
            }
            return self.noise();
        };
        let unanswered = stream.sending == Phase::Head;
        self.streams.close(id, Ending::ResetByPeer);
        on(Event::Reset { id, code });
        if self.server && unanswered {
            self.strain.resets += 1;
            if self.strain.resets > self.limits.max_resets {
                return Err(Fault::on(Code::ENHANCE_YOUR_CALM, id, "too many requests taken back"));
            }
        }
        Ok(())
    }

    fn window_update(&mut self, id: StreamId, increment: u32, on: Ears<'_, '_>) -> Result<(), Fault> {
        self.noise()?;
        if id == 0 {
            if increment == 0 {
                return Err(Fault::new(Code::PROTOCOL_ERROR, "WINDOW_UPDATE by nothing"));
            }
            if self.send.open(increment).is_none() {
                return Err(Fault::new(Code::FLOW_CONTROL_ERROR, "the connection's window beyond 2^31-1"));
            }
        } else {
            let Some(stream) = self.streams.get_mut(id) else {
                if self.is_idle(id) {
                    return Err(Fault::on(Code::PROTOCOL_ERROR, id, "WINDOW_UPDATE on an idle stream"));
                }
                return Ok(());
            };
            if increment == 0 {
                return self.stream_error(id, Code::PROTOCOL_ERROR, on);
            }
            if stream.send.open(increment).is_none() {
                return self.stream_error(id, Code::FLOW_CONTROL_ERROR, on);
            }
        }
        on(Event::WindowOpen { id });
        Ok(())
    }

    fn goaway_received(&mut self, last: StreamId, code: Code, on: Ears<'_, '_>) -> Result<(), Fault> {
        self.noise()?;
        // RFC 9113 section 6.8: it never rises again.
        let last = self.goaway_received.map_or(last, |before| before.min(last));
        self.goaway_received = Some(last);
        on(Event::GoAway { last, code });
        if !self.server {
            for id in self.streams.above(last) {
                self.streams.close(id, Ending::ResetByPeer);
                on(Event::Reset { id, code: Code::REFUSED_STREAM });
            }
        }
        Ok(())
    }
}
