//! Header blocks: HEADERS, PUSH_PROMISE and CONTINUATION, and the messages they make.

use super::StreamId;
use super::connection::{Connection, MAX_ID};
use super::error::Code;
use super::event::Event;
use super::frame::{Head, flag, kind};
use super::hpack::FieldList;
use super::limits::Malformed;
use super::message;
use super::receive::{Block, Ears, Fault, Input, Purpose, State, hpack_fault};
use super::stream::{Ending, Phase, Stream};

impl Connection {
    pub(super) fn begin_headers(&mut self, head: Head, on: Ears<'_, '_>) -> Result<State, Fault> {
        let purpose = self.purpose(head.id, on)?;
        self.begin_block(head, head.id, purpose)
    }

    /// What HEADERS on that stream can be (RFC 9113 sections 5.1 and 5.1.1).
    fn purpose(&mut self, id: StreamId, on: Ears<'_, '_>) -> Result<Purpose, Fault> {
        if id == 0 {
            return Err(Fault::new(Code::PROTOCOL_ERROR, "HEADERS on stream 0"));
        }
        if let Some(stream) = self.streams.get(id) {
            return Ok(match stream.receiving {
                Phase::Head => Purpose::Response,
                Phase::Body => Purpose::Trailers,
                Phase::Done => {
                    self.stream_error(id, Code::STREAM_CLOSED, on)?;
                    Purpose::Discard
                }
            });
        }
        if self.is_idle(id) {
            if !self.server || id % 2 == 0 {
                return Err(Fault::on(Code::PROTOCOL_ERROR, id, "HEADERS on an idle stream"));
            }
            self.last_peer = id;
            // Above our GOAWAY nothing is looked at (RFC 9113 section 6.8).
            return Ok(if self.goaway_sent.is_some() { Purpose::Discard } else { Purpose::Request });
        }
        match self.streams.ending(id) {
            Some(Ending::Finished) => Err(Fault::on(Code::STREAM_CLOSED, id, "HEADERS on a closed stream")),
            Some(Ending::ResetByPeer) => {
                self.refuse(id, Code::STREAM_CLOSED)?;
                Ok(Purpose::Discard)
            }
            Some(Ending::ResetByUs) => Ok(Purpose::Discard),
            None if self.server && self.goaway_sent.is_none_or(|last| id <= last) => {
                Err(Fault::on(Code::PROTOCOL_ERROR, id, "stream identifiers do not rise"))
            }
            None => Ok(Purpose::Discard),
        }
    }

    pub(super) fn begin_push(&mut self, head: Head) -> Result<State, Fault> {
        if self.server || self.local.push_off {
            return Err(Fault::on(Code::PROTOCOL_ERROR, head.id, "a push where none is allowed"));
        }
        if self.is_idle(head.id) || head.id % 2 == 0 {
            return Err(Fault::on(Code::PROTOCOL_ERROR, head.id, "a push on a stream that is not ours"));
        }
        self.begin_block(head, head.id, Purpose::Discard)
    }

    fn begin_block(&mut self, head: Head, id: StreamId, purpose: Purpose) -> Result<State, Fault> {
        let limit = match purpose {
            Purpose::Discard => {
                self.noise()?;
                0
            }
            _ => self.limits.max_header_bytes,
        };
        self.block = Some(Box::new(Block {
            id,
            end: head.kind == kind::HEADERS && head.has(flag::END_STREAM),
            purpose,
            refuse: None,
            list: FieldList::new(limit),
            bytes: 0,
            continuations: 0,
        }));
        self.more_block(head.len)?;
        Ok(State::Prefix(head))
    }

    fn more_block(&mut self, len: u32) -> Result<(), Fault> {
        let Some(block) = &mut self.block else { return Ok(()) };
        block.bytes = block.bytes.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
        if block.bytes > self.limits.max_block_bytes {
            return Err(Fault::on(Code::ENHANCE_YOUR_CALM, block.id, "a header block beyond the limit"));
        }
        Ok(())
    }

    pub(super) fn begin_continuation(&mut self, head: Head) -> Result<State, Fault> {
        let Some(block) = &mut self.block else {
            return Err(Fault::on(Code::PROTOCOL_ERROR, head.id, "CONTINUATION of nothing"));
        };
        block.continuations += 1;
        if block.continuations > self.limits.max_continuations {
            return Err(Fault::on(Code::ENHANCE_YOUR_CALM, head.id, "a header block in too many pieces"));
        }
        self.more_block(head.len)?;
        Ok(State::Fragment { left: head.len, padding: 0, last: head.has(flag::END_HEADERS) })
    }

    /// What stands in front of a header block. `None` = not all of it has arrived.
    pub(super) fn prefix<'a>(
        &mut self,
        head: Head,
        input: &mut Input<'a>,
        on: Ears<'_, 'a>,
    ) -> Result<Option<State>, Fault> {
        let push = head.kind == kind::PUSH_PROMISE;
        let padded = head.has(flag::PADDED);
        let priority = !push && head.has(flag::PRIORITY);
        let need = u32::from(padded) + if priority { 5 } else { 0 } + if push { 4 } else { 0 };
        if head.len < need {
            return Err(Fault::on(Code::FRAME_SIZE_ERROR, head.id, "a header frame too short for its flags"));
        }
        // (pad length, dependency or promised stream)
        let (padding, word) = match (padded, priority, push) {
            (false, false, false) => (0, None),
            (true, false, false) => match self.gather::<1>(input) {
                Some([pad]) => (pad, None),
                None => return Ok(None),
            },
            (false, true, _) => match self.gather::<5>(input) {
                Some([d0, d1, d2, d3, _]) => (0, Some(u32::from_be_bytes([d0, d1, d2, d3]))),
                None => return Ok(None),
            },
            (true, true, _) => match self.gather::<6>(input) {
                Some([pad, d0, d1, d2, d3, _]) => (pad, Some(u32::from_be_bytes([d0, d1, d2, d3]))),
                None => return Ok(None),
            },
            (false, false, true) => match self.gather::<4>(input) {
                Some(promised) => (0, Some(u32::from_be_bytes(promised))),
                None => return Ok(None),
            },
            (true, false, true) => match self.gather::<5>(input) {
                Some([pad, p0, p1, p2, p3]) => (pad, Some(u32::from_be_bytes([p0, p1, p2, p3]))),
                None => return Ok(None),
            },
        };
        let padding = u32::from(padding);
        let Some(left) = (head.len - need).checked_sub(padding) else {
            return Err(Fault::on(Code::PROTOCOL_ERROR, head.id, "more padding than frame"));
        };
        match word.map(|word| word & MAX_ID) {
            Some(promised) if push => self.refuse_push(promised)?,
            // A stream that depends on itself (RFC 7540 section 5.3.1; RFC 9113 left the field and dropped its use).
            Some(on_stream) if on_stream == head.id => self.depends_on_itself(head.id, on)?,
            _ => {}
        }
        Ok(Some(State::Fragment { left, padding, last: head.has(flag::END_HEADERS) }))
    }

    fn depends_on_itself(&mut self, id: StreamId, on: Ears<'_, '_>) -> Result<(), Fault> {
        let Some(block) = &mut self.block else { return Ok(()) };
        match block.purpose {
            Purpose::Request => block.refuse = Some(Code::PROTOCOL_ERROR),
            Purpose::Discard => {}
            Purpose::Response | Purpose::Trailers => {
                block.purpose = Purpose::Discard;
                self.stream_error(id, Code::PROTOCOL_ERROR, on)?;
            }
        }
        Ok(())
    }

    /// A push is allowed until the peer has read that it is not; none is ever wanted.
    fn refuse_push(&mut self, promised: StreamId) -> Result<(), Fault> {
        if promised == 0 || promised % 2 == 1 || !self.is_idle(promised) {
            return Err(Fault::on(Code::PROTOCOL_ERROR, promised, "a push of an impossible stream"));
        }
        self.last_peer = promised;
        self.refuse(promised, Code::CANCEL)
    }

    pub(super) fn end_block(&mut self, on: Ears<'_, '_>) -> Result<(), Fault> {
        let Some(block) = self.block.take() else { return Ok(()) };
        self.decoder.finish().map_err(|error| hpack_fault(error, block.id))?;
        match block.purpose {
            Purpose::Discard => Ok(()),
            Purpose::Request => self.end_request(*block, on),
            Purpose::Response => self.end_response(*block, on),
            Purpose::Trailers => self.end_trailers(*block, on),
        }
    }

    fn end_request(&mut self, block: Block, on: Ears<'_, '_>) -> Result<(), Fault> {
        let Block { id, end, list, refuse, .. } = block;
        if id == MAX_ID {
            // No identifier is left: the peer needs another connection (RFC 9113 section 5.1.1).
            self.goaway(Code::NO_ERROR);
        }
        if let Some(code) = refuse {
            return self.refuse(id, code);
        }
        let most = self.local.max_streams.min(self.limits.max_streams);
        if self.streams.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
            return self.refuse(id, Code::REFUSED_STREAM);
        }
        let receiving = if end { Phase::Done } else { Phase::Body };
        let mut stream = Stream::new(self.peer.initial_window, self.local.initial_window, Phase::Head, receiving);
        if list.overflowed() {
            self.streams.insert(id, stream);
            on(Event::HeadersTooLarge { id, end });
            return Ok(());
        }
        let verdict = message::request(&list.fields, self.local.connect_protocol).and_then(|request| {
            let complete = !end || request.length.is_none_or(|length| length == 0);
            if complete { Ok(request) } else { Err("content-length without a body") }
        });
        match verdict {
            Ok(request) => {
                stream.connect = request.connect;
                stream.head = request.head;
                stream.expect(request.length);
                self.streams.insert(id, stream);
                on(Event::Headers { id, fields: list.fields, end });
            }
            Err(_) if self.limits.malformed == Malformed::Reset => return self.refuse(id, Code::PROTOCOL_ERROR),
            Err(reason) => {
                self.streams.insert(id, stream);
                on(Event::Malformed { id, fields: list.fields, reason, end });
            }
        }
        Ok(())
    }

    fn end_response(&mut self, block: Block, on: Ears<'_, '_>) -> Result<(), Fault> {
        let Block { id, end, list, .. } = block;
        // The stream may have been reset by its owner between two fragments.
        let Some(stream) = self.streams.get_mut(id) else { return Ok(()) };
        if list.overflowed() {
            return self.stream_error(id, Code::ENHANCE_YOUR_CALM, on);
        }
        let Ok(response) = message::response(&list.fields) else {
            return self.stream_error(id, Code::PROTOCOL_ERROR, on);
        };
        if response.status < 200 {
            if end {
                return self.stream_error(id, Code::PROTOCOL_ERROR, on);
            }
            on(Event::Informational { id, fields: list.fields });
            return self.noise();
        }
        let tunnel = stream.connect && response.status < 300;
        let length = if stream.head || tunnel { None } else { response.length };
        // A refused CONNECT is an ordinary answer: body, trailers and all.
        stream.connect = tunnel;
        stream.expect(length);
        stream.receiving = Phase::Body;
        if end && !stream.body(0, true) {
            return self.stream_error(id, Code::PROTOCOL_ERROR, on);
        }
        on(Event::Headers { id, fields: list.fields, end });
        if end {
            self.finish_receiving(id);
        }
        Ok(())
    }

    fn end_trailers(&mut self, block: Block, on: Ears<'_, '_>) -> Result<(), Fault> {
        let Block { id, end, list, .. } = block;
        let Some(stream) = self.streams.get_mut(id) else { return Ok(()) };
        if list.overflowed() {
            return self.stream_error(id, Code::ENHANCE_YOUR_CALM, on);
        }
        // RFC 9113 section 8.1: trailers end the stream; section 8.5: a tunnel has none.
        if !end || stream.connect || !stream.body(0, true) || message::trailers(&list.fields).is_err() {
            return self.stream_error(id, Code::PROTOCOL_ERROR, on);
        }
        on(Event::Trailers { id, fields: list.fields });
        self.finish_receiving(id);
        Ok(())
    }
}
