//! Padding of NaiveProxy's HTTP/2 CONNECT: the negotiation in header fields, and the framing of type 1.
//!
//! Negotiation. A client sends `padding: <16 to 32 characters>` and `padding-type-request: 1, 0` (what it can do, best
//! first). A server that takes part answers with `padding: <30 to 61 characters>` and `padding-type-reply: 1`. A peer
//! that sends `padding` alone is of the older kind and means type 1; one that sends neither pads nothing.
//!
//! Type 1. The first [`FRAMES`] writes of each direction are frames, and every byte behind them is raw:
//!
//! ```text
//! u16 length of data | u8 length of padding | data | zeros
//! ```
//!
//! Any such bytes are a valid frame, so decoding cannot fail; only the end of a stream can come too early.

use std::ops::Range;

use crate::error::RemoteProtocolError;

/// How many frames of each direction are padded; then the bytes are raw.
pub const FRAMES: u8 = 8;

/// Most data one frame carries (its length field has 16 bits).
pub const MAX_DATA: usize = 65_535;

/// Bytes in front of a frame's data.
pub const HEAD: usize = 3;

/// Names of the header fields of the negotiation, as HTTP/2 writes them.
pub mod field {
    /// The padding itself.
    pub const PADDING: &str = "padding";
    /// What the client can do, best first.
    pub const TYPE_REQUEST: &str = "padding-type-request";
    /// What the server chose.
    pub const TYPE_REPLY: &str = "padding-type-reply";
    /// `1` from a client that remembers what this server chose before.
    pub const FASTOPEN: &str = "fastopen";
}

/// A padding type by its number. Numbers other than these two are other people's, or a further one of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(pub u8);

impl Kind {
    /// Nothing is padded.
    pub const NONE: Self = Self(0);
    /// The first eight frames of each direction are padded.
    pub const FIRST_EIGHT: Self = Self(1);
}

/// Whose `padding` field is written: the two have different lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// 16 to 32 characters.
    Request,
    /// 30 to 61 characters.
    Reply,
}

/// Characters whose HPACK Huffman code is longer than eight bits, so that coding does not shorten the field (RFC 7541
/// appendix B); sixteen of them, to be picked by half a byte each.
const SYMBOLS: [u8; 16] = *b"!#$()+<>?@[]^`{}";

/// What fills the field behind the random part.
const FILLER: u8 = b'~';

/// Random characters at the front of the field: they keep it out of every table of repeated fields.
const RANDOM_CHARACTERS: usize = 16;

/// A value for the `padding` field, made from twelve random bytes: eight choose the characters, four the length.
#[must_use]
pub fn header_value(side: Side, random: [u8; 12]) -> String {
    let [symbols @ .., a, b, c, d] = random;
    let symbols: [u8; 8] = symbols;
    let (least, span) = match side {
        Side::Request => (16, 32 - 16 + 1),
        Side::Reply => (30, 61 - 30 + 1),
    };
    // 2^32 is so much larger than the span that the remainder's bias is below 10^-8.
    let length = least + (u32::from_be_bytes([a, b, c, d]) % span) as usize;
    let symbol = |nibble: u8| SYMBOLS.get(usize::from(nibble & 15)).copied().unwrap_or(FILLER);
    symbols
        .iter()
        .flat_map(|byte| [symbol(byte >> 4), symbol(byte & 15)])
        .take(RANDOM_CHARACTERS)
        .chain(std::iter::repeat(FILLER))
        .take(length)
        .map(char::from)
        .collect()
}

/// The value of `padding-type-request` for what a client can do, best first.
#[must_use]
pub fn print_offer(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| kind.0.to_string()).collect::<Vec<_>>().join(", ")
}

/// Longest list of types that is looked at; a longer one offers nothing.
const MAX_OFFER: usize = 64;

/// Types of a `padding-type-request` value in the order given; members that are no number up to 255 are passed over.
fn parse_offer(value: &[u8]) -> impl Iterator<Item = Kind> + '_ {
    let value = if value.len() <= MAX_OFFER { value } else { b"" };
    value.split(|byte| *byte == b',').filter_map(parse_kind)
}

fn parse_kind(text: &[u8]) -> Option<Kind> {
    let text = text.trim_ascii();
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok().map(Kind))?
}

/// The server's side: which type to use, from the request's `padding` and `padding-type-request` fields. The client's
/// order decides among what `supported` holds.
#[must_use]
pub fn choose(padding: Option<&[u8]>, offer: Option<&[u8]>, supported: &[Kind]) -> Kind {
    match (padding, offer) {
        (_, Some(offer)) => parse_offer(offer).find(|kind| supported.contains(kind)).unwrap_or(Kind::NONE),
        (Some(_), None) if supported.contains(&Kind::FIRST_EIGHT) => Kind::FIRST_EIGHT,
        _ => Kind::NONE,
    }
}

/// The client's side: which type the server chose, from the reply's `padding` and `padding-type-reply` fields.
///
/// # Errors
/// When the server chose what was not offered.
pub fn chosen(padding: Option<&[u8]>, reply: Option<&[u8]>, offered: &[Kind]) -> Result<Kind, RemoteProtocolError> {
    match (padding, reply) {
        (_, Some(reply)) => match parse_kind(reply) {
            Some(kind) if kind == Kind::NONE || offered.contains(&kind) => Ok(kind),
            _ => Err(RemoteProtocolError::new("the server chose a padding type that was not offered")),
        },
        (Some(_), None) if offered.contains(&Kind::FIRST_EIGHT) => Ok(Kind::FIRST_EIGHT),
        _ => Ok(Kind::NONE),
    }
}

/// What to write around the next bytes of data: `head`, then `data` bytes of data, then `zeros` zero bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Goes first.
    pub head: [u8; HEAD],
    /// How many bytes of the caller's data go next.
    pub data: usize,
    /// How many zero bytes end the frame.
    pub zeros: u8,
}

/// The sending direction of type 1.
#[derive(Clone, Debug)]
pub struct Encoder {
    left: u8,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// A direction that has sent nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { left: FRAMES }
    }

    /// True once bytes go out as they are.
    #[must_use]
    pub const fn is_raw(&self) -> bool {
        self.left == 0
    }

    /// The next frame for up to `len` bytes of data with `zeros` bytes of padding (to be drawn uniformly from 0 to 255);
    /// `None` once the direction is raw. An empty frame is not made: it would spend one of the eight on nothing.
    pub fn frame(&mut self, len: usize, zeros: u8) -> Option<Frame> {
        if self.left == 0 || len == 0 {
            return None;
        }
        self.left -= 1;
        let data = len.min(MAX_DATA);
        let [high, low] = u16::try_from(data).unwrap_or(u16::MAX).to_be_bytes();
        Some(Frame { head: [high, low, zeros], data, zeros })
    }

    /// Appends all of `data`, framed while frames are left and raw after that.
    pub fn encode(&mut self, mut data: &[u8], zeros: &mut dyn FnMut() -> u8, out: &mut Vec<u8>) {
        while !data.is_empty() && !self.is_raw() {
            let Some(frame) = self.frame(data.len(), zeros()) else { break };
            let (now, later) = data.split_at_checked(frame.data).unwrap_or((data, b""));
            out.extend_from_slice(&frame.head);
            out.extend_from_slice(now);
            out.resize(out.len() + usize::from(frame.zeros), 0);
            data = later;
        }
        out.extend_from_slice(data);
    }
}

#[derive(Clone, Debug)]
enum Part {
    /// So many bytes of the frame's head are known.
    Head([u8; HEAD], u8),
    /// Data bytes left, and the padding behind them.
    Data(u16, u8),
    /// Padding bytes left.
    Zeros(u8),
}

/// The receiving direction of type 1. Takes any split and never copies: it says where the data lies.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// Frames not yet begun.
    left: u8,
    part: Part,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A direction that has received nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { left: FRAMES, part: Part::Head([0; HEAD], 0) }
    }

    /// True once bytes come in as they are: nothing needs to pass through here any more.
    #[must_use]
    pub const fn is_raw(&self) -> bool {
        self.left == 0 && matches!(self.part, Part::Head(..))
    }

    /// Takes all of `input` and reports where in it data lies, in order; ranges are never empty.
    pub fn feed(&mut self, input: &[u8], on: &mut dyn FnMut(Range<usize>)) {
        let mut at = 0;
        while at < input.len() {
            let here = input.len() - at;
            match &mut self.part {
                Part::Head(..) if self.left == 0 => {
                    on(at..input.len());
                    return;
                }
                Part::Head(held, have) => {
                    let (Some(place), Some(byte)) = (held.get_mut(usize::from(*have)), input.get(at)) else { return };
                    *place = *byte;
                    *have += 1;
                    at += 1;
                    if usize::from(*have) == HEAD {
                        let [high, low, zeros] = *held;
                        self.left -= 1;
                        self.part = Part::Data(u16::from_be_bytes([high, low]), zeros);
                        self.settle();
                    }
                }
                Part::Data(left, _) => {
                    let take = here.min(usize::from(*left));
                    on(at..at + take);
                    at += take;
                    *left -= u16::try_from(take).unwrap_or(*left);
                    self.settle();
                }
                Part::Zeros(left) => {
                    let take = here.min(usize::from(*left));
                    at += take;
                    *left -= u8::try_from(take).unwrap_or(*left);
                    self.settle();
                }
            }
        }
    }

    /// Passes over parts with nothing left in them.
    fn settle(&mut self) {
        if let Part::Data(0, zeros) = self.part {
            self.part = Part::Zeros(zeros);
        }
        if let Part::Zeros(0) = self.part {
            self.part = Part::Head([0; HEAD], 0);
        }
    }

    /// The stream has ended: fine only between frames, or in raw bytes.
    ///
    /// # Errors
    /// When a frame is cut short.
    pub fn finish(&self) -> Result<(), RemoteProtocolError> {
        match self.part {
            Part::Head(_, 0) => Ok(()),
            _ => Err(RemoteProtocolError::new("the stream ended inside a padding frame")),
        }
    }
}

#[cfg(test)]
#[path = "padding/tests.rs"]
mod tests;
