//! Receiving: the frame parser, which takes any split of the input, and the DATA path.
//!
//! Nothing is gathered but the nine bytes of a frame header, the at most eight of a fixed payload and, inside the HPACK
//! decoder, one representation; so a peer that announces a frame of 16 MiB commits us to nothing.

use super::StreamId;
use super::connection::Connection;
use super::error::{Code, RemoteProtocolError};
use super::event::Event;
use super::frame::{HEAD, Head, PREFACE, flag, kind};
use super::hpack::{FieldList, HpackError};
use super::stream::{Ending, Phase};

pub(super) type Fault = RemoteProtocolError;

/// Who hears of events.
pub(super) type Ears<'e, 'a> = &'e mut dyn FnMut(Event<'a>);

/// What the parser waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// The rest of the client's preface.
    Preface,
    /// A frame header.
    Head,
    /// The payload of a frame whose payload has one length (its rest, if any, is skipped).
    Fixed(Head),
    /// More entries of a SETTINGS frame.
    Settings { left: u32 },
    /// Pad length, priority or promised identifier in front of a header block.
    Prefix(Head),
    /// A fragment of a header block.
    Fragment { left: u32, padding: u32, last: bool },
    /// The pad length of a DATA frame.
    Pad(Head),
    /// Payload of a DATA frame; `heard` = its bytes are reported.
    Data { id: StreamId, left: u32, padding: u32, end: bool, heard: bool },
    /// Bytes without meaning.
    Skip { left: u32 },
}

impl State {
    /// Ends the reporting of a DATA frame of that stream; returns how much of it is still to come.
    pub fn forget(&mut self, stream: StreamId) -> Option<usize> {
        match self {
            Self::Data { id, left, heard, .. } if *id == stream && *heard => {
                *heard = false;
                usize::try_from(*left).ok()
            }
            _ => None,
        }
    }
}

/// What a header block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Request,
    Response,
    Trailers,
    /// Decoded for the table's sake.
    Discard,
}

/// A header block that is being received.
#[derive(Debug)]
pub(super) struct Block {
    pub id: StreamId,
    pub end: bool,
    pub purpose: Purpose,
    /// The stream is refused when the block is complete.
    pub refuse: Option<Code>,
    pub list: FieldList,
    pub bytes: usize,
    pub continuations: u32,
}

/// The input and how much of it was read.
#[derive(Debug)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Up to `max` bytes.
    fn take(&mut self, max: usize) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let taken = rest.get(..max).unwrap_or(rest);
        self.at += taken.len();
        taken
    }
}

fn size(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// What a slice no longer than a `u32` counts.
fn count(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

impl Connection {
    /// Runs the parser until the input is used up.
    pub(super) fn receive<'a>(&mut self, input: &mut Input<'a>, on: Ears<'_, 'a>) -> Result<(), Fault> {
        loop {
            match self.state {
                State::Head => {
                    let Some(bytes) = self.gather::<HEAD>(input) else { return Ok(()) };
                    self.state = self.begin(Head::parse(bytes), input.at, on)?;
                }
                State::Data { id, left, padding, end, heard } => {
                    let offset = input.at;
                    let bytes = input.take(size(left));
                    let left = left - count(bytes);
                    if heard {
                        if !bytes.is_empty() {
                            self.strain.work();
                            on(Event::Data { id, bytes, offset, end: end && left == 0 });
                        }
                        if end && left == 0 {
                            self.finish_receiving(id);
                        }
                    }
                    if left > 0 {
                        self.state = State::Data { id, left, padding, end, heard };
                        return Ok(());
                    }
                    self.state = skip(padding);
                }
                State::Pad(head) => {
                    let Some([padding]) = self.gather::<1>(input) else { return Ok(()) };
                    self.state = self.payload(head, Some(padding), input.at, on)?;
                }
                State::Fragment { left, padding, last } => {
                    let bytes = input.take(size(left));
                    self.fragment(bytes)?;
                    let left = left - count(bytes);
                    if left > 0 {
                        self.state = State::Fragment { left, padding, last };
                        return Ok(());
                    }
                    self.state = skip(padding);
                    if last {
                        self.end_block(on)?;
                    }
                }
                State::Prefix(head) => {
                    let Some(next) = self.prefix(head, input, on)? else { return Ok(()) };
                    self.state = next;
                }
                State::Fixed(head) => {
                    let Some(next) = self.fixed(head, input, on)? else { return Ok(()) };
                    self.state = next;
                }
                State::Settings { left } => {
                    let Some([i0, i1, v0, v1, v2, v3]) = self.gather::<6>(input) else { return Ok(()) };
                    self.setting(u16::from_be_bytes([i0, i1]), u32::from_be_bytes([v0, v1, v2, v3]))?;
                    self.state = match left.saturating_sub(6) {
                        0 => self.end_settings(on)?,
                        left => State::Settings { left },
                    };
                }
                State::Skip { left } => {
                    let left = left - count(input.take(size(left)));
                    if left > 0 {
                        self.state = State::Skip { left };
                        return Ok(());
                    }
                    self.state = State::Head;
                }
                State::Preface => {
                    let want = PREFACE.get(usize::from(self.have)..).unwrap_or(&[]);
                    let got = input.take(want.len());
                    if !want.starts_with(got) {
                        return Err(Fault::new(Code::PROTOCOL_ERROR, "the preface is not HTTP/2's"));
                    }
                    if got.len() < want.len() {
                        self.have += got.len().to_le_bytes()[0];
                        return Ok(());
                    }
                    self.have = 0;
                    self.state = State::Head;
                }
            }
        }
    }

    /// The next `N` bytes once they are there.
    pub(super) fn gather<const N: usize>(&mut self, input: &mut Input<'_>) -> Option<[u8; N]> {
        let have = usize::from(self.have);
        let taken = input.take(N - have.min(N));
        if have == 0 {
            if let Ok(whole) = <[u8; N]>::try_from(taken) {
                return Some(whole);
            }
        }
        self.scratch.get_mut(have..have + taken.len())?.copy_from_slice(taken);
        if have + taken.len() < N {
            self.have = (have + taken.len()).to_le_bytes()[0];
            return None;
        }
        self.have = 0;
        self.scratch.first_chunk::<N>().copied()
    }

    /// A frame header was read: the rules that need no payload.
    fn begin(&mut self, head: Head, at: usize, on: Ears<'_, '_>) -> Result<State, Fault> {
        if head.len > self.local.max_frame {
            return Err(Fault::on(Code::FRAME_SIZE_ERROR, head.id, "a frame longer than we announced"));
        }
        // RFC 9113 section 3.4.
        if !self.greeted && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return Err(Fault::new(Code::PROTOCOL_ERROR, "the first frame is not SETTINGS"));
        }
        // RFC 9113 section 4.3: nothing may come between the frames of a block.
        if let Some(block) = &self.block {
            if head.kind != kind::CONTINUATION || head.id != block.id {
                return Err(Fault::on(Code::PROTOCOL_ERROR, block.id, "a header block is interrupted"));
            }
        }
        match head.kind {
            kind::DATA => self.begin_data(head, at, on),
            kind::HEADERS => self.begin_headers(head, on),
            kind::CONTINUATION => self.begin_continuation(head),
            kind::PUSH_PROMISE => self.begin_push(head),
            kind::SETTINGS => self.begin_settings(head, on),
            kind::PRIORITY | kind::RST_STREAM | kind::WINDOW_UPDATE | kind::PING | kind::GOAWAY => {
                self.begin_fixed(head, on)
            }
            _ => {
                // RFC 9113 section 5.5: frames of unknown types are ignored.
                self.noise()?;
                Ok(skip(head.len))
            }
        }
    }

    fn begin_data(&mut self, head: Head, at: usize, on: Ears<'_, '_>) -> Result<State, Fault> {
        if head.id == 0 {
            return Err(Fault::new(Code::PROTOCOL_ERROR, "DATA on stream 0"));
        }
        if head.has(flag::PADDED) {
            if head.len == 0 {
                return Err(Fault::on(Code::FRAME_SIZE_ERROR, head.id, "DATA without its pad length"));
            }
            return Ok(State::Pad(head));
        }
        self.payload(head, None, at, on)
    }

    /// A DATA frame whose measures are known. `at`: where its payload begins in the input, for an empty one.
    fn payload(&mut self, head: Head, padding: Option<u8>, at: usize, on: Ears<'_, '_>) -> Result<State, Fault> {
        let end = head.has(flag::END_STREAM);
        let id = head.id;
        let overhead = padding.map_or(0, |padding| u32::from(padding) + 1);
        // RFC 9113 section 6.1: padding as long as the frame or longer.
        let Some(left) = head.len.checked_sub(overhead) else {
            return Err(Fault::on(Code::PROTOCOL_ERROR, id, "more padding than frame"));
        };
        let padding = u32::from(padding.unwrap_or(0));
        if self.recv.take(head.len).is_none() {
            return Err(Fault::on(Code::FLOW_CONTROL_ERROR, id, "DATA beyond the connection's window"));
        }
        let broken = match self.streams.get_mut(id) {
            None => {
                self.data_on_closed(id)?;
                self.give_connection(size(head.len));
                return Ok(State::Data { id, left, padding, end, heard: false });
            }
            Some(stream) => {
                if stream.receiving == Phase::Done {
                    Some(Code::STREAM_CLOSED)
                } else if stream.receiving == Phase::Head {
                    Some(Code::PROTOCOL_ERROR)
                } else if stream.recv.take(head.len).is_none() {
                    Some(Code::FLOW_CONTROL_ERROR)
                } else if !stream.body(left, end) {
                    Some(Code::PROTOCOL_ERROR)
                } else {
                    None
                }
            }
        };
        if let Some(code) = broken {
            self.stream_error(id, code, on)?;
            self.give_connection(size(head.len));
            return Ok(State::Data { id, left, padding, end, heard: false });
        }
        if left == 0 {
            if end {
                on(Event::Data { id, bytes: &[], offset: at, end: true });
            } else {
                self.noise()?;
            }
        }
        if overhead > 0 {
            self.consumed(id, size(overhead));
        }
        Ok(State::Data { id, left, padding, end, heard: true })
    }

    /// DATA on a stream that is not open (RFC 9113 section 5.1).
    fn data_on_closed(&mut self, id: StreamId) -> Result<(), Fault> {
        if self.is_idle(id) {
            return Err(Fault::on(Code::PROTOCOL_ERROR, id, "DATA on an idle stream"));
        }
        match self.streams.ending(id) {
            Some(Ending::Finished) => Err(Fault::on(Code::STREAM_CLOSED, id, "DATA on a closed stream")),
            Some(Ending::ResetByPeer) => self.refuse(id, Code::STREAM_CLOSED),
            // It crossed our RST_STREAM, or was so long ago that nobody knows.
            Some(Ending::ResetByUs) | None => Ok(()),
        }
    }

    fn fragment(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(block) = &mut self.block else { return Ok(()) };
        self.decoder.feed(bytes, &mut block.list).map_err(|error| hpack_fault(error, block.id))
    }
}

pub(super) fn hpack_fault(error: HpackError, id: StreamId) -> Fault {
    match error {
        HpackError::Broken(reason) => Fault::on(Code::COMPRESSION_ERROR, id, reason),
        HpackError::TooLong => Fault::on(Code::ENHANCE_YOUR_CALM, id, "a header field beyond the limit"),
    }
}

pub(super) fn skip(left: u32) -> State {
    if left == 0 { State::Head } else { State::Skip { left } }
}
