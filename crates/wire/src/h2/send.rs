//! Sending: requests, answers, trailers, DATA headers.

use super::StreamId;
use super::connection::{Connection, MAX_ID};
use super::error::LocalProtocolError;
use super::field::Field;
use super::frame::{self, Head, flag, kind};
use super::message;
use super::stream::{Ending, Phase, Stream};

/// Streams opened before the peer's SETTINGS came.
const UNTOLD_STREAMS: usize = 100;

impl Connection {
    /// Client: sends a request and returns its stream.
    ///
    /// # Errors
    /// Nothing was sent: see `LocalProtocolError`.
    pub fn open(&mut self, fields: &[Field], end: bool) -> Result<StreamId, LocalProtocolError> {
        if self.server {
            return Err(LocalProtocolError::NotAClient);
        }
        self.can_open()?;
        let request = message::request(fields, self.peer.connect_protocol).map_err(LocalProtocolError::Fields)?;
        let id = self.next_id;
        self.next_id += 2;
        self.put_headers(id, fields, end, true);
        let sending = if end { Phase::Done } else { Phase::Body };
        let mut stream = Stream::new(self.peer.initial_window, self.local.initial_window, sending, Phase::Head);
        stream.connect = request.connect;
        stream.head = request.head;
        self.streams.insert(id, stream);
        Ok(id)
    }

    /// How many streams the peer lets us hold. Until it has said so, as many as no server should allow less than
    /// (RFC 9113 section 6.5.2); what is above may be refused by the time it speaks.
    fn room_for(&self) -> usize {
        if self.greeted { usize::try_from(self.peer.max_streams).unwrap_or(usize::MAX) } else { UNTOLD_STREAMS }
    }

    /// Client: whether `open` can succeed now.
    ///
    /// # Errors
    /// The reason why not.
    pub fn can_open(&self) -> Result<(), LocalProtocolError> {
        if self.dead.is_some() {
            Err(LocalProtocolError::Dead)
        } else if self.goaway_received.is_some() || self.goaway_sent.is_some() {
            Err(LocalProtocolError::GoingAway)
        } else if self.next_id > MAX_ID {
            Err(LocalProtocolError::Exhausted)
        } else if self.streams.len() >= self.room_for() {
            Err(LocalProtocolError::Busy)
        } else {
            Ok(())
        }
    }

    /// Server: an answer, interim ones (1xx, never with `end`) first. Either: trailers (always with `end`).
    ///
    /// # Errors
    /// Nothing was sent: see `LocalProtocolError`.
    pub fn headers(&mut self, id: StreamId, fields: &[Field], end: bool) -> Result<(), LocalProtocolError> {
        self.alive()?;
        let stream = self.streams.get_mut(id).ok_or(LocalProtocolError::NoStream)?;
        match stream.sending {
            Phase::Head => {
                let response = message::response(fields).map_err(LocalProtocolError::Fields)?;
                let interim = response.status < 200;
                if interim && end {
                    return Err(LocalProtocolError::State("an interim response cannot end a stream"));
                }
                if !interim {
                    stream.sending = Phase::Body;
                    self.strain.answered();
                }
            }
            Phase::Body => {
                if !end {
                    return Err(LocalProtocolError::State("trailers end the stream"));
                }
                if stream.connect && !self.server {
                    return Err(LocalProtocolError::State("a tunnel has no trailers"));
                }
                message::trailers(fields).map_err(LocalProtocolError::Fields)?;
            }
            Phase::Done => return Err(LocalProtocolError::State("this side of the stream has ended")),
        }
        self.put_headers(id, fields, end, false);
        if end {
            self.finish_sending(id);
        }
        Ok(())
    }

    /// The most payload that `data` takes now: both windows, 0 when the stream cannot send.
    #[must_use]
    pub fn sendable(&self, id: StreamId) -> usize {
        match self.streams.get(id) {
            Some(stream) if stream.sending == Phase::Body && self.dead.is_none() => {
                stream.send.room().min(self.send.room())
            }
            _ => 0,
        }
    }

    /// The largest payload of one frame that the peer takes.
    #[must_use]
    pub fn max_frame(&self) -> usize {
        usize::try_from(self.peer.max_frame).unwrap_or(0)
    }

    /// Accounts for `len` bytes of payload and returns the frame header to put in front of exactly those.
    ///
    /// # Errors
    /// Nothing was accounted: see `LocalProtocolError`.
    pub fn data(&mut self, id: StreamId, len: usize, end: bool) -> Result<[u8; 9], LocalProtocolError> {
        self.alive()?;
        let stream = self.streams.get_mut(id).ok_or(LocalProtocolError::NoStream)?;
        match stream.sending {
            Phase::Body => {}
            Phase::Head => return Err(LocalProtocolError::State("the response comes before its body")),
            Phase::Done => return Err(LocalProtocolError::State("this side of the stream has ended")),
        }
        let short = u32::try_from(len).map_err(|_| LocalProtocolError::FrameSize)?;
        if short > self.peer.max_frame {
            return Err(LocalProtocolError::FrameSize);
        }
        if len > stream.send.room().min(self.send.room()) && len > 0 {
            return Err(LocalProtocolError::Window);
        }
        stream.send.take(len);
        self.send.take(len);
        if len > 0 {
            self.strain.work();
        }
        if end {
            self.finish_sending(id);
        }
        Ok(Head::new(short, kind::DATA, if end { flag::END_STREAM } else { 0 }, id).bytes())
    }

    fn finish_sending(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id) {
            stream.sending = Phase::Done;
            if stream.is_closed() {
                self.streams.close(id, Ending::Finished);
            }
        }
    }

    /// HEADERS, and CONTINUATION where the block is longer than the peer's largest frame.
    fn put_headers(&mut self, id: StreamId, fields: &[Field], end: bool, opening: bool) {
        let start = self.out.len();
        self.out.extend_from_slice(&[0; frame::HEAD]);
        let mut flags = if end { flag::END_STREAM } else { 0 };
        if let Some(priority) = self.look.priority.filter(|_| opening) {
            let on = if priority.exclusive { 0x8000_0000 } else { 0 } | (priority.depends_on & MAX_ID);
            self.out.extend_from_slice(&on.to_be_bytes());
            self.out.push(priority.weight);
            flags |= flag::PRIORITY;
        }
        self.encoder.encode(fields, &mut self.out);
        let payload = start + frame::HEAD;
        let len = self.out.len() - payload;
        let max = self.max_frame();
        if len <= max {
            self.patch_head(start, len, kind::HEADERS, flags | flag::END_HEADERS, id);
            return;
        }
        let rest = self.out.split_off(payload + max);
        self.patch_head(start, max, kind::HEADERS, flags, id);
        let mut pieces = rest.chunks(max).peekable();
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_none() { flag::END_HEADERS } else { 0 };
            frame::put(&mut self.out, kind::CONTINUATION, flags, id, piece);
        }
    }

    fn patch_head(&mut self, at: usize, len: usize, kind: u8, flags: u8, id: StreamId) {
        let head = Head::new(u32::try_from(len).unwrap_or(0), kind, flags, id).bytes();
        if let Some(place) = self.out.get_mut(at..at + frame::HEAD) {
            place.copy_from_slice(&head);
        }
    }
}
